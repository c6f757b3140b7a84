"""The Cramer-Rao bound: the smallest standard deviation that any unbiased estimate of T1 and T2 can
have.

Unknowns: T1, T2 and m0 (complex; real for magnitudes). B1, diffusion and off-resonance are known.

Sources: S. M. Kay, Fundamentals of Statistical Signal Processing: Estimation Theory (1993), ch. 3
and 15 (Gaussian noise).
H. Gudbjartsson and S. Patz, Magn Reson Med 34:910 (1995), doi 10.1002/mrm.1910340618 (Rice
distribution of magnitudes).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from mrftool.arrays import Array, ComplexArray, FloatArray, Progress
from mrftool.errors import ArgumentError
from mrftool.physics.noise import level_of
from mrftool.physics.simulate import signal_and_derivatives
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

Form = Literal["complex", "magnitude"]

_BLOCK = 1024
_STRONG = 20.0  # above this ratio of signal to noise the series for strong signals holds to 1e-5
# Share of the energy of a derivative that is rounding, where M0 or another parameter explains the
# rest.
_SMALLEST = 1e-13


@dataclass(frozen=True)
class Bound:
    """Smallest standard deviations of T1 and T2 [s] `(voxel,)`; inf where the sequence does not
    determine them.
    """

    sd_t1: FloatArray
    sd_t2: FloatArray


def cramer_rao(
    sequence: PulseSequence,
    tissue: Tissue,
    snr: ArrayLike | None = None,
    *,
    noise_sd: ArrayLike | None = None,
    form: Form = "complex",
    progress: Progress | None = None,
) -> Bound:
    """Bound for each voxel of `tissue`, for noise given in one of two ways, `(voxel,)` or a number.

    snr: rms of the fingerprint / noise sd per channel [1]. noise_sd: standard deviation per channel
    [the unit of m0].
    progress: called with the number of voxels done since the last call.

    Raises ArgumentError for noise that is not more than 0, or not given in exactly one way.
    """
    if (snr is None) == (noise_sd is None):
        raise ArgumentError("expected an SNR or a noise level, and one of them only")
    given = noise_sd if snr is None else snr
    noise = np.broadcast_to(np.asarray(given, np.float64), (len(tissue),))
    if not (noise > 0).all():
        raise ArgumentError(
            f"{'noise' if snr is None else 'SNR'} {noise.min():g}, expected more than 0"
        )
    parts = []
    for block, signal, slopes in signal_blocks(sequence, tissue, progress=progress):
        sd = noise[block] if snr is None else level_of(signal) / noise[block]
        parts.append(bound_of_signals(signal, slopes, sd, form=form))
    return Bound(*np.concatenate(parts).T) if parts else Bound(np.zeros(0), np.zeros(0))


def signal_blocks(
    sequence: PulseSequence, tissue: Tissue, *, progress: Progress | None = None
) -> Iterator[tuple[slice, ComplexArray, ComplexArray]]:
    """Block by block: its voxels, their signals `(voxel, time)` [m0], and the derivatives by T1 and
    T2 [m0/s].
    """
    for start in range(0, len(tissue), _BLOCK):
        block = slice(start, min(start + _BLOCK, len(tissue)))
        signal, slopes = signal_and_derivatives(sequence, tissue[block], progress=progress)
        yield block, signal, slopes


def bound_of_signals(
    signal: Any, slopes: Any, noise_sd: ArrayLike, *, form: Form = "complex"
) -> FloatArray:
    """Bound of any parameters, m0 unknown beside them.

    Parameters
    ----------
    signal
        Complex signals `(voxel, time)`.
    slopes
        Their derivatives by each parameter `(parameter, voxel, time)` [1/unit].
    noise_sd
        Of each channel `(voxel,)`, in the unit of the signal.
    form
        "complex", or "magnitude" for magnitudes of noisy signals.

    Returns
    -------
    FloatArray
        Smallest standard deviations `(voxel, parameter)` [unit]; inf where not determined.

    Raises
    ------
    ArgumentError
        If `form` is another one.
    """
    if form not in get_args(Form):
        raise ArgumentError(f"form {form!r}, expected 'complex' or 'magnitude'")
    noise = np.asarray(noise_sd, np.float64)
    parts = [np.zeros((0, len(slopes)))]
    for start in range(0, len(signal), _BLOCK):  # bounds the memory
        block = slice(start, start + _BLOCK)
        parts.append(_bound(signal[block], slopes[:, block], noise[block, None], form))
    return np.concatenate(parts)


def _bound(signal: Any, slopes: Any, noise: FloatArray, form: Form) -> FloatArray:
    signal, slopes = np.asarray(signal, np.complex128), np.asarray(slopes, np.complex128)
    if form == "magnitude":
        size = np.abs(signal)
        slopes = (np.conj(signal) * slopes).real / np.maximum(size, 1e-300)
        weight = np.sqrt(rician_information(size / noise))
        signal, slopes = size * weight, slopes * weight
    return noise * np.sqrt(_variances(information(signal, slopes)))


def information(signal: Array, slopes: Array) -> FloatArray:
    """Fisher information about parameters `(voxel, parameter, parameter)` for noise of variance 1,
    from signals `(voxel, time)` and their derivatives `(parameter, voxel, time)`.

    m0 scales the signal (and turns it, where it is complex): only what is left of the derivatives
    beside the signal counts. What is rounding counts as 0.
    """
    unit = signal / np.maximum(np.linalg.norm(signal, axis=1, keepdims=True), 1e-300)
    along = unit.conj()
    left = [slope - unit * np.einsum("vt,vt->v", along, slope)[:, None] for slope in slopes]
    matrix = np.empty((len(signal), len(slopes), len(slopes)))
    for j, one in enumerate(left):
        for k, other in enumerate(left[: j + 1]):
            matrix[:, j, k] = matrix[:, k, j] = _real_products(one, other)
        is_rounding = matrix[:, j, j] <= _SMALLEST * _real_products(slopes[j], slopes[j])
        matrix[:, j, j] = np.where(is_rounding, 0.0, matrix[:, j, j])
    return matrix


def _real_products(a: Array, b: Array) -> FloatArray:
    """Real parts of the inner products over time of rows of one type `(voxel,)`."""
    values = [np.ascontiguousarray(rows).view(rows.real.dtype) for rows in (a, b)]
    return np.asarray(np.einsum("vt,vt->v", *values))


def _variances(matrix: FloatArray) -> FloatArray:
    """Diagonal of the inverse `(voxel, parameter)` of information; inf where the other parameters
    explain all of one.
    """
    n = matrix.shape[1]
    variances = np.full(matrix.shape[:2], np.inf)
    for k in range(n):
        left = matrix.copy()
        for j in range(n):
            if j != k:
                pivot = left[:, j, j, None, None]
                product = left[:, :, j, None] * left[:, None, j]
                left -= np.divide(product, pivot, out=np.zeros_like(left), where=pivot > 0)
        own = left[:, k, k]
        determined = own > _SMALLEST * matrix[:, k, k]
        variances[:, k] = np.divide(1, own, out=variances[:, k], where=determined)
    return variances


def rician_information(ratio: FloatArray) -> FloatArray:
    """Fisher information of one magnitude sample about the true amplitude A, times the noise
    variance [1].

    ratio: A / noise sd. The score of the Rice distribution is y I1(y A) / I0(y A) - A, for noise of
    sd 1.
    """
    nodes, values = _rician_table()
    strong = 1 - 0.5 / np.maximum(ratio, 1.0) ** 2
    return np.where(ratio > _STRONG, strong, np.interp(ratio, nodes, values))


@lru_cache(maxsize=1)
def _rician_table() -> tuple[FloatArray, FloatArray]:
    from scipy.special import ive  # heavy

    nodes = np.linspace(0, _STRONG, 801)
    y = np.maximum(nodes[:, None], 0) + np.linspace(-10, 12, 2201)
    y = np.where(y > 0, y, 0)
    bessel_0, bessel_1 = ive(0, y * nodes[:, None]), ive(1, y * nodes[:, None])
    density = y * np.exp(-((y - nodes[:, None]) ** 2) / 2) * bessel_0
    score = y * bessel_1 / bessel_0 - nodes[:, None]
    return nodes, np.trapezoid(density * score**2, y, axis=1)
