"""Texts without the names and folders of a patient's files."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

HIDDEN = "(hidden)"
_REST_OF_PATH = r"(?:/[^:,\n]*)?"


def without_paths(text: str, paths: Iterable[Path]) -> str:
    """`text` with files, however they are written, and what lies in them replaced by `HIDDEN`."""
    names = {name for path in paths for name in _spellings(path)}
    for name in sorted(names, key=len, reverse=True):
        text = re.sub(rf"(?<![\w.]){re.escape(name)}{_REST_OF_PATH}", HIDDEN, text)
    return text


def _spellings(path: Path) -> set[str]:
    found = {str(path), os.path.realpath(path), str(path.absolute()), path.name}
    return found - {"", ".", "..", "/"}
