"""BIDS: sidecars beside images, names of maps, and the description of a derivative data set.

Source: Brain Imaging Data Structure 1.10, https://bids-specification.readthedocs.io.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mrftool.errors import InputError
from mrftool.formats.nifti_files import stem

_MOST_BYTES = 64 << 20


def sidecar_path(image: Path) -> Path:
    """Where the JSON file of an image lies: `scan.nii.gz` has `scan.json`."""
    return image.with_name(f"{stem(image)}.json")


def read_sidecar(image: Path) -> dict[str, Any] | None:
    """What the JSON file beside an image says, or None if there is none.

    Raises InputError if it is there and no JSON object.
    """
    path = sidecar_path(image)
    try:
        if not path.is_file():
            return None
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path}: is larger than {_MOST_BYTES >> 20} MB, expected a sidecar")
        content = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is no JSON: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds a JSON {type(content).__name__}, expected an object of keys and values")
    return content


def to_json(content: Mapping[str, Any]) -> str:
    """The text of a sidecar."""
    return json.dumps(content, indent=2, allow_nan=False) + "\n"
