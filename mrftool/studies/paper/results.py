"""What jobs predicted, against the reference: scores, and their mean and spread over seeds."""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import BoolArray, FloatArray, Range
from mrftool.errors import InputError
from mrftool.evaluation.metrics import SHORTEST, log10_mse
from mrftool.physics.calibration import is_determined, rmse_over_bound
from mrftool.studies.jobs.records import (
    Job,
    Record,
    digest,
    is_done,
    job_folder,
    read_job,
    read_predictions,
    read_record,
)
from mrftool.studies.paper.sets import TestSet, load_sets
from mrftool.tissue import Tissue

Scores = dict[str, float | int | None]

PLAN = "plan.json"


@dataclass(frozen=True)
class Cell:
    """Mean and standard deviation over seeds; sd is None for one seed. n: seeds."""

    mean: float
    sd: float | None
    n: int


@dataclass(frozen=True)
class Result:
    """A job that is done: its request, its record, and the scores of each test, by its key."""

    job: Job
    record: Record
    scores: Mapping[str, Scores]


@dataclass(frozen=True)
class Study:
    """All that is known about a study.

    Parameters
    ----------
    folder
        Where it lies.
    plan
        Content of plan.json, among it the digest of every job.
    sets
        Sets of test tissue by name.
    results
        Of the jobs that are done.
    missing
        Names of jobs that are not done, or not as the plan asks for them.
    """

    folder: Path
    plan: Mapping[str, Any]
    sets: Mapping[str, TestSet]
    results: Sequence[Result]
    missing: Sequence[str]

    def of(self, group: str, row: str) -> list[Result]:
        """The results of a row of a table, by seed."""
        return [
            each for each in self.results if (each.job["group"], each.job["method"]) == (group, row)
        ]

    def cell(self, group: str, row: str, key: str, score: str) -> Cell | None:
        """A score of a test over the seeds, or None if there is none."""
        return cell_of(each.scores.get(key, {}).get(score) for each in self.of(group, row))

    def log_mean(self, group: str, row: str, keys: Sequence[str], score: str) -> Cell | None:
        """Mean of log10 of a score over tests, over the seeds: each network counts once.

        None if a score is missing or 0.
        """
        values = [
            _mean_log10([each.scores.get(key, {}).get(score) for key in keys])
            for each in self.of(group, row)
        ]
        if None in values:
            return None
        return cell_of(values)

    def recorded(self, group: str, row: str, *path: str) -> Cell | None:
        """A number of the records over the seeds, such as "seconds", "train"."""
        return cell_of(_number_at(each.record, path) for each in self.of(group, row))


def cell_of(values: Iterable[float | None]) -> Cell | None:
    """Mean and spread of the numbers among `values`; None if there is no number."""
    numbers = [value for value in values if value is not None]
    if not numbers:
        return None
    sd = None
    if len(numbers) > 1:
        sd = statistics.stdev(numbers)
    return Cell(statistics.fmean(numbers), sd, len(numbers))


def write_plan(output: Path, plan: Mapping[str, Any]) -> None:
    """Write what the study is made of, for its report."""
    (output / PLAN).write_text(json.dumps(plan, indent=1, allow_nan=False) + "\n", "utf-8")


