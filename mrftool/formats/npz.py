"""Dictionaries and tissue images as .npz files, which NumPy reads too. Never pickle.

Dictionary: `signal` (voxel, time) complex64 [m0], the tissue columns `t1`, `t2` [s], `b1`, `m0`
[1], `adc` [m2/s], `off_resonance` [Hz], each (voxel,), and `sequence_json`, the sequence as JSON
text.
Tissue: the same names as images (x, y, z), `mask`, `affine` [mm], and perhaps `labels` that index
`classes`.
"""

import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import Array, ComplexArray
from mrftool.errors import InputError
from mrftool.fingerprints import Fingerprints
from mrftool.formats.atomic import writing
from mrftool.formats.nifti.files import require_space
from mrftool.formats.npz_members import (
    map_member,
    member_names,
    read_member,
    reading_npz,
    streaming_member,
    write_member,
)
from mrftool.grid import Grid
from mrftool.tissue import Tissue

Append = Callable[[ComplexArray], None]
Images = dict[str, Array]

_MS_KEYS = {
    "T1_ms": "t1",
    "T2_ms": "t2",
    "PD": "m0",
    "B1": "b1",
}  # another style: tissue in milliseconds
_LONGEST = 60.0  # [s]; larger numbers are milliseconds
_PICTURE = np.array(
    [[0, -1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], float
)  # row to -y, column to -x


@dataclass(frozen=True, eq=False)
class Dictionary:
    """Simulated fingerprints, the tissue of each, and the sequence as a plain dictionary (None if
    it is not known).
    """

    fingerprints: Fingerprints
    tissue: Tissue
    sequence: dict[str, Any] | None


@dataclass(frozen=True, eq=False)
class TissueImage:
    """Tissue on a grid; labels `(voxel,)` index `classes`, None if the file has none.

    assumptions: sentences, one for each thing that the file does not say and that was taken for
    granted.
    """

    tissue: Tissue
    grid: Grid
    labels: NDArray[np.int16] | None = None
    classes: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()


def save_dictionary(
    path: str | Path,
    fingerprints: Fingerprints,
    tissue: Tissue,
    sequence: Mapping[str, Any] | None = None,
) -> None:
    """Writes a dictionary that is in memory."""
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
    """Writes a dictionary that need not fit into memory: call what it yields with one block of
    fingerprints
    `(voxel, time)` after the other. The file appears when the block ends.

    Raises InputError if the blocks do not add up to the tissue, or the file cannot be written.
    """
    done = 0

    def append(signal: ComplexArray) -> None:
        nonlocal done
        if signal.ndim != 2 or signal.shape[1] != n_time:
            raise InputError(
                f"{path}: fingerprints of shape {signal.shape}, expected (voxel, {n_time})"
            )
        stream.write(np.ascontiguousarray(signal, np.complex64).reshape(-1).view(np.uint8).data)
        done += len(signal)

    with writing(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        require_space(part.parent, len(tissue) * n_time * 8, f"to write {path}")
        for key in Tissue.columns():
            write_member(archive, key, getattr(tissue, key))
        write_member(archive, "sequence_json", np.array(json.dumps(sequence)))
        write_member(archive, "sequence_id", np.array(sequence_id or ""))
        with streaming_member(archive, "signal", (len(tissue), n_time), np.complex64) as stream:
            yield append
        if done != len(tissue):
            raise InputError(
                f"{path}: {done} fingerprints, expected {len(tissue)}, one for each tissue"
            )


def load_dictionary(path: str | Path, *, mapped: bool = False) -> Dictionary:
    """Reads a dictionary. mapped: leave the signal in the file, for dictionaries larger than
    memory.

    Raises InputError if the file is missing, damaged or no dictionary.
    """
    path = Path(path)
    with reading_npz(path) as archive:
        columns = {
            key: read_member(archive, key)
            for key in Tissue.columns()
            if key in member_names(archive)
        }
        signal = (map_member if mapped else read_member)(archive, "signal")
        text = {key: str(read_member(archive, key)) for key in ("sequence_json", "sequence_id")}
        if any(
            column.dtype.kind not in ("fc" if key == "m0" else "f")
            for key, column in columns.items()
        ):
            raise ValueError("a tissue column holds no real numbers")
        if {"t1", "t2"} - columns.keys():
            raise ValueError("has no arrays 't1' and 't2'")
        if signal.dtype.kind not in "fc" or signal.shape[:1] != columns["t1"].shape:
            raise ValueError(
                f"array 'signal' is {signal.dtype} {signal.shape}, not one fingerprint for each t1"
            )
    try:
        sequence = json.loads(text["sequence_json"])
        dictionary = Dictionary(
            Fingerprints(signal, text["sequence_id"] or None), Tissue(**columns), sequence
        )
    except (InputError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: {error}, expected a dictionary") from error
    if not isinstance(sequence, dict | None):
        raise InputError(
            f"{path}: the sequence is a {type(sequence).__name__}, expected a JSON object"
        )
    return dictionary


def save_tissue_npz(
    path: str | Path,
    tissue: Tissue,
    grid: Grid,
    labels: NDArray[np.int16] | None = None,
    classes: tuple[str, ...] = (),
) -> None:
    """Writes tissue as images; 0 outside the mask."""
    images: Images = {key: grid.to_image(getattr(tissue, key)) for key in Tissue.columns()}
    if not images["m0"].imag.any():
        images["m0"] = images["m0"].real
    if labels is not None:
        images |= {
            "labels": grid.to_image(labels, fill=-1),
            "classes": np.array(classes, dtype=str),
        }
    with writing(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, image in {**images, "mask": grid.mask, "affine": grid.affine}.items():
            write_member(archive, key, image)


def load_tissue_npz(path: str | Path) -> TissueImage:
    """Reads tissue images: the files of `save_tissue_npz`, or T1_ms, T2_ms and perhaps PD (and B1)
    in two or three
    dimensions. Without a mask, voxels with a T1 and a T2 of more than 0 count.

    Raises InputError if the file is missing, damaged, or holds no tissue.
    """
    path = Path(path)
    with reading_npz(path) as archive:
        found = {key: read_member(archive, key) for key in member_names(archive) if key in _known()}
    for key, image in found.items():
        if image.dtype.kind not in (
            "U" if key == "classes" else "biufc" if key == "m0" else "biuf"
        ):
            raise InputError(
                f"{path}: array {key!r} has the type {image.dtype}, which is not what it should hold"
            )
    images, labels, classes = _in_seconds(path, found), found.get("labels"), found.get("classes")
    try:
        grid, assumptions = _grid(images, found)
        columns = {
            key: grid.to_columns(_volume(images[key])) for key in Tissue.columns() if key in images
        }
        names = () if classes is None else tuple(str(name) for name in classes)
        indices = None if labels is None else _indices(grid.to_columns(_volume(labels)), len(names))
        return TissueImage(Tissue(**columns), grid, indices, names, assumptions)
    except (InputError, ValueError, IndexError) as error:
        raise InputError(f"{path}: {error}") from error


def _indices(labels: Array, n_classes: int) -> NDArray[np.int16]:
    if labels.max() >= n_classes:
        raise InputError(f"label {labels.max()}, expected one of {n_classes} classes")
    return labels.astype(np.int16)


def _known() -> set[str]:
    return {*Tissue.columns(), *_MS_KEYS, "mask", "affine", "labels", "classes"}


def _in_seconds(path: Path, found: Images) -> Images:
    """Tissue images under our names and in our units, from either style."""
    styles = [{"t1", "t2"} <= found.keys(), {"T1_ms", "T2_ms"} <= found.keys()]
    if sum(styles) != 1:
        raise InputError(
            f"{path}: has {', '.join(sorted(found)) or 'nothing'}, expected t1 and t2, or T1_ms and T2_ms"
        )
    if styles[1]:
        images = {name: found[key] for key, name in _MS_KEYS.items() if key in found}
        return {**images, "t1": images["t1"] / 1e3, "t2": images["t2"] / 1e3}
    longest = max(float(np.nanmax(np.abs(found[key]), initial=0)) for key in ("t1", "t2"))
    if longest > _LONGEST:
        raise InputError(
            f"{path}: t1 or t2 reaches {longest:g}, expected seconds",
            hint="milliseconds are named T1_ms and T2_ms",
        )
    return {key: found[key] for key in Tissue.columns() if key in found}


def _volume(image: Array) -> Array:
    """A picture as a volume of one slice."""
    return image[:, :, None] if image.ndim == 2 else image


def _grid(images: Images, found: Images) -> tuple[Grid, tuple[str, ...]]:
    t1, t2 = images["t1"], images["t2"]
    if t1.shape != t2.shape or t1.ndim not in (2, 3):
        raise InputError(
            f"T1 and T2 have the shapes {t1.shape} and {t2.shape}, expected the same two or three sizes"
        )
    with np.errstate(invalid="ignore"):
        mask = found.get("mask", (t1 > 0) & (t2 > 0) & np.isfinite(t1) & np.isfinite(t2))
    if not np.any(mask):
        raise InputError("no voxel with a T1 and a T2, expected some tissue")
    if "affine" in found:
        return Grid(_volume(mask), found["affine"]), ()
    if t1.ndim == 3:
        return Grid(mask, np.eye(4)), (
            "no affine: axes taken as right, front, up, with voxels of 1 mm",
        )
    assumed = "no affine: rows taken from front to back, columns from the patient's right to left, voxels of 1 mm"
    return Grid(_volume(mask), _PICTURE), (assumed,)
