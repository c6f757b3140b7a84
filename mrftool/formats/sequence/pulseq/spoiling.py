"""Spoiling in a Pulseq file: the gradient moment of each repetition, and the waveform it plays."""

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.formats.sequence.pulseq.echo import BALANCED
from mrftool.formats.sequence.pulseq.file import PulseqFile
from mrftool.formats.sequence.pulseq.shots import Shot
from mrftool.formats.sequence.sources import Fault
from mrftool.physics.dephasing import GAMMA
from mrftool.sequence import Spoiler

MAX_PIECES = 64  # constant pieces of a spoiler's waveform
_SHORTEST_PIECE = 5e-10  # [s]


def moments_between(file: PulseqFile, shots: tuple[Shot, ...]) -> FloatArray:
    """Gradient moments from the centre of each pulse to that of the next `(time - 1, 3)` [1/m]."""
    at = [file.moment_at(shot.block, np.array([shot.rf.centre]))[0] for shot in shots]
    return np.diff(np.array(at), axis=0)


def spoiling_fault(moments: FloatArray) -> Fault | None:
    """Why the moments `(time, 3)` [1/m] are neither one constant moment nor none."""
    if not len(moments):
        text = "a single repetition does not tell, expected 'gradient' or 'none'"
        return Fault(text, ("spoiling",))
    centre = (moments.max(axis=0) + moments.min(axis=0)) / 2
    spread = 2 * np.linalg.norm(moments - centre, axis=1).max()
    if spread <= 2 * BALANCED:
        return None
    return Fault(
        f"the gradient moment of a repetition differs by up to {spread / 1e3:.3g} cycles/mm from "
        "one to the next, expected one constant moment or none; 'gradient' assumes one cycle in "
        "each",
        ("spoiling",),
    )


def spoiler_waveform(
    file: PulseqFile, train: tuple[Shot, ...], te: FloatArray, moment: FloatArray
) -> tuple[Spoiler | None, str]:
    """The gradient along `moment` from the echo to the next pulse, and a note.

    It is taken from the repetition with the least time after its echo.

    Parameters
    ----------
    file : PulseqFile
        The file that plays.
    train : tuple of Shot
        Its first train.
    te : array
        Echo times `(time,)` [s].
    moment : array
        Mean moment of a repetition `(3,)` [1/m].

    Returns
    -------
    spoiler : Spoiler or None
        None if the gradient after the echo does not have that moment: then the gradients are not
        balanced at the echo, and diffusion cannot be simulated.
    note : str
    """
    tails = np.diff([shot.centre for shot in train]) - te[:-1]
    n = int(np.argmin(np.round(tails, 9)))
    if tails[n] <= 0:
        return None, "the echo is no earlier than the next pulse"
    times, moments = _moments_until(file, train[n].centre + te[n], train[n + 1])
    size = float(np.linalg.norm(moment))
    along = moments @ moment / size
    if abs(along[-1] - along[0] - size) > BALANCED:
        return None, (
            "diffusion cannot be simulated: the spoiler's moment is not that from the echo to the "
            "next pulse"
        )
    since = np.minimum(np.round(times - times[0], 9), np.round(float(tails[n]), 9))
    gradient, duration = _pieces(since, along - along[0])
    note = f"the spoiler's waveform is that of repetition {n}, between its echo and the next pulse"
    return Spoiler(gradient * 2 * np.pi / GAMMA, duration), note


def _moments_until(file: PulseqFile, begin: float, after: Shot) -> tuple[FloatArray, FloatArray]:
    """Times from `begin` [s] to the centre of a pulse where a gradient may change, and moments
    there `(n, 3)`.
    """
    first = int(np.searchsorted(file.start, begin, "right")) - 1
    times, moments = [], []
    for block in range(first, after.block + 1):
        start, end = float(file.start[block]), float(file.start[block + 1])
        low = max(begin - start, 0.0)
        high = min(after.centre - start, end - start)
        corners = [ramp.time for ramp in file.blocks[block].gradients if ramp is not None]
        edges = np.unique(np.clip(np.concatenate([[low, high], *corners]), low, high))
        quarters = np.arange(4 * len(edges) - 3) / 4  # four pieces for each ramp
        edges = np.interp(quarters, np.arange(len(edges)), edges)
        times.append(edges + start)
        moments.append(file.moment_at(block, edges))
    return np.concatenate(times), np.concatenate(moments)


def _pieces(time: FloatArray, moment: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean gradients between the times, in as few pieces as possible [Hz/m], and durations [s]."""
    keep = np.concatenate([[True], np.diff(time) > _SHORTEST_PIECE])
    gradient, duration = _merged(time[keep], moment[keep])
    if len(gradient) <= MAX_PIECES:
        return gradient, duration
    even = np.round(np.linspace(float(time[0]), float(time[-1]), MAX_PIECES + 1), 9)
    grid = even.astype(np.float64)
    return _merged(grid, np.interp(grid, time, moment))


def _merged(time: FloatArray, moment: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean gradients and durations, without pieces of zero at the end.

    Neighbours of one amplitude become one piece.
    """
    gradient = np.diff(moment) / np.diff(time)
    negligible = 1e-6 * abs(gradient).max()
    gradient[abs(gradient) < negligible] = 0.0
    changes = np.flatnonzero(abs(np.diff(gradient)) > negligible) + 1
    begins = np.concatenate([[0], changes])
    gradient = np.add.reduceat(gradient * np.diff(time), begins)
    duration = np.diff(time[[*begins, -1]])
    n = int(np.flatnonzero(gradient)[-1]) + 1
    return gradient[:n] / duration[:n], duration[:n]
