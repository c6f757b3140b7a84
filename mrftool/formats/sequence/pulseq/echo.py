"""Echoes of a Pulseq file from its gradient moments: where k-space is crossed, and how much each
repetition spoils.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import FloatArray
from mrftool.formats.sequence.pulseq.file import PulseqFile
from mrftool.formats.sequence.pulseq.shots import Shot
from mrftool.physics.epg import GAMMA
from mrftool.sequence import Spoiler

NEAR = 1e-3  # samples whose k differs by less than this share of the largest k cannot be told apart
LONGEST_TIE = 1e-4  # [s]; an echo that is less certain must be given
CENTRE = (
    0.05  # a readout that stays farther from k = 0, as a share of its largest k, does not cross it
)
BALANCED = 5.0  # [1/m]: moments that differ less are equal; 0.5 % of a cycle over 1 mm
MOST_PIECES = 64


@dataclass(frozen=True)
class Echo:
    """Time of the echo after the pulse's centre [s], how long it may be either way [s]; receiver
    phase there [rad].

    nearest, farthest: smallest and largest |k| of the readout [1/m].
    """

    time: float
    tie: float
    phase: float
    nearest: float
    farthest: float


def find_echo(file: PulseqFile, shot: Shot, te: float | None = None) -> Echo:
    """The sample that is nearest to k = 0, of several the first, the last or the middle one: see
    `_of_ties`.

    k is the gradient moment since the centre of the pulse. te: if it is known already [s].
    """
    block = shot.readouts[0]
    adc = file.blocks[block].adc
    assert adc is not None  # noqa: S101  a readout is a block with one
    origin = file.moment_at(shot.block, np.array([shot.rf.centre]))
    distance = np.linalg.norm(file.moment_at(block, adc.time) - origin, axis=1)
    since = adc.time + file.start[block] - shot.centre
    nearest, farthest = float(distance.min()), float(distance.max())
    ties = np.flatnonzero(distance**2 <= nearest**2 + (NEAR * farthest) ** 2)
    sample, time = (
        (int(np.argmin(abs(since - te))), te) if te is not None else _of_ties(ties, since)
    )
    return Echo(
        time, float(since[ties[-1]] - since[ties[0]]), float(adc.phase[sample]), nearest, farthest
    )


def _of_ties(ties: NDArray[np.intp], since: FloatArray) -> tuple[int, float]:
    """Of samples that are equally near: the first if the readout begins with them, the last if it
    ends with them.
    """
    if ties[0] == 0:
        return 0, float(since[0])
    if ties[-1] == len(since) - 1:
        return int(ties[-1]), float(since[-1])
    return int(ties[0]), float((since[ties[0]] + since[ties[-1]]) / 2)


def echo_trouble(echoes: list[Echo]) -> str:
    """Why TE is not determined, or nothing."""
    if all(echo.farthest < BALANCED for echo in echoes):
        return (
            "no gradient plays during the readouts, so that k = 0 is everywhere; expected --te-ms"
        )
    worst = max(echoes, key=lambda echo: echo.tie)
    if worst.tie > LONGEST_TIE:
        return f"samples near k = 0 lie {worst.tie * 1e3:g} ms apart, so that TE is not determined; expected --te-ms"
    if all(echo.nearest > max(CENTRE * echo.farthest, BALANCED) for echo in echoes):
        return "no readout crosses the centre of k-space, so that TE is not determined; expected --te-ms"
    return ""


def moments_between(file: PulseqFile, shots: tuple[Shot, ...]) -> FloatArray:
    """Gradient moments from the centre of each pulse to that of the next `(time - 1, 3)` [1/m]."""
    at = [file.moment_at(shot.block, np.array([shot.rf.centre]))[0] for shot in shots]
    return np.diff(np.array(at), axis=0)


def spoiling_trouble(moments: FloatArray) -> str:
    """Why the spoiling is not one constant moment or none, or nothing."""
    if not len(moments):
        return "one repetition alone does not say it; expected --spoiling gradient or none"
    centre = (moments.max(axis=0) + moments.min(axis=0)) / 2
    spread = np.linalg.norm(moments - centre, axis=1)
    if spread.max() <= BALANCED:
        return ""
    return (
        f"the gradient moment of a repetition differs by up to {2 * spread.max() / 1e3:.3g} cycles/mm from one to the "
        "next, expected one constant moment or none; --spoiling gradient takes it for one cycle in each"
    )


def spoiler_waveform(
    file: PulseqFile, train: tuple[Shot, ...], te: FloatArray, moment: FloatArray
) -> tuple[Spoiler | None, str]:
    """The gradient along `moment` `(3,)` [1/m] from the echo to the next pulse, in constant pieces,
    and a note.

    It is taken from the repetition that leaves it least time. None if it does not have that moment:
    then the echo is not where the gradients are balanced, and diffusion cannot be simulated.
    """
    tails = np.diff([shot.centre for shot in train]) - te[:-1]
    n = int(np.argmin(np.round(tails, 9)))
    if tails[n] <= 0:
        return None, "the echo is no earlier than the next pulse"
    edges, course = _course(file, train[n].centre + te[n], train[n + 1])
    along = course @ moment / np.linalg.norm(moment)
    if abs(along[-1] - along[0] - np.linalg.norm(moment)) > BALANCED:
        return (
            None,
            "diffusion cannot be simulated: the spoiler's moment is not that from the echo to the next pulse",
        )
    since = np.minimum(np.round(edges - edges[0], 9), np.round(float(tails[n]), 9))
    gradient, duration = _pieces(since, along - along[0])
    note = f"the spoiler's waveform is that of repetition {n}, between its echo and the next pulse"
    return Spoiler(gradient * 2 * np.pi / GAMMA, duration), note


def _course(file: PulseqFile, begin: float, after: Shot) -> tuple[FloatArray, FloatArray]:
    """Times where a gradient may change, from `begin` [s] to the centre of a pulse, and moments
    there `(n, 3)`.
    """
    first = int(np.searchsorted(file.start, begin, "right")) - 1
    times, moments = [], []
    for block in range(first, after.block + 1):
        length = float(file.start[block + 1] - file.start[block])
        low, high = (
            max(begin - float(file.start[block]), 0.0),
            min(after.centre - float(file.start[block]), length),
        )
        inside = [ramp.time for ramp in file.blocks[block].gradients if ramp is not None]
        edges = np.unique(np.clip(np.concatenate([[low, high], *inside]), low, high))
        edges = np.interp(
            np.arange(4 * len(edges) - 3) / 4, np.arange(len(edges)), edges
        )  # ramps in four pieces
        times.append(edges + file.start[block])
        moments.append(file.moment_at(block, edges))
    return np.concatenate(times), np.concatenate(moments)


def _pieces(time: FloatArray, moment: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean gradients between the times, as few as it takes: amplitudes [Hz/m] and durations [s]."""
    keep = np.concatenate([[True], np.diff(time) > 5e-10])
    gradient, duration = _merged(time[keep], moment[keep])
    if len(gradient) > MOST_PIECES:
        grid = np.round(np.linspace(float(time[0]), float(time[-1]), MOST_PIECES + 1), 9).astype(
            np.float64
        )
        gradient, duration = _merged(grid, np.interp(grid, time, moment))
    return gradient, duration


def _merged(time: FloatArray, moment: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean gradients and durations; neighbours of one amplitude in one piece, and no empty piece at
    the end.
    """
    gradient = np.diff(moment) / np.diff(time)
    fine = 1e-6 * abs(gradient).max()
    gradient[abs(gradient) < fine] = 0.0
    begins = np.concatenate([[0], np.flatnonzero(abs(np.diff(gradient)) > fine) + 1])
    gradient = np.add.reduceat(gradient * np.diff(time), begins)
    duration = np.diff(time[[*begins, -1]])
    last = int(np.flatnonzero(gradient)[-1]) + 1
    return gradient[:last] / duration[:last], duration[:last]
