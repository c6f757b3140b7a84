"""The group level: T1 and T2 of regions over the scans of a derivative data set, and outliers."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.cohort.marker import read_marker
from mrftool.environment.reporter import Reporter
from mrftool.errors import InputError, MrftoolError
from mrftool.evaluation.rois import RegionScore, region_scores
from mrftool.formats.atomic import writing
from mrftool.formats.nifti.maps import read_volume
from mrftool.formats.space import require_same_voxels
from mrftool.quantities import QUANTITIES

OUTLIER = (
    3.5  # modified z-score, as in Iglewicz and Hoaglin, "How to detect and handle outliers" (1993)
)
_MAD_TO_SD = 0.6745  # median absolute deviation / standard deviation of normal numbers
_COLUMNS = ("scan", "region", "parameter", "voxels", "mean_ms", "sd_ms", "uncertainty_ms", "z")


@dataclass(frozen=True)
class GroupRow:
    """One score of one scan, and how far it lies from the scores of the others.

    Parameters
    ----------
    scan
        Name of the scan.
    score
        One parameter in one region.
    z
        Modified z-score over the scans [1]; NaN for fewer than three scans.

    """

    scan: str
    score: RegionScore
    z: float

    @property
    def is_outlier(self) -> bool:
        """Whether the score lies far from the others."""
        return abs(self.z) > OUTLIER


def summarise_group(dataset: Path, output: Path, reporter: Reporter) -> list[GroupRow]:
    """Scores of all finished scans; writes `group.tsv` into the derivative data set.

    Regions come from `*_dseg.nii.gz` beside the scan or in the derivatives; a scan without one is
    one region, of all voxels that count.

    Raises
    ------
    InputError
        If no scan is finished.

    """
    markers = sorted(output.glob("sub-*/**/*_report/done.json"))
    scores: dict[str, list[RegionScore]] = {}
    with reporter.progress("summarising", len(markers)) as progress:
        for marker in markers:
            content = read_marker(marker)
            if content is not None:
                key = str(content["scan"])
                scores[key] = _scan_scores(dataset, output, content, reporter)
            progress(1)
    if not scores:
        raise InputError(
            f"{output}: holds no finished scan, expected the output of the participant level"
        )
    rows = group_rows(scores)
    _write_table(output / "group.tsv", rows)
    return rows


def group_rows(scores: dict[str, list[RegionScore]]) -> list[GroupRow]:
    """Rows of all scans, with z-scores over the scans of each region and parameter."""
    values: dict[tuple[int, str], list[float]] = {}
    for each in scores.values():
        for score in each:
            values.setdefault((score.region, score.parameter), []).append(score.mean)
    rows = []
    for scan, each in scores.items():
        for score in each:
            others = np.array(values[score.region, score.parameter])
            rows.append(GroupRow(scan, score, modified_z(score.mean, others)))
    return rows


def modified_z(value: float, values: FloatArray) -> float:
    """Distance from the median in units of the scaled median absolute deviation [1]."""
    finite = values[np.isfinite(values)]
    if finite.size < 3:
        return math.nan
    median = float(np.median(finite))
    deviation = float(np.median(np.abs(finite - median)))
    if deviation == 0:
        return 0.0
    return _MAD_TO_SD * (value - median) / deviation


def _scan_scores(
    dataset: Path, output: Path, content: dict[str, object], reporter: Reporter
) -> list[RegionScore]:
    key = str(content["scan"])
    files = _map_files(output, content)
    if not {"t1", "t2"} <= files.keys():
        raise InputError(f"{output}: the maps of {key} are gone, expected those its marker names")
    volumes = {name: read_volume(path) for name, path in files.items()}
    header = volumes["t1"][0]
    maps = {name: image for name, (_, image) in volumes.items()}
    path = _labels_path(dataset, output, key)
    if path is None:
        return region_scores(maps, np.ones(maps["t1"].shape, np.int16))
    try:
        place, labels = read_volume(path)
        require_same_voxels(path, place, "the maps", header)
    except MrftoolError as error:
        reporter.note(f"{key}: {error}; one region of all voxels instead")
        return region_scores(maps, np.ones(maps["t1"].shape, np.int16))
    return region_scores(maps, labels)


def _map_files(output: Path, content: dict[str, object]) -> dict[str, Path]:
    """The maps that a marker names, by their keys."""
    names = content.get("outputs")
    if not isinstance(names, list):
        return {}
    found = {}
    for quantity in QUANTITIES.values():
        ending = f"_{quantity.suffix}.nii.gz"
        for name in map(str, names):
            if name.endswith(ending):
                found[quantity.key] = output / name
    return found


def _labels_path(dataset: Path, output: Path, key: str) -> Path | None:
    entities = key.rsplit("_", 1)[0]
    for folder in (dataset, output):
        found = sorted(folder.glob(f"**/{entities}_dseg.nii*"))
        if found:
            return found[0]
    return None


def _write_table(path: Path, rows: Iterable[GroupRow]) -> None:
    lines = ["\t".join(_COLUMNS)]
    for row in rows:
        score = row.score
        times = (1e3 * score.mean, 1e3 * score.sd, 1e3 * score.uncertainty)
        numbers = [_cell(value) for value in (*times, row.z)]
        start = [row.scan, str(score.region), score.parameter, str(score.n_voxels)]
        lines.append("\t".join([*start, *numbers]))
    with writing(path) as part:
        part.write_text("\n".join(lines) + "\n", "utf-8")


def _cell(value: float) -> str:
    if math.isnan(value):
        return "n/a"
    return f"{value:.4g}"
