"""From the raw data of one slice to coefficient images with their covariance.

Least squares: c = argmin |y - A c|^2 with A = F S Phi (coils, Fourier transform, temporal basis),
by conjugate gradients on the Toeplitz normal operator, without density weights: they would raise
the noise. Source: J. I. Tamir et al., Magn Reson Med 77:180 (2017), doi 10.1002/mrm.26102.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mrftool.arrays import Array, BoolArray, ComplexArray, FloatArray
from mrftool.environment.reporter import Reporter, SilentReporter
from mrftool.environment.threads import chosen_threads
from mrftool.errors import ArgumentError, MismatchError
from mrftool.physics.quantiles import chi_square_exceeded
from mrftool.reconstruction.coil_maps import coils_of
from mrftool.reconstruction.conjugate_gradient import Solution, conjugate_gradient
from mrftool.reconstruction.covariance import noise_amplification, replica_covariance
from mrftool.reconstruction.coverage import require_coverage
from mrftool.reconstruction.encoding.adjoint import adjoint, adjoint_noise, coil_spectra
from mrftool.reconstruction.encoding.off_resonance import TimeSegments, time_segments
from mrftool.reconstruction.encoding.toeplitz import (
    NormalOperator,
    gram_matrices,
    normal_operator,
)
from mrftool.reconstruction.noise import like_noise, residual_energy
from mrftool.reconstruction.temporal_basis import TemporalBasis
from mrftool.scan.kspace import KSpace, check_repetitions, check_samples

_NOISE_TAIL = 1e-6  # share of pixels of noise alone that the mask would keep
_LEAST_SIGNAL = 0.05  # of pixels in the mask, relative to the brightest ones
_BRIGHT = 99.0  # percentile
_FEW_COEFFICIENTS = 6  # rank up to which the faint coefficients converge soon
_FEW_ITERATIONS, _MANY_ITERATIONS = 20, 30
_CALIBRATION = 1 << 32  # number of the noise that is no replica


@dataclass(frozen=True)
class Settings:
    """How to reconstruct.

    iterations: of the conjugate gradients; by default 20, or 30 beyond rank 6, whose faint
    coefficients would stop far from their values, by more than their noise. replicas: of the noise,
    for the covariance; 0: none.
    segments: of time, where a field map is given. threads: by default one per processor. seed: of
    the replicas.
    """

    iterations: int | None = None
    replicas: int = 6
    segments: int = 4
    threads: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        too_few = self.iterations is not None and self.iterations < 1
        if too_few or self.replicas < 0 or self.segments < 1:
            raise ArgumentError(
                f"{self.iterations} iterations, {self.replicas} replicas and {self.segments} time "
                "segments, expected at least 1, 0 and 1"
            )

    def iterations_at(self, rank: int) -> int:
        """Iterations for so many coefficients."""
        if self.iterations is not None:
            return self.iterations
        if rank <= _FEW_COEFFICIENTS:
            return _FEW_ITERATIONS
        return _MANY_ITERATIONS


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """What one slice gives.

    images: coefficients `(K, x, y)` complex64. coils: `(coil, x, y)`. covariance: per channel
    `(x, y, K, K)`, None without replicas. amplification: of noise, over that of perfect encoding
    `(x, y)` [1], None without replicas. mask: pixels that hold an object `(x, y)`. noise_sd: per
    channel of the raw data, as their residual tells. residuals: of the normal equations, relative,
    after each iteration.
    condition: of the normal operator, as the iterations saw it [1].
    """

    images: ComplexArray
    coils: ComplexArray
    covariance: Array | None
    amplification: FloatArray | None
    mask: BoolArray
    noise_sd: float
    residuals: FloatArray
    condition: float


@dataclass(frozen=True, eq=False)
class Problem:
    """The normal equations N c = b of one slice, ready to be solved."""

    operator: NormalOperator
    right_side: ComplexArray
    vectors: Array
    grams: Array
    coils: ComplexArray
    segments: TimeSegments | None
    kspace: KSpace = field(repr=False)
    threads: int = 1

    @property
    def support(self) -> BoolArray:
        """Pixels `(x, y)` that some coil sees."""
        return np.asarray(self.coils.any(axis=0))

    def noise(self, random: np.random.Generator) -> ComplexArray:
        """A^H n of noise of sd 1."""
        return adjoint_noise(
            self.kspace.trajectory, self.grams, self.coils, random, self.segments, self.threads
        )

    def noise_level(self, solution: Solution, seed: int = 0, progress: Any = None) -> float:
        """Standard deviation of the noise per channel of the raw data, from what is left of them.

        Noise alone, put through as many iterations, tells which share of it a reconstruction
        explains.
        """
        iterations = len(solution.residuals)
        noise = like_noise(self.kspace, np.random.default_rng((seed, _CALIBRATION)))
        right_side = adjoint(noise, self.vectors, self.coils, self.segments, self.threads)
        of_noise = conjugate_gradient(self.operator, right_side, iterations, progress=progress)
        left = self._left(noise, of_noise.x)
        return float(np.sqrt(self._left(self.kspace, solution.x) / left))

    def _left(self, kspace: KSpace, images: ComplexArray) -> float:
        spectra = coil_spectra(images, kspace.trajectory, self.coils, self.segments, self.threads)
        return residual_energy(kspace, self.vectors, spectra)


def set_up(
    kspace: KSpace,
    basis: TemporalBasis,
    settings: Settings,
    *,
    coils: ComplexArray | None = None,
    field_map: FloatArray | None = None,
) -> Problem:
    """The normal equations of one slice.

    Parameters
    ----------
    kspace
        Raw data; prewhitened, where the coils' noise is known.
    basis
        Of the sequence.
    settings
        How to reconstruct.
    coils
        Sensitivities `(coil, x, y)`; by default estimated.
    field_map
        Off-resonance `(x, y)` [Hz].

    Raises
    ------
    InputError
        If readouts are missing, empty or copies, or the trajectory does not cover k-space.
    MismatchError
        If coils or field have another size than the image.
    """
    check_repetitions(kspace.repetition, len(basis.vectors))
    check_samples(kspace.samples, kspace.repetition)
    require_coverage(kspace.trajectory, kspace.matrix, kspace.n_coils)
    threads = chosen_threads(settings.threads)
    vectors = basis.vectors
    if coils is None:
        coils = coils_of(kspace, vectors, threads)
    _check_size("coil maps", coils.shape, (kspace.n_coils, *kspace.matrix))
    segments = _segments(kspace, field_map, settings.segments)
    trajectory = kspace.trajectory
    grams = gram_matrices(vectors, kspace.arm, kspace.repetition, trajectory.n_arms)
    operator = normal_operator(trajectory, grams, coils, segments, threads)
    right_side = adjoint(kspace, vectors, coils, segments, threads)
    return Problem(operator, right_side, vectors, grams, coils, segments, kspace, threads)


def reconstruct(
    kspace: KSpace,
    basis: TemporalBasis,
    settings: Settings | None = None,
    *,
    noise_sd: float | None = None,
    reporter: Reporter | None = None,
    **given: Any,
) -> Reconstruction:
    """Coefficient images of one slice, with their covariance.

    Parameters
    ----------
    kspace, basis
        Raw data of the slice, and the temporal basis of the sequence.
    settings
        Of the iterations; by default those of `Settings`.
    noise_sd
        Of each channel, where it is known, as after prewhitening [unit of the raw data]; by default
        it is estimated from the residual of the reconstruction.
    reporter
        Told of the progress.
    given
        Options of `set_up`.
    """
    settings = settings or Settings()
    reporter = reporter or SilentReporter()
    iterations = settings.iterations_at(basis.rank)
    rounds = iterations * (2 + settings.replicas)
    with reporter.progress("reconstructing", rounds) as progress:
        problem = set_up(kspace, basis, settings, **given)
        solution = conjugate_gradient(
            problem.operator, problem.right_side, iterations, progress=progress
        )
        images = solution.x
        found = problem.noise_level(solution, settings.seed, progress)
        used = noise_sd or found
        covariance = None
        if settings.replicas:
            differences = _replicas(problem, solution, used, settings, progress)
            covariance = replica_covariance(
                differences, not np.iscomplexobj(basis.vectors), problem.support
            )
    return Reconstruction(
        images,
        problem.coils,
        covariance,
        _amplification(covariance, kspace, used),
        object_mask(images, covariance),
        found,
        solution.residuals,
        solution.condition,
    )


def object_mask(images: ComplexArray, covariance: Array | None) -> BoolArray:
    """Pixels `(x, y)` whose signal is not noise, nor below a twentieth of the brightest ones."""
    energy = np.sqrt((abs(images) ** 2).sum(axis=0))
    bright = energy > _LEAST_SIGNAL * np.percentile(energy, _BRIGHT)
    if covariance is None:
        return np.asarray(bright)
    columns = np.moveaxis(images, 0, -1)[bright][..., None]
    whitened = np.linalg.solve(covariance[bright].astype(np.complex128), columns)
    ratio = (columns.conj() * whitened).real.sum(axis=(-1, -2))
    bright[bright] = ratio > chi_square_exceeded(2 * len(images), _NOISE_TAIL)
    return np.asarray(bright)


def _replicas(
    problem: Problem, solution: Solution, noise_sd: float, settings: Settings, progress: Any
) -> Iterator[ComplexArray]:
    for replica in range(settings.replicas):
        random = np.random.default_rng((settings.seed, replica))
        noisy = problem.right_side + np.float32(noise_sd) * problem.noise(random)
        iterations = len(solution.residuals)
        again = conjugate_gradient(problem.operator, noisy, iterations, progress=progress)
        yield again.x - solution.x


def _segments(kspace: KSpace, field_map: FloatArray | None, count: int) -> TimeSegments | None:
    if field_map is None:
        return None
    _check_size("field map", field_map.shape, kspace.matrix)
    sample_time = kspace.trajectory.sample_time
    if sample_time is None:
        raise MismatchError(
            "a field map needs the time of each sample, which the raw data do not state"
        )
    return time_segments(field_map, sample_time, count)


def _check_size(what: str, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if found != expected:
        raise MismatchError(f"the {what} have size {found}, expected {expected}")


def _amplification(covariance: Array | None, kspace: KSpace, noise_sd: float) -> FloatArray | None:
    """Relative to as many samples as each readout has in the image's square, on its own grid."""
    if covariance is None:
        return None
    inside = kspace.trajectory.inside[kspace.arm].sum(axis=1).mean()
    readouts = len(kspace.arm) / len(np.unique(kspace.repetition))
    return noise_amplification(covariance, noise_sd**2 / (inside * readouts))
