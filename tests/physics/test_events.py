"""Both engines against brute-force Bloch simulation, over lists of events in any order."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from bloch_oracle import bloch_signal
from random_sequences import (
    random_events,
    random_sequence,
    random_tissue,
    with_random_readout,
)

from mrftool.physics.epg import epg_signal
from mrftool.physics.simulate import signal_and_derivatives, simulate
from mrftool.sequence import Event, HardPulse, Invert, Pulses, PulseSequence, Saturate, T2Prep, Wait
from mrftool.tissue import Tissue

STEP = 1e-5


def sequence_of_events(seed: int) -> PulseSequence:
    sequence = random_sequence(seed, pulses=9)
    sequence = dataclasses.replace(sequence, events=random_events(seed, 9))
    return with_random_readout(sequence, seed)


def tissue_of(seed: int, voxels: int, sequence: PulseSequence) -> dict[str, np.ndarray]:
    """With R2' where the sequence spoils alike after all pulses."""
    columns = random_tissue(seed, voxels)
    if sequence.spoiling == "gradient" and sequence.spoiler_cycles is None:
        columns["r2_prime"] = np.linspace(1.0, 25.0, voxels)
    return columns


def bloch(sequence: PulseSequence, columns: dict[str, np.ndarray]) -> np.ndarray:
    voxels = range(len(columns["t1"]))
    each = ({key: column[voxel] for key, column in columns.items()} for voxel in voxels)
    return np.stack([bloch_signal(sequence, **voxel) for voxel in each])


