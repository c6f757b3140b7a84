"""Compression where the frames lie: the kernel against its twin and the graph of the model."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from mrftool.errors import ArgumentError, CheckFailedError, InputError
from mrftool.exporting.parts import require_same_parts
from mrftool.formats.nifti.read import open_series
from mrftool.inference.model.split import split_model
from mrftool.inference.quantify import quantify
from mrftool.inference.session import load_model, run, run_compressed, split_of
from mrftool.quantities import Flag
from mrftool.scan import compression
from mrftool.scan.compression import ReadableSums, sums_of
from mrftool.scan.compressor import CompressingReader, Compressor
from mrftool.scan.series import Series, series_from_array
from mrftool.sequence import PulseSequence
from tests.support.small_scan import (
    SHAPE,
    assert_alike,
    assert_same_maps,
    noisy_signal,
    random_complex,
)

EPS = np.finfo(np.float32).eps


def interleaved(vectors: np.ndarray) -> np.ndarray:
    """The matrix `(2 * time, 2 * rank)` that compresses signals with their parts interleaved."""
    matrix = np.empty((2 * len(vectors), 2 * vectors.shape[1]), np.float32)
    matrix[0::2] = np.concatenate([vectors.real, -vectors.imag], axis=1)
    matrix[1::2] = np.concatenate([vectors.imag, vectors.real], axis=1)
    return matrix


@pytest.fixture(params=[*compression.WIDTHS, "readable"])
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each instruction set that this processor has, and the twin."""
    name: str = request.param
    if name == "readable":
        monkeypatch.setenv("MRFTOOL_ENGINE", "reference")
        return name
    if compression.WIDTHS[name] > compression.WIDTHS[compression.widest()]:
        pytest.skip(f"this processor has no {name}")
    monkeypatch.setattr(compression, "widest", lambda: name)
    return name


@pytest.mark.parametrize("n_voxels", [1, 15, 16, 17, 2048, 2049, 4500])
@pytest.mark.parametrize("phase", [1.0, 1j, None])
def test_sums_over_frames_are_the_product_with_the_matrix(
    width: str, n_voxels: int, phase: complex | None
) -> None:
    """Of real bases, of real bases times a phase, and of complex ones; frames come in parts."""
    random = np.random.default_rng(n_voxels)
    n_time = 131
    vectors = random_complex(random, n_time, 11)
    if phase is not None:
        vectors = phase * vectors.real
    wide = random_complex(random, n_time, n_voxels + 3).astype(np.complex64)
    frames = wide[:, 2 : 2 + n_voxels]  # neither aligned nor contiguous
    compressor = Compressor.from_matrix(interleaved(vectors))
    assert len(compressor.vectors) == 11 * (1 + (phase is None))
    sums = sums_of(compressor, n_voxels)
    for first, last in ((70, 131), (0, 3), (3, 70)):
        sums.add(frames[first:last], first)
    coefficients, energy = sums.columns()
    expected = vectors.astype(np.complex64).conj().T.astype(complex) @ frames
    scale = np.linalg.norm(vectors, axis=0).max() * np.linalg.norm(frames, axis=0)
    found = (coefficients[:, :11] + 1j * coefficients[:, 11:]).T
    assert (abs(found - expected) / scale).max() < 4 * EPS
    norms = np.sum(abs(frames.astype(complex)) ** 2, axis=0)
    np.testing.assert_allclose(energy[:, 0], norms, rtol=8 * EPS)


def test_voxels_that_are_no_numbers_leave_the_others_alone(width: str) -> None:
    random = np.random.default_rng(0)
    frames = random_complex(random, 70, 40).astype(np.complex64)
    compressor = Compressor.from_matrix(interleaved(random_complex(random, 70, 3)))
    alone = sums_of(compressor, 40)
    alone.add(frames, 0)
    bad = frames.copy()
    bad[5, 3], bad[69, 17], bad[40, 39] = np.nan, np.inf, 1e30
    sums = sums_of(compressor, 40)
    sums.add(bad, 0)
    good = np.setdiff1d(np.arange(40), [3, 17, 39])
    for found, expected in zip(sums.columns(), alone.columns(), strict=True):
        np.testing.assert_array_equal(found[good], expected[good])
    assert not np.isfinite(sums.columns()[1][[3, 17, 39]]).any()


