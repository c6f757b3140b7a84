"""The schema of RF-sequence files, version 2: a list of events, each a mapping with one key.

A preparation is one block with its numbers, its events and the way back, and an entry in
`PREPARATIONS`.
"""

from functools import reduce
from operator import or_
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, create_model

from mrftool.formats.sequence.schema.first import (
    Column,
    Count,
    Number,
    PositiveTime,
    SliceProfileEntry,
    SpoilerBlock,
    Strict,
    UncertaintyBlock,
)
from mrftool.sequence import events

Efficiency = Annotated[Number, Field(ge=0, le=1)]
Milliseconds = Annotated[Number, Field(ge=0, le=60e3)]


class PreparationBlock(Strict):
    """What the entries of a preparation have in common."""

    event: ClassVar[type[events.Preparation]]

    def to_events(self) -> list[events.Preparation]:
        """The events that the block plays."""
        raise NotImplementedError

    @classmethod
    def from_event(cls, event: Any) -> Self:
        """The block that plays an event of the block's kind."""
        raise NotImplementedError


class InvertBlock(PreparationBlock):
    """Inversion pulse, with a perfect crusher or a hard pulse without; then free relaxation."""

    event = events.Invert
    efficiency: Efficiency = Field(1.0, description="Mz after = -efficiency x Mz before")
    time_ms: Milliseconds = Field(0.0, description="from the pulse to the next event")
    spoiled: bool = Field(True, description="false: transverse magnetisation is left")

    def to_events(self) -> list[events.Preparation]:
        """The inversion, and the time after it."""
        pulse: events.Preparation = events.Invert(self.efficiency)
        if not self.spoiled:
            pulse = events.HardPulse.inversion(self.efficiency)
        return [pulse, events.Wait(self.time_ms * 1e-3)]

    @classmethod
    def from_event(cls, event: events.Invert) -> Self:
        """The block of an inversion."""
        return cls.model_validate({"efficiency": event.efficiency})


class HardPulseBlock(PreparationBlock):
    """RF pulse without crusher and echo, whose flip angle B1 scales; then free relaxation."""

    event = events.HardPulse
    flip_angle_deg: Annotated[Number, Field(ge=-360, le=360)]
    rf_phase_deg: Number = 0.0
    time_ms: Milliseconds = Field(0.0, description="from the pulse to the next event")

    def to_events(self) -> list[events.Preparation]:
        """The pulse, and the time after it."""
        flip, phase = np.deg2rad(self.flip_angle_deg), np.deg2rad(self.rf_phase_deg)
        return [events.HardPulse(float(flip), float(phase)), events.Wait(self.time_ms * 1e-3)]

    @classmethod
    def from_event(cls, event: events.HardPulse) -> Self:
        """The block of a pulse without echo."""
        flip, phase = (round(angle, 9) for angle in event.numbers_in_file)
        return cls.model_validate({"flip_angle_deg": flip, "rf_phase_deg": phase})


class SaturateBlock(PreparationBlock):
    """Saturation pulse with perfect crusher; then free relaxation."""

    event = events.Saturate
    efficiency: Efficiency = Field(1.0, description="Mz after = (1 - efficiency) x Mz before")
    time_ms: Milliseconds = Field(0.0, description="from the pulse to the next event")

    def to_events(self) -> list[events.Preparation]:
        """The saturation, and the time after it."""
        return [events.Saturate(self.efficiency), events.Wait(self.time_ms * 1e-3)]

    @classmethod
    def from_event(cls, event: events.Saturate) -> Self:
        """The block of a saturation."""
        return cls.model_validate({"efficiency": event.efficiency})


class T2PrepBlock(PreparationBlock):
    """T2 preparation with perfect crusher."""

    event = events.T2Prep
    te_ms: Milliseconds = Field(description="from the tip-down to the tip-up pulse")
    refocusing: Annotated[int, Field(ge=0, le=1000)] = Field(
        0, description="number of hard refocusing pulses; 0: all pulses are perfect"
    )
    efficiency: Efficiency = Field(1.0, description="factor of Mz besides its decay")

    def to_events(self) -> list[events.Preparation]:
        """The T2 preparation."""
        return [events.T2Prep(self.te_ms * 1e-3, self.refocusing, self.efficiency)]

    @classmethod
    def from_event(cls, event: events.T2Prep) -> Self:
        """The block of a T2 preparation."""
        te_ms = _milliseconds(event.te)
        return cls(te_ms=te_ms, refocusing=event.refocusing, efficiency=event.efficiency)


