"""Making a table: its rank and grid follow from error bounds, so that neither is felt at the
highest SNR promised.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from mrftool.arrays import Array, FloatArray, Range
from mrftool.errors import ArgumentError, CheckFailedError, InputError
from mrftool.manifold.bspline import MIN_NODES, Axis, prefilter, value_weights
from mrftool.manifold.compression import Basis, compress, fit_basis
from mrftool.manifold.parameters import (
    Parameter,
    draw_points,
    is_tissue,
    parameters_of,
    ranges_from_keywords,
    tissue_at,
)
from mrftool.manifold.table import Form, SignalTable, evaluate
from mrftool.physics.simulate import simulate_blocks
from mrftool.sequence import PulseSequence

TOP_SNR = 100.0  # above this, errors of the table may be seen
_BIAS_SHARE = 0.1  # what the grid may move an estimate, in standard deviations at TOP_SNR
TRUNCATION = (
    0.2 / TOP_SNR
)  # relative error that the basis may leave: it adds a hundredth to the residual at TOP_SNR
_MIN_REPETITIONS = 5
_COARSE_FITTED, _COARSE_GIVEN = 17, 5  # nodes of the grid that measures how fingerprints bend
_N_CHECKS = 400
_MAX_NODES = 1_000_000
_ROUNDS = 6
_ORDER = 4  # a cubic spline errs as step^4
_GIVEN_STEP = 0.1  # of the accuracy of a map, for the derivative by a given parameter
_GIVEN_INTERVALS = (4, 6, 8, 12, 16, 24, 32, 48, 96)
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
    adc: float = 0.0,
    form: Form = "complex",
    tolerance: float | None = None,
    seed: int = 0,
    **keywords: Range | None,
) -> SignalTable:
    """Table of `sequence` whose error between the nodes is below `tolerance`, by default
    `default_tolerance`.

    t1_range, t2_range [s], b1_range [1] and so on: what the table covers, by name of the parameter.
    A given parameter without a range has its default. adc [m2/s].

    Along the axis of a given parameter, the error may also be as large as what the smallest error
    of its map changes: no map is better known, and fingerprints of long T2 swing faster with B1
    than any table could follow. The basis keeps every fingerprint up to TRUNCATION: what it leaves
    out is orthogonal to it and moves no estimate. Magnitudes are made of all of it, so that the
    basis for them keeps all but `tolerance`.

    Raises InputError for a sequence too short, ArgumentError for an invalid range,
    CheckFailedError if no grid of a million nodes is fine enough.
    """
    if len(sequence) < _MIN_REPETITIONS:
        raise InputError(
            f"sequence {sequence.name}: {len(sequence)} repetitions, expected at least "
            f"{_MIN_REPETITIONS}: T1, T2, m0 and the noise are to be told apart"
        )
    ranges = ranges_from_keywords(keywords)
    limits = _limits(ranges)
    tolerance = tolerance or default_tolerance(sequence)
    engine = _Engine(sequence, parameters_of(ranges), adc)
    nodes = _nodes(engine.coarse_axes(limits))
    n_checks = _N_CHECKS
    if engine.given:
        n_checks *= 3
    checks = draw_points(limits, n_checks, np.random.default_rng(seed))
    coarse, check_signals = engine.signals(nodes), engine.signals(checks)
    known = np.concatenate([coarse[is_tissue(nodes)], check_signals])
    basis, of_magnitudes = _bases(known, form, tolerance)
    table = _table(engine.coarse_axes(limits), compress(coarse, basis), basis, engine)
    expected = _coefficients(check_signals, basis)
    allowed = engine.allowed(checks, basis, tolerance)
    table = _accurate_table(table, engine, tolerance, (checks, expected, allowed))
    return replace(table, form=form, magnitude_basis=of_magnitudes)


def _bases(known: Array, form: Form, tolerance: float) -> tuple[Basis, Basis | None]:
    """Bases of complex signals and, where they are asked for, of magnitudes."""
    if form == "complex":
        return fit_basis(known, TRUNCATION), None
    return fit_basis(known, tolerance), fit_basis(abs(known), _MAGNITUDE_TRUNCATION)


def _accurate_table(
    coarse: SignalTable, engine: "_Engine", tolerance: float, checks: tuple[Array, Array, Array]
) -> SignalTable:
    """Refine `coarse` until it errs less than allowed. checks: points, their coefficients and the
    relative errors allowed there.
    """
    points, expected, allowed = checks
    axes = _refined(coarse, engine, tolerance)
    for _ in range(_ROUNDS):
        _check_size(axes, engine.sequence, tolerance)
        compressed = engine.compressed(_nodes(axes), coarse.basis)
        table = _table(axes, compressed, coarse.basis, engine)
        errors = _relative_error(table, points, expected)
        excess = float((errors / allowed).max())
        if excess <= 1:
            return replace(table, error=float(errors.max()))
        axes = _finer(axes, [1.05 * excess ** (1 / _ORDER)] * len(axes))
    raise CheckFailedError(
        f"table of {engine.sequence.name}: {excess:.2g} times the error allowed, "
        f"after {_ROUNDS} refinements"
    )


@dataclass(frozen=True)
class _Engine:
    """The exact engine, asked at points `(voxel, axis)` of the table's axes."""

    sequence: PulseSequence
    parameters: tuple[Parameter, ...]
    adc: float

    @property
    def given(self) -> tuple[Parameter, ...]:
        return tuple(parameter for parameter in self.parameters if not parameter.fitted)

    def coarse_axes(self, limits: list[Range]) -> tuple[Axis, ...]:
        """A few nodes along each axis."""
        axes = []
        for parameter, limit in zip(self.parameters, limits, strict=True):
            size = _COARSE_GIVEN
            if parameter.fitted:
                size = _COARSE_FITTED
            axes.append(Axis.spanning(*limit, size))
        return tuple(axes)

    def blocks(self, points: Array) -> Iterator[Array]:
        return simulate_blocks(self.sequence, tissue_at(self.parameters, points, self.adc))

    def signals(self, points: Array) -> Array:
        return np.concatenate(list(self.blocks(points)))

    def compressed(self, points: Array, basis: Basis) -> Array:
        return np.concatenate([compress(block, basis) for block in self.blocks(points)])

    def allowed(self, points: Array, basis: Basis, tolerance: float) -> Array:
        """Relative error that a table may have at `points` `(voxel,)`."""
        allowed = np.full(len(points), tolerance)
        for k, parameter in enumerate(self.parameters):
            if not parameter.fitted:
                change = self._change(points, basis, k, _GIVEN_STEP * parameter.map_accuracy)
                allowed = np.maximum(allowed, change / _GIVEN_STEP)
        return allowed

    def _change(self, points: Array, basis: Basis, axis: int, step: float) -> Array:
        """Relative change of the fingerprint along an axis `(voxel,)`."""
        moved = points.copy()
        moved[:, axis] += step
        here, there = self.compressed(points, basis), self.compressed(moved, basis)
        return np.asarray(np.linalg.norm(there - here, axis=1) / np.linalg.norm(here, axis=1))


