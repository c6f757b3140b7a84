"""The uncertainty budget and the look at the fit, on the page and in numbers."""

from dataclasses import replace

import numpy as np
import pytest
from report_page import Page, a_method, a_run, good_maps

from mrftool.evaluation.given_values import SuspectedError
from mrftool.evaluation.residuals import AverageResidual, FitResiduals, VoxelFit
from mrftool.inference.assessment.frames import FrameFault
from mrftool.manifold.influences import ADC, B1, FLIP_EXPONENT, TI, uncertainty_text
from mrftool.manifold.sensitivity import sensitivity
from mrftool.maps import Maps
from mrftool.quantities import Flag
from mrftool.reports.budget import Budget, BudgetTable, budget_table
from mrftool.reports.page import make_report
from mrftool.reports.parts.tables import frames_text
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue


def residuals_of(size: np.ndarray, *faults: FrameFault) -> FitResiduals:
    fit = VoxelFit((3, 4, 1), np.sin(np.arange(40)), np.sin(np.arange(40) + 0.1), 0.1)
    return FitResiduals(1, AverageResidual(size, 0.002, 300), faults, fit, fit)


@pytest.fixture
def method(short_sequence: PulseSequence):
    return a_method(short_sequence)


BUDGET = BudgetTable(
    (
        Budget("white matter", "t2", 0.069, 500, 0.012, {"B1": 0.031, "efficiency": 0.004}),
        Budget("fat", "t1", 0.38, 90, None, {"B1": 0.0001, "efficiency": float("nan")}),
    ),
    {"B1": "2 %", "efficiency": "3 %"},
)


def test_a_budget_reads_as_a_sentence_and_adds_up():
    white, fat = BUDGET.budgets
    assert white.text() == "T2 of white matter: 1.2 % noise, 3.1 % B1, 0.4 % efficiency"
    assert white.combined == pytest.approx(np.sqrt(0.012**2 + 0.031**2 + 0.004**2))
    assert "B1" not in fat.text() and "noise" not in fat.text()


def test_the_page_shows_the_budget(method):
    report = make_report(a_run(good_maps(), method, budget=BUDGET))
    page = Page(report.html)
    assert page.faults == []
    assert "T2 of white matter 500 69 1.2 3.1 0.4 3.3" in page.text
    assert "B1 2 % efficiency 3 % combined" in page.text
    tissues = report.contents["uncertainty"]["tissues"]
    assert tissues[0]["given"] == {"B1": 0.031, "efficiency": 0.004}
    assert tissues[1]["noise"] is None and tissues[1]["given"]["efficiency"] is None


def test_budgets_follow_maps_and_sensitivities(short_sequence: PulseSequence):
    maps = good_maps((20, 20, 2))
    inside = maps.flags == 0
    maps.t1[inside], maps.t2[inside] = 1.1, 0.07
    maps.extra["sd_t1"][inside], maps.extra["sd_t2"][inside] = 0.011, 0.0014
    maps.t1[5:8, 5:8], maps.t2[5:8, 5:8] = 4.3, 1.9  # too few voxels of CSF
    maps.m0[10, 10] = 0.001  # air
    found = budget_table(maps, short_sequence, form="complex", field=2.89)
    assert found is not None
    assert [(each.tissue, each.parameter) for each in found.budgets] == [
        ("white matter", "t1"),
        ("white matter", "t2"),
        ("all voxels", "t1"),
        ("all voxels", "t2"),
    ]
    t1, t2, *_ = found.budgets
    assert (t1.noise, t2.noise) == (pytest.approx(0.01), pytest.approx(0.02))
    assert t1.n_voxels == inside.sum() - 18 - 2
    slopes = sensitivity(short_sequence, Tissue([1.1], [0.07])).slopes
    assert t2.given["B1"] == pytest.approx(abs(slopes[0, 0, 1]) * B1.uncertainty, rel=1e-3)
    assert found.assumed["B1"] == "2 %" and found.is_typical


def test_stated_uncertainties_take_the_place_of_typical_ones(short_sequence: PulseSequence):
    maps = good_maps((20, 20, 2))
    stated = {"b1": 0.04, "te": 0.5e-3}
    found = budget_table(maps, short_sequence, form="complex", stated=stated)
    typical = budget_table(maps, short_sequence, form="complex")
    assert found is not None and typical is not None
    assert found.assumed == {"B1": "4 %"} and not found.is_typical  # TE moves nothing
    for each, other in zip(found.budgets, typical.budgets, strict=True):
        assert each.given["B1"] == pytest.approx(2 * other.given["B1"])


@pytest.mark.parametrize(
    ("influence", "size", "text"),
    [
        (B1, 0.03, "3 %"),
        (TI, 2e-3, "2 ms"),
        (ADC, 0.35e-9, "350 um2/s"),
        (FLIP_EXPONENT, 0.01, "0.01"),
    ],
)
def test_uncertainties_read_as_people_write_them(influence, size, text):
    assert uncertainty_text(influence, size) == text


def test_without_estimates_there_is_no_budget(short_sequence: PulseSequence):
    zeros = np.zeros((4, 4, 1), np.float32)
    maps = Maps(zeros, zeros, zeros, np.full((4, 4, 1), Flag.MASKED, np.uint8))
    assert budget_table(maps, short_sequence, form="complex", field=None) is None


