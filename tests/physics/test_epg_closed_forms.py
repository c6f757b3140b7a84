"""The readable engine against formulas that are solved by hand. Sources stand at each formula.

Gradient-spoiled trains dephase by one cycle per repetition, so that an echo of pulses m < n < ...
appears at a repetition that counting cycles gives; pulses of 0 deg let time pass.
"""

import numpy as np
import pytest

from mrftool.physics.dephasing import spoiled
from mrftool.physics.epg import epg_signal, rotate, shift
from mrftool.sequence import Inversion, PulseSequence, Spoiler, Train

GAMMA = 2.675_221_870_8e8  # [rad/s/T]
TOLERANCE = 1e-12  # [m0]


def train(flips_deg, tr=0.01, te=0.0, phases_deg=0.0, **options):
    columns = np.broadcast_arrays(np.deg2rad(flips_deg), np.deg2rad(phases_deg), tr, te)
    return PulseSequence(*columns, **options)


def signal_of(sequence, t1, t2, **options):
    return epg_signal(sequence, np.array([t1]), np.array([t2]), **options)[0]


def close_to(expected):
    return pytest.approx(expected, rel=0, abs=TOLERANCE)


def test_a_pulse_about_x_gives_minus_i():
    assert signal_of(train([90]), 1.0, 0.1) == close_to([-1j])


@pytest.mark.parametrize("flip", [10.0, 90.0, 130.0, -40.0])
@pytest.mark.parametrize("phase", [0.0, 30.0, 200.0])
def test_free_induction_decay(flip, phase):
    """Sine of the flip angle, T2 decay until TE, precession at +f; the receiver takes the RF phase
    off.
    """
    te, t2, f, b1, m0 = 0.013, 0.05, 17.0, 0.8, 0.6 + 0.2j
    sequence = train([flip], tr=0.02, te=te, phases_deg=phase)
    expected = -1j * m0 * np.sin(b1 * np.deg2rad(flip)) * np.exp(-te / t2 + 2j * np.pi * f * te)
    assert signal_of(sequence, 1.0, t2, off_resonance=f, b1=b1, m0=m0) == close_to([expected])


@pytest.mark.parametrize("efficiency", [1.0, 0.9, 0.0])
def test_inversion_recovery(efficiency):
    ti, te, t1, t2, flip = 0.3, 0.004, 0.7, 0.06, np.deg2rad(70)
    sequence = train([70], te=te, events=Train(Inversion(efficiency, ti)).events)
    mz = 1 - (1 + efficiency) * np.exp(-ti / t1)
    assert signal_of(sequence, t1, t2) == close_to([-1j * mz * np.sin(flip) * np.exp(-te / t2)])


def test_waiting_returns_magnetisation_by_t1():
    """Two trains of one 90 deg pulse: the second finds what has come back in TR and the waiting
    time.
    """
    tr, wait, t1 = 0.02, 0.5, 0.6
    sequence = train([90], tr=tr, events=Train(repeats=2, wait=wait).events)
    # T2 is so short that no transverse magnetisation is left.
    assert signal_of(sequence, t1, 1e-4) == close_to([-1j * (1 - np.exp(-(tr + wait) / t1))])


def test_perfect_refocusing_decays_by_t2_alone():
    """After 90 deg, each pair of 180 deg pulses makes an echo; T1 does not matter.

    E. L. Hahn, Phys Rev 80:580 (1950); H. Y. Carr and E. M. Purcell, Phys Rev 94:630 (1954).
    """
    tr, te, t2 = 0.01, 0.004, 0.08
    flips = [90, *[180] * 9]
    for t1 in (0.1, 3.0):
        signal = signal_of(train(flips, tr, te), t1, t2)
        assert abs(signal[2::2]) == close_to(np.exp(-(np.arange(2, 10, 2) * tr + te) / t2))
        assert abs(signal[1::2]) == close_to(np.zeros(5))


