"""What a fit leaves of a scan: averaged over voxels, and in single ones.

Noise averages out over voxels; what is left in the same frame of all of them is an error of the
model, or frames that are lost, scaled or swapped. Each voxel by itself hides it in its noise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mrftool.arrays import Array, BoolArray, FloatArray, IndexArray
from mrftool.evaluation.given_values import SuspectedError, suspected_error
from mrftool.inference.assessment.frames import FrameFault, frame_residuals
from mrftool.inference.assessment.residuals import SampledResiduals
from mrftool.maps import Maps, with_signal
from mrftool.physics.noise import rician_moments
from mrftool.physics.simulate import simulate
from mrftool.scan.series import Series
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

_MOST_VOXELS = 4000
_LEAST_VOXELS = 20  # of a slice, to say anything of it
_ABOVE_NOISE, _ABOVE_OTHERS = 5.0, 6.0  # factors from which the residual of a frame stands out
_CERTAIN = 3.0  # standard deviations of the energy of noise
_CONSPICUOUS = 0.03  # residual of a frame below which it is never named [1]
_N_FITTED = 4  # T1, T2, and M0 with its phase
_COLUMNS = ("b1", "adc", "off_resonance")  # of the tissue, where they are known


@dataclass(frozen=True, eq=False)
class AverageResidual:
    """The residual of each frame, averaged over voxels.

    Parameters
    ----------
    size
        Its modulus, relative to the root mean square of the average signal `(time,)` [1].
    noise
        What noise alone leaves there, root mean square [1].
    n_voxels
        Number of voxels in the average.
    """

    size: FloatArray
    noise: float
    n_voxels: int

    @property
    def level(self) -> float:
        """Root mean square over the frames [1]."""
        return float(np.sqrt(np.mean(self.size**2)))

    @property
    def excess(self) -> float:
        """Root mean square over the frames that noise does not explain [1]."""
        certain = 1 + _CERTAIN * np.sqrt(2 / self.size.size)
        return float(np.sqrt(max(self.level**2 - self.noise**2 * certain, 0.0)))

    def conspicuous(self) -> IndexArray:
        """Frames whose residual stands out from noise and from most others, counted from 0."""
        limit = max(
            _ABOVE_NOISE * self.noise, _ABOVE_OTHERS * float(np.median(self.size)), _CONSPICUOUS
        )
        return np.flatnonzero(self.size > limit)


@dataclass(frozen=True, eq=False)
class VoxelFit:
    """The measured and the fitted fingerprint of a voxel, both real `(time,)` [scanner's unit].

    voxel: its indices. residual: norm of the difference / norm of the measured one [1].
    """

    voxel: tuple[int, int, int]
    measured: FloatArray
    fitted: FloatArray
    residual: float


@dataclass(frozen=True, eq=False)
class FitResiduals:
    """Of one slice of the scan.

    Parameters
    ----------
    slice_index
        Its index along the third axis.
    average
        Over its voxels.
    faults
        Frames that do not hold what the sequence says.
    typical, worst
        The voxel with the median residual, and that with the largest.
    suspected
        An error of a given value that would leave this residual, if one would.
    frames
        Index in the scan of each frame that was fitted `(time,)`; None where all were.
    """

    slice_index: int
    average: AverageResidual
    faults: tuple[FrameFault, ...]
    typical: VoxelFit
    worst: VoxelFit
    suspected: SuspectedError | None = None
    frames: IndexArray | None = None

    def conspicuous(self) -> list[int]:
        """Frames of the scan whose residual stands out, counted from 0."""
        found = self.average.conspicuous()
        if self.frames is not None:
            found = self.frames[found]
        return [int(frame) for frame in found]

    def over_frames(self, values: FloatArray) -> FloatArray:
        """Values of the fitted frames, over all frames up to the last one; those that were left out
        lie on a line between their neighbours.
        """
        if self.frames is None:
            return values
        return np.interp(np.arange(self.frames[-1] + 1), self.frames, values)


def fit_residuals(
    series: Series,
    maps: Maps,
    sequence: PulseSequence,
    given: Mapping[str, Array | float],
    stated: Mapping[str, float] | None = None,
) -> FitResiduals | None:
    """What the fit leaves in the slice with most signal; None where too few voxels hold any.

    Parameters
    ----------
    series
        The scan; one slice of it is read.
    maps
        What was fitted.
    sequence
        That the scan was fitted with, one repetition per frame.
    given
        What the fit took as known: images `(x, y, z)`, or numbers, of b1 [1], adc [m2/s] and
        off_resonance [Hz]. Maps of them take their place.
    stated
        Standard uncertainty of given values by name [SI unit]; typical ones of the others.
    """
    chosen = _chosen_voxels(maps)
    if np.count_nonzero(chosen) < _LEAST_VOXELS or series.n_time != len(sequence):
        return None
    parts = list(series.blocks(chosen))
    voxels = np.concatenate([part for part, _ in parts])
    signal = np.concatenate([rows for _, rows in parts])
    tissue = _tissue_at(voxels, maps, given)
    fitted, m0 = _fitted(signal, tissue, sequence)
    residuals = np.linalg.norm(signal - fitted, axis=1) / np.linalg.norm(signal, axis=1)
    order = np.argsort(residuals)
    middle, last = int(order[len(order) // 2]), int(order[-1])
    places = np.stack(np.unravel_index(voxels, maps.t1.shape), axis=1)
    return FitResiduals(
        slice_index=int(places[0, 2]),
        average=average_residual(signal, fitted, m0),
        faults=frame_residuals(_sample(signal, fitted, m0)).numbered(series.frames).faults,
        suspected=_suspected(signal, fitted, m0, tissue, sequence, stated, tuple(maps.extra)),
        typical=_voxel_fit(places[middle], signal[middle], fitted[middle]),
        worst=_voxel_fit(places[last], signal[last], fitted[last]),
        frames=series.frames,
    )


def average_residual(signal: Array, fitted: Array, m0: Array) -> AverageResidual:
    """The residual of each frame, averaged over voxels in the phase and the strength of their M0.

    Parameters
    ----------
    signal, fitted
        Measured and fitted fingerprints `(voxel, time)`, complex or real [scanner's unit].
    m0
        Of the fit `(voxel,)` [scanner's unit].
    """
    channels = 1 + int(np.iscomplexobj(signal))
    weights = np.conj(m0) / np.sum(np.abs(m0) ** 2)
    noise_sd = _noise_sd(signal, fitted)
    residual = signal - _expected(fitted, noise_sd)
    level = np.sqrt(np.mean(np.abs(weights @ fitted) ** 2))
    noise = np.sqrt(channels * np.sum(np.abs(weights * noise_sd) ** 2))
    return AverageResidual(
        size=np.abs(weights @ residual).astype(np.float64) / level,
        noise=float(noise / level),
        n_voxels=len(signal),
    )


def _noise_sd(signal: Array, fitted: Array) -> FloatArray:
    """Of each channel, if all of the residual is noise `(voxel,)` [scanner's unit]."""
    channels = 1 + int(np.iscomplexobj(signal))
    n_free = max(channels * signal.shape[1] - _N_FITTED, 1)
    return np.asarray(np.sqrt(np.sum(np.abs(signal - fitted) ** 2, axis=1) / n_free))


def _expected(fitted: Array, noise_sd: FloatArray) -> Array:
    """Mean of what is measured: of magnitudes, that of the distribution of Rice."""
    if np.iscomplexobj(fitted):
        return fitted
    level = np.maximum(noise_sd, 1e-9 * np.abs(fitted).max())[:, None]
    return np.asarray(level * rician_moments(fitted / level)[0])


def _suspected(
    signal: Array,
    fitted: Array,
    m0: Array,
    tissue: Tissue,
    sequence: PulseSequence,
    stated: Mapping[str, float] | None,
    known: tuple[str, ...],
) -> SuspectedError | None:
    noise_sd = np.maximum(_noise_sd(signal, fitted), 1e-6 * np.abs(fitted).max(axis=1))
    residual = signal - _expected(fitted, noise_sd)
    return suspected_error(residual, m0, noise_sd, tissue, sequence, stated=stated, fitted=known)


def _sample(signal: Array, fitted: Array, m0: Array) -> SampledResiduals:
    sd = np.sqrt(np.mean(np.abs(signal - fitted) ** 2, axis=1) / (1 + np.iscomplexobj(signal)))
    return SampledResiduals(signal, fitted, m0, np.maximum(sd, 1e-6 * np.abs(fitted).max(axis=1)))


def _chosen_voxels(maps: Maps) -> BoolArray:
    """Voxels with signal and estimates, in the slice with most of them, evenly spread."""
    good = with_signal(maps) & (maps.t1 > 0) & (maps.t2 > 0)
    chosen = np.zeros_like(good)
    where = int(good.sum(axis=(0, 1)).argmax())
    voxels = np.argwhere(good[:, :, where])
    kept = np.unique(np.linspace(0, len(voxels) - 1, min(len(voxels), _MOST_VOXELS)).astype(int))
    chosen[voxels[kept, 0], voxels[kept, 1], where] = True
    return chosen


def _tissue_at(voxels: IndexArray, maps: Maps, given: Mapping[str, Array | float]) -> Tissue:
    """What was fitted, and what was given, in some voxels."""
    images = {**given, **maps.extra}
    columns: dict[str, Any] = {"t1": maps.t1.reshape(-1)[voxels], "t2": maps.t2.reshape(-1)[voxels]}
    for name in _COLUMNS:
        if name in images:
            columns[name] = np.broadcast_to(images[name], maps.t1.shape).reshape(-1)[voxels]
    return Tissue(**columns)


def _fitted(signal: Array, tissue: Tissue, sequence: PulseSequence) -> tuple[Array, Array]:
    """Fingerprints of the estimates with the M0 that brings each closest to the signal, and M0."""
    shape: Array = simulate(sequence, tissue).signal
    if not np.iscomplexobj(signal):
        shape = np.abs(shape)
    power = np.sum(np.abs(shape) ** 2, axis=1)
    m0 = np.sum(np.conj(shape) * signal, axis=1) / power
    return np.asarray(m0[:, None] * shape), np.asarray(m0)


def _voxel_fit(place: IndexArray, signal: Array, fitted: Array) -> VoxelFit:
    """In the phase in which most of the fitted fingerprint is real."""
    phase = np.angle(np.sum(np.asarray(fitted, np.complex128) ** 2)) / 2
    turn = np.exp(-1j * phase)
    x, y, z = (int(index) for index in place)
    residual = float(np.linalg.norm(signal - fitted) / np.linalg.norm(signal))
    return VoxelFit((x, y, z), (signal * turn).real, (fitted * turn).real, residual)
