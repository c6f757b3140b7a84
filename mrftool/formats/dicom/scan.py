"""DICOM as a format of scans."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from mrftool.errors import ArgumentError
from mrftool.formats.dicom.headers.files import holds_dicom
from mrftool.formats.scan_request import ScanRequest, ShowProgress
from mrftool.scan.series import Series


def recognises(path: Path) -> bool:
    """Whether it is a folder, a zip archive, or a file that begins as DICOM does."""
    return holds_dicom(path)


def open_scan(path: Path, request: ScanRequest, progress: ShowProgress | None) -> Series:
    """The series of a folder, zip archive or file. Raises ArgumentError for parts in other
    files.
    """
    from mrftool.formats.dicom.read.series import open_dicom_series

    if request.imag or request.phase or request.form == "real":
        raise ArgumentError(
            "an imaginary part, a phase and form 'real' go with NIfTI: "
            "DICOM says itself what each image is"
        )
    found = open_dicom_series(path, series=request.series, progress=progress)
    if request.form == "magnitude" and found.form == "complex":
        return _modulus(found)
    return found


def _modulus(series: Series) -> Series:
    return replace(
        series,
        form="magnitude",
        read=lambda voxels: np.abs(series.read(voxels)),
        assumptions=(
            *series.assumptions,
            f"{series.name} is complex: its modulus is taken.",
        ),
    )
