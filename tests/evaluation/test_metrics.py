import json

import numpy as np
import pytest
from rich.console import Console

from mrftool.errors import MismatchError
from mrftool.evaluation.metrics import log10_mse, scores
from mrftool.evaluation.score_tables import score_json, score_markdown, score_table
from mrftool.tissue import Tissue

REFERENCE = Tissue(t1=[1.0, 2.0, 4.0, 0.0005], t2=[0.1, 0.1, 0.2, 0.1])


def test_scores_equal_numbers_worked_out_by_hand() -> None:
    """Errors of +100, -200 and +600 ms on references of 1, 2 and 4 s."""
    (score,) = scores(REFERENCE[:3], {"t1": [1.1, 1.8, 4.6]})
    assert (score.parameter, score.region, score.n, score.n_invalid) == ("t1", "all", 3, 0)
    assert score.reference_mean == pytest.approx(7000 / 3)
    assert score.bias == pytest.approx(500 / 3)
    assert score.sd == pytest.approx(
        np.sqrt(((100 - 500 / 3) ** 2 + (-200 - 500 / 3) ** 2 + (600 - 500 / 3) ** 2) / 2)
    )
    assert score.rmse == pytest.approx(np.sqrt((100**2 + 200**2 + 600**2) / 3))
    assert score.bias_percent == pytest.approx((10 - 10 + 15) / 3)
    assert score.error_percent == pytest.approx((10 + 10 + 15) / 3)
    assert score.log10_mse == pytest.approx(
        (np.log10(1.1) ** 2 + np.log10(0.9) ** 2 + np.log10(1.15) ** 2) / 3
    )
    assert score.agreement_high - score.agreement_low == pytest.approx(2 * 1.96 * score.sd)
    assert score.agreement_slope == pytest.approx(
        np.polyfit([1.05, 1.9, 4.3], [0.1, -0.2, 0.6], 1)[0]
    )
    assert score.coverage_1sd is None


def test_failed_fits_in_the_reference_are_scored_separately() -> None:
    exact = {"t1": [1.0, 2.0, 4.0, 0.05], "t2": [0.1, 0.1, 0.2, 0.1]}
    t1, t2 = scores(REFERENCE, exact)
    assert (t1.log10_mse, t1.log10_mse_tissue) == (
        pytest.approx(1.0),
        pytest.approx(0.0),
    )  # 2 decades, one of four
    assert (t1.n, t1.n_tissue) == (4, 3)
    assert (t2.n, t2.n_tissue) == (4, 3)  # T1 below 1 ms takes the voxel out for T2 too
    assert log10_mse(REFERENCE, exact) == pytest.approx(0.5)
    assert log10_mse(REFERENCE, exact, shortest=1e-3) == 0


def test_invalid_estimates_are_counted_but_not_scored() -> None:
    estimate = {"t1": [np.nan, 2.0, np.inf, 0.0]}
    (score,) = scores(REFERENCE, estimate)
    assert (score.n, score.n_invalid, score.bias, score.sd) == (1, 3, 0, None)
    (nothing,) = scores(REFERENCE, {"t1": [np.nan] * 4})
    assert (nothing.n, nothing.n_invalid, nothing.bias) == (0, 4, None)
    assert np.isnan(log10_mse(REFERENCE, {"t1": [np.nan] * 4, "t2": [1.0] * 4}))


def test_each_tissue_class_is_scored_separately() -> None:
    labels = np.array([0, 2, 2, -1])
    rows = scores(
        REFERENCE,
        {"t1": [1.1, 2.0, 4.0, 0.0005]},
        labels=labels,
        classes=("csf", "fat", "grey_matter"),
    )
    assert [(row.region, row.n) for row in rows] == [("all", 4), ("csf", 1), ("grey_matter", 2)]
    assert [row.bias for row in rows] == [pytest.approx(25), pytest.approx(100), 0]


