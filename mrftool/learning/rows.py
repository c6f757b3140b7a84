"""From noisy fingerprints to the rows that an encoder sees: compressed, phase-aligned, of unit norm."""

import torch
from torch import Tensor


def feature_rows(coefficients: Tensor) -> Tensor:
    """Compressed coefficients `(voxel, rank)` to rows of unit norm.

    Complex: turned so that the first coefficient is real and positive, then `(voxel, 2 rank)`: real parts, imaginary
    parts. Real (magnitude form): `(voxel, rank)`.
    """
    if coefficients.is_complex():
        first = coefficients[:, :1]
        turned = coefficients * (first.conj() / first.abs().clamp_min(1e-30))
        rows = torch.cat([turned.real, turned.imag], dim=1)
    else:
        rows = coefficients
    unit: Tensor = rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-30)
    return unit


def fingerprint_rows(signal: Tensor, reference: Tensor) -> Tensor:
    """Signals `(voxel, time)` to rows `(voxel, time)` of unit norm.

    Complex: the real part after turning the inner product with `reference` `(time,)` real and positive. The norm is
    that of the complex signal. Real: as it is.
    """
    norm = torch.linalg.vector_norm(signal, dim=1, keepdim=True).clamp_min(1e-30)
    if signal.is_complex():
        inner = (signal @ reference.conj())[:, None]
        signal = (signal * (inner.conj() / inner.abs().clamp_min(1e-30))).real
    unit: Tensor = signal / norm
    return unit
