"""NIfTI as a format of scans."""

from pathlib import Path

from mrftool.errors import ArgumentError
from mrftool.formats.scan_request import ScanRequest, ShowProgress
from mrftool.series import Series


def recognises(path: Path) -> bool:
    """Always: what no other format recognises is read as NIfTI, which says what is wrong with it."""
    return True


def open_scan(path: Path, request: ScanRequest, progress: ShowProgress | None) -> Series:
    """The series in a file. Raises ArgumentError if one series of many is asked for."""
    from mrftool.formats.nifti.read import open_series

    if request.series is not None:
        raise ArgumentError(
            "a choice of series goes with DICOM, expected a folder or zip archive of it"
        )
    return open_series(
        path,
        imag=request.imag,
        phase=request.phase,
        form=request.form,
        progress=progress,
    )
