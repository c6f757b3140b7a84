"""Which of the values that `quantify` takes for granted are fitted. Loads nothing of the fit."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrftool.manifold.influences import EFFICIENCY

if TYPE_CHECKING:
    from mrftool.inference.common.unknowns import Shape


@dataclass(frozen=True)
class CommonChoice:
    """What is fitted as a value of all voxels.

    Parameters
    ----------
    b1
        "factor" or "smooth"; None where B1 is given or 1.
    efficiency
        Whether the efficiency of the inversion is.
    """

    b1: "Shape | None" = None
    efficiency: bool = False

    def __bool__(self) -> bool:
        return self.b1 is not None or self.efficiency

    @property
    def text(self) -> str | None:
        """In words, for the report; None for nothing."""
        parts = []
        if self.b1 is not None:
            parts.append(f"b1 ({self.b1})")
        if self.efficiency:
            parts.append(EFFICIENCY.name)
        return ", ".join(parts) or None
