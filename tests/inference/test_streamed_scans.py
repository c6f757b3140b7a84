"""Compressed files in one pass: the maps and error bars of the plain file, and nothing stored."""

import gzip
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from mrftool.errors import InputError
from mrftool.formats.nifti import data
from mrftool.formats.nifti.read import open_series
from mrftool.formats.nifti.stored import frames as stored_frames
from mrftool.inference.assessment.uncertainty import Assessment, assess_uncertainty
from mrftool.inference.quantify import prepare_scan, quantify
from mrftool.inference.session import load_model
from mrftool.maps import Maps
from mrftool.scan import likely_sample, one_pass
from mrftool.scan.draw import drawn
from mrftool.scan.frames import without_frames
from mrftool.scan.likely_sample import LikelySample
from mrftool.scan.series import Series, c_order
from mrftool.scan.stream import KeptSignals, streaming_reader
from mrftool.sequence import PulseSequence
from tests.support.small_scan import SHAPE, assert_same_maps, noisy_signal


def save(image: np.ndarray, path: Path, dtype: str) -> None:
    header = nibabel.Nifti1Header(endianness=np.dtype(dtype).byteorder.replace("=", "<"))
    header.set_data_dtype(dtype)
    nibabel.save(nibabel.Nifti1Image(image.astype(dtype), np.eye(4), header), path)


def opened(folder: Path, kind: str, ending: str) -> Series:
    """A scan as files of a kind hold it."""
    path, other = folder / f"scan.{ending}", folder / f"other.{ending}"
    image = np.load(folder / "image.npy")
    if kind in ("<c8", ">c8", "<c16"):
        save(image, path, kind)
        return open_series(path)
    if kind == "two files":
        save(image.real, path, "<f4")
        save(image.imag, other, ">i2")
        return open_series(path, imag=other)
    save(image.real, path, "<f4")
    return open_series(path, form="real")


@pytest.fixture
def folder(short_sequence: PulseSequence, tmp_path: Path) -> Path:
    image = noisy_signal(short_sequence).reshape(*SHAPE, -1, order="F")
    np.save(tmp_path / "image.npy", np.nan_to_num(image))
    return tmp_path


