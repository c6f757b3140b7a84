"""Training batches: tissue drawn afresh or from a grid, with its fingerprints under each sequence
of the run.

Batch k is a pure function of (seed, k), so resuming is exact. Encoders of compressed coefficients
get them from the table that the exact engine filled, encoders of whole fingerprints from the engine
itself.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from mrftool.arrays import Array, ComplexArray, Float32Array, FloatArray, IndexArray, Range
from mrftool.errors import ArgumentError
from mrftool.learning.config import TrainConfig
from mrftool.manifold.compression import Basis, align, compress, features, real_fingerprints
from mrftool.manifold.table import SignalTable, evaluate_derivatives
from mrftool.physics.simulate import simulate
from mrftool.physics.tissue_grids import paper_tissue
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

_GRID_STREAM = 2**32 - 5  # of random numbers: no batch draws from it


@dataclass(frozen=True)
class Source:
    """A sequence that a run learns, and its table."""

    sequence: PulseSequence
    table: SignalTable


@dataclass(frozen=True)
class Batch:
    """What one step needs of one sequence. rows: encoder input `(voxel, n)`, with B1 as last column
    where it takes it.

    target: log T1, log T2 [log s] `(voxel, 2)`. bound: its Cramer-Rao bound `(voxel, 2)` [1].
    noise: standard deviation per channel of the unit-norm signal `(voxel,)` [1]. b1: `(voxel,)`
    [1].
    clean: noise-free unit-norm fingerprint, compressed `(voxel, rank)`, or whole `(voxel, time)`
    where a decoder is to learn it.
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

    def __getitem__(self, part: slice) -> "Batch":
        return Batch(**{key: value[part] for key, value in vars(self).items()})


def draw_batches(sources: list[Source], config: TrainConfig, takes: str, k: int) -> list[Batch]:
    """Batch number `k` of a run, a part for each of its sequences. takes: what the encoder takes.

    "features" or "fingerprint", see `EncoderSpec`.
    """
    random = np.random.default_rng((config.seed, k))
    tissue = (
        draw_tissue(config, random) if config.tissue == "random" else grid_tissue(config, random, k)
    )
    if config.snr_range is None:
        snr = np.full(len(tissue), np.inf)
    else:
        snr = _log_uniform(config.snr_range, random.random(len(tissue)))
    parts = [slice(i, None, len(sources)) for i in range(len(sources))]
    return [
        make_batch(source, takes, tissue[part], snr[part], random, config)
        for source, part in zip(sources, parts, strict=True)
    ]


def draw_tissue(config: TrainConfig, random: np.random.Generator) -> Tissue:
    """`batch` voxels: log-uniform T1, then log-uniform T2 up to T1, and uniform B1."""
    n = config.batch
    t1 = _log_uniform(
        (max(config.t1_range[0], config.t2_range[0]), config.t1_range[1]), random.random(n)
    )
    t2 = _log_uniform((config.t2_range[0], np.minimum(config.t2_range[1], t1)), random.random(n))
    return _with_b1(config, t1, t2, random)


def grid_tissue(config: TrainConfig, random: np.random.Generator, k: int) -> Tissue:
    """Voxels k x batch to (k + 1) x batch of the paper's grid, shuffled anew in each epoch, and
    uniform B1.
    """
    t1, t2 = _grid(config.t1_range, config.t2_range, config.share, config.seed)
    epochs, places = np.divmod(np.arange(k * config.batch, (k + 1) * config.batch), len(t1))
    index = np.concatenate(
        [_order(len(t1), config.seed, int(e))[places[epochs == e]] for e in np.unique(epochs)]
    )
    return _with_b1(config, t1[index], t2[index], random)


@lru_cache(maxsize=4)
def _grid(
    t1_range: Range, t2_range: Range, share: float, seed: int
) -> tuple[FloatArray, FloatArray]:
    """T1 and T2 [s] of the share of the grid's pairs that there is to learn from."""
    whole = paper_tissue(t1_range, t2_range)
    if not len(whole):
        raise ArgumentError(
            "no pair of the paper's grid lies in these ranges of T1 and T2, expected at least one"
        )
    kept = max(round(share * len(whole)), 1)
    index = np.sort(np.random.default_rng((seed, _GRID_STREAM)).permutation(len(whole))[:kept])
    return whole.t1[index], whole.t2[index]


@lru_cache(maxsize=4)
def _order(n: int, seed: int, epoch: int) -> IndexArray:
    return np.random.default_rng((seed, _GRID_STREAM, epoch)).permutation(n)


def _with_b1(
    config: TrainConfig,
    t1: FloatArray,
    t2: FloatArray,
    random: np.random.Generator,
) -> Tissue:
    b1 = random.uniform(*config.b1_range, len(t1)) if config.b1_range else np.ones(len(t1))
    return Tissue(t1, t2, b1=b1, adc=np.full(len(t1), config.adc))


