"""Scores, tables and sentences of the study against numbers worked out by hand."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from study_factory import finish, job, make_set, plan

from mrftool.errors import InputError
from mrftool.evaluation.text_tables import duration
from mrftool.studies.paper.results import Cell, Study, load_study, scores_of
from mrftool.studies.report.cells import compared, differs, number, shown
from mrftool.studies.report.decoder_findings import decoder_findings
from mrftool.studies.report.findings import in_short
from mrftool.studies.report.report import report_text, write_report
from mrftool.studies.report.tables import (
    bound_table,
    cost_table,
    error_table,
    main_table,
    noise_table,
    seconds_per_epoch,
)

LOG2 = math.log10(2) ** 2  # what a factor of 2 costs


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Matching; FC with two seeds, BlochNet with two, one of which is missing a record; nothing
    else.
    """
    make_set(tmp_path, "phantom")
    make_set(tmp_path, "anatomical")
    jobs = [
        job("table1", "matching", kind="match"),
        *(job("table1", row, seed) for row in ("fc", "blochnet") for seed in (0, 1)),
    ]
    finish(tmp_path, jobs[0], 1.0, steps=None, batch=None)
    costs = [(1.0, 50.0, 100.0, 600.0), (3.0, 70.0, 140.0, 800.0)]
    for asked, factors, (prepare, train, cpu, peak) in zip(
        jobs[1:3], ((2.0, 1.0), (2.0, 2.0)), costs, strict=True
    ):
        seconds = {"prepare": prepare, "train": train}
        finish(
            tmp_path,
            asked,
            factors,
            seconds=seconds,
            cpu_seconds={"train": cpu},
            peak_memory_mb=peak,
        )
    finish(tmp_path, jobs[3], (1.1, 1.0))
    plan(tmp_path, jobs)
    return load_study(tmp_path)


def test_scores_are_those_worked_out_by_hand() -> None:
    reference = np.array([[1.0, 0.1], [1.0, 0.0001]])
    found = reference * [[2.0, 1.0], [1.0, 10.0]]
    scores = scores_of(found, reference)
    assert scores["log10_mse"] == pytest.approx((LOG2 + 1) / 4)
    assert scores["log10_mse_tissue"] == pytest.approx(
        LOG2 / 2
    )  # the second voxel's T2 is below 1 ms
    assert (scores["n"], scores["n_tissue"], scores["n_invalid"]) == (2, 1, 0)
    assert (scores["t1_rmse_percent"], scores["t1_rmse_ms"]) == (
        pytest.approx(100),
        pytest.approx(1000),
    )
    assert (scores["t2_median_percent"], scores["t2_median_ms"]) == (0, 0)


def test_median_and_rmse_are_over_magnitudes_of_errors() -> None:
    reference = np.full((3, 2), (1.0, 0.1))
    found = reference * [[0.9, 1.0], [1.2, 1.0], [1.0, 1.0]]
    scores = scores_of(found, reference)
    assert scores["t1_median_percent"] == pytest.approx(10)
    assert scores["t1_rmse_percent"] == pytest.approx(math.sqrt((100 + 400) / 3))
    assert scores["t1_median_ms"] == pytest.approx(100)


def test_the_bound_counts_where_both_are_determined_and_in_range() -> None:
    reference = np.array([[1.0, 0.1], [2.0, 0.1], [3.0, 0.1], [4.0, 0.1]])
    bound = np.array(
        [[0.01, 0.001], [0.02, 0.03], [0.03, 0.002], [np.inf, 0.001]]
    )  # the second T2, the last T1: no
    found = reference + np.array([[0.02, 0.001], [1, 1], [0.06, 0.006], [1, 1]])
    scores = scores_of(found, reference, bound)
    assert scores["n_bound"] == 2
    assert scores["t1_over_bound"] == pytest.approx(2)
    assert scores["t2_over_bound"] == pytest.approx(math.sqrt((1 + 9) / 2))
    inside = np.array([True, True, False, True])
    scores = scores_of(found, reference, bound, inside)
    assert (scores["n_bound"], scores["t2_over_bound"]) == (1, pytest.approx(1))


