"""What maps are compared with: a simulated scan's ground truth, tissue maps, or another folder of
maps.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import BoolArray, Float32Array
from mrftool.errors import InputError, MismatchError
from mrftool.evaluation.bounds import Scan
from mrftool.formats.bids import read_sidecar, sidecar_path
from mrftool.formats.json_text import read_json
from mrftool.formats.nifti.maps import read_volume
from mrftool.formats.npz.tissue import load_tissue_npz
from mrftool.formats.sequence.yaml_file import sequence_from_dict
from mrftool.formats.space import Placed, require_same_voxels
from mrftool.grid import Grid, Placement
from mrftool.maps import is_fitted
from mrftool.tissue import Tissue


@dataclass(frozen=True, eq=False)
class Reference:
    """Reference tissue of the voxels of a grid, the class of each, and how the scan was made, where
    that is known.
    """

    tissue: Tissue
    grid: Grid
    labels: NDArray[np.int16] | None = None
    classes: tuple[str, ...] = ()
    scan: Scan | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Size of the image."""
        return self.grid.shape

    @property
    def placement(self) -> Placement:
        """Place of the image in the scanner."""
        return Placement(self.grid.affine)

    def within(self, mask: BoolArray) -> "Reference":
        """The reference values in a mask `(x, y, z)` alone."""
        if mask.shape != self.shape:
            raise MismatchError(f"the mask has shape {mask.shape}, expected {self.shape}")
        inside = self.grid.to_columns(mask)
        labels = self.labels
        if labels is not None:
            labels = labels[inside]
        grid = Grid(self.grid.mask & mask, self.grid.affine)
        return replace(self, tissue=self.tissue[inside], grid=grid, labels=labels)


def read_reference(path: Path) -> Reference:
    """Reference values of one of three kinds.

    These are the ground truth of a scan that mrftool simulated (its sidecar names the maps), tissue
    maps in a .npz, or the T1 and T2 maps in a folder (voxels that are masked or have no T1 or T2 do
    not count).
    """
    if path.is_dir():
        return _from_folder(path)
    if path.suffix == ".npz":
        image = load_tissue_npz(path)
        return Reference(image.tissue, image.grid, image.labels, image.classes)
    if not path.exists():
        raise InputError(f"{path}: no such file, expected a scan that mrftool simulate wrote")
    return _from_scan(path)


def _from_scan(path: Path) -> Reference:
    """The ground truth of a simulated scan, which its sidecar names."""
    sidecar = read_sidecar(path) or {}
    names = sidecar.get("truth")
    if not isinstance(names, dict) or not {"t1", "t2"} <= names.keys():
        raise InputError(
            f"{path}: its sidecar names no ground truth, "
            "expected a scan that mrftool simulate wrote"
        )
    headers, images = _volumes(
        {name: path.parent / Path(str(file)).name for name, file in names.items()}
    )
    grid = Grid((images["t1"] > 0) & (images["t2"] > 0), headers["t1"].placement.affine)
    columns = {key: grid.to_columns(images[key]) for key in Tissue.columns() if key in images}
    tissue, scan = Tissue(**columns), _scan(sidecar, path)
    if "labels" not in images:
        return Reference(tissue, grid, scan=scan)
    labels = grid.to_columns(images["labels"]).astype(np.int16) - 1
    return Reference(tissue, grid, labels, _classes(sidecar, path), scan)