def test_two_pulse_echo_with_phases():
    """sin(a1) sin^2(a2/2), the phase mirrored at the second pulse. Hahn 1950."""
    a1, a2, p1, p2, p3 = np.deg2rad([50.0, 130.0, 20.0, 75.0, 200.0])
    tr, te, t2, f = np.array([0.01, 0.012, 0.02]), 0.003, 0.07, 13.0
    sequence = train([50, 130, 0], tr, te, [20, 75, 200])
    size = np.sin(a1) * np.sin(a2 / 2) ** 2 * np.exp(-(tr[0] + tr[1] + te) / t2)
    precession = 2 * np.pi * f * (tr[1] + te - tr[0])
    expected = 1j * size * np.exp(1j * (2 * p2 - p1 - p3 + precession))
    assert signal_of(sequence, 0.9, t2, off_resonance=f)[2] == close_to(expected)


def test_five_echoes_of_three_pulses():
    """Pulses at repetitions 0, 1 and 4: one stimulated and four spin echoes, each at its own time.
    Hahn 1950.
    """
    flips = np.array([60.0, 85.0, 0.0, 0.0, 110.0, 0.0, 0.0, 0.0, 0.0])
    a1, _, a2, a3 = np.deg2rad([60.0, 0.0, 85.0, 110.0])
    tr, te, t1, t2 = 0.01, 0.002, 0.4, 0.06
    signal = signal_of(train(flips, tr, te), t1, t2)

    def transverse(repetitions):
        return np.exp(-(repetitions * tr + te) / t2)

    def refocused(flip):
        return np.sin(flip / 2) ** 2

    recovered = 1 - (1 - np.cos(a1)) * np.exp(-tr / t1)
    primary = np.sin(a1) * refocused(a2) * transverse(2)
    stimulated = np.sin(a1) * np.sin(a2) * np.sin(a3) / 2 * transverse(2) * np.exp(-3 * tr / t1)
    secondary = np.sin(a1) * refocused(a2) * refocused(a3) * transverse(6)
    of_pulses_2_and_3 = recovered * np.sin(a2) * refocused(a3) * transverse(6)
    of_pulses_1_and_3 = np.sin(a1) * np.cos(a2 / 2) ** 2 * refocused(a3) * transverse(8)
    assert signal[2] == close_to(1j * primary)
    assert signal[3] == close_to(0)
    assert signal[5] == close_to(1j * stimulated)
    assert signal[6] == close_to(-1j * secondary)
    assert signal[7] == close_to(1j * of_pulses_2_and_3)
    assert signal[8] == close_to(1j * of_pulses_1_and_3)


@pytest.mark.parametrize("gradient", [40e-3, -60e-3])
def test_diffusion_of_the_two_pulse_echo(gradient):
    """exp(-b D), b = (gamma G d)^2 (D - d/3). E. O. Stejskal and J. E. Tanner, J Chem Phys 42:288
    (1965).
    """
    tr, te, t2, adc, d = 0.02, 0.005, 0.09, 2.2e-9, 0.004
    spoiler = Spoiler([gradient], [d])
    signal = signal_of(train([90, 180, 0], tr, te, spoiler=spoiler), 1.0, t2, adc=adc)
    b = (GAMMA * gradient * d) ** 2 * (tr - d / 3)
    assert 0.05 < b * adc < 1
    assert signal[2] == close_to(1j * np.exp(-(2 * tr + te) / t2 - b * adc))


def test_diffusion_of_the_two_pulse_echo_under_gradients_on_three_axes():
    """b-values of the axes add up. The third gradient is balanced: it leaves b, but does not
    spoil.
    """
    tr, t2, adc, d, g = 0.02, 0.09, 2.2e-9, 0.004, 30e-3
    axes, duration = [[g, 0], [-2 * g, 0], [g, -g]], [d, d]
    signal = signal_of(
        train([90, 180, 0], tr, 0.0, spoiler=Spoiler(axes, duration)), 1.0, t2, adc=adc
    )
    b = 5 * (GAMMA * g * d) ** 2 * (tr - d / 3) + 2 * (GAMMA * g * d) ** 2 * 2 * d / 3
    assert 0.05 < b * adc < 1
    assert signal[2] == close_to(1j * np.exp(-2 * tr / t2 - b * adc))


