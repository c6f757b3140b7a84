"""A Pulseq file (.seq) as an RF sequence.

Times count from the centres of the pulses. Signs of phases are those of the file.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.formats.sequence.pulseq.echo import BALANCED, echo_fault
from mrftool.formats.sequence.pulseq.file import PulseqFile, read_pulseq
from mrftool.formats.sequence.pulseq.numbers import (
    TrainNumbers,
    receiver_faults,
    repeat_faults,
    train_numbers,
    wait_faults,
)
from mrftool.formats.sequence.pulseq.profile import slice_profile
from mrftool.formats.sequence.pulseq.programme import Item, Played, items_of, played
from mrftool.formats.sequence.pulseq.shots import (
    Shot,
    Train,
    list_shots,
    slice_faults,
    slice_gradient,
    sort_into_trains,
)
from mrftool.formats.sequence.pulseq.spoiling import (
    moments_between,
    spoiler_waveform,
    spoiling_fault,
)
from mrftool.formats.sequence.sources import Fault, Findings, Given, refuse
from mrftool.sequence import Event, SliceProfile

_ROUNDING = 1e-9  # of times [s]
_ALONG_SLICE = 0.9  # fraction of the spoiling moment from which it counts as along the slice


def pulseq_findings(path: Path, given: Given) -> Findings:
    """What a Pulseq file says.

    Raises
    ------
    InputError
        If the file is damaged, or plays what a `PulseSequence` cannot hold.
    """
    file = read_pulseq(path, given.field)
    refuse(path, _rhythm_faults(file, given))
    shots, early = list_shots(file)
    trains, faults, idle = sort_into_trains(shots)
    inside = tuple(shot for train in trains for shot in train.shots)
    if file.triggers or (faults and inside and trains[-1].shots):
        return _programme_findings(path, file, shots, given, early)
    refuse(path, [*faults, *slice_faults(inside)])
    numbers = [train_numbers(file, train, given) for train in trains]
    last_tr, waits, on_last_tr = _last_tr(file, trains, numbers[0])
    if repeat_faults(trains, numbers) or wait_faults(waits):
        return _programme_findings(path, file, shots, given, early)
    spoiling, on_spoiling = _spoiling(file, trains, numbers[0])
    profile, on_profile = _profile(file, trains[0], given)
    unknown = dict(spoiling.pop("unknown", {}))
    te_fault = echo_fault(numbers[0].echoes)
    if te_fault is not None and given.te is None:
        unknown["te"] = te_fault
    on_trains = [*early, *idle, on_last_tr]
    notes = (*file.notes, *on_trains, *_notes(file, trains, given), *on_spoiling, *on_profile)
    return Findings(
        f"Pulseq {file.version} file",
        **_columns(numbers[0], last_tr, is_te_known="te" not in unknown),
        **_inversion(trains[0], numbers[0]),
        **spoiling,
        slice_profile=profile,
        repeats=len(trains),
        wait=round(float(waits[0]), 9),
        notes=notes,
        unknown=unknown,
        faults=tuple(receiver_faults(numbers, given)),
    )


def _rhythm_faults(file: PulseqFile, given: Given) -> list[Fault]:
    """A fault where RR intervals are given that nothing waits for."""
    if given.rr is None or file.triggers:
        return []
    return [Fault("RR intervals are given, but the file waits for no trigger", ("rr",))]


def _programme_findings(
    path: Path, file: PulseqFile, shots: Sequence[Shot], given: Given, notes: list[str]
) -> Findings:
    """The same of a file that is no train of one kind: its events."""
    items, faults = items_of(file, shots)
    readouts = tuple(item.shots[0] for item in items if item.acquire)
    refuse(path, [*faults, *slice_faults(readouts)])
    found = played(file, items)
    events = _events_in_time(path, found, given)
    runs = list(_runs(items))
    numbers = [train_numbers(file, run, given) for run in runs]
    longest = max(range(len(runs)), key=lambda n: len(runs[n].shots))
    spoiling, on_spoiling = _spoiling(file, [runs[longest], *runs], numbers[longest])
    profile, on_profile = _profile(file, runs[0], given)
    unknown = dict(spoiling.pop("unknown", {}))
    te_fault = echo_fault(list(chain.from_iterable(each.echoes for each in numbers)))
    if te_fault is not None and given.te is None:
        unknown["te"] = te_fault
    return Findings(
        f"Pulseq {file.version} file",
        **_event_columns(found, numbers, is_te_known="te" not in unknown),
        **spoiling,
        slice_profile=profile,
        events=events,
        notes=(*file.notes, *notes, *_event_notes(items, len(shots)), *on_spoiling, *on_profile),
        unknown=unknown,
        faults=tuple(receiver_faults(numbers, given)),
    )


def _events_in_time(path: Path, found: Played, given: Given) -> tuple[Event, ...]:
    """The events, with triggers at the times that the user gives."""
    programme = found.programme
    if found.n_triggers > 1 and given.rr is None:
        text = f"the file waits for {found.n_triggers} triggers, expected the RR intervals"
        refuse(path, [Fault(f"{text} between them [ms]", ("rr",))])
    if found.n_triggers:
        programme = found.events(given.rr)
        refuse(path, [Fault(text) for _, text in programme.faults])
    return tuple(event for _, event in programme.events if event is not None)


def _runs(items: Sequence[Item]) -> Iterator[Train]:
    """Pulses with readouts that follow each other."""
    run: list[Shot] = []
    for item in items:
        if item.acquire:
            run.append(item.shots[0])
        elif run:
            yield Train(None, 1.0, tuple(run))
            run = []
    if run:
        yield Train(None, 1.0, tuple(run))


def _event_columns(
    found: Played, numbers: Sequence[TrainNumbers], *, is_te_known: bool
) -> dict[str, Any]:
    """Columns of all pulses, dummies included; TE of dummies counts as 0."""
    shots = [item.shots[0] for item in found.pulses]
    acquired = np.array([item.acquire for item in found.pulses])
    te = np.zeros(len(shots))
    te[acquired] = np.concatenate([each.te for each in numbers])
    phase = np.array([shot.phase for shot in shots])
    relative = np.rad2deg(phase - phase[0]) % 360
    columns = {
        "flip_angle": np.deg2rad(np.round(np.rad2deg([shot.flip for shot in shots]), 6)),
        "rf_phase": np.deg2rad(np.round(relative, 6) % 360),
        "tr": found.tr,
    }
    if is_te_known:
        columns["te"] = np.round(te, 9)
    return columns


def _event_notes(items: Sequence[Item], n_shots: int) -> list[str]:
    """How many preparations and dummy pulses were found, and what is assumed of them."""
    names = [item.kind for item in items if not item.acquire]
    counts = [f"{names.count(name)} {name}" for name in dict.fromkeys(names)]
    notes = []
    idle = n_shots - sum(len(item.shots) for item in items)
    if idle:
        notes.append(f"{idle} RF pulses that leave water as it is are left out, as fat saturation")
    if not counts:
        return notes
    listed = ", ".join(counts)
    return [
        *notes,
        f"found between the readouts: {listed}; preparations count as those of their pulses on "
        "resonance at nominal B1, with a perfect crusher",
    ]


def _columns(numbers: TrainNumbers, last_tr: float, *, is_te_known: bool) -> dict[str, Any]:
    """Columns of the sequence, rounded to what the file's numbers can resolve."""
    relative = np.rad2deg(numbers.phase - numbers.phase[0]) % 360
    columns = {
        "flip_angle": np.deg2rad(np.round(np.rad2deg(numbers.flip), 6)),
        "rf_phase": np.deg2rad(np.round(relative, 6) % 360),
        "tr": np.round(np.append(numbers.tr, last_tr), 9),
    }
    if is_te_known:
        columns["te"] = np.round(numbers.te, 9)
    return columns