def _classes(sidecar: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """Names of the labels. Raises InputError if they are no list."""
    names = sidecar.get("classes", ())
    if not isinstance(names, list | tuple):
        raise InputError(f"{path}: its sidecar has classes {names!r}, expected a list of names")
    return tuple(map(str, names))


def read_maps(folder: Path, reference: Reference) -> dict[str, Float32Array]:
    """The maps that a folder's report names, by name, on the voxels of the reference."""
    images: dict[str, Float32Array] = {}
    for name, path in map_files(folder).items():
        header, image = read_volume(path)
        require_same_voxels(path, header, "the reference", reference)
        images[name] = image
    _require_times(folder, images)
    return images


def find_report(folder: Path) -> Path:
    """The report of the maps in a folder: its own, or that of the only scan of a BIDS data set.

    Raises InputError if a data set has the reports of several scans.
    """
    own = folder / "report.json"
    if own.exists():
        return own
    others = sorted(folder.glob("sub-*/**/*_report/report.json"))
    if len(others) > 1:
        raise InputError(
            f"{folder}: holds the reports of {len(others)} scans, expected the folder of one, "
            f"such as {others[0].parent}"
        )
    return (*others, own)[0]


def map_files(folder: Path) -> dict[str, Path]:
    """The files of the maps in a folder, by name, as its report says."""
    place = find_report(folder).parent
    maps = read_report(folder)["maps"]
    return {str(name): Path(os.path.normpath(place / str(file))) for name, file in maps.items()}


def read_report(folder: Path) -> dict[str, Any]:
    """What the report of a folder of maps says. Raises InputError if there is none that names the
    maps.
    """
    path = find_report(folder)
    try:
        report = read_json(path, "a report")
        if isinstance(report.get("maps"), dict):
            return dict(report)
    except (InputError, ValueError, AttributeError):
        pass
    raise InputError(f"{path}: missing or no report, expected a folder that mrftool quantify wrote")


def form_of(report: dict[str, Any]) -> str | None:
    """How the signals were taken to make the maps, "complex" or "magnitude"; None if the report
    does not say.
    """
    about = report.get("input")
    if not isinstance(about, dict):
        return None
    form = about.get("form")
    if not isinstance(form, str):
        return None
    return form


def _from_folder(folder: Path) -> Reference:
    files = map_files(folder)
    wanted = {key: file for key, file in files.items() if key in ("t1", "t2", "flags")}
    _require_times(folder, wanted)
    headers, images = _volumes(wanted)
    lowest = np.minimum(images["t1"], images["t2"])
    inside = np.isfinite(images["t1"] + images["t2"]) & (lowest > 0)
    if "flags" in images:
        inside &= is_fitted(images["flags"].astype(np.int64))
    grid = Grid(inside, headers["t1"].placement.affine)
    return Reference(
        Tissue.of_estimates(**{key: grid.to_columns(images[key]) for key in ("t1", "t2")}), grid
    )


def _volumes(paths: dict[str, Path]) -> tuple[dict[str, Placed], dict[str, Float32Array]]:
    """Headers and images by name, all on the voxels of T1."""
    headers: dict[str, Placed] = {}
    images: dict[str, Float32Array] = {}
    for name, path in paths.items():
        headers[name], images[name] = read_volume(path)
    for name, path in paths.items():
        require_same_voxels(path, headers[name], paths["t1"], headers["t1"])
    return headers, images


def _require_times(folder: Path, maps: dict[str, Any]) -> None:
    if not {"t1", "t2"} <= maps.keys():
        raise InputError(
            f"{folder}: report.json names no T1 and T2 map, expected a folder that mrftool "
            f"quantify wrote"
        )


def _scan(sidecar: dict[str, Any], image: Path) -> Scan | None:
    """How a simulated scan was made; None without noise, or where the sidecar does not say."""
    sequence, noise_sd, form = (sidecar.get(key) for key in ("sequence", "noise_sd", "form"))
    if not isinstance(sequence, dict) or not noise_sd:
        return None
    where = sidecar_path(image)
    if not isinstance(noise_sd, (int, float)) or not 0 < noise_sd < np.inf:
        raise InputError(f"{where}: noise_sd is {noise_sd!r}, expected a number of 0 or more")
    if form not in ("complex", "magnitude"):
        raise InputError(f"{where}: form is {form!r}, expected complex or magnitude")
    return Scan(sequence_from_dict(sequence, str(where)), float(noise_sd), form)
