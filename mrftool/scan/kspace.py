"""KSpace: the raw data of one slice, with the trajectory they were sampled on."""

from dataclasses import dataclass

import numpy as np

from mrftool.arrays import BoolArray, ComplexArray, FloatArray, IndexArray
from mrftool.errors import InputError

_ROUNDING = 1.001  # of trajectories in single precision
_LARGEST = 3 * np.pi  # [rad/pixel]


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Where in k-space each arm is sampled.

    Parameters
    ----------
    points
        `(arm, sample, 2)` along the image's x and y [rad/pixel]. An object rho(r), with r in pixels
        from the centre of pixel n // 2, gives the sum of rho(r) exp(-i k . r). Points beyond pi on
        either axis lie outside the square that the image resolves; see `inside`.
    sample_time
        When each sample is taken, from the echo `(sample,)` [s]; None where it is not known.

    Raises
    ------
    InputError
        If shapes do not fit, or a point is not finite, or far outside the square of the image.
    """

    points: FloatArray
    sample_time: FloatArray | None = None

    def __post_init__(self) -> None:
        points = np.array(self.points, np.float64)
        points.setflags(write=False)
        object.__setattr__(self, "points", points)
        if points.ndim != 3 or points.shape[2] != 2 or 0 in points.shape:
            raise InputError(f"the trajectory has shape {points.shape}, expected (arm, sample, 2)")
        if not np.isfinite(points).all():
            raise InputError("the trajectory has points that are not finite numbers")
        if abs(points).max() > _LARGEST:
            raise InputError(
                f"the trajectory reaches {abs(points).max():.3g} rad/pixel, expected pi at the edge"
            )
        if self.sample_time is not None and np.shape(self.sample_time) != points.shape[1:2]:
            raise InputError(f"{len(self.sample_time)} sample times, expected {points.shape[1]}")

    @property
    def inside(self) -> BoolArray:
        """Samples `(arm, sample)` inside the square that the image resolves; others tell
        nothing.
        """
        return np.asarray((abs(self.points) <= np.pi * _ROUNDING).all(axis=-1))

    @property
    def n_arms(self) -> int:
        """Number of different arms."""
        return len(self.points)

    @property
    def n_samples(self) -> int:
        """Samples of one arm."""
        return int(self.points.shape[1])


@dataclass(frozen=True, eq=False)
class KSpace:
    """Readouts of one slice.

    Parameters
    ----------
    samples
        `(readout, coil, sample)` complex64 [scanner's unit].
    trajectory
        The arms.
    arm
        Which arm each readout follows `(readout,)`.
    repetition
        In which repetition of the sequence each readout was taken `(readout,)`, from 0.
    matrix
        Size of the image along x and y.

    Raises
    ------
    InputError
        If shapes do not fit, an index is out of range, or a sample is not finite.
    """

    samples: ComplexArray
    trajectory: Trajectory
    arm: IndexArray
    repetition: IndexArray
    matrix: tuple[int, int]

    def __post_init__(self) -> None:
        if self.samples.ndim != 3 or self.samples.shape[2] != self.trajectory.n_samples:
            raise InputError(
                f"the samples have shape {self.samples.shape}, expected (readout, coil, "
                f"{self.trajectory.n_samples}) as the trajectory"
            )
        for name, index in (("arm", self.arm), ("repetition", self.repetition)):
            if np.shape(index) != self.samples.shape[:1]:
                raise InputError(f"{len(index)} {name} indices, expected {len(self.samples)}")
        if self.arm.min() < 0 or self.arm.max() >= self.trajectory.n_arms:
            raise InputError(f"an arm index is outside 0 to {self.trajectory.n_arms - 1}")
        bad = np.count_nonzero(~np.isfinite(self.samples.view(np.float32)).all(axis=(1, 2)))
        if bad:
            raise InputError(
                f"{bad} of {len(self.samples)} readouts have samples that are not finite numbers"
            )

    @property
    def n_coils(self) -> int:
        """Number of receive coils."""
        return int(self.samples.shape[1])

    @property
    def n_values(self) -> int:
        """Number of complex samples of all coils."""
        return int(self.samples.size)


def check_repetitions(repetition: IndexArray, expected: int) -> None:
    """Raise InputError unless each of `expected` repetitions has a readout, and no others do."""
    present = np.unique(repetition)
    if present[-1] >= expected:
        raise InputError(
            f"has readouts of {present[-1] + 1} repetitions, expected {expected} as the sequence"
        )
    missing = np.setdiff1d(np.arange(expected), present)
    if missing.size:
        shown = ", ".join(map(str, missing[:5])) + (", ..." if missing.size > 5 else "")
        raise InputError(
            f"has no readout in {missing.size} of {expected} repetitions ({shown}), "
            "expected one in each"
        )


def check_samples(samples: ComplexArray, repetition: IndexArray) -> None:
    """Raise InputError if readouts `(readout, coil, sample)` are empty, or copies of others.

    Readouts of one repetition differ, if only in their noise.
    """
    empty = int(np.count_nonzero(~samples.any(axis=(1, 2))))
    if empty:
        raise InputError(
            f"{empty} of {len(samples)} readouts hold nothing but zeros, expected samples"
        )
    pairs = zip(repetition.tolist(), samples, strict=True)
    different = {(number, hash(readout.tobytes())) for number, readout in pairs}
    if len(different) < len(samples):
        raise InputError(
            f"{len(samples) - len(different)} of {len(samples)} readouts are copies of others, "
            "expected each of them once"
        )
