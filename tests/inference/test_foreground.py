"""Air is told from tissue, and shown empty."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from front_door import load, save, works

from mrftool.inference.quantify import quantify
from mrftool.inference.session import Model, load_model
from mrftool.maps import Maps
from mrftool.physics.noise import complex_noise
from mrftool.physics.simulate import simulate
from mrftool.quantities import Flag
from mrftool.scan.series import series_from_array
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

SIZE = 40
HEAD = np.hypot(*np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j])[..., None] < 0.6


@pytest.fixture(scope="module")
def models(make_onnx: Callable[..., Path]) -> dict[str, Model]:
    return {form: load_model(make_onnx(form=form)) for form in ("complex", "magnitude")}


def scan(sequence: PulseSequence, snr: float, form: str, correlation: float = 0.0) -> Any:
    """A round head in air, both with noise of one level."""
    random = np.random.default_rng(2)
    tissue = Tissue(np.full(HEAD.sum(), 1.0), np.full(HEAD.sum(), 0.08))
    signal = simulate(sequence, tissue).signal
    noise = complex_noise((*HEAD.shape, signal.shape[1]), random)
    for k in range(1, signal.shape[1]):
        fresh = np.sqrt(1 - correlation**2) * noise[..., k]
        noise[..., k] = correlation * noise[..., k - 1] + fresh
    image = noise * np.sqrt(np.mean(abs(signal) ** 2)) / snr
    image[HEAD] += signal
    if form == "magnitude":
        return abs(image)
    return image


@pytest.mark.slow
@pytest.mark.parametrize("form", ["complex", "magnitude"])
@pytest.mark.parametrize("snr", [3, 20])
def test_air_is_empty_and_tissue_is_not(
    snr: float, form: str, models: dict[str, Model], short_sequence: PulseSequence
) -> None:
    series = series_from_array(scan(short_sequence, snr, form))
    maps = quantify(series, models[form])
    found = quantify(series, models[form], hide_air=True)
    masked = found.flags & int(Flag.MASKED) > 0
    assert masked[~HEAD].mean() > 0.995
    assert masked[HEAD].mean() < 0.01
    assert str(int(masked.sum())) in found.assumptions[-1]
    for name, image in found.images():
        assert name == "flags" or not image[masked].any()
        assert (image[~masked] == dict(maps.images())[name][~masked]).all()


def test_maps_without_air_stay_as_they_are(
    models: dict[str, Model], short_sequence: PulseSequence
) -> None:
    image = scan(short_sequence, 20, "complex")[HEAD][:, None, None]
    series = series_from_array(image)
    maps, found = (quantify(series, models["complex"], hide_air=hide) for hide in (False, True))
    assert found.assumptions == maps.assumptions
    for name, image in found.images():
        assert (image == maps[name]).all()


def told(maps: Maps) -> Any:
    """Which of both flags each voxel has."""
    return maps.flags & int(Flag.MASKED | Flag.MISFIT)


def other_physics(image: Any) -> Any:
    """What the same scan would be with alternating RF phases that the receiver ignores."""
    return image * (-1.0) ** np.arange(image.shape[-1])


@pytest.mark.slow
@pytest.mark.parametrize("snr", [5, 20, np.inf])
def test_physics_that_explain_no_more_than_noise_are_a_misfit_and_no_air(
    snr: float, models: dict[str, Model], short_sequence: PulseSequence
) -> None:
    series = series_from_array(other_physics(scan(short_sequence, snr, "complex")))
    found = quantify(series, models["complex"], hide_air=True)
    assert (told(found)[HEAD] == int(Flag.MISFIT)).mean() > 0.99
    assert found.n_unexplained >= 0.99 * HEAD.sum()


@pytest.mark.slow
@pytest.mark.parametrize("snr", [5, 20])
def test_a_part_with_other_physics_is_flagged_and_the_air_stays_empty(
    snr: float, models: dict[str, Model], short_sequence: PulseSequence
) -> None:
    image = scan(short_sequence, snr, "complex")
    part = HEAD & (np.arange(SIZE) < SIZE // 3)[:, None, None]
    image[part] = 0.7 * other_physics(image)[part]
    found = quantify(series_from_array(image), models["complex"], hide_air=True)
    assert (told(found)[~HEAD] == int(Flag.MASKED)).mean() > 0.995
    assert (told(found)[part] == int(Flag.MISFIT)).mean() > 0.99
    assert 0.9 * part.sum() < found.n_unexplained <= part.sum()


@pytest.mark.slow
def test_slow_noise_in_air_is_not_taken_for_a_fingerprint(
    models: dict[str, Model], short_sequence: PulseSequence
) -> None:
    series = series_from_array(scan(short_sequence, 20, "complex", correlation=0.3))
    found = quantify(series, models["complex"], hide_air=True)
    masked = found.flags & int(Flag.MASKED) > 0
    assert masked[~HEAD].mean() > 0.97
    assert not masked[HEAD].any()


@pytest.mark.slow
def test_a_mask_or_none_takes_the_place_of_the_automatic_one(
    short_sequence: PulseSequence, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save(Path("scan.nii"), scan(short_sequence, 20, "complex"))
    save(Path("mask.nii"), np.ones(HEAD.shape, np.uint8), nib.load("scan.nii").affine)
    said = works("quantify", "scan.nii", "--model", model, "-o", "automatic", "--strict")
    assert "taken as air" in said.err
    empty = load(Path("automatic/flags.nii.gz")) & int(Flag.MASKED) > 0
    assert empty[~HEAD].mean() > 0.995
    for name in ("none", "mask.nii"):
        said = works("quantify", "scan.nii", "--model", model, "-o", name[:4], "--mask", name)
        assert "taken as air" not in said.err
        assert load(Path(name[:4]) / "T1map.nii.gz")[~HEAD].all()
    assert '"mask": "none"' in Path("none/report.json").read_text()
