"""Making a table: its rank and grid follow from error bounds, so that neither is felt at the
highest SNR promised.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from mrftool.arrays import Array, BoolArray, Range
from mrftool.errors import ArgumentError, CheckFailedError, InputError
from mrftool.manifold.bspline import MIN_NODES, Axis, prefilter, value_weights
from mrftool.manifold.compression import Basis, compress, fit_basis
from mrftool.manifold.table import Form, SignalTable, evaluate
from mrftool.physics.simulate import simulate_blocks
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

TOP_SNR = 100.0  # above this, errors of the table may be seen
_BIAS_SHARE = 0.1  # what the grid may move an estimate, in standard deviations at TOP_SNR
TRUNCATION = (
    0.2 / TOP_SNR
)  # relative error that the basis may leave: it adds a hundredth to the residual at TOP_SNR
_MIN_REPETITIONS = 5
_COARSE = (17, 17, 5)  # nodes of the grid that measures how fast the fingerprints bend
_N_CHECKS = 400
_MAX_NODES = 1_000_000
_ROUNDS = 6
_ORDER = 4  # a cubic spline errs as step^4
_B1_ACCURACY = 1e-3  # of a B1 map, at the very best
_B1_STEP = 1e-4
_B1_INTERVALS = (4, 6, 8, 12, 16, 24, 32, 48, 96)
_N_LINES = 24
_MAGNITUDE_TRUNCATION = (
    0.02  # of features of magnitudes: their kinks where samples pass through 0 need endless bases
)


def default_tolerance(sequence: PulseSequence) -> float:
    """Relative error of a fingerprint that moves no estimate by more than a tenth of its noise at
    SNR 100 [1].

    Noise of standard deviation s per channel moves an estimate as far as an error of norm s in the
    signal does, and s / norm = 1 / (SNR sqrt(time)).
    """
    return _BIAS_SHARE / (TOP_SNR * float(np.sqrt(len(sequence))))


def build_table(
    sequence: PulseSequence,
    *,
    t1_range: Range,
    t2_range: Range,
    b1_range: Range | None = None,
    adc: float = 0.0,
    form: Form = "complex",
    tolerance: float | None = None,
    seed: int = 0,
) -> SignalTable:
    """Table of `sequence` whose error between the nodes is below `tolerance`, by default
    `default_tolerance`.

    t1_range, t2_range [s], b1_range [1]: what the table covers. Without b1_range, B1 is 1. adc
    [m2/s]. With b1_range, the error may also be as large as what 0.1 % more or less of B1 changes:
    no map is better known, and fingerprints of long T2 swing faster with B1 than any table could
    follow. The basis keeps every fingerprint up to TRUNCATION: what it leaves out is orthogonal to
    it and moves no estimate. Magnitudes are made of all of it, so that the basis for them keeps all
    but `tolerance`.

    Raises InputError for a sequence too short, ArgumentError for a range that is none,
    CheckFailedError if no grid of a million nodes is fine enough.
    """
    if len(sequence) < _MIN_REPETITIONS:
        raise InputError(
            f"sequence {sequence.name}: {len(sequence)} repetitions, expected at least {_MIN_REPETITIONS}: "
            "T1, T2, m0 and the noise are to be told apart"
        )
    limits = _limits(t1_range, t2_range, b1_range)
    tolerance = tolerance or default_tolerance(sequence)
    engine = _Engine(sequence, adc)
    axes = tuple(Axis.spanning(*limit, size) for limit, size in zip(limits, _COARSE, strict=False))
    nodes, checks = (
        _nodes(axes),
        _random_points(limits, _N_CHECKS * (1 if b1_range is None else 3), seed),
    )
    coarse, check_signals = engine.signals(nodes), engine.signals(checks)
    known = np.concatenate([coarse[_is_tissue(nodes)], check_signals])
    basis = fit_basis(known, TRUNCATION if form == "complex" else tolerance)
    of_magnitudes = fit_basis(abs(known), _MAGNITUDE_TRUNCATION) if form == "magnitude" else None
    table = _table(axes, compress(coarse, basis), basis, engine)
    axes = _refined(table, engine, tolerance)
    truth, allowed = _coefficients(check_signals, basis), engine.allowed(checks, basis, tolerance)
    for _ in range(_ROUNDS):
        _check_size(axes, sequence, tolerance)
        table = _table(axes, engine.compressed(_nodes(axes), basis), basis, engine)
        errors = _relative_error(table, checks, truth)
        excess = float((errors / allowed).max())
        if excess <= 1:
            return replace(
                table, error=float(errors.max()), form=form, magnitude_basis=of_magnitudes
            )
        axes = _finer(axes, [1.05 * excess ** (1 / _ORDER)] * len(axes))
    raise CheckFailedError(
        f"table of {sequence.name}: {excess:.2g} times the error allowed, after {_ROUNDS} refinements"
    )


@dataclass(frozen=True)
class _Engine:
    """The exact engine, asked at points `(voxel, 2 or 3)` of the table's axes."""

    sequence: PulseSequence
    adc: float

    def blocks(self, points: Array) -> Iterator[Array]:
        b1 = points[:, 2] if points.shape[1] == 3 else np.ones(len(points))
        tissue = Tissue(
            np.exp(points[:, 0]), np.exp(points[:, 1]), b1=b1, adc=np.full(len(points), self.adc)
        )
        return simulate_blocks(self.sequence, tissue)

    def signals(self, points: Array) -> Array:
        return np.concatenate(list(self.blocks(points)))

    def compressed(self, points: Array, basis: Basis) -> Array:
        return np.concatenate([compress(block, basis) for block in self.blocks(points)])

    def allowed(self, points: Array, basis: Basis, tolerance: float) -> Array:
        """Relative error that a table may have at `points` `(voxel,)`."""
        if points.shape[1] == 2:
            return np.full(len(points), tolerance)
        step = np.array([0.0, 0.0, _B1_STEP])
        here, ahead = self.compressed(points, basis), self.compressed(points + step, basis)
        slope = np.linalg.norm(ahead - here, axis=1) / np.linalg.norm(here, axis=1) / _B1_STEP
        return np.asarray(np.maximum(tolerance, _B1_ACCURACY * slope))


