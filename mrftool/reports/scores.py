"""What a model says it scored when it was verified, read with caution: files can say anything."""

import sys
from collections.abc import Mapping
from typing import Any

Scores = list[tuple[float, str, dict[str, float]]]  # SNR, parameter, numbers by their name


def scores_at_snr(scores: Mapping[str, Any]) -> Scores:
    """(SNR, parameter, its numbers) of what a model says it scored.

    Anything that does not look like that is left out.
    """
    found: Scores = []
    for key, entry in scores.items():
        snr = _number_after(str(key), "snr_")
        if snr is None or not isinstance(entry, dict):
            continue
        for parameter in ("t1", "t2"):
            if isinstance(entry.get(parameter), dict):
                found.append((snr, parameter, _finite_numbers(entry[parameter])))
    return found


def _finite_numbers(entries: Mapping[Any, Any]) -> dict[str, float]:
    numbers = {str(name): finite_number(value) for name, value in entries.items()}
    return {name: value for name, value in numbers.items() if value is not None}


def _number_after(text: str, prefix: str) -> float | None:
    """The number in `snr_20`; None if there is none."""
    if not text.startswith(prefix):
        return None
    try:
        return finite_number(float(text.removeprefix(prefix)))
    except ValueError:
        return None


def finite_number(value: object) -> float | None:
    """A finite number that a file gave, or None if it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if not abs(value) <= sys.float_info.max:
        return None
    return float(value)
