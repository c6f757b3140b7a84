"""What can be wrong with further echoes, the receiver's phase and the cycles of the spoiler."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from mrftool.arrays import FloatArray

Faults = list[tuple[str, str]]  # field, what is wrong and what was expected

_MOST_ECHOES = 64
_MOST_CYCLES = 16


def readout_faults(
    columns: Mapping[str, FloatArray],
    later_echoes: FloatArray,
    receiver_phase: ArrayLike | None,
    spoiling: str,
    spoiler_cycles: ArrayLike | None,
) -> Faults:
    """All that is wrong with what comes between the pulses.

    Parameters
    ----------
    columns
        flip_angle, rf_phase [rad], tr and te [s] by name `(pulse,)`.
    later_echoes
        `(echo,)` [s] after the echo at TE.
    receiver_phase
        `(pulse,)` [rad], if given.
    spoiling, spoiler_cycles
        As in `PulseSequence`.

    Returns
    -------
    list of (str, str)
        Field, and what is wrong and what was expected.
    """
    n = len(columns["tr"])
    texts = {"later_echoes": _echo_fault(columns["tr"], columns["te"], later_echoes)}
    if receiver_phase is not None:
        texts["receiver_phase"] = _receiver_fault(np.asarray(receiver_phase, np.float64), n)
    if spoiler_cycles is not None:
        cycles = np.asarray(spoiler_cycles, np.float64)
        texts["spoiler_cycles"] = _cycle_fault(cycles, n, spoiling)
    return [(key, text) for key, text in texts.items() if text]


def _echo_fault(tr: FloatArray, te: FloatArray, later: FloatArray) -> str:
    """What is wrong with the times of further echoes [s]; "" where nothing is."""
    if later.ndim != 1 or len(later) >= _MOST_ECHOES:
        return f"{later.size + 1} echoes of each pulse, expected at most {_MOST_ECHOES}"
    if not later.size:
        return ""
    if not (np.isfinite(later).all() and (np.diff(np.r_[0.0, later]) > 0).all()):
        return "echo times do not ascend, expected each later than the one before"
    room = tr - te
    bad = np.flatnonzero(later[-1] > room + 1e-12)
    if not bad.size:
        return ""
    n = bad[0]
    last, longest = (te[n] + later[-1]) * 1e3, tr[n] * 1e3
    return f"repetition {n}: the last echo at {last:g} ms is outside TR {longest:g} ms"


def _shape_fault(key: str, values: FloatArray, n: int) -> str:
    if values.shape == (n,):
        return ""
    return f"{key} has shape {values.shape}, expected ({n},)"


def _receiver_fault(phase: FloatArray, n: int) -> str:
    """What is wrong with the receiver's phases [rad]; "" where nothing is."""
    fault = _shape_fault("receiver_phase", phase, n)
    if not fault and not np.isfinite(phase).all():
        fault = "a receiver_phase is not finite, expected a finite angle"
    return fault


def _cycle_fault(cycles: FloatArray, n: int, spoiling: str) -> str:
    """What is wrong with the cycles of the spoiler; "" where nothing is."""
    fault = _shape_fault("spoiler_cycles", cycles, n)
    if fault:
        return fault
    if spoiling != "gradient":
        return "spoiler_cycles are given, expected spoiling 'gradient' beside them"
    bad = np.flatnonzero(~((cycles >= 0) & (cycles <= _MOST_CYCLES) & (cycles == np.rint(cycles))))
    if bad.size:
        expected = f"a whole number from 0 to {_MOST_CYCLES}"
        return f"repetition {bad[0]}: spoiler_cycles {cycles[bad[0]]:g}, expected {expected}"
    if not cycles.any():
        return "no pulse has a spoiler, expected spoiling 'none' in place of spoiler_cycles"
    return ""
