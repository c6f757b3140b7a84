"""The folder for what can be made again: models of single scans, kept for the next run."""

import os
import sys
from contextlib import suppress
from pathlib import Path

from mrftool.errors import InputError

VARIABLE = "MRFTOOL_CACHE"


def cache_folder(kind: str) -> Path:
    """The user's folder for cached files of a kind; it need not exist yet.

    It lies where the system keeps caches, or in the folder that MRFTOOL_CACHE names.

    Raises
    ------
    InputError
        If the user has no home folder.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named) / kind
    try:
        return _system_folder() / "mrftool" / kind
    except RuntimeError as error:
        text = f"no home folder is known, expected {VARIABLE} to name a folder for the cache"
        raise InputError(text) from error


def _system_folder() -> Path:
    """Where programs keep caches on this system. XDG Base Directory Specification 0.8."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if named.is_absolute():  # the specification: relative paths are ignored
        return named
    return Path.home() / ".cache"


def make_cache_folder(folder: Path) -> None:
    """Create the folder, open to its user alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def mark_used(path: Path) -> None:
    """Tell `keep_newest` that a file was of use."""
    with suppress(OSError):
        path.touch()


def keep_newest(folder: Path, suffix: str, count: int) -> None:
    """Remove all files with this suffix but the `count` that were of use most recently."""
    files = [path for path in folder.glob(f"*{suffix}") if path.is_file()]
    ages = sorted(((_age(path), path) for path in files), reverse=True)
    for _, path in ages[count:]:
        with suppress(OSError):
            path.unlink()


def _age(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0