@pytest.mark.parametrize(
    "seed", [*range(24), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(24, 200))]
)
def test_both_engines_agree_with_bloch_on_any_events(seed: int) -> None:
    sequence = sequence_of_events(seed)
    columns = tissue_of(seed, 2, sequence)
    expected = bloch(sequence, columns)
    assert expected.shape == (2, len(sequence))
    np.testing.assert_allclose(epg_signal(sequence, **columns), expected, rtol=0, atol=1e-12)
    native = simulate(sequence, Tissue(**columns)).signal
    np.testing.assert_allclose(native, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("seed", range(12))
def test_derivatives_are_those_of_the_readable_engine(seed: int) -> None:
    sequence = sequence_of_events(seed)
    columns = tissue_of(seed, 3, sequence)
    names = [key for key in columns if key != "m0"]
    _, slopes = signal_and_derivatives(sequence, Tissue(**columns), with_respect_to=names)
    for key, slope in zip(names, slopes, strict=True):
        step = STEP * np.abs(columns[key])
        above, below = (
            epg_signal(sequence, **{**columns, key: columns[key] + sign * step}) for sign in (1, -1)
        )
        expected = (above - below) / (2 * step[:, None])
        scale = 1 + np.abs(expected).max()
        np.testing.assert_allclose(slope, expected, rtol=0, atol=2e-4 * scale)


@pytest.mark.parametrize("seed", range(6))
def test_both_engines_agree_where_tissue_diffuses(seed: int) -> None:
    sequence = random_sequence(seed, pulses=9, with_spoiler=True)
    prepared = [T2Prep(0.05), *random_events(seed, 9)]
    sequence = dataclasses.replace(sequence, events=[Pulses(acquire=False), *prepared])
    room = float((sequence.tr - sequence.te).min() - sequence.spoiler.duration.sum())
    cycles = np.array([1, 0, 2, 3, 1, 0, 1, 2, 1]) if seed & 1 else None
    sequence = dataclasses.replace(
        sequence, later_echoes=[0.9 * room] if seed & 2 else [], spoiler_cycles=cycles
    )
    columns = random_tissue(seed, voxels=3) | {"adc": np.array([0.0, 1e-9, 3e-9])}
    expected = epg_signal(sequence, **columns)
    native = simulate(sequence, Tissue(**columns)).signal
    np.testing.assert_allclose(native, expected, rtol=0, atol=1e-5)
    still = epg_signal(sequence, **columns | {"adc": np.zeros(3)})
    assert np.abs(still - expected).max() > 1e-4


T1, T2, TE, FLIP, EFFICIENCY = 1.1, 0.045, 0.04, np.deg2rad(70.0), 0.9


def one_pulse(*events: Event) -> PulseSequence:
    return PulseSequence([FLIP], [0.0], [0.01], [0.0], [*events, Pulses()])


def z_before_the_pulse(*events: Event, b1: float = 1.0) -> float:
    sequence = one_pulse(*events)
    signal = epg_signal(sequence, np.array([T1]), np.array([T2]), b1=b1)
    return float((1j * signal[0, 0] / np.sin(b1 * FLIP)).real)


@pytest.mark.parametrize("b1", [1.0, 0.8])
def test_an_inversion_without_crusher_leaves_transverse_magnetisation(b1: float) -> None:
    unspoiled = HardPulse.inversion(EFFICIENCY)
    flip = b1 * np.arccos(-EFFICIENCY)
    assert z_before_the_pulse(unspoiled, b1=b1) != pytest.approx(np.cos(flip), abs=0.1)
    crushed = z_before_the_pulse(unspoiled, Saturate(0.0), b1=b1)
    assert crushed == pytest.approx(np.cos(flip), abs=1e-12)


def test_a_perfect_t2_preparation_leaves_what_decays_with_t2() -> None:
    expected = EFFICIENCY * np.exp(-TE / T2)
    assert z_before_the_pulse(T2Prep(TE, 0, EFFICIENCY)) == pytest.approx(expected, abs=1e-12)
    assert z_before_the_pulse(T2Prep(TE, 0, EFFICIENCY), b1=0.7) == pytest.approx(expected)


def test_hard_pulses_prepare_like_perfect_ones_on_resonance_and_with_the_nominal_b1() -> None:
    for refocusing in (1, 2, 3):
        found = z_before_the_pulse(T2Prep(TE, refocusing, EFFICIENCY))
        assert found == pytest.approx(EFFICIENCY * np.exp(-TE / T2), abs=1e-12)


def test_hard_pulses_prepare_less_with_a_wrong_b1() -> None:
    """Without relaxation: a tip about x, twice as much about y, and the tip back."""
    tip = 0.8 * np.pi / 2
    expected = np.cos(tip) ** 2 * np.cos(2 * tip) + np.sin(tip) ** 2
    assert z_before_the_pulse(T2Prep(1e-6, 1), b1=0.8) == pytest.approx(expected, abs=1e-3)


def test_saturation_leaves_a_part() -> None:
    assert z_before_the_pulse(Saturate(0.9)) == pytest.approx(0.1)
    recovered = 1 - 0.9 * np.exp(-0.3 / T1)
    assert z_before_the_pulse(Saturate(0.9), Wait(0.3)) == pytest.approx(recovered)


def test_orders_are_cut_on_the_way_as_promised() -> None:
    """A long list of blocks, on resonance and with few phases: the kernel's real path with cuts."""
    rng = np.random.default_rng(7)
    tr = rng.uniform(0.008, 0.014, 200)
    events = [Invert(0.9), Wait(0.02)]
    for first in (0, 50, 100, 150):
        events += [Pulses(0, 20, acquire=False), Wait(0.3), Pulses(first, first + 50), Invert(0.5)]
    sequence = PulseSequence(rng.uniform(0, 1.0, 200), np.zeros(200), tr, 0.3 * tr, events)
    t2 = np.array([0.01, 0.05, 0.3])
    exact = epg_signal(sequence, np.array([1.0, 1.0, 2.0]), t2)
    for tolerance in (1e-3, 1e-5):
        cut = simulate(sequence, Tissue([1.0, 1.0, 2.0], t2), tolerance=tolerance).signal
        error = np.linalg.norm(cut - exact, axis=1) / np.linalg.norm(exact, axis=1)
        assert error.max() < max(tolerance, 3e-6)


@pytest.mark.parametrize("phases", [[0.0, np.pi], [0.3, 2.0]])
def test_binned_frames_are_means_of_the_frames_of_each_pulse(phases: list[float]) -> None:
    """With RF phases 180 degrees apart the kernel returns real numbers, else complex ones."""
    rng = np.random.default_rng(5)
    flips, tr = rng.uniform(0.1, 1.0, 24), np.full(24, 0.01)
    blocks = [Pulses(0, 12, True, 4), Wait(0.2), Pulses(0, 24, True, 1), Pulses(6, 12, True, 3)]
    binned = PulseSequence(flips, np.resize(phases, 24), tr, 0.3 * tr, [Invert(0.9), *blocks])
    tissue = Tissue([1.0, 0.3, 2.0], [0.1, 0.05, 0.3], b1=[1.0, 0.9, 1.1], m0=[1.0, 0.0, 1j])
    signal, slopes = signal_and_derivatives(binned, tissue, with_respect_to=("t1", "t2", "b1"))
    echoes, of_echoes = signal_and_derivatives(
        binned.plain, tissue, with_respect_to=("t1", "t2", "b1")
    )
    edges = [0, 4, 8, *range(12, 36), 36, 39, 42]
    assert len(binned) == len(edges) - 1 and len(binned.plain) == 42
    for frames, each in ((signal, echoes), *zip(slopes, of_echoes, strict=True)):
        means = [each[:, a:b].mean(1) for a, b in pairwise(edges)]
        np.testing.assert_allclose(frames, np.stack(means, 1), rtol=0, atol=2e-6)


def test_the_tolerance_holds_for_frames_whose_echoes_cancel() -> None:
    """The phase of every other pulse turns by 180 degrees while the receiver's phase stays with
    the state: little is left of a mean.
    """
    flips = np.deg2rad(np.tile([60.0, -60.0], 60))
    sequence = PulseSequence(
        flips, np.zeros(120), np.full(120, 0.01), 0.0, [Pulses(0, 120, True, 2)]
    )
    t1, t2 = np.array([1.0]), np.array([0.2])
    exact = epg_signal(sequence, t1, t2)
    for tolerance in (1e-2, 1e-4):
        found = simulate(sequence, Tissue(t1, t2), tolerance=tolerance).signal
        assert np.linalg.norm(found - exact) < tolerance * np.linalg.norm(exact)
