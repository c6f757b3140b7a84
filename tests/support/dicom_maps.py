"""Maps to write as DICOM, and the images that DICOM files of maps hold."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from mrftool.formats.bids import Provenance

PROVENANCE = Provenance(
    sources=("scan",),
    algorithm="MR fingerprinting, model short",
    pulse_sequence="short, 6 repetitions",
    details={"model_sha256": "ab" * 32, "sequence_id": "0123456789abcdef"},
)


def some_maps(shape: tuple[int, ...]) -> dict[str, tuple[NDArray[Any], str]]:
    rng = np.random.default_rng(4)
    return {
        "t1": (rng.uniform(0.1, 4, shape).astype(np.float32), "s"),
        "t2": (rng.uniform(0.01, 0.3, shape).astype(np.float32), "s"),
        "m0": (rng.uniform(0.1, 4, shape) * np.exp(1j), "arbitrary"),
        "sd_t1": (rng.uniform(0.001, 0.1, shape), "s"),
        "residual": (rng.uniform(0, 1, shape), "1"),
        "flags": (rng.integers(0, 64, shape).astype(np.uint8), "1"),
    }


def by_place(
    paths: tuple[Path, ...] | list[Path], affine: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The image `(x, y, z)` that the files hold, each slice where its position says; exact to 1e-3
    mm.
    """
    slices: dict[int, NDArray[np.float64]] = {}
    for path in paths:
        for values, orientation, spacing, position in _frames(pydicom.dcmread(path)):
            ras = np.diag([-1.0, -1, 1]) @ np.column_stack(
                [orientation[:3] * spacing[1], orientation[3:] * spacing[0], position]
            )
            np.testing.assert_allclose(ras[:, :2], affine[:3, :2], atol=1e-5)
            voxel = np.linalg.solve(affine[:3, :3], ras[:, 2] - affine[:3, 3])
            np.testing.assert_allclose(affine[:3, :3] @ (voxel - np.rint(voxel)), 0, atol=1e-3)
            np.testing.assert_array_equal(np.rint(voxel[:2]), 0)
            slices[round(voxel[2])] = values.T
    return np.stack([slices[k] for k in range(len(slices))], axis=2)


def _frames(dataset: Dataset) -> list[tuple[Any, ...]]:
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        values = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
        places = (
            dataset.ImageOrientationPatient,
            dataset.PixelSpacing,
            dataset.ImagePositionPatient,
        )
        return [(values, *(np.array(place, float) for place in places))]
    shared = dataset.SharedFunctionalGroupsSequence[0]
    orientation = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    spacing = np.array(shared.PixelMeasuresSequence[0].PixelSpacing, float)
    values = np.frombuffer(dataset.FloatPixelData, "<f4").reshape(-1, dataset.Rows, dataset.Columns)
    positions = [
        np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
        for frame in dataset.PerFrameFunctionalGroupsSequence
    ]
    return [
        (image, orientation, spacing, place) for image, place in zip(values, positions, strict=True)
    ]
