"""Jobs: each is one training (or matching) and its tests, in a folder with request and results."""

import json
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import InputError
from mrftool.formats.atomic import writing
from mrftool.formats.npz.members import read_member, reading_npz

Job = Mapping[str, Any]  # content of job.json: see `mrftool.studies.paper.plan`
Record = Mapping[str, Any]  # content of record.json, which `mrftool.studies.jobs.job` writes last

JOB, RECORD, PREDICTIONS, LOG = "job.json", "record.json", "predictions.npz", "log.txt"


def job_folder(output: Path, name: str) -> Path:
    """Where a job lives in the folder of a study."""
    return output / "jobs" / name


def digest(job: Job) -> str:
    """Eight hexadecimal digits that change with anything in the request."""
    return f"{zlib.crc32(_text(job).encode()):08x}"


def write_job(folder: Path, job: Job) -> None:
    """Write the request for a job into its folder.

    Nothing happens if the folder holds the same request; else the folder is emptied first.
    """
    path, text = folder / JOB, _text(job)
    if path.exists() and path.read_text("utf-8") == text:
        return
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    with writing(path) as part:
        part.write_text(text, "utf-8")


def is_done(folder: Path) -> bool:
    """Whether the job has written its record: it does so last."""
    return (folder / RECORD).exists()


def read_job(folder: Path) -> dict[str, Any]:
    """The request. Raises InputError if job.json is missing or damaged."""
    return _read(folder / JOB)


def read_record(folder: Path) -> dict[str, Any]:
    """The record of a job. Raises InputError if record.json is missing or damaged."""
    return _read(folder / RECORD)


def read_predictions(folder: Path, job: Job) -> dict[str, FloatArray]:
    """Predicted T1 and T2 `(voxel, 2)` [s] of each test of the job, by its key.

    Raises InputError if one is missing or the file is damaged.
    """
    path = folder / PREDICTIONS
    with reading_npz(path) as archive:
        found = {
            test["key"]: read_member(archive, test["key"]).astype(np.float64)
            for test in job["tests"]
        }
    for test in job["tests"]:
        shape = found[test["key"]].shape
        if shape != (test["voxels"], 2):
            raise InputError(
                f"{path}: {test['key']} has shape {shape}, expected ({test['voxels']}, 2)"
            )
    return found


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n"


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: {error}, expected a JSON file of a study", hint=f"remove {path.parent}"
        ) from error
    if not isinstance(found, dict):
        raise InputError(
            f"{path}: holds a {type(found).__name__}, expected a JSON object",
            hint="remove its folder",
        )
    return found
