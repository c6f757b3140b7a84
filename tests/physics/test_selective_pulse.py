"""Slice-selective pulses by name: both engines against brute-force Bloch, and closed forms."""

import dataclasses

import numpy as np
import pytest
from bloch_oracle import bloch_signal
from numpy.typing import NDArray
from random_sequences import random_events, random_sequence, random_tissue

from mrftool.arrays import FloatArray
from mrftool.errors import ArgumentError
from mrftool.physics import kernel
from mrftool.physics.epg import epg_signal
from mrftool.physics.rf.slice_rotations import (
    clenshaw,
    positions_of,
    slice_rotations,
    spinors,
    waveform,
)
from mrftool.physics.simulate import (
    fill_real_signal,
    has_real_signal,
    signal_and_derivatives,
    simulate,
)
from mrftool.sequence import (
    Invert,
    Pulses,
    PulseSequence,
    SelectivePulse,
    SliceProfile,
    T2Prep,
    Wait,
)
from mrftool.tissue import Tissue

HANN_SINC = SelectivePulse("sinc", 4.0, 2e-3, "hann")
PULSES = (
    HANN_SINC,
    SelectivePulse("sinc", 8.0, 2e-3, "none", extent=1.6),
    SelectivePulse("sinc", 2.0, 2e-3, "hamming"),
    SelectivePulse("gauss", 3.0, 2e-3, rephasing=0.9),
)
needs_kernel = pytest.mark.skipif(not kernel.is_available(), reason="needs the native kernel")


def selective(seed: int) -> PulseSequence:
    """A random sequence whose pulses are selective; real signals in one of four."""
    rng = np.random.default_rng([seed, 3])
    pulse = SelectivePulse(
        ("sinc", "gauss")[seed % 2],
        rng.uniform(1, 8),
        1e-6,
        ("none", "hann", "hamming")[seed % 3],
        int(rng.integers(1, 8)),
        extent=(None, 2.5)[seed % 2],
    )
    sequence = random_sequence(seed)
    te = np.clip(sequence.te, 1e-6, sequence.tr - 1e-6)
    changes = {"te": te, "slice_profile": pulse, "events": random_events(seed, 12)}
    if seed % 4 == 0:
        phases = np.pi * (np.rint(sequence.rf_phase) % 2)
        changes |= {"rf_phase": phases, "spoiling": "gradient", "events": sequence.events}
    return dataclasses.replace(sequence, **changes)


def badly_rephased(sequence: PulseSequence) -> PulseSequence:
    """The sequence with pulses that leave a phase over the slice, if it may have such."""
    pulse = sequence.slice_profile
    if sequence.spoiling != "gradient" or not isinstance(pulse, SelectivePulse):
        return sequence
    return dataclasses.replace(sequence, slice_profile=dataclasses.replace(pulse, rephasing=0.8))


def tissue_of(seed: int) -> dict[str, NDArray[np.complex128] | FloatArray]:
    """Random tissue: all with one B1 in every second seed, on resonance in every second pair."""
    columns = random_tissue(seed, 9)
    if seed % 2:
        columns["b1"] = np.full(9, columns["b1"][0])
    if seed % 4 < 2:
        columns["off_resonance"] = np.zeros(9)
    return columns


def relative(value: NDArray[np.complex128], reference: NDArray[np.complex128]) -> float:
    return float(abs(value - reference).max() / abs(reference).max())


@needs_kernel
@pytest.mark.parametrize("seed", range(24))
def test_the_kernel_agrees_with_the_readable_engine(seed: int) -> None:
    sequence, columns = selective(seed), tissue_of(seed)
    if seed % 3 == 0:
        sequence = badly_rephased(sequence)
    tissue, expected = Tissue(**columns), epg_signal(sequence, **columns)
    assert has_real_signal(sequence, tissue) == (seed % 4 == 0)
    assert relative(simulate(sequence, tissue).signal, expected) < 1e-5
    signal, slopes = signal_and_derivatives(sequence, tissue, with_respect_to=("t2", "b1"))
    assert relative(signal, expected) < 1e-5
    for key, slope in zip(("t2", "b1"), slopes, strict=True):
        step = 1e-4 * columns[key]
        more, less = ({**columns, key: columns[key] + sign * step} for sign in (1, -1))
        change = epg_signal(sequence, **more) - epg_signal(sequence, **less)
        error = columns[key][:, None] * slope - change / 2e-4
        assert abs(error).max() < 1e-5 * (abs(change).max() / 2e-4 + abs(expected).max())


@needs_kernel
def test_real_signals_are_those_of_mirror_images() -> None:
    sequence, columns = selective(4), tissue_of(4)
    tissue = Tissue(**columns | {"m0": np.ones(9)})
    signal = np.empty((9, len(sequence)), np.float32)
    slopes = {"b1": np.empty_like(signal)}
    fill_real_signal(sequence, tissue, signal, slopes)
    expected, (slope,) = signal_and_derivatives(sequence, tissue, with_respect_to=("b1",))
    assert abs(expected.real).max() == 0
    assert np.allclose(signal, (1j * expected).real, atol=1e-6)
    assert np.allclose(slopes["b1"], (1j * slope).real, atol=1e-6)


def test_a_pulse_that_turns_too_far_is_refused() -> None:
    with pytest.raises(ArgumentError, match="expected at most 5730"):
        slice_rotations(HANN_SINC, 101.0)


