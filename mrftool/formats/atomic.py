"""Outputs that are whole or absent: written beside their place, and renamed once complete."""

import os
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mrftool.errors import InputError
from mrftool.formats.leftovers import Watch, watched

_PART = re.compile(r"^\.[0-9a-f]{12}\.part\.")


@contextmanager
def writing(path: str | Path) -> Iterator[Path]:
    """Yield a path to write to. It becomes `path` when the block ends, and is removed if it fails.

    The yielded path is in the same folder and ends in the same name, for libraries that look at
    suffixes. The file exists already, empty: a folder that is missing or cannot be written is
    reported before the work begins.

    Raises
    ------
    InputError
        If the file cannot be written: no such folder, no permission, no space, no regular file.
    """
    with all_or_none([path]) as (part,):
        yield part


@contextmanager
def all_or_none(paths: Sequence[str | Path], *, make_folders: bool = False) -> Iterator[list[Path]]:
    """Like `writing`, for files that must appear together: all, or none and the old ones unchanged.

    Parameters
    ----------
    paths : sequence of str or Path
        Of the files to write.
    make_folders : bool
        Create missing folders, and remove them again if the block fails.

    Raises
    ------
    InputError
        If one of the files cannot be written, or is named twice.
    """
    targets = _distinct_targets(paths)
    token = uuid.uuid4().hex[:12]
    parts = [target.with_name(f".{token}.part.{target.name}") for target in targets]
    missing: list[Path] = []
    if make_folders:
        missing = _missing_folders(targets)
    files = [(part, _old(part), target) for part, target in zip(parts, targets, strict=True)]
    with watched(files, missing[::-1]) as watch:
        done = False
        try:
            for folder in missing:
                folder.mkdir(exist_ok=True)
            _prepare(paths, targets, parts)
            yield parts
            _publish(files, watch)
            done = True
        except OSError as error:
            if not _is_about_writing(error, parts, targets):
                raise
            place = _place(error, paths, parts, targets)
            raise InputError(f"{place}: cannot be written: {error.strerror or error}") from error
        finally:
            if not done:
                _discard(parts, missing)
                watch.settled()


def _distinct_targets(paths: Sequence[str | Path]) -> list[Path]:
    """Where the files really lie; no two in one place."""
    targets = [Path(os.path.realpath(path)) for path in paths]
    if len(set(targets)) < len(targets):
        named = ", ".join(str(path) for path in paths)
        raise InputError(
            f"{named}: the same file is named twice, expected one place for each output"
        )
    return targets


def _missing_folders(targets: Sequence[Path]) -> list[Path]:
    """The folders of all targets that do not exist, the outermost first."""
    missing: dict[Path, None] = {}
    for target in targets:
        missing |= dict.fromkeys(
            folder for folder in reversed(target.parents) if not folder.exists()
        )
    return list(missing)


def _old(part: Path) -> Path:
    """Where a target goes while its part takes its place."""
    return part.with_name(f"{part.name}.old")


def _prepare(paths: Sequence[str | Path], targets: list[Path], parts: list[Path]) -> None:
    """Create the empty parts."""
    for path, target, part in zip(paths, targets, parts, strict=True):
        if target.exists() and not target.is_file():
            raise InputError(f"{path}: is no regular file, expected a file name to write to")
        part.open("xb").close()


def _publish(files: Sequence[tuple[Path, Path, Path]], watch: Watch) -> None:
    """Rename every part to its target. If one fails, the targets are as they were before."""
    if len(files) == 1:
        part, _, target = files[0]
        part.replace(target)
        watch.settled()
        return
    begun: list[tuple[Path, Path, Path]] = []
    watch.publishing()
    try:
        for part, old, target in files:
            begun.append((part, old, target))
            if target.exists():
                target.replace(old)
            part.replace(target)
    except BaseException:
        _restore(begun)
        raise
    watch.settled()
    for _, old, _ in files:
        old.unlink(missing_ok=True)


def _restore(begun: Sequence[tuple[Path, Path, Path]]) -> None:
    """Bring back what each target was before: an older file, or nothing."""
    for part, old, target in begun:
        if old.exists():
            old.replace(target)
        elif not part.exists():
            target.unlink(missing_ok=True)


def _is_about_writing(error: OSError, parts: list[Path], targets: list[Path]) -> bool:
    """False for an error of another file in the block, which its own reader must explain."""
    if error.errno is None:
        return False
    if error.filename is None:
        return True
    ours = {*parts, *targets, *(folder for target in targets for folder in target.parents)}
    return Path(os.fsdecode(error.filename)) in ours


def write_text(text: str, path: Path) -> None:
    """Write a file as a whole, or not at all."""
    with writing(path) as part:
        part.write_text(text, encoding="utf-8")


def _place(
    error: OSError, paths: Sequence[str | Path], parts: list[Path], targets: list[Path]
) -> str:
    """What an error is about, as the caller named it: a file, a folder, or the first of all."""
    if error.filename is None:
        first = _shown(Path(paths[0]))
        if len(paths) == 1:
            return first
        return f"{first} and {len(paths) - 1} more"
    place = Path(os.fsdecode(error.filename))
    for path, part, target in zip(paths, parts, targets, strict=True):
        if place in (part, target):
            return _shown(Path(path))
    return _shown(place)


def _shown(path: Path) -> str:
    """The path without the name of a part, as an output can itself be part of a larger one."""
    return str(path.with_name(_PART.sub("", path.name)))


def _discard(parts: list[Path], made: list[Path]) -> None:
    for part in parts:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    for folder in reversed(made):
        with suppress(OSError):
            folder.rmdir()
