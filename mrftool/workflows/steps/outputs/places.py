"""Where outputs go: checked before the work begins, not after it."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from mrftool.environment.reporter import Reporter
from mrftool.errors import ArgumentError, InputError
from mrftool.formats.bids import RAW_SUFFIXES, sidecar_path

_LARGE = 1e9  # bytes


def file_stem(name: str) -> str:
    """A name found in a file, made safe as part of a file name: it cannot lead to another
    folder.
    """
    return re.sub(r"[^\w.+=-]+", "_", name).strip("._") or "unnamed"


def keep_inputs(inputs: Iterable[Path | None], outputs: Iterable[Path]) -> None:
    """Raise ArgumentError if an output would overwrite an input."""
    read = {os.path.realpath(path) for path in inputs if path is not None}
    for path in outputs:
        if os.path.realpath(path) in read:
            raise ArgumentError(
                f"{path} is an input, expected another place for the output", arguments=("output",)
            )


def require_own_sidecar(path: Path) -> None:
    """Raise InputError if another scan lies beside `path` whose sidecar has the same name.

    The two would share the sidecar and the names of the maps of their ground truth.
    """
    own = sidecar_path(path)
    for other in (".nii", ".nii.gz", *RAW_SUFFIXES):
        neighbour = own.with_suffix(other)
        if neighbour.name != path.name and neighbour.exists():
            raise InputError(
                f"{path}: {neighbour.name} lies beside it and has {own.name} too, "
                "expected another name or folder"
            )


def tell_size(path: Path, n_bytes: int, reporter: Reporter) -> None:
    """Tell how large a file will be, if it is large, before it is written."""
    if n_bytes < _LARGE:
        return
    size = f"{n_bytes / 1e9:.1f} GB"
    if path.suffix == ".gz":
        size += " before compression"
    reporter.note(f"{path} will take {size}")


def require_folder(path: Path) -> None:
    """Raise InputError if `path` is not a writable folder and cannot be made one."""
    place = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not place.is_dir():
        raise InputError(f"{place}: is not a folder, expected one to write into")
    if not os.access(place, os.W_OK | os.X_OK):
        raise InputError(f"{place}: cannot be written, expected a writable folder")


def require_file_places(paths: Iterable[Path]) -> None:
    """Raise InputError if one of `paths` exists and is not a regular file."""
    for path in paths:
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: is no regular file, expected a file name to write to")
