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
from mrftool.sequence.train import Train, train_of

_CHECKED = (*COLUMNS, "events", "spoiling", "spoiler", "slice_profile")


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
    slice_profile: SliceProfile | None = None
    name: str = "unnamed"
    uncertainty: Mapping[str, float] = field(default_factory=dict)

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
            slice_profile: SliceProfile | None = None,
            name: str = "unnamed",
            uncertainty: Mapping[str, float] = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        self._repeat_numbers()
        freeze_columns(self, *COLUMNS)
        object.__setattr__(self, "events", tuple(self.events))
        faults = sequence_faults(**{key: getattr(self, key) for key in _CHECKED})
        if faults:
            raise InputError(f"sequence {self.name}: " + "; ".join(text for _, text in faults))

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
        for key in COLUMNS:
            if np.ndim(getattr(self, key)) == 0:
                object.__setattr__(self, key, np.full(shape, getattr(self, key)))

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
        return np.concatenate([all_pulses[block.slice][:: block.bin] for block in acquired])

    @property
    def is_binned(self) -> bool:
        """Whether frames of the signal are means of the echoes of several pulses."""
        return any(block.bin > 1 for block in self.blocks)

    @cached_property
    def unbinned(self) -> "PulseSequence":
        """The same sequence, of which each echo is a frame."""
        if not self.is_binned:
            return self
        events = [
            replace(event, bin=1) if isinstance(event, Pulses) else event for event in self.events
        ]
        return replace(self, events=tuple(events))

    @cached_property
    def bin_starts(self) -> IndexArray:
        """Which echo of `unbinned` is the first of each frame `(time,)`."""
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


def _count(block: Pulses) -> int:
    """How many pulses a block of a sequence's programme plays."""
    return (block.stop or 0) - block.first
