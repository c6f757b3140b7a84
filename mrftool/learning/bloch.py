"""The Bloch decoder: the EPG engine as a fixed, differentiable layer from tissue to fingerprint.

On the CPU the native kernel gives the signal and its derivatives in one pass, and backward is their product with the
incoming gradient: no tape of the train is kept. On CUDA the readable engine runs under autograd.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mrftool.physics.epg import epg_signal
from mrftool.physics.simulate import Parameter, signal_and_derivatives
from mrftool.physics.truncation import n_states
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

TOLERANCE = 1e-4  # of the norm of a fingerprint: far below what a training step can feel


def decode(sequence: PulseSequence, t1: Tensor, t2: Tensor, *, b1: Tensor, adc: float = 0.0) -> Tensor:
    """Fingerprints `(voxel, time)` complex64 of t1, t2 [s] and b1 [1], `(voxel,)`, for m0 = 1; differentiable in all.

    adc: diffusion coefficient of all voxels [m2/s].
    """
    if t1.device.type == "cpu":
        signal: Tensor = _Fused.apply(sequence, adc, t1, t2, b1)  # type: ignore[no-untyped-call]
        return signal
    times = [x.detach().double().cpu().numpy() for x in (t1, t2)]
    orders = int(n_states(sequence, *times, tolerance=TOLERANCE).max())
    tape: Tensor = epg_signal(sequence, t1, t2, b1=b1, adc=adc, n_states=orders)
    return tape


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, sequence: PulseSequence, adc: float, t1: Tensor, t2: Tensor, b1: Tensor) -> Any:
        columns = [x.detach().double().numpy() for x in (t1, t2, b1)]
        tissue = Tissue(columns[0], columns[1], b1=columns[2], adc=np.full(len(t1), adc))
        wanted: tuple[Parameter, ...] = ("t1", "t2", "b1") if b1.requires_grad else ("t1", "t2")
        signal, slopes = signal_and_derivatives(sequence, tissue, with_respect_to=wanted, tolerance=TOLERANCE)
        ctx.save_for_backward(torch.from_numpy(slopes))
        return torch.from_numpy(signal)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (slopes,) = ctx.saved_tensors
        products = (gradient.conj() * slopes).real.sum(dim=-1)
        return (None, None, products[0], products[1], products[2] if len(products) > 2 else None)
