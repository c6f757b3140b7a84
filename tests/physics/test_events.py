"""Both engines against brute-force Bloch simulation, over lists of events in any order."""

import dataclasses

import numpy as np
import pytest
from bloch_oracle import bloch_signal
from random_sequences import random_events, random_sequence, random_tissue

from mrftool.physics.epg import epg_signal
from mrftool.physics.simulate import signal_and_derivatives, simulate
from mrftool.sequence import Invert, Pulses, PulseSequence, Wait
from mrftool.tissue import Tissue

STEP = 1e-5


def sequence_of_events(seed: int) -> PulseSequence:
    sequence = random_sequence(seed, pulses=9)
    return dataclasses.replace(sequence, events=random_events(seed, 9))


def bloch(sequence: PulseSequence, columns: dict[str, np.ndarray]) -> np.ndarray:
    voxels = range(len(columns["t1"]))
    each = ({key: column[voxel] for key, column in columns.items()} for voxel in voxels)
    return np.stack([bloch_signal(sequence, **voxel) for voxel in each])


@pytest.mark.parametrize("seed", range(24))
def test_both_engines_agree_with_bloch_on_any_events(seed: int) -> None:
    sequence, columns = sequence_of_events(seed), random_tissue(seed, voxels=2)
    expected = bloch(sequence, columns)
    assert expected.shape == (2, len(sequence))
    np.testing.assert_allclose(epg_signal(sequence, **columns), expected, rtol=0, atol=1e-12)
    native = simulate(sequence, Tissue(**columns)).signal
    np.testing.assert_allclose(native, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("seed", range(12))
def test_derivatives_are_those_of_the_readable_engine(seed: int) -> None:
    sequence, columns = sequence_of_events(seed), random_tissue(seed, voxels=3)
    _, slopes = signal_and_derivatives(
        sequence, Tissue(**columns), with_respect_to=("t1", "t2", "b1")
    )
    for key, slope in zip(("t1", "t2", "b1"), slopes, strict=True):
        step = STEP * columns[key]
        above, below = (
            epg_signal(sequence, **{**columns, key: columns[key] + sign * step}) for sign in (1, -1)
        )
        expected = (above - below) / (2 * step[:, None])
        scale = 1 + np.abs(expected).max()
        np.testing.assert_allclose(slope, expected, rtol=0, atol=2e-4 * scale)


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
