"""Scans of every format that mrftool reads, behind one door.

A format is a module with `recognises` and `open_scan`, and a line in `FORMATS`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

from mrftool.arrays import BoolArray, Float32Array
from mrftool.errors import ArgumentError, InputError
from mrftool.formats.arrays import scan as arrays
from mrftool.formats.coefficients import scan as coefficients
from mrftool.formats.dicom import scan as dicom
from mrftool.formats.mrd import image_series as mrd_images
from mrftool.formats.mrd import scan as mrd
from mrftool.formats.nifti import scan as nifti
from mrftool.formats.scan_request import ScanRequest, ShowProgress
from mrftool.scan.series import Series


class ScanFormat(Protocol):
    """What the module of a format offers."""

    def recognises(self, path: Path) -> bool:
        """Whether the file or folder is of this format."""

    def open_scan(self, path: Path, request: ScanRequest, progress: ShowProgress | None) -> Series:
        """The series in it, to be read in blocks."""


ARRAYS = "array file"
FORMATS: dict[str, ScanFormat] = {  # the first that recognises a path opens it
    "coefficient images": coefficients,
    "MRD images": mrd_images,
    "MRD raw data": mrd,
    ARRAYS: arrays,
    "DICOM": dicom,
    "NIfTI": nifti,
}


def open_scan(
    path: Path,
    *,
    imag: Path | None = None,
    phase: Path | None = None,
    form: Literal["magnitude", "real"] | None = None,
    series: str | None = None,
    axes: str | None = None,
    like: Path | None = None,
    variable: str | None = None,
    progress: ShowProgress | None = None,
) -> Series:
    """Open the fingerprint series in a file or folder; its samples are read later.

    Parameters
    ----------
    path : Path
        A NIfTI file, a folder, zip archive or file of DICOM, or an array file.
    imag, phase, form, series, axes, like, variable : optional
        See `ScanRequest`.
    progress : callable, optional
        `Reporter.progress`.

    Raises
    ------
    InputError
        If the path does not exist, or what is there is damaged or not a series.
    MismatchError
        If its files do not belong together, or hold several series to choose from.
    ArgumentError
        If the request does not go with the format.

    """
    request = ScanRequest(imag, phase, form, series, axes, like, variable)
    kind = file_kind(path)
    if kind != ARRAYS and request.describes_array:
        raise ArgumentError(
            f"axes, a reference image and a variable go with array files, and {path} is {kind}",
            arguments=["axes", "like", "variable"],
        )
    return FORMATS[kind].open_scan(path, request, progress)


def file_kind(path: Path) -> str:
    """The name of the format of a scan. Raises InputError if there is no such file or folder."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder, expected a 4-D NIfTI or DICOM")
    for name, scan_format in FORMATS.items():
        if scan_format.recognises(path):
            return name
    raise InputError(f"{path}: unknown format, expected {' or '.join(FORMATS)}")


def open_volumes(
    scan: Series, mask: Path | None, given: Mapping[str, Path | None]
) -> tuple[BoolArray | None, dict[str, Float32Array], tuple[str, ...]]:
    """Mask and maps of given parameters on the voxels of the scan, and what was assumed to read
    them.
    """
    from mrftool.formats.nifti.maps import open_given, open_mask

    inside = None
    assumed: tuple[str, ...] = ()
    if mask is not None:
        inside, assumed = open_mask(mask, scan, scan.name)
    images: dict[str, Float32Array] = {}
    for name, path in given.items():
        if path is not None:
            images[name], sentences = open_given(name, path, scan, inside, scan.name)
            assumed += sentences
    return inside, images, assumed