def read_plan(output: Path) -> dict[str, Any]:
    """What the study is made of. Raises InputError if the folder holds none, or a damaged one."""
    try:
        plan = dict(json.loads((output / PLAN).read_text("utf-8")))
        dict(plan["jobs"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{output / PLAN}: {error}, expected the plan of a study") from error
    return plan


def load_study(output: Path) -> Study:
    """All that the folder of a study holds. Raises InputError if it holds none, or is damaged."""
    plan = read_plan(output)
    sets = load_sets(output)
    done: dict[Path, Job] = {}
    missing = []
    for name, wanted in plan["jobs"].items():
        folder = job_folder(output, name)
        if is_done(folder) and digest(read_job(folder)) == wanted:
            done[folder] = read_job(folder)
        else:
            missing.append(name)
    jobs = list(done.values())
    results = []
    for folder, job in done.items():
        predictions = read_predictions(folder, job)
        scores = _scores_of_tests(job, predictions, sets, common_range(jobs, job))
        results.append(Result(job, read_record(folder), scores))
    return Study(output, plan, sets, results, missing)


def common_range(jobs: Sequence[Job], job: Job) -> tuple[Range, Range]:
    """T1 and T2 [s] that all methods of the job's group are trained for.

    Methods are compared with the Cramer-Rao bound over this tissue.
    """
    trains = [each["train"] for each in jobs if each["group"] == job["group"]]

    def common(key: str) -> Range:
        return max(train[key][0] for train in trains), min(train[key][1] for train in trains)

    return common("t1_range"), common("t2_range")


def scores_of(
    prediction: FloatArray,
    reference: FloatArray,
    bound: FloatArray | None = None,
    inside: BoolArray | None = None,
) -> Scores:
    """Scores of predictions.

    log10_mse is the mean over T1 and T2; log10_mse_tissue leaves out the voxels whose reference T1
    or T2 is below 1 ms, as do the medians of the magnitude and the root mean squares of the errors,
    relative [%] and [ms].

    Parameters
    ----------
    prediction, reference
        T1 and T2 `(voxel, 2)` [s].
    bound
        Their Cramer-Rao bounds `(voxel, 2)` [s]: RMSE / bound is over the voxels whose bound is
        below a fifth of the reference, for T1 and T2 both.
    inside
        Voxels that RMSE / bound is restricted to `(voxel,)`; None: all.
    """
    tissue = Tissue(*reference.T)
    estimate = {"t1": prediction[:, 0], "t2": prediction[:, 1]}
    valid = (np.isfinite(prediction) & (prediction > 0)).all(axis=1)
    is_tissue = (reference >= SHORTEST).all(axis=1)
    scores: Scores = {
        "n": len(prediction),
        "n_invalid": int((~valid).sum()),
        "n_tissue": int(is_tissue.sum()),
        "log10_mse": _finite(log10_mse(tissue, estimate)),
        "log10_mse_tissue": _finite(log10_mse(tissue, estimate, shortest=SHORTEST)),
    }
    used = valid & is_tissue
    for column, name in enumerate(("t1", "t2")):
        true, predicted = reference[used, column], prediction[used, column]
        scores |= _readable(name, predicted - true, true)
    if bound is not None:
        used = valid & is_determined(reference, bound).all(axis=1)
        if inside is not None:
            used &= inside
        scores |= _over_bound(prediction[used] - reference[used], bound[used])
    return scores


def _over_bound(error: FloatArray, bound: FloatArray) -> Scores:
    """RMSE / bound of T1 and T2, of errors and bounds `(voxel, 2)` [s]."""
    if not len(error):
        return {"n_bound": 0, "t1_over_bound": None, "t2_over_bound": None}
    return {
        "n_bound": len(error),
        "t1_over_bound": rmse_over_bound(error[:, 0], bound[:, 0]),
        "t2_over_bound": rmse_over_bound(error[:, 1], bound[:, 1]),
    }


def _readable(name: str, error: FloatArray, true: FloatArray) -> Scores:
    """Median and root mean square of errors, in percent and in ms."""
    scores: Scores = {}
    for unit, values in (("percent", 100 * error / true), ("ms", 1e3 * error)):
        median = rms = None
        if values.size:
            median = float(np.median(np.abs(values)))
            rms = float(np.sqrt(np.mean(values**2)))
        scores |= {f"{name}_median_{unit}": median, f"{name}_rmse_{unit}": rms}
    return scores


def _scores_of_tests(
    job: Job,
    predictions: Mapping[str, FloatArray],
    sets: Mapping[str, TestSet],
    trained: tuple[Range, Range],
) -> dict[str, Scores]:
    """Scores of every test of the job; the bound holds for noise and the nominal B1 only."""
    low, high = np.transpose(trained)
    scores = {}
    for test in job["tests"]:
        tested = sets[test["set"]]
        bound = None
        if test["snr"] is not None and test["b1"] == 1:
            bound = tested.bound / test["snr"]
        inside = ((tested.reference >= low) & (tested.reference <= high)).all(axis=1)
        scores[test["key"]] = scores_of(predictions[test["key"]], tested.reference, bound, inside)
    return scores


def _finite(value: float) -> float | None:
    if np.isfinite(value):
        return value
    return None


def _mean_log10(values: Sequence[float | None]) -> float | None:
    """None if a value is missing or not positive."""
    positive = [value for value in values if value is not None and value > 0]
    if not positive or len(positive) < len(values):
        return None
    return float(np.mean(np.log10(positive)))


def _number_at(record: Any, path: Sequence[str]) -> float | None:
    """The number at a path of keys in nested mappings; None if there is none."""
    for key in path:
        if not isinstance(record, Mapping):
            return None
        record = record.get(key)
    if isinstance(record, int | float):
        return float(record)
    return None
