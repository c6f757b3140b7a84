"""Training batches: random tissue, simulated afresh. Batch k is a pure function of (seed, k), so resuming is exact."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrftool.learning.config import Range, TrainConfig
from mrftool.physics.compression import Basis, align, compress, features, real_fingerprints
from mrftool.physics.simulate import Parameter, signal_and_derivatives
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

Array = NDArray[Any]


@dataclass(frozen=True)
class Batch:
    """What one step needs. rows: encoder input `(voxel, n)`, with B1 as last column where the encoder takes it.

    target: log T1, log T2 [log s] `(voxel, 2)`. bound: its Cramer-Rao bound `(voxel, 2)` [1], or None.
    noise: standard deviation per channel of the unit-norm signal `(voxel,)` [1]. b1: `(voxel,)` [1].
    clean: noise-free unit-norm compressed fingerprint `(voxel, rank)`.
    """

    rows: Tensor
    target: Tensor
    bound: Tensor | None
    noise: Tensor
    b1: Tensor
    clean: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        moved = {key: None if value is None else value.to(device) for key, value in vars(self).items()}
        return Batch(**moved)  # type: ignore[arg-type]


def draw_batch(sequence: PulseSequence, basis: Basis, config: TrainConfig, takes: str, k: int) -> Batch:
    """Batch number `k` of a run. takes: what the encoder takes, "features" or "fingerprint"."""
    random = np.random.default_rng((config.seed, k))
    tissue = draw_tissue(config, random)
    low, high = config.snr_range or (np.inf, np.inf)
    snr = (
        np.exp(random.uniform(np.log(low), np.log(high), len(tissue)))
        if np.isfinite(low)
        else np.full(len(tissue), low)
    )
    return make_batch(sequence, basis, config, takes, tissue, snr, random)


def draw_tissue(config: TrainConfig, random: np.random.Generator) -> Tissue:
    """`batch` voxels: log-uniform T1, then log-uniform T2 up to T1, and uniform B1."""
    n = config.batch
    t1 = _log_uniform((max(config.t1_range[0], config.t2_range[0]), config.t1_range[1]), random.random(n))
    t2 = _log_uniform((config.t2_range[0], np.minimum(config.t2_range[1], t1)), random.random(n))
    b1 = random.uniform(*config.b1_range, n) if config.b1_range else np.ones(n)
    return Tissue(t1, t2, b1=b1, adc=np.full(n, config.adc))


def make_batch(
    sequence: PulseSequence,
    basis: Basis,
    config: TrainConfig,
    takes: str,
    tissue: Tissue,
    snr: NDArray[np.float64],
    random: np.random.Generator,
) -> Batch:
    """A batch of given tissue and SNR `(voxel,)` (inf: no noise), with noise from `random`."""
    wanted: tuple[Parameter, ...] = ("t1", "t2") if config.loss == "bound" else ()
    signal: Array
    slopes: Array
    signal, slopes = signal_and_derivatives(sequence, tissue, with_respect_to=wanted)
    if config.form == "magnitude":
        size = np.abs(signal)
        slopes = (signal.conj() * slopes).real / np.maximum(size, 1e-30)
        noisy_input, signal = signal, size
    else:
        noisy_input = signal
    norm = np.linalg.norm(signal, axis=1)
    noise = 1 / (snr * np.sqrt(signal.shape[1]))
    rows = _rows(noisy_input, norm * noise, basis, config.form, takes, random)
    if config.b1_range:
        rows = torch.cat([rows, _tensor(tissue.b1)[:, None]], dim=1)
    clean = compress(signal, basis) / norm[:, None]
    return Batch(
        rows=rows,
        target=_tensor(np.log(np.stack([tissue.t1, tissue.t2], axis=1))),
        bound=_tensor(relative_bound(signal, slopes, basis, tissue, norm * noise)) if wanted else None,
        noise=_tensor(noise),
        b1=_tensor(tissue.b1),
        clean=torch.from_numpy(np.ascontiguousarray(clean, np.complex64 if np.iscomplexobj(clean) else np.float32)),
    )


def relative_bound(
    signal: Array, slopes: Array, basis: Basis, tissue: Tissue, sigma: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Cramer-Rao bound of log T1 and log T2 `(voxel, 2)` [1], m0 unknown, in the space of `basis`.

    signal `(voxel, time)`, slopes `(2, voxel, time)` per second, sigma: noise per channel `(voxel,)`.
    Fisher information of white noise with m0 projected out; see mrftool.physics.crlb.
    """
    base = compress(signal, basis)
    unit = base / np.linalg.norm(base, axis=1, keepdims=True)
    steps = [compress(slope, basis) * t[:, None] for slope, t in zip(slopes, (tissue.t1, tissue.t2), strict=True)]
    a, b = (step - unit * (unit.conj() * step).sum(axis=1, keepdims=True) for step in steps)
    aa, bb, ab = (abs(a) ** 2).sum(axis=1), (abs(b) ** 2).sum(axis=1), (a.conj() * b).real.sum(axis=1)
    determinant = np.maximum(aa * bb - ab**2, 1e-12 * aa * bb + 1e-300)
    variance = np.stack([bb, aa], axis=1) / determinant[:, None]
    return np.asarray(np.minimum(sigma[:, None] * np.sqrt(variance), 10.0), np.float64)


def _rows(
    signal: Array, sigma: NDArray[np.float64], basis: Basis, form: str, takes: str, random: np.random.Generator
) -> Tensor:
    """Noise is added where it is cheapest: an orthonormal basis keeps white noise white."""
    if takes == "features" and form == "complex":
        aligned = align(_noisy(compress(signal, basis), sigma, random))
        return _tensor(np.concatenate([aligned.real, aligned.imag], axis=1))
    noisy: Array = _noisy(signal, sigma, random)
    noisy = np.abs(noisy) if form == "magnitude" else noisy
    return _tensor(features(noisy, basis) if takes == "features" else real_fingerprints(noisy, basis))


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