def _inversion(train: Train, numbers: TrainNumbers) -> dict[str, Any]:
    if train.inversion is None:
        return {"has_inversion": False}
    return {
        "has_inversion": True,
        "inversion_time": round(numbers.inversion_time, 9),
        "inversion_efficiency": round(-train.z_left, 6),
    }


def _last_tr(
    file: PulseqFile, trains: list[Train], first: TrainNumbers
) -> tuple[float, FloatArray, str]:
    """TR of the last repetition [s], which no pulse ends, waiting times between trains [s], a note.

    It is the TR before it where that fits, else what is left of the file. One train has no waiting
    time, which counts as 0.
    """
    begin, end = trains[0].shots[0], trains[0].shots[-1]
    inversions = [train.inversion.centre for train in trains[1:] if train.inversion]
    gaps = np.array(inversions) - np.array([train.shots[-1].centre for train in trains[:-1]])
    if len(trains) == 1:
        lead = begin.centre - float(file.start[begin.block])
        room = float(file.start[-1]) - end.centre + lead
    else:
        room = float(gaps.min())
    last, note = room, "the last TR is what is left of the file"
    if end is not begin and first.te[-1] <= first.tr[-1] <= room + _ROUNDING:
        last, note = float(first.tr[-1]), "the last TR is taken from the repetition before it"
    if not len(gaps):
        return last, np.zeros(1), note
    return last, gaps - last, note


