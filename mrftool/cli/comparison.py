"""The work behind `mrftool evaluate maps`: what the truth is, how far the maps are from it, and where that goes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrftool.errors import InputError
from mrftool.evaluation.metrics import Score
from mrftool.formats.bids import read_sidecar
from mrftool.formats.nifti_maps import read_volume
from mrftool.formats.npz import load_tissue_npz
from mrftool.formats.space import require_same_voxels
from mrftool.grid import Grid
from mrftool.series import Placement
from mrftool.tissue import Tissue

Image = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Truth:
    """True tissue of the voxels of a grid, and the class of each."""

    tissue: Tissue
    grid: Grid
    labels: NDArray[np.int16] | None
    classes: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Size of the image."""
        return self.grid.shape

    @property
    def placement(self) -> Placement:
        """Place of the image in the scanner."""
        return Placement(self.grid.affine)


def compare(folder: Path, truth_path: Path, output: Path) -> tuple[list[Score], list[Path]]:
    """Scores of the maps in a folder, and the files that were written to `output`."""
    from mrftool.evaluation.figures import error_figure, scatter_figure
    from mrftool.evaluation.metrics import scores
    from mrftool.evaluation.tables import score_json, score_markdown
    from mrftool.formats.atomic import all_or_none

    truth = read_truth(truth_path)
    images = _read_maps(folder, truth)
    columns = {name: truth.grid.to_columns(image) for name, image in images.items()}
    estimate = {name: columns[name] for name in ("t1", "t2")}
    sd = {name: columns[f"sd_{name}"] for name in ("t1", "t2") if f"sd_{name}" in columns}
    about = {"labels": truth.labels, "classes": truth.classes}
    found = scores(truth.tissue, estimate, sd=sd or None, **about)
    paths = [output / name for name in ("errors.json", "errors.md", "errors.png", "scatter.png")]
    with all_or_none(paths, make_folders=True) as (as_json, as_text, errors, scatter):
        as_json.write_text(score_json(found) + "\n", "utf-8")
        as_text.write_text(score_markdown(found) + "\n", "utf-8")
        true_images = {name: truth.grid.to_image(getattr(truth.tissue, name)) for name in estimate}
        error_figure(true_images, {name: images[name] for name in estimate}, truth.grid.affine, errors)
        scatter_figure(truth.tissue, estimate, scatter, **about)
    return found, paths


def read_truth(path: Path) -> Truth:
    """The truth of a scan that mrftool simulated (its sidecar names the maps), or of tissue maps in a .npz."""
    if path.suffix == ".npz":
        image = load_tissue_npz(path)
        return Truth(image.tissue, image.grid, image.labels, image.classes)
    sidecar = read_sidecar(path) or {}
    names = sidecar.get("truth")
    if not isinstance(names, dict) or not {"t1", "t2"} <= names.keys():
        raise InputError(f"{path}: its sidecar names no truth, expected a scan that mrftool simulate wrote")
    headers, images = {}, {}
    for name, file in names.items():
        headers[name], images[name] = read_volume(path.parent / Path(str(file)).name)
    grid = Grid((images["t1"] > 0) & (images["t2"] > 0), headers["t1"].placement.affine)
    tissue = Tissue(grid.to_columns(images["t1"]), grid.to_columns(images["t2"]))
    if "labels" not in images:
        return Truth(tissue, grid, None, ())
    labels = grid.to_columns(images["labels"]).astype(np.int16) - 1
    return Truth(tissue, grid, labels, tuple(map(str, sidecar.get("classes", ()))))


def _read_maps(folder: Path, truth: Truth) -> dict[str, Image]:
    report = _report(folder)
    images: dict[str, Image] = {}
    for name, file in report["maps"].items():
        header, image = read_volume(folder / str(file))
        require_same_voxels(folder / str(file), header, "the truth", truth)
        images[str(name)] = image
    if not {"t1", "t2"} <= images.keys():
        raise InputError(f"{folder}: report.json names no T1 and T2 map, expected a folder that mrftool quantify wrote")
    return images


def _report(folder: Path) -> dict[str, Any]:
    path = folder / "report.json"
    try:
        report = json.loads(path.read_text("utf-8"))
        if isinstance(report.get("maps"), dict):
            return dict(report)
    except (OSError, ValueError, AttributeError):
        pass
    raise InputError(f"{path}: missing or no report, expected a folder that mrftool quantify wrote")
