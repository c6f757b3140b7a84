"""The RF sequence: what the scanner played, repetition by repetition. SI units and radians."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mrftool.errors import InputError

Column = NDArray[np.float64]
Spoiling = Literal["gradient", "none"]

_MAX_FLIP = 4 * np.pi
_MAX_TIME = 60.0


@dataclass(frozen=True)
class Inversion:
    """An inversion pulse before the train, followed by a perfect crusher of transverse magnetisation.

    efficiency: Mz after the pulse is -efficiency x Mz before it, 0 to 1 [1].
    time: from the inversion pulse to the first RF pulse of the train [s].
    """

    efficiency: float = 1.0
    time: float = 0.0


@dataclass(frozen=True)
class Spoiler:
    """The gradient waveform that plays after each echo, as constant pieces; it says how strongly diffusion acts.

    gradient: amplitude of each piece `(piece,)` [T/m]. duration: of each piece `(piece,)` [s].
    Zero gradient fills the rest of TR.
    """

    gradient: Column
    duration: Column


@dataclass(frozen=True)
class SliceProfile:
    """The slice as a weighted sum of positions that see a fraction of the nominal flip angle.

    flip_factor: actual / nominal flip angle at each position `(position,)` [1].
    weight: share of each position in the signal `(position,)`, sums to 1 [1].
    """

    flip_factor: Column
    weight: Column


@dataclass(frozen=True)
class PulseSequence:
    """A train of RF pulses, each followed by an echo at TE: `time` repetitions. Valid once built.

    flip_angle, rf_phase: `(time,)` [rad]. tr, te: `(time,)` [s]; TE counts from the centre of the pulse.
    inversion: before each train, or None.
    repeats: how often the train is played; the last one is observed. wait: recovery between trains [s].
    spoiling: "gradient" = one full cycle over the voxel per repetition, after the echo; "none" = balanced.

    Raises InputError naming every fault, if the numbers are no possible sequence.
    """

    flip_angle: Column
    rf_phase: Column
    tr: Column
    te: Column
    inversion: Inversion | None = None
    repeats: int = 1
    wait: float = 0.0
    spoiling: Spoiling = "gradient"
    spoiler: Spoiler | None = None
    slice_profile: SliceProfile | None = None
    name: str = field(default="unnamed", compare=False)

    def __post_init__(self) -> None:
        for key in ("flip_angle", "rf_phase", "tr", "te"):
            object.__setattr__(self, key, _frozen_column(getattr(self, key)))
        faults = sequence_faults(self)
        if faults:
            raise InputError(f"sequence {self.name}: " + "; ".join(text for _, text in faults))

    def __len__(self) -> int:
        return len(self.flip_angle)

    @property
    def duration(self) -> float:
        """Time from the first pulse to the end of the observed train, inversion and waiting included [s]."""
        lead = self.inversion.time if self.inversion else 0.0
        return self.repeats * (lead + float(self.tr.sum())) + (self.repeats - 1) * self.wait

    @property
    def sequence_id(self) -> str:
        """Digest of exactly the numbers that the signal depends on, 16 hexadecimal digits.

        Angles count in micro-degrees, phases modulo 360 degrees and relative to the first one (a constant
        phase is not seen by a receiver that follows it), times in nanoseconds: a file round trip keeps it.
        """
        digest = hashlib.sha256(b"mrftool sequence 1")
        for numbers in _identity(self):
            digest.update(np.asarray(numbers, np.int64).tobytes() + b"|")
        return digest.hexdigest()[:16]


def sequence_faults(sequence: PulseSequence) -> list[tuple[str, str]]:
    """All that is wrong with the numbers of `sequence`, as (field, what is wrong and what was expected)."""
    shapes = _shape_faults(sequence)
    if shapes:
        return shapes
    return [
        *_range_faults(sequence, "flip_angle", lambda x: abs(x) <= _MAX_FLIP, "-720 to 720 deg", np.rad2deg, "deg"),
        *_range_faults(sequence, "rf_phase", np.isfinite, "a finite angle", np.rad2deg, "deg"),
        *_range_faults(sequence, "tr", lambda x: (x > 0) & (x <= _MAX_TIME), "more than 0 ms, at most 60 s", _ms, "ms"),
        *_range_faults(sequence, "te", lambda x: (x >= 0) & (x <= _MAX_TIME), "0 ms or more, at most 60 s", _ms, "ms"),
        *_te_faults(sequence),
        *_preparation_faults(sequence),
        *_spoiler_faults(sequence),
        *_profile_faults(sequence.slice_profile),
    ]


def _frozen_column(values: ArrayLike) -> Column:
    column = np.array(values, np.float64)
    column.setflags(write=False)
    return column


def _shape_faults(sequence: PulseSequence) -> list[tuple[str, str]]:
    n = sequence.flip_angle.shape
    if len(n) != 1 or n[0] == 0:
        return [("flip_angle", f"flip_angle has shape {n}, expected one value per repetition")]
    columns = {key: getattr(sequence, key).shape for key in ("rf_phase", "tr", "te")}
    return [(key, f"{key} has {shape} values, expected {n[0]}") for key, shape in columns.items() if shape != n]


def _ms(seconds: float) -> float:
    return seconds * 1e3


def _range_faults(
    sequence: PulseSequence,
    key: str,
    is_good: Callable[[Column], NDArray[np.bool_]],
    expected: str,
    show: Callable[[float], float],
    unit: str,
) -> list[tuple[str, str]]:
    column = getattr(sequence, key)
    with np.errstate(invalid="ignore"):
        bad = np.flatnonzero(~is_good(column) | ~np.isfinite(column))
    if not bad.size:
        return []
    more = f" (and {bad.size - 1} more)" if bad.size > 1 else ""
    return [(key, f"repetition {bad[0]}: {key} {show(column[bad[0]]):g} {unit}{more}, expected {expected}")]


def _te_faults(sequence: PulseSequence) -> list[tuple[str, str]]:
    bad = np.flatnonzero(sequence.te > sequence.tr)
    if not bad.size:
        return []
    n = bad[0]
    more = f" (and {bad.size - 1} more)" if bad.size > 1 else ""
    te, tr = _ms(sequence.te[n]), _ms(sequence.tr[n])
    return [("te", f"repetition {n}: TE {te:g} ms is outside TR {tr:g} ms{more}, expected TE <= TR")]


def _preparation_faults(sequence: PulseSequence) -> list[tuple[str, str]]:
    faults = []
    inversion = sequence.inversion
    if inversion and not 0 <= inversion.efficiency <= 1:
        faults.append(("inversion", f"inversion efficiency {inversion.efficiency:g}, expected 0 to 1"))
    if inversion and not 0 <= inversion.time <= _MAX_TIME:
        faults.append(("inversion", f"inversion time {_ms(inversion.time):g} ms, expected 0 ms to 60 s"))
    if not 1 <= sequence.repeats <= 1000:
        faults.append(("repeats", f"{sequence.repeats} repeats of the train, expected 1 to 1000"))
    if not 0 <= sequence.wait <= _MAX_TIME:
        faults.append(("wait", f"waiting time {_ms(sequence.wait):g} ms, expected 0 ms to 60 s"))
    if sequence.spoiling not in ("gradient", "none"):
        faults.append(("spoiling", f"spoiling {sequence.spoiling!r}, expected 'gradient' or 'none'"))
    return faults


def _spoiler_faults(sequence: PulseSequence) -> list[tuple[str, str]]:
    spoiler = sequence.spoiler
    if spoiler is None:
        return []
    if sequence.spoiling == "none":
        return [("spoiler", "a spoiler waveform needs spoiling 'gradient'")]
    gradient, duration = spoiler.gradient, spoiler.duration
    if gradient.shape != duration.shape or gradient.ndim != 1 or not gradient.size:
        return [("spoiler", "the spoiler needs one amplitude and one duration per piece")]
    if not (np.isfinite(gradient).all() and np.isfinite(duration).all() and (duration > 0).all()):
        return [("spoiler", "spoiler amplitudes and durations must be finite, durations more than 0 ms")]
    if abs(float(gradient @ duration)) < 1e-12:
        return [("spoiler", "the spoiler's pieces cancel: it would not spoil; expected a net moment")]
    room = float((sequence.tr - sequence.te).min())
    if duration.sum() > room + 1e-12:
        return [("spoiler", f"the spoiler lasts {_ms(duration.sum()):g} ms, expected at most TR - TE = {_ms(room):g} ms")]
    return []


def _profile_faults(profile: SliceProfile | None) -> list[tuple[str, str]]:
    if profile is None:
        return []
    factor, weight = profile.flip_factor, profile.weight
    if factor.shape != weight.shape or factor.ndim != 1 or not factor.size:
        return [("slice_profile", "the slice profile needs one flip factor and one weight per position")]
    if not (np.isfinite(factor).all() and np.isfinite(weight).all() and (factor >= 0).all()):
        return [("slice_profile", "slice-profile numbers must be finite, flip factors 0 or more")]
    if abs(weight.sum() - 1) > 1e-6:
        return [("slice_profile", f"slice-profile weights sum to {weight.sum():g}, expected 1")]
    return []


def _identity(sequence: PulseSequence) -> list[ArrayLike]:
    phase = np.rint(np.rad2deg(sequence.rf_phase - sequence.rf_phase[0]) * 1e6).astype(np.int64) % 360_000_000
    inversion = sequence.inversion
    prepared = [-1, 0] if inversion is None else [_rounded(inversion.efficiency, 1e6), _rounded(inversion.time, 1e9)]
    train = [sequence.repeats, _rounded(sequence.wait, 1e9) if sequence.repeats > 1 else 0]
    spoiler, profile = sequence.spoiler, sequence.slice_profile
    return [
        _rounded(np.rad2deg(sequence.flip_angle), 1e6),
        phase,
        _rounded(sequence.tr, 1e9),
        _rounded(sequence.te, 1e9),
        prepared,
        train,
        [sequence.spoiling == "gradient"],
        [] if spoiler is None else _rounded(np.r_[spoiler.gradient * 1e6, spoiler.duration * 1e9], 1),
        [] if profile is None else _rounded(np.r_[profile.flip_factor, profile.weight], 1e9),
    ]


def _rounded(values: ArrayLike, scale: float) -> NDArray[np.int64]:
    return np.rint(np.asarray(values, np.float64) * scale).astype(np.int64)