def _limits(ranges: dict[str, Range]) -> list[Range]:
    """Ends of the axes. Raises ArgumentError where all T2 are above all T1."""
    if ranges["t2"][0] > ranges["t1"][1]:
        raise ArgumentError(
            f"T2 from {ranges['t2'][0]:g} s is above T1 up to {ranges['t1'][1]:g} s, "
            "expected ranges with T2 <= T1"
        )
    limits = []
    for parameter in parameters_of(ranges):
        low, high = parameter.to_axis(ranges[parameter.name])
        limits.append((float(low), float(high)))
    return limits


def _nodes(axes: tuple[Axis, ...]) -> Array:
    """All nodes `(voxel, axis)` in C order."""
    return _mesh([axis.nodes for axis in axes])


def _mesh(values: list[FloatArray]) -> Array:
    """All combinations of values along each axis `(voxel, axis)` in C order."""
    return np.stack([x.ravel() for x in np.meshgrid(*values, indexing="ij")], axis=1)


def _coefficients(signals: Array, basis: Basis) -> Array:
    return _real_if(basis, compress(signals, basis))


def _real_if(basis: Basis, coefficients: Array) -> Array:
    if basis.is_real:
        return coefficients.real
    return coefficients


def _table(axes: tuple[Axis, ...], compressed: Array, basis: Basis, engine: _Engine) -> SignalTable:
    shape = [axis.size for axis in axes]
    filtered = prefilter(_real_if(basis, compressed).reshape(*shape, -1), len(axes))
    return SignalTable(
        axes=axes,
        coefficients=filtered,
        basis=basis,
        form="complex",
        error=np.inf,
        adc=engine.adc,
        sequence_id=engine.sequence.sequence_id,
        parameters=engine.parameters,
    )