def test_frames_that_do_not_fit_are_refused() -> None:
    compressor = Compressor.from_matrix(interleaved(np.ones((10, 2)) * [1, 2j]))
    sums = sums_of(compressor, 4)
    frames = np.ones((3, 4), np.complex64)
    for wrong, first in ((frames[:, :3], 0), (frames, 8), (frames, -1)):
        with pytest.raises(ArgumentError, match=r"expected 4 voxels and at most 10 frames"):
            sums.add(wrong, first)
    for wrong in (frames.astype(complex), np.ones((3, 8), np.complex64)[:, ::2]):
        with pytest.raises(ArgumentError, match="voxels side by side"):
            sums.add(wrong, 0)


@pytest.mark.parametrize(
    "options", [{}, pytest.param({"b1_range": (0.7, 1.3)}, marks=pytest.mark.slow)]
)
def test_the_split_model_gives_what_the_whole_one_gives(
    make_onnx: Callable[..., Path], short_sequence: PulseSequence, options: dict[str, Any]
) -> None:
    """With B1 and noise level; the graph is the reference."""
    model = load_model(make_onnx(**options))
    signal = noisy_signal(short_sequence)
    split = split_of(model.content)
    assert split is not None
    sums = ReadableSums(split.compressor, len(signal))
    sums.add(np.ascontiguousarray(signal.T), 0)
    for noise in (None, 0.01):
        given = {name: np.linspace(0.8, 1.2, len(signal)) for name in model.given}
        found = run_compressed(model, split, *sums.columns(), noise_sd=noise, **given)
        assert_alike(found, run(model, signal, noise_sd=noise, **given))


def test_a_model_that_reads_signals_for_more_is_not_split(
    make_onnx: Callable[..., Path], model: Path
) -> None:
    assert split_model(make_onnx(form="magnitude").read_bytes()) is None
    assert split_model(model.read_bytes()) is not None


@pytest.fixture(autouse=True)
def _native_code_for_few_voxels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mrftool.inference.quantify._WORTH_TRANSLATION", 1)


@pytest.fixture(params=["complex64", "big-endian", "scaled parts", "two files", "polar", "real"])
def series(request: pytest.FixtureRequest, short_sequence: PulseSequence, tmp_path: Path) -> Series:
    """A scan as files of every kind hold it."""
    kind: str = request.param
    image = noisy_signal(short_sequence).reshape(*SHAPE, -1, order="F")
    path, other = tmp_path / "scan.nii", tmp_path / "other.nii"

    def save(values: np.ndarray, dtype: str, where: Path) -> None:
        saved = nibabel.Nifti1Image(values.astype(dtype), np.eye(4))
        nibabel.save(saved, where)

    if kind == "complex64":
        save(image, "<c8", path)
        return open_series(path)
    if kind == "big-endian":
        header = nibabel.Nifti1Header(endianness=">")
        header.set_data_dtype(">c8")
        nibabel.save(nibabel.Nifti1Image(image.astype(">c8"), np.eye(4), header), path)
        return open_series(path)
    if kind == "scaled parts":
        parts = np.stack([image.real, image.imag], axis=-1)
        scaled = nibabel.Nifti1Image(np.nan_to_num(parts), np.eye(4))
        scaled.set_data_dtype(np.int16)
        nibabel.save(scaled, path)
        return open_series(path)
    if kind == "two files":
        save(image.real, "<f4", path)
        save(image.imag, "<f4", other)
        return open_series(path, imag=other)
    if kind == "polar":
        save(abs(image), "<f4", path)
        save(np.angle(image), "<f4", other)
        return open_series(path, phase=other)
    save(image.real, "<f4", path)
    return open_series(path, form="real")


