"""What is to be said of a run, one remark at a time."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["warning", "note"]


@dataclass(frozen=True)
class Remark:
    """One thing to know of a run.

    Parameters
    ----------
    code
        Its name in `report.json`.
    level
        A "warning" turns the status of the run; a "note" does not.
    text
        A sentence.
    value, limit
        The number that decided, and what it was compared with.
    """

    code: str
    level: Level
    text: str
    value: float | None = None
    limit: float | None = None


def percent_text(share: float) -> str:
    """A share in percent, with the digits that matter."""
    if share < 0.995:
        return f"{100 * share:.2g} %"
    return f"{100 * share:.0f} %"
