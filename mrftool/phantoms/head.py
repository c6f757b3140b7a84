"""Anatomy of the digital head: shapes in millimetres, painted over each other from the outside in.

Axes: x to the right, y to the front, z upwards, from a point near the third ventricle. Sizes are
those of an adult head in round numbers (cortex 2.8 mm, gyri 12 mm wide, skull 6.5 mm); no one's
head in particular.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mrftool.arrays import Float32Array
from mrftool.phantoms.geometry import Waves, ellipsoid, rounded_box, tube

CLASSES = (
    "background",
    "csf",
    "grey_matter",
    "white_matter",
    "fat",
    "muscle_skin",
    "skull",
    "lesion",
)
Layer = tuple[
    str, Float32Array, float
]  # class, signed distance [mm], share of the class inside [1]

_CORTEX, _SKULL, _SUBARACHNOID, _SULCUS = 2.8, 6.5, 1.4, 0.45  # thicknesses; half a sulcus [mm]
_VENTRICLE = [
    (14, 35, 2, 2.5),
    (8, 17, 14, 4.5),
    (10, -8, 24, 5),
    (18, -30, 15, 6),
    (23, -54, 4, 3),
]
_TEMPORAL_HORN = [(20, -31, 12, 5), (29, -20, -13, 2.5), (30, -3, -19, 2)]
_CAUDATE = [(14, 24, 4, 5.5), (15, 12, 14, 5), (16, -8, 25, 3), (24, -26, 18, 2)]
_HIPPOCAMPUS = [(26, -4, -22, 5), (29, -22, -14, 3.5)]
_BRAINSTEM = [(0, -17, -12, 12), (0, -24, -30, 14), (0, -28, -60, 10), (0, -32, -110, 7)]


@dataclass(frozen=True)
class Head:
    """What chance decides: the folds and how they wind, slow bends of the whole head, ventricles,
    lesions.

    push: direction of the winds and bends `(wave, 3)` [mm]. lesions: centre and radii `(lesion, 6)`
    [mm].
    """

    folds: Waves
    winds: Waves
    bends: Waves
    push: Float32Array
    slow: Waves
    ventricle_size: float
    lesions: Float32Array

    @staticmethod
    def random(seed: int) -> "Head":
        """The head of this seed."""
        rng = np.random.default_rng((seed, 0))
        winds, bends, push = (
            Waves.random(rng, 30, 6),
            Waves.random(rng, 120, 6),
            rng.normal(size=(6, 3)),
        )
        large = np.append(np.add((27, -37, 10), rng.uniform(-2, 2, 3)), (7, 9, 8))
        others = [(-25, 35, 12), (-30, -28, 26), (24, 20, 26)]
        small = [np.r_[place + rng.uniform(-3, 3, 3), rng.uniform(3, 5, 3)] for place in others]
        size = float(rng.uniform(0.9, 1.15))
        folds, slow = Waves.random(rng, 23, 24, upright=0.15), Waves.random(rng, 45, 8)
        return Head(
            folds,
            winds,
            bends,
            push.astype(np.float32),
            slow,
            size,
            np.array([large, *small], np.float32),
        )

    def layers(self, points: Float32Array) -> Iterator[Layer]:
        """What to paint, in this order, at `points` `(3, point)` [mm]."""
        points = points + self.bends.push(points, self.push)
        sides = np.stack([np.abs(points[0]), points[1], points[2]])
        slow = np.clip(self.slow.value(points), -1.5, 1.5)
        cavity = _cavity(points, slow)
        yield from _scalp(points, sides, cavity, slow)
        yield "skull", cavity - _SKULL, 1.0
        yield "csf", cavity, 1.0
        yield from self._cerebrum(points, sides, cavity, slow)
        yield from _cerebellum(points, sides, cavity)
        yield from self._deep(points, sides)
        for x, y, z, rx, ry, rz in self.lesions:
            yield "lesion", ellipsoid(points, (x, y, z), (rx, ry, rz)) + 0.8 * slow, 0.9

    def _cerebrum(
        self, points: Float32Array, sides: Float32Array, cavity: Float32Array, slow: Float32Array
    ) -> Iterator[Layer]:
        hull = np.maximum(cavity + _SUBARACHNOID, -_under_tentorium(sides))
        sulcus = np.full(len(cavity), 99, np.float32)
        near = (cavity < 0) & (cavity > -28)
        sulcus[near] = self._sulci(points[:, near], cavity[near], slow[near])
        gap = np.minimum(np.minimum(sulcus, _fissure(points, slow)), _sylvian(sides, slow))
        pia = np.maximum(hull, -gap)
        yield "grey_matter", pia, 1.0
        yield "white_matter", pia + _CORTEX, 1.0

    def _sulci(
        self, points: Float32Array, cavity: Float32Array, slow: Float32Array
    ) -> Float32Array:
        """Folds run inwards from the surface, where the folding field is zero, down to a floor of
        varying depth.
        """
        radius = np.linalg.norm(points / np.array([[65], [82], [70]], np.float32), axis=0)
        surface = (points + 1.3 * self.winds.push(points, self.push)) / radius**0.9
        normal = points / np.linalg.norm(points, axis=0)
        fold = self.folds.to_fold(surface, normal) * radius
        floor = np.maximum(-cavity - _SUBARACHNOID - (16 + 4 * slow), 0)
        return np.asarray(np.hypot(fold, floor) - _SULCUS, np.float32)

    def _deep(self, points: Float32Array, sides: Float32Array) -> Iterator[Layer]:
        """Nuclei, hippocampus, ventricles, cisterns."""
        size = self.ventricle_size
        yield "grey_matter", tube(sides, _CAUDATE), 0.95
        yield "grey_matter", ellipsoid(_turned(sides, 24, 2), (25, 2, 2), (6, 17, 10)), 0.85
        yield "white_matter", ellipsoid(_turned(sides, 20, 0), (18, -3, 1), (4.5, 10, 6)), 0.4
        yield "grey_matter", ellipsoid(_turned(sides, 11, -10), (11, -11, 7), (7.5, 14, 9)), 0.7
        yield "grey_matter", tube(sides, _HIPPOCAMPUS), 1.0
        for horn in (_VENTRICLE, _TEMPORAL_HORN):
            yield "csf", tube(sides, [(x, y, z, size * r) for x, y, z, r in horn]), 1.0
        yield "csf", ellipsoid(points, (0, -6, 1), (1.8 * size, 13, 9)), 1.0
        yield "csf", ellipsoid(points, (0, -36, 1), (8, 4, 7)), 0.8
        yield "csf", ellipsoid(points, (0, 4, -24), (11, 9, 6)), 1.0


def _step(x: Float32Array, width: float) -> Float32Array:
    """From 0 to 1 around x = 0."""
    return np.asarray(0.5 + 0.5 * np.tanh(x / np.float32(width)), np.float32)


def _egg(points: Float32Array) -> Float32Array:
    """Wider behind than in front."""
    x, y, z = points
    return np.stack([x * (1 + 0.001 * (y + 12)), y, z])


def _cavity(points: Float32Array, slow: Float32Array) -> Float32Array:
    """Inside of the skull: an egg whose floor rises in steps: posterior, middle and anterior
    fossa.
    """
    egg = _egg(points)
    _, y, z = points
    above, below = (
        ellipsoid(egg, (0, -4, 0), (67, 85, 74)),
        ellipsoid(egg, (0, -4, 0), (67, 85, 80)),
    )
    floor = -60 + 14 * _step(y + 14, 5) + 16 * _step(y - 30, 4) + 2.5 * slow
    return np.asarray(np.maximum(np.where(z > 0, above, below), 0.7 * (floor - z)), np.float32)


def _under_tentorium(sides: Float32Array) -> Float32Array:
    """The room of cerebellum and brainstem: behind the petrous bones, below the tentorium."""
    x, y, z = sides
    return np.asarray(np.maximum(y + 12 + 0.5 * x, z + 13 - 0.35 * (y + 28)), np.float32)


def _scalp(
    points: Float32Array, sides: Float32Array, cavity: Float32Array, slow: Float32Array
) -> Iterator[Layer]:
    egg, z = _egg(points), points[2]
    above, below = (
        ellipsoid(egg, (0, -4, 0), (78.5, 98, 87)),
        ellipsoid(egg, (0, -4, 0), (78.5, 98, 170)),
    )
    head = np.asarray(np.where(z > 0, above, below), np.float32)
    deep = np.maximum(head + 6, -(cavity - _SKULL - 1))
    yield "muscle_skin", head, 1.0
    yield "fat", head + 2.2, 1.0
    yield "muscle_skin", np.maximum(deep, z + 22), 1.0
    yield "muscle_skin", np.maximum(ellipsoid(sides, (72, 22, -8), (8, 30, 34)), head + 3.5), 1.0
    yield "fat", np.maximum(np.maximum(deep + 5, z + 32), 8 * (0.5 - slow)), 0.8
    yield "fat", np.maximum(ellipsoid(sides, (31, 60, -36), (17, 24, 15)), head + 3), 1.0
    yield "csf", np.maximum(ellipsoid(sides, (32, 70, -36), (12, 12, 12)), head + 1), 1.0
    yield "background", ellipsoid(points, (0, 66, -54), (13, 22, 22)), 1.0
    yield "background", ellipsoid(points, (0, 16, -78), (10, 9, 26)), 1.0


def _fissure(points: Float32Array, slow: Float32Array) -> Float32Array:
    """Between the hemispheres, down to the corpus callosum."""
    core = ellipsoid(points, (0, -3, 2), (30, 39, 26))
    return np.asarray(np.hypot(points[0] + 1.2 * slow, np.maximum(-core, 0)) - 0.7, np.float32)


def _sylvian(sides: Float32Array, slow: Float32Array) -> Float32Array:
    """The Sylvian fissure: in from the side, then along the insula."""
    x, y, z = sides
    bent = np.stack([x + 0.02 * (y - 4) ** 2 + 1.5 * slow, y + 0.25 * (x - 42) - 0.3 * z, z])
    insula = rounded_box(bent, (43, 4, 2), (0.1, 15, 11), 0.9)
    mouth = rounded_box(bent, (60, 12, 2), (18, 0.1, 13), 0.8)
    return np.minimum(insula, mouth)


def _turned(sides: Float32Array, x: float, y: float) -> Float32Array:
    """Turned about the vertical axis through (x, y) by 20 deg, the front towards the middle."""
    cos, sin = np.float32(np.cos(np.deg2rad(20))), np.float32(np.sin(np.deg2rad(20)))
    dx, dy = sides[0] - np.float32(x), sides[1] - np.float32(y)
    return np.stack([x + cos * dx + sin * dy, y - sin * dx + cos * dy, sides[2]])


def _cerebellum(points: Float32Array, sides: Float32Array, cavity: Float32Array) -> Iterator[Layer]:
    x, y, z = sides
    room = np.maximum(_under_tentorium(sides) + 1.5, cavity + 2.5)
    lobe = np.maximum(room, ellipsoid(sides, (15, -55, -38), (47, 41, 33)))
    height = z + 40 + 0.35 * (y + 58) - 0.006 * x**2
    folia = 7 * np.abs((height / 7) % 1 - 0.5)
    pia = np.maximum(lobe, -(np.hypot(folia, np.maximum(-lobe - 10, 0)) - 0.4))
    stem = tube(points, _BRAINSTEM)
    yield "csf", np.maximum(np.maximum(stem - 3, cavity), z + 14), 1.0
    yield "grey_matter", pia, 1.0
    yield "white_matter", np.maximum(pia + 1.8, lobe + 5), 1.0
    yield "white_matter", stem, 1.0
    yield "grey_matter", stem, 0.25
    yield "csf", ellipsoid(points, (0, -39, -36), (6, 5, 11)), 1.0
