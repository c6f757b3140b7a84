"""Limits of a designed train: bounds of its variables, and penalties for what bounds cannot say."""

from dataclasses import dataclass

import numpy as np

from mrftool.arrays import FloatArray, Range
from mrftool.design.pulse_train import PulseTrain
from mrftool.errors import ArgumentError

STEP_PENALTY = 10.0  # of the mean square of steps above the limit [1/deg^2]
BUDGET_PENALTY = 1e3  # of the square of the relative excess of energy or time [1]


@dataclass(frozen=True)
class Limits:
    """What the scanner, the patient and the protocol allow.

    Parameters
    ----------
    max_flip
        Largest flip angle [rad].
    max_step
        Largest change of the flip angle from pulse to pulse [rad]; None: no limit.
    max_energy
        Largest sum of squared flip angles [rad^2]; None: no limit.
    max_time
        Longest duration of the train, inversion time included [s]; None: no limit.
    tr_range, te_range, inversion_time_range
        Within which TR, TE and the inversion time are varied [s]; None: they are fixed.

    Raises
    ------
    ArgumentError
        If limits contradict each other.
    """

    max_flip: float
    max_step: float | None = None
    max_energy: float | None = None
    max_time: float | None = None
    tr_range: Range | None = None
    te_range: Range | None = None
    inversion_time_range: Range | None = None

    def __post_init__(self) -> None:
        if not 0 < self.max_flip <= np.pi:
            raise ArgumentError(
                f"largest flip angle {np.rad2deg(self.max_flip):g} deg, expected more than 0 and at"
                " most 180 deg"
            )
        for name, value in (
            ("largest step", self.max_step),
            ("energy limit", self.max_energy),
            ("time limit", self.max_time),
        ):
            if value is not None and not value > 0:
                raise ArgumentError(f"{name} {value:g}, expected more than 0")
        for name, limits in (
            ("TR", self.tr_range),
            ("TE", self.te_range),
            ("inversion time", self.inversion_time_range),
        ):
            _require_ascending(name, limits)
        if self.tr_range is not None and self.max_time is None:
            raise ArgumentError(
                "TR is varied without a limit on the total time, expected a limit: the longest TR"
                " gives the most signal"
            )


@dataclass(frozen=True, eq=False)
class Penalty:
    """A penalty and its derivatives by flip angles `(pulse,)` [1/rad] and TR `(pulse,)` [1/s]."""

    value: float
    flip_angle: FloatArray
    tr: FloatArray
    inversion_time: float


def require_reachable(limits: Limits, train: PulseTrain) -> None:
    """Raise ArgumentError if no train of this length can keep the limits."""
    _require_enough_time(limits, train)
    _require_te_within_tr(limits, train)
    if limits.inversion_time_range is not None and train.inversion_time is None:
        raise ArgumentError(
            "the inversion time is varied, but the sequence has no inversion, expected one"
        )


def _require_enough_time(limits: Limits, train: PulseTrain) -> None:
    shortest = train.duration
    if limits.tr_range is not None:
        shortest += len(train) * limits.tr_range[0] - float(train.tr.sum())
    if limits.max_time is not None and shortest > limits.max_time:
        raise ArgumentError(
            f"{len(train)} repetitions last at least {shortest:.3g} s, expected at most"
            f" {limits.max_time:.3g} s"
        )


def _require_te_within_tr(limits: Limits, train: PulseTrain) -> None:
    longest_te, shortest_tr = train.te.max(), train.tr.min()
    if limits.te_range is not None:
        longest_te = limits.te_range[1]
    if limits.tr_range is not None:
        shortest_tr = limits.tr_range[0]
    if longest_te > shortest_tr:
        raise ArgumentError(
            f"TE up to {1e3 * longest_te:g} ms with TR from {1e3 * shortest_tr:g} ms, expected"
            " TE <= TR"
        )


def penalty(limits: Limits, train: PulseTrain) -> Penalty:
    """What the limits that are no bounds add to the loss."""
    value, by_flip, by_tr = 0.0, np.zeros(len(train)), np.zeros(len(train))
    by_inversion_time = 0.0
    if limits.max_step is not None:
        value, by_flip = _step_penalty(np.rad2deg(train.flip_angle), np.rad2deg(limits.max_step))
        by_flip = by_flip * 180 / np.pi
    if limits.max_energy is not None:
        excess = max(np.sum(train.flip_angle**2) / limits.max_energy - 1, 0.0)
        value += BUDGET_PENALTY * excess**2
        by_flip = by_flip + BUDGET_PENALTY * 4 * excess * train.flip_angle / limits.max_energy
    if limits.max_time is not None:
        excess = max(train.duration / limits.max_time - 1, 0.0)
        value += BUDGET_PENALTY * excess**2
        by_inversion_time = BUDGET_PENALTY * 2 * excess / limits.max_time
        by_tr += by_inversion_time
    return Penalty(float(value), by_flip, by_tr, by_inversion_time)


def within_limits(limits: Limits, train: PulseTrain) -> PulseTrain:
    """The train next to `train` that keeps every limit exactly: penalties leave a little excess."""
    tr, flip = train.tr, train.flip_angle
    if limits.max_time is not None and train.duration > limits.max_time:
        tr = _shortened(tr, limits.max_time - (train.inversion_time or 0.0), limits.tr_range)
    if limits.max_energy is not None and np.sum(flip**2) > limits.max_energy:
        flip = flip * np.sqrt(limits.max_energy / np.sum(flip**2))
    if limits.max_step is not None:
        flip = limit_steps(flip, limits.max_step)
    return PulseTrain(flip, tr, train.te, train.inversion_time)


def _shortened(tr: FloatArray, total: float, tr_range: Range | None) -> FloatArray:
    """TR with a sum of `total` [s], none below the range."""
    shortest = 0.0
    if tr_range is not None:
        shortest = tr_range[0]
    spare = tr - shortest
    return np.asarray(shortest + spare * ((total - len(tr) * shortest) / spare.sum()))


def limit_steps(flip: FloatArray, largest: float) -> FloatArray:
    """The largest train below `flip` whose steps are at most `largest`, both [rad]."""
    result = np.array(flip)
    for n in range(1, len(result)):
        result[n] = min(result[n], result[n - 1] + largest)
    for n in reversed(range(len(result) - 1)):
        result[n] = min(result[n], result[n + 1] + largest)
    return result


def _step_penalty(flip: FloatArray, largest: float) -> tuple[float, FloatArray]:
    """Penalty of steps above `largest`, and its derivatives by the flip angles, all in degrees."""
    if len(flip) < 2:
        return 0.0, np.zeros(len(flip))
    steps = np.diff(flip)
    excess = np.sign(steps) * np.maximum(np.abs(steps) - largest, 0)
    slope = 2 * STEP_PENALTY * excess / len(steps)
    by_flip = np.zeros(len(flip))
    by_flip[1:] += slope
    by_flip[:-1] -= slope
    return STEP_PENALTY * float(np.mean(excess**2)), by_flip


def _require_ascending(name: str, limits: Range | None) -> None:
    if limits is not None and not 0 <= limits[0] < limits[1] <= 60:
        raise ArgumentError(
            f"{name} from {1e3 * limits[0]:g} to {1e3 * limits[1]:g} ms, expected the lower end"
            " first, from 0 ms to 60 s"
        )
