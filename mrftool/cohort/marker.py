"""Markers of finished scans: `done.json`, written last, says from what the maps were made.

What a marker says is believed, not what a scheduler says: a scan is done if its marker is there
and names the present input, model and version of mrftool.
"""

import hashlib
from pathlib import Path
from typing import Any

from mrftool.cohort.dataset import CohortScan
from mrftool.errors import InputError
from mrftool.formats.atomic import writing
from mrftool.formats.bids import to_json, versions
from mrftool.formats.json_text import read_json

SCHEMA = 1
_CHUNK = 1 << 20


def fingerprint_of(scan: CohortScan, model: Path) -> dict[str, Any]:
    """What the maps of a scan depend on: SHA-256 of its files and of the model, and the version."""
    return {
        "mrftool_done": SCHEMA,
        "scan": scan.key,
        "inputs": {path.name: sha256_of(path) for path in scan.files},
        "model": {"name": model.name, "sha256": sha256_of(model)},
        "version": versions()["mrftool"],
    }


def write_marker(path: Path, content: dict[str, Any]) -> None:
    """Write a marker, whole or not at all."""
    with writing(path) as part:
        part.write_text(to_json(content), "utf-8")


def read_marker(path: Path) -> dict[str, Any] | None:
    """What a marker says, or None if there is none that can be read."""
    try:
        content = read_json(path, "a marker")
    except (InputError, ValueError):
        return None
    if not isinstance(content, dict) or content.get("mrftool_done") != SCHEMA:
        return None
    return content


def is_done(path: Path, expected: dict[str, Any]) -> bool:
    """Whether a marker is there whose facts are the expected ones."""
    found = read_marker(path)
    return found is not None and all(found.get(key) == value for key, value in expected.items())


def sha256_of(path: Path) -> str:
    """SHA-256 of the content of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
