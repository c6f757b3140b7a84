"""The schema of RF-sequence files, version 2: a list of events, each a mapping with one key."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from mrftool.formats.sequence.schema.first import (
    Column,
    Count,
    Number,
    SliceProfileBlock,
    SpoilerBlock,
    Strict,
)

Efficiency = Annotated[Number, Field(ge=0, le=1)]
Milliseconds = Annotated[Number, Field(ge=0, le=60e3)]


class InvertBlock(Strict):
    """Inversion pulse with perfect crusher; then free relaxation."""

    efficiency: Efficiency = Field(1.0, description="Mz after = -efficiency x Mz before")
    time_ms: Milliseconds = Field(0.0, description="from the pulse to the next event")


class SaturateBlock(Strict):
    """Saturation pulse with perfect crusher; then free relaxation."""

    efficiency: Efficiency = Field(1.0, description="Mz after = (1 - efficiency) x Mz before")
    time_ms: Milliseconds = Field(0.0, description="from the pulse to the next event")


class T2PrepBlock(Strict):
    """T2 preparation with perfect crusher."""

    te_ms: Milliseconds = Field(description="from the tip-down to the tip-up pulse")
    refocusing: Annotated[int, Field(ge=0, le=1000)] = Field(
        0, description="number of hard refocusing pulses; 0: all pulses are perfect"
    )
    efficiency: Efficiency = Field(1.0, description="factor of Mz besides its decay")


class WaitBlock(Strict):
    """Free relaxation."""

    ms: Milliseconds


class TriggerBlock(Strict):
    """Free relaxation until the next heartbeat."""


class PulsesBlock(Strict):
    """Some of the file's pulses; or pulses of its own, where a flip angle is given.

    Of its own columns, those left out are the file's, where these are one number for all pulses.
    """

    first: Annotated[int, Field(ge=0)] = Field(0, description="index of the first pulse, from 0")
    count: Count | None = Field(None, description="all that follow, if not given")
    acquire: bool = Field(True, description="false: dummy pulses, whose echoes are not acquired")
    repetitions: Count | None = Field(None, description="of own pulses, if no column says it")
    flip_angle_deg: Column | None = None
    rf_phase_deg: Column | None = None
    tr_ms: Column | None = None
    te_ms: Column | None = None


class RepeatBlock(Strict):
    """Other events, several times."""

    times: Annotated[int, Field(ge=1, le=1000)]
    events: list["Event"] = Field(min_length=1)


class InvertEvent(Strict):
    """An inversion."""

    invert: InvertBlock


class SaturateEvent(Strict):
    """A saturation."""

    saturate: SaturateBlock


class T2PrepEvent(Strict):
    """A T2 preparation."""

    t2prep: T2PrepBlock


class WaitEvent(Strict):
    """A waiting time."""

    wait: WaitBlock


class TriggerEvent(Strict):
    """Wait for a heartbeat."""

    wait_until_trigger: TriggerBlock


class PulsesEvent(Strict):
    """A train of pulses."""

    pulses: PulsesBlock


class RepeatEvent(Strict):
    """A loop."""

    repeat: RepeatBlock


EVENTS = {
    "invert": InvertEvent,
    "saturate": SaturateEvent,
    "t2prep": T2PrepEvent,
    "wait": WaitEvent,
    "wait_until_trigger": TriggerEvent,
    "pulses": PulsesEvent,
    "repeat": RepeatEvent,
}
TAG = "event: "  # no key of a file begins like this


def _kind(value: Any) -> str | None:
    keys = list(type(value).model_fields) if isinstance(value, BaseModel) else value
    if not isinstance(keys, (dict, list)) or len(keys) != 1:
        return None
    (key,) = keys
    return TAG + key if key in EVENTS else None


Event = Annotated[
    Annotated[InvertEvent, Tag(TAG + "invert")]
    | Annotated[SaturateEvent, Tag(TAG + "saturate")]
    | Annotated[T2PrepEvent, Tag(TAG + "t2prep")]
    | Annotated[WaitEvent, Tag(TAG + "wait")]
    | Annotated[TriggerEvent, Tag(TAG + "wait_until_trigger")]
    | Annotated[PulsesEvent, Tag(TAG + "pulses")]
    | Annotated[RepeatEvent, Tag(TAG + "repeat")],
    Discriminator(
        _kind,
        custom_error_type="event",
        custom_error_message=f"expected a mapping with one of the keys {', '.join(EVENTS)}",
    ),
]

RepeatBlock.model_rebuild()
RepeatEvent.model_rebuild()

PositiveTime = Annotated[Number, Field(gt=0, le=60e3)]


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
    te_ms: Column | None = None
    events: list[Event] = Field(min_length=1, description="what is played, in order")
    rr_ms: PositiveTime | list[PositiveTime] | None = Field(
        None, description="RR intervals between triggers: one for all, or one for each"
    )
    spoiling: Literal["gradient", "none"] = "gradient"
    spoiler: SpoilerBlock | None = None
    slice_profile: SliceProfileBlock | None = None
