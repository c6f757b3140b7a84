"""What jobs found, against the reference: scores of every test, and their mean and spread over seeds."""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import BoolArray, FloatArray
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
    """A job that is done: what was asked, how it went, and the scores of each test, by its key."""

    job: Job
    record: Record
    scores: Mapping[str, Scores]


@dataclass(frozen=True)
class Study:
    """All that is known. plan: the facts of plan.json, among them the digest of
    every job; missing: names of jobs that are not done, or not as the plan asks for them.
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
        """A score of a test over the seeds, or None where there is none."""
        found = (each.scores.get(key, {}).get(score) for each in self.of(group, row))
        return cell_of(value for value in found if value is not None)

    def recorded(self, group: str, row: str, *path: str) -> Cell | None:
        """A number of the records over the seeds, such as "seconds", "train"."""
        return cell_of(
            value
            for each in self.of(group, row)
            if (value := _inside(each.record, path)) is not None
        )


def cell_of(values: Iterable[float]) -> Cell | None:
    """Mean and spread of some numbers, None of none."""
    found = list(values)
    if not found:
        return None
    return Cell(
        statistics.fmean(found), statistics.stdev(found) if len(found) > 1 else None, len(found)
    )


def write_plan(output: Path, plan: Mapping[str, Any]) -> None:
    """Note what the study is made of, for the report."""
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
    """All that the folder of a study holds. Raises InputError if it is none, or damaged."""
    plan = read_plan(output)
    wanted = {job_folder(output, name): text for name, text in plan["jobs"].items()}
    sets = load_sets(output)
    done = [
        folder
        for folder, text in wanted.items()
        if is_done(folder) and digest(read_job(folder)) == text
    ]
    jobs = [read_job(folder) for folder in done]
    results = [
        Result(
            job,
            read_record(folder),
            _scores(job, read_predictions(folder, job), sets, common_range(jobs, job)),
        )
        for folder, job in zip(done, jobs, strict=True)
    ]
    return Study(
        output, plan, sets, results, [folder.name for folder in wanted if folder not in done]
    )


def common_range(jobs: Sequence[Job], job: Job) -> tuple[tuple[float, float], tuple[float, float]]:
    """T1 and T2 [s] that all methods of the job's group are trained for: they are compared with the
    bound there.
    """
    trains = [each["train"] for each in jobs if each["group"] == job["group"]]
    ends = [
        (max(train[key][0] for train in trains), min(train[key][1] for train in trains))
        for key in ("t1_range", "t2_range")
    ]
    return ends[0], ends[1]


def scores_of(
    found: FloatArray,
    reference: FloatArray,
    bound: FloatArray | None = None,
    inside: BoolArray | None = None,
) -> Scores:
    """Scores of predictions `(voxel, 2)` [s].

    log10_mse: plain mean over T1 and T2; log10_mse_tissue: without voxels whose true T1 or T2 is
    below 1 ms. The
    others are over the latter: median of the magnitude and root mean square of the error, relative
    [%] and [ms]. With the smallest standard deviations `bound` `(voxel, 2)` [s], rmse / bound over
    the voxels of `inside` `(voxel,)` whose bound is below a fifth of the reference, for T1 and T2 both.
    """
    tissue, estimate = Tissue(*reference.T), {"t1": found[:, 0], "t2": found[:, 1]}
    valid = (np.isfinite(found) & (found > 0)).all(axis=1)
    kept = valid & (reference >= SHORTEST).all(axis=1)
    scores: Scores = {
        "n": len(found),
        "n_invalid": int((~valid).sum()),
        "n_tissue": int((reference >= SHORTEST).all(axis=1).sum()),
        "log10_mse": _finite(log10_mse(tissue, estimate)),
        "log10_mse_tissue": _finite(log10_mse(tissue, estimate, shortest=SHORTEST)),
    }
    for column, name in enumerate(("t1", "t2")):
        true, error = reference[kept, column], found[kept, column] - reference[kept, column]
        scores |= _readable(name, error, true)
    if bound is not None:
        used = valid & is_determined(reference, bound).all(axis=1)
        used &= True if inside is None else inside
        scores["n_bound"] = int(used.sum())
        for column, name in enumerate(("t1", "t2")):
            error = found[used, column] - reference[used, column]
            scores[f"{name}_over_bound"] = (
                rmse_over_bound(error, bound[used, column]) if used.any() else None
            )
    return scores


def _readable(name: str, error: FloatArray, true: FloatArray) -> Scores:
    """As a physicist reads errors."""
    scores: Scores = {}
    for unit, values in (("percent", 100 * error / true), ("ms", 1e3 * error)):
        size = np.abs(values)
        scores[f"{name}_median_{unit}"] = float(np.median(size)) if size.size else None
        scores[f"{name}_rmse_{unit}"] = float(np.sqrt(np.mean(size**2))) if size.size else None
    return scores


def _scores(
    job: Job,
    predictions: Mapping[str, FloatArray],
    sets: Mapping[str, TestSet],
    trained: tuple[tuple[float, float], tuple[float, float]],
) -> dict[str, Scores]:
    """Of every test of the job."""
    found = {}
    for test in job["tests"]:
        tested = sets[test["set"]]
        bound = None if test["snr"] is None or test["b1"] != 1 else tested.bound / test["snr"]
        low, high = np.transpose(trained)
        inside = ((tested.reference >= low) & (tested.reference <= high)).all(axis=1)
        found[test["key"]] = scores_of(predictions[test["key"]], tested.reference, bound, inside)
    return found


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _inside(record: Any, path: Sequence[str]) -> float | None:
    for key in path:
        record = record.get(key) if isinstance(record, Mapping) else None
    return float(record) if isinstance(record, int | float) else None
