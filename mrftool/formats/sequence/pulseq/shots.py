"""RF pulses of a Pulseq file, what they do, and the readouts that follow them, in trains."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.formats.sequence.pulseq.block import Block, Rf
from mrftool.formats.sequence.pulseq.file import PulseqFile
from mrftool.formats.sequence.sources import Fault
from mrftool.physics.rf.pulse import Pulse, flip_and_phase, z_after

# Mz [m0] on resonance, of a pulse that no readout follows:
_INVERTED_BELOW = -0.5  # an inversion, if the file does not flag it
_UNTOUCHED_ABOVE = 0.99  # a fat saturation does nothing to water ...
_UNTOUCHED_DURING = 0.8  # ... and little on its way
_LONGEST_FAT_SATURATION = 0.05  # [s]; what lasts longer prepares magnetisation, as for CEST

_EXPECTED = {
    "pulse with several readouts": "expected one readout for each pulse",
    "inversion pulse that does not invert": "expected Mz below 0 after it, on resonance",
    "pulse without a readout": "expected a preparation, or a dummy pulse that is spoiled as the "
    "others are",
    "preparation of several pulses": "T2 preparation and double inversion have no place in a "
    "sequence, expected one inversion",
}


@dataclass(frozen=True, eq=False)
class Shot:
    """An RF pulse and the readouts up to the next one.

    Attributes
    ----------
    block : int
        Index of the pulse's block.
    centre : float
        From the start of the file [s].
    rf : Rf
    flip, phase : float
        On resonance in the slice [rad].
    position : float
        Of the slice along its gradient, 0 without one [m].
    readouts : tuple of int
        Indices of blocks.
    """

    block: int
    centre: float
    rf: Rf
    flip: float
    phase: float
    position: float
    readouts: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Train:
    """Pulses with one readout each, the inversion before them, and Mz after it [m0]."""

    inversion: Shot | None
    z_left: float
    shots: tuple[Shot, ...]


@dataclass
class _OpenTrain:
    """A train while its pulses are collected."""

    inversion: Shot | None = None
    z_left: float = 1.0
    shots: list[Shot] = field(default_factory=list)


@dataclass
class _Sorting:
    """Trains, blocks with pulses that have no place in one, and Mz after idle pulses [m0]."""

    trains: list[_OpenTrain] = field(default_factory=list)
    odd: dict[str, list[int]] = field(default_factory=dict)
    untouched: list[float] = field(default_factory=list)
    kinds: dict[tuple[float, ...], tuple[str, float]] = field(default_factory=dict)

    def add(self, shot: Shot) -> None:
        """Put the next pulse of the file where it belongs."""
        kind, z = self.kind_of(shot)
        if kind == "untouched":
            self.untouched.append(z)
        elif kind == "repetition":
            if not self.trains:
                self.trains.append(_OpenTrain())
            self.trains[-1].shots.append(shot)
        elif kind == "inversion":
            if self.trains and not self.trains[-1].shots:
                self._add_odd("preparation of several pulses", shot)
            self.trains.append(_OpenTrain(shot, z))
        else:
            self._add_odd(kind, shot)

    def kind_of(self, shot: Shot) -> tuple[str, float]:
        """What a pulse is for, and Mz after it where that matters [m0]."""
        if len(shot.readouts) == 1:
            return "repetition", 1.0
        if shot.readouts:
            return "pulse with several readouts", 1.0
        key = (*shot.rf.shape, float(shot.position != 0), float(shot.rf.use == "inversion"))
        if key not in self.kinds:
            self.kinds[key] = _kind_without_readout(shot)
        return self.kinds[key]

    def _add_odd(self, kind: str, shot: Shot) -> None:
        self.odd.setdefault(kind, []).append(shot.block + 1)


def list_shots(file: PulseqFile) -> tuple[list[Shot], list[str]]:
    """All RF pulses in order, and a note on readouts before the first."""
    pulses = [i for i, block in enumerate(file.blocks) if block.rf]
    readouts = [i for i, block in enumerate(file.blocks) if block.adc]
    effects: dict[tuple[float, ...], tuple[float, float, float]] = {}
    shots = []
    for i, after in pairwise([*pulses, len(file.blocks)]):
        first, end = np.searchsorted(readouts, [i, after])
        shots.append(_shot(file, i, tuple(readouts[first:end]), effects))
    early = int(np.searchsorted(readouts, [*pulses, 0][0]))
    if not early:
        return shots, []
    return shots, [f"{early} readouts before the first RF pulse are left out, as noise scans"]


def sort_into_trains(shots: list[Shot]) -> tuple[list[Train], list[Fault], list[str]]:
    """Trains of repetitions, faults, and notes.

    A train begins with an inversion, or with the file.
    """
    sorting = _Sorting()
    for shot in shots:
        sorting.add(shot)
    faults = [odd_fault(kind, blocks) for kind, blocks in sorting.odd.items()]
    if not faults:
        faults = _structure_faults(sorting.trains)
    trains = [Train(open_.inversion, open_.z_left, tuple(open_.shots)) for open_ in sorting.trains]
    return trains, faults, _untouched_notes(sorting.untouched)


def slice_faults(shots: tuple[Shot, ...]) -> list[Fault]:
    """A fault if the pulses excite more than one slice."""
    positions = sorted({round(shot.position * 1e4) / 10 for shot in shots})
    if len(positions) < 2:
        return []
    listed = ", ".join(f"{position:g}" for position in positions[:5])
    text = f"pulses excite {len(positions)} slices (at {listed} mm), expected a file of one slice"
    return [Fault(text)]


def slice_gradient(block: Block) -> tuple[FloatArray, FloatArray]:
    """Gradient of x, y and z during each step of the block's pulse, and their mean.

    Returns
    -------
    steps : array
        `(step, 3)` [Hz/m].
    mean : array
        `(3,)` [Hz/m].
    """
    assert block.rf is not None  # noqa: S101  only called for blocks with a pulse
    edges = block.rf.start + np.concatenate([[0.0], np.cumsum(block.rf.pulse.duration)])
    moments = block.moment_at(edges)
    steps = np.diff(moments, axis=0) / block.rf.pulse.duration[:, None]
    return steps, np.asarray((moments[-1] - moments[0]) / (edges[-1] - edges[0]))


def on_water(rf: Rf) -> Pulse:
    """The pulse with its frequency offset in the waveform: as water on resonance sees it."""
    if not rf.frequency:
        return rf.pulse
    middle = np.cumsum(rf.pulse.duration) - rf.pulse.duration / 2
    waveform = rf.pulse.waveform * np.exp(2j * np.pi * rf.frequency * middle)
    return Pulse(waveform, rf.pulse.duration)


def _shot(
    file: PulseqFile,
    i: int,
    readouts: tuple[int, ...],
    effects: dict[tuple[float, ...], tuple[float, float, float]],
) -> Shot:
    """The pulse of block `i`; `effects` remembers what equal pulses do."""
    block = file.blocks[i]
    rf = block.rf
    assert rf is not None  # noqa: S101  the caller chose it so
    strength = float(np.linalg.norm(slice_gradient(block)[1]))
    key = (*rf.shape, strength)
    if key not in effects:
        effects[key] = _effect(rf, strength)
    flip, phase, position = effects[key]
    return Shot(i, float(file.start[i]) + rf.centre, rf, flip, phase + rf.phase, position, readouts)


def _effect(rf: Rf, strength: float) -> tuple[float, float, float]:
    """Flip angle, phase without the event's own offset [rad], and slice position [m].

    Under a gradient of `strength` [Hz/m], the frequency offset moves the slice, and in it the pulse
    is on resonance. Its phase refers to the pulse's start, and spins of the slice have turned by
    2 pi f t until the centre. Without a gradient the pulse is off resonance.
    """
    if strength == 0:
        flip, phase = flip_and_phase(on_water(rf))
        return flip, phase, 0.0
    flip, phase = flip_and_phase(rf.pulse)
    until_centre = 2 * np.pi * rf.frequency * (rf.centre - rf.start)
    return flip, phase + until_centre, rf.frequency / strength


def _kind_without_readout(shot: Shot) -> tuple[str, float]:
    """What a pulse that no readout follows is for, and Mz after it [m0]."""
    pulse = shot.rf.pulse
    if not shot.position:
        pulse = on_water(shot.rf)
    z, lowest = z_after(pulse)
    if z < _INVERTED_BELOW:
        return "inversion", z
    if shot.rf.use == "inversion":
        return _flagged_inversion(z), z
    is_short = pulse.duration.sum() <= _LONGEST_FAT_SATURATION
    if is_short and z > _UNTOUCHED_ABOVE and lowest > _UNTOUCHED_DURING:
        return "untouched", z
    return "pulse without a readout", z


def _flagged_inversion(z: float) -> str:
    if z < 0:
        return "inversion"
    return "inversion pulse that does not invert"


def _untouched_notes(z: list[float]) -> list[str]:
    if not z:
        return []
    pulses = f"{len(z)} RF pulses that leave water at Mz {min(z):.4g} or more"
    return [f"{pulses} are left out, as fat saturation"]


def kinds_of(shots: Sequence[Shot]) -> list[tuple[str, float]]:
    """What each pulse is for, seen by itself, and Mz after it where that matters [m0]."""
    sorting = _Sorting()
    return [sorting.kind_of(shot) for shot in shots]


def odd_fault(kind: str, blocks: list[int]) -> Fault:
    """A fault of pulses that have no place in a sequence, with some of their blocks."""
    listed = ", ".join(map(str, blocks[:5]))
    if len(blocks) > 5:
        listed += ", ..."
    return Fault(f"{len(blocks)} x {kind} (block {listed}): {_EXPECTED[kind]}")


def _structure_faults(trains: list[_OpenTrain]) -> list[Fault]:
    if not any(train.shots for train in trains):
        return [Fault("no RF pulse is followed by a readout")]
    if not trains[-1].shots:
        return [Fault("an inversion pulse ends the file, expected repetitions after it")]
    if len(trains) > 1 and trains[0].inversion is None:
        text = "the first train has no inversion and the others have one"
        return [Fault(f"{text}, expected trains of one kind")]
    return []
