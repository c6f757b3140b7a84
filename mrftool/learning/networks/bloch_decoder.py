"""The Bloch decoder: the EPG engine as a fixed, differentiable layer from tissue to fingerprint.

The native kernel on the CPU, and that of Triton on CUDA, give the signal and its derivatives in one
pass, and backward is their product with the incoming gradient, so that no intermediate state is
stored. Where no kernel serves on CUDA, the readable engine runs there under autograd.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mrftool.arrays import FloatArray, IndexArray
from mrftool.learning.networks import device_engine
from mrftool.manifold.compression import Basis
from mrftool.manifold.parameters import FITTED
from mrftool.physics.epg import epg_signal, exact_n_states
from mrftool.physics.orders.truncation import n_states
from mrftool.physics.simulate import (
    Parameter,
    fill_real_signal,
    has_real_signal,
    signal_and_derivatives,
)
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
    wanted = _wanted_derivatives(columns)
    is_kernel_there = t1.device.type == "cpu"
    if set(columns) <= {"t1", "t2", "b1"} and set(wanted) <= {"t1", "t2"}:
        is_kernel_there |= device_engine.serves(sequence, t1.device, adc)
    if is_kernel_there:
        names, values = tuple(columns), columns.values()
        signal: Tensor = _KernelDecoder.apply(sequence, adc, wanted, basis, names, *values)  # type: ignore[no-untyped-call]
        return signal
    whole: Tensor = epg_signal(sequence, **columns, adc=adc, n_states=_most_orders(sequence))
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


class _KernelDecoder(torch.autograd.Function):
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
        columns = dict(zip(names, values, strict=True))
        ctx.names, ctx.wanted = names, wanted
        # A signal with one phase, -i, is simulated as the real number x of -i x.
        if device_engine.serves(sequence, values[0].device, adc):
            is_turned = True
            signal, derivatives = _simulate_on_device(sequence, columns, wanted)
        else:
            tissue = _tissue(columns, adc)
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
    matrix = _compression_matrix(basis, signal.device, is_turned=is_turned)
    if not basis.is_real:
        return signal.to(torch.complex64) @ matrix
    if is_turned:
        return signal @ matrix.real.contiguous()
    return (signal @ matrix).real


@lru_cache(maxsize=8)
def _compression_matrix(basis: Basis, device: torch.device, *, is_turned: bool) -> Tensor:
    weights = basis.vectors.conj()
    if is_turned:
        weights = -1j * weights
    return torch.from_numpy(weights).to(device, torch.complex64)


def _tissue(columns: dict[str, Tensor], adc: float) -> Tissue:
    """The tissue of `columns` [s, 1], all of one adc [m2/s]."""
    arrays: dict[str, Any] = {}
    for name, column in columns.items():
        arrays[name] = column.detach().double().numpy()
    return Tissue.of_estimates(**arrays, adc=np.full(len(arrays["t1"]), adc))


def _most_orders(sequence: PulseSequence) -> int:
    """Orders that all voxels are simulated with on CUDA, so that no value has to come back."""
    return min(exact_n_states(sequence), MAX_ORDERS)


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


def _simulate_on_device(
    sequence: PulseSequence, columns: dict[str, Tensor], wanted: tuple[Parameter, ...]
) -> tuple[Tensor, Tensor]:
    """As `_simulate_real`, without leaving the device of the columns [s, 1]."""
    return device_engine.simulate_on_device(
        sequence,
        columns["t1"],
        columns["t2"],
        columns.get("b1"),
        orders=_most_orders(sequence),
        with_derivatives=bool(wanted),
    )


def _simulate_complex(
    sequence: PulseSequence, tissue: Tissue, wanted: tuple[Parameter, ...]
) -> tuple[Tensor, Tensor]:
    """Signal `(voxel, time)` and derivatives `(parameter, voxel, time)`, complex64."""
    signal, derivatives = signal_and_derivatives(
        sequence, tissue, with_respect_to=wanted, tolerance=TOLERANCE
    )
    return torch.from_numpy(signal), torch.from_numpy(derivatives)
