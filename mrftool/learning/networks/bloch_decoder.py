"""The Bloch decoder: the EPG engine as a fixed, differentiable layer from tissue to fingerprint.

On the CPU the native kernel gives the signal and its derivatives in one pass, and backward is their
product with the incoming gradient, so that no intermediate state is stored. On CUDA the readable
engine runs under autograd.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mrftool.arrays import FloatArray, IndexArray
from mrftool.manifold.compression import Basis
from mrftool.manifold.parameters import FITTED
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

# Proven bound of what the truncated orders leave out, relative to the norm of a fingerprint [1]. In
# fact it is some 1e-5, far below what a training step resolves.
TOLERANCE = 1e-3
# Largest number of orders, found by trial on the paper's grid: the bound of long T2 asks for three
# times as many. At T2 = 2 s, 4e-4 of the signal and 1 percent of its derivatives are left out;
# below T2 = 1 s, 1e-5 and 2e-4.
MAX_ORDERS = 160


def decode(
    sequence: PulseSequence,
    t1: Tensor,
    t2: Tensor,
    *,
    adc: float = 0.0,
    basis: Basis | None = None,
    **given: Tensor,
) -> Tensor:
    """Fingerprints of tissue with M0 = 1, differentiable in T1, T2 and the given parameters.

    States above order MAX_ORDERS are left out, which is felt at T2 above 1 s: `truncation_note`
    says where.

    Parameters
    ----------
    sequence
        The pulse sequence.
    t1, t2
        Relaxation times `(voxel,)` [s].
    adc
        Diffusion coefficient of all voxels [m2/s].
    basis
        Compress signal and derivatives with it.
    given
        Given parameters by name `(voxel,)`: b1, actual over nominal flip angle [1]. Those left out
        have their default.

    Returns
    -------
    Tensor
        `(voxel, time)` complex64; with a basis `(voxel, rank)`, float32 if the basis is real.
    """
    columns = {"t1": t1, "t2": t2} | given
    if t1.device.type == "cpu":
        wanted = _wanted_derivatives(columns)
        names, values = tuple(columns), columns.values()
        signal: Tensor = _NativeDecoder.apply(sequence, adc, wanted, basis, names, *values)  # type: ignore[no-untyped-call]
        return signal
    t1_values, t2_values = (x.detach().double().cpu().numpy() for x in (t1, t2))
    orders = int(_orders(sequence, t1_values, t2_values).max())
    whole: Tensor = epg_signal(sequence, **columns, adc=adc, n_states=orders)
    if basis is None:
        return whole
    return _compressed(basis, whole, is_turned=False)


def _wanted_derivatives(columns: dict[str, Tensor]) -> tuple[Parameter, ...]:
    """The parameters by which backward will need derivatives."""
    differentiated = [name for name, values in columns.items() if values.requires_grad]
    if not torch.is_grad_enabled() or not differentiated:
        return ()
    fitted = {parameter.name for parameter in FITTED}
    return tuple(name for name in columns if name in fitted.union(differentiated))  # type: ignore[misc]


class _NativeDecoder(torch.autograd.Function):
    """Signal and derivatives in one pass; the derivatives are all that backward needs."""

    @staticmethod
    def forward(
        ctx: Any,
        sequence: PulseSequence,
        adc: float,
        wanted: tuple[Parameter, ...],
        basis: Basis | None,
        names: tuple[str, ...],
        *values: Tensor,
    ) -> Tensor:
        columns: dict[str, Any] = {}
        for name, column in zip(names, values, strict=True):
            columns[name] = column.detach().double().numpy()
        tissue = Tissue.of_estimates(**columns, adc=np.full(len(values[0]), adc))
        ctx.names, ctx.wanted = names, wanted
        # A signal with one phase, -i, is simulated as the real number x of -i x.
        is_turned = has_real_signal(sequence, tissue)
        simulate = _simulate_complex
        if is_turned:
            simulate = _simulate_real
        signal, derivatives = simulate(sequence, tissue, wanted)
        ctx.is_turned = is_turned and basis is None
        if basis is not None:
            signal = _compressed(basis, signal, is_turned=is_turned)
            derivatives = _compressed(basis, derivatives, is_turned=is_turned)
        elif is_turned:
            signal = torch.complex(torch.zeros_like(signal), -signal)
        ctx.save_for_backward(derivatives)
        return signal

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Change of the loss = Re(conj(gradient) x change of the signal).

        Derivatives of a signal -i x are stored as those of the real numbers x.
        """
        (derivatives,) = ctx.saved_tensors
        if ctx.is_turned:
            products = -torch.einsum("vt,pvt->pv", gradient.imag, derivatives)
        else:
            products = torch.einsum("vt,pvt->pv", gradient.conj(), derivatives).real
        by_name = dict(zip(ctx.wanted, products, strict=True))
        return (None,) * 5 + tuple(by_name.get(name) for name in ctx.names)


