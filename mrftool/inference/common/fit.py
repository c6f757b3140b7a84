"""Fit values that all voxels share, together with T1, T2 and M0 of a sample of voxels.

Least squares by Gauss-Newton steps with exact signals. T1, T2 and M0 of each voxel are eliminated
(variable projection, Golub and Pereyra, SIAM J. Numer. Anal. 10:413, 1973): with d what they leave
of the derivatives by the common values, and r the residual, the step of the coefficients c of the
values B c is (sum B^T Re(d^H d) B / s^2 + P)^-1 (sum B^T Re(d^H r) / s^2 - P c), with P the inverse
variances of the prior. Each voxel counts by its own residual variance s^2, so that one that no
values explain counts little. Their covariance is the sandwich of the scores of single voxels
(H. White, Econometrica 48:817, 1980), which model errors and the spectrum of the noise widen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mrftool.arrays import Array, FloatArray
from mrftool.inference.assessment.noise import noise_shape
from mrftool.inference.assessment.sample import SampledResiduals
from mrftool.inference.common.linear import Linearised, linearised
from mrftool.inference.common.result import CommonFit, summarised
from mrftool.inference.common.unknowns import Unknown
from mrftool.manifold.influences import B1, EFFICIENCY, Influence, with_change
from mrftool.sequence import Invert, PulseSequence
from mrftool.tissue import Tissue

_ROUNDS, _TRIALS = 15, 3  # Gauss-Newton steps of the fit, and from each start
_CONVERGED = 1e-4  # change of any value [1]
_LONGEST, _LONGEST_COMMON = 0.3, 0.15  # step of log T1 and log T2, and of a common value [1]
_STARTS = np.arange(-0.4, 0.41, 0.1)  # deviations of B1 from its map that are tried [1]
_N_STARTS = 150  # voxels that are tried
_LEAST_B1 = 0.05  # [1]
_TIMES = (1e-3, 20.0)  # within which T1 and T2 are looked for [s]


@dataclass(frozen=True, eq=False)
class _State:
    """Coefficients `(coefficient,)`, and of each voxel log T1 and log T2 `(voxel, 2)`, M0, and the
    residual's standard deviation `(voxel,)` [scanner's unit].
    """

    common: FloatArray
    log_times: FloatArray
    m0: Array
    noise_sd: FloatArray


class _Problem:
    """The voxels of a sample, and what is fitted in them."""

    def __init__(
        self, sample: SampledResiduals, sequence: PulseSequence, unknowns: Sequence[Unknown]
    ) -> None:
        self.sample, self.sequence, self.unknowns = sample, sequence, tuple(unknowns)
        self.precision = np.concatenate([each.prior_sd**-2.0 for each in unknowns])
        self.rows = np.zeros((len(sample.m0), len(unknowns), len(self.precision)))
        self.influences = [each.influence for each in unknowns]
        end = 0
        for n, unknown in enumerate(unknowns):
            start, end = end, end + len(unknown.prior_sd)
            self.rows[:, n, start:end] = unknown.shapes(sample.voxels)

    def __getitem__(self, chosen: Array) -> "_Problem":
        return _Problem(self.sample[chosen], self.sequence, self.unknowns)

    def start(self) -> _State:
        """What the first fit found, with no change of common values."""
        tissue = self.sample.tissue
        times = np.log(np.stack([tissue.t1, tissue.t2], axis=1))
        m0 = self.sample.m0.astype(np.result_type(self.sample.m0, np.float64))
        noise_sd = self.sample.noise_sd.astype(np.float64)
        return _State(np.zeros(len(self.precision)), times, m0, noise_sd)

    def scene(self, state: _State) -> tuple[PulseSequence, Tissue]:
        """Sequence and tissue at a state."""
        times = np.exp(state.log_times)
        sequence, tissue = (
            self.sequence,
            replace(self.sample.tissue, t1=times[:, 0], t2=times[:, 1]),
        )
        for change, influence in zip((self.rows @ state.common).T, self.influences, strict=True):
            if influence == B1:
                tissue = replace(tissue, b1=np.maximum(tissue.b1 + change, _LEAST_B1))
            else:
                mean = float(change.mean())
                sequence, tissue = with_change(influence, sequence, tissue, mean)
        return sequence, tissue

    def look(self, state: _State) -> Linearised:
        """The sample near a state."""
        return linearised(self.sample, state.m0, state.noise_sd, self.scene(state), self.influences)

    def normal(self, near: Linearised) -> FloatArray:
        """Matrix of the normal equations of the coefficients, with the prior."""
        rows = self.rows
        half = np.einsum("vuk,vuw->vkw", rows, near.gram)
        curvature = np.einsum("vkw,vwl->kl", half, rows)
        return np.asarray(curvature + np.diag(self.precision))

    def scores(self, near: Linearised) -> FloatArray:
        """Slope of half the log likelihood by the coefficients `(voxel, coefficient)`."""
        return np.asarray(np.einsum("vuk,vu->vk", self.rows, near.cross))


def fit_common(
    sample: SampledResiduals,
    sequence: PulseSequence,
    unknowns: Sequence[Unknown],
    others: Mapping[Influence, float],
) -> CommonFit:
    """Fit common values.

    Parameters
    ----------
    sample
        Voxels with the estimates of a first fit, which took the values for granted.
    sequence
        Of that fit.
    unknowns
        What is fitted.
    others
        Standard uncertainty of each value that is not fitted [SI unit].
    """
    problem = _Problem(sample, sequence, unknowns)
    state = _started(problem)
    for _ in range(_ROUNDS):
        near = problem.look(state)
        state, moved = _step(problem, state, near, move_common=True)
        if moved < _CONVERGED:
            break
    near = linearised(
        sample,
        state.m0,
        state.noise_sd,
        problem.scene(state),
        [*problem.influences, *others],
        noise_shape(sample),
    )
    return summarised(problem.unknowns, problem.rows, problem.precision, state.common, near, others)


def _started(problem: _Problem) -> _State:
    """The state to begin with: of B1, the factor among some that fits a part of the voxels best."""
    state = problem.start()
    if problem.influences[0] != B1:
        return state
    few = problem[np.arange(len(state.m0)) % max(len(state.m0) // _N_STARTS, 1) == 0]
    first = few.start()
    slopes = few.look(first).slopes[:, 0]
    costs, found = [], []
    for deviation in _STARTS:
        trial = first.common.copy()
        trial[0] = deviation
        tried = _at_common(few, first, trial, slopes)
        for _ in range(_TRIALS):
            tried, _moved = _step(few, tried, few.look(tried), move_common=False)
        costs.append(np.log(few.look(tried).noise_sd).sum())
        found.append(trial)
    best = found[int(np.argmin(costs))]
    return _at_common(problem, state, best, problem.look(state).slopes[:, 0])


def _at_common(problem: _Problem, state: _State, common: FloatArray, slopes: FloatArray) -> _State:
    """The state at other common values, with T1 and T2 where they pull each voxel's fit."""
    change = problem.rows[:, 0] @ common
    log_times = _in_range(state.log_times + np.clip(slopes * change[:, None], -1, 1))
    return replace(state, common=common, log_times=log_times)


