"""The trains of a Pulseq file as numbers, and how they must agree to be repeats of one train."""

from dataclasses import dataclass

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.formats.sequence.pulseq.echo import Echo, find_echo
from mrftool.formats.sequence.pulseq.file import PulseqFile
from mrftool.formats.sequence.pulseq.shots import Train
from mrftool.formats.sequence.sources import Fault, Given

_SAME_TIME = 1e-7  # [s]
_SAME_ANGLE = 1e-4  # [rad]
_SAME_PHASE = np.deg2rad(0.5)  # of the RF pulses, and of the receiver that follows them


@dataclass(frozen=True, eq=False)
class TrainNumbers:
    """One train as numbers.

    Attributes
    ----------
    flip, phase : array
        Flip angles and RF phases `(time,)` [rad].
    te : array
        Echo times `(time,)` [s].
    tr : array
        Repetition times without the last `(time - 1,)` [s].
    inversion_time : float
        0 without an inversion [s].
    echoes : list of Echo
    """

    flip: FloatArray
    phase: FloatArray
    te: FloatArray
    tr: FloatArray
    inversion_time: float
    echoes: list[Echo]


def train_numbers(file: PulseqFile, train: Train, given: Given) -> TrainNumbers:
    """Flip angles, phases and times of a train. Echo times that the user gives are believed."""
    times = _given_times(given, len(train.shots))
    echoes = [find_echo(file, shot, te) for shot, te in zip(train.shots, times, strict=True)]
    centres = np.array([shot.centre for shot in train.shots])
    inversion_time = 0.0
    if train.inversion is not None:
        inversion_time = float(centres[0] - train.inversion.centre)
    return TrainNumbers(
        flip=np.array([shot.flip for shot in train.shots]),
        phase=np.array([shot.phase for shot in train.shots]),
        te=np.array([echo.time for echo in echoes]),
        tr=np.diff(centres),
        inversion_time=inversion_time,
        echoes=echoes,
    )


def _given_times(given: Given, n: int) -> list[float | None]:
    """The echo times that the user gives [s], None where there are none of this number."""
    if given.te is None or len(given.te) not in (1, n):
        return [None] * n
    return [float(te) for te in np.broadcast_to(given.te, n)]


def repeat_faults(trains: list[Train], numbers: list[TrainNumbers]) -> list[Fault]:
    """A fault for each train that does not repeat the first one."""
    faults = []
    for k, (train, other) in enumerate(zip(trains, numbers, strict=True)):
        what = _difference(numbers[0], other)
        if what:
            block = train.shots[0].block + 1
            text = f"train {k + 1} (from block {block}) has another {what} than the first"
            faults.append(Fault(f"{text}, expected it repeated"))
    return faults


def wait_faults(waits: FloatArray) -> list[Fault]:
    """A fault if the waiting times between trains [s] differ."""
    if np.ptp(waits) <= _SAME_TIME:
        return []
    return [Fault(f"waiting times between the trains differ by {np.ptp(waits) * 1e3:g} ms")]


def receiver_faults(numbers: list[TrainNumbers], given: Given) -> list[Fault]:
    """A fault if the receiver does not follow the RF phase up to a constant."""
    if given.receiver_follows:
        return []
    for train in numbers:
        apart = np.array([echo.phase for echo in train.echoes]) - train.phase
        off = abs(_wrapped(apart - apart[0]))
        n = int(off.argmax())
        if off[n] > _SAME_PHASE:
            text = (
                f"receiver: in repetition {n} it is {np.rad2deg(off[n]):.4g} deg off the RF phase, "
                "expected one constant difference, or that the reconstruction makes it follow"
            )
            return [Fault(text, ("receiver_follows",))]
    return []


def _difference(first: TrainNumbers, other: TrainNumbers) -> str:
    if len(first.flip) != len(other.flip):
        return "number of repetitions"
    phase = _wrapped(other.phase - other.phase[0] - first.phase + first.phase[0])
    close = {
        "flip angle": abs(first.flip - other.flip).max() < _SAME_ANGLE,
        "RF phase": abs(phase).max() < _SAME_PHASE,
        "TE": abs(first.te - other.te).max() < _SAME_TIME,
        "TR": abs(first.tr - other.tr).max(initial=0) < _SAME_TIME,
        "TI": abs(first.inversion_time - other.inversion_time) < _SAME_TIME,
    }
    return next((what for what, is_close in close.items() if not is_close), "")


def _wrapped(phase: FloatArray) -> FloatArray:
    return np.asarray(np.angle(np.exp(1j * phase)))
