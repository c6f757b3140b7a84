"""Training batches: random tissue or a grid, with fingerprints under each sequence of the run.

Batch k is a pure function of (seed, k), so resuming is exact. Encoders of compressed coefficients
get them from the table, encoders of whole fingerprints from the engine itself.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mrftool.arrays import Array, Float32Array, FloatArray, IndexArray, Range
from mrftool.errors import ArgumentError
from mrftool.learning.config import TrainConfig
from mrftool.learning.networks.encoders import Takes
from mrftool.manifold.compression import Basis, align, compress, features, real_fingerprints
from mrftool.manifold.parameters import GIVEN
from mrftool.manifold.table import SignalTable, evaluate_derivatives
from mrftool.physics.cramer_rao import bound_of_signals
from mrftool.physics.noise import add_noise
from mrftool.physics.simulate import simulate
from mrftool.physics.tissue_grids import paper_tissue
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

_LARGEST_BOUND = 10.0  # of log T1 and log T2: a parameter that is not determined [1]
_GRID_STREAM = 2**32 - 5  # of random numbers; no batch draws from it


@dataclass(frozen=True)
class Source:
    """A sequence that a run is trained for, and its table."""

    sequence: PulseSequence
    table: SignalTable

    def row_length(self, takes: Takes) -> int:
        """Length of the input of an encoder, without given parameters."""
        if takes == "fingerprint":
            return len(self.sequence)
        if self.table.form == "complex":
            return 2 * self.table.rank
        return self.table.rank


@dataclass(frozen=True)
class Batch:
    """What one step needs of one sequence.

    Parameters
    ----------
    rows
        Input of the encoder `(voxel, n)`, the given parameters that it takes as last columns.
    target
        Log T1 and log T2 `(voxel, 2)` [log s].
    bound
        Their Cramer-Rao bound `(voxel, 2)` [1].
    noise
        Standard deviation per channel of the signal of norm 1 `(voxel,)` [1].
    given
        Those given parameters `(voxel, given)` [unit].
    clean
        Fingerprint of norm 1 without noise: compressed `(voxel, rank)`, or whole `(voxel, time)`
        if a decoder is trained on it.
    """

    rows: Tensor
    target: Tensor
    bound: Tensor
    noise: Tensor
    given: Tensor
    clean: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        return Batch(**{key: value.to(device) for key, value in vars(self).items()})

    def __getitem__(self, part: slice) -> "Batch":
        return Batch(**{key: value[part] for key, value in vars(self).items()})


def draw_batches(sources: list[Source], config: TrainConfig, takes: Takes, k: int) -> list[Batch]:
    """Batch number `k` of a run, one part for each of its sequences.

    takes: what the encoder takes, see `EncoderSpec`.
    """
    random = np.random.default_rng((config.seed, k))
    if config.tissue == "random":
        tissue = draw_tissue(config, random)
    else:
        tissue = grid_tissue(config, random, k)
    snr = np.full(len(tissue), np.inf)
    if config.snr_range is not None:
        snr = _log_uniform(config.snr_range, random.random(len(tissue)))
    parts = []
    for index, source in enumerate(sources):
        part = slice(index, None, len(sources))
        parts.append(make_batch(source, takes, tissue[part], snr[part], random, config))
    return parts


def draw_tissue(config: TrainConfig, random: np.random.Generator) -> Tissue:
    """`batch` voxels: log-uniform T1, then log-uniform T2 up to T1, and uniform B1."""
    n = config.batch
    t1 = _log_uniform(
        (max(config.t1_range[0], config.t2_range[0]), config.t1_range[1]), random.random(n)
    )
    t2 = _log_uniform((config.t2_range[0], np.minimum(config.t2_range[1], t1)), random.random(n))
    return _with_given(config, t1, t2, random)


def grid_tissue(config: TrainConfig, random: np.random.Generator, k: int) -> Tissue:
    """Batch number `k` of the pairs of the paper's grid, with uniform B1.

    Each epoch takes every pair once, in an order of its own.
    """
    t1, t2 = _grid(config.t1_range, config.t2_range, config.share, config.seed)
    first = k * config.batch
    epochs, places = np.divmod(np.arange(first, first + config.batch), len(t1))
    index = np.empty(config.batch, np.int64)
    for epoch in np.unique(epochs):
        is_in_epoch = epochs == epoch
        order = _order(len(t1), config.seed, int(epoch))
        index[is_in_epoch] = order[places[is_in_epoch]]
    return _with_given(config, t1[index], t2[index], random)


@lru_cache(maxsize=4)
def _grid(
    t1_range: Range, t2_range: Range, share: float, seed: int
) -> tuple[FloatArray, FloatArray]:
    """T1 and T2 [s] of the pairs of the grid that a run learns from."""
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


def _with_given(
    config: TrainConfig,
    t1: FloatArray,
    t2: FloatArray,
    random: np.random.Generator,
) -> Tissue:
    given: dict[str, Any] = {}
    for parameter in GIVEN:
        if parameter.name in config.ranges:
            given[parameter.name] = random.uniform(*config.ranges[parameter.name], len(t1))
    return Tissue(t1, t2, **given, adc=np.full(len(t1), config.adc))


def _given_columns(table: SignalTable, tissue: Tissue) -> Float32Array:
    """The parameters that are given and not fitted, of each voxel `(voxel, parameter)`."""
    columns = np.zeros((len(tissue), len(table.given)), np.float32)
    for k, parameter in enumerate(table.given):
        columns[:, k] = getattr(tissue, parameter.name)
    return columns


def make_batch(
    source: Source,
    takes: Takes,
    tissue: Tissue,
    snr: FloatArray,
    random: np.random.Generator,
    config: TrainConfig | None = None,
) -> Batch:
    """A batch of given tissue, with noise from `random`.

    Parameters
    ----------
    source
        The sequence and its table.
    takes
        What the encoder takes: see `EncoderSpec`.
    tissue
        The voxels.
    snr
        Root mean square of each signal over the noise sd per channel `(voxel,)` [1]; inf: no noise.
    random
        Generator of the noise.
    config
        Settings of the run: what its losses do not ask for is left out. None: nothing is.
    """
    table = source.table
    noise = 1 / (snr * np.sqrt(len(source.sequence)))
    bound = np.full((len(tissue), 2), np.nan)
    if takes == "features" or config is None or config.loss == "bound":
        tabulated = evaluate_derivatives(table, table.points(tissue))
        bound = relative_bound(tabulated, noise)
    trains_decoder = config is not None and config.decoder in ("fc", "rnn")
    if takes == "fingerprint" or trains_decoder:
        exact = simulate(source.sequence, tissue, threads=1).signal
    if takes == "features":
        seen = clean = tabulated[:, 0]
    else:
        seen, clean = exact, _coefficients(exact, table.basis)
    if trains_decoder:
        clean = exact
    rows = encoder_rows(seen, np.linalg.norm(seen, axis=1) * noise, source, takes, random)
    given = _given_columns(table, tissue)
    rows = np.concatenate([rows, given], axis=1)
    return Batch(
        rows=_tensor(rows),
        target=_tensor(np.log(np.stack([tissue.t1, tissue.t2], axis=1))),
        bound=_tensor(bound),
        noise=_tensor(noise),
        given=_tensor(given),
        clean=_unit(clean),
    )


def _coefficients(signal: Array, basis: Basis) -> Array:
    compressed = compress(signal, basis)
    if basis.is_real:
        return compressed.real
    return compressed


def _unit(signal: Array) -> Tensor:
    """The signals with a norm of 1, in single precision."""
    unit = signal / np.linalg.norm(signal, axis=1, keepdims=True)
    precision: type[np.generic] = np.float32
    if np.iscomplexobj(unit):
        precision = np.complex64
    return torch.from_numpy(np.ascontiguousarray(unit, precision))


def relative_bound(rows: Array, noise: FloatArray) -> FloatArray:
    """Cramer-Rao bound of log T1 and log T2 `(voxel, 2)` [1], m0 unknown.

    rows: compressed fingerprint and its derivatives by log T1 and log T2 `(voxel, 3, rank)`. noise:
    standard deviation per channel, relative to the norm of the fingerprint `(voxel,)` [1]. The
    Fisher information of white noise with m0 projected out; see mrftool.physics.cramer_rao.
    """
    fingerprint, *slopes = np.moveaxis(rows, 1, 0)
    sigma = np.linalg.norm(fingerprint, axis=1) * noise
    bound = bound_of_signals(fingerprint, np.array(slopes), sigma)
    return np.minimum(bound, _LARGEST_BOUND)


def encoder_rows(
    fingerprint: Array,
    sigma: FloatArray,
    source: Source,
    takes: Takes,
    random: np.random.Generator,
) -> Float32Array:
    """What the encoder sees, without B1.

    Complex features get their noise after compression, where it is cheapest: an orthonormal basis
    keeps white noise white.

    Parameters
    ----------
    fingerprint
        Compressed if the encoder takes features, else whole.
    sigma
        Standard deviation of the noise per channel `(voxel,)` [unit of the fingerprint].
    source, takes, random
        See `make_batch`.
    """
    table = source.table
    if takes == "features" and table.form == "complex":
        aligned = align(add_noise(fingerprint, sigma, random))
        return np.concatenate([aligned.real, aligned.imag], axis=1)
    whole, to_rows = fingerprint, real_fingerprints
    if takes == "features":
        whole, to_rows = fingerprint @ table.basis.vectors.T, features
    signal: Array = add_noise(whole, sigma, random)
    if table.form == "magnitude":
        signal = np.abs(signal)
    return to_rows(signal, table.feature_basis)


def _log_uniform(bounds: tuple[float, float | FloatArray], fraction: FloatArray) -> FloatArray:
    low, high = np.log(bounds[0]), np.log(bounds[1])
    return np.asarray(np.exp(low + (high - low) * fraction))


def _tensor(values: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
