"""What the study trains and tests: every method, table and ablation as a list of jobs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any

from mrftool.errors import ArgumentError
from mrftool.studies.jobs.records import Job, digest
from mrftool.studies.paper.methods import METHODS, REMEDIES, ROWS, SHORT_T1, SHORT_T2, Method
from mrftool.studies.paper.sets import TEST_SEQUENCE, TestSet


@dataclass(frozen=True)
class Effort:
    """How long a method is trained: optimiser steps, voxels in each, peak learning rate."""

    steps: int
    batch: int
    rate: float = 1e-3
    optimiser: str = "adam"


# By encoder and decoder. The paper trained for 26 epochs of 160,200 pairs at a batch of 1000, which
# are 4165 steps.
EFFORT = {
    "fc+none": Effort(2500, 250),
    "fc+fc": Effort(2500, 250),
    "fc+bloch": Effort(2500, 250),
    "rnn-whole+none": Effort(2500, 250),
    "rnn-whole+rnn": Effort(600, 250),
    "rnn+none": Effort(800, 200),
    "hydra-fast+none": Effort(500, 100),
    "compact+bloch": Effort(4000, 512, 3e-3, "muon"),
    "adapt": Effort(1000, 250),
}
ABLATION_STEPS = 0.4  # share of the steps above, in ablations
QUICK_STEPS = 0.1  # share of the steps above, in the quick form
SLOW = ("hydra", "rnn-rnn")  # rows whose further seeds come last
ONCE = ("rnn-time",)  # rows that are trained with one seed only, as are most ablations
SNRS, ABLATION_SNR = (50, 20, 10, 5), 20
# Weights of the reconstruction loss. The paper's 1 to 20 are 0.001 to 0.02 of ours.
LAMBDAS = (0, 0.001, 0.005, 0.02, 0.1, 1, 10, 100)
SHARES = (0.01, 0.1)  # of the grid; all of it is among the lambdas
B1S = (0.9, 1.1)

SEEDED = (*ROWS, "ablation-lambda")  # groups that are trained with every seed
_TESTED_WITH_B1 = ("fc", "blochnet", "compact", "table")
OTHER_SEQUENCES = ["spline5", "spline11noisy"]


def make_plan(sets: Mapping[str, TestSet], *, quick: bool, seeds: int) -> list[Job]:
    """Every job of the study, those first that others start from.

    One seed of each row comes before further seeds, and slow rows come last.
    """
    share = 1.0
    if quick:
        share = QUICK_STEPS
    rows = [Row(group, method, method) for group, methods in ROWS.items() for method in methods]
    rows += _ablations()
    jobs: list[Job] = []
    for row in rows:
        jobs += _jobs_of(row, sets, seeds, share, jobs)
    return sorted(jobs, key=_order)


def choose(jobs: Sequence[Job], pattern: str | None) -> list[Job]:
    """The jobs whose names match a shell pattern, and those that they start from.

    Raises
    ------
    ArgumentError
        If no job matches.
    """
    if pattern is None:
        return list(jobs)
    chosen = {job["name"] for job in jobs if fnmatch(job["name"], pattern)}
    if not chosen:
        raise ArgumentError(
            f"no job matches {pattern!r}, expected a pattern of names",
            hint=f"names, with -SEED: {_names_without_seed(jobs)}",
        )
    chosen |= {job["start"] for job in jobs if job["name"] in chosen}
    return [job for job in jobs if job["name"] in chosen]


def _names_without_seed(jobs: Sequence[Job]) -> str:
    return ", ".join(dict.fromkeys(job["name"].rpartition("-")[0] for job in jobs))


@dataclass(frozen=True)
class Row:
    """A row of a table or ablation. changes: to the settings of its method."""

    group: str
    method: str
    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)


def _order(job: Job) -> tuple[bool, int]:
    return job["seed"] > 0 and job["method"] in SLOW, job["seed"]


def _jobs_of(
    row: Row, sets: Mapping[str, TestSet], seeds: int, share: float, before: Sequence[Job]
) -> Iterator[Job]:
    """One job of a row for each seed. before: the jobs that it may start from."""
    method = METHODS[row.method]
    digests = {job["name"]: digest(job) for job in before}
    for seed in range(_seeds(row, seeds)):
        start = None
        if method.start is not None:
            start = f"{row.group}-{method.start}-{seed}"
        yield {
            "name": f"{row.group}-{row.name}-{seed}",
            "method": row.name,
            "group": row.group,
            "kind": method.kind,
            "seed": seed,
            "sequences": _sequences(row),
            "test_sequence": TEST_SEQUENCE,
            "train": {**_settings(method, seed, share * _step_share(row)), **row.changes},
            "start": start,
            "start_digest": digests.get(start),
            "tests": list(_tests(row, sets)),
        }


def _is_trained(method: Method) -> bool:
    return method.kind in ("train", "adapt")


def _seeds(row: Row, seeds: int) -> int:
    """How often a row is trained: without chance, once."""
    if row.method in ONCE or row.group not in SEEDED or not _is_trained(METHODS[row.method]):
        return 1
    return seeds


def _step_share(row: Row) -> float:
    if row.group in ROWS:
        return 1.0
    return ABLATION_STEPS


def _settings(method: Method, seed: int, share: float) -> dict[str, Any]:
    """The configuration of a training; of a method that is not trained, its ranges."""
    if not _is_trained(method):
        return dict(method.train)
    effort = EFFORT.get(method.kind) or EFFORT[_networks(method)]
    steps = max(round(effort.steps * share), 1)
    return {
        **method.train,
        "steps": steps,
        "batch": effort.batch,
        "rate": effort.rate,
        "optimiser": effort.optimiser,
        "seed": seed,
        "validate_every": max(steps // 4, 1),
    }


def _networks(method: Method) -> str:
    return f"{method.train['encoder']}+{method.train['decoder']}"


def _sequences(row: Row) -> list[str]:
    if row.group == "table2" and row.method not in REMEDIES:
        return list(OTHER_SEQUENCES)
    return [TEST_SEQUENCE]


def _ablations() -> Iterator[Row]:
    for weight in LAMBDAS:
        changes = {"weight": float(weight)}
        yield Row("ablation-lambda", "blochnet", f"blochnet-{weight:g}", changes)
    for method in ("fc", "blochnet"):
        for share in SHARES:
            yield Row("ablation-samples", method, f"{method}-{share:g}", {"share": share})
        yield Row("ablation-range", method, method, {"t1_range": SHORT_T1, "t2_range": SHORT_T2})


def _tests(row: Row, sets: Mapping[str, TestSet]) -> Iterator[dict[str, Any]]:
    snrs: tuple[int, ...] = (ABLATION_SNR,)
    if row.group in ROWS:
        snrs = SNRS
    for name, tested in sets.items():
        if name == "above" and row.group != "ablation-range":
            continue
        yield _test(name, tested, None, 1.0)
        for snr in snrs:
            yield _test(f"{name}_snr{snr}", tested, snr, 1.0)
    if row.group == "table1" and row.method in _TESTED_WITH_B1:
        for b1 in B1S:
            yield _test(f"phantom_b1_{b1:g}", sets["phantom"], None, b1)


def _test(key: str, tested: TestSet, snr: float | None, b1: float) -> dict[str, Any]:
    return {
        "key": key,
        "set": tested.name,
        "snr": snr,
        "b1": b1,
        "voxels": len(tested.tissue),
        "tissue": tested.digest,
    }
