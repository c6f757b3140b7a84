"""A Pulseq file (.seq) as an RF sequence: flip angles, phases, TR, TE, inversion, spoiling, slice
profile.

Times count from the centres of the pulses. Signs of phases are those of the file.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.formats.sequence.completion import Findings, Given, refuse
from mrftool.formats.sequence.pulseq.echo import (
    BALANCED,
    Echo,
    echo_trouble,
    find_echo,
    moments_between,
    spoiler_waveform,
    spoiling_trouble,
)
from mrftool.formats.sequence.pulseq.file import PulseqFile, read_pulseq
from mrftool.formats.sequence.pulseq.profile import slice_profile
from mrftool.formats.sequence.pulseq.shots import (
    Train,
    list_shots,
    slice_faults,
    slice_gradient,
    sort_into_trains,
)
from mrftool.sequence import SliceProfile, Spoiler, Spoiling

_SAME_TIME = 1e-7  # [s]
_SAME_ANGLE = 1e-4  # [rad]
_FOLLOWS = np.deg2rad(0.5)  # how closely the receiver must follow the RF phase


@dataclass(frozen=True, eq=False)
class _Numbers:
    """One train as numbers `(time,)`: flip and phase [rad], te [s]; tr [s] without the last;
    inversion time [s].
    """

    flip: FloatArray
    phase: FloatArray
    te: FloatArray
    tr: FloatArray
    inversion_time: float
    echoes: list[Echo]


def pulseq_findings(path: Path, given: Given) -> Findings:
    """What a Pulseq file says. Raises InputError if it is damaged, or plays what is no sequence of
    mrftool.
    """
    file = read_pulseq(path, given.field)
    shots, early = list_shots(file)
    trains, faults, idle = sort_into_trains(shots)
    refuse(path, [*faults, *slice_faults(tuple(shot for train in trains for shot in train.shots))])
    numbers = [_numbers(file, train, given) for train in trains]
    refuse(path, _differences(trains, numbers))
    first = numbers[0]
    last_tr, waits = _last_tr(file, trains, first)
    refuse(
        path,
        [f"waiting times between the trains differ by {np.ptp(waits) * 1e3:g} ms"]
        if _differ(waits)
        else [],
    )
    spoiling, spoiler, why, on_spoiling = _spoiling(file, trains, first)
    profile, on_profile = _profile(file, trains[0], given)
    no_echo = "" if given.te is not None else echo_trouble(first.echoes)
    return Findings(
        f"Pulseq {file.version} file",
        flip_angle=np.deg2rad(np.round(np.rad2deg(first.flip), 6)),
        rf_phase=np.deg2rad(np.round(np.rad2deg(first.phase - first.phase[0]) % 360, 6) % 360),
        tr=np.round(np.append(first.tr, last_tr), 9),
        te=None if no_echo else np.round(first.te, 9),
        has_inversion=trains[0].inversion is not None,
        inversion_time=round(first.inversion_time, 9),
        inversion_efficiency=round(-trains[0].z_left, 6) if trains[0].inversion else None,
        spoiling=spoiling,
        spoiler=spoiler,
        slice_profile=profile,
        repeats=len(trains),
        wait=round(float(waits[0]), 9) if len(waits) else 0.0,
        notes=(*file.notes, *early, *idle, *_notes(file, trains, given), *on_spoiling, *on_profile),
        unknown={key: text for key, text in (("te", no_echo), ("spoiling", why)) if text},
        faults=tuple(_receiver_faults(numbers, given)),
    )


def _numbers(file: PulseqFile, train: Train, given: Given) -> _Numbers:
    n = len(train.shots)
    known = given.te if given.te is not None and len(given.te) in (1, n) else None
    wanted = [None] * n if known is None else [float(te) for te in np.broadcast_to(known, n)]
    echoes = [find_echo(file, shot, te) for shot, te in zip(train.shots, wanted, strict=True)]
    centres = np.array([shot.centre for shot in train.shots])
    return _Numbers(
        flip=np.array([shot.flip for shot in train.shots]),
        phase=np.array([shot.phase for shot in train.shots]),
        te=np.array([echo.time for echo in echoes]),
        tr=np.diff(centres),
        inversion_time=float(centres[0] - train.inversion.centre) if train.inversion else 0.0,
        echoes=echoes,
    )


def _differences(trains: list[Train], numbers: list[_Numbers]) -> list[str]:
    """A sentence for each train that is not the first one again."""
    faults = []
    for k, (train, other) in enumerate(zip(trains, numbers, strict=True)):
        what = _difference(numbers[0], other)
        if what:
            where = train.shots[0].block + 1
            faults.append(
                f"train {k + 1} (from block {where}) has another {what} than the first, expected it repeated"
            )
    return faults


def _difference(first: _Numbers, other: _Numbers) -> str:
    if len(first.flip) != len(other.flip):
        return "number of repetitions"
    turned = _wrapped(other.phase - other.phase[0] - first.phase + first.phase[0])
    close = {
        "flip angle": abs(first.flip - other.flip).max() < _SAME_ANGLE,
        "RF phase": abs(turned).max() < _FOLLOWS,
        "TE": abs(first.te - other.te).max() < _SAME_TIME,
        "TR": abs(first.tr - other.tr).max(initial=0) < _SAME_TIME,
        "TI": abs(first.inversion_time - other.inversion_time) < _SAME_TIME,
    }
    return next((what for what, is_close in close.items() if not is_close), "")


def _wrapped(phase: FloatArray) -> FloatArray:
    return np.asarray(np.angle(np.exp(1j * phase)))


def _differ(times: FloatArray) -> bool:
    return bool(len(times) and np.ptp(times) > _SAME_TIME)


def _last_tr(file: PulseqFile, trains: list[Train], first: _Numbers) -> tuple[float, FloatArray]:
    """TR of the last repetition [s], which no pulse ends, and the waiting times between trains [s].

    It is the TR before it where that fits, else what is left of the file.
    """
    begin, end = trains[0].shots[0], trains[0].shots[-1]
    rest = (
        float(file.start[-1])
        - trains[-1].shots[-1].centre
        + begin.centre
        - float(file.start[begin.block])
    )
    gaps = np.array([train.inversion.centre for train in trains[1:] if train.inversion]) - np.array(
        [train.shots[-1].centre for train in trains[:-1]]
    )
    room = min([rest, *gaps]) if len(trains) == 1 else float(gaps.min())
    before = float(first.tr[-1]) if end is not begin else room
    last = before if first.te[-1] <= before <= room else room
    return last, gaps - last


def _spoiling(
    file: PulseqFile, trains: list[Train], first: _Numbers
) -> tuple[Spoiling | None, Spoiler | None, str, list[str]]:
    """Spoiling and its waveform; why they are not known; notes."""
    moments = np.concatenate([moments_between(file, train.shots) for train in trains])
    why = spoiling_trouble(moments)
    if why:
        return None, None, why, []
    moment = moments.mean(axis=0)
    size = float(np.linalg.norm(moment))
    if size <= BALANCED:
        return "none", None, "", ["gradients are balanced over each repetition: no spoiling"]
    spoiler, note = spoiler_waveform(file, trains[0].shots, first.te, moment)
    notes = [
        f"each repetition spoils by {size / 1e3:.4g} cycles/mm, taken for a full cycle over the voxel",
        note,
    ]
    extent = np.atleast_1d(file.definitions.get("FOV", []))
    if len(extent) == 3 and abs(moment[2]) > 0.9 * size and abs(moment[2]) * float(extent[2]) < 1:
        notes.append(
            f"over the {float(extent[2]) * 1e3:g} mm of the slice that is less than one cycle"
        )
    return "gradient", spoiler, "", notes


def _profile(file: PulseqFile, train: Train, given: Given) -> tuple[SliceProfile | None, list[str]]:
    if given.slice_positions is not None:
        profile, note = slice_profile(file, train.shots, given.slice_positions)
        return profile, [note]
    is_selective = any(np.any(slice_gradient(file.blocks[shot.block])[1]) for shot in train.shots)
    return None, [
        "pulses are slice-selective; their profile is left out, as no --slice-profile asks for it"
    ] * is_selective


def _notes(file: PulseqFile, trains: list[Train], given: Given) -> list[str]:
    train, notes = trains[0], ["the last TR is taken from the repetition before it"]
    if given.te is None:
        notes.append("the echo is at the sample that is nearest to k = 0")
    if len(trains) > 1:
        notes.append(f"the train plays {len(trains)} x, and the last is observed")
    if train.inversion is not None:
        notes.append(
            "the inversion's efficiency is that of its pulse on resonance at nominal B1, without relaxation"
        )
        at = [
            file.moment_at(shot.block, np.array([shot.rf.centre]))[0]
            for shot in (train.inversion, train.shots[0])
        ]
        if np.linalg.norm(at[1] - at[0]) <= BALANCED:
            notes.append(
                "no gradient crushes after the inversion; it is taken to leave no transverse magnetisation"
            )
    if given.receiver_follows:
        notes.append("the receiver follows the RF phase, as the user says")
    return notes


def _receiver_faults(numbers: list[_Numbers], given: Given) -> list[str]:
    """A sentence if the receiver does not follow the RF phase up to a constant."""
    if given.receiver_follows:
        return []
    for train in numbers:
        apart = np.array([echo.phase for echo in train.echoes]) - train.phase
        off = abs(_wrapped(apart - apart[0]))
        if off.max() > _FOLLOWS:
            n = int(off.argmax())
            return [
                f"receiver: in repetition {n} it is {np.rad2deg(off[n]):.4g} deg off the RF phase, expected one "
                "constant difference; --receiver-follows says that the reconstruction takes care of it"
            ]
    return []
