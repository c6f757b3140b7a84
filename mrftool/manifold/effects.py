"""What noise and given values do to the estimates, tabulated over the range of tissue.

Exact for a few hundred tissues, and interpolated for all others: an image has too many voxels to
ask the engine for each.

What white noise and given values do is `mrftool.manifold.first_order`. With its J and H, noise of
covariance N gives the estimates the covariance H^-1 Re(J^H N J) H^-1 (the sandwich of H. White,
Econometrica 48:817, 1980).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mrftool.arrays import Array, FloatArray, Range
from mrftool.manifold.first_order import (
    Following,
    directions_of,
    first_order,
    moves_of,
    products,
)
from mrftool.manifold.influences import Influence
from mrftool.manifold.multilinear import interpolate_linearly, nodes_around
from mrftool.manifold.parameters import Parameter, points_of, tissue_at
from mrftool.physics.cramer_rao import Form
from mrftool.sequence import PulseSequence

_FITTED_NODES, _GIVEN_NODES = 20, 7
_TOLERANCE = 1e-5
_BLOCK = 64  # tissues at a time
_MOST_TAKEN = 0.1  # of the noise, by the fit


@dataclass(frozen=True, eq=False)
class NoiseShape:
    """How the noise of a scan differs from white noise of the same mean variance.

    Parameters
    ----------
    covariance
        Of samples k repetitions apart `(lag,)`, relative to the variance that white noise would
        have if it left the same residual [1].
    in_phase, quadrature
        Variance of the channel in the phase of m0, and of the other one, relative to their mean
        [1]: 1 and 1 for circular noise, 0 for an empty channel.
    confinement
        Dimensions of the signals over those that the noise is confined to, within which it is
        white [1].
    matrix
        Covariance of all frames, in place of that by lag, relative as there `(time, time)` [1].
    """

    covariance: FloatArray
    in_phase: float = 1.0
    quadrature: float = 1.0
    confinement: float = 1.0
    matrix: FloatArray | None = None

    @property
    def correlation_time(self) -> float:
        """Repetitions that count as one independent sample [1]."""
        if self.matrix is not None:
            return float(max(self.matrix.sum() / np.trace(self.matrix), 1.0))
        return float(max(1 + 2 * self.covariance[1:].sum() / self.covariance[0], 1.0))

    @property
    def is_white(self) -> bool:
        """Whether all samples of both channels are independent and alike."""
        is_circular = self.in_phase == self.quadrature
        is_plain = self.confinement == 1 and self.matrix is None
        return len(self.covariance) == 1 and is_circular and is_plain

    @property
    def energy_spread(self) -> float:
        """Factor on the relative variance of the noise's energy, beside that of white noise [1]."""
        if self.confinement > 1:
            return float(self.covariance[0])
        if self.matrix is not None:
            return float(np.square(self.matrix).sum() / len(self.matrix))
        channels = (self.in_phase**2 + self.quadrature**2) / 2
        return float(channels * (2 * np.square(self.covariance).sum() - self.covariance[0] ** 2))

    def filtered(self, rows: Array) -> Array:
        """Noise covariance times rows `(..., time)`, complex or, for magnitudes, real."""
        if self.matrix is not None:
            return np.asarray(rows @ self.matrix)
        result = rows * self.covariance[0]
        for lag, value in enumerate(self.covariance[1:], start=1):
            result[..., lag:] += value * rows[..., :-lag]
            result[..., :-lag] += value * rows[..., lag:]
        if not np.iscomplexobj(rows):
            return np.asarray(result)
        return np.asarray(self.in_phase * result.real + 1j * self.quadrature * result.imag)


WHITE = NoiseShape(np.ones(1))


def confined_noise(n_time: int, n_courses: int, n_unknowns: int) -> NoiseShape:
    """White noise of complex series of `n_time` frames that hold `n_courses` independent time
    courses, of which the fit takes up as many real numbers as it has unknowns.
    """
    left = 2 * n_courses - n_unknowns
    return NoiseShape(np.array([(2 * n_time - n_unknowns) / left]), confinement=n_time / n_courses)


def noise_of_covariance(relative: FloatArray, taken: float = 0.0) -> NoiseShape:
    """Noise of a covariance that is known.

    Parameters
    ----------
    relative
        Covariance of all frames over their mean variance `(time, time)` [1].
    taken
        Share of white noise that the fit takes up, where the residual tells the level [1].
    """
    scale = 1.0
    if taken > 0:
        time = max(relative.sum() / len(relative), 1.0)
        scale = (1 - taken) / (1 - min(taken * time, _MOST_TAKEN))
    return NoiseShape(np.array([scale]), matrix=scale * relative)


@dataclass(frozen=True, eq=False)
class Effects:
    """Effects at each voxel.

    Parameters
    ----------
    norm
        Of the signal of m0 = 1, over time `(voxel,)`.
    sd
        Relative standard deviation of the fitted parameters for white noise of a standard deviation
        equal to that norm `(voxel, fitted)`.
    inflation
        Factor on it for the noise's shape `(voxel, fitted)` [1].
    slopes
        Relative change of the fitted parameters per change of each given value
        `(influence, voxel, fitted)` [1 / unit].
    remainder
        Norm of what remains in the residual per change of each value, relative to the signal's
        `(influence, voxel)` [1 / unit].
    """

    norm: FloatArray
    sd: FloatArray
    inflation: FloatArray
    slopes: FloatArray
    remainder: FloatArray


