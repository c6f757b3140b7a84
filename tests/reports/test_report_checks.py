import dataclasses

import numpy as np
import pytest
from report_page import a_method, a_run, good_maps

from mrftool.grid import Placement
from mrftool.maps import with_signal
from mrftool.quantities import Flag
from mrftool.reports.fit_checks import implied_snr
from mrftool.reports.page import make_report

SCORES = {"snr_20": {"t1": {"coverage_95": 0.95, "rmse_over_bound": 1.02}}}


def codes(run, level="warning"):
    return [
        remark["code"]
        for remark in make_report(run).contents["remarks"]
        if remark["level"] == level
    ]


@pytest.fixture
def method(short_sequence):
    return a_method(short_sequence, scores=SCORES)


def flagged(flag, share):
    """Maps in which this share of the measured voxels has a flag."""
    maps = good_maps()
    inside = np.flatnonzero(maps.flags == 0)
    maps.flags.reshape(-1)[inside[: round(share * inside.size)]] = flag
    return maps


def test_a_good_run_looks_good(method):
    run = a_run(good_maps(), method)
    assert codes(run) == codes(run, "note") == []
    assert make_report(run).contents["status"] == "good" and make_report(run).warnings == ()


@pytest.mark.parametrize(
    ("flag", "below", "above"),
    [
        (Flag.MISFIT, 0.04, 0.06),
        (Flag.OUT_OF_RANGE, 0.09, 0.11),
        (Flag.T1_UNDETERMINED, 0.09, 0.11),
        (Flag.T2_UNDETERMINED, 0.09, 0.11),
    ],
)
def test_flags_of_more_than_their_share_warn(method, flag, below, above):
    assert codes(a_run(flagged(flag, below), method)) == []
    assert codes(a_run(flagged(flag, above), method)) == [flag.name.lower()]


def test_the_air_around_a_head_does_not_count(method):
    maps = good_maps()
    air = maps.flags == Flag.MASKED
    maps.flags[air] = Flag.MISFIT
    maps.m0[air] = 0.01
    run = a_run(maps, method)
    assert codes(run) == []
    assert (with_signal(maps) == ~air).all()


@pytest.mark.parametrize(("m0", "left"), [(0.9j, 0.995), (0.9, 0.46)])
def test_air_is_told_by_what_the_fit_leaves_of_it(method, m0, left):
    """At a low SNR the M0 of noise is as large as that of tissue."""
    maps = good_maps()
    air = maps.flags == Flag.MASKED
    maps.flags[air] = Flag.MISFIT
    maps.extra["residual"][air] = left
    values = np.where(air, m0, maps.m0)
    if not isinstance(m0, complex):
        values = np.abs(values)
    run = a_run(dataclasses.replace(maps, m0=values), method)
    assert codes(run) == []
    assert (with_signal(run.maps) == ~air).all()


def test_numbers_that_are_none_warn(method):
    maps = good_maps()
    maps.t1[5, 5, 0] = np.nan
    maps.m0[5, 5, 0] = np.nan
    maps.flags[5, 5, 0] = Flag.NON_FINITE
    assert codes(a_run(maps, method)) == ["non_finite"]


