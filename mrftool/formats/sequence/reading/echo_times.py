"""A list of echo times in place of a column of TE: `te_ms: [2, 5]`."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

_MOST_ECHOES = 64


def with_echo_times(given: Mapping[str, Any], n_pulses: int | None) -> dict[str, Any]:
    """The values of a file or a block with `later_echoes_ms` where `te_ms` lists the echo times of
    every repetition: where it is no column, as it has another length, and its values ascend.

    Parameters
    ----------
    given
        Checked values by key.
    n_pulses
        Number of repetitions that other keys fix, if they do.
    """
    te = given.get("te_ms")
    if not isinstance(te, list) or n_pulses in (None, len(te)):
        return dict(given)
    if given.get("later_echoes_ms") or not _can_be_echoes(te):
        return dict(given)
    later = [round(time - te[0], 9) for time in te[1:]]
    return {**given, "te_ms": te[0], "later_echoes_ms": later}


def _can_be_echoes(te: list[float]) -> bool:
    ascends = all(earlier < later for earlier, later in pairwise(te))
    return ascends and 1 < len(te) <= _MOST_ECHOES
