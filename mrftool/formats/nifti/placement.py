"""Where a NIfTI image lies in space: its sform, its qform, or its voxel sizes alone.

Source: the comments of nifti1.h, NIfTI Data Format Working Group, https://nifti.nimh.nih.gov.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import InputError
from mrftool.formats.space import displacement
from mrftool.grid import Placement

_TO_MM = {0: 1.0, 1: 1e3, 2: 1.0, 3: 1e-3}
_LONGEST_QUATERNION = 1.001  # beyond float32 rounding, b, c and d are not those of a rotation
_DIFFERENT = 0.02  # of the shortest edge of a voxel


def placement_of(raw: Any, shape: tuple[int, int, int], path: Path) -> tuple[Placement, list[str]]:
    """Where the image lies, and sentences of what had to be assumed.

    The sform counts where both forms are sound; where one is malformed, the other.

    Parameters
    ----------
    raw : record
        The fields of the header.
    shape : tuple of int
        Number of voxels along x, y and z.
    path : Path
        Of the file, for messages.

    Raises
    ------
    InputError
        If no form that the header states is sound.
    """
    codes, unit = _codes(raw, path)
    to_mm = np.diag([_TO_MM[unit]] * 3 + [1.0])
    sizes, said = _voxel_sizes(raw, shape, path)
    forms = {"sform": lambda: _sform(raw), "qform": lambda: _qform(raw, sizes)}
    stated = {"sform": codes[1], "qform": codes[0]}
    faults: list[str] = []
    found: dict[str, FloatArray] = {}
    for name, read in forms.items():
        if stated[name]:
            found |= _sound_form(name, read, to_mm, faults)
    if faults and not found:
        raise InputError(f"{path}: its place in space is malformed: {'; '.join(faults)}")
    if codes == (0, 0):
        found["voxel sizes"] = to_mm @ np.diag([*sizes, 1.0])
    sentences = [*_sentences(found, faults, codes, shape, path), *_unit_sentences(unit, path)]
    if not found.keys() & {"sform"}:
        sentences += said
    return _placement(found, codes, path), sentences


def _codes(raw: Any, path: Path) -> tuple[tuple[int, int], int]:
    """Codes of the qform and the sform, and that of the unit of length."""
    codes = int(raw["qform_code"]), int(raw["sform_code"])
    unit = int(raw["xyzt_units"]) & 7
    if not all(0 <= code <= 5 for code in codes) or unit not in _TO_MM:
        raise InputError(
            f"{path}: has qform and sform codes {codes} and unit of length {unit}, "
            "expected known codes"
        )
    return codes, unit


def _placement(found: dict[str, FloatArray], codes: tuple[int, int], path: Path) -> Placement:
    kept = tuple(
        code * (name in found) for code, name in zip(codes, ("qform", "sform"), strict=True)
    )
    affine = next(iter(found.values()))
    qform = None
    if "sform" in found:
        qform = found.get("qform")
    try:
        return Placement(affine, (kept[0], kept[1]), qform)
    except InputError as error:
        raise InputError(f"{path}: its place in space is malformed: {error}") from error


def _sound_form(
    name: str, read: Callable[[], FloatArray], to_mm: FloatArray, faults: list[str]
) -> dict[str, FloatArray]:
    """The form [mm], if it is a place in space; otherwise nothing, and a fault more."""
    try:
        with np.errstate(all="ignore"):
            affine = Placement(to_mm @ read()).affine
    except (InputError, ValueError, np.linalg.LinAlgError) as error:
        faults.append(f"{name}: {error}")
        return {}
    return {name: affine}


def _sform(raw: Any) -> FloatArray:
    rows = [np.asarray(raw[name], np.float64) for name in ("srow_x", "srow_y", "srow_z")]
    return np.array([*rows, [0.0, 0.0, 0.0, 1.0]])


def _qform(raw: Any, sizes: FloatArray) -> FloatArray:
    """Rotation by a unit quaternion (a, b, c, d), of which the header has the last three; pixdim[0]
    tells whether the slice axis is mirrored.
    """
    vector = np.array([float(raw[f"quatern_{name}"]) for name in "bcd"])
    length = float(np.linalg.norm(vector))
    if not length <= _LONGEST_QUATERNION:  # NaN too
        raise ValueError(f"its quaternion has length {length:.7g}, expected at most 1")
    if not (np.isfinite(sizes).all() and (sizes > 0).all()):
        raise ValueError(f"its voxels measure {_times(sizes)}, expected positive lengths")
    b, c, d = vector / max(length, 1.0)
    a = np.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    mirrored = np.array([1.0, 1.0, 1.0])
    if raw["pixdim"][0] < 0:
        mirrored[2] = -1.0
    affine = np.eye(4)
    affine[:3, :3] = rotation * (sizes * mirrored)
    affine[:3, 3] = [float(raw[f"qoffset_{axis}"]) for axis in "xyz"]
    return affine


def _voxel_sizes(raw: Any, shape: tuple[int, int, int], path: Path) -> tuple[FloatArray, list[str]]:
    """Sizes as the header has them; 1 where an axis of one voxel has none, and a sentence of
    that.
    """
    sizes = np.asarray(raw["pixdim"][1:4], np.float64)
    missing = ~(sizes > 0) & (np.array(shape) == 1)
    if not missing.any():
        return sizes, []
    return np.where(missing, 1.0, sizes), [
        f"{path.name} states no thickness of its single slice: 1 is assumed."
    ]


def _sentences(
    found: dict[str, FloatArray],
    faults: list[str],
    codes: tuple[int, int],
    shape: tuple[int, int, int],
    path: Path,
) -> list[str]:
    sentences = [f"{path.name}: a form is malformed and left out ({fault})." for fault in faults]
    if codes == (0, 0):
        sentences.append(
            f"{path.name} has neither qform nor sform: its axes are taken as right, forward and up."
        )
    if len(found) == 2:
        sentences += _disagreement(found["sform"], found["qform"], codes, shape, path)
    return sentences


def _disagreement(
    sform: FloatArray,
    qform: FloatArray,
    codes: tuple[int, int],
    shape: tuple[int, int, int],
    path: Path,
) -> list[str]:
    """A sentence, if the forms claim the same space and put the voxels elsewhere, or mirror
    them.
    """
    mirrored = np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0
    shift = displacement(shape, sform, qform)
    edge = float(np.linalg.norm(sform[:3, :3], axis=0).min())
    if not mirrored and (codes[0] != codes[1] or shift <= _DIFFERENT * edge):
        return []
    how = f"put its voxels up to {shift:.3g} mm apart"
    if mirrored:
        how = "mirror each other"
    return [f"{path.name}: its qform and sform {how}: the sform is taken."]


def _unit_sentences(unit: int, path: Path) -> list[str]:
    if unit == 0:
        return [f"{path.name} names no unit of length: millimetres are assumed."]
    if unit == 1:
        return [f"{path.name} gives lengths in metres: turned into mm."]
    if unit == 3:
        return [f"{path.name} gives lengths in micrometres: turned into mm."]
    return []


def _times(sizes: FloatArray) -> str:
    return " x ".join(f"{size:g}" for size in sizes)
