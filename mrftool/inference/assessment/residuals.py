"""The residual of a whole scan: the shape of its noise, and what it shows of each frame.

Over many voxels the noise averages out. What is left in a frame is model error, or a frame that was
lost, scaled or swapped. The fingerprints that were found are simulated anew for a sample of voxels,
and subtracted from the scan; nothing is corrected.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mrftool.arrays import Array, BoolArray, FloatArray, IndexArray
from mrftool.manifold.effects import NoiseShape
from mrftool.manifold.parameters import FITTED
from mrftool.maps import Maps
from mrftool.physics.noise import rician_moments
from mrftool.physics.simulate import simulate
from mrftool.quantities import Flag
from mrftool.scan.series import Series
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

N_SAMPLED = 1500
N_NEEDED = 20  # voxels; fewer do not tell noise from a misfit
_LONGEST_LAG = 100
_LEAST_CORRELATION = 0.01  # where the autocorrelation counts as over
_QUIET = 1.5  # times the variance of the best quarter
_ROUNDS = 4
_MOST_TAKEN = 0.1  # of the noise, by the fit
_EMPTY_CHANNEL = 0.5  # of the variances of both channels: noise this uneven is not circular
_UNUSABLE = Flag.MASKED | Flag.NON_FINITE | Flag.T1_UNDETERMINED | Flag.T2_UNDETERMINED


@dataclass(frozen=True, eq=False)
class SampledResiduals:
    """Voxels of a scan, and the fingerprints that were found in them.

    Parameters
    ----------
    signal, model
        Scan and fit `(voxel, time)` [scanner's unit]. Voxels are in the order of their T2.
    m0
        `(voxel,)` [scanner's unit].
    noise_sd
        Standard deviation of the residual per channel `(voxel,)` [scanner's unit].
    """

    signal: Array
    model: Array
    m0: Array
    noise_sd: FloatArray

    def quietest(self) -> "SampledResiduals":
        """Voxels whose residual is about that of the best quarter: misfits of single voxels, as
        errors of a B1 map cause, do not count as noise.
        """
        variance = np.square(self.noise_sd)
        kept = variance <= _QUIET * np.quantile(variance, 0.25)
        return SampledResiduals(
            self.signal[kept], self.model[kept], self.m0[kept], self.noise_sd[kept]
        )

    @property
    def residual(self) -> Array:
        """What the fit leaves, for magnitudes less their expected bias, in units of `noise_sd`
        `(voxel, time)`.
        """
        if np.iscomplexobj(self.signal):
            return np.asarray((self.signal - self.model) / self.noise_sd[:, None])
        mean, variance = rician_moments(self.model / self.noise_sd[:, None])
        return np.asarray((self.signal / self.noise_sd[:, None] - mean) / np.sqrt(variance))


def sample_residuals(
    series: Series,
    maps: Maps,
    sequence: PulseSequence,
    *,
    adc: float = 0.0,
    given: Mapping[str, Array] | None = None,
    seed: int = 0,
) -> SampledResiduals | None:
    """Fit and scan in up to N_SAMPLED voxels, drawn at random; None where fewer than N_NEEDED are
    usable.

    Parameters
    ----------
    series, maps
        The scan, and what was found in it.
    sequence, adc
        What the model assumes; adc [m2/s].
    given
        Images of given parameters by name `(x, y, z)` [unit].
    """
    chosen = _chosen_voxels(maps, seed)
    if len(chosen) < N_NEEDED:
        return None
    inside = np.zeros(maps.flags.size, bool)
    inside[chosen] = True
    blocks = list(series.blocks(inside.reshape(maps.flags.shape)))
    voxels = np.concatenate([voxels for voxels, _ in blocks])
    order = np.argsort(maps.t2.reshape(-1)[voxels], kind="stable")
    voxels, signal = voxels[order], np.concatenate([rows for _, rows in blocks])[order]
    columns = {name: image.reshape(-1)[voxels] for name, image in (given or {}).items()}
    tissue = Tissue(
        **{
            parameter.name: getattr(maps, parameter.name).reshape(-1)[voxels]
            for parameter in FITTED
        },
        **columns,
        adc=np.full(len(voxels), adc),
    )
    m0 = maps.m0.reshape(-1)[voxels]
    model = m0[:, None] * simulate(sequence, tissue).signal
    if series.form == "magnitude":
        model = np.abs(model)
    n_values, n_unknowns = _counts(signal)
    share = maps.extra["residual"].reshape(-1)[voxels]
    energy = (np.abs(signal).astype(np.float64) ** 2).sum(axis=1)
    noise_sd = share * np.sqrt(energy / (n_values - n_unknowns))
    return SampledResiduals(signal, model, m0, np.maximum(noise_sd, 1e-6 * np.sqrt(energy)))


def _chosen_voxels(maps: Maps, seed: int) -> IndexArray:
    usable = np.flatnonzero((maps.flags & int(_UNUSABLE)).ravel() == 0)
    random = np.random.default_rng(seed)
    return np.sort(random.permutation(usable)[:N_SAMPLED])


def noise_shape(sample: SampledResiduals) -> NoiseShape:
    """How the residual's noise differs from white, circular noise.

    The autocorrelation counts up to the first lag where it is over. The fit takes up as much noise
    as its unknowns hold, slow noise more than its share; that is added again.
    """
    sample = sample.quietest()
    residual = _in_phase_of_m0(sample)
    observed = _autocorrelation(residual)
    least = max(_LEAST_CORRELATION, 3 / np.sqrt(residual.size))
    n_values, n_unknowns = _counts(sample.signal)
    taken = n_unknowns / n_values
    is_over = np.flatnonzero(observed * (1 - taken) + taken < least)
    if is_over.size:
        observed = observed[: int(is_over[0])]
    for _ in range(_ROUNDS):
        correlation = observed * (1 - taken) + taken
        time = 1 + 2 * correlation[1:].sum()
        taken = min(n_unknowns * time / n_values, _MOST_TAKEN)
    variance = (1 - n_unknowns / n_values) / (1 - taken)
    covariance = correlation * max(variance, 1.0)
    if not np.iscomplexobj(residual):
        return NoiseShape(covariance)
    own, other = (residual.real**2).mean(), (residual.imag**2).mean()
    mean = (own + other) / 2
    if min(own, other) > _EMPTY_CHANNEL * max(own, other):
        own = other = mean
    return NoiseShape(covariance, float(own / mean), float(other / mean))


def _autocorrelation(residual: Array) -> FloatArray:
    """Of residuals `(voxel, time)`, mean over voxels `(lag,)`; the first is 1."""
    n_time = residual.shape[1]
    values = []
    for lag in range(min(_LONGEST_LAG, n_time // 4)):
        products = residual[:, lag:] * residual[:, : n_time - lag].conj()
        values.append(float(products.real.mean()))
    return np.array(values) / values[0]


def _counts(signal: Array) -> tuple[int, int]:
    """Real numbers in a voxel's signal, and unknowns of its fit."""
    if np.iscomplexobj(signal):
        return 2 * signal.shape[1], len(FITTED) + 2
    return signal.shape[1], len(FITTED) + 1


def _in_phase_of_m0(sample: SampledResiduals) -> Array:
    if not np.iscomplexobj(sample.signal):
        return sample.residual
    size = np.maximum(np.abs(sample.m0), 1e-300)
    return np.asarray(sample.residual * (sample.m0.conj() / size)[:, None])


def shared_misfit(sample: SampledResiduals) -> float:
    """Share of the residual's variance that voxels of similar tissue have in common [1].

    Noise of different voxels is independent, whatever its spectrum; model errors are not.
    """
    residual = _in_phase_of_m0(sample)
    shared = (residual[1:].conj() * residual[:-1]).real.mean()
    return float(np.clip(shared / (np.abs(residual) ** 2).mean(), 0.0, 1.0))


def typical_noise_sd(sample: SampledResiduals) -> float:
    """Median over voxels of the noise's standard deviation, mean over both channels [scanner's
    unit]: the residual less what voxels have in common.
    """
    quietest = sample.quietest()
    return float(np.median(quietest.noise_sd) * np.sqrt(1 - shared_misfit(quietest)))


def empty_frames(sample: SampledResiduals) -> BoolArray:
    """Frames in which no voxel has any signal `(time,)`."""
    return np.asarray((sample.signal == 0).all(axis=0))
