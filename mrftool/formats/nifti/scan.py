"""NIfTI as a format of scans."""

from dataclasses import replace
from pathlib import Path

from mrftool.errors import ArgumentError
from mrftool.formats.bids import other_part
from mrftool.formats.scan_request import ScanRequest, ShowProgress
from mrftool.scan.series import Series


def recognises(path: Path) -> bool:
    """Always: what no other format recognises is read as NIfTI, which says what is wrong with
    it.
    """
    return True


def open_scan(path: Path, request: ScanRequest, progress: ShowProgress | None) -> Series:
    """The series in a file. Raises ArgumentError if one series of many is asked for."""
    from mrftool.formats.nifti.read import open_series

    if request.series is not None:
        raise ArgumentError(
            "a choice of series goes with DICOM, expected a folder or zip archive of it"
        )
    imag, phase, said = _parts(path, request)
    series = open_series(path, imag=imag, phase=phase, form=request.form, progress=progress)
    return replace(series, assumptions=(*said, *series.assumptions))


def _parts(path: Path, request: ScanRequest) -> tuple[Path | None, Path | None, tuple[str, ...]]:
    """Imaginary part and phase as they were asked for, or else as BIDS names them; and a sentence
    if so.
    """
    asked = request.imag or request.phase or request.form
    found = other_part(path)
    if asked or found is None:
        return request.imag, request.phase, ()
    part, second = found
    if part == "phase":
        return None, second, (f"{second.name} beside it is taken as its phase.",)
    return second, None, (f"{second.name} beside it is taken as its imaginary part.",)