def test_predictions_that_are_no_times_are_counted_and_left_out() -> None:
    reference = np.full((3, 2), (1.0, 0.1))
    found = reference * [[2.0, 1.0], [np.nan, 1.0], [1.0, 0.0]]
    scores = scores_of(found, reference)
    assert scores["n_invalid"] == 2 and scores["log10_mse"] == pytest.approx(LOG2 / 2)
    none = scores_of(np.full((3, 2), np.nan), reference)
    assert none["log10_mse"] is None and none["t1_rmse_ms"] is None


def rows(text: str) -> dict[str, list[str]]:
    """Cells of a Markdown table by its first column."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}


def test_the_main_table_has_mean_spread_and_what_was_published(study: Study) -> None:
    found = rows(main_table(study, "table1").markdown())
    # FC: one seed misses T1 by a factor of 2, the other T1 and T2: LOG2 / 2 and LOG2
    mean, sd = 0.75 * LOG2, LOG2 / 2 / math.sqrt(2)
    cell = f"{mean:.4f} ± {sd:.3f}"
    share = number(100 * 1000 / (26 * 160_200), 2)  # of the paper's training
    assert found["FC"] == ["0.0554", cell, "0.0812", cell, cell, share]
    assert found["Dictionary matching"] == ["18.6652", "0", "19.4883", "0", "0", "-"]
    assert found["BlochNet"][1] == number(math.log10(1.1) ** 2 / 2)  # one seed of two: no spread
    assert found["HYDRA"] == ["0.1597", "missing", "0.3088", "missing", "missing", "-"]
    assert found["Table model"][0] == ""


def test_errors_are_in_percent_and_ms(study: Study) -> None:
    found = rows(error_table(study, "table1", "phantom").markdown())
    # BlochNet: T1 of 1 and 2 s is 10 % too long: 100 and 200 ms
    assert found["BlochNet"][:4] == [
        "10.0",
        "10.0",
        "150",
        number(math.sqrt((100**2 + 200**2) / 2)),
    ]
    assert found["BlochNet"][4:] == ["0", "0", "0", "0"]


def test_noise_tables_take_their_own_tests_and_the_bound_scales_with_snr(study: Study) -> None:
    assert rows(noise_table(study, "table1", "phantom").markdown())["BlochNet"][1] == number(
        math.log10(1.1) ** 2 / 2
    )
    table = bound_table(study, "table1", "phantom").markdown()
    # bound at SNR 1: 10 and 1 ms in the first voxel; the second voxel's T2 of 50 ms has 500 ms, at
    # SNR 20 25 ms: no
    assert "voxels: 1 at SNR 20" in table
    assert rows(table)["BlochNet"] == [number(0.1 / (0.01 / 20)), "0"]


def test_costs_are_means_of_records(study: Study) -> None:
    fc = next(row for row in cost_table(study).rows if row[:2] == ["FC", "1"])
    assert fc[2:6] == ["1234", "100 x 10", "2.00", "60.0 ± 14"]
    assert fc[7:] == [number(120 * 160_200 / 1000), "700", "5000"]
    assert seconds_per_epoch(study, "table1", "fc") == pytest.approx(120 * 160.2)
    assert seconds_per_epoch(study, "table1", "hydra") is None


def test_sentences_follow_from_the_numbers(study: Study) -> None:
    text = " ".join(in_short(study))
    assert (
        "Table 1, phantom: of the paper's seven methods, Dictionary matching has the lowest "
        "error, 0;" in text
    )
    times = 0.75 * LOG2 / (math.log10(1.1) ** 2 / 2)
    assert (
        f"compared with FC, the error of BlochNet is {number(times, 2)} times lower, within the "
        f"spread"
        " over seeds (Table 1, phantom)"
    ) in text
    assert "BlochNet (0.024 % of the paper's training) follows" in text
    assert "the paper printed 0.0409, on another phantom." in text
    assert "the paper printed 0.0748, averaged over batches rather than over voxels." in text
    epochs = (
        f"{number(90 * 160.2)} and {number(120 * 160.2)} s, {number(90 / 120)} times as "
        f"much (Table 1) of proc"
    )
    assert epochs in text


def test_tests_of_the_same_networks_count_as_one_comparison(tmp_path: Path) -> None:
    for name in ("phantom", "anatomical"):
        make_set(tmp_path, name)
    factors = {
        "fc": (1.10, 1.11, 1.105),
        "blochnet": (1.3, 1.31, 1.305),
        "fc-fc": (1.10, 1.12, 1.11),
        "rnn": (1.2, 1.21, 1.205),
        "rnn-rnn": (1.1, 1.11, 1.105),
    }
    jobs = [job("table1", row, seed) for row in factors for seed in (0, 1, 2)]
    for each in jobs:
        finish(tmp_path, each, factors[each["method"]][each["seed"]])
    plan(tmp_path, jobs)
    blochnet, fc_fc, rnn = decoder_findings(load_study(tmp_path))
    logs = [np.log10(np.log10(factors[row]) ** 2).mean() for row in ("blochnet", "fc")]
    ratio = number(10 ** (logs[0] - logs[1]), 2)
    assert blochnet.startswith(
        f"BlochNet against FC. Table 1: over 4 tests of the same networks, the error is {ratio} "
        f"times"
        " higher. Single tests with a higher error: phantom (no noise, SNR 20); anatomical (no "
        "noise"
    )
    assert fc_fc.endswith("% higher, within the spread over seeds.")
    assert "times lower. Single tests with a lower error" in rnn


def test_one_comparison_needs_the_same_seeds_not_many_tests(tmp_path: Path) -> None:
    """The spread of the mean over tests is that over networks, however many the tests are."""
    make_set(tmp_path, "phantom")
    jobs = [job("table1", "fc", seed) for seed in (0, 1)]
    for asked, factor in zip(jobs, (2.0, 4.0), strict=True):
        finish(
            tmp_path,
            asked | {"tests": [t for t in asked["tests"] if t["set"] == "phantom"]},
            factor,
        )
    asked = [each | {"tests": [t for t in each["tests"] if t["set"] == "phantom"]} for each in jobs]
    plan(tmp_path, asked)
    cell = load_study(tmp_path).log_mean("table1", "fc", ["phantom", "phantom_snr20"], "log10_mse")
    assert cell is not None
    logs = np.log10([LOG2, 4 * LOG2])
    assert (cell.mean, cell.sd, cell.n) == (
        pytest.approx(logs.mean()),
        pytest.approx(logs.std(ddof=1)),
        2,
    )


def test_cells_have_three_significant_digits_and_the_spread_two() -> None:
    assert [number(x) for x in (0.0409, 1234.5, 0.00123456, 4.864e-5, 99.96, 0.0)] == [
        "0.0409",
        "1234",
        "0.00123",
        "4.86e-05",
        "100",
        "0",
    ]
    assert shown(Cell(0.0409, 0.00123, 3)) == "0.0409 ± 0.0012" and shown(None) == "missing"
    assert [duration(x) for x in (12, 180, 4800, 10_000)] == [
        "12 s",
        "3 min",
        "80 min",
        "2 h 47 min",
    ]


def test_means_differ_by_welchs_t_test_with_its_degrees_of_freedom() -> None:
    rng = np.random.default_rng(0)
    for sizes in ((3, 3), (3, 5), (10, 4)):
        for shift in (0.5, 1.0, 2.0, 4.0):
            a, b = rng.normal(0, 1, sizes[0]), rng.normal(shift, 3, sizes[1])
            cells = [Cell(float(x.mean()), float(x.std(ddof=1)), len(x)) for x in (a, b)]
            expected = stats.ttest_ind(a, b, equal_var=False).pvalue < 0.05
            assert differs(*cells) == expected


def test_differences_are_told_with_what_chance_could_explain() -> None:
    # Standard error of the difference 0.0707, 6 degrees of freedom: limit 2.447 x 0.0707 = 0.173.
    one = Cell(1.0, 0.1, 4)
    assert differs(one, Cell(1.174, 0.1, 4)) is True
    assert differs(one, Cell(1.172, 0.1, 4)) is False
    # Without chance in the other: 3 degrees of freedom, limit 3.182 x 0.05 = 0.159.
    assert differs(one, Cell(1.16, None, 1)) is True
    assert differs(one, Cell(1.158, None, 1)) is False
    assert differs(Cell(1, None, 1), Cell(2, None, 1)) is None
    assert differs(Cell(1, 0.0, 3), Cell(1.1, 0.0, 3)) is True
    assert compared(Cell(1, 0.01, 3), Cell(2.1, 0.01, 3), "FC") == "2.1 times lower than that of FC"
    assert compared(Cell(1, 0.01, 3), Cell(1, 0.01, 3), "FC") == "the same as that of FC"
    assert compared(Cell(1.2, 0.01, 3), Cell(1.0, 0.01, 3)) == "20 % higher"
    assert compared(one, Cell(1.1, 0.1, 4)) == "9.1 % lower, within the spread over seeds"
    assert "one seed" in compared(Cell(1, None, 1), Cell(2, None, 1))


def test_the_report_says_what_is_missing_and_where_it_comes_from(study: Study) -> None:
    text = report_text(study, {"figure3.png": "Figure 3."})
    assert "**1 jobs are not done" not in text
    assert "1 job is not done" in text and "fewer seeds**: table1-blochnet." in text
    assert (
        "`mrftool evaluate paper`" in text
        and "Code: abc. Machine of the jobs: an abacus, 2 cores for each, Linux" in text
    )
    assert "![Figure 3.](paper/figure3.png)" in text


@pytest.mark.slow
def test_the_report_and_its_pictures_are_written(study: Study) -> None:
    paths = write_report(study)
    assert {path.name for path in paths} == {
        "report.md",
        "report.json",
        "figure3.png",
        "figure5.png",
        "noise.png",
    }
    facts = json.loads((study.folder / "report.json").read_text())
    fc = next(row for row in facts["rows"] if row["row"] == "fc")
    assert fc["tests"]["phantom"]["log10_mse"]["mean"] == pytest.approx(0.75 * LOG2)
    assert (
        facts["missing"] == ["table1-blochnet-1"] and facts["jobs"][0]["record"]["commit"] == "abc"
    )


def test_a_job_that_is_not_as_the_plan_asks_is_missing(study: Study) -> None:
    path = study.folder / "plan.json"
    asked = json.loads(path.read_text())
    asked["jobs"]["table1-fc-0"] = "00000000"
    path.write_text(json.dumps(asked))
    again = load_study(study.folder)
    assert list(again.missing) == ["table1-fc-0", "table1-blochnet-1"]
    assert [each.job["seed"] for each in again.of("table1", "fc")] == [1]


def test_a_folder_that_is_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"plan\.json"):
        load_study(tmp_path)


def test_predictions_of_another_shape_are_refused(study: Study) -> None:
    path = study.folder / "jobs" / "table1-fc-0" / "predictions.npz"
    with np.load(path) as archive:
        found = dict(archive)
    np.savez(path, **found | {"phantom": np.ones((3, 2))})
    with pytest.raises(InputError, match=r"phantom has shape \(3, 2\)"):
        load_study(study.folder)
    np.savez(path, phantom=found["phantom"])
    with pytest.raises(InputError, match="phantom_snr20"):
        load_study(study.folder)


def test_unequal_trainings_are_stated(tmp_path: Path) -> None:
    for name in ("phantom", "anatomical"):
        make_set(tmp_path, name)
    jobs = [job("table1", row) for row in ("fc", "fc-fc")]
    for asked, steps in zip(jobs, (100, 30), strict=True):
        finish(tmp_path, asked, 1.1, steps=steps)
    plan(tmp_path, jobs)
    text = " ".join(in_short(load_study(tmp_path)))
    assert "The trainings are unequal: FC-FC had 300 signatures, FC 1,000." in text
