"""Design of a train of pulses: the variables are the pulses themselves.

The loss is `mrftool.design.arm_loss.ArmLoss`, its gradient that of `mrftool.design.adjoint`, and
the search L-BFGS-B: R. H. Byrd et al., SIAM J Sci Comput 16:1190 (1995), doi 10.1137/0916069.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mrftool.arrays import FloatArray, Progress
from mrftool.design.adjoint import gradient, signals
from mrftool.design.arm_loss import ArmLoss
from mrftool.design.limits import Limits, penalty, require_reachable, within_limits
from mrftool.design.pulse_train import DesignTissue, PulseTrain
from mrftool.environment.reporter import Reporter
from mrftool.errors import ArgumentError

_LARGEST_START_SD = 1e4  # relative sd of T1 or T2 for noise of sd 1 [M0]: nothing is determined
# Variables are scaled so that a step of 1 changes the train about as much, whichever it is.
_FLIP_SCALE, _TIME_SCALE = np.pi / 180, 1e-3


@dataclass(frozen=True, eq=False)
class Design:
    """A designed train.

    Parameters
    ----------
    train
        It keeps every limit.
    loss, start_loss
        Of this train, and of the one that its search started from.
    start
        Name of that one.
    evaluations
        Of the loss, over all starts.
    seconds
        Wall-clock time of the slowest start [s].
    was_stopped
        Whether the search was stopped: the train is the best one so far.
    """

    train: PulseTrain
    loss: float
    start_loss: float
    start: str
    evaluations: int
    seconds: float
    was_stopped: bool


@dataclass(frozen=True, eq=False)
class Problem:
    """What a train is designed for.

    Parameters
    ----------
    tissue
        Tissues, B1 and inversion efficiencies whose losses are averaged.
    loss
        Of signals and their derivatives.
    limits
        That the train has to keep.
    """

    tissue: DesignTissue
    loss: ArmLoss
    limits: Limits


def optimise(
    problem: Problem,
    starts: dict[str, PulseTrain],
    reporter: Reporter,
    *,
    iterations: int,
    threads: int = 1,
    should_stop: Callable[[], bool] = lambda: False,
) -> Design:
    """Search from each start, and return the best train.

    Parameters
    ----------
    problem
        Tissues, loss and limits.
    starts
        Trains to start from, by name.
    reporter
        Told of the progress.
    iterations
        Of L-BFGS-B, at most, for each start.
    threads
        That share the tissues: an evaluation takes a few milliseconds, so that one is fastest for
        fewer than some twenty of them.
    should_stop
        Asked before each evaluation: the search ends with the best train so far.

    Raises
    ------
    ArgumentError
        If no train can keep the limits, or a start does not determine T1 and T2.
    """
    if not starts or iterations < 1:
        raise ArgumentError("expected at least one start and one iteration")
    threads = min(threads, len(problem.tissue))
    for name, start in starts.items():
        require_reachable(problem.limits, start)
        _require_determined(problem, name, start, threads)
    designs = []
    with reporter.progress("designing the train", iterations * len(starts)) as progress:
        for name, start in starts.items():
            designs.append(
                _search(problem, name, start, iterations, threads, progress, should_stop)
            )
            if designs[-1].was_stopped:
                break
    best = min(designs, key=lambda design: design.loss)
    return replace(
        best,
        evaluations=sum(design.evaluations for design in designs),
        seconds=max(design.seconds for design in designs),
        was_stopped=designs[-1].was_stopped,
    )


def train_loss(problem: Problem, train: PulseTrain, threads: int = 1) -> float:
    """The loss of a train, without penalties."""
    found = signals(train, problem.tissue, threads=threads)
    return problem.loss.value_and_weight(found)[0]


class _StopSearch(Exception):  # noqa: N818
    """Leaves the search from within an evaluation."""


class _Objective:
    """Loss and gradient of the scaled variables of a train, as L-BFGS-B asks for them."""

    def __init__(
        self,
        problem: Problem,
        start: PulseTrain,
        threads: int,
        should_stop: Callable[[], bool],
    ) -> None:
        self._problem, self._start = problem, start
        self._threads, self._should_stop = threads, should_stop
        self.best, self.best_x, self.evaluations = np.inf, self.variables(start), 0

    def __call__(self, x: FloatArray) -> tuple[float, FloatArray]:
        if self._should_stop():
            raise _StopSearch
        self.evaluations += 1
        problem, train = self._problem, self.train(x)
        found = signals(train, problem.tissue, threads=self._threads)
        loss, weight = problem.loss.value_and_weight(found)
        slope = gradient(
            train, problem.tissue, weight, with_times=self._varies_times, threads=self._threads
        )
        added = penalty(problem.limits, train)
        loss += added.value
        if loss < self.best:
            self.best, self.best_x = loss, x.copy()
        return loss, self._scaled(
            slope.flip_angle + added.flip_angle,
            slope.tr + added.tr,
            slope.te,
            slope.inversion_time + added.inversion_time,
        )

    @property
    def _varies_times(self) -> bool:
        limits = self._problem.limits
        return limits.tr_range is not None or limits.te_range is not None

    def variables(self, train: PulseTrain) -> FloatArray:
        """The scaled variables of a train."""
        return self._chosen(
            train.flip_angle / _FLIP_SCALE,
            train.tr / _TIME_SCALE,
            train.te / _TIME_SCALE,
            (train.inversion_time or 0.0) / _TIME_SCALE,
        )

    def _scaled(
        self, flip: FloatArray, tr: FloatArray, te: FloatArray, inversion_time: float
    ) -> FloatArray:
        return self._chosen(
            flip * _FLIP_SCALE, tr * _TIME_SCALE, te * _TIME_SCALE, inversion_time * _TIME_SCALE
        )

    def _chosen(
        self, flip: FloatArray, tr: FloatArray, te: FloatArray, inversion_time: float
    ) -> FloatArray:
        """Those that are varied, in one row."""
        limits, parts = self._problem.limits, [flip]
        if limits.tr_range is not None:
            parts.append(tr)
        if limits.te_range is not None:
            parts.append(te)
        if limits.inversion_time_range is not None:
            parts.append(np.array([inversion_time]))
        return np.concatenate(parts)

    def train(self, x: FloatArray) -> PulseTrain:
        """The train of scaled variables."""
        limits, n = self._problem.limits, len(self._start)
        flip, rest = x[:n] * _FLIP_SCALE, x[n:] * _TIME_SCALE
        tr, te, inversion_time = self._start.tr, self._start.te, self._start.inversion_time
        if limits.tr_range is not None:
            tr, rest = rest[:n], rest[n:]
        if limits.te_range is not None:
            te, rest = rest[:n], rest[n:]
        if limits.inversion_time_range is not None:
            inversion_time = float(rest[0])
        return PulseTrain(flip, tr, te, inversion_time)

    def bounds(self) -> list[tuple[float, float]]:
        """Of the scaled variables."""
        limits, n = self._problem.limits, len(self._start)
        bounds = [(0.0, limits.max_flip / _FLIP_SCALE)] * n
        for each, count in (
            (limits.tr_range, n),
            (limits.te_range, n),
            (limits.inversion_time_range, 1),
        ):
            if each is not None:
                bounds += [(each[0] / _TIME_SCALE, each[1] / _TIME_SCALE)] * count
        return bounds


def _search(
    problem: Problem,
    name: str,
    start: PulseTrain,
    iterations: int,
    threads: int,
    progress: Progress,
    should_stop: Callable[[], bool],
) -> Design:
    """The best train that a search from one start finds."""
    objective = _Objective(problem, start, threads, should_stop)
    began = time.perf_counter()
    was_stopped = _minimise(objective, start, iterations, progress)
    train = within_limits(problem.limits, objective.train(objective.best_x))
    return Design(
        train=train,
        loss=train_loss(problem, train, threads),
        start_loss=train_loss(problem, start, threads),
        start=name,
        evaluations=objective.evaluations,
        seconds=time.perf_counter() - began,
        was_stopped=was_stopped,
    )


def _minimise(
    objective: _Objective, start: PulseTrain, iterations: int, progress: Progress
) -> bool:
    """Run L-BFGS-B on the objective, which keeps the best variables; whether it was stopped."""
    from scipy.optimize import minimize

    low, high = np.transpose(objective.bounds())
    done, was_stopped = 0, False

    def count(_: FloatArray) -> None:
        nonlocal done
        done += 1
        progress(1)

    try:
        minimize(
            objective,
            np.clip(objective.variables(start), low, high),
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(low, high, strict=True)),
            callback=count,
            options={"maxiter": iterations, "maxfun": 2 * iterations},
        )
    except _StopSearch:
        was_stopped = True
    progress(iterations - done)
    return was_stopped


def _require_determined(problem: Problem, name: str, start: PulseTrain, threads: int) -> None:
    """Raise ArgumentError if a start tells nothing about T1 or T2 in some arm."""
    sd = problem.loss.relative_sd(signals(start, problem.tissue, threads=threads))
    if not float(sd.max()) < _LARGEST_START_SD:
        raise ArgumentError(
            f"start {name} does not determine T1 and T2 in every arm, expected one that does: its"
            " signal or its derivatives vanish"
        )
