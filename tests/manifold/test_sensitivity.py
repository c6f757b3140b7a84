"""Sensitivities to what is given and not fitted, held against fits that take wrong values."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from readable_figure import require_readable
from scipy.optimize import least_squares

from mrftool.design.precision import precision
from mrftool.figures import canvas
from mrftool.figures.sequences.sensitivity import sensitivity_figure
from mrftool.manifold import influences as module
from mrftool.manifold.influences import (
    ADC,
    B1,
    EFFICIENCY,
    FLIP_EXPONENT,
    INFLUENCES,
    OFF_RESONANCE,
    SLICE_PROFILE,
    TE,
    TI,
    Influence,
    influences_on,
)
from mrftool.manifold.sensitivity import Sensitivity, combined, sensitivity
from mrftool.physics.cramer_rao import Form
from mrftool.physics.simulate import signal_and_derivatives, simulate
from mrftool.reports.sequences.sequence_tables import common_tissue, sensitivity_table
from mrftool.sequence import (
    Inversion,
    Pulses,
    PulseSequence,
    SelectivePulse,
    SliceProfile,
    Spoiler,
    Train,
)
from mrftool.tissue import Tissue

TRUE = Tissue(t1=[0.8], t2=[0.08], adc=[0.8e-9], off_resonance=[3.0])
SMALL = {  # changes over which estimates are linear
    **{B1: 0.002, EFFICIENCY: 0.005, TI: 0.5e-3, TE: 0.05e-3, ADC: 0.05e-9},
    **{OFF_RESONANCE: 0.5, FLIP_EXPONENT: 0.005, SLICE_PROFILE: 0.02},
}


@pytest.fixture(scope="module")
def rich(short_sequence: PulseSequence) -> PulseSequence:
    """A sequence that takes everything for granted."""
    return replace(
        short_sequence,
        rf_phase=np.deg2rad(117.0 * np.arange(40) ** 2 / 2) % (2 * np.pi),
        events=Train(Inversion(0.9, 0.02)).events,
        spoiler=Spoiler([20e-3], [3e-3]),
        slice_profile=SliceProfile([1.0, 0.6], [0.7, 0.3]),
    )


def wrong(
    influence: Influence, sequence: PulseSequence, tissue: Tissue, change: float
) -> tuple[PulseSequence, Tissue]:
    """Sequence and tissue with another value of what is given."""
    if influence == B1:
        return sequence, replace(tissue, b1=tissue.b1 + change)
    return module._SHIFTS[influence](sequence, tissue, change)


def fitted(signal: np.ndarray, sequence: PulseSequence, given: Tissue, form: Form) -> np.ndarray:
    """log T1 and log T2 of one voxel by nonlinear least squares, with the best M0."""

    def residual(logs: np.ndarray) -> np.ndarray:
        tissue = replace(given, t1=np.exp(logs[:1]), t2=np.exp(logs[1:]))
        model = simulate(sequence, tissue, tolerance=1e-6).signal[0].astype(complex)
        data = signal
        if form == "magnitude":
            model, data = np.abs(model), np.abs(signal)
        left = data - model * np.vdot(model, data) / np.vdot(model, model)
        return np.concatenate([left.real, left.imag])

    start = np.log([given.t1[0], given.t2[0]])
    return least_squares(residual, start, x_scale=0.01, diff_step=1e-3, xtol=1e-10).x


@pytest.mark.parametrize("form", ["complex", "magnitude"])
def test_fits_that_take_a_wrong_value_move_as_predicted(rich: PulseSequence, form: Form) -> None:
    found = sensitivity(rich, TRUE, form=form)
    assert found.influences == INFLUENCES
    signal = simulate(rich, TRUE, tolerance=1e-6).signal[0].astype(complex)
    for influence, slopes in zip(found.influences, found.slopes[:, 0], strict=True):
        small = SMALL[influence]
        up, down = (
            fitted(signal, *wrong(influence, rich, TRUE, sign * small), form) for sign in (1, -1)
        )
        moved = (up - down) / (2 * small)
        size = np.abs(found.slopes[:, 0] * [[SMALL[each]] for each in INFLUENCES]).max() / small
        np.testing.assert_allclose(
            slopes, moved, rtol=0.03, atol=2e-3 * size, err_msg=influence.name
        )


def test_differences_agree_with_the_exact_derivative(rich: PulseSequence) -> None:
    """The derivative by B1 comes from the engine; differences of the same kind must agree."""
    _, exact = signal_and_derivatives(rich, TRUE, with_respect_to=("b1",), tolerance=1e-6)
    ends = [
        simulate(rich, replace(TRUE, b1=TRUE.b1 + h), tolerance=1e-6).signal for h in (0.01, -0.01)
    ]
    found = (ends[0].astype(complex) - ends[1]) / 0.02
    np.testing.assert_allclose(found, exact[0], atol=2e-3 * np.abs(exact).max())


@pytest.mark.parametrize(
    ("influence", "inner", "end"),
    [
        (EFFICIENCY, {"efficiency": 0.95}, {"efficiency": 1.0}),
        (TI, {"time": 3e-3}, {"time": 0.0}),
        (ADC, {"adc": 0.2e-9}, {"adc": 0.0}),
    ],
)
def test_values_at_the_end_of_their_range_have_a_derivative(
    rich: PulseSequence, influence: Influence, inner: dict, end: dict
) -> None:
    slopes = []
    for changes in (inner, end):
        sequence, tissue = rich, TRUE
        if influence == ADC:
            tissue = replace(TRUE, adc=np.array([changes["adc"]]))
        else:
            events = Train(replace(rich.train.inversion, **changes)).events
            sequence = replace(rich, events=events)
        found = sensitivity(sequence, tissue)
        slopes.append(found.slopes[found.influences.index(influence), 0])
    largest = np.abs(slopes).max()
    np.testing.assert_allclose(slopes[0], slopes[1], rtol=0.1, atol=0.05 * largest)


def test_the_time_bandwidth_of_a_pulse_is_taken_for_granted(short_sequence: PulseSequence) -> None:
    pulse = SelectivePulse("sinc", 4.0, 2e-3, "hann", 20)
    sliced = replace(short_sequence, slice_profile=pulse)
    tissue = replace(TRUE, adc=np.zeros(1))
    found = sensitivity(sliced, tissue)
    slope = found.slopes[found.influences.index(SLICE_PROFILE), 0]
    softer = replace(sliced, slice_profile=replace(pulse, time_bandwidth=3.96, extent=3.0))
    signal = simulate(softer, tissue, tolerance=1e-7).signal[0].astype(complex)
    moved = fitted(signal, sliced, tissue, "complex") - np.log([TRUE.t1[0], TRUE.t2[0]])
    np.testing.assert_allclose(moved, -0.01 * slope, rtol=0.1)  # the model has too much


def test_only_what_a_sequence_has_is_taken_for_granted(short_sequence: PulseSequence) -> None:
    plain = replace(short_sequence, events=[Pulses()])
    assert influences_on(plain) == (B1, TE, OFF_RESONANCE, FLIP_EXPONENT)


def test_times_that_are_not_determined_have_no_sensitivity(short_sequence: PulseSequence) -> None:
    """With one pulse, all of T1, T2 and TE is in M0."""
    one = PulseSequence([0.5], [0.0], [0.01], [0.003])
    found = sensitivity(one, Tissue([0.8], [0.08]))
    assert np.isnan(found.slopes).all() and not found.matters().any()
    assert np.isfinite(sensitivity(short_sequence, Tissue([0.8], [0.08])).slopes).all()


def test_independent_contributions_add_as_squares() -> None:
    np.testing.assert_allclose(combined([np.array([3.0]), np.array([-4.0])]), [5.0])


@pytest.fixture(scope="module")
def common(short_sequence: PulseSequence) -> Sensitivity:
    return sensitivity(short_sequence, common_tissue()[1])


def test_the_table_shows_changes_beside_the_noise(
    short_sequence: PulseSequence, common: Sensitivity
) -> None:
    names, tissue = common_tissue()
    bound = precision(short_sequence, tissue, 20)
    table = sensitivity_table("short", names, common, bound, 20)
    assert [row[0] for row in table.rows][:3] == ["T1 of WM", "T2 of WM", "T1 of GM"]
    assert table.headings[-2:] == ["all of these", "noise, SNR 20"]
    column = table.headings.index("B1 2 %")
    expected = 100 * 0.02 * common.slopes[0, 0, 1]
    assert float(table.rows[1][column]) == pytest.approx(expected, abs=0.6)
    assert "no change by" in table.title and "off-resonance" in table.title
    assert float(table.rows[1][-1]) == pytest.approx(100 * bound.relative[0, 1], rel=0.1)


def test_the_picture_is_readable(
    short_sequence: PulseSequence, common: Sensitivity, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(canvas, "save_figure", lambda figure, path: drawn.append(figure))
    names, tissue = common_tissue()
    bound = precision(short_sequence, tissue, 20)
    sensitivity_figure(common, bound, short_sequence, 20, "x.png", tissues=names)
    require_readable(drawn[0])
    left, right = drawn[0].axes
    assert left.get_title() == "change of T1 [%]"
    bars = right.containers[1]  # B1; the first are the noise
    tops = [bar.get_y() + bar.get_height() for bar in bars]
    expected = 100 * np.abs(common.shifts()[0, :, 1])
    np.testing.assert_allclose(tops, np.clip(expected, 0.02, 50))


@pytest.mark.parametrize("te_ms", [2.0, 11.95, 0.02])
def test_an_echo_at_either_end_of_its_repetition_has_a_derivative(
    short_sequence: PulseSequence, te_ms: float
) -> None:
    changed = replace(short_sequence, te=np.full(40, te_ms * 1e-3))
    assert TE in influences_on(changed)
    found = sensitivity(changed, Tissue([1.0], [0.08]))
    assert np.isfinite(found.slopes).all()


def test_an_echo_without_room_is_taken_as_exact(short_sequence: PulseSequence) -> None:
    """Repetitions of 0.15 ms: no TE can be off by its typical uncertainty."""
    tr, te = np.full(40, 0.15e-3), np.full(40, 0.05e-3)
    changed = replace(short_sequence, tr=tr, te=te)
    assert TE not in influences_on(changed)


def test_uncertainties_of_the_sequence_take_the_place_of_typical_ones(
    short_sequence: PulseSequence,
) -> None:
    stated = replace(short_sequence, uncertainty={"b1": 0.05, "ti": 0.0})
    sizes = {each.name: (each.uncertainty, each.shown) for each in influences_on(stated)}
    assert sizes["b1"] == (0.05, "5 %") and sizes["ti"][0] == 0.0
    assert sizes["te"] == (TE.uncertainty, TE.shown)
    tissue = Tissue([1.0], [0.08])
    found, typical = sensitivity(stated, tissue), sensitivity(short_sequence, tissue)
    assert found.influences == typical.influences
    ratio = found.shifts()[0] / typical.shifts()[0]
    np.testing.assert_allclose(ratio, 0.05 / B1.uncertainty)
