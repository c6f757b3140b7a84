"""Files that are whole or not there, and on the disk before anything is told of them."""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from mrftool.formats.regular_file import read_regular

PART = ".part"  # ends the name of a file that is being written
_MOST_BYTES = 64 << 20  # of a file of JSON, or of the names that a destination has


def key_of(uid: str) -> str:
    """Digest of a UID, which is a safe name of a file whatever it holds."""
    return hashlib.sha256(uid.encode()).hexdigest()[:40]


def make_folder(folder: Path) -> None:
    """Make a folder, if there is none; its entry is on the disk when this returns."""
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    sync_folder(folder.parent)


def write_durably(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all; it is on the disk when this returns."""
    part = path.with_name(path.name + PART)
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:  # half a file would fill a full disk for good
        with suppress(OSError):
            part.unlink()
        raise
    sync_folder(path.parent)


def sync_folder_and_files(folder: Path) -> None:
    """Bring a folder and all in it to the disk."""
    for place, _, names in os.walk(folder):
        for name in names:
            with Path(place, name).open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(place))


def rename_durably(folder: Path, to: Path) -> None:
    """Rename a folder; its new name is on the disk when this returns."""
    folder.rename(to)
    sync_folder(to.parent)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file of JSON; None if there is no such file or object.

    Raises
    ------
    InputError
        If there is one that cannot be read: nothing is known of it then.

    """
    try:
        content = json.loads(_read(path))
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    return content


def sent_names(folder: Path, destination: str) -> set[str]:
    """Names of the files in a result that a destination has acknowledged."""
    lines = _read(_sent_file(folder, destination)).decode("utf-8", "replace").splitlines()
    return {line for line in lines if line.endswith(".dcm")}


def mark_sent(folder: Path, destination: str, name: str) -> None:
    """Remember that a destination has acknowledged a file."""
    with _sent_file(folder, destination).open("a", encoding="utf-8") as file:
        file.write(f"{name}\n")
        file.flush()
        os.fsync(file.fileno())


def _sent_file(folder: Path, destination: str) -> Path:
    return folder / f"sent_{key_of(destination)}"


def _read(path: Path) -> bytes:
    """Content of a file of the node's own; nothing if there is none."""
    if not path.exists():
        return b""
    return read_regular(path, _MOST_BYTES, "a file of the node")


def sync_folder(folder: Path) -> None:
    """Bring the entries of a folder to the disk."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
