"""What it would cost to take every heartbeat for as long as the mean one."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import InputError
from mrftool.formats.sequence.heartbeats import read_heartbeats
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.manifold.first_order import directions_of, first_order
from mrftool.physics.simulate import simulate
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

MYOCARDIUM = (1.1, 0.045)  # T1, T2 at 3 T [s]
_TOLERANCE = 1e-6
_STEPS = 5  # of Gauss and Newton


def mean_rhythm_sentence(name: str | Path, rr: str, sequence: PulseSequence) -> str:
    """What the mean RR interval in place of each one would change in myocardium; "" for nothing.

    Parameters
    ----------
    name, rr
        Sequence file and heartbeats [ms], as `read_with_heartbeats` takes them.
    sequence
        What that gave.
    """
    intervals = _intervals(name, read_heartbeats(rr), sequence)
    if intervals.ndim == 0 or np.ptp(intervals) == 0:
        return ""
    mean = np.asarray(intervals.mean())
    try:
        regular = read_sequence(name, rr=mean)
    except InputError:  # the mean may be too short for the events between two triggers
        return ""
    t1, t2 = 100 * bias(regular, sequence, *MYOCARDIUM)
    low, high = intervals.min() * 1e3, intervals.max() * 1e3
    return (
        f"RR intervals of {low:.0f} to {high:.0f} ms, each taken as it was; their mean of "
        f"{mean * 1e3:.0f} ms for all would change T1 of myocardium by {t1:+.1f} % and T2 by "
        f"{t2:+.1f} %"
    )


def bias(model: PulseSequence, played: PulseSequence, t1: float, t2: float) -> FloatArray:
    """Relative change of T1 and T2 `(2,)` [1] where signals of `played` are fitted by `model`.

    Least squares by Gauss-Newton steps from the tissue's own values, see
    `mrftool.manifold.first_order`.

    Parameters
    ----------
    model, played
        Sequences of equal length.
    t1, t2
        Of the tissue [s].
    """
    reference = np.log([t1, t2])
    tissue = Tissue(np.array([t1]), np.array([t2]))
    seen = simulate(played, tissue, tolerance=_TOLERANCE).signal
    found = reference
    for _ in range(_STEPS):
        expected = directions_of(model, Tissue(*np.exp(found)[:, None]), ())
        signal = expected.signal
        m0 = (np.conj(signal) * seen).sum() / (np.abs(signal) ** 2).sum()
        difference = (signal - seen / m0)[:, None]
        found = found + first_order(replace(expected, given=difference)).slopes[0, 0]
    return np.asarray(np.expm1(found - reference))


def _intervals(name: str | Path, heartbeats: FloatArray, sequence: PulseSequence) -> FloatArray:
    """RR intervals [s]: the heartbeats themselves, or the steps between times of triggers."""
    if heartbeats.ndim == 0 or (np.diff(heartbeats) <= 0).any():
        return heartbeats
    steps = np.diff(heartbeats)
    with suppress(InputError):
        if read_sequence(name, rr=steps) == sequence:
            return steps
    return heartbeats
