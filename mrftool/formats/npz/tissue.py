"""Tissue as images in .npz files, which NumPy reads too. Reads and writes schema 1.

Arrays: `mrftool_tissue`, the schema number; `t1`, `t2` [s], `b1`, `m0` [1], `adc` [m2/s],
`off_resonance` [Hz], each (x, y, z); `mask`; `affine` [mm]; and perhaps `labels`, which index the
names in `classes`. Images of other tools are named T1_ms and T2_ms [ms], PD and B1 [1].
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import Array
from mrftool.errors import InputError
from mrftool.formats.atomic import writing
from mrftool.formats.npz.members import (
    member_names,
    read_member,
    reading_npz,
    require_schema,
    write_member,
)
from mrftool.grid import Grid
from mrftool.tissue import Tissue

Images = dict[str, Array]

SCHEMA = 1
LONGEST_TIME = 60.0  # [s]; larger numbers are milliseconds
_SCHEMA_KEY = "mrftool_tissue"
_FOREIGN_NAMES = {"T1_ms": "t1", "T2_ms": "t2", "PD": "m0", "B1": "b1"}
_PICTURE_AXES = [[0, -1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
_KINDS = {"classes": "U", "m0": "biufc"}  # kinds of dtype; all others hold real numbers


@dataclass(frozen=True, eq=False)
class TissueImage:
    """Tissue on a grid.

    Attributes
    ----------
    tissue : Tissue
    grid : Grid
    labels : array or None
        Index into `classes` of each voxel `(voxel,)`.
    classes : tuple of str
    assumptions : tuple of str
        A sentence for each thing that the file does not say and that was assumed.
    """

    tissue: Tissue
    grid: Grid
    labels: NDArray[np.int16] | None = None
    classes: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()


def save_tissue_npz(
    path: str | Path,
    tissue: Tissue,
    grid: Grid,
    labels: NDArray[np.int16] | None = None,
    classes: tuple[str, ...] = (),
) -> None:
    """Write tissue as images that are 0 outside the mask."""
    images: Images = {key: grid.to_image(getattr(tissue, key)) for key in Tissue.columns()}
    if not images["m0"].imag.any():
        images["m0"] = images["m0"].real
    if labels is not None:
        images["labels"] = grid.to_image(labels, fill=-1)
        images["classes"] = np.array(classes, dtype=str)
    images |= {"mask": grid.mask, "affine": grid.affine, _SCHEMA_KEY: np.array(SCHEMA)}
    with writing(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, image in images.items():
            write_member(archive, key, image)


def load_tissue_npz(path: str | Path) -> TissueImage:
    """Read tissue images of schema 1, in two or three dimensions, or those of other tools.

    Files without a schema number count as schema 1. Without a mask, voxels with a T1 and a T2 of
    more than 0 count.

    Raises
    ------
    InputError
        If the file is missing, damaged, of another schema, or holds no tissue.
    """
    path = Path(path)
    known = {*Tissue.columns(), *_FOREIGN_NAMES, "mask", "affine", "labels", "classes"}
    with reading_npz(path) as archive:
        require_schema(archive, _SCHEMA_KEY, SCHEMA)
        found = {key: read_member(archive, key) for key in member_names(archive) & known}
    for key, image in found.items():
        if image.dtype.kind not in _KINDS.get(key, "biuf"):
            kind = image.dtype
            raise InputError(
                f"{path}: array {key!r} has the type {kind}, which is not what it should hold"
            )
    images = _in_seconds(path, found)
    try:
        return _tissue_image(images, found)
    except (InputError, ValueError, IndexError) as error:
        raise InputError(f"{path}: {error}") from error


def _tissue_image(images: Images, found: Images) -> TissueImage:
    grid, assumptions = _grid(images, found)
    columns = {key: grid.to_columns(_volume(image)) for key, image in images.items()}
    classes, labels = _classes(found), None
    if "labels" in found:
        labels = _indices(grid.to_columns(_volume(found["labels"])), len(classes))
    return TissueImage(Tissue(**columns), grid, labels, classes, assumptions)


def _classes(found: Images) -> tuple[str, ...]:
    if "classes" not in found:
        return ()
    names = found["classes"]
    if names.ndim != 1:
        raise InputError(f"classes have the shape {names.shape}, expected a list of names")
    return tuple(str(name) for name in names)


def _indices(labels: Array, n_classes: int) -> NDArray[np.int16]:
    if labels.max() >= n_classes:
        raise InputError(f"label {labels.max()}, expected one of {n_classes} classes")
    return labels.astype(np.int16)


def _in_seconds(path: Path, found: Images) -> Images:
    """Tissue images under our names and in our units."""
    is_own = {"t1", "t2"} <= found.keys()
    is_foreign = {"T1_ms", "T2_ms"} <= found.keys()
    if is_own == is_foreign:
        names = ", ".join(sorted(found)) or "nothing"
        raise InputError(f"{path}: has {names}, expected t1 and t2, or T1_ms and T2_ms")
    if is_foreign:
        return _from_milliseconds(found)
    longest = max(float(np.nanmax(np.abs(found[key]), initial=0)) for key in ("t1", "t2"))
    if longest > LONGEST_TIME:
        raise InputError(
            f"{path}: t1 or t2 reaches {longest:g}, expected seconds",
            hint="milliseconds are named T1_ms and T2_ms",
        )
    return {key: found[key] for key in Tissue.columns() if key in found}


def _from_milliseconds(found: Images) -> Images:
    """Images under the names of other tools, under ours and in seconds."""
    images = {name: found[key] for key, name in _FOREIGN_NAMES.items() if key in found}
    return {**images, "t1": images["t1"] / 1e3, "t2": images["t2"] / 1e3}


def _grid(images: Images, found: Images) -> tuple[Grid, tuple[str, ...]]:
    """The grid of the file, or an assumed one with a sentence that says so."""
    t1, t2 = images["t1"], images["t2"]
    if t1.shape != t2.shape or t1.ndim not in (2, 3):
        raise InputError(
            f"T1 and T2 have the shapes {t1.shape} and {t2.shape}, expected the same two or three "
            "sizes"
        )
    with np.errstate(invalid="ignore"):
        positive = (t1 > 0) & (t2 > 0) & np.isfinite(t1) & np.isfinite(t2)
    mask = found.get("mask", positive)
    if not np.any(mask):
        raise InputError("no voxel with a T1 and a T2, expected some tissue")
    if "affine" in found:
        return Grid(_volume(mask), found["affine"]), ()
    if t1.ndim == 3:
        assumed = "no affine: axes assumed to be right, front, up, with voxels of 1 mm"
        return Grid(mask, np.eye(4)), (assumed,)
    assumed = (
        "no affine: rows assumed to run from front to back, columns from the patient's right to "
        "left, with voxels of 1 mm"
    )
    return Grid(_volume(mask), np.array(_PICTURE_AXES, float)), (assumed,)


def _volume(image: Array) -> Array:
    """A picture as a volume of one slice."""
    if image.ndim == 2:
        return image[:, :, None]
    return image