def test_diffusion_of_the_stimulated_echo():
    """The same, and the magnetisation waits along z. J. E. Tanner, J Chem Phys 52:2523 (1970).

    A first pulse of opposite phase turns only the stimulated echo round, so the difference holds
    nothing else.
    """
    tr, te, t1, t2, adc, gradient, d = 0.02, 0.005, 0.8, 0.09, 2.2e-9, 20e-3, 0.004
    plus, minus = (
        signal_of(
            train([90, 90, 90, 0], tr, te, [phase, 0, 0, 0], spoiler=Spoiler([gradient], [d])),
            t1,
            t2,
            adc=adc,
        )
        for phase in (0, 180)
    )
    b = (GAMMA * gradient * d) ** 2 * (2 * tr - d / 3)
    expected = 0.5j * np.exp(-(2 * tr + te) / t2 - tr / t1 - b * adc)
    assert (plus - minus)[3] / 2 == close_to(expected)


@pytest.mark.parametrize("order", [-3.0, -1.0, 0.0, 2.0])
def test_b_value_of_each_order(order):
    """A gradient G over all of the interval t: b = dk^2 t ((k + 1/2)^2 + 1/12), dk = gamma G t.
    Weigel 2015.

    Seen one order at a time, as signals cannot tell a factor g(k+1) / g(k) of every cycle: it
    cancels in each echo.
    """
    t, gradient = 0.012, -25e-3
    dk = GAMMA * gradient * t
    filled = spoiled(train([90], t, spoiler=Spoiler([gradient], [t])), t)
    assert filled.transverse(order, t) == pytest.approx(
        dk**2 * t * ((order + 1 / 2) ** 2 + 1 / 12), rel=1e-14
    )
    assert filled.longitudinal(order, t) == pytest.approx(dk**2 * t * order**2, rel=1e-14)
    rest = 0.005
    rested = spoiled(train([90], t + rest, spoiler=Spoiler([gradient], [t])), t + rest)
    added = dk**2 * rest * (order + 1) ** 2
    assert rested.transverse(order, t + rest) == pytest.approx(
        filled.transverse(order, t) + added, rel=1e-14
    )


def ernst(flip, e1):
    """R. R. Ernst and W. A. Anderson, Rev Sci Instrum 37:93 (1966)."""
    return np.sin(flip) * (1 - e1) / (1 - np.cos(flip) * e1)


@pytest.mark.parametrize("flip_deg", [8.0, 25.0, 90.0])
def test_ideally_spoiled_steady_state(flip_deg):
    """Nothing transverse reaches the next pulse: T2 much below TR, or diffusion so fast that no
    echo survives.
    """
    tr, te, t1 = 0.02, 0.002, 0.15
    expected = -1j * ernst(np.deg2rad(flip_deg), np.exp(-tr / t1))
    flips = np.full(240, flip_deg)
    short = signal_of(train(flips, tr, te), t1, tr / 40)
    assert short[-1] == close_to(expected * np.exp(-te / (tr / 40)))
    strong = train(flips, tr, te, spoiler=Spoiler([40e-3], [10e-3]))
    assert signal_of(strong, t1, 0.1, adc=1e-5)[-1] == close_to(expected * np.exp(-te / 0.1))


def test_ideally_spoiled_train_in_its_driven_equilibrium():
    """Longitudinal magnetisation at the start of a train is the fixed point of one train and its
    waiting time.
    """
    tr, t1, wait, efficiency, ti = 0.02, 0.1, 0.05, 0.95, 0.03
    flips = np.deg2rad([30.0, 80.0, 10.0, 55.0])

    def longitudinal(mz):
        """Of each pulse, and at the end of one period."""
        mz = 1 - (1 + efficiency * mz) * np.exp(-ti / t1)
        before = []
        for flip in flips:
            before.append(mz)
            mz = 1 - (1 - mz * np.cos(flip)) * np.exp(-tr / t1)
        return np.array(before), 1 - (1 - mz) * np.exp(-wait / t1)

    offset = longitudinal(0.0)[1]
    slope = longitudinal(1.0)[1] - offset
    before, _ = longitudinal(offset / (1 - slope))
    sequence = train(
        np.rad2deg(flips), tr, events=Train(Inversion(efficiency, ti), 16, wait).events
    )
    assert signal_of(sequence, t1, 2e-4) == close_to(-1j * before * np.sin(flips))