@dataclass(frozen=True, eq=False)
class EffectTable:
    """Effects on a grid over the parameters; NaN where T2 is far above T1, or not determined, and
    away from the voxels that it was made for.
    """

    parameters: tuple[Parameter, ...]
    influences: tuple[Influence, ...]
    axes: tuple[FloatArray, ...]
    values: FloatArray

    def at(self, columns: Mapping[str, Array]) -> Effects:
        """Effects in voxels, from values of each parameter by name `(voxel,)` [unit].

        Values outside the table's range count as those at its end.
        """
        points = points_of(self.parameters, columns)
        found = interpolate_linearly(self.axes, self.values, points)
        n = sum(parameter.fitted for parameter in self.parameters)
        sd, inflation, rest = (
            found[:, 1 : 1 + n],
            found[:, 1 + n : 1 + 2 * n],
            found[:, 1 + 2 * n :],
        )
        per_influence = rest.reshape(len(found), len(self.influences), n + 1).swapaxes(0, 1)
        return Effects(
            norm=found[:, 0],
            sd=sd,
            inflation=inflation,
            slopes=per_influence[:, :, :n],
            remainder=per_influence[:, :, n],
        )


def build_effects(
    sequence: PulseSequence,
    parameters: tuple[Parameter, ...],
    ranges: Mapping[str, Range],
    influences: tuple[Influence, ...],
    columns: Mapping[str, Array],
    *,
    adc: float = 0.0,
    form: Form = "complex",
    noise: NoiseShape = WHITE,
    following: Following | None = None,
) -> EffectTable:
    """Tabulate effects over the ranges of the parameters, where voxels are.

    Parameters
    ----------
    sequence
        What is played.
    parameters, ranges
        Parameters of the table, and their ranges by name [SI unit].
    influences
        Given values whose effects are tabulated.
    columns
        Voxels that will be asked for, by name of each parameter `(voxel,)` [SI unit].
    adc
        Apparent diffusion coefficient of all tissue [m2/s].
    form
        Of the signals that are fitted.
    noise
        Its shape over time.
    following
        How given values that were fitted follow errors of others.
    """
    moves = moves_of(influences, following or {})
    axes = [_nodes_of(parameter, ranges[parameter.name]) for parameter in parameters]
    mesh = np.meshgrid(*axes, indexing="ij")
    points = np.stack([values.ravel() for values in mesh], axis=1)
    n = sum(parameter.fitted for parameter in parameters)
    width = 1 + 2 * n + len(influences) * (n + 1)
    values = np.full((len(points), width), np.nan)
    steps = [axis[1] - axis[0] for axis in axes]
    possible = points[:, 1] <= points[:, 0] + steps[0] + steps[1]
    asked = nodes_around(axes, points_of(parameters, columns)).ravel()
    needed = np.flatnonzero(possible & asked)
    for start in range(0, len(needed), _BLOCK):
        chosen = needed[start : start + _BLOCK]
        values[chosen] = _effects_at(
            sequence, parameters, points[chosen], influences, adc, form, noise, moves
        )
    shape = [len(axis) for axis in axes]
    return EffectTable(parameters, influences, tuple(axes), values.reshape(*shape, width))


def _nodes_of(parameter: Parameter, limits: Range) -> FloatArray:
    """Nodes over the range of a parameter [in its transform]."""
    nodes = _GIVEN_NODES
    if parameter.fitted:
        nodes = _FITTED_NODES
    low, high = parameter.to_axis(limits)
    return np.linspace(float(low), float(high), nodes)


def _effects_at(
    sequence: PulseSequence,
    parameters: tuple[Parameter, ...],
    points: FloatArray,
    influences: tuple[Influence, ...],
    adc: float,
    form: Form,
    noise: NoiseShape,
    moves: FloatArray,
) -> FloatArray:
    """Rows of an `EffectTable` at points on the axes of the parameters."""
    tissue = tissue_at(parameters, points, adc)
    directions = directions_of(sequence, tissue, influences, form=form, tolerance=_TOLERANCE)
    found, norm = first_order(directions.following(moves)), directions.norm
    jacobian, inverse = found.jacobian, found.inverse
    sandwich = inverse @ products(jacobian, noise.filtered(jacobian)) @ inverse
    variance = np.diagonal(inverse, axis1=1, axis2=2)
    inflation = np.sqrt(np.diagonal(sandwich, axis1=1, axis2=2) / variance)
    per_influence = np.concatenate([found.slopes, found.remainder[:, :, None]], axis=2)
    columns = [norm[:, None], np.sqrt(variance) * norm[:, None], inflation]
    rest = per_influence.swapaxes(0, 1).reshape(len(points), -1)
    return np.concatenate([*columns, rest], axis=1)
