"""Training batches: random tissue, drawn afresh, with fingerprints from the exact engine's table of the sequence.

Batch k is a pure function of (seed, k), so resuming is exact.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrftool.learning.config import Range, TrainConfig
from mrftool.physics.compression import align, features, real_fingerprints
from mrftool.physics.table import SignalTable, evaluate_derivatives
from mrftool.tissue import Tissue

Array = NDArray[Any]


@dataclass(frozen=True)
class Batch:
    """What one step needs. rows: encoder input `(voxel, n)`, with B1 as last column where the encoder takes it.

    target: log T1, log T2 [log s] `(voxel, 2)`. bound: its Cramer-Rao bound `(voxel, 2)` [1].
    noise: standard deviation per channel of the unit-norm signal `(voxel,)` [1]. b1: `(voxel,)` [1].
    clean: noise-free unit-norm compressed fingerprint `(voxel, rank)`.
    """

    rows: Tensor
    target: Tensor
    bound: Tensor
    noise: Tensor
    b1: Tensor
    clean: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        return Batch(**{key: value.to(device) for key, value in vars(self).items()})


def draw_batch(table: SignalTable, config: TrainConfig, takes: str, k: int) -> Batch:
    """Batch number `k` of a run. takes: what the encoder takes, "features" or "fingerprint"."""
    random = np.random.default_rng((config.seed, k))
    tissue = draw_tissue(config, random)
    if config.snr_range is None:
        snr = np.full(len(tissue), np.inf)
    else:
        snr = _log_uniform(config.snr_range, random.random(len(tissue)))
    return make_batch(table, takes, tissue, snr, random)


def draw_tissue(config: TrainConfig, random: np.random.Generator) -> Tissue:
    """`batch` voxels: log-uniform T1, then log-uniform T2 up to T1, and uniform B1."""
    n = config.batch
    t1 = _log_uniform((max(config.t1_range[0], config.t2_range[0]), config.t1_range[1]), random.random(n))
    t2 = _log_uniform((config.t2_range[0], np.minimum(config.t2_range[1], t1)), random.random(n))
    b1 = random.uniform(*config.b1_range, n) if config.b1_range else np.ones(n)
    return Tissue(t1, t2, b1=b1, adc=np.full(n, config.adc))


def make_batch(
    table: SignalTable, takes: str, tissue: Tissue, snr: NDArray[np.float64], random: np.random.Generator
) -> Batch:
    """A batch of given tissue and SNR `(voxel,)` (inf: no noise), with noise from `random`."""
    b1 = tissue.b1 if table.takes_b1 else None
    fingerprint, by_t1, by_t2 = np.moveaxis(evaluate_derivatives(table, tissue.t1, tissue.t2, b1), 1, 0)
    norm = np.linalg.norm(fingerprint, axis=1)
    noise = 1 / (snr * np.sqrt(len(table.basis.vectors)))
    rows = _rows(fingerprint, norm * noise, table, takes, random)
    if b1 is not None:
        rows = np.concatenate([rows, b1[:, None].astype(np.float32)], axis=1)
    clean = fingerprint / norm[:, None]
    return Batch(
        rows=_tensor(rows),
        target=_tensor(np.log(np.stack([tissue.t1, tissue.t2], axis=1))),
        bound=_tensor(relative_bound(fingerprint, by_t1, by_t2, norm * noise)),
        noise=_tensor(noise),
        b1=_tensor(tissue.b1),
        clean=torch.from_numpy(np.ascontiguousarray(clean, np.complex64 if np.iscomplexobj(clean) else np.float32)),
    )


def relative_bound(fingerprint: Array, by_t1: Array, by_t2: Array, sigma: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cramer-Rao bound of log T1 and log T2 `(voxel, 2)` [1] at noise sigma `(voxel,)` per channel, m0 unknown.

    fingerprint and its derivatives by log T1 and log T2: compressed, `(voxel, rank)`. The Fisher information of white
    noise with m0 projected out; see mrftool.physics.crlb.
    """
    unit = fingerprint / np.linalg.norm(fingerprint, axis=1, keepdims=True)
    a, b = (step - unit * (unit.conj() * step).sum(axis=1, keepdims=True) for step in (by_t1, by_t2))
    aa, bb, ab = (abs(a) ** 2).sum(axis=1), (abs(b) ** 2).sum(axis=1), (a.conj() * b).real.sum(axis=1)
    determinant = np.maximum(aa * bb - ab**2, 1e-12 * aa * bb + 1e-300)
    variance = np.stack([bb, aa], axis=1) / determinant[:, None]
    return np.asarray(np.minimum(sigma[:, None] * np.sqrt(variance), 10.0), np.float64)


def _rows(
    fingerprint: Array, sigma: NDArray[np.float64], table: SignalTable, takes: str, random: np.random.Generator
) -> NDArray[np.float32]:
    """What the encoder sees. Noise is added where it is cheapest: an orthonormal basis keeps white noise white."""
    if takes == "features" and table.form == "complex":
        aligned = align(_noisy(fingerprint, sigma, random))
        return np.concatenate([aligned.real, aligned.imag], axis=1)
    signal: Array = _noisy(fingerprint @ table.basis.vectors.T, sigma, random)
    if table.form == "magnitude":
        signal = np.abs(signal)
    return (features if takes == "features" else real_fingerprints)(signal, table.feature_basis)


def _noisy(signal: Array, sigma: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.complex64]:
    """Complex white noise of standard deviation sigma in each of the real and imaginary channels."""
    noise = random.standard_normal((*signal.shape, 2), np.float32).view(np.complex64)[..., 0]
    return np.asarray(signal + noise * sigma[:, None].astype(np.float32), np.complex64)


def _log_uniform(
    bounds: tuple[float, float | NDArray[np.float64]], fraction: NDArray[np.float64]
) -> NDArray[np.float64]:
    low, high = np.log(bounds[0]), np.log(bounds[1])
    return np.asarray(np.exp(low + (high - low) * fraction))


def _tensor(values: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))


def log_range(bounds: Range) -> tuple[float, float]:
    """Middle and half width of a range on the logarithmic scale."""
    low, high = np.log(bounds[0]), np.log(bounds[1])
    return float(low + high) / 2, float(high - low) / 2
