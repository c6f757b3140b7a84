"""The work behind `mrftool evaluate maps`: how far maps are from the truth, and from what the data
allow.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mrftool.arrays import Float32Array, FloatArray
from mrftool.cli.console import note, progress_bar
from mrftool.errors import InputError
from mrftool.evaluation.bins import Bins, bins_of
from mrftool.evaluation.bounds import MAX_TISSUES, distinct_tissues, voxel_bounds
from mrftool.evaluation.metrics import Score, scores
from mrftool.evaluation.truth import Truth, form_of, read_maps, read_report, read_truth

Columns = dict[str, FloatArray]

_FILES = ("errors.json", "errors.md", "errors.png", "scatter.png", "bins.json", "bins.png")


@dataclass(frozen=True, eq=False)
class Comparison:
    """Truth, the maps beside it, and how far they are from it."""

    truth: Truth
    images: dict[str, Float32Array]
    estimate: Columns
    scores: list[Score]
    bins: list[Bins]


def compare(folder: Path, truth_path: Path, output: Path) -> tuple[list[Score], list[Path]]:
    """Scores of the maps in a folder, and the files that were written to `output`."""
    truth = read_truth(truth_path)
    if not len(truth.tissue):
        raise InputError(f"{truth_path}: no voxel has a T1 and a T2, expected some to compare")
    images = read_maps(folder, truth)
    columns = {
        name: truth.grid.to_columns(image).astype(np.float64) for name, image in images.items()
    }
    estimate = {name: columns[name] for name in ("t1", "t2")}
    sd = {name: columns[f"sd_{name}"] for name in ("t1", "t2") if f"sd_{name}" in columns}
    bound = _bounds(truth, form_of(read_report(folder)))
    found = scores(
        truth.tissue,
        estimate,
        labels=truth.labels,
        classes=truth.classes,
        sd=sd or None,
        bound=bound,
    )
    comparison = Comparison(truth, images, estimate, found, bins_of(truth.tissue, estimate, bound))
    paths = [output / name for name in _FILES]
    _write(comparison, paths, f"{folder} against {truth_path}")
    return found, paths


def _bounds(truth: Truth, form: str | None) -> Columns | None:
    """Bound of T1 and T2 of every voxel, where the scan is known. form: in which the maps' maker
    took the signals.
    """
    if truth.scan is None:
        return None
    scan = replace(truth.scan, form="magnitude") if form == "magnitude" else truth.scan
    kinds = distinct_tissues(truth.tissue, scan.form)
    if len(kinds.chosen) < len(kinds.tissue):
        note(
            f"the bound is that of {MAX_TISSUES} of {len(kinds.tissue)} different tissues, chosen at random"
        )
    with progress_bar("finding the bound", len(kinds.chosen)) as progress:
        return voxel_bounds(scan, kinds, progress=progress)


def _write(found: Comparison, paths: list[Path], title: str) -> None:
    from mrftool.evaluation.score_tables import score_json, score_markdown
    from mrftool.figures.errors import bin_figure
    from mrftool.figures.maps import error_figure, scatter_figure
    from mrftool.formats.atomic import all_or_none

    truth, estimate = found.truth, found.estimate
    with all_or_none(paths, make_folders=True) as (
        as_json,
        as_text,
        errors,
        scatter,
        bins_json,
        bins_png,
    ):
        as_json.write_text(score_json(found.scores) + "\n", "utf-8")
        as_text.write_text(score_markdown(found.scores) + "\n", "utf-8")
        true_images = {name: truth.grid.to_image(getattr(truth.tissue, name)) for name in estimate}
        error_figure(
            true_images, {name: found.images[name] for name in estimate}, truth.grid.affine, errors
        )
        scatter_figure(truth.tissue, estimate, scatter, labels=truth.labels, classes=truth.classes)
        records = [each.records() for each in found.bins]
        bins_json.write_text(json.dumps(records, allow_nan=False) + "\n", "utf-8")
        bin_figure(found.bins, bins_png, title=title)
