"""Several echoes of a pulse, R2', the receiver's phase, and spoilers of any number of cycles."""

import dataclasses

import numpy as np
import pytest

from mrftool.errors import InputError, MismatchError
from mrftool.physics.epg import epg_signal
from mrftool.physics.simulate import signal_and_derivatives, simulate
from mrftool.sequence import Invert, Pulses, PulseSequence, SelectivePulse, Spoiling, T2Prep, Wait
from mrftool.sequence.echoes import without_echoes
from mrftool.tissue import Tissue

LATER = np.array([0.003, 0.004])
TISSUE = Tissue([1.0, 0.4, 2.0], [0.08, 0.02, 0.4], off_resonance=[0.0, 20.0, -7.0])


def train(n: int = 40, **changes: object) -> PulseSequence:
    rng = np.random.default_rng(3)
    flips = rng.uniform(0.1, 1.0, n)
    events = [Invert(0.9), Wait(0.02), Pulses()]
    sequence = PulseSequence(flips, np.zeros(n), 0.012, 0.002, events)
    return dataclasses.replace(sequence, **changes)


def test_echoes_decay_with_t2_star_and_precess() -> None:
    tissue = dataclasses.replace(TISSUE, r2_prime=[10.0, 0.0, 30.0])
    signal = simulate(train(later_echoes=LATER), tissue).signal.reshape(3, -1, 3)
    rate = 2j * np.pi * tissue.off_resonance - 1 / tissue.t2 - tissue.r2_prime
    expected = signal[:, :, :1] * np.exp(rate[:, None, None] * np.r_[0.0, LATER])
    np.testing.assert_allclose(signal, expected, rtol=0, atol=1e-6)
    first = simulate(train(), TISSUE).signal * np.exp(-0.002 * tissue.r2_prime)[:, None]
    np.testing.assert_allclose(signal[:, :, 0], first, rtol=0, atol=1e-6)


def test_r2_prime_is_the_mean_over_a_lorentzian_of_off_resonances() -> None:
    """Quantiles of the distribution; its tails cost 1e-3 of the signal with 2,001 of them."""
    rate, count = 20.0, 2001
    places = (np.arange(count) + 0.5) / count - 0.5
    spread = rate * np.tan(np.pi * places) / (2 * np.pi)
    sequence = train(later_echoes=LATER)
    columns = Tissue(np.full(count, 1.0), 0.08, off_resonance=spread)
    mean = simulate(sequence, columns).signal.mean(axis=0)
    signal = simulate(sequence, Tissue([1.0], [0.08], r2_prime=rate)).signal[0]
    assert np.linalg.norm(signal - mean) < 2e-3 * np.linalg.norm(mean)


def test_the_receiver_turns_the_signal() -> None:
    phase = np.linspace(0, 9, 40)
    sequence = train(receiver_phase=phase, later_echoes=LATER)
    expected = simulate(train(later_echoes=LATER), TISSUE).signal
    expected = expected * np.exp(-1j * np.repeat(phase, 3))
    np.testing.assert_allclose(simulate(sequence, TISSUE).signal, expected, rtol=0, atol=1e-6)


def test_two_cycles_in_place_of_one_change_no_signal_without_diffusion() -> None:
    signal = simulate(train(spoiler_cycles=np.full(40, 2)), TISSUE).signal
    np.testing.assert_allclose(signal, simulate(train(), TISSUE).signal, rtol=0, atol=1e-6)


