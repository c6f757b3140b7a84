"""What can be wrong with the numbers of a sequence: every fault is found before one is built."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from mrftool.arrays import BoolArray, FloatArray, IndexArray
from mrftool.sequence.events import MAX_TIME, Event, Preparation, Pulses
from mrftool.sequence.parts import SliceProfile, Spoiler, Spoiling
from mrftool.sequence.readout_faults import readout_faults
from mrftool.sequence.selective_pulse import SelectivePulse

COLUMNS = ("flip_angle", "rf_phase", "tr", "te")

Faults = list[tuple[str, str]]  # field, what is wrong and what was expected

_MAX_FLIP = 4 * np.pi


def sequence_faults(
    *,
    flip_angle: FloatArray,
    rf_phase: FloatArray,
    tr: FloatArray,
    te: FloatArray,
    events: Sequence[Event] = (Pulses(),),
    spoiling: Spoiling = "gradient",
    spoiler: Spoiler | None = None,
    slice_profile: SliceProfile | SelectivePulse | None = None,
    later_echoes: ArrayLike = (),
    receiver_phase: ArrayLike | None = None,
    spoiler_cycles: ArrayLike | None = None,
) -> Faults:
    """All that is wrong with the numbers that a `PulseSequence` would be built from.

    Parameters
    ----------
    flip_angle, rf_phase : array (pulse,)
        [rad]
    tr, te : array (pulse,)
        [s]
    events, spoiling, spoiler, slice_profile, later_echoes, receiver_phase, spoiler_cycles
        As in `PulseSequence`.

    Returns
    -------
    list of (str, str)
        Field, and what is wrong and what was expected.
    """
    columns = dict(zip(COLUMNS, map(np.asarray, (flip_angle, rf_phase, tr, te)), strict=True))
    faults = _shape_faults(columns)
    if faults:
        return faults
    faults = [
        *_number_faults(columns),
        *_te_faults(columns["tr"] * 1e3, columns["te"] * 1e3),
        *_event_faults(events, len(columns["tr"])),
    ]
    if spoiling not in ("gradient", "none"):
        text = f"spoiling {spoiling!r}, expected 'gradient' or 'none'"
        faults.append(("spoiling", text))
    echoes = np.asarray(later_echoes, np.float64)
    faults += readout_faults(columns, echoes, receiver_phase, spoiling, spoiler_cycles)
    if spoiler is not None:
        room = float((columns["tr"] - columns["te"]).min()) - float(max(echoes, default=0.0))
        faults += _spoiler_faults(spoiler, spoiling, room)
    if isinstance(slice_profile, SelectivePulse):
        faults += _pulse_faults(slice_profile, columns, spoiling)
    elif slice_profile is not None:
        faults += _profile_faults(slice_profile)
    return faults


def _shape_faults(columns: Mapping[str, FloatArray]) -> Faults:
    n = columns["flip_angle"].shape
    if len(n) != 1 or n[0] == 0:
        return [("flip_angle", f"flip_angle has shape {n}, expected one value per repetition")]
    return [
        (key, f"{key} has shape {column.shape}, expected {n}")
        for key, column in columns.items()
        if column.shape != n
    ]


def _number_faults(columns: Mapping[str, FloatArray]) -> Faults:
    flip, phase = np.rad2deg(columns["flip_angle"]), np.rad2deg(columns["rf_phase"])
    is_flip = abs(columns["flip_angle"]) <= _MAX_FLIP
    tr, te = columns["tr"] * 1e3, columns["te"] * 1e3
    longest = MAX_TIME * 1e3
    is_tr, is_te = (tr > 0) & (tr <= longest), (te >= 0) & (te <= longest)
    return [
        *_range_faults("flip_angle", flip, "deg", is_flip, "-720 to 720 deg"),
        *_range_faults("rf_phase", phase, "deg", np.isfinite(phase), "a finite angle"),
        *_range_faults("tr", tr, "ms", is_tr, "more than 0 ms, at most 60 s"),
        *_range_faults("te", te, "ms", is_te, "0 ms or more, at most 60 s"),
    ]


def _range_faults(
    key: str, shown: FloatArray, unit: str, is_good: BoolArray, expected: str
) -> Faults:
    bad = np.flatnonzero(~is_good)
    if not bad.size:
        return []
    n = bad[0]
    return [
        (key, f"repetition {n}: {key} {shown[n]:g} {unit}{_more(bad)}, expected {expected}"),
    ]


def _te_faults(tr: FloatArray, te: FloatArray) -> Faults:
    bad = np.flatnonzero(te > tr)
    if not bad.size:
        return []
    n = bad[0]
    where = f"repetition {n}: TE {te[n]:g} ms is outside TR {tr[n]:g} ms"
    return [("te", f"{where}{_more(bad)}, expected TE <= TR")]


def _more(bad: IndexArray) -> str:
    if bad.size == 1:
        return ""
    return f" (and {bad.size - 1} more)"


def _event_faults(events: Sequence[Event], n_pulses: int) -> Faults:
    faults = []
    for place, event in enumerate(events):
        texts = _faults_of_event(event, n_pulses)
        faults += [("events", f"event {place}: {text}") for text in texts]
    if not any(isinstance(event, Pulses) and event.acquire for event in events):
        faults.append(("events", "no event acquires echoes, expected pulses that do"))
    return faults


def _faults_of_event(event: object, n_pulses: int) -> list[str]:
    if isinstance(event, Event):
        return event.faults(n_pulses)
    kinds = ", ".join(kind.__name__ for kind in Preparation.__subclasses__())
    return [f"{type(event).__name__} is no event, expected one of Pulses, {kinds}"]


def _spoiler_faults(spoiler: Spoiler, spoiling: str, room: float) -> Faults:
    if spoiling == "none":
        fault = "a spoiler waveform needs spoiling 'gradient'"
    else:
        fault = _waveform_fault(spoiler, room)
    return [("spoiler", fault)] if fault else []


def _waveform_fault(spoiler: Spoiler, room: float) -> str:
    """What is wrong with a spoiler that has this much time [s]; "" where nothing is."""
    gradient, duration = spoiler.gradient, spoiler.duration
    if not _is_one_amplitude_per_piece(gradient, duration):
        return "the spoiler needs one amplitude and one duration per piece"
    if not (np.isfinite(gradient).all() and np.isfinite(duration).all() and duration.min() > 0):
        return "spoiler amplitudes and durations must be finite, durations more than 0 ms"
    if np.linalg.norm(spoiler.moment) < 1e-12:
        return "the spoiler's pieces cancel: it would not spoil; expected a net moment"
    if duration.sum() > room + 1e-12:
        lasts, least = f"{duration.sum() * 1e3:g} ms", f"{room * 1e3:g} ms"
        return f"the spoiler lasts {lasts}, expected at most TR - TE = {least}"
    return ""


def _is_one_amplitude_per_piece(gradient: FloatArray, duration: FloatArray) -> bool:
    has_pieces = gradient.size > 0 and gradient.ndim in (1, 2)
    return has_pieces and gradient.shape[-1:] == duration.shape


def _pulse_faults(
    pulse: SelectivePulse, columns: Mapping[str, FloatArray], spoiling: str
) -> Faults:
    texts = pulse.faults()
    half = pulse.duration / 2
    room = {"TE": columns["te"], "TR - TE": columns["tr"] - columns["te"]}
    for name, times in room.items():
        bad = np.flatnonzero(times < half - 1e-12)
        if bad.size:
            has = f"repetition {bad[0]}: {name} is {times[bad[0]] * 1e3:g} ms{_more(bad)}"
            texts.append(f"{has}, expected at least half of the pulse, {half * 1e3:g} ms")
    if spoiling == "none" and pulse.rephasing != 1:
        texts.append(f"rephasing {pulse.rephasing:g}, expected 1 where no gradient spoils")
    return [("slice_profile", text) for text in texts]


def _profile_faults(profile: SliceProfile) -> Faults:
    fault = _profile_fault(profile)
    return [("slice_profile", fault)] if fault else []


def _profile_fault(profile: SliceProfile) -> str:
    """What is wrong with a slice profile; "" where nothing is."""
    factor, weight = profile.flip_factor, profile.weight
    if factor.shape != weight.shape or factor.ndim != 1 or not factor.size:
        return "the slice profile needs one flip factor and one weight per position"
    if not (np.isfinite(factor).all() and np.isfinite(weight).all() and factor.min() >= 0):
        return "slice-profile numbers must be finite, flip factors 0 or more"
    if abs(weight.sum() - 1) > 1e-6:
        return f"slice-profile weights sum to {weight.sum():g}, expected 1"
    return ""