def _limits(t1_range: Range, t2_range: Range, b1_range: Range | None) -> list[Range]:
    ranges = {"T1": t1_range, "T2": t2_range} | ({} if b1_range is None else {"B1": b1_range})
    for key, (low, high) in ranges.items():
        if not 0 < low < high < np.inf:
            raise ArgumentError(
                f"{key} from {low:g} to {high:g}, expected a range of positive numbers"
            )
    if t2_range[0] > t1_range[1]:
        raise ArgumentError(
            f"T2 from {t2_range[0]:g} s is above T1 up to {t1_range[1]:g} s, expected ranges with T2 <= T1"
        )
    logs = [(float(np.log(low)), float(np.log(high))) for low, high in (t1_range, t2_range)]
    return logs if b1_range is None else [*logs, b1_range]


def _nodes(axes: tuple[Axis, ...]) -> Array:
    """All nodes `(voxel, axis)` in C order."""
    return np.stack(
        [x.ravel() for x in np.meshgrid(*(axis.nodes for axis in axes), indexing="ij")], axis=1
    )


def _random_points(limits: list[Range], count: int, seed: int) -> Array:
    """Points with T2 <= T1, uniform on the axes."""
    low, high = np.array(limits).T
    points = np.random.default_rng(seed).uniform(low, high, (40 * count, len(limits)))
    return points[_is_tissue(points)][:count]


def _is_tissue(points: Array) -> BoolArray:
    return np.asarray(points[:, 1] <= points[:, 0] + 1e-9)


def _coefficients(signals: Array, basis: Basis) -> Array:
    coefficients = compress(signals, basis)
    return coefficients.real if basis.is_real else coefficients


