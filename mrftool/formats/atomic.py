"""Outputs that are whole or not there: written beside their place, and renamed once they are
complete.
"""

import os
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mrftool.errors import InputError

_PART = re.compile(r"^\.[0-9a-f]{12}\.part\.")


@contextmanager
def writing(path: str | Path) -> Iterator[Path]:
    """Yields a path to write to; it becomes `path` when the block ends well, and is removed when it
    does not.

    The yielded path lies in the same folder and ends in the same name, so libraries that look at
    suffixes are content. The file exists already, empty: a missing or closed folder shows before
    the work begins.

    Raises InputError if the file cannot be written: no such folder, no permission, no space, not a
    regular file.
    """
    with all_or_none([path]) as (part,):
        yield part


@contextmanager
def all_or_none(paths: Sequence[str | Path], *, make_folders: bool = False) -> Iterator[list[Path]]:
    """Like `writing`, for files that must appear together: all of them, or none and the old ones as
    they were.

    make_folders: create missing folders, and remove those again if the block fails.

    Raises InputError if one of the files cannot be written, or is named twice.
    """
    targets = [Path(os.path.realpath(path)) for path in paths]
    if len(set(targets)) < len(targets):
        named = ", ".join(str(path) for path in paths)
        raise InputError(
            f"{named}: the same file is named twice, expected one place for each output"
        )
    token = uuid.uuid4().hex[:12]
    parts = [target.with_name(f".{token}.part.{target.name}") for target in targets]
    made: list[Path] = []
    done = False
    try:
        _prepare(paths, targets, parts, made if make_folders else None)
        yield parts
        _publish(parts, targets)
        done = True
    except OSError as error:
        if not _is_about_writing(error, parts, targets):
            raise
        place = _place(error, paths, parts, targets)
        raise InputError(f"{place}: cannot be written: {error.strerror or error}") from error
    finally:
        if not done:
            _discard(parts, made)


def _prepare(
    paths: Sequence[str | Path], targets: list[Path], parts: list[Path], made: list[Path] | None
) -> None:
    """Creates the empty parts, and the missing folders if `made` is a list to note them in."""
    for path, target, part in zip(paths, targets, parts, strict=True):
        if target.exists() and not target.is_file():
            raise InputError(f"{path}: is no regular file, expected a file name to write to")
        if made is not None:
            _make_folders(target.parent, made)
        part.open("xb").close()


def _make_folders(folder: Path, made: list[Path]) -> None:
    if not folder.exists():
        _make_folders(folder.parent, made)
        made.append(folder)
        folder.mkdir(exist_ok=True)


def _publish(parts: list[Path], targets: list[Path]) -> None:
    """Renames every part to its target. If one fails, the targets are as they were before."""
    begun: list[tuple[Path, Path, Path]] = []
    try:
        for part, target in zip(parts, targets, strict=True):
            old = part.with_name(f"{part.name}.old")
            begun.append((part, target, old))
            if len(parts) > 1 and target.exists():
                target.replace(old)
            part.replace(target)
    except BaseException:
        for part, target, old in begun:
            if old.exists():
                old.replace(target)
            elif len(parts) > 1 and not part.exists():
                target.unlink(missing_ok=True)
        raise
    for _, _, old in begun:
        old.unlink(missing_ok=True)


def _is_about_writing(error: OSError, parts: list[Path], targets: list[Path]) -> bool:
    """False for the reading error of another file in the block, which its own reader must explain."""
    if error.errno is None:
        return False
    if error.filename is None:
        return True
    ours = {*parts, *targets, *(folder for target in targets for folder in target.parents)}
    return Path(os.fsdecode(error.filename)) in ours


def _place(
    error: OSError, paths: Sequence[str | Path], parts: list[Path], targets: list[Path]
) -> str:
    """What an error is about, as the caller named it: a file, a folder, or the first of all."""
    if error.filename is None:
        return _shown(Path(paths[0])) + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
    path = Path(os.fsdecode(error.filename))
    return _shown(
        next(
            (Path(name) for name, *at in zip(paths, parts, targets, strict=True) if path in at),
            path,
        )
    )


def _shown(path: Path) -> str:
    """Not the name of a part, where the caller's output is itself a part of a larger one."""
    return str(path.with_name(_PART.sub("", path.name)))


def _discard(parts: list[Path], made: list[Path]) -> None:
    for part in parts:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    for folder in reversed(made):
        with suppress(OSError):
            folder.rmdir()
