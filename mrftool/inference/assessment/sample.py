"""A sample of the voxels of a scan, with the fingerprints that were found in them.

The fingerprints are simulated anew and subtracted from the scan; nothing is corrected. What errors
of given values can leave in the residual is known to first order: it is projected out, with what
the fit takes up, and the rest is noise.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mrftool.arrays import Array, BoolArray, FloatArray, IndexArray
from mrftool.manifold.first_order import Directions, as_real, directions_of, joined
from mrftool.manifold.influences import Influence
from mrftool.manifold.parameters import FITTED
from mrftool.maps import Maps, with_signal
from mrftool.physics.noise import as_of_one_coil, noise_of_misfit, rician_moments
from mrftool.physics.simulate import simulate
from mrftool.quantities import Flag
from mrftool.scan.draw import drawn
from mrftool.scan.series import Series
from mrftool.scan.stream import signals_of_few
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

MOST_SAMPLED = 1500  # voxels
N_NEEDED = 20  # voxels; fewer do not tell noise from a misfit
_LEAST_SAMPLED = 300  # voxels, where there are as many
_SAMPLED_VALUES = 400_000  # a quarter of them shows an autocorrelation of 0.005
_BLOCK = 64  # voxels at a time in the engine, in memory that is used again
_FEW = 16  # whose directions stay in the processor's cache
_ROUNDS = 3  # of the noise of magnitudes, whose bias depends on it
_KNOWN = ("b1", "adc", "off_resonance", "r2_prime")  # columns of tissue that are known or mapped
_LEAST_NOISE = 1e-6  # of the signal, below which nothing is told from rounding
_UNUSABLE = Flag.MASKED | Flag.NON_FINITE | Flag.T1_UNDETERMINED | Flag.T2_UNDETERMINED


@dataclass(frozen=True, eq=False)
class SampledResiduals:
    """Voxels of a scan, in the order of their T2, and the fingerprints that were found in them.

    Parameters
    ----------
    signal, model
        Scan and fit `(voxel, time)` [scanner's unit].
    m0
        `(voxel,)` [scanner's unit].
    noise_sd
        Standard deviation of the noise per channel `(voxel,)` [scanner's unit].
    noise
        The residual, in the phase of m0, without what given values and the fit can explain
        `(voxel, time)` [units of noise_sd].
    n_unknowns
        Real numbers that were fitted in each voxel to find the noise, on average.
    voxels
        Flat index of each voxel `(voxel,)`.
    tissue
        What was found or known in them, of m0 = 1.
    directions
        What small changes do to their signals, where that was asked for.
    influences
        Given values, in the order of the directions.
    """

    signal: Array
    model: Array
    m0: Array
    noise_sd: FloatArray
    noise: Array
    n_unknowns: float
    voxels: IndexArray
    tissue: Tissue
    directions: Directions | None = None
    influences: tuple[Influence, ...] = ()

    def __getitem__(self, chosen: BoolArray) -> "SampledResiduals":
        """Some of the voxels."""
        directions = self.directions
        if directions is not None:
            directions = directions[chosen]
        return SampledResiduals(
            self.signal[chosen],
            self.model[chosen],
            self.m0[chosen],
            self.noise_sd[chosen],
            self.noise[chosen],
            self.n_unknowns,
            self.voxels[chosen],
            self.tissue[chosen],
            directions,
            self.influences,
        )

    @property
    def residual(self) -> Array:
        """What the fit leaves, for magnitudes less their expected bias, in units of `noise_sd`
        `(voxel, time)`.
        """
        return residual_of(self.signal, self.model, self.noise_sd)

    def moments(self) -> tuple[Array, FloatArray]:
        """Mean and variance of the signal in noise `(voxel, time)` [scanner's unit, and squared].

        The mean of magnitudes is above the fit, and their variance below that of the noise. The
        variance of complex signals is the sum over both channels.
        """
        sd = self.noise_sd[:, None]
        if np.iscomplexobj(self.signal):
            return self.model, np.broadcast_to(2 * sd**2, self.model.shape)
        mean, variance = rician_moments(self.model / sd)
        return np.asarray(sd * mean), np.asarray(sd**2 * variance)

    @property
    def n_values(self) -> int:
        """Real numbers in the signal of a voxel."""
        return int(self.signal[0].size * (1 + np.iscomplexobj(self.signal)))


def residual_of(signal: Array, model: Array, noise_sd: FloatArray) -> Array:
    """What a fit leaves, for magnitudes less their expected bias, in units of `noise_sd`.

    Parameters
    ----------
    signal, model
        Scan and fit `(voxel, time)` [scanner's unit].
    noise_sd
        Standard deviation of the noise per channel `(voxel,)` [scanner's unit].
    """
    if np.iscomplexobj(signal):
        return np.asarray((signal - model) / noise_sd[:, None])
    mean, variance = rician_moments(model / noise_sd[:, None])
    return np.asarray((signal / noise_sd[:, None] - mean) / np.sqrt(variance))


def sample_residuals(
    series: Series,
    maps: Maps,
    sequence: PulseSequence,
    *,
    given: Mapping[str, Array | float] | None = None,
    influences: Sequence[Influence] = (),
    exact: Sequence[Influence] = (),
    with_directions: bool = False,
    coils: int = 1,
    n_voxels: int | None = None,
    seed: int = 0,
) -> SampledResiduals | None:
    """Fit and scan in voxels that are drawn at random; None where fewer than N_NEEDED are usable.

    Parameters
    ----------
    series, maps
        The scan, and what was found in it.
    sequence
        That was fitted.
    given
        What the fit took as known: images `(x, y, z)`, or numbers, of b1 [1], adc [m2/s] and
        off_resonance [Hz]. Maps of them take their place.
    influences
        Given values that have an uncertainty.
    exact
        Further given values, without an uncertainty.
    with_directions
        Whether the sample holds directions: those of `influences`, then of `exact`.
    coils
        Whose root sum of squares magnitudes are; what their noise adds beyond that of one coil is
        subtracted.
    n_voxels
        How many are drawn, where there are as many; by default enough for the noise of the scan
        from the slice with most signal, and a quarter as many from all others.
    """
    chosen = _chosen_voxels(maps, series.n_time, n_voxels, seed)
    if len(chosen) < N_NEEDED:
        return None
    voxels, signal = _signals(series, chosen, maps)
    tissue = tissue_of(maps, voxels, given or {})
    m0: Array = maps.m0.reshape(-1)[voxels]
    if not np.iscomplexobj(signal):
        m0 = np.abs(m0)
    if coils > 1:
        share = maps.extra["residual"].reshape(-1)[voxels]
        magnitude = m0[:, None] * np.abs(simulate(sequence, tissue).signal)
        signal = _of_one_coil(signal, magnitude, share, coils)
    parts, blocks = [], []
    for block in _slices(len(voxels), _BLOCK):
        every = [*influences, *exact]
        directions = directions_of(sequence, tissue[block], every, form=series.form)
        uncertain = directions.of(slice(len(influences)))
        parts += _cleaned_by_few(signal[block], m0[block], uncertain)
        if with_directions:
            blocks.append(directions.in_single_precision())
    model, noise_sd, noise, n_unknowns = (np.concatenate(part) for part in zip(*parts, strict=True))
    return SampledResiduals(
        signal,
        model,
        m0,
        noise_sd,
        noise,
        float(n_unknowns.mean()),
        voxels,
        tissue,
        joined(blocks),
        (*influences, *exact),
    )


def _slices(n: int, size: int) -> Iterator[slice]:
    """All of `n`, `size` at a time."""
    for start in range(0, n, size):
        yield slice(start, start + size)


def _of_one_coil(signal: Array, magnitude: Array, share: Array, coils: int) -> Array:
    """Magnitudes less what the noise of further coils adds; share: relative norm of the misfit."""
    misfit = np.square(share) * np.mean(np.square(signal.astype(np.float64)), axis=1)
    return as_of_one_coil(signal, magnitude, noise_of_misfit(misfit, magnitude, coils), coils)


def enough_voxels(n_time: int) -> int:
    """How many voxels tell the noise of signals of `n_time` samples."""
    return min(max(_SAMPLED_VALUES // n_time, _LEAST_SAMPLED), MOST_SAMPLED)


def _chosen_voxels(maps: Maps, n_time: int, n_voxels: int | None, seed: int) -> IndexArray:
    usable = np.flatnonzero(with_signal(maps) & (maps.flags & int(_UNUSABLE) == 0))
    if n_voxels is not None:
        return np.sort(drawn(usable, n_voxels, seed))
    enough, inside = enough_voxels(n_time), in_slice(usable, maps, fullest_slice(maps))
    own, others = drawn(usable[inside], enough, seed), drawn(usable[~inside], enough // 4, seed)
    return np.sort(np.concatenate([own, others]))


def fullest_slice(maps: Maps) -> int:
    """The slice with most voxels that hold signal, along the third axis."""
    return int(with_signal(maps).sum(axis=(0, 1)).argmax())


def in_slice(voxels: IndexArray, maps: Maps, index: int) -> BoolArray:
    """Which voxels, by their flat indices, lie in a slice `(voxel,)`."""
    return np.asarray(voxels % maps.flags.shape[2] == index)


def _signals(series: Series, chosen: IndexArray, maps: Maps) -> tuple[IndexArray, Array]:
    """Voxels in the order of their T2, and their signals."""
    inside = np.zeros(maps.flags.size, bool)
    inside[chosen] = True
    voxels, signal = signals_of_few(series, inside.reshape(maps.flags.shape))
    order = np.argsort(maps.t2.reshape(-1)[voxels], kind="stable")
    return voxels[order], signal[order]


def tissue_of(maps: Maps, voxels: IndexArray, given: Mapping[str, Array | float]) -> Tissue:
    """What was found or known in voxels."""
    images: dict[str, Array | float] = {each.name: getattr(maps, each.name) for each in FITTED}
    images |= {name: image for name, image in {**given, **maps.extra}.items() if name in _KNOWN}
    columns: dict[str, Any] = {
        name: np.broadcast_to(image, maps.t1.shape).reshape(-1)[voxels]
        for name, image in images.items()
    }
    return Tissue.of_estimates(**columns)


def _cleaned_by_few(
    signal: Array, m0: Array, directions: Directions
) -> list[tuple[Array, FloatArray, Array, FloatArray]]:
    """What `_cleaned` gives, of some voxels at a time."""
    every = _slices(len(signal), _FEW)
    return [_cleaned(signal[few], m0[few], directions[few]) for few in every]


def _cleaned(
    signal: Array, m0: Array, directions: Directions
) -> tuple[Array, FloatArray, Array, FloatArray]:
    """Model, standard deviation of the noise, noise, and number of unknowns, of some voxels."""
    model = (m0[:, None] * directions.signal).astype(signal.dtype)
    least = _LEAST_NOISE * np.sqrt(np.mean(np.square(np.abs(signal, dtype=np.float64)), axis=1))
    noise_sd = np.maximum(_rms(as_real(signal - model)), least)
    explained = directions.span()
    n_unknowns = explained.dimensions
    rounds = 1
    if not np.iscomplexobj(signal):
        rounds = _ROUNDS
    for _ in range(rounds):
        residual = residual_of(signal, model, noise_sd) * _phase(signal, m0)[:, None]
        values = explained.without(as_real(residual))
        scale = _rms(values) * np.sqrt(values.shape[1] / (values.shape[1] - n_unknowns))
        scale = np.maximum(scale, least / noise_sd)
        noise_sd = noise_sd * scale
    noise: Array = values / scale[:, None]
    if np.iscomplexobj(signal):
        noise = noise.view(np.complex128)
    return model, noise_sd, noise.astype(signal.dtype), n_unknowns


def _rms(values: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(np.mean(np.square(values), axis=1)))


def _phase(signal: Array, m0: Array) -> Array:
    """Factors that take residuals into the phase of m0 `(voxel,)`."""
    if not np.iscomplexobj(signal):
        return np.ones(len(signal))
    return np.asarray(m0.conj() / np.maximum(np.abs(m0), 1e-300))
