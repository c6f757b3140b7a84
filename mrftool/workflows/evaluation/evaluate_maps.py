"""Compare maps with reference values, and their errors with what the data allow."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import Float32Array, FloatArray
from mrftool.environment.reporter import Reporter
from mrftool.errors import InputError, MismatchError
from mrftool.evaluation.bins import Bins, bins_of
from mrftool.evaluation.bounds import MAX_TISSUES, distinct_tissues, voxel_bounds
from mrftool.evaluation.metrics import Score, scores
from mrftool.evaluation.reference import (
    Reference,
    form_of,
    read_maps,
    read_reference,
    read_report,
)

Columns = dict[str, FloatArray]

FILES = ("errors.json", "errors.md", "errors.png", "scatter.png", "bins.json", "bins.png")


_REPORTED = ("sd_t1", "sd_t2", "combined_t1", "combined_t2")


@dataclass(frozen=True, eq=False)
class Comparison:
    """Maps beside their reference.

    scores: of each parameter and tissue. bins: errors over T1 and T2. paths: files written.
    """

    reference: Reference
    images: dict[str, Float32Array]
    estimate: Columns
    scores: list[Score]
    bins: list[Bins]
    paths: tuple[Path, ...] = ()


def compare_maps(folder: Path, reference: Path, output: Path, reporter: Reporter) -> Comparison:
    """Compare the maps in a folder with reference values; write scores and pictures to `output`.

    Parameters
    ----------
    folder : Path
        A folder that `quantify` or `match` wrote.
    reference : Path
        A simulated scan with its ground truth beside it, tissue maps (.npz), or another folder of
        maps.
    output : Path
        Folder of the scores and pictures.
    reporter : Reporter
        Hears of progress and notes.

    """
    expected = read_reference(reference)
    if not len(expected.tissue):
        raise InputError(f"{reference}: no voxel has a T1 and a T2, expected some to compare")
    report = read_report(folder)
    _require_same_sequence(report, expected, folder, reference)
    images = read_maps(folder, expected)
    found = compare_images(images, expected, form_of(report), reporter)
    found = replace(found, paths=tuple(output / name for name in FILES))
    _write(found, f"{folder} against {reference}")
    return found


def compare_images(
    images: Mapping[str, Float32Array], reference: Reference, form: str | None, reporter: Reporter
) -> Comparison:
    """Compare maps `(x, y, z)` by name with reference values; nothing is written.

    Parameters
    ----------
    images : dict
        "t1" and "t2" [s], with "sd_t1", "combined_t1" and so on [s] where they are known.
    reference : Reference
        Reference values on the same voxels.
    form : str, optional
        "complex" or "magnitude", as the signals were taken to make the maps.
    reporter : Reporter
        Hears of progress and notes.

    """
    columns: Columns = {}
    for name in ("t1", "t2", *_REPORTED):
        if name in images:
            columns[name] = reference.grid.to_columns(images[name]).astype(np.float64)
    estimate = {name: columns[name] for name in ("t1", "t2")}
    sd, uncertainty = (_of_each(columns, kind) for kind in ("sd", "combined"))
    bound = _bounds(reference, form, reporter)
    return Comparison(
        reference=reference,
        images=dict(images),
        estimate=estimate,
        scores=scores(
            reference.tissue,
            estimate,
            labels=reference.labels,
            classes=reference.classes,
            sd=sd or None,
            uncertainty=uncertainty or None,
            bound=bound,
        ),
        bins=bins_of(reference.tissue, estimate, bound),
    )


def _of_each(columns: Columns, kind: str) -> Columns:
    """What the maps report of T1 and T2 of one kind, by parameter."""
    names = {name: f"{kind}_{name}" for name in ("t1", "t2")}
    return {name: columns[known] for name, known in names.items() if known in columns}


def _require_same_sequence(
    report: Mapping[str, Any], expected: Reference, folder: Path, reference: Path
) -> None:
    """Raise MismatchError if the maps were made with another sequence than the reference scan."""
    about = report.get("sequence")
    if expected.scan is None or not isinstance(about, dict) or about.get("id") is None:
        return
    sequence = expected.scan.sequence
    if about["id"] != sequence.sequence_id:
        raise MismatchError(
            f"{folder}: maps of sequence {about.get('name')} ({about['id']}), expected those of "
            f"{sequence.name} ({sequence.sequence_id}), as {reference} has it"
        )


def _bounds(reference: Reference, form: str | None, reporter: Reporter) -> Columns | None:
    """Bound of T1 and T2 of every voxel, where the scan is known.

    form: "complex" or "magnitude", as the signals were taken to make the maps.
    """
    scan = reference.scan
    if scan is None:
        return None
    if form == "magnitude":
        scan = replace(scan, form="magnitude")
    distinct = distinct_tissues(reference.tissue, scan.form)
    if len(distinct.chosen) < len(distinct.tissue):
        reporter.note(
            f"the bound is that of {MAX_TISSUES} of {len(distinct.tissue)} different tissues, "
            "chosen at random"
        )
    with reporter.progress("finding the bound", len(distinct.chosen)) as progress:
        return voxel_bounds(scan, distinct, progress=progress)


def _write(found: Comparison, title: str) -> None:
    from mrftool.evaluation.score_tables import score_json, score_markdown
    from mrftool.figures.errors import bin_figure
    from mrftool.figures.scatter import scatter_figure
    from mrftool.formats.atomic import all_or_none
    from mrftool.pages.maps import error_figure

    reference, estimate = found.reference, found.estimate
    expected, images = {}, {}
    for name in estimate:
        expected[name] = reference.grid.to_image(getattr(reference.tissue, name))
        images[name] = found.images[name]
    records = [each.records() for each in found.bins]
    with all_or_none(found.paths, make_folders=True) as parts:
        errors_json, errors_md, errors_png, scatter_png, bins_json, bins_png = parts
        errors_json.write_text(score_json(found.scores) + "\n", "utf-8")
        errors_md.write_text(score_markdown(found.scores) + "\n", "utf-8")
        error_figure(expected, images, reference.grid.affine, errors_png)
        scatter_figure(
            reference.tissue,
            estimate,
            scatter_png,
            labels=reference.labels,
            classes=reference.classes,
        )
        bins_json.write_text(json.dumps(records, allow_nan=False) + "\n", "utf-8")
        bin_figure(found.bins, bins_png, title=title)
