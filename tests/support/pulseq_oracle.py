"""Brute force: a Pulseq file played on isochromats along z, sample by sample. The oracle of the
import.

It takes waveforms from pypulseq's own blocks and shares nothing with mrftool but the Bloch
equations as 3-vectors (tests/bloch_oracle.py): finite pulses, gradients during them, frequency and
phase offsets, relaxation throughout.
"""

import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from bloch_oracle import Vectors, precess, relax
from numpy.typing import NDArray

STEP = 2e-6  # longest step during a pulse [s]


def play_file(
    path: Path, echoes: list[float], z: Vectors, t1: float, t2: float
) -> NDArray[np.complex128]:
    """Mean transverse magnetisation at each time of `echoes` [s after the file's start], as the
    receiver sees it.

    z: positions of the isochromats [m]; x = y = 0, so in-plane gradients do nothing.
    """
    import pypulseq

    sequence = pypulseq.Sequence()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sequence.read(str(path))
    m = np.array([0 * z, 0 * z, 1 + 0 * z])
    begun, signal, waiting = 0.0, [], list(echoes)
    for number in sequence.block_events:
        block = sequence.get_block(number)
        times = _grid(block, [echo - begun for echo in waiting])
        for a, b in pairwise(times):
            m = _step(m, block, a, b, z, t1, t2)
            while waiting and abs(begun + b - waiting[0]) < 1e-10:
                x, y, _ = m.mean(axis=1)
                phase = block.adc.phase_offset if block.adc is not None else 0.0
                signal.append(complex(x, y) * np.exp(-1j * phase))
                waiting.pop(0)
        begun += block.block_duration
    return np.array(signal)


def _grid(block: Any, echoes: list[float]) -> list[float]:
    """Times of a block between which nothing changes but ramps, which `_step` integrates."""
    edges = [
        0.0,
        block.block_duration,
        *(echo for echo in echoes if 0 < echo < block.block_duration),
    ]
    if block.rf is not None:
        n = int(np.ceil(block.rf.shape_dur / STEP))
        edges += list(block.rf.delay + np.arange(n + 1) * block.rf.shape_dur / n)
    if block.gz is not None:
        edges += list(
            block.gz.delay
            + np.cumsum([0, block.gz.rise_time, block.gz.flat_time, block.gz.fall_time])
        )
    edges = sorted(edges)
    return [
        edge
        for edge, before in zip(edges, [-1.0, *edges[:-1]], strict=True)
        if edge - before > 1e-12
    ]


def _step(m: Vectors, block: Any, a: float, b: float, z: Vectors, t1: float, t2: float) -> Vectors:
    middle = (a + b) / 2
    b1 = 0j
    if block.rf is not None and block.rf.delay < middle < block.rf.delay + block.rf.shape_dur:
        rf = block.rf
        since = middle - rf.delay
        shape = np.interp(since, rf.t, rf.signal.real) + 1j * np.interp(since, rf.t, rf.signal.imag)
        b1 = shape * np.exp(1j * (rf.phase_offset + 2 * np.pi * rf.freq_offset * since))
    off = _gradient(block.gz, middle) * z
    m = relax(m, (b - a) / 2, t1, t2)
    m = _turn(m, b1, off, b - a) if b1 else precess(m, 2 * np.pi * off * (b - a))
    return relax(m, (b - a) / 2, t1, t2)


def _gradient(trap: Any, time: float) -> float:
    """The trapezoid at a time [Hz/m]; exact as a mean over an interval on one of its sides."""
    if trap is None:
        return 0.0
    corners = trap.delay + np.cumsum([0, trap.rise_time, trap.flat_time, trap.fall_time])
    return float(np.interp(time, corners, [0, trap.amplitude, trap.amplitude, 0]))


def _turn(m: Vectors, b1: complex, off: Vectors, time: float) -> Vectors:
    """Turn about (Re b1, Im b1, off) [Hz], one axis for each isochromat, by Rodrigues' formula."""
    axis = np.array([b1.real + 0 * off, b1.imag + 0 * off, off])
    field = np.linalg.norm(axis, axis=0)
    n = axis / field
    angle = 2 * np.pi * field * time
    along = n * (n * m).sum(axis=0)
    return along + np.cos(angle) * (m - along) + np.sin(angle) * np.cross(n, m, axis=0)
