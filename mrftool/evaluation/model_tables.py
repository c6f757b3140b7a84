"""Trials of a model as tables and as JSON."""

import json
from dataclasses import asdict
from math import sqrt
from typing import Any

from mrftool.evaluation.model_trials import ModelTrials, Rates
from mrftool.evaluation.text_tables import TextTable

AS_MODELLED = "as modelled"  # signals of the model's own sequence

_COLUMNS = {
    "rmse_over_bound": ("RMSE / bound", "{:.3f}"),
    "z_mean": ("z mean", "{:+.3f}"),
    "z_sd": ("z sd", "{:.3f}"),
    "coverage_95": ("in 95 %", "{:.3f}"),
}


def accuracy_table(found: ModelTrials, title: str) -> TextTable:
    """Errors at each SNR, over the voxels whose bound is below a fifth of the value.

    The title says how far chance moves them.
    """
    first, *others = [text for text, _ in _COLUMNS.values()]
    headings = ["SNR", f"T1 {first}", *others, f"T2 {first}", *others]
    rows = []
    for snr, scores in zip(found.snrs, found.scores, strict=True):
        rows.append([f"{snr:g}", *_accuracy_cells(scores["t1"]), *_accuracy_cells(scores["t2"])])
    mean_error, spread_error = 1 / sqrt(found.voxels), 1 / sqrt(2 * found.voxels)
    chance = f"z mean ±{mean_error:.3f}, RMSE / bound and z sd ±{spread_error:.3f}"
    title = f"{title}: {found.voxels} random tissues at each SNR; chance: {chance}"
    return TextTable(title, headings, rows, n_words=0)


def flag_table(found: ModelTrials) -> TextTable:
    """Share of voxels flagged, of signals as modelled and of mismatched ones."""
    headings = ["signals", *(f"SNR {snr:g}" for snr in found.snrs)]
    rows = [[case or AS_MODELLED, *map(_flag_cell, found.rates_of(case))] for case in found.cases()]
    return TextTable("share of voxels flagged [%]: as a misfit / at all", headings, rows)


def trials_json(found: ModelTrials, about: dict[str, Any]) -> str:
    """All numbers. about: facts of the model, put first."""
    scores = [{"snr": snr, **each} for snr, each in zip(found.snrs, found.scores, strict=True)]
    rates = [{**asdict(rate), "case": rate.case or AS_MODELLED} for rate in found.rates]
    content = {
        **about,
        "voxels": found.voxels,
        "seed": found.seed,
        "knows_noise": found.knows_noise,
        "scores": scores,
        "flag_rates": rates,
        "bins": [each.records() for each in found.bins],
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _accuracy_cells(scores: dict[str, float]) -> list[str]:
    cells = []
    for key, (_, number_format) in _COLUMNS.items():
        cells.append(number_format.format(scores[key]) if key in scores else "-")
    return cells


def _flag_cell(rate: Rates) -> str:
    return f"{_percent(rate.misfit)}/{_percent(rate.flagged)}"


def _percent(share: float) -> str:
    """As many digits as a few thousand voxels give; 100 is all of them, 0 none."""
    if 0 < share < 0.0995 or 0.9 < share < 1:
        return f"{min(max(100 * share, 0.1), 99.9):.1f}"
    return f"{100 * share:.0f}"