@pytest.fixture
def nothing_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("inflated to a file")

    original = stored_frames.open_data
    monkeypatch.setattr(
        stored_frames,
        "open_data",
        lambda path, *rest: refuse() if path.suffix == ".gz" else original(path, *rest),
    )


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("kind", ["<c8", ">c8", "<c16", "two files", "real"])
@pytest.mark.parametrize("engine", ["", "reference"])
def test_maps_of_a_compressed_file_are_those_of_the_plain_one(
    kind: str, engine: str, folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all voxels, and with some; in blocks of some; by the kernel and its twin."""
    monkeypatch.setenv("MRFTOOL_ENGINE", engine)
    monkeypatch.setattr(one_pass, "_VOXELS", 100)
    loaded = load_model(model)
    some = np.random.default_rng(1).random(SHAPE) < 0.3
    for mask in (None, some, np.zeros(SHAPE, bool)):
        options: dict[str, Any] = {"mask": mask, "hide_air": mask is None, "threads": 2}
        expected = quantify(opened(folder, kind, "nii"), loaded, **options)
        done: list[int] = []
        series = opened(folder, kind, "nii.gz")
        assert streaming_reader(series) is not None
        found = quantify(series, loaded, progress=done.append, **options)
        assert sum(done) == (np.prod(SHAPE) if mask is None else mask.sum())
        if mask is None or mask.any():
            assert_same_maps(found, expected)
        else:
            assert not found.t1.any()


def assessed(series: Series, model: Path) -> Assessment:
    loaded = load_model(model)
    return assess_uncertainty(series, quantify(series, loaded, hide_air=True), loaded)


def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows with each pass over the frames of a compressed file."""
    began: list[int] = []
    original = data.tiles_in_order

    def counted(parts: Any) -> Iterator[Any]:
        began.append(1)
        return original(parts)

    monkeypatch.setattr(data, "tiles_in_order", counted)
    return began


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(("most_bytes", "n_passes"), [(96 << 20, 1), (8_000, 2)])
def test_error_bars_take_one_pass_or_another_one(
    most_bytes: int, n_passes: int, folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of signals that were kept, and of those that were not."""
    began = passes(monkeypatch)
    monkeypatch.setattr(likely_sample, "_MOST_BYTES", most_bytes)
    expected = assessed(opened(folder, "<c8", "nii"), model)
    found = assessed(opened(folder, "<c8", "nii.gz"), model)
    assert len(began) == n_passes
    assert found.noise_sd == pytest.approx(expected.noise_sd, rel=1e-5)
    assert_same_extra(found.maps, expected.maps)


def assert_same_extra(found: Maps, expected: Maps) -> None:
    for name, image in expected.extra.items():
        np.testing.assert_allclose(found.extra[name], image, rtol=1e-4, atol=1e-7, err_msg=name)


def test_candidates_hold_the_sample_of_the_fullest_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """40 slices of 400 voxels, of which memory holds the signals of a tenth at the end."""
    monkeypatch.setattr(likely_sample, "_MOST_BYTES", 8 * 200 * 1600)
    shape, n_time, enough = (20, 20, 40), 200, 60
    random = np.random.default_rng(0)
    radius = 9 * np.sin(np.pi * (np.arange(40) + 0.5) / 40)
    x, y = np.meshgrid(np.arange(20) - 9.5, np.arange(20) - 9.5, indexing="ij")
    inside = (x**2 + y**2)[:, :, None] < radius**2
    level = (inside * random.uniform(0.2, 2.0, shape)).ravel(order="F")
    noise = random.standard_normal((n_time, level.size, 2)) @ [1, 1j]
    frames = (level + 0.01 * noise).astype(np.complex64)
    sample = LikelySample(np.arange(level.size), shape, n_time, enough)
    for start in range(0, n_time, 8):
        sample.add(frames[start : start + 8])
    kept = KeptSignals()
    sample.keep_in(kept)
    every = np.arange(level.size)
    assert kept.find(every) is None
    found = [kept.find(every[place : place + 1]) for place in every]
    positions = np.array([place for place in every if found[place] is not None])
    assert len(positions) <= 1600
    np.testing.assert_array_equal(kept.find(positions), frames[:, positions].T)
    flat = c_order(positions, shape)
    usable = np.flatnonzero(inside)
    fullest = int(inside.sum(axis=(0, 1)).argmax())
    own = usable % 40 == fullest
    assert np.isin(drawn(usable[own], enough), flat).all()
    assert np.isin(drawn(usable[~own], enough // 4), flat).all()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda raw: raw[: len(raw) // 2], "is cut short, expected more compressed data"),
        (lambda raw: raw[:-3], "is cut short, expected more compressed data"),
        (lambda raw: raw[:-5] + b"\x55" + raw[-4:], "compressed data is damaged"),
        (lambda raw: raw[:9000] + bytes(99) + raw[9099:], "compressed data is damaged"),
        (lambda raw: raw + 9 * b"garbage", "compressed data is damaged"),
        (lambda raw: raw + gzip.compress(bytes(2 << 20)), "holds more than the"),
        (lambda raw: gzip.compress(gzip.decompress(raw)[:-8]), "is cut short, its header claims"),
    ],
)
@pytest.mark.usefixtures("nothing_stored")
def test_a_damaged_file_is_one_line(change: Any, match: str, folder: Path, model: Path) -> None:
    opened(folder, "<c8", "nii.gz")
    path = folder / "scan.nii.gz"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError, match=match) as caught:
        quantify(open_series(path), load_model(model))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.usefixtures("nothing_stored")
def test_members_and_zeros_at_the_end_are_read(folder: Path, model: Path) -> None:
    expected = quantify(opened(folder, "<c8", "nii"), load_model(model))
    raw = (folder / "scan.nii").read_bytes()
    path = folder / "scan.nii.gz"
    path.write_bytes(gzip.compress(raw[:999]) + gzip.compress(raw[999:]) + bytes(50))
    assert_same_maps(quantify(open_series(path), load_model(model)), expected)


def test_a_stop_ends_the_pass(folder: Path, model: Path) -> None:
    def stop(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quantify(opened(folder, "<c8", "nii.gz"), load_model(model), progress=stop)


def test_what_is_not_compressed_in_one_pass_is_inflated_once(
    folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a model that reads signals for more, or without some frames."""
    series, loaded = opened(folder, "<c8", "nii.gz"), load_model(model)
    prepare_scan(series, loaded)
    assert streaming_reader(series) is not None
    left = without_frames(series, [3], None)
    assert streaming_reader(series) is None
    plain = opened(folder, "<c8", "nii")
    voxels = np.arange(30)
    np.testing.assert_array_equal(left.read(voxels), np.delete(plain.read(voxels), 3, axis=1))
    other = opened(folder, "<c8", "nii.gz")
    monkeypatch.setattr("mrftool.inference.quantify.split_of", lambda content: None)
    prepare_scan(other, loaded)
    assert streaming_reader(other) is None
    assert_same_maps(quantify(other, loaded), quantify(replace(plain), loaded))
