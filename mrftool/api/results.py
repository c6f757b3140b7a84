"""Writing maps, and comparing them with reference values."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from mrftool.environment.reporter import Reporter, SilentReporter
from mrftool.errors import ArgumentError, MismatchError
from mrftool.evaluation.metrics import Score
from mrftool.evaluation.reference import Reference, read_reference
from mrftool.formats.bids import map_description, map_path
from mrftool.formats.nifti.write import write_maps as write_nifti_maps
from mrftool.grid import Grid, Placement
from mrftool.maps import Maps
from mrftool.quantities import quantity
from mrftool.tissue import Tissue


def write_maps(
    maps: Maps, folder: str | Path, *, affine: ArrayLike | None = None
) -> dict[str, Path]:
    """Write maps as NIfTI files with their units in header and sidecar.

    Parameters
    ----------
    maps : Maps
        What `quantify` or `match` returned.
    folder : str or Path
        It is made where it does not exist.
    affine : array_like, optional
        Voxel index to millimetres in RAS+ `(4, 4)` [mm], as `Series.affine`; by default voxels of
        1 mm.

    Returns
    -------
    dict
        The file of each map, by its name.

    """
    if affine is None:
        affine = np.eye(4)
    paths = {name: map_path(folder, "", name) for name, _ in maps.images()}
    images = [
        (paths[name], image, map_description(name), {"Units": quantity(name).unit.name})
        for name, image in maps.images()
    ]
    write_nifti_maps(images, Placement(np.asarray(affine, np.float64)))
    return paths


def evaluate(
    maps: Maps,
    reference: str | Path | Mapping[str, ArrayLike],
    *,
    mask: ArrayLike | None = None,
    reporter: Reporter | None = None,
) -> list[Score]:
    """Compare maps with reference values: bias, spread and calibration of T1 and T2.

    Parameters
    ----------
    maps : Maps
        What `quantify` or `match` returned.
    reference : str, Path or dict
        A scan that `mrftool simulate` wrote, with its true maps beside it; tissue maps (.npz); a
        folder that `mrftool quantify` wrote; or arrays "t1" and "t2" `(x, y, z)` [s].
    mask : array_like, optional
        Voxels that count `(x, y, z)`; by default those whose reference T1 and T2 are positive.
    reporter : Reporter, optional
        Hears of progress and notes.

    Returns
    -------
    list of Score
        For T1 and T2: over all voxels, then for each tissue class that the reference names. Where
        the reference is a simulated scan, errors are compared with the Cramer-Rao bound.

    Raises
    ------
    MismatchError
        If maps and reference have different voxels.

    """
    from mrftool.workflows.evaluation.evaluate_maps import compare_images

    expected = _reference(reference)
    if expected.shape != maps.t1.shape:
        raise MismatchError(
            f"the maps have {maps.t1.shape} voxels, expected {expected.shape} as the reference"
        )
    if mask is not None:
        expected = expected.within(np.asarray(mask, bool))
    form = "magnitude"
    if np.iscomplexobj(maps.m0):
        form = "complex"
    images = dict(maps.images())
    return compare_images(images, expected, form, reporter or SilentReporter()).scores


def _reference(reference: str | Path | Mapping[str, ArrayLike]) -> Reference:
    if isinstance(reference, str | Path):
        return read_reference(Path(reference))
    if not {"t1", "t2"} <= reference.keys():
        raise ArgumentError("the reference has no t1 or no t2, expected both [s]")
    t1, t2 = (np.asarray(reference[name], np.float64) for name in ("t1", "t2"))
    if t1.shape != t2.shape or t1.ndim != 3:
        raise ArgumentError(
            f"the reference has T1 of shape {t1.shape} and T2 of shape {t2.shape}, expected the "
            "same (x, y, z)"
        )
    grid = Grid((t1 > 0) & (t2 > 0), np.eye(4))
    return Reference(Tissue(grid.to_columns(t1), grid.to_columns(t2)), grid)