def _step(
    problem: _Problem, state: _State, near: Linearised, *, move_common: bool
) -> tuple[_State, float]:
    """The next state, and the largest change of a common value."""
    step = np.zeros_like(state.common)
    if move_common:
        pull = problem.scores(near).sum(axis=0) - problem.precision * state.common
        step = np.linalg.lstsq(problem.normal(near), pull, rcond=None)[0]
    change = problem.rows @ step
    largest = float(np.abs(change).max())
    if largest > _LONGEST_COMMON:
        step, change = step * _LONGEST_COMMON / largest, change * _LONGEST_COMMON / largest
    own = near.steps + np.einsum("vu,vuk->vk", change, near.slopes)
    log_times = _in_range(state.log_times + np.clip(own, -_LONGEST, _LONGEST))
    common = _possible(problem, state.common + step)
    return _State(common, log_times, near.m0, near.noise_sd), largest


def _possible(problem: _Problem, common: FloatArray) -> FloatArray:
    """Coefficients at which no inversion is more than perfect."""
    if EFFICIENCY not in problem.influences:
        return common
    place = len(common) - 1
    efficiencies = [each.efficiency for each in problem.sequence.events if isinstance(each, Invert)]
    kept = common.copy()
    kept[place] = np.clip(common[place], -min(efficiencies), 1 - max(efficiencies))
    return kept


def _in_range(log_times: FloatArray) -> FloatArray:
    return np.clip(log_times, *np.log(_TIMES))