def test_coverage_and_z_tell_correct_deviations_from_too_small_ones() -> None:
    rng = np.random.default_rng(0)
    reference = Tissue(t1=rng.uniform(0.5, 3, 20_000), t2=0.1)
    sd = rng.uniform(0.01, 0.1, 20_000)
    found = reference.t1 + sd * rng.normal(size=20_000)
    (correct,) = scores(reference, {"t1": found}, sd={"t1": sd})
    (too_small,) = scores(reference, {"t1": found}, sd={"t1": sd / 2})
    assert correct.coverage_1sd == pytest.approx(0.6827, abs=0.01)
    assert correct.coverage_2sd == pytest.approx(0.9545, abs=0.005)
    assert correct.z_mean == pytest.approx(0, abs=0.02)
    assert correct.z_sd == pytest.approx(1, abs=0.02)
    assert too_small.coverage_2sd == pytest.approx(0.6827, abs=0.01)
    assert too_small.coverage_2u is None
    (combined,) = scores(
        reference, {"t1": found}, sd={"t1": sd / 2}, uncertainty={"t1": sd * np.sqrt(1 / 2)}
    )
    assert combined.coverage_2sd == too_small.coverage_2sd
    assert combined.coverage_2u == pytest.approx(0.8427, abs=0.01)  # within 2 / sqrt(2) sd
    assert too_small.z_sd == pytest.approx(2, abs=0.04)


@pytest.mark.parametrize(
    "options",
    [{}, {"labels": np.zeros(3, int), "classes": ("a",)}, {"sd": {"t1": [0.1]}}],
    ids=["t1", "labels", "sd"],
)
def test_columns_of_another_length_are_refused(options: dict) -> None:
    with pytest.raises(MismatchError, match=r"expected \(4,\) as the reference"):
        scores(REFERENCE, {"t1": [1.0] * (4 if options else 3)}, **options)


def rows() -> list:
    estimate = {"t1": [1.1, 1.8, 4.6, np.nan], "t2": [0.11, 0.1, 0.2, 0.1]}
    return scores(
        REFERENCE, estimate, labels=np.array([0, 1, 1, 1]), classes=("csf", "grey_matter")
    )


def test_table_markdown_and_json_hold_the_same_numbers() -> None:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(score_table(rows(), "SNR 20"))
    shown, markdown, records = capture.get(), score_markdown(rows()), json.loads(score_json(rows()))
    lines = [line.split() for line in shown.splitlines() if line.split()[:1] in (["T1"], ["T2"])]
    assert shown.startswith("SNR 20")
    assert "[ms]" in shown
    assert len(markdown.splitlines()) - 2 == len(records) == len(lines) == 6
    for row, line, record in zip(markdown.splitlines()[2:], lines, records, strict=True):
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[0] == record["parameter"].upper()
        assert cells[1] == {"csf": "CSF", "grey_matter": "grey matter"}.get(record["region"], "all")
        assert cells[2] == str(record["n"])
        assert cells[6] == f"{record['rmse']:.1f}"
        assert record["unit"] == "ms"
        words = " ".join(cells[:7]).split()
        assert words == line[: len(words)]


def test_the_table_fits_a_narrow_terminal() -> None:
    reference = Tissue(t1=np.linspace(0.3, 4.3, 20_000), t2=1.886)
    estimate = {"t1": 1.1 * reference.t1, "t2": 1.1 * reference.t2}
    labels = np.arange(20_000) % 3
    deviations = {"t1": reference.t1, "t2": reference.t2}
    names = ("muscle_skin", "white_matter", "csf")
    console = Console(width=80)
    with console.capture() as capture:
        console.print(
            score_table(scores(reference, estimate, labels=labels, classes=names, sd=deviations))
        )
    assert "\N{HORIZONTAL ELLIPSIS}" not in capture.get()
    assert "1.7e-03" in capture.get()  # log10(1.1)^2, in full


def test_columns_without_numbers_are_left_out() -> None:
    assert "z sd" not in score_markdown(rows())
    assert "invalid" in score_markdown(rows())
    whole = scores(REFERENCE[:3], {"t1": [1.0, 2.0, 4.0]}, sd={"t1": [0.1, 0.1, 0.1]})
    assert "z sd" in score_markdown(whole)
    assert "invalid" not in score_markdown(whole)
    assert "from 1 ms" not in score_markdown(whole)
