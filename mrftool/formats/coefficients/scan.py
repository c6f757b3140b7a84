"""Coefficient images as a format of scans: recognised, but no series of frames."""

from pathlib import Path

from mrftool.errors import InputError
from mrftool.formats.coefficients.mrd import holds_coefficients
from mrftool.formats.coefficients.read import is_coefficient_folder
from mrftool.formats.scan_request import ScanRequest, ShowProgress
from mrftool.scan.series import Series


def recognises(path: Path) -> bool:
    """Whether `path` is a folder that a reconstruction left, or MRD images with their basis."""
    return is_coefficient_folder(path) or holds_coefficients(path)


def open_scan(path: Path, request: ScanRequest, progress: ShowProgress | None) -> Series:
    """Raise InputError: coefficients are no frames."""
    raise InputError(f"{path}: holds coefficient images, expected a series of frames")