def test_maps_of_a_file_are_those_of_the_graph(
    series: Series, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all voxels, with nearly all, and with few far apart; by the kernel and its twin."""
    loaded = load_model(model)
    assert isinstance(series.read, CompressingReader)
    array = np.empty((*SHAPE, series.n_time), np.complex64)
    for voxels, signal in series.blocks():
        array.reshape(-1, series.n_time)[voxels] = signal
    random = np.random.default_rng(1)
    for share in (None, 0.9, 0.02):
        mask = None
        if share is not None:
            mask = random.random(SHAPE) < share
        expected = quantify(series_from_array(array), loaded, mask=mask)
        for engine in ("", "reference"):
            monkeypatch.setenv("MRFTOOL_ENGINE", engine)
            assert_same_maps(quantify(series, loaded, mask=mask), expected)


def test_air_is_told_by_the_same_energy(
    short_sequence: PulseSequence, model: Path, tmp_path: Path
) -> None:
    random = np.random.default_rng(5)
    image = noisy_signal(short_sequence).reshape(*SHAPE, -1, order="F")
    image[:6] = 4 * random_complex(random, *image[:6].shape)
    nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), tmp_path / "scan.nii")
    loaded = load_model(model)
    found = quantify(open_series(tmp_path / "scan.nii"), loaded, hide_air=True)
    expected = quantify(series_from_array(image), loaded, hide_air=True)
    assert np.count_nonzero(found.flags & int(Flag.MASKED)) > 200
    assert_same_maps(found, expected)


def test_progress_and_a_stop_reach_the_threads(
    short_sequence: PulseSequence, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing more is read after the caller has stopped."""
    monkeypatch.setattr("mrftool.inference.quantify._piece", lambda series: 20)
    image = noisy_signal(short_sequence).reshape(*SHAPE, -1, order="F")
    nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), tmp_path / "scan.nii")
    series, loaded = open_series(tmp_path / "scan.nii"), load_model(model)
    done: list[int] = []
    quantify(series, loaded, threads=3, progress=done.append)
    assert sum(done) == series.n_voxels
    assert len(done) == -(-series.n_voxels // 20)

    def stop(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quantify(series, loaded, threads=3, progress=stop)


@pytest.mark.parametrize("engine", ["", "reference"])
@pytest.mark.parametrize("read", ["compressed", "whole"])
def test_a_file_that_becomes_shorter_is_one_line(
    engine: str, read: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames are read, not mapped: no signal ends the process."""
    monkeypatch.setenv("MRFTOOL_ENGINE", engine)
    path = tmp_path / "scan.nii"
    nibabel.save(nibabel.Nifti1Image(np.ones((30, 40, 1, 10), np.complex64), np.eye(4)), path)
    series = open_series(path)
    os.truncate(path, 60_000)
    with pytest.raises(InputError, match=r"scan.nii: became shorter while it was in use"):
        if read == "whole":
            next(series.blocks())
        else:
            compressor = Compressor.from_matrix(np.ones((20, 1)))
            assert isinstance(series.read, CompressingReader)
            series.read.compressed(np.arange(1200), compressor)


def test_export_refuses_parts_that_do_not_fit(
    short_sequence: PulseSequence, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compressor whose coefficients are 1 % too large."""
    loaded, signal = load_model(model), noisy_signal(short_sequence)
    require_same_parts(loaded, signal)
    split = split_of(loaded.content)
    assert split is not None
    wrong = replace(split.compressor, vectors=1.01 * split.compressor.vectors)
    monkeypatch.setattr(
        "mrftool.exporting.parts.split_of", lambda content: replace(split, compressor=wrong)
    )
    with pytest.raises(CheckFailedError, match=r"give another .* when compressed"):
        require_same_parts(loaded, signal)