def test_the_page_shows_the_average_residual_and_two_voxels(method):
    report = make_report(a_run(good_maps(), method, residuals=residuals_of(np.full(40, 0.002))))
    page = Page(report.html)
    assert page.faults == [] and report.warnings == ()
    assert "average residual of 300 voxels [% of the signal]" in page.text
    assert (
        "typical voxel (4, 5, 2), residual 10.0 %" in page.text and "measured fitted" in page.text
    )
    facts = report.contents["fit"]
    assert facts["average_residual"] == pytest.approx(0.002) and facts["slice"] == 2
    assert len(facts["residual_of_frames"]) == 40


def spiky(*frames: int) -> np.ndarray:
    size = np.full(40, 0.002)
    size[list(frames)] = 0.2
    return size


@pytest.mark.parametrize(
    ("residuals", "code", "words"),
    [
        (
            residuals_of(spiky(9, 10, 11), FrameFault("empty", (9, 10, 11))),
            "empty_frames",
            "Frames 10 to 12 of the scan hold no signal in any voxel.",
        ),
        (residuals_of(spiky(), FrameFault("swapped", (3, 8))), "swapped_frames", "4 and 9 hold"),
        (
            residuals_of(spiky(*range(0, 30, 3)), FrameFault("lost", (3, 9))),
            "frames",
            "a first frame that is missing",
        ),
        (
            residuals_of(spiky(*range(0, 30, 3)), FrameFault("shifted", (0,), lag=1)),
            "shifted_frames",
            "All frames from about 1 on hold what is expected 1 frame later (1 lost before?).",
        ),
        (
            replace(residuals_of(spiky()), suspected=SuspectedError(TI, 0.019, 1e-3, 1e-3)),
            "given_value",
            "a TI about 19 ms larger than the fit takes for granted (standard uncertainty 1 ms)",
        ),
        (
            replace(residuals_of(spiky()), suspected=SuspectedError(B1, -0.1, 0.01, 0.02, (ADC,))),
            "given_value",
            "a B1 about 10 % smaller than the fit takes for granted (standard uncertainty 2 %), "
            "or of an error of the ADC",
        ),
        (residuals_of(spiky(4)), "frames", "leaves up to 20 % of the signal in frame 5:"),
        (residuals_of(spiky(0, 2, 3)), "frames", "in frames 1 and 3 to 4: another sequence"),
        (residuals_of(np.full(40, 0.1)), "average_residual", "10 % of the signal where noise"),
    ],
)
def test_frames_that_do_not_follow_the_model_are_named(method, residuals, code, words):
    report = make_report(a_run(good_maps(), method, residuals=residuals))
    (remark,) = report.contents["remarks"]
    assert remark["code"] == code and remark["level"] == "warning"
    assert words in remark["text"]


def noise_residual(snr: float, n_voxels: int, shared: float = 0.0) -> FitResiduals:
    """The average residual of noise, and of a misfit that all voxels share [1]."""
    level = np.sqrt(2) / snr / np.sqrt(n_voxels)
    random = np.random.default_rng(0)
    parts = random.standard_normal((2, 1000)) * level / np.sqrt(2)
    fit = VoxelFit((3, 4, 1), np.sin(np.arange(40)), np.sin(np.arange(40) + 0.1), 0.1)
    size = np.abs(parts[0] + 1j * parts[1] + shared)
    return FitResiduals(1, AverageResidual(size, float(level), n_voxels), (), fit, fit)


@pytest.mark.parametrize(
    ("snr", "n_voxels", "shared", "expected"),
    [
        (3, 60, 0.0, []),  # 6 % of the signal is left on average, all of it noise
        (1.5, 2000, 0.0, []),
        (1.5, 2000, 0.05, ["average_residual", "residual"]),
        (20, 2000, 0.05, ["average_residual"]),
    ],
)
def test_strong_noise_is_no_misfit(method, snr, n_voxels, shared, expected):
    """What counts is what noise does not explain, in few voxels and in many."""
    residual = float(np.sqrt(2 / (snr**2 + 2)))
    run = a_run(good_maps(residual=residual), method)
    run = replace(run, residuals=noise_residual(snr, n_voxels, shared))
    codes = [remark["code"] for remark in make_report(run).contents["remarks"]]
    assert sorted(codes) == expected


def test_many_frames_are_named_in_short():
    assert frames_text([4]) == "5"
    assert frames_text([0, 1, 2, 9]) == "1 to 3 and 10"
    assert frames_text(range(0, 40, 2)).endswith("13, 15 and 12 more")


def test_every_key_of_fit_and_budget_is_documented(method):
    from pathlib import Path

    said = Path(__file__).parents[2].joinpath("docs/report.md").read_text("utf-8")
    run = a_run(good_maps(), method, residuals=residuals_of(spiky(4)), budget=BUDGET)
    facts = make_report(run).contents
    keys = {f"fit.{key}" for key in facts["fit"]}
    keys |= {f"uncertainty.{key}" for key in facts["uncertainty"]}
    keys |= {*facts["uncertainty"]["tissues"][0]}
    assert [key for key in keys if f"`{key}`" not in said] == []


@pytest.mark.parametrize(
    ("given", "differs"), [(0.1, False), (0.13, False), (0.6, True), (0.05, True)]
)
def test_noise_that_the_residual_contradicts_is_heard(method, given, differs):
    residuals = replace(residuals_of(np.full(40, 0.002)), noise_sd=0.1)
    report = make_report(a_run(good_maps(), method, residuals=residuals, noise_sd=given))
    codes = [remark["code"] for remark in report.contents["remarks"]]
    assert ("noise_sd_differs" in codes) == differs
    assert (report.warnings != ()) == differs
