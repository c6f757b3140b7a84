"""DICOM series as whole images: as mrftool reads them, and as dcm2niix does."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from mrftool.scan.series import Series


def whole(series: Series) -> NDArray[Any]:
    image = np.full(
        (series.n_voxels, series.n_time),
        np.nan,
        np.complex64 if series.form == "complex" else np.float32,
    )
    for voxels, signal in series.blocks(max_bytes=2000):
        image[voxels] = signal
    return image.reshape(*series.shape, series.n_time)


def dcm2niix(source: Path, out: Path) -> list[Path]:
    """The images that dcm2niix makes of a folder; the test skips where it is not installed."""
    if shutil.which("dcm2niix") is None:
        pytest.skip("dcm2niix is not installed")
    out.mkdir()
    subprocess.run(
        ["dcm2niix", "-z", "n", "-b", "n", "-f", "%s", "-o", out, source],
        check=True,
        capture_output=True,
    )
    return sorted(out.glob("*.nii"))


def same_in_space(image: NDArray[Any], affine: NDArray[np.float64], path: Path) -> NDArray[Any]:
    """The values of a NIfTI file at the voxels of `image`, by way of both affines; their places
    agree to 1e-3 mm.
    """
    nifti = nibabel.load(path)
    values = nifti.get_fdata()
    values = values.reshape(*values.shape[:3], -1)
    voxels = np.stack(np.indices(image.shape[:3]), -1).reshape(-1, 3)
    places = voxels @ affine[:3, :3].T + affine[:3, 3]
    other = (places - nifti.affine[:3, 3]) @ np.linalg.inv(nifti.affine[:3, :3]).T
    nearest = np.rint(other).astype(int)
    assert abs((nearest - other) @ nifti.affine[:3, :3].T).max() < 1e-3
    return values[tuple(nearest.T)].reshape(image.shape)
