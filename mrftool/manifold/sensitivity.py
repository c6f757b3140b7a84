"""How far T1 and T2 move when something that is given, and not fitted, is wrong.

B1, the efficiency of the inversion, TE and so on are taken for granted by a fit. An error of one of
them is an error of T1 and T2 that no residual shows, and its standard uncertainty a systematic part
of theirs (GUM, JCGM 100:2008, 4.3: type B).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mrftool.arrays import BoolArray, FloatArray
from mrftool.manifold.first_order import Following, directions_of, first_order, moves_of
from mrftool.manifold.influences import Influence, influences_on
from mrftool.physics.cramer_rao import Form
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

NEGLIGIBLE = 5e-4  # relative change of T1 and T2 that need not be shown [1]


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """How estimates follow the values that are taken for granted.

    Parameters
    ----------
    tissue
        The voxels.
    influences
        The values.
    slopes
        Derivatives of log T1 and log T2 by these values `(influence, voxel, 2)` [1 / unit]; NaN
        where the sequence does not determine T1 and T2.
    """

    tissue: Tissue
    influences: tuple[Influence, ...]
    slopes: FloatArray

    def shifts(self) -> FloatArray:
        """Relative change of T1 and T2 by one typical uncertainty of each value.

        Returns
        -------
        FloatArray
            `(influence, voxel, 2)` [1], with its sign.
        """
        sizes = np.array([influence.uncertainty for influence in self.influences])
        return np.asarray(self.slopes * sizes[:, None, None])

    def matters(self) -> BoolArray:
        """Which of the values move T1 or T2 of any voxel visibly `(influence,)`."""
        sizes = np.nan_to_num(np.abs(self.shifts()))
        return np.asarray((sizes >= NEGLIGIBLE).any(axis=(1, 2)))


def sensitivity(
    sequence: PulseSequence,
    tissue: Tissue,
    *,
    form: Form = "complex",
    following: Following | None = None,
) -> Sensitivity:
    """Sensitivity of T1 and T2 to everything that a fit of this sequence takes for granted.

    Parameters
    ----------
    sequence
        What was played.
    tissue
        The voxels; their B1, ADC and off-resonance are the values that are taken for granted.
    form
        Of the signals that are fitted.
    following
        How given values that were fitted follow errors of others.
    """
    influences = influences_on(sequence)
    directions = directions_of(sequence, tissue, influences, form=form)
    found = first_order(directions.following(moves_of(influences, following or {})))
    return Sensitivity(tissue, influences, found.slopes)


def combined(shifts: Sequence[FloatArray] | FloatArray) -> FloatArray:
    """Root sum of squares over the first axis: independent contributions together."""
    return np.asarray(np.sqrt(np.sum(np.square(np.asarray(shifts)), axis=0)))
