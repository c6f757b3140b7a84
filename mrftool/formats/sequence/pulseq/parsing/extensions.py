"""Extensions of the blocks of a Pulseq file: labels, rotations, triggers, RF shims, soft delays."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import InputError
from mrftool.formats.sequence.pulseq.parsing.sections import Sections, number, whole

NO_IMAGE = ("NAV", "NOISE")  # labels of readouts that make no image
_PHYSIOLOGICAL = 2  # kind of trigger, by the specification
_KNOWN = {"TRIGGERS", "LABELSET", "LABELINC", "DELAYS", "ROTATIONS", "RF_SHIMS"}
_MOST_IN_ONE_BLOCK = 1000


@dataclass(frozen=True, eq=False)
class Extension:
    """What the extensions of one block say.

    `rotation` `(3, 3)` turns its gradients. `labels` are sets ("=") and increments ("+").
    `waits`: whether it begins with a wait for a physiological trigger.
    """

    rotation: FloatArray | None = None
    shim: tuple[str, ...] | None = None
    labels: tuple[tuple[str, str, int], ...] = ()
    waits: bool = False


@dataclass(eq=False)
class Extensions:
    """All extensions of a file, by the number that a block gives."""

    sections: Sections
    links: dict[int, tuple[int, int, int]]
    names: dict[int, str]
    rows: dict[str, dict[int, Any]]
    _decoded: dict[int, Extension] = field(default_factory=dict)

    def of_block(self, first: int) -> Extension:
        """Decode the linked list that begins with `first`; 0 is an empty one."""
        if first not in self._decoded:
            self._decoded[first] = self._decode(first)
        return self._decoded[first]

    def _decode(self, first: int) -> Extension:
        rotation, shim, waits = None, None, False
        labels: list[tuple[str, str, int]] = []
        for name, event in self._list(first):
            if name == "ROTATIONS":
                rotation = event
            elif name == "RF_SHIMS":
                shim = tuple(event)
            elif name == "LABELSET":
                labels.append(("=", *event))
            elif name == "LABELINC":
                labels.append(("+", *event))
            elif name == "TRIGGERS":
                waits = waits or event[:1] == [str(_PHYSIOLOGICAL)]
        return Extension(rotation, shim, tuple(labels), waits)

    def _list(self, first: int) -> list[tuple[str, Any]]:
        """Names and events of the extensions in a linked list."""
        found: list[tuple[str, Any]] = []
        entry = first
        while entry != 0:
            if entry not in self.links or len(found) == _MOST_IN_ONE_BLOCK:
                raise InputError(f"extension {entry} is missing or never ends")
            kind, reference, entry = self.links[entry]
            name = self.names.get(kind, "")
            if name in self.rows and reference not in self.rows[name]:
                raise InputError(f"event {reference} of the extension {name} is missing")
            found.append((name, self.rows.get(name, {}).get(reference, [])))
        return found


def read_extensions(sections: Sections) -> tuple[Extensions, list[str]]:
    """Read all extensions, and notes on those that are left out.

    Raises
    ------
    InputError
        If the file needs an extension that is not known.
    """
    links = sections.rows("[EXTENSIONS]", _link)
    names: dict[int, str] = {}
    rows: dict[str, dict[int, Any]] = {}
    for title in sections.lines:
        words = title.split()
        if words[0] == "extension":
            if len(words) != 3 or not words[2].isdecimal() or len(words[2]) > 9:
                raise InputError(f"{sections.path}: {title[:40]!r}, expected a name and a number")
            names[int(words[2])] = words[1]
            rows[words[1]] = sections.rows(title, _PARSERS.get(words[1], list))
    _refuse_unplayable(sections)
    return Extensions(sections, links, names, rows), _notes(rows)


def _refuse_unplayable(sections: Sections) -> None:
    required = set(sections.definitions.get("RequiredExtensions", ()))
    unknown = sorted(required - _KNOWN)
    if unknown:
        raise InputError(
            f"{sections.path}: needs the extension {', '.join(unknown)}, expected one of "
            f"{', '.join(sorted(_KNOWN))}"
        )


def _notes(rows: dict[str, dict[int, Any]]) -> list[str]:
    notes = []
    unknown = sorted(rows.keys() - _KNOWN)
    if unknown:
        notes.append(f"extensions that are not known are left out: {', '.join(unknown)}")
    if rows.get("DELAYS"):
        notes.append("soft delays have the length that the file gives them")
    return notes


def _link(words: list[str]) -> tuple[int, int, int]:
    """Kind and number of an extension, and the next entry of the list."""
    return whole(words[0]), whole(words[1]), whole(words[2])


def _label(words: list[str]) -> tuple[str, int]:
    return words[1], whole(words[0])


def _rotation_matrix(words: list[str]) -> FloatArray:
    """The matrix `(3, 3)` of a quaternion (w, x, y, z), which need not be normalised exactly."""
    quaternion = [number(word) for word in words]
    norm = float(np.linalg.norm(quaternion))
    if len(quaternion) != 4 or not 0.5 < norm < 2:
        raise ValueError("no unit quaternion")
    w, x, y, z = np.array(quaternion) / norm
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


_PARSERS: dict[str, Callable[[list[str]], Any]] = {
    "ROTATIONS": _rotation_matrix,
    "LABELSET": _label,
    "LABELINC": _label,
}