def _relative_error(table: SignalTable, points: Array, expected: Array) -> Array:
    difference = evaluate(table, points) - expected
    return np.asarray(np.linalg.norm(difference, axis=1) / np.linalg.norm(expected, axis=1))


def _refined(table: SignalTable, engine: _Engine, tolerance: float) -> tuple[Axis, ...]:
    """Axes that should reach `tolerance`: fitted ones from the error of a coarse table halfway
    between its nodes, given ones from lines along them.
    """
    factors = []
    for k, axis in enumerate(table.fitted_axes):
        values = [other.nodes for other in table.axes]
        values[k] = axis.nodes[:-1] + axis.step / 2
        points = _mesh(values)
        points = points[is_tissue(points)]
        points = points[np.random.default_rng(k).permutation(len(points))[:_N_CHECKS]]
        expected = _coefficients(engine.signals(points), table.basis)
        allowed = engine.allowed(points, table.basis, tolerance)
        excess = _relative_error(table, points, expected) / allowed
        factors.append((len(table.axes) * excess.max()) ** (1 / _ORDER))
    given = range(table.n_fitted, len(table.axes))
    lines = tuple(_given_axis(k, table, engine, tolerance) for k in given)
    return _finer(table.fitted_axes, factors) + lines


def _given_axis(k: int, table: SignalTable, engine: _Engine, tolerance: float) -> Axis:
    """The coarsest of some axes of a given parameter that is fine enough along a few lines, where
    the other parameters are constant.
    """
    axis, finest_size = table.axes[k], max(_GIVEN_INTERVALS) + 1
    finest = Axis.spanning(axis.start, axis.stop, finest_size)
    places = draw_points(table.limits, _N_LINES, np.random.default_rng(3))
    points = np.repeat(places, finest_size, axis=0)
    points[:, k] = np.tile(finest.nodes, _N_LINES)
    lines = engine.compressed(points, table.basis).reshape(_N_LINES, finest_size, -1)
    lines = lines.swapaxes(0, 1)
    allowed = engine.allowed(points, table.basis, tolerance).reshape(_N_LINES, -1).T
    allowed = allowed / len(table.axes) * np.linalg.norm(lines, axis=2)
    for intervals in _GIVEN_INTERVALS:
        candidate = Axis.spanning(axis.start, axis.stop, intervals + 1)
        coefficients = prefilter(lines[:: max(_GIVEN_INTERVALS) // intervals], 1)
        cell, u = candidate.locate(finest.nodes)
        around = coefficients[cell[:, None] + np.arange(4)]
        found = np.einsum("bilr,bi->blr", around, value_weights(u))
        if (np.linalg.norm(found - lines, axis=2) <= allowed).all():
            break
    return candidate


def _finer(axes: tuple[Axis, ...], factors: list[float]) -> tuple[Axis, ...]:
    finer = []
    for axis, factor in zip(axes, factors, strict=True):
        size = max(MIN_NODES, int(np.ceil((axis.size - 1) * factor)) + 1)
        finer.append(Axis.spanning(axis.start, axis.stop, size))
    return tuple(finer)


def _check_size(axes: tuple[Axis, ...], sequence: PulseSequence, tolerance: float) -> None:
    count = int(np.prod([axis.size for axis in axes]))
    if count > _MAX_NODES:
        raise CheckFailedError(
            f"table of {sequence.name}: an error of {tolerance:.1e} needs {count} nodes, "
            f"expected at most {_MAX_NODES}",
            hint="narrow the ranges, or allow a larger error",
        )