@pytest.mark.parametrize(("name", "value"), [("t1", 4.5), ("t1", 0.1), ("t2", 2.0), ("t2", 0.01)])
def test_estimates_that_stick_to_the_range_warn(method, name, value):
    maps = good_maps()
    inside = np.flatnonzero(maps.flags == 0)
    getattr(maps, name).reshape(-1)[inside[: inside.size // 10]] = value
    assert codes(a_run(maps, method)) == [f"{name}_at_edge"]


def test_no_signal_and_no_good_voxel_warn(method):
    maps = good_maps()
    maps.m0[:] = 0
    assert codes(a_run(maps, method)) == ["no_signal"]
    assert "no_good_voxel" in codes(a_run(flagged(Flag.MISFIT, 1.0), method))


@pytest.mark.parametrize(("form", "channels"), [("complex", 2), ("magnitude", 1)])
def test_the_snr_is_that_of_the_noise_that_was_added(method, form, channels):
    """Definition: root mean square of the fingerprint's magnitude / sd of the noise per channel."""
    random = np.random.default_rng(0)
    signal, snr = 5 * np.exp(random.normal(size=4000)), 12.0
    sd = np.sqrt(np.mean(signal**2)) / snr
    noise = sd * random.normal(size=(channels, signal.size))
    residual = np.sqrt((noise**2).sum() / ((signal**2).sum() + (noise**2).sum()))
    maps = good_maps(residual=residual)
    run = a_run(maps, method, series={"form": form})
    assert implied_snr(run, with_signal(maps)) == pytest.approx(snr, rel=0.05)


def test_noise_that_is_too_strong_or_not_as_said_warns(method):
    assert codes(a_run(good_maps(residual=0.42), method)) == []
    assert codes(a_run(good_maps(residual=0.43), method)) == ["residual"]
    said = {"sequence_id": "12" * 8}
    assert codes(a_run(good_maps(), method, series={"sidecar": {**said, "snr": 20}})) == []
    for wrong in (5, 100):
        assert codes(a_run(good_maps(), method, series={"sidecar": {**said, "snr": wrong}})) == [
            "snr_differs"
        ]
    for nonsense in ("20", None, float("nan"), float("inf"), -1, 0, True, 10**400, [20]):
        assert (
            codes(a_run(good_maps(), method, series={"sidecar": {**said, "snr": nonsense}})) == []
        )


def test_voxels_of_another_unit_warn(method):
    for scale, expected in ((1, []), (1e-3, ["voxel_size"]), (1e3, ["voxel_size"])):
        placement = Placement(np.diag([2 * scale, 2 * scale, 5 * scale, 1]))
        assert codes(a_run(good_maps(), method, series={"placement": placement})) == expected


def test_a_scan_that_does_not_name_its_sequence_is_noted(method):
    run = a_run(good_maps(), method, series={"sidecar": None})
    assert codes(run) == [] and codes(run, "note") == ["sequence_not_named"]
    words = "for sequence short, which is assumed: the scan does not name its own."
    assert words in make_report(run).html
    assert "which is assumed" not in make_report(a_run(good_maps(), method)).html


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"table_error": 0.02}, []),
        ({"table_error": 0.022}, []),  # verified at SNR 20, as the scan
        ({"table_error": 0.022, "scores": {}}, ["table_error"]),
        ({"scores": {"snr_20": {"t2": {"coverage_95": 0.8, "rmse_over_bound": 1.0}}}}, ["scores"]),
        ({"scores": {"snr_20": {"t2": {"coverage_95": 0.95, "rmse_over_bound": 1.4}}}}, ["scores"]),
        ({"scores": {"snr_5": {"t2": {"coverage_95": 0.8, "rmse_over_bound": 1.4}}}}, []),
        ({"sequence": {"flip_angle_deg": "none"}}, ["sequence_unreadable"]),
        ({"sequence": None}, []),
    ],
)
def test_a_method_that_is_not_accurate_warns(method, changes, expected):
    assert codes(a_run(good_maps(), dataclasses.replace(method, **changes))) == expected


@pytest.mark.parametrize(
    ("residual", "table_error", "expected"),
    [
        (1e-4, 0.9e-3, []),  # no noise: a limit of its own
        (1e-4, 1.1e-3, ["table_error"]),
        (0.014, 2.1e-3, []),  # SNR 100, a table with a B1 axis
        (0.014, 5e-3, ["table_error"]),
        (0.07, 5e-3, []),  # SNR 20
    ],
)
def test_the_error_of_a_table_is_held_against_the_noise(method, residual, table_error, expected):
    """Tables with a B1 axis are off by 2e-3 to 5e-3, which no estimate shows at common SNRs."""
    changed = dataclasses.replace(method, table_error=table_error, scores={})
    assert codes(a_run(good_maps(residual=residual), changed)) == expected


@pytest.mark.parametrize(("residual", "expected"), [(0.014, ["scores"]), (0.14, [])])
def test_scores_count_up_to_the_snr_of_the_scan(method, residual, expected):
    """What limits a method at SNR 100 does not matter to a scan at SNR 10."""
    scores = SCORES | {"snr_100": {"t2": {"coverage_95": 0.7, "rmse_over_bound": 1.5}}}
    changed = dataclasses.replace(method, scores=scores)
    assert codes(a_run(good_maps(residual=residual), changed)) == expected


@pytest.mark.parametrize(("factor", "expected"), [(1.0, ["table_error"]), (5.0, [])])
def test_the_error_of_a_table_counts_less_where_more_is_uncertain(method, factor, expected):
    maps = good_maps(residual=0.014)
    for name in ("t1", "t2"):
        random = maps.extra[f"sd_{name}"]
        maps.extra[f"combined_{name}"] = factor * random
    changed = dataclasses.replace(method, table_error=5e-3, scores={})
    assert codes(a_run(maps, changed)) == expected
