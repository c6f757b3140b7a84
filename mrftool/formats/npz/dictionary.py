"""Dictionaries as .npz files, which NumPy reads too. Reads and writes schema 1.

Arrays: `mrftool_dictionary`, the schema number; `signal` (voxel, time) complex64 [m0]; the tissue
columns `t1`, `t2` [s], `b1`, `m0` [1], `adc` [m2/s], `off_resonance` [Hz], `r2_prime` [1/s], each
(voxel,); `sequence_json`, the sequence as JSON text; `sequence_id`.
"""

import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import Array, ComplexArray
from mrftool.errors import InputError
from mrftool.fingerprints import Fingerprints
from mrftool.formats.atomic import writing
from mrftool.formats.nifti.files import require_space
from mrftool.formats.npz.members import (
    map_member,
    member_names,
    read_member,
    reading_npz,
    require_schema,
    streaming_member,
    write_member,
)
from mrftool.tissue import Tissue

Append = Callable[[ComplexArray], None]

SCHEMA = 1
_SCHEMA_KEY = "mrftool_dictionary"
_TEXTS = ("sequence_json", "sequence_id")


@dataclass(frozen=True, eq=False)
class Dictionary:
    """Simulated fingerprints, the tissue of each, and the sequence as plain data.

    `sequence` is None if it is not known.
    """

    fingerprints: Fingerprints
    tissue: Tissue
    sequence: dict[str, Any] | None


def save_dictionary(
    path: str | Path,
    fingerprints: Fingerprints,
    tissue: Tissue,
    sequence: Mapping[str, Any] | None = None,
) -> None:
    """Write a dictionary that is in memory."""
    n_time = fingerprints.signal.shape[1]
    with writing_dictionary(
        path, tissue, n_time, sequence, sequence_id=fingerprints.sequence_id
    ) as append:
        append(fingerprints.signal)


@contextmanager
def writing_dictionary(
    path: str | Path,
    tissue: Tissue,
    n_time: int,
    sequence: Mapping[str, Any] | None = None,
    *,
    sequence_id: str | None = None,
) -> Iterator[Append]:
    """Write a dictionary that need not fit into memory. The file appears when the block ends.

    Yields a function that takes one block of fingerprints `(voxel, time)` [m0] after the other.

    Raises
    ------
    InputError
        If the blocks do not add up to the tissue, or the file cannot be written.
    """
    n_done = 0

    def append(signal: ComplexArray) -> None:
        nonlocal n_done
        if signal.ndim != 2 or signal.shape[1] != n_time:
            raise InputError(
                f"{path}: fingerprints of shape {signal.shape}, expected (voxel, {n_time})"
            )
        flat = np.ascontiguousarray(signal, np.complex64).reshape(-1)
        stream.write(flat.view(np.uint8).data)
        n_done += len(signal)

    with writing(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        require_space(part.parent, len(tissue) * n_time * 8, f"to write {path}")
        write_member(archive, _SCHEMA_KEY, np.array(SCHEMA))
        for key in Tissue.columns():
            write_member(archive, key, getattr(tissue, key))
        write_member(archive, "sequence_json", np.array(json.dumps(sequence)))
        write_member(archive, "sequence_id", np.array(sequence_id or ""))
        with streaming_member(archive, "signal", (len(tissue), n_time), np.complex64) as stream:
            yield append
        if n_done != len(tissue):
            raise InputError(
                f"{path}: {n_done} fingerprints, expected {len(tissue)}, one for each tissue"
            )


def is_dictionary(path: Path) -> bool:
    """Whether a file says that it is a dictionary of mrftool, of whatever schema."""
    try:
        with reading_npz(path) as archive:
            return _SCHEMA_KEY in member_names(archive)
    except InputError:
        return False


def load_dictionary(path: str | Path, *, mapped: bool = False) -> Dictionary:
    """Read a dictionary of schema 1. Files without a schema number count as schema 1.

    Parameters
    ----------
    path : str or Path
        Of the .npz file.
    mapped : bool
        Leave the signal in the file, for dictionaries larger than memory.

    Raises
    ------
    InputError
        If the file is missing, damaged, of another schema, or no dictionary.
    """
    path = Path(path)
    read_signal = read_member
    if mapped:
        read_signal = map_member
    with reading_npz(path) as archive:
        require_schema(archive, _SCHEMA_KEY, SCHEMA)
        present = member_names(archive)
        columns = {k: read_member(archive, k) for k in Tissue.columns() if k in present}
        signal = read_signal(archive, "signal")
        texts = {key: str(read_member(archive, key)) for key in _TEXTS}
        _require_types(columns, signal)
    try:
        sequence = json.loads(texts["sequence_json"])
        fingerprints = Fingerprints(signal, texts["sequence_id"] or None)
        dictionary = Dictionary(fingerprints, Tissue(**columns), sequence)
    except (InputError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: {error}, expected a dictionary") from error
    if not isinstance(sequence, dict | None):
        kind = type(sequence).__name__
        raise InputError(f"{path}: the sequence is a {kind}, expected a JSON object")
    return dictionary


def _require_types(columns: dict[str, Array], signal: Array) -> None:
    """Raise ValueError unless the arrays are numbers that belong together."""
    for key, column in columns.items():
        kinds = "f"
        if key == "m0":
            kinds = "fc"
        if column.dtype.kind not in kinds:
            raise ValueError(f"tissue column {key!r} holds no real numbers")
    if {"t1", "t2"} - columns.keys():
        raise ValueError("has no arrays 't1' and 't2'")
    if signal.dtype.kind not in "fc" or signal.shape[:1] != columns["t1"].shape:
        raise ValueError(
            f"array 'signal' is {signal.dtype} {signal.shape}, not one fingerprint for each t1"
        )
