"""RF pulses of a Pulseq file, with what they do and the readouts that follow them, sorted into
trains.
"""

from dataclasses import dataclass

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.formats.sequence.pulseq.block import Block, Rf
from mrftool.formats.sequence.pulseq.file import PulseqFile
from mrftool.physics.pulse import Pulse, flip_and_phase, z_after

_INVERTS = (
    -0.5
)  # Mz after a pulse without a readout that counts as an inversion, if nothing flags it
_UNTOUCHED = 0.99  # Mz after a pulse that does nothing to water, a fat saturation, and the lowest Mz on its way
_ON_THE_WAY = 0.8


@dataclass(frozen=True, eq=False)
class Shot:
    """An RF pulse and what follows it up to the next one.

    block: of the pulse. centre: from the start of the file [s]. flip, phase: on resonance in its
    slice [rad].
    position: of the slice along its gradient [m], 0 without one. readouts: blocks.
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
    """Pulses with one readout each, and the inversion that leads them, with what it leaves of Mz
    [m0].
    """

    inversion: Shot | None
    z_left: float
    shots: tuple[Shot, ...]


def list_shots(file: PulseqFile) -> tuple[list[Shot], list[str]]:
    """All RF pulses in order, and what is to be said of readouts before the first."""
    pulses = [i for i, block in enumerate(file.blocks) if block.rf]
    readouts = [i for i, block in enumerate(file.blocks) if block.adc]
    known: dict[tuple[float, ...], tuple[float, float, float]] = {}
    shots = []
    for i, after in zip(pulses, [*pulses[1:], len(file.blocks)], strict=True):
        shots.append(
            _shot(
                file,
                i,
                tuple(readouts[np.searchsorted(readouts, i) : np.searchsorted(readouts, after)]),
                known,
            )
        )
    early = sum(i < (pulses[0] if pulses else 0) for i in readouts)
    return shots, [
        f"{early} readouts before the first RF pulse are left out, as noise scans"
    ] if early else []


def sort_into_trains(shots: list[Shot]) -> tuple[list[Train], list[str], list[str]]:
    """Trains of repetitions, faults, and notes. A train begins with an inversion, or with the file."""
    trains: list[tuple[Shot | None, float, list[Shot]]] = []
    odd: dict[str, list[int]] = {}
    notes: list[str] = []
    idle: list[float] = []
    for shot in shots:
        kind, z = _kind(shot)
        if kind == "idle":
            idle.append(z)
        elif kind == "inversion":
            if trains and not trains[-1][2]:
                kind = "preparation of several pulses"
            trains.append((shot, z, []))
        elif kind == "repetition":
            if not trains:
                trains.append((None, 1.0, []))
            trains[-1][2].append(shot)
        if kind not in ("idle", "inversion", "repetition"):
            odd.setdefault(kind, []).append(shot.block + 1)
    if idle:
        notes.append(
            f"{len(idle)} RF pulses that leave water at Mz {min(idle):.4g} or more are left out, as fat saturation"
        )
    faults = [_odd_fault(kind, blocks) for kind, blocks in odd.items()]
    if not odd:
        faults += _structure_faults(trains)
    return [Train(inversion, z, tuple(inside)) for inversion, z, inside in trains], faults, notes


def slice_faults(shots: tuple[Shot, ...]) -> list[str]:
    """A sentence if the pulses excite more than one slice."""
    positions = sorted({round(shot.position * 1e4) / 10 for shot in shots})
    if len(positions) < 2:
        return []
    listed = ", ".join(f"{position:g}" for position in positions[:5])
    return [f"pulses excite {len(positions)} slices (at {listed} mm), expected a file of one slice"]


def slice_gradient(block: Block) -> tuple[FloatArray, FloatArray]:
    """Gradient of x, y and z during each step of the block's pulse `(step, 3)` [Hz/m], and their
    mean `(3,)`.
    """
    assert block.rf is not None  # noqa: S101  only called for blocks with a pulse
    edges = block.rf.start + np.concatenate([[0.0], np.cumsum(block.rf.pulse.duration)])
    moments = block.moment_at(edges)
    steps = np.diff(moments, axis=0) / block.rf.pulse.duration[:, None]
    return steps, np.asarray((moments[-1] - moments[0]) / (edges[-1] - edges[0]))


def _shot(
    file: PulseqFile,
    i: int,
    readouts: tuple[int, ...],
    known: dict[tuple[float, ...], tuple[float, float, float]],
) -> Shot:
    block = file.blocks[i]
    rf = block.rf
    assert rf is not None  # noqa: S101  the caller chose it so
    strength = float(np.linalg.norm(slice_gradient(block)[1]))
    key = (*rf.shape, strength)
    if key not in known:
        known[key] = _effect(rf, strength)
    flip, phase, position = known[key]
    return Shot(i, float(file.start[i]) + rf.centre, rf, flip, phase + rf.phase, position, readouts)


def _effect(rf: Rf, strength: float) -> tuple[float, float, float]:
    """Flip angle, phase without the event's own offset [rad], and slice position [m].

    Under a gradient, the frequency offset moves the slice, and in it the pulse is on resonance. Its
    phase refers to the pulse's start, and spins of the slice have turned by 2 pi f t until the
    centre. Without a gradient the pulse is off resonance.
    """
    if strength > 0:
        flip, phase = flip_and_phase(rf.pulse)
        return (
            flip,
            phase + 2 * np.pi * rf.frequency * (rf.centre - rf.start),
            rf.frequency / strength,
        )
    flip, phase = flip_and_phase(on_water(rf))
    return flip, phase, 0.0


def on_water(rf: Rf) -> Pulse:
    """The pulse with its frequency offset in the waveform: as water on resonance sees it."""
    if not rf.frequency:
        return rf.pulse
    middle = np.cumsum(rf.pulse.duration) - rf.pulse.duration / 2
    return Pulse(rf.pulse.waveform * np.exp(2j * np.pi * rf.frequency * middle), rf.pulse.duration)


def _kind(shot: Shot) -> tuple[str, float]:
    """What a pulse is for, and Mz after it if that matters."""
    if len(shot.readouts) == 1:
        return "repetition", 1.0
    if shot.readouts:
        return "pulse with several readouts", 1.0
    z, lowest = z_after(shot.rf.pulse if shot.position else on_water(shot.rf))
    if shot.rf.use == "inversion" or z < _INVERTS:
        return ("inversion" if z < 0 else "inversion pulse that does not invert"), z
    return ("idle" if z > _UNTOUCHED and lowest > _ON_THE_WAY else "pulse without a readout"), z


_WHY = {
    "pulse with several readouts": "expected one readout for each pulse",
    "inversion pulse that does not invert": "expected Mz below 0 after it, on resonance",
    "pulse without a readout": "T2 preparation, saturation, start-up and dummy pulses have no place in a sequence "
    "of one readout for each pulse",
    "preparation of several pulses": "T2 preparation and double inversion have no place in a sequence, expected one "
    "inversion",
}


def _odd_fault(kind: str, blocks: list[int]) -> str:
    more = ", ..." if len(blocks) > 5 else ""
    return f"{len(blocks)} x {kind} (block {', '.join(map(str, blocks[:5]))}{more}): {_WHY[kind]}"


def _structure_faults(trains: list[tuple[Shot | None, float, list[Shot]]]) -> list[str]:
    if not any(inside for _, _, inside in trains):
        return ["no RF pulse is followed by a readout"]
    if not trains[-1][2]:
        return ["an inversion pulse ends the file, expected repetitions after it"]
    if len(trains) > 1 and trains[0][0] is None:
        return [
            "the first train has no inversion and the others have one, expected trains of one kind"
        ]
    return []
