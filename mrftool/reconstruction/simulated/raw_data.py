"""Multi-coil raw data of an object that is known on a finer grid than the image.

Several object points lie in each pixel, so that partial volume and truncation are those of a scan.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from mrftool.arrays import Array, ComplexArray, FloatArray, IndexArray
from mrftool.environment.threads import chosen_threads
from mrftool.physics.noise import complex_noise
from mrftool.reconstruction.encoding.nufft import Nufft
from mrftool.reconstruction.encoding.off_resonance import (
    TimeSegments,
    segments_needed,
    time_segments,
)
from mrftool.scan.kspace import KSpace, Trajectory

_RING = 1.4  # radius of the ring of coils, over half the field of view


@dataclass(frozen=True, eq=False)
class Scene:
    """What lies in the scanner.

    Parameters
    ----------
    images
        Coefficients of the object on the fine grid `(R, x, y)`, complex: frame t is the sum over r
        of images[r] times basis[t, r], and the points of a pixel add up.
    basis
        `(time, R)`.
    coils
        Sensitivities on the fine grid `(coil, x, y)` [1].
    factor
        Points of the fine grid along each edge of a pixel.
    field
        Off-resonance on the fine grid `(x, y)` [Hz]; None on resonance.
    """

    images: Array
    basis: Array
    coils: ComplexArray
    factor: int
    field: FloatArray | None = None

    @property
    def matrix(self) -> tuple[int, int]:
        """Size of the image."""
        x, y = self.images.shape[1:]
        return x // self.factor, y // self.factor


def ring_coils(n_coils: int, matrix: tuple[int, int]) -> ComplexArray:
    """Sensitivities `(coil, x, y)` of coils on a ring, with a sum of squares of 1 [1].

    Each falls with the distance from its coil, and its phase turns with the direction to it, as in
    M. Guerquin-Kern et al., IEEE Trans Med Imaging 31:626 (2012), doi 10.1109/TMI.2011.2174158.
    """
    if n_coils == 1:
        return np.ones((1, *matrix), np.complex64)
    x, y = (np.arange(n) - n / 2 + 0.5 for n in matrix)
    place = (x[:, None] + 1j * y[None]) / (max(matrix) / 2)
    centres = _RING * np.exp(2j * np.pi * np.arange(n_coils) / n_coils)
    away = place[None] - centres[:, None, None]
    turned = away / centres[:, None, None]
    maps = turned / abs(turned) ** 2
    return np.asarray(maps / np.sqrt((abs(maps) ** 2).sum(axis=0)), np.complex64)


def coarse_coils(fine: ComplexArray, factor: int) -> ComplexArray:
    """Coil sensitivities on the image's grid: the mean over each pixel, sum of squares 1."""
    n_coils, x, y = fine.shape
    blocks = fine.reshape(n_coils, x // factor, factor, y // factor, factor)
    mean = blocks.mean(axis=(2, 4))
    return np.asarray(mean / np.sqrt((abs(mean) ** 2).sum(axis=0)), np.complex64)


def sample_scene(
    scene: Scene,
    trajectory: Trajectory,
    arm: IndexArray,
    *,
    noise_sd: float = 0.0,
    random: np.random.Generator | None = None,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> KSpace:
    """Raw data of one slice, a readout in each repetition.

    Parameters
    ----------
    arm
        Arm of each repetition `(repetition,)`.
    noise_sd
        Standard deviation of the noise in the real and in the imaginary part of each sample [the
        object's unit]; it needs `random`.
    progress
        Called with 1 after each coil.
    """
    repetition = np.arange(len(scene.basis))
    shape = (len(repetition), len(scene.coils), trajectory.n_samples)
    samples = np.empty(shape, np.complex64)
    for coil, spectra in enumerate(_coil_spectra(scene, trajectory, chosen_threads(threads))):
        samples[:, coil] = _frames(spectra, scene.basis, arm)
        if progress is not None:
            progress(1)
    if noise_sd and random is not None:
        samples += np.float32(noise_sd) * complex_noise(shape, random)
    return KSpace(samples, trajectory, arm, repetition, scene.matrix)


def _coil_spectra(scene: Scene, trajectory: Trajectory, threads: int) -> Iterator[ComplexArray]:
    """What each coil sees of each coefficient, `(R, arm, sample)`, coil by coil."""
    points = trajectory.points.reshape(-1, 2)
    grid = (scene.images.shape[1], scene.images.shape[2])
    transform = Nufft(points / scene.factor, grid, len(scene.images), threads)
    # The centre of a pixel lies off the fine grid's own points.
    offset = (scene.factor - 1) / (2 * scene.factor)
    shift = np.exp(1j * offset * points.sum(axis=1)).astype(np.complex64)
    segments = _segments(scene, trajectory)
    for coil in scene.coils:
        seen = scene.images * coil
        if segments is None:
            spectra = transform.forward(seen) * shift
        else:
            spectra = _off_resonant(transform, seen, segments, trajectory) * shift
        yield spectra.reshape(len(seen), trajectory.n_arms, trajectory.n_samples)


def _segments(scene: Scene, trajectory: Trajectory) -> TimeSegments | None:
    if scene.field is None or trajectory.sample_time is None:
        return None
    count = segments_needed(scene.field, trajectory.sample_time)
    return time_segments(scene.field, trajectory.sample_time, count)


def _off_resonant(
    transform: Nufft, seen: ComplexArray, segments: TimeSegments, trajectory: Trajectory
) -> ComplexArray:
    """Samples `(R, point)` of images that precess during the readout."""
    total = np.zeros((len(seen), trajectory.n_arms * trajectory.n_samples), np.complex64)
    for phase, weight in zip(segments.phases, segments.weights, strict=True):
        total += transform.forward(seen * phase) * np.tile(weight, trajectory.n_arms)
    return total


def _frames(spectra: ComplexArray, basis: Array, arm: IndexArray) -> ComplexArray:
    """Readouts `(repetition, sample)` from coefficients along every arm."""
    frames = np.empty((len(arm), spectra.shape[2]), np.complex64)
    rows = basis.astype(np.result_type(basis.dtype, np.float32))
    for chosen in np.unique(arm):
        times = np.flatnonzero(arm == chosen)
        frames[times] = rows[times] @ spectra[:, chosen]
    return frames
