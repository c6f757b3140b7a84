"""The loss that a train of pulses is designed by: the Cramer-Rao bound, arm by arm.

In an undersampled scan each arm of the trajectory sees its own repetitions alone, and reconstructs
well only if these determine T1, T2 and M0. The bound of a fully sampled voxel, in which all
repetitions count together, promises what a reconstruction does not keep.

Loss = mean over tissues and arms of log(w1 V11 + w2 V22), where V is the part of (S S^T)^-1 that
belongs to log T1 and log T2, and S holds the signal and its derivatives by log T1 and log T2 in the
arm's repetitions: V is the Cramer-Rao bound of the relative errors for noise of variance 1, with M0
unknown.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from mrftool.arrays import FloatArray, IndexArray
from mrftool.errors import ArgumentError
from mrftool.reconstruction.simulated.trajectories import coprime_step

Order = Literal["golden", "blocks"]
_FEWEST = 3  # repetitions of an arm: signal and two derivatives
_FLOOR = 1e-12  # added to S S^T, relative to the mean of its first element over arms [1]


def arm_of_repetition(repetitions: int, arms: int, order: Order) -> IndexArray:
    """Arm that each repetition follows `(repetition,)`.

    Parameters
    ----------
    repetitions
        Readouts of the sequence.
    arms
        Of the trajectory; 1 for a fully sampled scan.
    order
        "golden": steps of nearly a golden section; every order that visits all arms before it comes
        back to one gives the same groups. "blocks": each arm is read in neighbouring repetitions.

    Raises
    ------
    ArgumentError
        If an arm has fewer repetitions than there are unknowns.
    """
    if order not in get_args(Order):
        raise ArgumentError(f"order {order!r}, expected one of {', '.join(get_args(Order))}")
    if arms < 1 or repetitions // arms < _FEWEST:
        raise ArgumentError(
            f"{arms} arms for {repetitions} repetitions, expected at least 1 arm, and {_FEWEST}"
            " repetitions of each"
        )
    index = np.arange(repetitions)
    if order == "blocks":
        return np.asarray(index * arms // repetitions, np.int64)
    return np.asarray(index * coprime_step(arms) % arms, np.int64)


@dataclass(frozen=True, eq=False)
class ArmLoss:
    """The loss of signals and their derivatives.

    Parameters
    ----------
    arm
        Arm of each repetition `(repetition,)`.
    weight_t1, weight_t2
        Weights of the relative variances of T1 and T2 [1].
    """

    arm: IndexArray
    weight_t1: float = 1.0
    weight_t2: float = 1.0

    def __post_init__(self) -> None:
        if min(self.weight_t1, self.weight_t2) < 0 or self.weight_t1 + self.weight_t2 <= 0:
            raise ArgumentError(
                f"weights {self.weight_t1:g} of T1 and {self.weight_t2:g} of T2, expected 0 or"
                " more, and one above 0"
            )

    def value_and_weight(self, signals: FloatArray) -> tuple[float, FloatArray]:
        """The loss, and its derivatives by `signals` `(3, tissue, repetition)`."""
        selected = np.diag([0.0, self.weight_t1, self.weight_t2])
        inverse = np.linalg.inv(self._information(signals))  # (tissue, arm, 3, 3)
        variance = np.einsum("taij,ij->ta", inverse, selected)
        # d log(tr(E G^-1)) = -tr(G^-1 E G^-1 dG) / tr(E G^-1), and dG = dS S^T + S dS^T.
        slope = -2 * inverse @ selected @ inverse / variance[..., None, None] / variance.size
        weight = np.einsum("trij,jtr->itr", slope[:, self.arm], signals)
        return float(np.mean(np.log(variance))), weight

    def relative_sd(self, signals: FloatArray) -> FloatArray:
        """Cramer-Rao bound of T1 and T2 over their values, for noise of sd 1 `(tissue, arm, 2)`."""
        inverse = np.linalg.inv(self._information(signals))
        return np.asarray(np.sqrt(np.stack([inverse[..., 1, 1], inverse[..., 2, 2]], axis=-1)))

    def _information(self, signals: FloatArray) -> FloatArray:
        """S S^T of each arm `(tissue, arm, 3, 3)`."""
        members = self.arm[:, None] == np.arange(self.arm.max() + 1)
        products = (signals[:, None] * signals[None]) @ members.astype(np.float64)
        products = np.moveaxis(products, (2, 3), (0, 1))
        floor = _FLOOR * products[..., 0, 0].mean() + 1e-300
        return np.asarray(products + floor * np.eye(3))
