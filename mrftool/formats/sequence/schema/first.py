"""The schema of RF-sequence files, version 1. Key names end in units; numbers inside a rule have
its key's unit.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
)
from pydantic_core import PydanticCustomError

Number = Annotated[float, Field(allow_inf_nan=False, strict=True)]
Size = Annotated[Number, Field(ge=0)]
Count = Annotated[int, Field(ge=1, le=100_000)]
PositiveTime = Annotated[Number, Field(gt=0, le=60e3)]


class Strict(BaseModel):
    """No unknown keys, no numbers in quotes, no booleans as numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class CsvColumn(Strict):
    """One column of a CSV file with a header line; the path counts from the sequence file."""

    model_config = ConfigDict(json_schema_extra={"required": ["csv", "column"]})

    csv: str
    column: str | None = Field(None, description="its name in the header line")
    rows: Count | None = Field(None, description="use only the first so many rows")


class Lobes(Strict):
    """Sinusoidal half-waves, one after the other: minimum + (peak - minimum) sin(pi n / length)."""

    rule: Literal["lobes"]
    peaks: list[Number] = Field(min_length=1)
    lengths: list[Count] = Field(min_length=1, description="repetitions of each lobe")
    minimum: Number = 0.0


class Spline(Strict):
    """Natural cubic spline through knots that lie evenly from the first repetition to the last.

    The knots are given, or drawn evenly between low and high from a seed. Noise is normal, from its
    seed. What leaves low..high is cut off.
    """

    rule: Literal["spline"]
    knots: list[Number] | None = Field(None, min_length=2)
    random_knots: Annotated[int, Field(ge=2, le=1000)] | None = None
    seed: int = Field(0, ge=0, lt=2**32)
    low: Number | None = None
    high: Number | None = None
    noise_sd: Number = Field(0.0, ge=0)


class Quadratic(Strict):
    """Quadratic RF phase (RF spoiling): increment x n (n + 1) / 2."""

    rule: Literal["quadratic"]
    increment: Number


class Cycle(Strict):
    """The values in turn, over and over."""

    rule: Literal["cycle"]
    values: list[Number] = Field(min_length=1)


RULES: dict[str, type[Strict]] = {
    "lobes": Lobes,
    "spline": Spline,
    "quadratic": Quadratic,
    "cycle": Cycle,
}


def _kind(value: Any) -> str | None:
    if isinstance(value, dict) and "csv" in value:
        return "csv"
    if isinstance(value, dict):
        rule = value.get("rule")
        return next((name for name in RULES if name == rule), None)
    if isinstance(value, BaseModel):
        return getattr(value, "rule", "csv")
    return "list" if isinstance(value, list) else "number"


Column = Annotated[
    Annotated[Number, Tag("number")]
    | Annotated[Annotated[list[Number], Field(min_length=1)], Tag("list")]
    | Annotated[CsvColumn, Tag("csv")]
    | Annotated[Lobes, Tag("lobes")]
    | Annotated[Spline, Tag("spline")]
    | Annotated[Quadratic, Tag("quadratic")]
    | Annotated[Cycle, Tag("cycle")],
    Discriminator(
        _kind,
        custom_error_type="column",
        custom_error_message="expected a number, a list, {csv: ..., column: ...} or {rule: "
        + " | ".join(RULES)
        + ", ...}",
    ),
]


class InversionBlock(Strict):
    """Inversion pulse before the train, with a perfect crusher or a hard pulse without."""

    efficiency: Number = Field(1.0, ge=0, le=1, description="Mz after = -efficiency x Mz before")
    time_ms: Number = Field(0.0, ge=0, description="from the inversion pulse to the first RF pulse")
    spoiled: bool = Field(True, description="false: transverse magnetisation is left")


class TrainBlock(Strict):
    """How often the train plays before the end of the observed one: towards its driven
    equilibrium.
    """

    repeats: Annotated[int, Field(ge=1, le=1000)] = 1
    wait_ms: Number = Field(0.0, ge=0, description="recovery between one train and the next")


Pieces = Annotated[list[Number], Field(min_length=1)]


def _equally_long(axes: list[Any]) -> list[Any]:
    lengths = [len(pieces) for pieces in axes]
    if len(set(lengths)) > 1:
        raise PydanticCustomError(
            "axes", f"{' and '.join(map(str, lengths))} pieces, expected one number on all axes"
        )
    return axes


def _axes_or_list(value: Any) -> str:
    return (
        "axes"
        if isinstance(value, list) and any(isinstance(part, list) for part in value)
        else "list"
    )


Waveform = Annotated[
    Annotated[Pieces, Tag("list")]
    | Annotated[list[Pieces], Field(max_length=3), AfterValidator(_equally_long), Tag("axes")],
    Discriminator(_axes_or_list),
]