def make_batch(
    source: Source,
    takes: str,
    tissue: Tissue,
    snr: FloatArray,
    random: np.random.Generator,
    config: TrainConfig | None = None,
) -> Batch:
    """A batch of given tissue and SNR `(voxel,)` (inf: no noise), with noise from `random`.

    config: leave out what its losses do not ask for; everything is there if None.
    """
    table = source.table
    b1 = tissue.b1 if table.takes_b1 else None
    learns_decoder = config is not None and config.decoder in ("fc", "rnn")
    noise = 1 / (snr * np.sqrt(len(source.sequence)))
    bound = np.full((len(tissue), 2), np.nan)
    if takes == "features" or config is None or config.loss == "bound":
        tabled = evaluate_derivatives(table, tissue.t1, tissue.t2, b1)
        bound, seen = relative_bound(tabled, noise), tabled[:, 0]
        clean = seen
    if takes == "fingerprint" or learns_decoder:
        exact = simulate(source.sequence, tissue, threads=1).signal
        seen = exact if takes == "fingerprint" else seen
        clean = exact if learns_decoder else _coefficients(exact, table.basis)
    rows = encoder_rows(seen, np.linalg.norm(seen, axis=1) * noise, source, takes, random)
    if b1 is not None:
        rows = np.concatenate([rows, b1[:, None].astype(np.float32)], axis=1)
    return Batch(
        rows=_tensor(rows),
        target=_tensor(np.log(np.stack([tissue.t1, tissue.t2], axis=1))),
        bound=_tensor(bound),
        noise=_tensor(noise),
        b1=_tensor(tissue.b1),
        clean=_unit(clean),
    )


def _coefficients(signal: Array, basis: Basis) -> Array:
    compressed = compress(signal, basis)
    return compressed.real if basis.is_real else compressed


def _unit(signal: Array) -> Tensor:
    unit = signal / np.linalg.norm(signal, axis=1, keepdims=True)
    return torch.from_numpy(
        np.ascontiguousarray(unit, np.complex64 if np.iscomplexobj(unit) else np.float32)
    )


def relative_bound(rows: Array, noise: FloatArray) -> FloatArray:
    """Cramer-Rao bound of log T1 and log T2 `(voxel, 2)` [1], m0 unknown.

    rows: compressed fingerprint and its derivatives by log T1 and log T2 `(voxel, 3, rank)`. noise:
    standard deviation per channel, relative to the norm of the fingerprint `(voxel,)` [1]. The
    Fisher information of white noise with m0 projected out; see mrftool.physics.cramer_rao.
    """
    fingerprint, by_t1, by_t2 = np.moveaxis(rows, 1, 0)
    sigma = np.linalg.norm(fingerprint, axis=1) * noise
    unit = fingerprint / np.linalg.norm(fingerprint, axis=1, keepdims=True)
    a, b = (
        step - unit * (unit.conj() * step).sum(axis=1, keepdims=True) for step in (by_t1, by_t2)
    )
    aa, bb, ab = (
        (abs(a) ** 2).sum(axis=1),
        (abs(b) ** 2).sum(axis=1),
        (a.conj() * b).real.sum(axis=1),
    )
    determinant = np.maximum(aa * bb - ab**2, 1e-12 * aa * bb + 1e-300)
    variance = np.stack([bb, aa], axis=1) / determinant[:, None]
    return np.asarray(np.minimum(sigma[:, None] * np.sqrt(variance), 10.0), np.float64)


def encoder_rows(
    fingerprint: Array,
    sigma: FloatArray,
    source: Source,
    takes: str,
    random: np.random.Generator,
) -> Float32Array:
    """What the encoder sees, B1 apart, with noise of standard deviation sigma `(voxel,)` per
    channel.

    fingerprint: compressed for features, else whole. Compressed ones get their noise where it is
    cheapest: an orthonormal basis keeps white noise white.
    """
    table = source.table
    if takes == "features" and table.form == "complex":
        aligned = align(_noisy(fingerprint, sigma, random))
        return np.concatenate([aligned.real, aligned.imag], axis=1)
    whole = fingerprint @ table.basis.vectors.T if takes == "features" else fingerprint
    signal: Array = _noisy(whole, sigma, random)
    if table.form == "magnitude":
        signal = np.abs(signal)
    return (features if takes == "features" else real_fingerprints)(signal, table.feature_basis)


def _noisy(signal: Array, sigma: FloatArray, random: np.random.Generator) -> ComplexArray:
    """Complex white noise of standard deviation sigma in each of the real and imaginary channels."""
    if not sigma.any():
        return np.asarray(signal, np.complex64)
    noise = random.standard_normal((*signal.shape, 2), np.float32).view(np.complex64)[..., 0]
    return np.asarray(signal + noise * sigma[:, None].astype(np.float32), np.complex64)


def _log_uniform(bounds: tuple[float, float | FloatArray], fraction: FloatArray) -> FloatArray:
    low, high = np.log(bounds[0]), np.log(bounds[1])
    return np.asarray(np.exp(low + (high - low) * fraction))


def _tensor(values: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
