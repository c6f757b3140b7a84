"""The figures of the report, drawn from the data of the study."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.physics.simulate import simulate
from mrftool.studies.jobs.records import job_folder, read_predictions
from mrftool.studies.paper.plan import LAMBDAS, OTHER_SEQUENCES
from mrftool.studies.paper.results import Cell, Study
from mrftool.studies.paper.sets import TEST_SEQUENCE
from mrftool.studies.report.tables import rows_of, sets_of, snrs_of, title_of
from mrftool.tissue import Tissue

PICTURED = ("fc", "hydra", "fc-fc", "blochnet")  # the methods that the paper draws
_LINES = 120  # fingerprints of Figure 3
Point = tuple[float, float, float]  # x, mean, spread


def draw_all(study: Study, folder: Path) -> dict[str, str]:
    """Draw what can be drawn: captions by the name of the file (PNG) in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn: dict[str, str] = {}
    figures: dict[str, Callable[[Study, Path], str | None]] = {
        "figure3.png": _sequences,
        "figure4.png": _predictions,
        "figure5.png": _maps,
        "noise.png": _noise,
        "lambda.png": _lambda,
    }
    for name, draw in figures.items():
        caption = draw(study, folder / name)
        if caption is not None:
            drawn[name] = caption
    return drawn


def _sequences(study: Study, path: Path) -> str:
    from mrftool.figures.study import sequences_figure

    tissue = study.sets["phantom"].tissue
    chosen = np.unique(np.linspace(0, len(tissue) - 1, min(_LINES, len(tissue))).astype(int))
    tissue = Tissue(tissue.t1[chosen], tissue.t2[chosen])
    sequences = [read_sequence(name) for name in (TEST_SEQUENCE, *OTHER_SEQUENCES)]
    flips = {each.name: each.flip_angle for each in sequences}
    # The signal of a positive M0 is -i times a real number.
    real = {each.name: (1j * simulate(each, tissue).signal).real for each in sequences}
    sequences_figure(flips, real, tissue.t1, path)
    return (
        f"Figure 3. Flip angles of the three sequences, and the fingerprints of {len(tissue)} "
        f"voxels of the phantom. "
        "The splines are substitutes, made by the published rule: the lists themselves are not "
        "available."
    )


def _predictions(study: Study, path: Path) -> str | None:
    from mrftool.figures.study import predictions_figure

    found = _first_predictions(study, "table2", (*PICTURED, "adapt"), "phantom")
    if not found:
        return None
    title = "Trained on spline5 and spline11noisy, tested on fisp: phantom, no noise"
    predictions_figure(study.sets["phantom"].reference, found, path, title=title)
    return (
        "Figure 4. Predicted (dots) against true values (line) where training has not seen the "
        "sequence of the test, "
        "first seed. BlochNet (adapted): the same network after `adapt` to that sequence."
    )


def _maps(study: Study, path: Path) -> str | None:
    from mrftool.figures.study import maps_figure

    name = sets_of(study)[-1]
    found = _first_predictions(study, "table1", PICTURED, name)
    if not found:
        return None
    tested = study.sets[name]
    title = f"Trained and tested on fisp: {name}, no noise"
    maps_figure(tested.reference, found, tested.grid, path, title=title)
    return f"Figure 5. True maps ({name}), and the errors of each method, first seed."


def _noise(study: Study, path: Path) -> str | None:
    from mrftool.figures.study import curves_figure

    snrs, name = snrs_of(study, "table1"), sets_of(study)[0]
    keys = {snr: f"{name}_snr{snr:g}" for snr in snrs}
    panels: dict[str, dict[str, list[Point]]] = {}
    for parameter in ("t1", "t2"):
        panel = panels.setdefault(f"{parameter.upper()}, {name}", {})
        for row in rows_of(study, "table1"):
            curve = _curve(study, row, f"{parameter}_over_bound", keys)
            if curve:
                panel[title_of(row)] = curve
    if not any(panels.values()):
        return None
    curves_figure(panels, path, x="SNR", y="RMSE / Cramer-Rao bound", reference=1.0)
    return (
        "RMSE over the Cramer-Rao bound against SNR (Table 1); bands: standard deviation over "
        "seeds. 1 is the limit."
    )


def _lambda(study: Study, path: Path) -> str | None:
    from mrftool.figures.study import curves_figure

    panels = {}
    for name in sets_of(study):
        without = _lambda_cell(study, 0, name)
        curve = []
        for weight in LAMBDAS[1:]:
            cell = _lambda_cell(study, weight, name)
            if cell is not None:
                curve.append(_point(weight, cell))
        if curve and without:
            level = [_point(point[0], without) for point in curve]
            panels[name] = {"BlochNet": curve, "lambda 0": level}
    if not panels:
        return None
    curves_figure(panels, path, x="lambda", y="log10 MSE, from 1 ms")
    return "The weight of the reconstruction loss, no noise; bands: standard deviation over seeds."


def _lambda_cell(study: Study, weight: float, name: str) -> Cell | None:
    return study.cell("ablation-lambda", f"blochnet-{weight:g}", name, "log10_mse_tissue")


def _curve(study: Study, row: str, score: str, keys: Mapping[float, str]) -> list[Point]:
    """A score of a row of Table 1. keys: of the tests, by the SNR they are drawn at."""
    points = []
    for snr, key in keys.items():
        cell = study.cell("table1", row, key, score)
        if cell is not None:
            points.append(_point(snr, cell))
    return points


def _point(x: float, cell: Cell) -> Point:
    return x, cell.mean, cell.sd or 0.0


def _first_predictions(
    study: Study, group: str, rows: Iterable[str], key: str
) -> dict[str, FloatArray]:
    """Of the first seed of each row that is known, by its title."""
    predictions = {}
    for row in rows:
        results = study.of(group, row)
        if results:
            job = results[0].job
            folder = job_folder(study.folder, job["name"])
            predictions[title_of(row)] = read_predictions(folder, job)[key]
    return predictions
