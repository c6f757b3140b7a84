"""Small studies for tests: two voxels of tissue, jobs as the study asks for them, and what jobs
leave.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.studies.jobs.records import PREDICTIONS, RECORD, digest, job_folder, write_job
from mrftool.studies.paper.results import write_plan
from mrftool.studies.paper.sets import tissue_folder

REFERENCE = {
    "phantom": [[1.0, 0.1], [2.0, 0.05]],
    "anatomical": [[1.0, 0.1], [1.0, 0.0001]],
}  # T1, T2 [s]
BOUND = [[0.01, 0.001], [0.04, 0.5]]  # at SNR 1 [s]; the second voxel's T2 is not determined
RANGES = {"t1_range": [0.001, 5.0], "t2_range": [0.001, 2.0]}


def make_set(output: Path, name: str, reference: Any = None, bound: Any = None) -> None:
    """A set of tissue as the study writes it."""
    reference = np.array(REFERENCE[name] if reference is None else reference, float)
    bound = np.array(BOUND if bound is None else bound, float)
    tissue_folder(output).mkdir(parents=True, exist_ok=True)
    columns = {"t1": reference[:, 0], "t2": reference[:, 1], "bound": bound}
    np.savez(
        tissue_folder(output) / f"{name}.npz",
        mask=np.ones((len(reference), 1, 1), bool),
        affine=np.eye(4),
        **columns,
    )


def job(group: str, method: str, seed: int = 0, **changes: Any) -> dict[str, Any]:
    """A job with tests on both sets, without noise and at SNR 20."""
    tests = [
        {"key": f"{name}{tail}", "set": name, "snr": snr, "b1": 1.0, "voxels": 2, "tissue": "-"}
        for name in REFERENCE
        for tail, snr in (("", None), ("_snr20", 20))
    ]
    asked = {
        "name": f"{group}-{method}-{seed}",
        "method": method,
        "group": group,
        "kind": "train",
        "seed": seed,
        "sequences": ["fisp"],
        "test_sequence": "fisp",
        "train": {
            "encoder": "fc",
            "decoder": "none",
            "loss": "log",
            "snr_range": None,
            "optimiser": "adam",
            **RANGES,
        },
        "start": None,
        "start_digest": None,
        "tests": tests,
    }
    asked["train"] |= {"rate": 0.001, "steps": 100, "batch": 10, "seed": seed}
    return asked | changes


def finish(output: Path, asked: dict[str, Any], factors: Any, **record: Any) -> None:
    """What a job leaves: predictions are the reference times `factors` (of T1 and T2), by key or
    for
    all.
    """
    found = {}
    for test in asked["tests"]:
        factor = factors[test["key"]] if isinstance(factors, dict) else factors
        found[test["key"]] = np.array(REFERENCE[test["set"]]) * factor
    folder = job_folder(output, asked["name"])
    write_job(folder, asked)
    np.savez(folder / PREDICTIONS, **found)
    facts: dict[str, Any] = {
        "name": asked["name"],
        "seed": asked["seed"],
        "commit": "abc",
        "started": "2026-01-01T00:00:00+00:00",
        "machine": {"cpu": "an abacus", "cores": 2, "platform": "Linux", "torch": "2"},
        "seconds": {"prepare": 1.0, "train": 50.0, "predict": 2.0},
        "cpu_seconds": {"prepare": 1.0, "train": 90.0, "predict": 2.0},
        "peak_memory_mb": 700.0,
        "steps": 100,
        "batch": 10,
        "parameters": 1234,
        "voxels_per_second": 5000.0,
    }
    (folder / RECORD).write_text(json.dumps(facts | record))


def plan(output: Path, jobs: list[dict[str, Any]]) -> None:
    """The plan of these jobs."""
    asked = {each["name"]: digest(each) for each in jobs}
    write_plan(
        output, {"command": "mrftool evaluate paper", "quick": False, "seeds": 2, "jobs": asked}
    )
