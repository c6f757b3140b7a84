"""The Bloch decoder: the EPG engine as a fixed, differentiable layer from tissue to fingerprint.

On the CPU the native kernel gives the signal and its derivatives in one pass, and backward is their
product with the
incoming gradient: no tape of the train is kept. On CUDA the readable engine runs under autograd.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mrftool.arrays import FloatArray, IndexArray
from mrftool.manifold.compression import Basis
from mrftool.physics.epg import epg_signal
from mrftool.physics.simulate import (
    Parameter,
    fill_real_signal,
    has_real_signal,
    signal_and_derivatives,
)
from mrftool.physics.truncation import n_states
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

TOLERANCE = 1e-3  # proven, of the norm of a fingerprint; what is left is some 1e-5, which no training step feels
# Not proven, but found by trial on the paper's grid: at T2 = 2 s what is left of the signal is
# 4e-4, of its derivatives 1 percent; at T2 below 1 s, 1e-5 and 2e-4. The bound asks for three times
# as many.
MOST_ORDERS = 160


def decode(
    sequence: PulseSequence,
    t1: Tensor,
    t2: Tensor,
    *,
    b1: Tensor | None = None,
    adc: float = 0.0,
    basis: Basis | None = None,
) -> Tensor:
    """Fingerprints `(voxel, time)` complex64 of t1, t2 [s] and b1 [1], `(voxel,)`, for m0 = 1;
    differentiable in all.

    b1: 1 everywhere if None. adc: diffusion coefficient of all voxels [m2/s].
    basis: compress at once, signal and derivatives: `(voxel, rank)`, float32 where the basis is
    real.
    """
    b1 = torch.ones_like(t1) if b1 is None else b1
    if t1.device.type == "cpu":
        wanted: tuple[Parameter, ...] = ("t1", "t2", "b1") if b1.requires_grad else ("t1", "t2")
        if not (torch.is_grad_enabled() and any(x.requires_grad for x in (t1, t2, b1))):
            wanted = ()
        signal: Tensor = _Fused.apply(sequence, adc, wanted, basis, t1, t2, b1)  # type: ignore[no-untyped-call]
        return signal
    times = [x.detach().double().cpu().numpy() for x in (t1, t2)]
    slow: Tensor = epg_signal(
        sequence, t1, t2, b1=b1, adc=adc, n_states=int(_orders(sequence, *times).max())
    )
    return slow if basis is None else _compressed(basis, slow, is_turned=False)


class _Fused(torch.autograd.Function):
    """Signal and slopes in one pass; the slopes are all that backward needs."""

    @staticmethod
    def forward(
        ctx: Any,
        sequence: PulseSequence,
        adc: float,
        wanted: tuple[Parameter, ...],
        basis: Basis | None,
        *times: Tensor,
    ) -> Tensor:
        t1, t2, b1 = (x.detach().double().numpy() for x in times)
        tissue = Tissue(t1, t2, b1=b1, adc=np.full(len(t1), adc))
        is_turned = has_real_signal(sequence, tissue)
        signal, slopes = (_real if is_turned else _complex)(sequence, tissue, wanted)
        ctx.is_turned = is_turned and basis is None
        if basis is not None:
            signal, slopes = (_compressed(basis, x, is_turned=is_turned) for x in (signal, slopes))
        elif is_turned:
            signal = torch.complex(torch.zeros_like(signal), -signal)
        ctx.save_for_backward(slopes)
        return signal

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Change of the loss = Re(conj(gradient) x change of the signal); slopes of -i x are real
        numbers x.
        """
        (slopes,) = ctx.saved_tensors
        if ctx.is_turned:
            products = -torch.einsum("vt,pvt->pv", gradient.imag, slopes)
        else:
            products = torch.einsum("vt,pvt->pv", gradient.conj(), slopes).real
        by_b1 = products[2] if len(products) > 2 else None
        return (None, None, None, None, products[0], products[1], by_b1)


def _compressed(basis: Basis, signal: Tensor, *, is_turned: bool) -> Tensor:
    """Coefficients `(..., rank)` of `signal` `(..., time)`. is_turned: it stands for -i x itself."""
    weights = torch.from_numpy(basis.vectors.conj() * (-1j if is_turned else 1)).to(
        signal.device, torch.complex64
    )
    if not basis.is_real:
        return signal.to(torch.complex64) @ weights
    if is_turned:
        return signal @ weights.real.contiguous()
    return (signal @ weights).real


def _orders(sequence: PulseSequence, t1: FloatArray, t2: FloatArray) -> IndexArray:
    if sequence.spoiling == "none":
        return np.ones(len(t1), np.int64)
    return np.minimum(
        n_states(sequence, t1, t2, tolerance=TOLERANCE, with_derivative=True), MOST_ORDERS
    )


def _real(
    sequence: PulseSequence, tissue: Tissue, wanted: tuple[Parameter, ...]
) -> tuple[Tensor, Tensor]:
    """The signal and its slopes without the factor -i, `(voxel, time)` and `(parameter, voxel,
    time)` float32.
    """
    signal = torch.empty(len(tissue), len(sequence))
    slopes = torch.empty(len(wanted), *signal.shape)
    rows: dict[str, Any] = {name: slope.numpy() for name, slope in zip(wanted, slopes, strict=True)}
    fill_real_signal(
        sequence, tissue, signal.numpy(), rows, n_states=_orders(sequence, tissue.t1, tissue.t2)
    )
    return signal, slopes


def _complex(
    sequence: PulseSequence, tissue: Tissue, wanted: tuple[Parameter, ...]
) -> tuple[Tensor, Tensor]:
    """The signal, and its slopes `(parameter, voxel, time)` complex64."""
    signal, slopes = signal_and_derivatives(
        sequence, tissue, with_respect_to=wanted, tolerance=TOLERANCE
    )
    return torch.from_numpy(signal), torch.from_numpy(slopes)