def _table(axes: tuple[Axis, ...], compressed: Array, basis: Basis, engine: _Engine) -> SignalTable:
    samples = (compressed.real if basis.is_real else compressed).reshape(
        *(axis.size for axis in axes), -1
    )
    filtered = prefilter(samples, len(axes))
    return SignalTable(
        axes, filtered, basis, "complex", np.inf, engine.adc, engine.sequence.sequence_id
    )


def _relative_error(table: SignalTable, points: Array, truth: Array) -> Array:
    t1, t2, *b1 = points.T
    found = evaluate(table, np.exp(t1), np.exp(t2), *b1)
    return np.asarray(np.linalg.norm(found - truth, axis=1) / np.linalg.norm(truth, axis=1))


def _refined(table: SignalTable, engine: _Engine, tolerance: float) -> tuple[Axis, ...]:
    """Axes that should reach `tolerance`: T1 and T2 from the error of a coarse table halfway
    between its nodes.
    """
    factors = []
    for k, axis in enumerate(table.axes[:2]):
        others = [
            a.nodes if j != k else axis.nodes[:-1] + axis.step / 2 for j, a in enumerate(table.axes)
        ]
        points = np.stack([x.ravel() for x in np.meshgrid(*others, indexing="ij")], axis=1)
        points = points[_is_tissue(points)]
        points = points[np.random.default_rng(k).permutation(len(points))[:_N_CHECKS]]
        truth = _coefficients(engine.signals(points), table.basis)
        excess = _relative_error(table, points, truth) / engine.allowed(
            points, table.basis, tolerance
        )
        factors.append((len(table.axes) * excess.max()) ** (1 / _ORDER))
    return _finer(table.axes[:2], factors) + tuple(
        _b1_axis(axis, table, engine, tolerance) for axis in table.axes[2:]
    )


def _b1_axis(axis: Axis, table: SignalTable, engine: _Engine, tolerance: float) -> Axis:
    """The coarsest of some B1 axes that is fine enough along a few lines of constant T1 and T2."""
    finest = Axis.spanning(axis.start, axis.stop, max(_B1_INTERVALS) + 1)
    places = _random_points([(a.start, a.stop) for a in table.axes[:2]], _N_LINES, seed=3)
    points = np.concatenate(
        [np.repeat(places, finest.size, axis=0), np.tile(finest.nodes, _N_LINES)[:, None]], axis=1
    )
    lines = engine.compressed(points, table.basis).reshape(_N_LINES, finest.size, -1).swapaxes(0, 1)
    allowed = engine.allowed(points, table.basis, tolerance).reshape(_N_LINES, -1).T / len(
        table.axes
    )
    for intervals in _B1_INTERVALS:
        candidate = Axis.spanning(axis.start, axis.stop, intervals + 1)
        coefficients = prefilter(lines[:: max(_B1_INTERVALS) // intervals], 1)
        cell, u = candidate.locate(finest.nodes)
        found = np.einsum(
            "bilr,bi->blr", coefficients[cell[:, None] + np.arange(4)], value_weights(u)
        )
        if (np.linalg.norm(found - lines, axis=2) <= allowed * np.linalg.norm(lines, axis=2)).all():
            break
    return candidate


def _finer(axes: tuple[Axis, ...], factors: list[float]) -> tuple[Axis, ...]:
    sizes = [
        max(MIN_NODES, int(np.ceil((a.size - 1) * f)) + 1)
        for a, f in zip(axes, factors, strict=True)
    ]
    return tuple(Axis.spanning(a.start, a.stop, size) for a, size in zip(axes, sizes, strict=True))


def _check_size(axes: tuple[Axis, ...], sequence: PulseSequence, tolerance: float) -> None:
    count = int(np.prod([axis.size for axis in axes]))
    if count > _MAX_NODES:
        raise CheckFailedError(
            f"table of {sequence.name}: an error of {tolerance:.1e} needs {count} nodes, expected at most {_MAX_NODES}",
            hint="narrow the ranges, or allow a larger error",
        )
