"""Echo times of a Pulseq file: where its gradient moments cross the centre of k-space."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrftool.arrays import FloatArray
from mrftool.formats.sequence.pulseq.file import PulseqFile
from mrftool.formats.sequence.pulseq.shots import Shot
from mrftool.formats.sequence.sources import Fault

BALANCED = 5.0  # [1/m]: moments that differ less are equal; 0.5 % of a cycle over 1 mm
_SAME_K = 1e-3  # samples whose k differs by less, as a fraction of the largest k, are equally near
_LONGEST_TIE = 1e-4  # [s]; an echo that is less certain must be given
_NEAR_CENTRE = 0.05  # of its largest k: a readout that stays farther from k = 0 does not cross it


@dataclass(frozen=True)
class Echo:
    """The echo of one readout.

    Attributes
    ----------
    time : float
        From the centre of the pulse [s].
    tie : float
        Duration over which samples are equally near k = 0 [s].
    phase : float
        Of the receiver [rad].
    nearest, farthest : float
        Smallest and largest distance of the readout from k = 0 [1/m].
    """

    time: float
    tie: float
    phase: float
    nearest: float
    farthest: float


def find_echo(file: PulseqFile, shot: Shot, te: float | None = None) -> Echo:
    """Find the sample nearest to k = 0, where k is the gradient moment since the pulse's centre.

    Parameters
    ----------
    file : PulseqFile
        The file that plays.
    shot : Shot
        A pulse with a readout.
    te : float, optional
        Echo time, if it is known [s].
    """
    block = shot.readouts[0]
    adc = file.blocks[block].adc
    assert adc is not None  # noqa: S101  a readout is a block with one
    origin = file.moment_at(shot.block, np.array([shot.rf.centre]))
    distance = np.linalg.norm(file.moment_at(block, adc.time) - origin, axis=1)
    since_pulse = adc.time + file.start[block] - shot.centre
    nearest, farthest = float(distance.min()), float(distance.max())
    ties = np.flatnonzero(distance**2 <= nearest**2 + (_SAME_K * farthest) ** 2)
    if te is None:
        sample, time = _among_ties(ties, since_pulse)
    else:
        sample, time = int(np.argmin(abs(since_pulse - te))), te
    tie = float(since_pulse[ties[-1]] - since_pulse[ties[0]])
    return Echo(time, tie, float(adc.phase[sample]), nearest, farthest)


def _among_ties(ties: NDArray[np.intp], time: FloatArray) -> tuple[int, float]:
    """Choose one of several samples that are equally near.

    The first if the readout begins with them, the last if it ends with them, else the middle.
    """
    first, last = int(ties[0]), int(ties[-1])
    if first == 0:
        return 0, float(time[0])
    if last == len(time) - 1:
        return last, float(time[-1])
    return first, float((time[first] + time[last]) / 2)


def echo_fault(echoes: list[Echo]) -> Fault | None:
    """Why TE is not determined, if it is not."""
    worst = max(echoes, key=lambda echo: echo.tie)
    if all(echo.farthest < BALANCED for echo in echoes):
        why = "no gradient plays during the readouts, so that k = 0 is everywhere"
    elif worst.tie > _LONGEST_TIE:
        why = f"samples near k = 0 lie {worst.tie * 1e3:g} ms apart, so that TE is not determined"
    elif all(echo.nearest > max(_NEAR_CENTRE * echo.farthest, BALANCED) for echo in echoes):
        why = "no readout crosses the centre of k-space, so that TE is not determined"
    else:
        return None
    return Fault(f"{why}; expected TE [ms]", ("te",))
