"""Tissue from maps of T1, T2, M0 and B1 in NIfTI files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mrftool.arrays import BoolArray, Float32Array
from mrftool.errors import InputError
from mrftool.formats.arrays.volume import ArrayVolume
from mrftool.formats.nifti.header import NiftiHeader
from mrftool.formats.nifti.maps import in_unit, open_b1, open_mask, read_volume
from mrftool.formats.space import require_same_voxels
from mrftool.grid import Grid, Placement
from mrftool.tissue import Tissue

_PER_UNIT = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "msec": 1e-3, "milliseconds": 1e-3}
_T1_MEDIANS = ((0.05, 10.0, "s", 1.0), (50.0, 10_000.0, "ms", 1e-3))
_T2_MEDIANS = ((0.001, 2.5, "s", 1.0), (5.0, 5_000.0, "ms", 1e-3))


@dataclass(frozen=True, eq=False)
class TissueMaps:
    """Tissue of the voxels of a grid, their place in the scanner, and what was assumed to read
    them.
    """

    tissue: Tissue
    grid: Grid
    placement: Placement
    assumptions: tuple[str, ...]


def open_maps(
    t1: str | Path,
    t2: str | Path,
    *,
    m0: str | Path | None = None,
    b1: str | Path | None = None,
    mask: str | Path | None = None,
) -> TissueMaps:
    """Tissue from maps of T1 and T2, and of M0 and B1 if given.

    Voxels count that lie in the mask, have T1 and T2 above 0, and are finite in every map.

    Parameters
    ----------
    t1, t2 : path
        Maps of the relaxation times [s or ms]; the unit is told from the sidecar or the median.
    m0 : path, optional
        Map of M0 [unit of the scan].
    b1 : path, optional
        Map of B1+ relative to its nominal value [1 or %].
    mask : path, optional
        Mask of the voxels that count.

    Raises
    ------
    InputError
        If a map is malformed, or its unit is ambiguous.
    MismatchError
        If the maps lie on different voxels.
    """
    header, t1_image = read_volume(t1)
    t2_header, t2_image = read_volume(t2)
    require_same_voxels(t2, t2_header, t1, header)
    inside = np.ones(header.shape, bool)
    said = header.assumptions
    if mask is not None:
        inside, said_mask = open_mask(mask, header, str(t1))
        said += said_mask
    inside &= (t1_image > 0) & (t2_image > 0)
    t1_image, said_t1 = in_unit(header, "t1", t1_image, inside, _PER_UNIT, _T1_MEDIANS)
    t2_image, said_t2 = in_unit(t2_header, "t2", t2_image, inside, _PER_UNIT, _T2_MEDIANS)
    _require_one_unit(said_t1, said_t2, header, t2_header)
    columns = {"t1": t1_image, "t2": t2_image}
    said += (*said_t1, *said_t2)
    if b1 is not None:
        columns["b1"], said_b1 = open_b1(b1, header, inside, str(t1))
        said += said_b1
    if m0 is not None:
        m0_header, columns["m0"] = read_volume(m0)
        require_same_voxels(m0, m0_header, t1, header)
    return _tissue_maps(columns, inside, header.placement, said)


def _tissue_maps(
    columns: dict[str, Float32Array],
    inside: BoolArray,
    placement: Placement,
    assumptions: tuple[str, ...],
) -> TissueMaps:
    """Tissue of the voxels inside that have a value in every map."""
    finite = inside & np.logical_and.reduce([np.isfinite(image) for image in columns.values()])
    grid = Grid(finite, placement.affine)
    tissue = Tissue(**{name: grid.to_columns(image) for name, image in columns.items()})
    return TissueMaps(tissue, grid, placement, (*assumptions, *_left_out(inside, finite)))


def _require_one_unit(
    said_t1: tuple[str, ...], said_t2: tuple[str, ...], *headers: NiftiHeader | ArrayVolume
) -> None:
    """Two guesses must agree: nobody keeps T1 in seconds and T2 in milliseconds without saying
    so.
    """
    if said_t1 and said_t2 and (" as s," in said_t1[0]) != (" as s," in said_t2[0]):
        raise InputError(
            f"{headers[0].path}, {headers[1].path}: one looks like seconds and the other like "
            "milliseconds",
            hint='state "Units" in their sidecars: s or ms',
        )


def _left_out(inside: BoolArray, finite: BoolArray) -> tuple[str, ...]:
    count = int(inside.sum() - finite.sum())
    if not count:
        return ()
    return (f"{count} voxels without a value in every map are left out.",)