@pytest.mark.parametrize("pulse", PULSES)
@pytest.mark.parametrize("largest", [0.5, np.pi / 2, 2 * np.pi])
def test_the_series_agree_with_a_finer_integration(pulse: SelectivePulse, largest: float) -> None:
    rotations = slice_rotations(pulse, largest)
    amplitudes = np.linspace(-largest, largest, 7)
    alpha, beta = spinors(pulse, amplitudes, positions_of(pulse), 3000)
    for place in range(pulse.positions):
        found = rotations.spinor(place, amplitudes, clenshaw)
        assert np.allclose(found[0], alpha[:, place], rtol=0, atol=2e-8)
        assert np.allclose(found[1], beta[:, place], rtol=0, atol=2e-8)


@pytest.mark.parametrize("pulse", PULSES)
def test_small_flips_follow_the_fourier_transform(pulse: SelectivePulse) -> None:
    places, shape = positions_of(pulse), waveform(pulse, 4000)
    time = (np.arange(4000) + 0.5) / 4000 - 0.5
    angles = 2 * np.pi * pulse.time_bandwidth * places[:, None] * time
    transform = np.cos(angles) @ shape
    _, beta = spinors(pulse, np.array([1e-4]), places)
    assert np.allclose(abs(beta[0]) / 0.5e-4, abs(transform), atol=1e-6)


def test_small_flips_give_the_signal_of_flip_factors() -> None:
    pulse = SelectivePulse("sinc", 4.0, 2e-3, "hann", extent=1.6)
    places, shape = positions_of(pulse), waveform(pulse, 2000)
    time = (np.arange(2000) + 0.5) / 2000 - 0.5
    factors = np.cos(2 * np.pi * pulse.time_bandwidth * places[:, None] * time) @ shape
    flips = np.deg2rad(np.linspace(0.1, 1.0, 20))
    by_name = PulseSequence(flips, 0.0, 10e-3, 3e-3, [Invert(1), Pulses()], slice_profile=pulse)
    profile = SliceProfile(factors, np.full(len(places), 1 / len(places)))
    by_factor = dataclasses.replace(by_name, slice_profile=profile)
    t1, t2 = np.array([0.8]), np.array([0.06])
    found, expected = epg_signal(by_name, t1, t2), pulse.width * epg_signal(by_factor, t1, t2)
    assert relative(found, expected) < 2e-4


def test_the_middle_of_the_slice_turns_by_the_nominal_flip_angle() -> None:
    alpha, beta = spinors(HANN_SINC, np.array([0.3, 1.5, 4.0]), np.array([0.0]))
    assert np.allclose(alpha[:, 0], np.cos([0.15, 0.75, 2.0]), atol=1e-9)
    assert np.allclose(beta[:, 0], -1j * np.sin([0.15, 0.75, 2.0]), atol=1e-9)


def test_positions_converge_to_the_slice() -> None:
    flips = np.deg2rad(20 + 40 * np.sin(np.arange(40) / 12) ** 2)
    coarse = PulseSequence(flips, 0.0, 10e-3, 3e-3, [Invert(1), Pulses()], slice_profile=HANN_SINC)
    wide = dataclasses.replace(HANN_SINC, positions=400, extent=8.0)
    fine = dataclasses.replace(coarse, slice_profile=wide)
    t1, t2 = np.array([0.8, 1.4]), np.array([0.06, 0.1])
    assert relative(epg_signal(coarse, t1, t2), epg_signal(fine, t1, t2)) < 3e-4


@pytest.mark.peers
@pytest.mark.parametrize("apodisation", ["none", "hann", "hamming"])
@pytest.mark.parametrize("shape", ["sinc", "gauss"])
def test_waveforms_are_those_of_pypulseq(shape: str, apodisation: str) -> None:
    pp = pytest.importorskip("pypulseq")
    depth = {"none": 0.0, "hann": 0.5, "hamming": 0.46}[apodisation]
    make = {"sinc": pp.make_sinc_pulse, "gauss": pp.make_gauss_pulse}[shape]
    peer = make(
        flip_angle=1.0, duration=2e-3, time_bw_product=4, apodization=depth, use="excitation"
    )
    ours = waveform(SelectivePulse(shape, 4.0, 2e-3, apodisation), len(peer.signal))  # type: ignore[arg-type]
    assert np.allclose(peer.signal / peer.signal.sum(), ours, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("place", range(len(PULSES)))
def test_whole_trains_agree_with_brute_force_bloch(place: int) -> None:
    rng = np.random.default_rng(place)
    spoiling = "none"
    if place % 2 or PULSES[place].rephasing != 1:
        spoiling = "gradient"
    sequence = PulseSequence(
        rng.uniform(-3, 3, 8),
        rng.uniform(-3, 3, 8),
        rng.uniform(8e-3, 15e-3, 8),
        3e-3,
        events=[Invert(0.95), Wait(0.02), Pulses(0, 3), T2Prep(0.03, 2), Pulses(0, 8)],
        spoiling=spoiling,
        slice_profile=dataclasses.replace(PULSES[place], positions=2),
    )
    expected = bloch_signal(sequence, 0.8, 0.06, b1=0.8, off_resonance=13.0)[None]
    columns = {"t1": np.array([0.8]), "t2": np.array([0.06]), "b1": np.array([0.8])}
    columns["off_resonance"] = np.array([13.0])
    assert relative(epg_signal(sequence, **columns), expected) < 1e-5
    assert relative(simulate(sequence, Tissue(**columns)).signal, expected) < 1e-5
