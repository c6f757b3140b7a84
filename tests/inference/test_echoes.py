"""Scans with several echoes of each pulse: off-resonance and R2' are fitted beside T1 and T2."""

import json
from pathlib import Path

import numpy as np
import pytest
from front_door import command, works

from mrftool.errors import MismatchError
from mrftool.formats.npz.dictionary import load_dictionary
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.grid import Placement
from mrftool.inference.balanced import quantify_balanced
from mrftool.inference.exact_fit import ExactFit
from mrftool.physics.cramer_rao import bound_of_signals
from mrftool.physics.noise import add_noise, level_of
from mrftool.physics.simulate import signal_and_derivatives, simulate
from mrftool.scan.coefficients import CoefficientImages
from mrftool.scan.series import series_from_array
from mrftool.sequence import Invert, Pulses, PulseSequence, Wait
from mrftool.tissue import Tissue
from mrftool.workflows.kspace.quantify_coefficients import maps_of_coefficients

COUNT = 300
NAMES = ("t1", "t2", "off_resonance", "r2_prime")


@pytest.fixture(scope="module")
def sequence() -> PulseSequence:
    pulses = np.arange(240)
    flips = np.deg2rad(5 + 50 * np.abs(np.sin(np.pi * pulses / 80)))
    events = [Invert(0.98), Wait(0.02), Pulses()]
    echoes = [0.003, 0.007]
    return PulseSequence(flips, 0.0, 0.015, 0.002, events, name="echoes", later_echoes=echoes)


@pytest.fixture(scope="module")
def tissue() -> Tissue:
    random = np.random.default_rng(1)
    t1 = np.exp(random.uniform(np.log(0.4), np.log(2.0), COUNT))
    t2 = np.exp(random.uniform(np.log(0.04), np.log(0.25), COUNT))
    frequency, rate = random.uniform(-90, 90, COUNT), random.uniform(5, 30, COUNT)
    m0 = np.exp(1j * random.uniform(0, 6, COUNT))
    return Tissue(t1, t2, off_resonance=frequency, r2_prime=rate, m0=m0)


def test_noise_spreads_the_estimates_as_the_bound_says(
    sequence: PulseSequence, tissue: Tissue
) -> None:
    signal = simulate(sequence, tissue).signal
    noise = level_of(signal) / 50
    noisy = add_noise(signal, noise, np.random.default_rng(2))
    found = ExactFit(sequence).fit(noisy, {})
    wanted = ("t1", "t2", "r2_prime")
    unit, slopes = signal_and_derivatives(sequence, tissue, with_respect_to=wanted)
    by_frequency = 2j * np.pi * sequence.observed_te * unit
    slopes = np.stack([slopes[0], slopes[1], by_frequency, slopes[2]])
    bound = bound_of_signals(unit, slopes, noise)
    assert not found["flags"].any()
    for k, name in enumerate(NAMES):
        z = (found[name] - getattr(tissue, name)) / bound[:, k]
        assert 0.88 < np.sqrt(np.mean(z**2)) < 1.12, name
        assert abs(z.mean()) < 4 / np.sqrt(COUNT), name
        if f"sd_{name}" in found:
            np.testing.assert_allclose(found[f"sd_{name}"], bound[:, k], rtol=0.2)


def test_a_map_chooses_among_off_resonances_that_are_whole_turns_apart(
    sequence: PulseSequence, tissue: Tissue
) -> None:
    """The closest echoes are 3 ms apart: 333 Hz look like 0 but for the echoes between."""
    far = Tissue(tissue.t1, tissue.t2, off_resonance=tissue.off_resonance + 400)
    signal = simulate(sequence, far).signal
    found = ExactFit(sequence).fit(signal, {"off_resonance": far.off_resonance + 60})
    np.testing.assert_allclose(found["off_resonance"], far.off_resonance, atol=0.05)
    np.testing.assert_allclose(found["t2"], far.t2, rtol=1e-3)
    assert (found["r2_prime"] < 0.1).all()


def test_what_cannot_be_fitted_is_refused(sequence: PulseSequence, tissue: Tissue) -> None:
    signal = simulate(sequence, tissue[:8]).signal.reshape(4, 2, 1, -1)
    with pytest.raises(MismatchError, match="expected complex as the sequence"):
        quantify_balanced(series_from_array(abs(signal)), ExactFit(sequence))
    basis = np.eye(len(sequence), 3, dtype=np.complex64)
    images = CoefficientImages(signal[..., :3], basis, Placement(np.eye(4)))
    with pytest.raises(MismatchError, match="fitted from frames alone"):
        maps_of_coefficients(images, sequence)
    with pytest.raises(MismatchError, match="or several echoes"):
        quantify_balanced(series_from_array(signal[..., ::3]), ExactFit(sequence.plain))


E2 = """\
mrftool_sequence: 2
name: e2
flip_angle_deg: {rule: lobes, peaks: [40, 60, 30], lengths: [60, 60, 60], minimum: 5}
tr_ms: 14
te_ms: [2, 5, 9]
events:
  - invert: {efficiency: 0.95, time_ms: 20}
  - pulses: {}
"""


@pytest.mark.slow
def test_t2_star_comes_back_from_the_front_door(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("e2.yaml").write_text(E2)
    options = ("--phantom", "brain", "--matrix", 16, "--r2-prime", 15)
    works("simulate", "--seq", "e2.yaml", *options, "-o", "scan.nii")
    said = works("quantify", "scan.nii", "--seq", "e2.yaml", "-o", "maps").err
    assert "fitted, from the phases of the echoes on" in said
    works("evaluate", "maps", "maps", "scan.nii", "-o", "errors")
    scores = json.loads(Path("errors/errors.json").read_text())
    assert all(score["error_percent"] < 0.1 for score in scores if score["region"] == "all")
    refused = command("quantify", "scan.nii", "--seq", "e2.yaml", "--skip", "3", "-o", "other")
    assert (refused.code, "several echoes" in refused.err) == (2, True)
    few = ("--seq", "e2.yaml", "--t1-ms", "500,1000", "--t2-ms", "50,100")
    said = works("match", "scan.nii", *few, "-o", "matched").err
    assert "off-resonance and R2' count as 0 here" in said


def test_a_dictionary_keeps_its_r2_prime(tmp_path: Path) -> None:
    path, sequence = tmp_path / "d.npz", tmp_path / "e2.yaml"
    sequence.write_text(E2)
    times = ("--t1-ms", "300,1000", "--t2-ms", 50, "--r2-prime", 15)
    works("simulate", "--seq", sequence, *times, "-o", path)
    dictionary = load_dictionary(path)
    assert (dictionary.tissue.r2_prime == 15).all()
    tissue = Tissue(dictionary.tissue.t1, dictionary.tissue.t2, r2_prime=15.0)
    expected = simulate(read_sequence(sequence), tissue).signal
    np.testing.assert_allclose(dictionary.fingerprints.signal, expected, rtol=0, atol=1e-6)
