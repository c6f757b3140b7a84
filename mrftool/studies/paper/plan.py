"""What the study trains and tests: every method, table and ablation as a list of jobs. Numbers to
tune stand on top.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any

from mrftool.errors import ArgumentError
from mrftool.studies.jobs.records import Job, digest
from mrftool.studies.paper.sets import ABOVE_T1, ABOVE_T2, TEST_SEQUENCE, TestSet


@dataclass(frozen=True)
class Effort:
    """How long a method is trained: optimiser steps, voxels in each, peak learning rate."""

    steps: int
    batch: int
    rate: float = 1e-3
    optimiser: str = "adam"


# By encoder and decoder; of the paper's 26 epochs of 160,200 pairs at a batch of 1000, which are
# 4165 steps.
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
ABLATION_STEPS = 0.4  # of the steps above, in ablations
SLOW = ("hydra", "rnn-rnn")
ONCE = (
    "rnn-time",
)  # rows that are trained with one seed only, as are most ablations: they fill the table
QUICK_STEPS = 0.1  # of the steps above, in the quick form
SNRS, ABLATION_SNR = (50, 20, 10, 5), 20
SLOW_DECODER_VOXELS = 8  # of each batch are decoded by a recurrent decoder
LAMBDAS = (0, 0.001, 0.005, 0.02, 0.1, 1, 10, 100)  # the paper's 1 to 20 are 0.001 to 0.02 of ours
SHARES = (0.01, 0.1)  # of the grid; all of it is among the lambdas
B1S = (0.9, 1.1)

GRID_T1, GRID_T2 = [0.001, 5.0], [0.001, 2.0]  # [s]: the paper's grid
SHORT_T1, SHORT_T2 = [0.001, ABOVE_T1[0]], [0.001, ABOVE_T2[0]]
_TABLE_T2 = [0.001, 2.5]
_PAPER = {
    "tissue": "grid",
    "loss": "log",
    "weight": 1.0,
    "snr_range": None,
    "t1_range": GRID_T1,
    "t2_range": GRID_T2,
}
_NOISE = {"loss": "bound", "snr_range": [4.0, 100.0]}
_DEFAULT = {
    "tissue": "random",
    "weight": 1.0,
    "t1_range": [0.03, 5.0],
    "t2_range": [0.006, 2.5],
    "loss": "bound",
}
_DEFAULT |= {"snr_range": [1.0, 100.0]}
_GRID = {"t1_range": GRID_T1, "t2_range": GRID_T2}


@dataclass(frozen=True)
class Method:
    """A row of a table. title: as printed. train: settings that differ from the paper's, or all of
    them.
    """

    title: str
    kind: str = "train"
    train: Mapping[str, Any] = field(default_factory=dict)
    start: str | None = None  # method whose weights it begins from


METHODS = {
    "matching": Method("Dictionary matching", "match", _GRID),
    "fc": Method("FC", train={"encoder": "fc", "decoder": "none", **_PAPER}),
    "rnn": Method("RNN", train={"encoder": "rnn-whole", "decoder": "none", **_PAPER}),
    "hydra": Method("HYDRA", train={"encoder": "hydra-fast", "decoder": "none", **_PAPER}),
    "fc-fc": Method("FC-FC", train={"encoder": "fc", "decoder": "fc", **_PAPER}),
    "rnn-rnn": Method(
        "RNN-RNN",
        train={
            "encoder": "rnn-whole",
            "decoder": "rnn",
            "decode_voxels": SLOW_DECODER_VOXELS,
            **_PAPER,
        },
    ),
    "blochnet": Method("BlochNet", train={"encoder": "fc", "decoder": "bloch", **_PAPER}),
    "rnn-time": Method("RNN over time", train={"encoder": "rnn", "decoder": "none", **_PAPER}),
    "fc-noise": Method(
        "FC (noise)", train={"encoder": "fc", "decoder": "none", **_PAPER, **_NOISE}
    ),
    "blochnet-noise": Method(
        "BlochNet (noise)", train={"encoder": "fc", "decoder": "bloch", **_PAPER, **_NOISE}
    ),
    "compact": Method(
        "mrftool's encoder", train={"encoder": "compact", "decoder": "bloch", **_DEFAULT}
    ),
    "table": Method("Table model", "table", {"t1_range": GRID_T1, "t2_range": _TABLE_T2}),
    "adapt": Method(
        "BlochNet (adapted)", "adapt", {"encoder": "fc", "decoder": "bloch", **_PAPER}, "blochnet"
    ),
    "adapt-unlabelled": Method(
        "BlochNet (adapted, no labels)",
        "adapt",
        {"encoder": "fc", "decoder": "bloch", **_PAPER, "labels": False},
        "blochnet",
    ),
}
PAPERS = (
    "matching",
    "fc",
    "rnn",
    "hydra",
    "fc-fc",
    "rnn-rnn",
    "blochnet",
)  # the rows of the paper, in its order
OURS = ("rnn-time", "fc-noise", "blochnet-noise", "compact", "table")
REMEDIES = ("adapt", "adapt-unlabelled", "table")
ROWS = {"table1": (*PAPERS, *OURS), "table2": (*PAPERS, *REMEDIES)}
SEEDED = (*ROWS, "ablation-lambda")  # groups that are trained with every seed
_SEES_B1 = ("fc", "blochnet", "compact", "table")  # methods that are tried at another B1
OTHER_SEQUENCES = ["spline5", "spline11noisy"]


def make_plan(sets: Mapping[str, TestSet], *, quick: bool, seeds: int) -> list[Job]:
    """Every job of the study, those first that others begin from; a seed of each row, then others,
    slow rows last.
    """
    share = QUICK_STEPS if quick else 1.0
    jobs: list[Job] = []
    for group, rows in ROWS.items():
        for method in rows:
            jobs += _seeded(group, method, sets, seeds, share, jobs)
    for group, method, name, changes in _ablations():
        jobs += _seeded(
            group, method, sets, seeds, share * ABLATION_STEPS, jobs, name=name, changes=changes
        )
    return sorted(jobs, key=lambda job: (job["seed"] > 0 and job["method"] in SLOW, job["seed"]))


def choose(jobs: Sequence[Job], pattern: str | None) -> list[Job]:
    """The jobs whose names match the shell's pattern, and those that they begin from. Raises
    ArgumentError for none.
    """
    if pattern is None:
        return list(jobs)
    chosen = {job["name"] for job in jobs if fnmatch(job["name"], pattern)}
    if not chosen:
        names = ", ".join(dict.fromkeys(job["name"].rpartition("-")[0] for job in jobs))
        raise ArgumentError(
            f"no job matches {pattern!r}, expected a pattern of names",
            hint=f"names, with -SEED: {names}",
        )
    chosen |= {job["start"] for job in jobs if job["name"] in chosen and job["start"]}
    return [job for job in jobs if job["name"] in chosen]


def _seeded(
    group: str,
    method: str,
    sets: Mapping[str, TestSet],
    seeds: int,
    share: float,
    before: Sequence[Job],
    *,
    name: str | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Iterator[Job]:
    """One job of a method for each seed; methods without chance have one."""
    known, row = METHODS[method], name or method
    once = method in ONCE or group not in SEEDED or known.kind not in ("train", "adapt")
    for seed in range(1 if once else seeds):
        start = None if known.start is None else f"{group}-{known.start}-{seed}"
        yield {
            "name": f"{group}-{row}-{seed}",
            "method": row,
            "group": group,
            "kind": known.kind,
            "seed": seed,
            "sequences": _sequences(group, method),
            "test_sequence": TEST_SEQUENCE,
            "train": _settings(known, seed, share) | dict(changes or {}),
            "start": start,
            "start_digest": next((digest(job) for job in before if job["name"] == start), None),
            "tests": list(_tests(group, method, sets)),
        }


def _settings(method: Method, seed: int, share: float) -> dict[str, Any]:
    """As the configuration of a training takes them; a method without training has ranges only."""
    if method.kind not in ("train", "adapt"):
        return dict(method.train)
    key = (
        "adapt"
        if method.kind == "adapt"
        else f"{method.train['encoder']}+{method.train['decoder']}"
    )
    effort = EFFORT[key]
    steps = max(round(effort.steps * share), 1)
    shared = {
        "steps": steps,
        "batch": effort.batch,
        "rate": effort.rate,
        "optimiser": effort.optimiser,
    }
    return {**method.train, **shared, "seed": seed, "validate_every": max(steps // 4, 1)}


def _sequences(group: str, method: str) -> list[str]:
    is_other = group == "table2" and method not in REMEDIES
    return list(OTHER_SEQUENCES) if is_other else [TEST_SEQUENCE]


def _ablations() -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Group, method, name of the row, and what is changed in its training."""
    for weight in LAMBDAS:
        yield "ablation-lambda", "blochnet", f"blochnet-{weight:g}", {"weight": float(weight)}
    for method in ("fc", "blochnet"):
        for share in SHARES:
            yield "ablation-samples", method, f"{method}-{share:g}", {"share": share}
        yield "ablation-range", method, method, {"t1_range": SHORT_T1, "t2_range": SHORT_T2}


def _tests(group: str, method: str, sets: Mapping[str, TestSet]) -> Iterator[dict[str, Any]]:
    snrs = SNRS if group in ROWS else (ABLATION_SNR,)
    names = [name for name in sets if name != "above" or group == "ablation-range"]
    for name in names:
        for snr in (None, *snrs):
            yield _test(name if snr is None else f"{name}_snr{snr}", sets[name], snr, 1.0)
    if group == "table1" and method in _SEES_B1:
        for b1 in B1S:
            yield _test(f"phantom_b1_{b1:g}", sets["phantom"], None, b1)


def _test(key: str, tested: TestSet, snr: float | None, b1: float) -> dict[str, Any]:
    voxels = len(tested.tissue)
    return {
        "key": key,
        "set": tested.name,
        "snr": snr,
        "b1": b1,
        "voxels": voxels,
        "tissue": tested.digest,
    }
