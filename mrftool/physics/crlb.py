"""The Cramer-Rao bound: the smallest standard deviation that any unbiased estimate of T1 and T2 can have.

Unknowns: T1, T2 and m0 (complex; real for magnitudes). B1, diffusion and off-resonance are known.

Sources: S. M. Kay, Fundamentals of Statistical Signal Processing: Estimation Theory (1993), ch. 3 and 15 (Gaussian
noise).
H. Gudbjartsson and S. Patz, Magn Reson Med 34:910 (1995), doi 10.1002/mrm.1910340618 (Rice distribution of magnitudes).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mrftool.errors import UsageError
from mrftool.physics.simulate import signal_and_derivatives
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

Floats = NDArray[np.float64]
Form = Literal["complex", "magnitude"]

_BLOCK = 1024
_STRONG = 20.0  # above this ratio of signal to noise the series for strong signals holds to 1e-5
_SMALLEST = 1e-14  # relative determinant below which the information is singular


@dataclass(frozen=True)
class Bound:
    """Smallest standard deviations of T1 and T2 [s] `(voxel,)`; inf where the sequence does not determine them."""

    sd_t1: Floats
    sd_t2: Floats


def cramer_rao(sequence: PulseSequence, tissue: Tissue, snr: ArrayLike, *, form: Form = "complex") -> Bound:
    """Bound for each voxel of `tissue` at `snr` `(voxel,)` or a number: rms of the fingerprint / noise sd per channel.

    Raises UsageError for an SNR of 0 or less.
    """
    snr = np.broadcast_to(np.asarray(snr, np.float64), (len(tissue),))
    if not (snr > 0).all():
        raise UsageError(f"SNR {snr.min():g}, expected more than 0")
    parts = []
    for start in range(0, len(tissue), _BLOCK):
        block = slice(start, start + _BLOCK)
        signal, slopes = signal_and_derivatives(sequence, tissue[block])
        rms = np.sqrt(np.mean(np.abs(signal).astype(np.float64) ** 2, axis=1))
        parts.append(bound_of_signals(signal, slopes, rms / snr[block], form=form))
    return Bound(*np.concatenate(parts).T) if parts else Bound(np.zeros(0), np.zeros(0))


def bound_of_signals(signal: Any, slopes: Any, noise_sd: ArrayLike, *, form: Form = "complex") -> Floats:
    """Bound `(voxel, 2)` of T1 and T2 [s] from complex signals `(voxel, time)`, their derivatives by T1 and T2
    `(2, voxel, time)` [1/s] and the noise `(voxel,)` of each channel, all in one unit.
    """
    signal, slopes = np.asarray(signal, np.complex128), np.asarray(slopes, np.complex128)
    noise = np.asarray(noise_sd, np.float64)[:, None]
    if form == "magnitude":
        size = np.abs(signal)
        slopes = (np.conj(signal) * slopes).real / np.maximum(size, 1e-300)
        weight = np.sqrt(rician_information(size / noise))
        signal, slopes = size * weight, slopes * weight
    # m0 scales the signal (and turns it, where it is complex): what is left of the slopes beside it tells T1 and T2
    unit = signal / np.maximum(np.linalg.norm(signal, axis=1, keepdims=True), 1e-300)
    a, b = (slope - unit * (np.conj(unit) * slope).sum(axis=1, keepdims=True) for slope in slopes)
    aa, bb, ab = (abs(a) ** 2).sum(axis=1), (abs(b) ** 2).sum(axis=1), (np.conj(a) * b).real.sum(axis=1)
    determinant = aa * bb - ab**2
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.stack([bb, aa], axis=1) / np.where(determinant > _SMALLEST * aa * bb, determinant, 0.0)[:, None]
    return np.asarray(np.where(np.isfinite(variance), noise * np.sqrt(np.abs(variance)), np.inf))


def rician_information(ratio: Floats) -> Floats:
    """Fisher information of one magnitude sample about the true amplitude A, times the noise variance [1].

    ratio: A / noise sd. The score of the Rice distribution is y I1(y A) / I0(y A) - A, for noise of sd 1.
    """
    nodes, values = _rician_table()
    strong = 1 - 0.5 / np.maximum(ratio, 1.0) ** 2
    return np.where(ratio > _STRONG, strong, np.interp(ratio, nodes, values))


@lru_cache(maxsize=1)
def _rician_table() -> tuple[Floats, Floats]:
    from scipy.special import ive  # heavy

    nodes = np.linspace(0, _STRONG, 801)
    y = np.maximum(nodes[:, None], 0) + np.linspace(-10, 12, 2201)
    y = np.where(y > 0, y, 0)
    bessel_0, bessel_1 = ive(0, y * nodes[:, None]), ive(1, y * nodes[:, None])
    density = y * np.exp(-((y - nodes[:, None]) ** 2) / 2) * bessel_0
    score = y * bessel_1 / bessel_0 - nodes[:, None]
    return nodes, np.trapezoid(density * score**2, y, axis=1)