def _spoiling(
    file: PulseqFile, trains: list[Train], first: TrainNumbers
) -> tuple[dict[str, Any], list[str]]:
    """Fields of `Findings` on spoiling, or why it is unknown; and notes."""
    moments = np.concatenate([moments_between(file, train.shots) for train in trains])
    fault = spoiling_fault(moments)
    if fault is not None:
        return {"unknown": {"spoiling": fault}}, []
    moment = moments.mean(axis=0)
    size = float(np.linalg.norm(moment))
    if size <= BALANCED:
        note = "gradients are balanced over each repetition: no spoiling"
        return {"spoiling": "none"}, [note]
    spoiler, note = spoiler_waveform(file, trains[0].shots, first.te, moment)
    assumed = "which is assumed to be a full cycle over the voxel"
    notes = [f"each repetition spoils by {size / 1e3:.4g} cycles/mm, {assumed}", note]
    thickness = _slice_thickness(file)
    if abs(moment[2]) > _ALONG_SLICE * size and abs(moment[2]) * thickness < 1:
        notes.append(f"over the slice of {thickness * 1e3:g} mm that is less than one cycle")
    return {"spoiling": "gradient", "spoiler": spoiler}, notes


def _slice_thickness(file: PulseqFile) -> float:
    """Third size of the field of view [m], infinite where the file does not say it."""
    words = file.definitions.get("FOV", [])
    try:
        return float(words[2])
    except (ValueError, IndexError):
        return np.inf


def _profile(file: PulseqFile, train: Train, given: Given) -> tuple[SliceProfile | None, list[str]]:
    if given.slice_positions is not None:
        profile, note = slice_profile(file, train.shots, given.slice_positions)
        return profile, [note]
    is_selective = any(np.any(slice_gradient(file.blocks[shot.block])[1]) for shot in train.shots)
    if not is_selective:
        return None, []
    return None, ["pulses are slice-selective; their profile is left out, as it was not asked for"]


def _notes(file: PulseqFile, trains: list[Train], given: Given) -> list[str]:
    notes = []
    if given.te is None:
        notes.append("the echo is at the sample that is nearest to k = 0")
    if len(trains) > 1:
        notes.append(f"the train plays {len(trains)} x, and the last is observed")
    if trains[0].inversion is not None:
        notes += _inversion_notes(file, trains[0], trains[0].inversion)
    if given.receiver_follows:
        notes.append("the receiver follows the RF phase, as the user says")
    return notes


def _inversion_notes(file: PulseqFile, train: Train, inversion: Shot) -> list[str]:
    notes = [
        "the inversion's efficiency is that of its pulse on resonance at nominal B1, without "
        "relaxation"
    ]
    before, after = (
        file.moment_at(shot.block, np.array([shot.rf.centre]))[0]
        for shot in (inversion, train.shots[0])
    )
    if np.linalg.norm(after - before) <= BALANCED:
        notes.append(
            "no gradient crushes after the inversion; it is assumed to leave no transverse "
            "magnetisation"
        )
    return notes
