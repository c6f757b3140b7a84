"""Sequences and tissues drawn at random, the corners included: for checks of one engine against
another.
"""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrftool.sequence import (
    Event,
    HardPulse,
    Inversion,
    Invert,
    Pulses,
    PulseSequence,
    Saturate,
    SliceProfile,
    Spoiler,
    T2Prep,
    Train,
    Wait,
)

GAMMA = 2.675_221_870_8e8  # [rad/s/T]


def random_sequence(seed: int, pulses: int = 12, *, with_spoiler: bool = False) -> PulseSequence:
    """Any flip angles and phases, TE from 0 to TR, and each option of a sequence in some seeds.

    Eight seeds in a row cover spoiling or none, inversion or none, one train or several.
    with_spoiler: give the waveform too, of pieces that a third makes up or takes back.
    """
    rng = np.random.default_rng(seed)
    tr = rng.uniform(2e-3, 40e-3, pulses)
    te = tr * rng.choice([0.0, 0.2, 0.7, 1.0], pulses)
    spoiler = None
    if with_spoiler:
        te *= 0.5
        spoiler = _random_spoiler(rng, float((tr - te).min()))
    draws = {  # drawn in this order: a seed stays one sequence
        "flip_angle": rng.uniform(-np.pi, np.pi, pulses) * rng.choice([1.0, 1.0, 0.0], pulses),
        "rf_phase": rng.uniform(-20.0, 20.0, pulses),
    }
    train = Train(
        inversion=Inversion(rng.uniform(), rng.uniform(0.0, 0.1)) if seed & 1 else None,
        repeats=3 if seed & 4 else 1,
        wait=rng.uniform(0.0, 0.05),
    )
    return PulseSequence(
        **draws,
        tr=tr,
        te=te,
        events=train.events,
        spoiling="none" if seed & 2 and not with_spoiler else "gradient",
        spoiler=spoiler,
        slice_profile=_random_profile(rng) if rng.uniform() < 0.3 else None,
        name=f"random {seed}",
    )


def random_events(seed: int, pulses: int) -> list[Event]:
    """Events in any order, at least one of which acquires echoes."""
    rng = np.random.default_rng([seed, 2])
    events: list[Event] = [_random_event(rng, pulses) for _ in range(rng.integers(1, 9))]
    last = Pulses(int(rng.integers(0, pulses)))
    if rng.integers(2):
        pulse = HardPulse(rng.uniform(-3.5, 3.5), rng.uniform(-4, 4))
        events.insert(int(rng.integers(len(events) + 1)), pulse)
    return [*events, last]


def _random_event(rng: np.random.Generator, pulses: int) -> Event:
    first = int(rng.integers(0, pulses))
    stop = int(rng.integers(first + 1, pulses + 1))
    acquire = bool(rng.integers(2))
    choices = (
        Pulses(first, stop, acquire, _random_bin(first, stop) if acquire else 1),
        Invert(rng.uniform()),
        Wait(rng.uniform(0.0, 0.2)),
        Saturate(rng.uniform()),
        T2Prep(rng.uniform(0.0, 0.1), 0, rng.uniform(0.5, 1.0)),
        T2Prep(rng.uniform(0.0, 0.1), int(rng.integers(1, 5)), rng.uniform(0.5, 1.0)),
    )
    return choices[rng.integers(len(choices))]


def _random_bin(first: int, stop: int) -> int:
    """A number of pulses in one frame: it divides their count."""
    count = stop - first
    sizes = [size for size in range(1, count + 1) if count % size == 0]
    return sizes[first % len(sizes)]


def with_random_readout(sequence: PulseSequence, seed: int) -> PulseSequence:
    """With further echoes, a receiver of its own and spoilers of 0 to 3 cycles, each in some seeds;
    sixteen seeds in a row cover all combinations.
    """
    rng = np.random.default_rng([seed, 3])
    changes: dict[str, Any] = {}
    if seed & 4:
        later = np.sort(rng.uniform(0.05, 0.6, rng.integers(1, 4)))
        changes["te"] = 0.4 * sequence.te
        changes["later_echoes"] = later * (sequence.tr - changes["te"]).min()
    if seed & 8:
        changes["receiver_phase"] = rng.uniform(-9, 9, len(sequence.tr))
    if seed & 1 and sequence.spoiling == "gradient":
        changes["spoiler_cycles"] = rng.integers(0, 4, len(sequence.tr))
        changes["spoiler_cycles"][0] = 1
    return dataclasses.replace(sequence, **changes)


def random_tissue(seed: int, voxels: int) -> dict[str, NDArray[Any]]:
    """Columns `(voxel,)` t1, t2 [s], b1, m0 [1] and off_resonance [Hz] of plausible tissues."""
    rng = np.random.default_rng([seed, 1])
    t1 = np.exp(rng.uniform(np.log(0.05), np.log(4.0), voxels))
    return {
        "t1": t1,
        "t2": t1 * rng.uniform(0.02, 1.0, voxels),
        "b1": rng.uniform(0.5, 1.5, voxels),
        "m0": rng.uniform(0.5, 1.0, voxels) * np.exp(1j * rng.uniform(0, 2 * np.pi, voxels)),
        "off_resonance": rng.uniform(-60.0, 60.0, voxels),
    }


def _random_spoiler(rng: np.random.Generator, room: float) -> Spoiler:
    """Three or four constant pieces; one cycle of dephasing over 0.1 to 1 mm, in either
    direction.
    """
    moment = 2 * np.pi / GAMMA / rng.choice([-1e-4, -1e-3, 1e-4, 3e-4, 1e-3])
    shares = [
        np.array([1.0, 0.0, 0.5, -0.5]),
        np.array([-0.25, 0.75, 0.5]),
        np.array([0.5, 1.5, -1.0]),
    ][rng.integers(3)]
    duration = rng.dirichlet(np.full(len(shares), 5.0)) * room * rng.choice([0.5, 0.999])
    return Spoiler(moment * shares / duration, duration)


def _random_profile(rng: np.random.Generator) -> SliceProfile:
    weight = rng.uniform(0.1, 1.0, 3)
    return SliceProfile(np.array([1.05, 0.8, 0.2]), weight / weight.sum())
