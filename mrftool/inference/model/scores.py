"""The scores in a manifest: what they must hold, and how they are told."""

from typing import Any

_CLEAN = "noise_free"
_NOISY = "snr_"
_RMS = ("rms_t1", "rms_t2")
_AGAINST_BOUND = ("rmse_over_bound", "coverage_95")
_FITTED = ("t1", "t2")


def score_faults(scores: Any) -> list[str]:
    """Faults of the scores that `score_lines` reads."""
    if not isinstance(scores, dict):
        return []  # a fault of its type, which the manifest tells
    faults = []
    if scores.get(_CLEAN) and not _has_numbers(scores[_CLEAN], _RMS):
        faults.append(f"score {_CLEAN} is {_shown(scores[_CLEAN])}, expected errors of T1 and T2")
    for key, entry in scores.items():
        if key.startswith(_NOISY) and not _is_noisy_score(entry):
            faults.append(f"score {key[:20]} is {_shown(entry)}, expected scores of T1 and T2")
    return faults


def score_lines(scores: dict[str, Any]) -> dict[str, str]:
    """Scores without faults in words, by label."""
    lines = {}
    if clean := scores.get(_CLEAN):
        lines["noise-free error"] = (
            f"T1 {clean['rms_t1']:.1e}, T2 {clean['rms_t2']:.1e} (root mean square, relative)"
        )
    for key, entry in scores.items():
        if key.startswith(_NOISY):
            texts = [f"{name.upper()} {_against_bound(entry.get(name, {}))}" for name in _FITTED]
            lines[f"SNR {key.removeprefix(_NOISY)}"] = (
                "RMSE/bound (95 % intervals hold): " + ", ".join(texts)
            )
    return lines


def _against_bound(score: dict[str, float]) -> str:
    if "rmse_over_bound" not in score:
        return "not determined"
    return f"{score['rmse_over_bound']:.3f} ({score['coverage_95']:.1%})"


def _is_noisy_score(entry: Any) -> bool:
    if not isinstance(entry, dict):
        return False
    return all(_is_score_of_parameter(entry.get(name, {})) for name in _FITTED)


def _is_score_of_parameter(score: Any) -> bool:
    """Whether it is a score over the bound, or the score of what is not determined."""
    if not isinstance(score, dict):
        return False
    return "rmse_over_bound" not in score or _has_numbers(score, _AGAINST_BOUND)


def _has_numbers(score: Any, names: tuple[str, ...]) -> bool:
    if not isinstance(score, dict):
        return False
    return all(type(score.get(name)) in (int, float) for name in names)


def _shown(value: Any) -> str:
    return repr(value)[:40]
