"""The RF sequence: what the scanner played, event by event. SI units and radians."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mrftool.arrays import BoolArray, FloatArray, IndexArray
from mrftool.environment.notebook import ShownInNotebooks
from mrftool.errors import InputError
from mrftool.sequence.events import Event, Pulses, joined
from mrftool.sequence.faults import COLUMNS, sequence_faults
from mrftool.sequence.identity import digest
from mrftool.sequence.parts import SliceProfile, Spoiler, Spoiling, freeze_columns
from mrftool.sequence.selective_pulse import SelectivePulse
from mrftool.sequence.train import Train, train_of

_CHECKED = (
    *COLUMNS,
    "events",
    "spoiling",
    "spoiler",
    "slice_profile",
    "later_echoes",
    "receiver_phase",
    "spoiler_cycles",
)
OPTIONAL_COLUMNS = ("receiver_phase", "spoiler_cycles")


@dataclass(frozen=True, eq=False)
class PulseSequence(ShownInNotebooks):
    """RF pulses, and the events that play them, each followed by an echo at TE. Valid once built.

    Two sequences are equal if no signal can tell them apart: if they have one `sequence_id`.

    Parameters
    ----------
    flip_angle, rf_phase : array (pulse,)
        Flip angle and phase of the RF axis of each pulse [rad]; a single phase, TR or TE stands for
        all pulses.
    tr, te : array (pulse,)
        From the centre of a pulse to the next one, and to its echo [s].
    events
        What is played, in order, from equilibrium: `Pulses` play some of the pulses above, the
        others prepare the magnetisation. By default all pulses, once.
    spoiling
        "gradient": one full cycle over the voxel per repetition, after the echo; "none": balanced.
    slice_profile
        What each position of the slice sees of the flip angles: by factors, or by the pulse's name;
        by default all positions see the nominal ones.
    later_echoes : array (echo,)
        When each pulse has further echoes, after that at TE and before the spoiler [s].
    receiver_phase : array (pulse,)
        Phase of the receiver at the echoes of each pulse [rad]; None: that of the RF pulse.
    spoiler_cycles : array (pulse,)
        Whole cycles of the spoiler over the voxel after the echoes of each pulse [1]; None: 1.
    uncertainty
        Standard uncertainty of values that a fit takes for granted, by name: b1 [1], efficiency
        [1], ti [s], te [s], adc [m2/s], off_resonance [Hz], flip_exponent [1], slice_profile [1].
        No signal depends on it, nor does the `sequence_id`.

    Raises
    ------
    InputError
        Naming every fault, if the numbers are no possible sequence.
    """

    flip_angle: FloatArray
    rf_phase: FloatArray
    tr: FloatArray
    te: FloatArray
    events: Sequence[Event] = (Pulses(),)
    spoiling: Spoiling = "gradient"
    spoiler: Spoiler | None = None
    slice_profile: SliceProfile | SelectivePulse | None = None
    name: str = "unnamed"
    uncertainty: Mapping[str, float] = field(default_factory=dict)
    later_echoes: FloatArray = ()  # type: ignore[assignment]
    receiver_phase: FloatArray | None = None
    spoiler_cycles: FloatArray | None = None

    if TYPE_CHECKING:  # what may be given is more than what is kept

        def __init__(
            self,
            flip_angle: ArrayLike,
            rf_phase: ArrayLike,
            tr: ArrayLike,
            te: ArrayLike,
            events: Sequence[Event] = (Pulses(),),
            spoiling: Spoiling = "gradient",
            spoiler: Spoiler | None = None,
            slice_profile: SliceProfile | SelectivePulse | None = None,
            name: str = "unnamed",
            uncertainty: Mapping[str, float] = ...,
            later_echoes: ArrayLike = (),
            receiver_phase: ArrayLike | None = None,
            spoiler_cycles: ArrayLike | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        self._repeat_numbers()
        given = [key for key in OPTIONAL_COLUMNS if getattr(self, key) is not None]
        freeze_columns(self, *COLUMNS, "later_echoes", *given)
        object.__setattr__(self, "events", tuple(self.events))
        faults = sequence_faults(**{key: getattr(self, key) for key in _CHECKED})
        if faults:
            raise InputError(f"sequence {self.name}: " + "; ".join(text for _, text in faults))
        self._forget_defaults()

    def _forget_defaults(self) -> None:
        """Columns that say what goes without saying are as if they were not there."""
        if self.receiver_phase is not None and not _is_turned(self.receiver_phase - self.rf_phase):
            object.__setattr__(self, "receiver_phase", None)
        if self.spoiler_cycles is not None and (self.spoiler_cycles == 1).all():
            object.__setattr__(self, "spoiler_cycles", None)

    def __repr__(self) -> str:
        flips = np.rad2deg(self.flip_angle)
        return (
            f"PulseSequence({self.name!r}, {len(self)} repetitions, {self.duration:.4g} s, "
            f"flip angles {flips.min():.3g} to {flips.max():.3g} deg, id {self.sequence_id})"
        )

    def __len__(self) -> int:
        return len(self.observed)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PulseSequence) and self.sequence_id == other.sequence_id

    def __hash__(self) -> int:
        return hash(self.sequence_id)

    def _repeat_numbers(self) -> None:
        """A single number stands for all pulses."""
        shape = np.shape(self.flip_angle)
        if len(shape) != 1:
            return
        for key in (*COLUMNS, *OPTIONAL_COLUMNS):
            value = getattr(self, key)
            if value is not None and np.ndim(value) == 0:
                object.__setattr__(self, key, np.full(shape, value))

    @cached_property
    def program(self) -> tuple[Event, ...]:
        """The events up to the last echo, neighbours that can be played as one joined."""
        return joined(self.events, len(self.flip_angle))

    @cached_property
    def observed(self) -> IndexArray:
        """Which pulse each echo of the signal follows `(time,)`; the first of them, where a frame
        is the mean of several echoes.
        """
        all_pulses = np.arange(len(self.flip_angle))
        acquired = [block for block in self.blocks if block.acquire]
        pulses = np.concatenate([all_pulses[block.slice][:: block.bin] for block in acquired])
        return np.repeat(pulses, len(self.echoes))

    @property
    def echoes(self) -> FloatArray:
        """When each pulse has echoes, after the first of them, that at TE `(echo,)` [s]."""
        return np.asarray(np.r_[0.0, self.later_echoes])

    @cached_property
    def observed_te(self) -> FloatArray:
        """Echo time of each frame of the signal, from the centre of its pulse `(time,)` [s]."""
        first = self.te[self.observed]
        return first + np.tile(self.echoes, len(first) // len(self.echoes))

    @property
    def spoiler_start(self) -> FloatArray:
        """From the centre of each pulse to its last echo, and to the spoiler `(pulse,)` [s]."""
        return np.asarray(self.te + self.echoes[-1])

    @property
    def tells_off_resonance(self) -> bool:
        """Whether several echoes of each pulse, which nothing but decay and precession tells apart,
        say what the off-resonance is.
        """
        return self.spoiling == "gradient" and self.later_echoes.size > 0

    @property
    def cycles(self) -> IndexArray:
        """Cycles of the spoiler after each pulse `(pulse,)` [1]."""
        if self.spoiler_cycles is not None:
            return np.asarray(self.spoiler_cycles, np.int64)
        return np.full(len(self.tr), int(self.spoiling == "gradient"))

    @property
    def receiver(self) -> FloatArray:
        """Phase of the receiver at the echoes of each pulse `(pulse,)` [rad]."""
        if self.receiver_phase is None:
            return self.rf_phase
        return self.receiver_phase

    @property
    def is_binned(self) -> bool:
        """Whether frames of the signal are means of the echoes of several pulses."""
        return any(block.bin > 1 for block in self.blocks)

    @property
    def is_plain(self) -> bool:
        """Whether each frame is the only echo of a pulse, and the receiver follows the RF phase."""
        return not (self.is_binned or self.later_echoes.size or self.receiver_phase is not None)

    @cached_property
    def plain(self) -> "PulseSequence":
        """The same pulses, of which each frame is the echo at TE, received at the RF phase."""
        if self.is_plain:
            return self
        events = [
            replace(event, bin=1) if isinstance(event, Pulses) else event for event in self.events
        ]
        return replace(self, events=tuple(events), later_echoes=np.zeros(0), receiver_phase=None)

    @cached_property
    def bin_starts(self) -> IndexArray:
        """Which echo of `plain` is the first of each bin of pulses `(bin,)`."""
        sizes = [
            np.full(_count(each) // each.bin, each.bin) for each in self.blocks if each.acquire
        ]
        return np.cumsum(np.r_[0, np.concatenate(sizes)])[:-1]

    @cached_property
    def played(self) -> IndexArray:
        """Which pulses are played, one after the other, up to the last echo."""
        return self._pulses_of(self.blocks)

    @cached_property
    def is_acquired(self) -> BoolArray:
        """Whether the echo after each played pulse belongs to the signal."""
        return np.concatenate([np.full(_count(block), block.acquire) for block in self.blocks])

    @cached_property
    def blocks(self) -> list[Pulses]:
        """The events of the programme that play pulses."""
        return [event for event in self.program if isinstance(event, Pulses)]

    def _pulses_of(self, blocks: list[Pulses]) -> IndexArray:
        all_pulses = np.arange(len(self.flip_angle))
        return np.concatenate([all_pulses[block.slice] for block in blocks])

    @cached_property
    def train(self) -> Train | None:
        """The events as one train of all pulses, or None if they are anything else."""
        return train_of(self.program, len(self.flip_angle))

    @property
    def duration(self) -> float:
        """Time from the first event to the end of the last one [s]."""
        total = 0.0
        for event in self.events:
            if isinstance(event, Pulses):
                total += float(self.tr[event.slice].sum())
            else:
                total += event.duration
        return total

    @cached_property
    def sequence_id(self) -> str:
        """Digest of exactly the numbers that the signal depends on, 16 hexadecimal digits.

        Numbers count as files give them (deg, ms, mT/m), to 6 decimals; a file that gives 9 keeps
        the digest. Phases count modulo 360 degrees and relative to the first one: a receiver that
        follows the RF phase sees no constant phase. A waiting time, or a rest of the last TR, that
        no echo follows does not count.
        """
        return digest(self)


def _is_turned(phase: FloatArray) -> bool:
    """Whether any phase is no multiple of 360 degrees, up to rounding; phase: [rad]."""
    turns = phase / (2 * np.pi)
    return bool((np.abs(turns - np.rint(turns)) > 1e-12 * (1 + np.abs(turns))).any())


def _count(block: Pulses) -> int:
    """How many pulses a block of a sequence's programme plays."""
    return (block.stop or 0) - block.first
