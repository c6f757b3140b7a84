"""Small scans in k-space, and the encoding as a dense matrix."""

import numpy as np

from mrftool.scan.kspace import KSpace, Trajectory
from mrftool.sequence import Inversion, PulseSequence, Train


def short_sequence(length=60, seed=0):
    """A FISP train of smoothly varying flip angles, inversion first."""
    t = np.arange(length)
    flips = np.deg2rad(10 + 40 * np.sin(np.pi * t / length) ** 2 + 5 * np.cos(t / 7.0))
    return PulseSequence(
        name="short",
        flip_angle=flips,
        rf_phase=np.zeros(length),
        tr=np.full(length, 0.015),
        te=np.full(length, 0.002),
        spoiling="gradient",
        events=Train(Inversion(time=0.02)).events,
    )


def random_trajectory(random, arms=4, samples=150):
    points = random.uniform(-np.pi, np.pi, (arms, samples, 2))
    return Trajectory(points, np.linspace(0, 4e-3, samples))


def random_kspace(random, trajectory, matrix, repetitions=12, coils=2):
    shape = (repetitions, coils, trajectory.n_samples, 2)
    samples = random.normal(size=shape).astype(np.float32).view(np.complex64)[..., 0]
    arm = np.arange(repetitions) % trajectory.n_arms
    return KSpace(samples, trajectory, arm, np.arange(repetitions), matrix)


def random_basis(random, repetitions, rank, is_complex=False):
    values = random.normal(size=(repetitions, rank))
    if is_complex:
        values = values + 1j * random.normal(size=values.shape)
    return np.linalg.qr(values)[0]


def random_images(random, shape):
    return random.normal(size=(*shape, 2)).astype(np.float32).view(np.complex64)[..., 0]


def encoding_matrix(kspace, basis, coils, field=None):
    """The encoding `(readout x coil x sample, K x pixel)`, written out."""
    n_x, n_y = kspace.matrix
    x, y = np.meshgrid(np.arange(n_x) - n_x // 2, np.arange(n_y) - n_y // 2, indexing="ij")
    rows = []
    for repetition, arm in zip(kspace.repetition, kspace.arm, strict=True):
        points = kspace.trajectory.points[arm]
        phase = points[:, :1] * x.ravel() + points[:, 1:] * y.ravel()
        if field is not None:
            time = kspace.trajectory.sample_time[:, None]
            phase = phase - 2 * np.pi * time * field.ravel()
        waves = np.exp(-1j * phase)
        for coil in coils:
            seen = waves * coil.ravel()
            rows.append(np.concatenate([seen * value for value in basis[repetition]], axis=1))
    return np.concatenate(rows)
