"""What models and dictionaries share when they meet a scan: whether they belong together, and
blocks into maps.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mrftool.arrays import Array, Progress
from mrftool.errors import MismatchError
from mrftool.formats.sequence.difference import difference_of_files
from mrftool.maps import Maps
from mrftool.quantities import Flag
from mrftool.scan.series import Form, Series, Voxels

Columns = dict[str, Array]

BLOCK_BYTES = (
    16 << 20
)  # of signals that are read at a time; the C library keeps such memory for the next block
_BATCHES = 512  # voxels; a multiple of what models take at a time


_CHOICES = ("model", "dictionary", "seq")  # what a caller may choose otherwise


def check_belongs(
    series: Series,
    what: str,
    *,
    n_time: int,
    form: Form,
    sequence_id: str | None,
    sequence_name: str,
    sequence: Mapping[str, Any] | None = None,
) -> list[str]:
    """Refuse a series that is not made for the model or dictionary (`what`); say what no file
    tells.

    sequence: of the model, as a sequence file holds it, to say what differs.

    Raises MismatchError if its length, its form or its sequence differ.
    """
    if series.n_time != n_time:
        message = f"{series.name}: {series.n_time} time points, expected {n_time} as the {what}"
        if sequence_name:
            message += f" of {sequence_name}"
        message += series.axis_fault(n_time) + _difference(series, sequence)
        raise MismatchError(message, arguments=_CHOICES)
    if series.form != form:
        message = f"{series.name}: a {series.form} series, expected {form} as the {what}"
        if form == "complex":
            hint = f"magnitudes need a {what} that is made for the form 'magnitude'"
            raise MismatchError(message, hint=hint)
        hint = "the form 'magnitude' takes the magnitudes of a complex series"
        raise MismatchError(message, hint=hint, arguments=("form",))
    if None not in (series.sequence_id, sequence_id) and series.sequence_id != sequence_id:
        made, expected = series.sequence_id, sequence_id
        name = _name_of_sequence(series)
        if name:
            made, expected = f"{name} ({made})", f"{sequence_name} ({expected})"
        message = f"{series.name}: made with sequence {made}, expected {expected} as the {what}"
        raise MismatchError(message + _difference(series, sequence), arguments=_CHOICES)
    if sequence_id is None:
        return [f"the {what} does not name its sequence; assumed to be that of the series"]
    if series.sequence_id is None:
        return [
            f"the series does not name its sequence; assumed to be {sequence_name} of the {what}"
        ]
    return []


def _name_of_sequence(series: Series) -> str:
    """As the sidecar says it; "" where it does not."""
    facts = (series.sidecar or {}).get("sequence")
    if not isinstance(facts, Mapping) or not isinstance(facts.get("name"), str):
        return ""
    return str(facts["name"])


def _difference(series: Series, sequence: Mapping[str, Any] | None) -> str:
    """What tells the sequence of a series from another one, in brackets; empty if not known."""
    difference = difference_of_files((series.sidecar or {}).get("sequence"), sequence)
    if not difference:
        return ""
    return f" ({difference})"


def block_bytes(series: Series) -> int:
    """How much of a series to read at a time: whole batches of voxels, since what is left over is
    slow.
    """
    each = series.n_time * (8 if series.form == "complex" else 4)
    voxels = BLOCK_BYTES // each
    return each * (voxels // _BATCHES * _BATCHES or voxels)


def maps_of(
    series: Series,
    found: Iterable[tuple[Voxels, Columns]],
    *,
    assumptions: tuple[str, ...],
    progress: Progress | None = None,
) -> Maps:
    """Maps of a series from columns `(voxel,)` block by block: t1, t2, m0, flags and perhaps more.

    Voxels in no block, and those flagged as masked, are 0.
    """
    images: Columns = {}
    flags = np.full(series.n_voxels, int(Flag.MASKED), np.uint8)
    for voxels, columns in found:
        empty = columns["flags"] & Flag.MASKED > 0
        flags[voxels] = columns["flags"]
        for name, values in columns.items():
            if name != "flags":
                image = images.setdefault(name, np.zeros(series.n_voxels, values.dtype))
                image[voxels] = np.where(empty, 0, values)
        if progress is not None:
            progress(len(voxels))
    shaped = {name: image.reshape(series.shape) for name, image in images.items()}
    zeros = np.zeros(series.shape, np.float32)
    first: dict[str, Any] = {name: shaped.pop(name, zeros) for name in ("t1", "t2", "m0")}
    return Maps(**first, flags=flags.reshape(series.shape), extra=shaped, assumptions=assumptions)
