"""Outputs belong to one run: its report names them; another run asks before it replaces them."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mrftool.errors import ArgumentError, InputError
from mrftool.formats.bids import map_path, report_folder
from mrftool.formats.json_text import json_text, read_json
from mrftool.quantities import QUANTITIES
from mrftool.workflows.steps.outputs.places import keep_inputs, require_file_places

ANONYMOUS = Path("anonymous")  # in place of the name of a scan
REPORT, PICTURE, PAGE = "report.json", "overview.png", "report.html"


@dataclass(frozen=True)
class RunIdentity:
    """What makes a run the same run when it is repeated.

    Parameters
    ----------
    command : str
        "quantify" or "match".
    source : Path
        The scan.
    options : dict
        What the caller chose, by name; None where the default was taken.
    is_anonymous : bool
        Whether outputs say nothing of the scan. Then no run is known to be the same.

    """

    command: str
    source: Path
    options: Mapping[str, object]
    is_anonymous: bool = False

    @property
    def named_after(self) -> Path:
        """What the outputs have their names from."""
        if self.is_anonymous:
            return ANONYMOUS
        return self.source

    def facts(self) -> dict[str, Any]:
        """As the report keeps it."""
        if self.is_anonymous:
            return {"command": self.command, "source": str(ANONYMOUS), "options": {}}
        chosen = {name: str(value) for name, value in self.options.items() if value is not None}
        return {
            "command": self.command,
            "source": os.path.realpath(self.source),
            "options": chosen,
        }


def require_own_outputs(folder: Path, identity: RunIdentity, *, overwrite: bool) -> None:
    """Raise ArgumentError if `folder` holds the maps of another run, unless they may be replaced.

    The same run may be repeated: the same command, scan and options. Raises InputError if something
    that is not a file, such as a folder, has the name of an output.
    """
    place = report_folder(folder, identity.named_after)
    require_file_places(place / name for name in (REPORT, PICTURE, PAGE))
    if overwrite:
        return
    former = _read(place / REPORT)
    if former.get("run") == identity.facts() and not identity.is_anonymous:
        return
    what = _held(folder, former, identity)
    if what is None:
        return
    raise ArgumentError(
        f"{what}, expected another folder",
        hint="overwriting replaces them",
        arguments=("overwrite",),
    )


def _held(folder: Path, former: Mapping[str, Any], identity: RunIdentity) -> str | None:
    """What `folder` holds of another run, in words; None without maps of one."""
    if former:
        about = former.get("run") or {}
        name = about.get("source") or "a scan"
        command = about.get("command", "a run")
        return f"{folder} holds the maps of another run ({command} of {name})"
    maps = [map_path(folder, identity.named_after, name) for name in QUANTITIES]
    there = [path for path in maps if path.exists()]
    keep_inputs([identity.source], there)
    if not there:
        return None
    return f"{there[0]} exists, and no report says which run made it"


def former_outputs(place: Path) -> list[Path]:
    """The files that the report in `place` names as those of its run."""
    names = _read(place / REPORT).get("outputs")
    if not isinstance(names, list):
        return []
    return [_inside(place, str(name)) for name in names]


def with_record(
    contents: Mapping[str, Any], place: Path, identity: RunIdentity, outputs: Iterable[Path]
) -> str:
    """The text of a report, with its run and the files of that run, relative to `place`."""
    names = sorted(os.path.relpath(path, place) for path in outputs)
    return json_text({**contents, "run": identity.facts(), "outputs": names}) + "\n"


def remove_stale(folder: Path, former: Iterable[Path], current: Iterable[Path]) -> list[Path]:
    """Remove the files of a former run in `folder` that the present one did not write again.

    Returns
    -------
    list of Path
        What was removed.

    """
    kept = {os.path.realpath(path) for path in current}
    root = Path(os.path.realpath(folder))
    removed = []
    for path in former:
        real = Path(os.path.realpath(path))
        if str(real) in kept or root not in real.parents or not real.is_file():
            continue
        real.unlink()
        removed.append(path)
        for parent in real.parents:
            if parent == root:
                break
            with suppress(OSError):  # others lie in it
                parent.rmdir()
    return removed


def _read(path: Path) -> dict[str, Any]:
    """A report; nothing if there is none that can be read."""
    try:
        facts = read_json(path, "a report")
    except (InputError, ValueError):
        return {}
    if not isinstance(facts, dict):
        return {}
    return facts


def _inside(place: Path, name: str) -> Path:
    return Path(os.path.normpath(place / name))