class SpoilerBlock(Strict):
    """Gradient waveform after each echo, in constant pieces: needed only to simulate diffusion."""

    gradient_mt_per_m: Waveform = Field(description="of each piece, or one such list for each axis")
    duration_ms: list[Annotated[Number, Field(gt=0)]] = Field(min_length=1)


class SliceProfileBlock(Strict):
    """Positions across the slice: actual / nominal flip angle, and share of the signal (sums to
    1).
    """

    flip_factor: list[Annotated[Number, Field(ge=0)]] = Field(min_length=1)
    weight: list[Number] = Field(min_length=1)


class SelectivePulseBlock(Strict):
    """The slice-selective pulse of all repetitions, by its name: its Bloch equations are solved."""

    pulse: Literal["sinc", "gauss"]
    time_bandwidth: Number = Field(gt=0, le=32, description="duration times bandwidth")
    duration_ms: Number = Field(gt=0, le=100)
    apodisation: Literal["none", "hann", "hamming"] = "none"
    positions: Annotated[int, Field(ge=1, le=1000)] = 40
    extent: Number | None = Field(
        None,
        gt=0,
        le=20,
        description="in slice thicknesses, by default 2 + 4/time_bandwidth",
    )
    rephasing: Number = Field(1.0, ge=0, le=2, description="moment over half of the slice gradient")
    thickness_mm: Number | None = Field(None, gt=0, le=1000, description="needed to play it only")


PROFILE_BLOCKS: dict[str, type[Strict]] = {
    "by factor": SliceProfileBlock,
    "by pulse": SelectivePulseBlock,
}


def _profile_kind(value: Any) -> str:
    """A profile is one of flip factors unless a key says that a pulse is meant."""
    if isinstance(value, SelectivePulseBlock):
        return "by pulse"
    if isinstance(value, dict) and not set(value).isdisjoint(SelectivePulseBlock.model_fields):
        return "by pulse"
    return "by factor"


SliceProfileEntry = Annotated[
    Annotated[SliceProfileBlock, Tag("by factor")]
    | Annotated[SelectivePulseBlock, Tag("by pulse")],
    Discriminator(_profile_kind),
]


class UncertaintyBlock(Strict):
    """Standard uncertainties of what a fit takes for granted; typical ones of those left out."""

    b1_percent: Size | None = None
    efficiency_percent: Size | None = Field(None, description="of the inversion")
    ti_ms: Size | None = None
    te_ms: Size | None = None
    adc_um2_per_s: Size | None = None
    off_resonance_hz: Size | None = None
    flip_exponent: Size | None = Field(
        None, description="power with which flip angles follow the transmitter's amplitude, less 1"
    )
    slice_profile_percent: Size | None = None


INNER_BLOCKS: dict[str, type[Strict]] = {**PROFILE_BLOCKS, **RULES, "csv": CsvColumn}  # by tag
TOP_BLOCKS: dict[str, type[Strict]] = {
    "inversion": InversionBlock,
    "train": TrainBlock,
    "spoiler": SpoilerBlock,
    "uncertainty": UncertaintyBlock,
}


def _known_version(value: Any) -> Any:
    """Files of version 2 have a schema of their own: any other version is unknown."""
    if value == 1 and isinstance(value, int):
        return value
    raise PydanticCustomError("version", "expected 1 or 2")


class SequenceFile(Strict):
    """An RF-sequence file of mrftool."""

    model_config = ConfigDict(title="mrftool RF sequence")

    mrftool_sequence: Annotated[Literal[1], BeforeValidator(_known_version)] = Field(
        description="version of this schema"
    )
    name: str = Field(min_length=1, max_length=100)
    description: str = ""
    source: str = Field("", description="where the numbers come from")
    repetitions: Count | None = Field(None, description="needed where no column says it")
    flip_angle_deg: Column
    rf_phase_deg: Column = 0.0
    tr_ms: Column
    te_ms: Column
    later_echoes_ms: list[PositiveTime] | None = Field(
        None, description="further echoes of each repetition: times after that at TE"
    )
    receiver_phase_deg: Column | None = Field(None, description="by default the RF phase")
    spoiler_cycles: Column | None = Field(
        None, description="whole cycles of dephasing after each repetition, by default 1"
    )
    inversion: InversionBlock | None = None
    train: TrainBlock = Field(default_factory=lambda: TrainBlock.model_validate({}))
    spoiling: Literal["gradient", "none"] = "gradient"
    spoiler: SpoilerBlock | None = None
    slice_profile: SliceProfileEntry | None = None
    uncertainty: UncertaintyBlock | None = None
