"""Shapes for digital phantoms as signed distances: negative inside, in millimetres, for points `(3,
point)`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mrftool.arrays import Float32Array

Triple = tuple[float, float, float]


def ellipsoid(points: Float32Array, centre: Triple, radii: Triple) -> Float32Array:
    """Distance to an ellipsoid, to first order: f / |grad f| of f = |p / r| - 1."""
    (x, y, z), (rx, ry, rz) = _relative(points, centre), radii
    x, y, z = x / np.float32(rx), y / np.float32(ry), z / np.float32(rz)
    size = np.sqrt(x * x + y * y + z * z)
    slope = np.sqrt(
        (x / np.float32(rx)) ** 2 + (y / np.float32(ry)) ** 2 + (z / np.float32(rz)) ** 2
    )
    return np.asarray(size * (size - 1) / (slope + np.float32(1e-6)), np.float32)


def rounded_box(points: Float32Array, centre: Triple, half: Triple, radius: float) -> Float32Array:
    """Distance to a box of half edges `half`, inflated by `radius`."""
    x, y, z = (
        np.abs(p) - np.float32(h) for p, h in zip(_relative(points, centre), half, strict=True)
    )
    outside = np.sqrt(np.maximum(x, 0) ** 2 + np.maximum(y, 0) ** 2 + np.maximum(z, 0) ** 2)
    inside = np.minimum(np.maximum(np.maximum(x, y), z), 0)
    return np.asarray(outside + inside - np.float32(radius), np.float32)


def tube(points: Float32Array, course: Sequence[tuple[float, float, float, float]]) -> Float32Array:
    """Distance to a bent tube through (x, y, z, radius), the radius running linearly between
    them.
    """
    nearest = np.full(points.shape[1], np.inf, np.float32)
    for first, last in pairwise(course):
        start, end = np.array(first[:3], np.float32), np.array(last[:3], np.float32)
        axis = end - start
        along = np.clip(axis @ (points - start[:, None]) / (axis @ axis), 0, 1)
        x, y, z = points - start[:, None] - axis[:, None] * along
        away = np.sqrt(x * x + y * y + z * z)
        nearest = np.minimum(nearest, away - (first[3] + along * np.float32(last[3] - first[3])))
    return np.asarray(nearest, np.float32)


def _relative(
    points: Float32Array, centre: Triple
) -> tuple[Float32Array, Float32Array, Float32Array]:
    x, y, z = points
    return x - np.float32(centre[0]), y - np.float32(centre[1]), z - np.float32(centre[2])


@dataclass(frozen=True)
class Waves:
    """A random smooth field: a sum of plane waves. vector `(wave, 3)` [rad/mm], phase `(wave, 1)`
    [rad].
    """

    vector: Float32Array
    phase: Float32Array

    @staticmethod
    def random(
        rng: np.random.Generator, wavelength: float, count: int, upright: float = 1.0
    ) -> "Waves":
        """Waves of one `wavelength` [mm]; in all directions, or with `upright` < 1 rather in the
        horizontal plane.
        """
        direction = rng.normal(size=(count, 3)) * [1, 1, upright]
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        phase = rng.uniform(0, 2 * np.pi, (count, 1))
        return Waves(
            (2 * np.pi / wavelength * direction).astype(np.float32), phase.astype(np.float32)
        )

    def value(self, points: Float32Array) -> Float32Array:
        """The field, of unit variance over space `(point,)` [1]."""
        return np.asarray(
            self.push(points, np.ones((len(self.phase), 1), np.float32))[0], np.float32
        )

    def push(self, points: Float32Array, direction: Float32Array) -> Float32Array:
        """A smooth field of vectors `(3, point)`: each wave pushes along its own `direction`
        `(wave, 3)` [1].
        """
        scale = np.float32(np.sqrt(2 / len(self.phase)))
        return np.asarray(
            scale * (direction.T @ np.cos(self.vector @ points + self.phase)), np.float32
        )

    def to_fold(self, points: Float32Array, normal: Float32Array) -> Float32Array:
        """Distance to the nearest zero of the field, moving perpendicular to `normal` (unit
        vectors) [mm].

        Exact for one wave: of sin(k x), with slope k cos(k x), the distance is atan2(k |sin|, k
        |cos|) / k.
        """
        angle = self.vector @ points + self.phase
        slope = self.vector.T @ np.sin(angle)
        slope = slope - normal * (slope * normal).sum(axis=0)
        k = np.linalg.norm(self.vector[0])
        height = k * np.abs(np.cos(angle).sum(axis=0))
        return np.asarray(np.arctan2(height, np.sqrt((slope**2).sum(axis=0))) / k, np.float32)
