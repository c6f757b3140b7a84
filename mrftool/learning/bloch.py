"""The Bloch decoder: the EPG engine as a fixed, differentiable layer from tissue to fingerprint.

On the CPU the native kernel gives the signal and its derivatives in one pass, and backward is their product with the
incoming gradient: no tape of the train is kept. On CUDA the readable engine runs under autograd.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mrftool.physics.epg import epg_signal
from mrftool.physics.simulate import Parameter, fill_real_signal, has_real_signal, signal_and_derivatives
from mrftool.physics.truncation import n_states
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

TOLERANCE = 1e-3  # proven, of the norm of a fingerprint; what is left is some 1e-5, which no training step feels


def decode(sequence: PulseSequence, t1: Tensor, t2: Tensor, *, b1: Tensor | None = None, adc: float = 0.0) -> Tensor:
    """Fingerprints `(voxel, time)` complex64 of t1, t2 [s] and b1 [1], `(voxel,)`, for m0 = 1; differentiable in all.

    b1: 1 everywhere if None. adc: diffusion coefficient of all voxels [m2/s].
    """
    b1 = torch.ones_like(t1) if b1 is None else b1
    if t1.device.type == "cpu":
        wanted: tuple[Parameter, ...] = ("t1", "t2", "b1") if b1.requires_grad else ("t1", "t2")
        if not (torch.is_grad_enabled() and any(x.requires_grad for x in (t1, t2, b1))):
            wanted = ()
        signal: Tensor = _Fused.apply(sequence, adc, wanted, t1, t2, b1)  # type: ignore[no-untyped-call]
        return signal
    times = [x.detach().double().cpu().numpy() for x in (t1, t2)]
    orders = int(n_states(sequence, *times, tolerance=TOLERANCE).max())
    slow: Tensor = epg_signal(sequence, t1, t2, b1=b1, adc=adc, n_states=orders)
    return slow


class _Fused(torch.autograd.Function):
    """Signal and slopes in one pass; the slopes are all that backward needs."""

    @staticmethod
    def forward(ctx: Any, sequence: PulseSequence, adc: float, wanted: tuple[Parameter, ...], *times: Tensor) -> Tensor:
        t1, t2, b1 = (x.detach().double().numpy() for x in times)
        tissue = Tissue(t1, t2, b1=b1, adc=np.full(len(t1), adc))
        ctx.is_real = has_real_signal(sequence, tissue)
        signal, slopes = (_real if ctx.is_real else _complex)(sequence, tissue, wanted)
        ctx.save_for_backward(slopes)
        return signal

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Change of the loss = Re(conj(gradient) x change of the signal); slopes of -i x are real numbers x."""
        (slopes,) = ctx.saved_tensors
        if ctx.is_real:
            products = -torch.einsum("vt,pvt->pv", gradient.imag, slopes)
        else:
            products = torch.einsum("vt,pvt->pv", gradient.conj(), slopes).real
        return (None, None, None, products[0], products[1], products[2] if len(products) > 2 else None)


def _real(sequence: PulseSequence, tissue: Tissue, wanted: tuple[Parameter, ...]) -> tuple[Tensor, Tensor]:
    """The signal, and its slopes without the factor -i `(parameter, voxel, time)` float32."""
    signal = torch.zeros(len(tissue), len(sequence), dtype=torch.complex64)
    imaginary, slopes = torch.empty(signal.shape), torch.empty(len(wanted), *signal.shape)
    rows: dict[str, Any] = {name: slope.numpy() for name, slope in zip(wanted, slopes, strict=True)}
    fill_real_signal(sequence, tissue, imaginary.numpy(), rows, tolerance=TOLERANCE)
    torch.neg(imaginary, out=signal.imag)
    return signal, slopes


def _complex(sequence: PulseSequence, tissue: Tissue, wanted: tuple[Parameter, ...]) -> tuple[Tensor, Tensor]:
    """The signal, and its slopes `(parameter, voxel, time)` complex64."""
    signal, slopes = signal_and_derivatives(sequence, tissue, with_respect_to=wanted, tolerance=TOLERANCE)
    return torch.from_numpy(signal), torch.from_numpy(slopes)
