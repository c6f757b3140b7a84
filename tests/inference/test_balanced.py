"""Balanced sequences off resonance: T1 and T2 do not depend on how good the map of B0 is."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from front_door import command, works

from mrftool.errors import MismatchError
from mrftool.formats.sequence.write import yaml_text
from mrftool.inference.balanced import quantify_balanced
from mrftool.inference.exact_fit import ExactFit
from mrftool.maps import Maps
from mrftool.physics.noise import add_noise, level_of
from mrftool.physics.simulate import simulate
from mrftool.quantities import Flag
from mrftool.scan.series import Series, series_from_array
from mrftool.sequence import PulseSequence, Train
from mrftool.sequence.train import Inversion
from mrftool.tissue import Tissue

SHAPE = (8, 4, 1)
COUNT = 32


@pytest.fixture(scope="module")
def balanced() -> PulseSequence:
    pulses = np.arange(240)
    flips = np.deg2rad(8 + 45 * np.abs(np.sin(np.pi * pulses / 80)))
    tr = 0.011 + 0.002 * np.sin(pulses / 9)
    phases = np.pi * (pulses % 2)
    events = Train(Inversion(1.0, 0.02)).events
    return PulseSequence(flips, phases, tr, np.full(240, 0.005), events, "none", name="balanced")


@pytest.fixture(scope="module")
def tissue() -> Tissue:
    random = np.random.default_rng(1)
    t1 = np.exp(random.uniform(np.log(0.4), np.log(2.0), COUNT))
    t2 = np.exp(random.uniform(np.log(0.04), np.log(0.3), COUNT))
    return Tissue(t1, t2, off_resonance=np.linspace(-40, 40, COUNT), m0=np.full(COUNT, 3 - 1j))


@pytest.fixture(scope="module")
def map_error() -> np.ndarray:
    """As of a measured map: up to 4 Hz."""
    return np.random.default_rng(2).uniform(-4, 4, COUNT)


def series_of(signal: np.ndarray, shape: tuple[int, int, int] = SHAPE) -> Series:
    return series_from_array(signal.reshape(*shape, -1))


def image(column: np.ndarray) -> np.ndarray:
    return column.reshape(SHAPE).astype(np.float32)


def fitted(
    balanced: PulseSequence, signal: np.ndarray, field: np.ndarray, **options: object
) -> Maps:
    estimator = ExactFit(balanced, threads=1, uncertainty=options.pop("uncertainty", {}))
    return quantify_balanced(series_of(signal), estimator, image(field), **options)


@pytest.mark.slow
def test_maps_are_right_although_the_map_of_b0_is_not(
    balanced: PulseSequence, tissue: Tissue, map_error: np.ndarray
) -> None:
    signal = simulate(balanced, tissue).signal
    maps = fitted(balanced, signal, tissue.off_resonance + map_error)
    np.testing.assert_allclose(maps.t1.ravel(), tissue.t1, rtol=2e-3)
    np.testing.assert_allclose(maps.t2.ravel(), tissue.t2, rtol=2e-3)
    np.testing.assert_allclose(maps.m0.ravel(), tissue.m0, rtol=2e-3)
    found = maps.extra["off_resonance"].ravel()
    np.testing.assert_allclose(found, tissue.off_resonance, atol=0.02)
    assert not maps.flags.any()


@pytest.mark.slow
def test_standard_deviations_hold(
    balanced: PulseSequence, tissue: Tissue, map_error: np.ndarray
) -> None:
    random = np.random.default_rng(3)
    signal = simulate(balanced, tissue).signal
    z = []
    for _ in range(4):
        noisy = add_noise(signal, level_of(signal) / 50, random)
        maps = fitted(balanced, noisy, tissue.off_resonance + map_error)
        for name in ("t1", "t2"):
            errors = getattr(maps, name).ravel() - getattr(tissue, name)
            z.append(errors / maps.extra[f"sd_{name}"].ravel())
    assert 0.85 < np.std(z) < 1.15
    assert abs(np.mean(z)) < 0.2


def test_a_field_far_from_its_map_is_flagged(balanced: PulseSequence, tissue: Tissue) -> None:
    signal = simulate(balanced, tissue).signal
    maps = fitted(balanced, signal, tissue.off_resonance + 15)
    assert (maps.flags & int(Flag.OUT_OF_RANGE | Flag.MISFIT) > 0).mean() > 0.9


def test_a_mixture_of_fields_is_flagged_as_misfit(balanced: PulseSequence, tissue: Tissue) -> None:
    random = np.random.default_rng(4)
    signal = simulate(balanced, tissue).signal
    other = Tissue(tissue.t1, tissue.t2, off_resonance=tissue.off_resonance + 12, m0=tissue.m0)
    signal[5] = (signal[5] + simulate(balanced, other).signal[5]) / 2
    noisy = add_noise(signal, level_of(signal) / 50, random)
    flags = fitted(balanced, noisy, tissue.off_resonance).flags.ravel()
    assert flags[5] & Flag.MISFIT
    assert np.count_nonzero(flags) == 1


@pytest.mark.slow
def test_the_systematic_part_is_the_shift_that_a_wrong_b1_makes(
    balanced: PulseSequence, tissue: Tissue
) -> None:
    signal = simulate(balanced, tissue).signal
    field = tissue.off_resonance
    maps = fitted(balanced, signal, field, uncertainty={"b1": 0.002})
    shifted = fitted(balanced, signal, field, b1=np.full(SHAPE, 1.002, np.float32))
    for name in ("t1", "t2"):
        change = abs(getattr(shifted, name) - getattr(maps, name))
        systematic = maps.extra[f"systematic_{name}"]
        np.testing.assert_allclose(
            systematic / getattr(maps, name), change / getattr(maps, name), rtol=0.05, atol=1e-4
        )
        combined = np.hypot(systematic, maps.extra[f"sd_{name}"])
        np.testing.assert_allclose(maps.extra[f"combined_{name}"], combined, rtol=1e-5)


def test_voxels_without_numbers_and_without_signal_are_flagged(
    balanced: PulseSequence, tissue: Tissue
) -> None:
    signal, field = simulate(balanced, tissue).signal, tissue.off_resonance.copy()
    signal[0], signal[1, 3], field[2] = 0, np.nan, np.nan
    maps = fitted(balanced, signal, field)
    flags = maps.flags.ravel()
    assert flags[:3].tolist() == [Flag.MASKED, Flag.NON_FINITE, Flag.NON_FINITE]
    assert not flags[3:].any()
    assert np.isnan(maps.t2.ravel()[1:3]).all()


def test_what_does_not_belong_together_is_refused(
    balanced: PulseSequence, tissue: Tissue, short_sequence: PulseSequence
) -> None:
    signal = simulate(balanced, tissue).signal
    field = image(tissue.off_resonance)
    with pytest.raises(MismatchError, match="spoiled by gradients"):
        quantify_balanced(series_of(signal), ExactFit(short_sequence), field)
    with pytest.raises(MismatchError, match="expected 240 as the sequence"):
        quantify_balanced(series_of(signal[:, 1:]), ExactFit(balanced), field)
    with pytest.raises(MismatchError, match="expected complex as the sequence"):
        quantify_balanced(series_of(abs(signal)), ExactFit(balanced), field)
    with pytest.raises(MismatchError, match="off-resonance map has shape"):
        quantify_balanced(series_of(signal), ExactFit(balanced), field[:2])


@pytest.mark.slow
def test_quantify_takes_a_map_of_b0(
    balanced: PulseSequence, tissue: Tissue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("balanced.yaml").write_text(yaml_text(balanced))
    values = {
        "scan": simulate(balanced, tissue).signal.reshape(*SHAPE, -1),
        "b0": image(tissue.off_resonance + 1),
        "turns": image((tissue.off_resonance + 1) * 2 * np.pi),
    }
    for name, array in values.items():
        nibabel.save(nibabel.Nifti1Image(array, np.diag([2.0, 2, 5, 1])), f"{name}.nii")
    Path("turns.json").write_text('{"Units": "rad/s"}')
    options = ("--seq", "balanced.yaml", "--b0")
    said = works("quantify", "scan.nii", *options, "b0.nii", "-o", "maps").err
    assert "the off-resonance is fitted, up to 6 Hz from its map" in said
    works("quantify", "scan.nii", *options, "turns.nii", "-o", "same")
    for folder in ("maps", "same"):
        found = nibabel.load(f"{folder}/T2map.nii.gz").get_fdata().ravel()
        np.testing.assert_allclose(found, tissue.t2, rtol=3e-3)
    found = nibabel.load("maps/B0map.nii.gz").get_fdata().ravel()
    np.testing.assert_allclose(found, tissue.off_resonance, atol=0.03)


def test_a_map_of_b0_needs_a_sequence_and_no_uncertainty(
    balanced: PulseSequence, tissue: Tissue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("balanced.yaml").write_text(yaml_text(balanced))
    signal = simulate(balanced, tissue).signal.reshape(*SHAPE, -1)
    nibabel.save(nibabel.Nifti1Image(signal, np.eye(4)), "scan.nii")
    nibabel.save(nibabel.Nifti1Image(image(tissue.off_resonance), np.eye(4)), "b0.nii")
    refused = command("quantify", "scan.nii", "--b0", "b0.nii")
    assert (refused.code, "--b0 goes with --seq" in refused.err) == (2, True)
    options = ("--seq", "balanced.yaml", "--b0", "b0.nii", "--uncertainty")
    refused = command("quantify", "scan.nii", *options, "off_resonance=2Hz")
    assert (refused.code, "the off-resonance is fitted" in refused.err) == (2, True)
    Path("b0.json").write_text('{"Units": "ppm"}')
    refused = command("quantify", "scan.nii", *options[:-1])
    assert (refused.code, "in ppm, expected Hz or rad/s" in refused.err) == (3, True)
