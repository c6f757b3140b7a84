"""The RF sequence: what the scanner played, repetition by repetition. SI units and radians."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mrftool.arrays import BoolArray, FloatArray
from mrftool.errors import InputError

Spoiling = Literal["gradient", "none"]

_MAX_FLIP = 4 * np.pi
_MAX_TIME = 60.0


@dataclass(frozen=True)
class Inversion:
    """An inversion pulse before the train, followed by a perfect crusher of transverse
    magnetisation.

    efficiency: Mz after the pulse is -efficiency x Mz before it, 0 to 1 [1].
    time: from the inversion pulse to the first RF pulse of the train [s].
    """

    efficiency: float = 1.0
    time: float = 0.0


@dataclass(frozen=True, eq=False)
class Spoiler:
    """The gradient waveform that plays after each echo, as constant pieces; it says how strongly
    diffusion acts.

    gradient: amplitude of each piece `(piece,)`, or on each of several axes `(axis, piece)` [T/m].
    duration: of each piece `(piece,)` [s]. Zero gradient fills the rest of TR.
    """

    gradient: FloatArray
    duration: FloatArray

    def __post_init__(self) -> None:
        _freeze_columns(self, "gradient", "duration")

    @property
    def axes(self) -> FloatArray:
        """Amplitudes `(axis, piece)` [T/m]."""
        return np.atleast_2d(self.gradient)

    @property
    def moment(self) -> FloatArray:
        """Net moment on each axis `(axis,)` [T s/m]."""
        return np.asarray(self.axes @ self.duration)


@dataclass(frozen=True, eq=False)
class SliceProfile:
    """The slice as a weighted sum of positions that see a fraction of the nominal flip angle.

    flip_factor: actual / nominal flip angle at each position `(position,)` [1].
    weight: share of each position in the signal `(position,)`, sums to 1 [1].
    """

    flip_factor: FloatArray
    weight: FloatArray

    def __post_init__(self) -> None:
        _freeze_columns(self, "flip_factor", "weight")


@dataclass(frozen=True, eq=False)
class PulseSequence:
    """A train of RF pulses, each followed by an echo at TE: `time` repetitions. Valid once built.

    Two sequences are equal if no signal can tell them apart: if they have one `sequence_id`.

    flip_angle, rf_phase: `(time,)` [rad]. tr, te: `(time,)` [s]; TE counts from the centre of the
    pulse.
    inversion: before each train, or None.
    repeats: how often the train is played; the last one is observed. wait: recovery between trains
    [s].
    spoiling: "gradient" = one full cycle over the voxel per repetition, after the echo; "none" =
    balanced.

    Raises InputError naming every fault, if the numbers are no possible sequence.
    """

    flip_angle: FloatArray
    rf_phase: FloatArray
    tr: FloatArray
    te: FloatArray
    inversion: Inversion | None = None
    repeats: int = 1
    wait: float = 0.0
    spoiling: Spoiling = "gradient"
    spoiler: Spoiler | None = None
    slice_profile: SliceProfile | None = None
    name: str = "unnamed"

    def __post_init__(self) -> None:
        _freeze_columns(self, "flip_angle", "rf_phase", "tr", "te")
        faults = sequence_faults(self)
        if faults:
            raise InputError(f"sequence {self.name}: " + "; ".join(text for _, text in faults))

    def __len__(self) -> int:
        return len(self.flip_angle)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PulseSequence) and self.sequence_id == other.sequence_id

    def __hash__(self) -> int:
        return hash(self.sequence_id)

    @property
    def duration(self) -> float:
        """Time from the first pulse to the end of the observed train, inversion and waiting
        included [s].
        """
        lead = self.inversion.time if self.inversion else 0.0
        return self.repeats * (lead + float(self.tr.sum())) + (self.repeats - 1) * self.wait

    @cached_property
    def sequence_id(self) -> str:
        """Digest of exactly the numbers that the signal depends on, 16 hexadecimal digits.

        Numbers count as files give them (deg, ms, mT/m), to 6 decimals; a file that gives 9 keeps
        the digest. Phases count modulo 360 degrees and relative to the first one: a receiver that
        follows the RF phase sees no constant phase. A waiting time, or a rest of the last TR, that
        no echo follows does not count.
        """
        digest = hashlib.sha256(b"mrftool sequence 1")
        for numbers in _identity(self):
            digest.update(np.asarray(numbers, "<f8").tobytes() + b"|")
        return digest.hexdigest()[:16]


def sequence_faults(sequence: PulseSequence) -> list[tuple[str, str]]:
    """All that is wrong with the numbers of `sequence`, as (field, what is wrong and what was
    expected).
    """
    shapes = _shape_faults(sequence)
    if shapes:
        return shapes
    flip, phase = np.rad2deg(sequence.flip_angle), np.rad2deg(sequence.rf_phase)
    tr, te = sequence.tr * 1e3, sequence.te * 1e3
    longest = _MAX_TIME * 1e3
    return [
        *_range_faults(
            "flip_angle", flip, "deg", abs(sequence.flip_angle) <= _MAX_FLIP, "-720 to 720 deg"
        ),
        *_range_faults("rf_phase", phase, "deg", np.isfinite(phase), "a finite angle"),
        *_range_faults("tr", tr, "ms", (tr > 0) & (tr <= longest), "more than 0 ms, at most 60 s"),
        *_range_faults("te", te, "ms", (te >= 0) & (te <= longest), "0 ms or more, at most 60 s"),
        *_te_faults(tr, te),
        *_preparation_faults(sequence),
        *_spoiler_faults(sequence),
        *_profile_faults(sequence.slice_profile),
    ]


def _freeze_columns(noun: object, *keys: str) -> None:
    """Replace the fields `keys` by float64 arrays of their own that nobody can write to."""
    for key in keys:
        column = np.array(getattr(noun, key), np.float64)
        column.setflags(write=False)
        object.__setattr__(noun, key, column)


def _shape_faults(sequence: PulseSequence) -> list[tuple[str, str]]:
    n = sequence.flip_angle.shape
    if len(n) != 1 or n[0] == 0:
        return [("flip_angle", f"flip_angle has shape {n}, expected one value per repetition")]
    columns = {key: getattr(sequence, key).shape for key in ("rf_phase", "tr", "te")}
    return [
        (key, f"{key} has shape {shape}, expected {n}")
        for key, shape in columns.items()
        if shape != n
    ]


def _range_faults(
    key: str, shown: FloatArray, unit: str, is_good: BoolArray, expected: str
) -> list[tuple[str, str]]:
    bad = np.flatnonzero(~is_good)
    if not bad.size:
        return []
    return [
        (
            key,
            f"repetition {bad[0]}: {key} {shown[bad[0]]:g} {unit}{_more(bad)}, expected {expected}",
        )
    ]


def _te_faults(tr: FloatArray, te: FloatArray) -> list[tuple[str, str]]:
    bad = np.flatnonzero(te > tr)
    if not bad.size:
        return []
    n = bad[0]
    return [
        (
            "te",
            f"repetition {n}: TE {te[n]:g} ms is outside TR {tr[n]:g} ms{_more(bad)}, expected TE <= TR",
        )
    ]


def _more(bad: NDArray[np.intp]) -> str:
    return f" (and {bad.size - 1} more)" if bad.size > 1 else ""


def _preparation_faults(sequence: PulseSequence) -> list[tuple[str, str]]:
    faults = []
    inversion = sequence.inversion
    if inversion and not 0 <= inversion.efficiency <= 1:
        faults.append(
            ("inversion", f"inversion efficiency {inversion.efficiency:g}, expected 0 to 1")
        )
    if inversion and not 0 <= inversion.time <= _MAX_TIME:
        faults.append(
            ("inversion", f"inversion time {inversion.time * 1e3:g} ms, expected 0 ms to 60 s")
        )
    if not (isinstance(sequence.repeats, (int, np.integer)) and 1 <= sequence.repeats <= 1000):
        faults.append(
            (
                "repeats",
                f"{sequence.repeats} repeats of the train, expected a whole number from 1 to 1000",
            )
        )
    if not 0 <= sequence.wait <= _MAX_TIME:
        faults.append(("wait", f"waiting time {sequence.wait * 1e3:g} ms, expected 0 ms to 60 s"))
    if sequence.spoiling not in ("gradient", "none"):
        faults.append(
            ("spoiling", f"spoiling {sequence.spoiling!r}, expected 'gradient' or 'none'")
        )
    return faults


def _spoiler_faults(sequence: PulseSequence) -> list[tuple[str, str]]:
    spoiler = sequence.spoiler
    if spoiler is None:
        return []
    gradient, duration = spoiler.gradient, spoiler.duration
    room = float((sequence.tr - sequence.te).min())
    fault = ""
    if sequence.spoiling == "none":
        fault = "a spoiler waveform needs spoiling 'gradient'"
    elif gradient.shape[-1:] != duration.shape or gradient.ndim not in (1, 2) or not gradient.size:
        fault = "the spoiler needs one amplitude and one duration per piece"
    elif not (np.isfinite(gradient).all() and np.isfinite(duration).all() and (duration > 0).all()):
        fault = "spoiler amplitudes and durations must be finite, durations more than 0 ms"
    elif np.linalg.norm(spoiler.moment) < 1e-12:
        fault = "the spoiler's pieces cancel: it would not spoil; expected a net moment"
    elif duration.sum() > room + 1e-12:
        fault = f"the spoiler lasts {duration.sum() * 1e3:g} ms, expected at most TR - TE = {room * 1e3:g} ms"
    return [("spoiler", fault)] if fault else []


def _profile_faults(profile: SliceProfile | None) -> list[tuple[str, str]]:
    if profile is None:
        return []
    factor, weight = profile.flip_factor, profile.weight
    if factor.shape != weight.shape or factor.ndim != 1 or not factor.size:
        return [
            ("slice_profile", "the slice profile needs one flip factor and one weight per position")
        ]
    if not (np.isfinite(factor).all() and np.isfinite(weight).all() and (factor >= 0).all()):
        return [("slice_profile", "slice-profile numbers must be finite, flip factors 0 or more")]
    if abs(weight.sum() - 1) > 1e-6:
        return [("slice_profile", f"slice-profile weights sum to {weight.sum():g}, expected 1")]
    return []


def _identity(sequence: PulseSequence) -> list[ArrayLike]:
    phase = np.rint(np.rad2deg(sequence.rf_phase) % 360 * 1e9)
    inversion, spoiler, profile = sequence.inversion, sequence.spoiler, sequence.slice_profile
    is_repeated = sequence.repeats > 1
    return [
        _six_decimals(np.rad2deg(sequence.flip_angle)),
        np.rint((phase - phase[0]) / 1e3) % 360e6,
        _six_decimals((sequence.tr if is_repeated else sequence.tr[:-1]) * 1e3),
        _six_decimals(sequence.te * 1e3),
        [] if inversion is None else _six_decimals([inversion.efficiency, inversion.time * 1e3]),
        [sequence.repeats, *_six_decimals([sequence.wait * 1e3 if is_repeated else 0.0])],
        [sequence.spoiling == "gradient"],
        [] if spoiler is None else _waveform(spoiler),
        [] if profile is None else _six_decimals(np.r_[profile.flip_factor, profile.weight]),
    ]


def _waveform(spoiler: Spoiler) -> FloatArray:
    """Amplitudes and durations; axes without a gradient do not count."""
    axes = spoiler.axes[spoiler.axes.any(axis=1)]
    numbers = _six_decimals(np.r_[axes.ravel(), spoiler.duration] * 1e3)
    return numbers if len(axes) == 1 else np.r_[len(axes), numbers]


def _six_decimals(values: ArrayLike) -> FloatArray:
    """Millionths, rounded in two steps: to 9 decimals, as files may, then to 6.

    In one step, a number half-way between two millionths could go one way before a file and the
    other way after.
    """
    return (
        np.rint(np.rint(np.asarray(values, np.float64) * 1e9) / 1e3) + 0.0
    )  # + 0.0: no negative zero
