"""Trials of a model as tables and as JSON."""

import json
from dataclasses import asdict
from math import sqrt
from typing import Any

from mrftool.evaluation.model_trials import ModelTrials, Rates
from mrftool.evaluation.text_tables import TextTable

_SCORES = {
    "rmse_over_bound": ("RMSE / bound", "{:.3f}"),
    "z_mean": ("z mean", "{:+.3f}"),
    "z_sd": ("z sd", "{:.3f}"),
    "coverage_95": ("in 95 %", "{:.3f}"),
}


def accuracy_table(found: ModelTrials, title: str) -> TextTable:
    """Errors at each SNR, over the voxels whose bound is below a fifth of the value, and how far
    chance moves them.
    """
    texts = [text for text, _ in _SCORES.values()]
    headings = [
        "SNR",
        *(
            f"{name} {texts[0]}" if not k else text
            for name in ("T1", "T2")
            for k, text in enumerate(texts)
        ),
    ]
    rows = []
    for snr, scores in zip(found.snrs, found.scores, strict=True):
        cells = [
            form.format(scores[name][key]) if key in scores[name] else "-"
            for name in ("t1", "t2")
            for key, (_, form) in _SCORES.items()
        ]
        rows.append([f"{snr:g}", *cells])
    chance = f"chance: z mean ±{1 / sqrt(found.voxels):.3f}, RMSE / bound and z sd ±{1 / sqrt(2 * found.voxels):.3f}"
    return TextTable(
        f"{title}: {found.voxels} random tissues at each SNR; {chance}", headings, rows, n_words=0
    )


def flag_table(found: ModelTrials) -> TextTable:
    """Share of voxels flagged: of the right signals in vain, of the wrong ones rightly."""
    headings = ["signals", *(f"SNR {snr:g}" for snr in found.snrs)]
    rows = [[case or "right ones", *map(_cell, found.rates_of(case))] for case in found.cases()]
    return TextTable("share of voxels flagged [%]: as a misfit / at all", headings, rows)


def trials_json(found: ModelTrials, about: dict[str, Any]) -> str:
    """All numbers. about: facts of the model, put first."""
    scores = [{"snr": snr, **each} for snr, each in zip(found.snrs, found.scores, strict=True)]
    content = {
        **about,
        "voxels": found.voxels,
        "seed": found.seed,
        "knows_noise": found.knows_noise,
        "scores": scores,
        "flag_rates": [
            {**asdict(rate), "case": rate.case or "right signals"} for rate in found.rates
        ],
        "bins": [each.records() for each in found.bins],
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _cell(rate: Rates) -> str:
    return f"{_percent(rate.misfit)}/{_percent(rate.flagged)}"


def _percent(share: float) -> str:
    """As many digits as a few thousand voxels give; 100 is all of them, 0 none."""
    if 0 < share < 0.0995 or 0.9 < share < 1:
        return f"{min(max(100 * share, 0.1), 99.9):.1f}"
    return f"{100 * share:.0f}"
