"""MRD raw data as a format of scans: recognised, to be reconstructed before anything else."""

from pathlib import Path

from mrftool.errors import InputError
from mrftool.formats.scan_request import ScanRequest, ShowProgress
from mrftool.scan.series import Series

_HDF5 = b"\x89HDF\r\n\x1a\n"


def recognises(path: Path) -> bool:
    """Whether `path` is an HDF5 file, or named like raw data."""
    if not path.is_file():
        return False
    if path.suffix.lower() in (".mrd", ".h5"):
        return True
    with path.open("rb") as file:
        return file.read(len(_HDF5)) == _HDF5


def open_scan(path: Path, request: ScanRequest, progress: ShowProgress | None) -> Series:
    """Raise InputError: raw data are no series of images."""
    raise InputError(
        f"{path}: holds raw data, expected images",
        hint="mrftool reconstruct, or mrftool quantify, makes images of raw data",
    )
