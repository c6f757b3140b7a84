"""Scans as the user names them: NIfTI files, or folders, zips and files of DICOM."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from mrftool.arrays import BoolArray, Float32Array
from mrftool.cli.console import progress_bar
from mrftool.errors import ArgumentError, InputError
from mrftool.series import Series


def open_scan(
    path: Path,
    *,
    imag: Path | None = None,
    phase: Path | None = None,
    form: Literal["magnitude", "real"] | None = None,
    series: str | None = None,
) -> Series:
    """The fingerprint series in a NIfTI file, or in a folder, zip or file of DICOM."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder, expected a 4-D NIfTI or DICOM")
    if _is_dicom(path):
        from mrftool.formats.dicom.read.series import open_dicom_series

        if imag or phase or form == "real":
            raise ArgumentError(
                "--imag, --phase and --form real go with NIfTI: DICOM says itself what each image is"
            )
        found = open_dicom_series(path, series=series, progress=progress_bar)
        return _modulus(found) if form == "magnitude" and found.form == "complex" else found
    from mrftool.formats.nifti.read import open_series

    if series is not None:
        raise ArgumentError("--series goes with DICOM, expected a folder or zip of it")
    return open_series(path, imag=imag, phase=phase, form=form)


def _modulus(series: Series) -> Series:
    said = f"{series.name} is complex: its modulus is taken."
    return replace(
        series,
        form="magnitude",
        read=lambda voxels: np.abs(series.read(voxels)),
        assumptions=(*series.assumptions, said),
    )


def open_volumes(
    scan: Series, mask: Path | None, b1: Path | None
) -> tuple[BoolArray | None, Float32Array | None, tuple[str, ...]]:
    """Mask and B1 map on the voxels of the scan, and what was assumed to read them."""
    from mrftool.formats.nifti.maps import open_b1, open_mask

    inside = None if mask is None else open_mask(mask, scan, scan.name)
    if b1 is None:
        return inside, None, ()
    b1_map, assumed = open_b1(b1, scan, inside, scan.name)
    return inside, b1_map, assumed


def file_kind(path: Path) -> str:
    """What kind of files a scan comes in: NIfTI or DICOM."""
    return "DICOM" if _is_dicom(path) else "NIfTI"


def _is_dicom(path: Path) -> bool:
    from mrftool.formats.dicom.headers.files import holds_dicom

    return holds_dicom(path)