def _compressed(basis: Basis, signal: Tensor, *, is_turned: bool) -> Tensor:
    """Coefficients `(..., rank)` of `signal` `(..., time)`.

    is_turned: the numbers x stand for a signal -i x.
    """
    weights = basis.vectors.conj()
    if is_turned:
        weights = -1j * weights
    matrix = torch.from_numpy(weights).to(signal.device, torch.complex64)
    if not basis.is_real:
        return signal.to(torch.complex64) @ matrix
    if is_turned:
        return signal @ matrix.real.contiguous()
    return (signal @ matrix).real


def _orders(sequence: PulseSequence, t1: FloatArray, t2: FloatArray) -> IndexArray:
    """Orders of the phase graph that each voxel is simulated with `(voxel,)`."""
    if sequence.spoiling == "none":
        return np.ones(len(t1), np.int64)
    needed = n_states(sequence, t1, t2, tolerance=TOLERANCE, with_derivative=True)
    return np.minimum(needed, MAX_ORDERS)


def truncation_note(sequence: PulseSequence, longest_t1: float, longest_t2: float) -> str | None:
    """What is lost where MAX_ORDERS is less than the proven bound asks for; None if it is enough.

    longest_t1, longest_t2: of the range that is trained for [s].
    """
    if sequence.spoiling == "none":
        return None
    needed = n_states(
        sequence,
        np.array([longest_t1]),
        np.array([longest_t2]),
        tolerance=TOLERANCE,
        with_derivative=True,
    )
    if needed[0] <= MAX_ORDERS:
        return None
    return (
        f"the Bloch decoder of {sequence.name} keeps {MAX_ORDERS} orders of the phase graph, where "
        f"T2 = {longest_t2:g} s may need {needed[0]}: its signals and derivatives are "
        f"approximate there"
    )


def _simulate_real(
    sequence: PulseSequence, tissue: Tissue, wanted: tuple[Parameter, ...]
) -> tuple[Tensor, Tensor]:
    """Signal `(voxel, time)` and derivatives `(parameter, voxel, time)`, float32, of x in -i x."""
    signal = torch.empty(len(tissue), len(sequence))
    derivatives = torch.empty(len(wanted), *signal.shape)
    rows: dict[str, Any] = dict(zip(wanted, derivatives.numpy(), strict=True))
    orders = _orders(sequence, tissue.t1, tissue.t2)
    fill_real_signal(sequence, tissue, signal.numpy(), rows, n_states=orders)
    return signal, derivatives


def _simulate_complex(
    sequence: PulseSequence, tissue: Tissue, wanted: tuple[Parameter, ...]
) -> tuple[Tensor, Tensor]:
    """Signal `(voxel, time)` and derivatives `(parameter, voxel, time)`, complex64."""
    signal, derivatives = signal_and_derivatives(
        sequence, tissue, with_respect_to=wanted, tolerance=TOLERANCE
    )
    return torch.from_numpy(signal), torch.from_numpy(derivatives)
