"""Derivatives that follow from others are those that differences of signals give."""

from dataclasses import replace

import numpy as np
import pytest

from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.manifold.influences import (
    TOLERANCE,
    influences_on,
    signal_derivative,
    signal_derivatives,
)
from mrftool.manifold.sensitivity import sensitivity
from mrftool.physics.simulate import signal_and_derivatives, simulate
from mrftool.sequence import Inversion, PulseSequence, Train
from mrftool.tissue import Tissue


@pytest.mark.parametrize("off_resonance", [0.0, 7.0])
@pytest.mark.parametrize("efficiency", [1.0, 0.9])
def test_derived_derivatives_are_those_by_differences(
    short_sequence: PulseSequence, efficiency: float, off_resonance: float
) -> None:
    sequence = replace(short_sequence, events=Train(Inversion(efficiency, 0.02)).events)
    t1, t2 = np.array([0.4, 0.9, 1.8]), np.array([0.03, 0.08, 0.2])
    tissue = Tissue(t1, t2, off_resonance=np.full(3, off_resonance), m0=np.full(3, 2.0))
    signal, _ = signal_and_derivatives(sequence, tissue, tolerance=TOLERANCE)
    influences = influences_on(sequence)
    derived = signal_derivatives(influences, sequence, tissue, signal, {})
    names = [influence.name for influence in influences]
    assert {"te", "ti", "efficiency"} <= set(names)
    for influence, found in zip(influences, derived, strict=True):
        expected = signal_derivative(influence, sequence, tissue)
        error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
        assert error < 2e-3, influence.name


def test_what_te_and_ti_change_is_exactly_what_others_change() -> None:
    """On resonance TE only scales the signal, and TI acts as the efficiency of the inversion."""
    sequence, tissue = read_sequence("fisp"), Tissue([0.9], [0.08])
    signal, _ = signal_and_derivatives(sequence, tissue, tolerance=TOLERANCE)
    influences = influences_on(sequence)
    derived = signal_derivatives(influences, sequence, tissue, signal, {})
    by_name = {each.name: rows[0] for each, rows in zip(influences, derived, strict=True)}
    for one, other in ((by_name["te"], signal[0]), (by_name["ti"], by_name["efficiency"])):
        cosine = np.abs(np.vdot(one, other)) / (np.linalg.norm(one) * np.linalg.norm(other))
        assert cosine == pytest.approx(1, abs=1e-6)


def test_off_resonance_moves_t2_of_balanced_trains_both_ways() -> None:
    """Opposite values have mirrored signals, so that the derivative on resonance moves nothing."""
    sequence, tissue = read_sequence("irbssfp"), Tissue([0.9], [0.08])
    influences = influences_on(sequence)
    place = [each.name for each in influences].index("off_resonance")
    _, shift_of_t2 = sensitivity(sequence, tissue).shifts()[place, 0]
    signals = [
        simulate(sequence, replace(tissue, off_resonance=np.array([value]))).signal
        for value in (-10.0, 10.0)
    ]
    np.testing.assert_allclose(abs(signals[0]), abs(signals[1]), rtol=1e-3)
    assert 0.01 < abs(shift_of_t2) < 1
