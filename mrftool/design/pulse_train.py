"""The train of pulses that is designed, and the tissues that it is designed for."""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import ArgumentError
from mrftool.sequence import Inversion, PulseSequence, Train

_SAME_PHASE = 1e-9  # largest deviation of RF phases from 0 or 180 degrees [rad]


@dataclass(frozen=True, eq=False)
class PulseTrain:
    """One train of pulses from equilibrium, spoiled by one cycle in each repetition.

    Parameters
    ----------
    flip_angle
        Flip angle of each pulse `(pulse,)` [rad], negative for an RF phase of 180 degrees.
    tr, te
        Repetition and echo time `(pulse,)` [s].
    inversion_time
        From an inversion to the first pulse [s]; None without inversion.
    """

    flip_angle: FloatArray
    tr: FloatArray
    te: FloatArray
    inversion_time: float | None

    def __len__(self) -> int:
        return len(self.flip_angle)

    @property
    def duration(self) -> float:
        """From the inversion to the end of the last repetition [s]."""
        return (self.inversion_time or 0.0) + float(self.tr.sum())


@dataclass(frozen=True, eq=False)
class DesignTissue:
    """Tissues that a train is designed for, under several conditions.

    Parameters
    ----------
    t1, t2
        Relaxation times `(tissue,)` [s].
    b1
        Actual over nominal flip angle `(tissue,)` [1].
    efficiency
        Efficiency of the inversion `(tissue,)` [1].
    """

    t1: FloatArray
    t2: FloatArray
    b1: FloatArray
    efficiency: FloatArray

    def __len__(self) -> int:
        return len(self.t1)


def design_tissue(
    pairs: list[tuple[float, float]], b1: list[float], efficiency: list[float]
) -> DesignTissue:
    """Every pair of T1 and T2 at every B1 and every efficiency of the inversion.

    Parameters
    ----------
    pairs
        T1 and T2 of each tissue [s].
    b1
        Actual / nominal flip angle [1].
    efficiency
        Of the inversion [1].

    Raises
    ------
    ArgumentError
        If there is none, or a value is out of range.
    """
    if not (pairs and b1 and efficiency):
        raise ArgumentError("expected at least one tissue, one B1 and one inversion efficiency")
    for t1, t2 in pairs:
        if not 0 < t2 <= t1 < np.inf:
            raise ArgumentError(f"tissue with T1 {t1:g} s and T2 {t2:g} s, expected 0 < T2 <= T1")
    _require_between("B1", b1, 0.1, 3)
    _require_between("inversion efficiency", efficiency, 0, 1)
    rows = [(*pair, *rest) for pair, *rest in product(pairs, b1, efficiency)]
    return DesignTissue(*np.array(rows, np.float64).T)


def _require_between(name: str, values: list[float], low: float, high: float) -> None:
    if not (low <= min(values) and max(values) <= high):
        raise ArgumentError(
            f"{name} {min(values):g} to {max(values):g}, expected {low:g} to {high:g}"
        )


def train_of(sequence: PulseSequence) -> PulseTrain:
    """The pulses of a sequence as a train that can be designed.

    Raises
    ------
    ArgumentError
        If the sequence is not spoiled by gradients, is not one train, has RF phases other than 0
        and 180 degrees, or more than one echo and one cycle of the spoiler for each pulse.
    """
    if not sequence.is_plain or sequence.spoiler_cycles is not None:
        raise ArgumentError(
            f"sequence {sequence.name} has further echoes, frames of several pulses, a receiver "
            "phase or spoiler cycles of its own, expected one echo and one cycle for each pulse"
        )
    if sequence.spoiling != "gradient":
        raise ArgumentError(f"sequence {sequence.name} is balanced, expected gradient spoiling")
    if sequence.train is None or sequence.train.repeats > 1:
        raise ArgumentError(
            f"sequence {sequence.name} is not one train of pulses, played once from equilibrium,"
            " with an inversion before it or without"
        )
    phase = sequence.rf_phase - sequence.rf_phase[0]
    if np.abs(np.sin(phase)).max() > _SAME_PHASE:
        raise ArgumentError(
            f"sequence {sequence.name} has RF phases other than 0 and 180 degrees, which a design"
            " by flip angles keeps no track of"
        )
    inversion_time = None
    if sequence.train.inversion is not None:
        inversion_time = sequence.train.inversion.time
    sign = np.where(np.cos(phase) > 0, 1.0, -1.0)
    return PulseTrain(sign * sequence.flip_angle, sequence.tr, sequence.te, inversion_time)


def sequence_of(train: PulseTrain, start: PulseSequence, name: str) -> PulseSequence:
    """The sequence that plays a train; efficiency of the inversion and spoiler are those of
    `start`.

    Its RF phase is 0: a negative flip angle stands for a phase of 180 degrees.
    """
    inversion = None
    if train.inversion_time is not None:
        efficiency = 1.0
        if start.train is not None and start.train.inversion is not None:
            efficiency = start.train.inversion.efficiency
        inversion = Inversion(efficiency, train.inversion_time)
    return replace(
        start,
        flip_angle=train.flip_angle,
        rf_phase=np.zeros(len(train)),
        tr=train.tr,
        te=train.te,
        events=Train(inversion).events,
        name=name,
    )
