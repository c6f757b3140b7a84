"""What the benchmark of quantification works on: a dictionary and voxels of FISP at SNR 20."""

from dataclasses import dataclass

import numpy as np

from mrftool.manifold.compression import compress, fit_basis
from mrftool.physics.noise import add_noise
from mrftool.physics.simulate import simulate
from mrftool.physics.tissue_grids import grid_tissue
from mrftool.tissue import Tissue

ENTRIES, SNR, RANK = 100_000, 20.0, 10


@dataclass
class Scene:
    """The dictionary: tissue `grid`; real rows of norm 1, `entries` `(entry, time)` and short
    `small` `(entry, RANK)`.

    The voxels: tissue `truth`, `signal` `(voxel, time)`; without their phases `turned`, and
    compressed `small_turned`.
    `many`: 100,000 other voxels, compressed, of any phase.
    """

    grid: Tissue
    entries: np.ndarray
    small: np.ndarray
    truth: Tissue
    signal: np.ndarray
    turned: np.ndarray
    small_turned: np.ndarray
    many: np.ndarray


def tissues(n, seed):
    """T1 0.3 to 4 s, T2 20 ms to 0.5 s, log-uniform, T2 < T1, of any phase."""
    rng = np.random.default_rng(seed)
    t1, t2 = (
        np.exp(rng.uniform(np.log(0.3), np.log(4), 4 * n)),
        np.exp(rng.uniform(np.log(0.02), np.log(0.5), 4 * n)),
    )
    keep = np.flatnonzero(t2 < t1)[:n]
    return Tissue(t1[keep], t2[keep], m0=np.exp(2j * np.pi * rng.random(n)))


def noisy(sequence, tissue):
    signal = simulate(sequence, tissue, threads=1).signal
    sd = np.linalg.norm(signal, axis=1) / np.sqrt(signal.shape[1]) / SNR
    return add_noise(signal, sd, np.random.default_rng(7))


def make_scene(sequence):
    grid = grid_tissue(np.geomspace(0.1, 4.5, 430), np.geomspace(0.01, 2, 430))
    grid = grid[np.sort(np.random.default_rng(0).permutation(len(grid))[:ENTRIES])]
    entries = simulate(sequence, grid, threads=1).signal
    basis = fit_basis(entries[::100], 1e-9, max_rank=RANK)
    small = compress(entries, basis).real
    truth = tissues(8192, 1)
    signal = noisy(sequence, truth)
    turned = signal * np.exp(-1j * np.angle(truth.m0))[:, None]
    few = compress(noisy(sequence, tissues(12_500, 2)), basis)
    return Scene(
        grid,
        as_rows(entries * basis.phase_factor, unit=True),
        as_rows(small, unit=True),
        truth,
        signal,
        as_rows(turned * basis.phase_factor),
        as_rows(compress(turned, basis)),
        np.concatenate([few * np.exp(0.1j * k) for k in range(8)]).astype(np.complex64),
    )


def as_rows(values, unit=False):
    values = values / np.linalg.norm(values, axis=1, keepdims=True) if unit else values
    return np.ascontiguousarray(values.real, np.float32)
