"""Score regions of maps: mean, spread and uncertainty of T1 and T2, beside reference values."""

import json
import math
from dataclasses import asdict, dataclass
from itertools import compress
from pathlib import Path

from mrftool.evaluation.reference import map_files
from mrftool.evaluation.rois import RegionScore, read_reference, region_scores
from mrftool.evaluation.text_tables import TextTable
from mrftool.formats.atomic import writing
from mrftool.formats.nifti.maps import read_volume
from mrftool.formats.space import require_same_voxels

_HEADINGS = (
    "region",
    "",
    "voxels",
    "mean [ms]",
    "sd [ms]",
    "u(mean) [ms]",
    "reference",
    "error [%]",
)


@dataclass(frozen=True)
class RegionsResult:
    """The scores of all regions, and the file they were written to."""

    scores: list[RegionScore]
    path: Path

    def table(self) -> TextTable:
        """The scores, as a person reads them: columns that hold a value somewhere."""
        rows = [_row(score) for score in self.scores]
        filled = [any(column) for column in zip(*rows, strict=True)]
        headings = tuple(compress(_HEADINGS, filled))
        return TextTable("regions", headings, [list(compress(r, filled)) for r in rows], n_words=2)


def evaluate_rois(
    folder: Path, labels: Path, *, reference: Path | None = None, output: Path | None = None
) -> RegionsResult:
    """Score the regions of a label image in a folder of maps.

    Parameters
    ----------
    folder
        Folder that `quantify_scan` or `match_scan` wrote.
    labels
        Label image (NIfTI) on the voxels of the maps.
    reference
        CSV file with the columns region, t1_ms and t2_ms.
    output
        JSON file to write; by default `regions.json` in the folder.

    Raises
    ------
    InputError
        If a file cannot be read, or no voxel has a label.
    MismatchError
        If the labels do not lie on the voxels of the maps.

    """
    known = None if reference is None else read_reference(reference)
    maps = {}
    header = None
    for name, file in map_files(folder).items():
        header, maps[name] = read_volume(file)
    place, regions = read_volume(labels)
    if header is not None:
        require_same_voxels(labels, place, "the maps", header)
    scores = region_scores(maps, regions, known)
    path = output or folder / "regions.json"
    with writing(path) as part:
        part.write_text(_to_json(scores), "utf-8")
    return RegionsResult(scores, path)


def _to_json(scores: list[RegionScore]) -> str:
    records = []
    for score in scores:
        numbers = asdict(score)
        record = {key: numbers[key] for key in ("region", "parameter", "n_voxels")}
        for key in ("mean", "sd", "uncertainty", "reference"):
            record[f"{key}_s"] = None if math.isnan(numbers[key]) else numbers[key]
        records.append(record)
    return json.dumps({"mrftool_regions": 1, "regions": records}, indent=2) + "\n"


def _row(score: RegionScore) -> list[str]:
    times = (score.mean, score.sd, score.uncertainty, score.reference)
    return [
        str(score.region),
        score.parameter.upper(),
        str(score.n_voxels),
        *(_shown(1e3 * value) for value in times),
        _shown(score.error_percent),
    ]


def _shown(value: float) -> str:
    if math.isnan(value):
        return ""
    return f"{value:.4g}"