@pytest.mark.parametrize("off_resonance", [0.0, 15.0, -38.0])
@pytest.mark.parametrize("flip_deg", [20.0, 70.0])
def test_balanced_steady_state(off_resonance, flip_deg):
    """R. Freeman and H. D. W. Hill, J Magn Reson 4:366 (1971); alternating phase adds half a turn
    per TR.
    """
    tr, te, t1, t2 = 0.005, 0.002, 0.09, 0.06
    pulses, flip = 700, np.deg2rad(flip_deg)
    sequence = train(np.full(pulses, flip_deg), tr, te, 180.0 * np.arange(pulses), spoiling="none")
    e1, e2, turn = np.exp(-tr / t1), np.exp(-tr / t2), 2 * np.pi * off_resonance * tr + np.pi
    numerator = (1 - e1) * np.sin(flip) * (1 - e2 * np.exp(-1j * turn))
    denominator = (1 - e1 * np.cos(flip)) * (1 - e2 * np.cos(turn)) - e2 * (e1 - np.cos(flip)) * (
        e2 - np.cos(turn)
    )
    decay = np.exp(-te / t2 + 2j * np.pi * off_resonance * te)
    assert signal_of(sequence, t1, t2, off_resonance=off_resonance)[-1] == close_to(
        -1j * numerator / denominator * decay
    )


@pytest.mark.parametrize("flip_deg", [15.0, 60.0, 90.0])
def test_fisp_steady_state(flip_deg):
    """Gradient-spoiled SSFP, its free induction decay: the mean of Freeman and Hill's signal over
    all precessions.

    H. Haenicke and H. U. Vogel, Magn Reson Med 49:771 (2003).
    """
    tr, te, t1, t2 = 0.01, 0.003, 0.06, 0.04
    e1, e2, cos = np.exp(-tr / t1), np.exp(-tr / t2), np.cos(np.deg2rad(flip_deg))
    p, q = 1 - e1 * cos - e2**2 * (e1 - cos), e2 * (1 - e1) * (1 + cos)
    after_pulse = np.tan(np.deg2rad(flip_deg) / 2) * (
        1 - (e1 - cos) * (1 - e2**2) / np.sqrt(p**2 - q**2)
    )
    signal = signal_of(train(np.full(260, flip_deg), tr, te), t1, t2)
    assert signal[-1] == close_to(-1j * after_pulse * np.exp(-te / t2))


@pytest.mark.parametrize("seed", range(5))
def test_pulses_and_spoilers_keep_the_energy(seed):
    """Mean square magnetisation over the voxel, by Parseval's theorem; no relaxation, so all of it
    stays.
    """
    rng = np.random.default_rng(seed)
    z = np.eye(1, 8).repeat(3, axis=0) + 0j
    states = 0 * z, 0 * z, z
    for _ in range(6):
        states = rotate(np, states, rng.uniform(-np.pi, np.pi, 3), rng.uniform(0, 6))
        states = shift(np, states)
        f_plus, f_minus, z = (abs(row) ** 2 for row in states)
        energy = f_plus.sum(1) + f_minus[:, 1:].sum(1) + z[:, 0] + 2 * z[:, 1:].sum(1)
        assert energy == close_to(np.ones(3))


@pytest.mark.parametrize("seed", range(5))
def test_no_signal_exceeds_the_equilibrium(seed):
    rng = np.random.default_rng(seed)
    sequence = train(
        rng.uniform(-180, 180, 30), rng.uniform(1e-3, 1e-2, 30), 0.0, rng.uniform(0, 360, 30)
    )
    t1 = rng.uniform(0.1, 3.0, 50)
    signal = epg_signal(sequence, t1, t1 * rng.uniform(0.05, 1.0, 50))
    assert 0.5 < abs(signal).max() <= 1