def test_no_cycles_after_any_but_the_last_pulse_is_a_balanced_train() -> None:
    cycles = np.r_[np.zeros(39), 1]
    balanced = simulate(train(spoiling="none"), TISSUE).signal
    signal = simulate(train(spoiler_cycles=cycles), TISSUE).signal
    np.testing.assert_allclose(signal, balanced, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("spoiling", "phases"),
    [("gradient", [0.0, np.pi]), ("gradient", [0.3, 2.0]), ("none", [0.0, np.pi])],
)
@pytest.mark.parametrize("profile", [None, SelectivePulse("sinc", 4.0, 2e-3, positions=15)])
def test_the_derivative_by_off_resonance_is_exact(
    profile: SelectivePulse | None, spoiling: Spoiling, phases: list[float]
) -> None:
    """On resonance, where signals of equal phases are real but their derivatives are not, and
    off; the step of the difference costs 1e-6.
    """
    rng = np.random.default_rng(1)
    n, tr = 120, rng.uniform(0.008, 0.014, 120)
    events = [Invert(0.9), Wait(0.02), Pulses(0, 60), Wait(0.1), T2Prep(0.05, 3), Pulses(20, n)]
    flips = rng.uniform(0.1, 1.0, n)
    sequence = PulseSequence(
        flips, np.resize(phases, n), tr, 0.2 * tr, events, spoiling, slice_profile=profile
    )
    columns = {
        "t1": np.array([1.0, 1.0, 2.0, 0.3]),
        "t2": np.array([0.02, 0.05, 0.3, 0.1]),
        "b1": np.array([1.0, 0.9, 1.1, 0.8]),
        "off_resonance": np.array([0.0, 0.0, 17.0, -30.0]),
    }
    for voxels in (slice(0, 2), slice(0, 4)):
        here = {key: column[voxels] for key, column in columns.items()}
        _, slopes = signal_and_derivatives(
            sequence, Tissue(**here), with_respect_to=("t1", "off_resonance")
        )
        above, below = (
            epg_signal(sequence, **here | {"off_resonance": here["off_resonance"] + step})
            for step in (1e-4, -1e-4)
        )
        expected = (above - below) / 2e-4
        np.testing.assert_allclose(slopes[1], expected, rtol=0, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("phases", [[0.0, np.pi], [0.3, 2.0]])
@pytest.mark.parametrize("tolerance", [1e-3, 1e-5])
def test_orders_are_cut_off_as_promised_with_any_cycles(
    tolerance: float, phases: list[float]
) -> None:
    rng = np.random.default_rng(7)
    n, t1, t2 = 150, np.array([1.0, 1.0, 2.0]), np.array([0.01, 0.05, 0.3])
    events = [Invert(0.9), Wait(0.02), Pulses(0, 100, bin=2), Wait(0.1), Pulses(20, n)]
    sequence = PulseSequence(
        rng.uniform(0, 1.0, n),
        np.resize(phases, n),
        rng.uniform(0.008, 0.014, n),
        0.002,
        events,
        spoiler_cycles=rng.integers(0, 4, n),
        later_echoes=LATER,
    )
    exact = epg_signal(sequence, t1, t2)
    signal = simulate(sequence, Tissue(t1, t2), tolerance=tolerance).signal
    error = np.linalg.norm(signal - exact, axis=1) / np.linalg.norm(exact, axis=1)
    assert error.max() < max(tolerance, 3e-6)


@pytest.mark.parametrize(
    "changes", [{"spoiling": "none"}, {"spoiler_cycles": np.resize([1, 2], 40)}]
)
def test_r2_prime_is_refused_where_it_is_no_decay_from_pulse_to_echo(
    changes: dict[str, object],
) -> None:
    sequence = train(**changes)
    with pytest.raises(MismatchError, match="does not spoil alike after all pulses"):
        simulate(sequence, Tissue([1.0], [0.1], r2_prime=5.0))
    with pytest.raises(MismatchError, match="does not spoil alike after all pulses"):
        epg_signal(sequence, np.array([1.0]), np.array([0.1]), r2_prime=5.0)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"later_echoes": [0.003, 0.002]}, "echo times do not ascend"),
        ({"later_echoes": [0.011]}, "repetition 0: the last echo at 13 ms is outside TR 12 ms"),
        ({"later_echoes": np.arange(1, 90) * 1e-5}, "90 echoes of each pulse, expected at most"),
        ({"receiver_phase": [0.0, 1.0]}, r"receiver_phase has shape \(2,\), expected \(40,\)"),
        ({"receiver_phase": np.full(40, np.inf)}, "a receiver_phase is not finite"),
        (
            {"spoiler_cycles": np.full(40, 1.5)},
            "repetition 0: spoiler_cycles 1.5, expected a whole",
        ),
        ({"spoiler_cycles": np.full(40, -1)}, "spoiler_cycles -1, expected a whole number from 0"),
        ({"spoiler_cycles": np.zeros(40)}, "no pulse has a spoiler, expected spoiling 'none'"),
        ({"spoiler_cycles": np.ones(40), "spoiling": "none"}, "expected spoiling 'gradient'"),
    ],
)
def test_faults_are_named(changes: dict[str, object], text: str) -> None:
    with pytest.raises(InputError, match=text):
        train(**changes)


def test_what_goes_without_saying_changes_no_identity() -> None:
    plain = train(receiver_phase=np.full(40, 2 * np.pi), spoiler_cycles=np.ones(40))
    assert plain.sequence_id == train().sequence_id and plain.is_plain
    changes = [
        {"later_echoes": LATER},
        {"later_echoes": LATER[:1]},
        {"receiver_phase": np.full(40, 1.0)},
        {"spoiler_cycles": np.resize([1, 0], 40)},
        {"spoiler_cycles": np.resize([0, 1], 40)},
    ]
    assert len({train(**change).sequence_id for change in changes}) == len(changes)


def test_all_echoes_of_a_pulse_are_left_out_or_none() -> None:
    sequence = train(later_echoes=LATER)
    kept = without_echoes(sequence, [3, 4, 5])
    whole = simulate(sequence, TISSUE).signal
    expected = np.delete(whole, [3, 4, 5], axis=1)
    np.testing.assert_allclose(simulate(kept, TISSUE).signal, expected, rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match="some of echoes 3 to 5, which follow one pulse"):
        without_echoes(sequence, [4])