class WaitBlock(PreparationBlock):
    """Free relaxation."""

    event = events.Wait
    ms: Milliseconds

    def to_events(self) -> list[events.Preparation]:
        """The waiting time."""
        return [events.Wait(self.ms * 1e-3)]

    @classmethod
    def from_event(cls, event: events.Wait) -> Self:
        """The block of a waiting time."""
        return cls(ms=_milliseconds(event.time))


def _milliseconds(time: float) -> float:
    return round(time * 1e3, 9)


PREPARATIONS: dict[str, type[PreparationBlock]] = {
    "invert": InvertBlock,
    "saturate": SaturateBlock,
    "t2prep": T2PrepBlock,
    "wait": WaitBlock,
    "hard_pulse": HardPulseBlock,
}


class TriggerBlock(Strict):
    """Free relaxation until the next heartbeat."""


class PulsesBlock(Strict):
    """Some of the file's pulses; or pulses of its own, where a flip angle is given.

    Of its own columns, those left out are the file's, where these are one number for all pulses.
    """

    first: Annotated[int, Field(ge=0)] = Field(0, description="index of the first pulse, from 0")
    count: Count | None = Field(None, description="all that follow, if not given")
    acquire: bool = Field(True, description="false: dummy pulses, whose echoes are not acquired")
    bin: Count = Field(1, description="each frame is the mean of the echoes of this many pulses")
    repetitions: Count | None = Field(None, description="of own pulses, if no column says it")
    flip_angle_deg: Column | None = None
    rf_phase_deg: Column | None = None
    tr_ms: Column | None = None
    te_ms: Column | None = None
    later_echoes_ms: list[PositiveTime] | None = None
    receiver_phase_deg: Column | None = None
    spoiler_cycles: Column | None = None


class RepeatBlock(Strict):
    """Other events, several times."""

    times: Annotated[int, Field(ge=1, le=1000)]
    events: list["Event"] = Field(min_length=1)


def _entry(key: str, block: type[Strict]) -> type[Strict]:
    """The entry of a list of events that has one key, which holds the numbers of a block."""
    name = block.__name__.removesuffix("Block") + "Event"
    field: Any = {key: (block, ...)}
    return create_model(name, __base__=Strict, __doc__=block.__doc__, **field)


BLOCKS: dict[str, type[Strict]] = {
    **PREPARATIONS,
    "wait_until_trigger": TriggerBlock,
    "pulses": PulsesBlock,
    "repeat": RepeatBlock,
}
EVENTS = {key: _entry(key, block) for key, block in BLOCKS.items()}
TAG = "event: "  # no key of a file begins like this


def _kind(value: Any) -> str | None:
    keys = list(type(value).model_fields) if isinstance(value, BaseModel) else value
    if not isinstance(keys, (dict, list)) or len(keys) != 1:
        return None
    (key,) = keys
    return TAG + key if key in EVENTS else None


_ANY_EVENT: Any = reduce(or_, (Annotated[each, Tag(TAG + key)] for key, each in EVENTS.items()))
Event = Annotated[
    _ANY_EVENT,
    Discriminator(
        _kind,
        custom_error_type="event",
        custom_error_message=f"expected a mapping with one of the keys {', '.join(EVENTS)}",
    ),
]

RepeatBlock.model_rebuild()
EVENTS["repeat"].model_rebuild()


class EventFile(Strict):
    """An RF-sequence file of mrftool: events in the order in which they are played."""

    model_config = ConfigDict(title="mrftool RF sequence of events")

    mrftool_sequence: Literal[2] = Field(description="version of this schema")
    name: str = Field(min_length=1, max_length=100)
    description: str = ""
    source: str = Field("", description="where the numbers come from")
    repetitions: Count | None = Field(None, description="needed where no column says it")
    flip_angle_deg: Column | None = None
    rf_phase_deg: Column = 0.0
    tr_ms: Column | None = None
    te_ms: Column | None = Field(
        None, description="a column, or the ascending echo times of every repetition"
    )
    later_echoes_ms: list[PositiveTime] | None = Field(
        None, description="further echoes of each repetition: times after that at TE"
    )
    receiver_phase_deg: Column | None = Field(None, description="by default the RF phase")
    spoiler_cycles: Column | None = Field(
        None, description="whole cycles of dephasing after each repetition, by default 1"
    )
    events: list[Event] = Field(min_length=1, description="what is played, in order")
    rr_ms: PositiveTime | list[PositiveTime] | None = Field(
        None, description="RR intervals between triggers: one for all, or one for each"
    )
    spoiling: Literal["gradient", "none"] = "gradient"
    spoiler: SpoilerBlock | None = None
    slice_profile: SliceProfileEntry | None = None
    uncertainty: UncertaintyBlock | None = None
