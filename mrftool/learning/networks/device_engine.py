"""The EPG engine on a CUDA device, by a Triton kernel that keeps all states in registers.

It serves where Triton is installed (torch brings it on Linux), for signals that are -i m0 times
real numbers, without diffusion, of sequences whose frames are single echoes and whose spoilers are
alike; elsewhere the readable engine runs under autograd.
"""

import os
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

from mrftool.arrays import Array
from mrftool.physics.kernel import receiver_signs, stays_real
from mrftool.physics.rf.excitation import slice_positions
from mrftool.sequence import (
    Invert,
    Preparation,
    Pulses,
    PulseSequence,
    Saturate,
    SelectivePulse,
    T2Prep,
    Wait,
)

# Of one program. On an H100 a warp with one order in each lane is fastest, see
# benchmarks/training_gpu.py.
_VOXELS, _WARPS = 8, 1
_LANES = 32


@dataclass(frozen=True)
class Tiling:
    """How the work is laid out: voxels of one program, and the warps that share them."""

    voxels: int = _VOXELS
    warps: int = _WARPS


@dataclass(frozen=True)
class _Program:
    """A sequence as the kernel reads it, see `_triton_epg`; weight: of this slice position."""

    blocks: Tensor
    windows: Tensor
    pulses: Tensor
    weight: float
    has_one_time: bool


def serves(sequence: PulseSequence, device: torch.device, adc: float) -> bool:
    """Whether the kernel can simulate `sequence` there; adc [m2/s]."""
    is_there = device.type == "cuda" or os.environ.get("TRITON_INTERPRET") == "1"
    is_usual = sequence.is_plain and sequence.spoiler_cycles is None
    is_selective = isinstance(sequence.slice_profile, SelectivePulse)
    plays = adc == 0 and is_usual and not is_selective and stays_real(sequence)
    return is_there and plays and find_spec("triton") is not None


def simulate_on_device(
    sequence: PulseSequence,
    t1: Tensor,
    t2: Tensor,
    b1: Tensor | None,
    *,
    orders: int,
    with_derivatives: bool,
    tiling: Tiling | None = None,
) -> tuple[Tensor, Tensor]:
    """The numbers x of signals -i x of m0 = 1, and their derivatives by T1 and T2.

    Parameters
    ----------
    sequence
        One that `serves`.
    t1, t2
        `(voxel,)` [s].
    b1
        Actual over nominal flip angle `(voxel,)` [1]; None: 1.
    orders
        Orders 0 .. orders-1 are kept [1].
    with_derivatives
        Whether the derivatives are wanted; else there are none `(0, voxel, time)`.
    tiling
        How the work is laid out; None: as the number of orders asks for.

    Returns
    -------
    tuple of Tensor
        x `(voxel, time)` [m0] and derivatives `(2, voxel, time)` [m0/s], float32.
    """
    columns = [column.detach().float().contiguous() for column in (t1, t2)]
    columns.append(columns[0])
    if b1 is not None:
        columns[2] = b1.detach().float().contiguous()
    n_rows = 1 + 2 * with_derivatives
    total = torch.zeros(n_rows, len(sequence), len(t1), device=t1.device)
    for program in _programs(sequence, t1.device):
        rows = torch.empty_like(total)
        _launch(program, columns, rows, orders, b1 is None, tiling)
        total.add_(rows, alpha=program.weight)
    by_voxel = total.transpose(1, 2)
    return by_voxel[0], by_voxel[1:]


def _launch(
    program: _Program,
    columns: list[Tensor],
    rows: Tensor,
    orders: int,
    is_nominal: bool,
    tiling: Tiling | None,
) -> None:
    import triton

    from mrftool.learning.networks._triton_epg import epg_kernel

    n_voxels = rows.shape[2]
    width = max(triton.next_power_of_2(orders), 2)
    if tiling is None:
        tiling = Tiling(max(_VOXELS * _LANES // width, 1))
    grid = (triton.cdiv(n_voxels, tiling.voxels),)
    signal, *slopes = rows
    epg_kernel[grid](
        signal,
        *(slopes or (signal, signal)),  # which are not written to
        *columns,
        program.blocks,
        program.windows,
        program.pulses,
        n_voxels,
        program.blocks.shape[1],
        program.pulses.shape[1],
        orders,
        VOXELS=tiling.voxels,
        ORDERS=width,
        WITH_DERIVATIVES=len(rows) > 1,
        IS_NOMINAL=is_nominal,
        HAS_ONE_TIME=program.has_one_time,
        num_warps=tiling.warps,
    )


@lru_cache(maxsize=16)
def _programs(sequence: PulseSequence, device: torch.device) -> list[_Program]:
    """What the kernel plays, for each position in the slice."""
    blocks, windows = _blocks(sequence)
    signs = receiver_signs(sequence)
    has_one_time = np.ptp(sequence.te) == 0 and np.ptp(sequence.tr) == 0
    programs = []
    for factor, weight in slice_positions(sequence):
        flip = sequence.flip_angle * signs * factor
        pulses = np.stack([flip, np.cos(flip), np.sin(flip), signs, sequence.te, sequence.tr])
        program = _Program(
            _tensor(blocks, device),
            _tensor(windows, device),
            _tensor(pulses, device),
            float(weight),
            bool(has_one_time),
        )
        programs.append(program)
    return programs


def _tensor(array: Array, device: torch.device) -> Tensor:
    precision: type[np.generic] = np.float32
    if array.dtype.kind == "i":
        precision = np.int32
    return torch.from_numpy(np.ascontiguousarray(array, precision)).to(device)


def _blocks(sequence: PulseSequence) -> tuple[Array, Array]:
    """`blocks` and `windows` of the kernel: each event a block, pulses without preparation."""
    blocks, windows, echo = [], [], 0
    for event in sequence.program:
        if isinstance(event, Pulses):
            first, stop, _ = event.slice.indices(len(sequence.flip_angle))
            blocks.append((1.0, 1.0, 0.0, 0.0))
            windows.append((first, stop, echo if event.acquire else -1))
            echo += event.acquire * (stop - first)
        else:
            blocks.append(_preparation(event))
            windows.append((0, 0, -1))
    return np.array(blocks, np.float64).T, np.array(windows, np.int64).T


def _preparation(event: Preparation) -> tuple[float, float, float, float]:
    """Keep of transverse states [1], factor of z [1], T2 decay time [s], waiting time [s]."""
    match event:
        case Invert():
            return 0.0, -event.efficiency, 0.0, 0.0
        case Saturate():
            return 0.0, 1 - event.efficiency, 0.0, 0.0
        case Wait():
            return 1.0, 1.0, 0.0, event.time
        case T2Prep():
            return 0.0, event.efficiency, event.te, 0.0
    raise TypeError(f"no operator for {event}")
