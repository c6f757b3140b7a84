"""Every map and every flag, once: names, units, codes, colours and captions.

To add a map, add one `Quantity` to `QUANTITIES` and the code that computes it. NIfTI and BIDS,
DICOM, figures, reports and evaluation read everything else from here.

Sources: BIDS 1.10 (suffixes, units); DICOM PS3.3 C.8.3.1.1.1 (image types), PS3.16 CID 7180 and
7469 (codes); UCUM (units); M. Fuderer et al., Magn Reson Med 93:490 (2025) (colours of T1 and T2).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntFlag
from types import MappingProxyType
from typing import Literal

from mrftool.arrays import Range
from mrftool.errors import ArgumentError

Code = tuple[str, str, str]  # value, scheme, meaning
Colour = tuple[float, float, float]  # red, green, blue, from 0 to 1
ColourMap = Literal["lipari", "navia", "cividis", "coolwarm", "grey"]


@dataclass(frozen=True)
class Unit:
    """The unit of a quantity in memory and in NIfTI files, and the unit that people are shown.

    Parameters
    ----------
    name
        Of the unit in memory and in NIfTI files, as BIDS spells it.
    shown
        Of the unit in pictures and tables.
    factor
        Number in the shown unit / number in memory.
    code
        UCUM code of the shown unit, in which DICOM files hold the numbers.
    symbol
        Of the shown unit in texts of DICOM files; `shown` by default.

    """

    name: str
    shown: str
    factor: float
    code: Code
    symbol: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "symbol", self.symbol or self.shown)


SECOND = Unit("s", "ms", 1e3, ("ms", "UCUM", "millisecond"))
HERTZ = Unit("Hz", "Hz", 1.0, ("Hz", "UCUM", "hertz"))
PER_SECOND = Unit("1/s", "1/s", 1.0, ("/s", "UCUM", "per second"))
RATIO = Unit("1", "1", 1.0, ("1", "UCUM", "no units"))
PERCENT = Unit("1", "%", 100.0, ("%", "UCUM", "percent"))
DIFFUSIVITY = Unit("m^2/s", "um2/s", 1e12, ("um2/s", "UCUM", "square micrometer per second"))
SCANNER_UNIT = Unit(
    "arbitrary", "scanner's unit", 1.0, ("[arb'U]", "UCUM", "arbitrary unit"), "a.u."
)


@dataclass(frozen=True)
class DicomStorage:
    """How DICOM files name a quantity, and how MR images hold it in 16 bits.

    Parameters
    ----------
    image_type
        Third value of ImageType.
    code
        Of the quantity, or None if there is no code for it.
    step
        What one stored integer is worth, in the shown unit; None takes the power of ten that the
        largest number needs.
    signed
        Whether the quantity takes negative values.

    """

    image_type: str = "OTHER"
    code: Code | None = None
    step: float | None = None
    signed: bool = False


@dataclass(frozen=True)
class Quantity:
    """What mrftool says of one kind of map.

    Parameters
    ----------
    key
        Name in Python, in `report.json`, and of DICOM files.
    label
        Short name, at most 16 ASCII characters.
    caption
        Heading of pictures and tables, without the unit.
    description
        Phrase for the sidecar and the header of the NIfTI file.
    unit
        In memory and as shown.
    suffix
        Last part of the name of the NIfTI file.
    is_bids
        Whether BIDS defines the suffix for anatomical images.
    colours
        Of pictures.
    window
        Ends of the colour scale and of the DICOM window, in the shown unit; None fits them to the
        map.
    dicom
        Codes and storage.

    """

    key: str
    label: str
    caption: str
    description: str
    unit: Unit
    suffix: str
    is_bids: bool = False
    colours: ColourMap = "cividis"
    window: Range | None = None
    dicom: DicomStorage = DicomStorage()

    @property
    def title(self) -> str:
        """Caption with the unit that is shown: `T1 [ms]`."""
        return f"{self.caption} [{self.unit.shown}]"


class Flag(IntFlag):
    """Bits of the quality map; a voxel with 0 is unflagged."""

    OUT_OF_RANGE = 1
    MISFIT = 2
    T1_UNDETERMINED = 4
    T2_UNDETERMINED = 8
    MASKED = 16
    NON_FINITE = 32


@dataclass(frozen=True)
class FlagDescription:
    """What a flag means in words, its name in the legends of pictures, and its colour there."""

    text: str
    label: str
    colour: Colour


UNFLAGGED = FlagDescription("unflagged", "unflagged", (0.0, 0.35, 0.28))
# From the most to the least severe: a picture shows the first that a voxel has. The colours are
# told apart by all eyes (M. Okabe, K. Ito, Color Universal Design, 2008).
FLAGS: Mapping[Flag, FlagDescription] = MappingProxyType(
    {
        Flag.MASKED: FlagDescription("masked, or no signal at all", "masked", (0.0, 0.0, 0.0)),
        Flag.NON_FINITE: FlagDescription(
            "not a finite number in the input", "not finite", (0.6, 0.6, 0.6)
        ),
        Flag.OUT_OF_RANGE: FlagDescription(
            "outside the model's range", "out of range", (0.84, 0.37, 0.0)
        ),
        Flag.MISFIT: FlagDescription("residual too large for noise", "misfit", (0.80, 0.47, 0.65)),
        Flag.T1_UNDETERMINED: FlagDescription(
            "T1 not determined by this sequence", "T1 undetermined", (0.94, 0.89, 0.26)
        ),
        Flag.T2_UNDETERMINED: FlagDescription(
            "T2 not determined by this sequence", "T2 undetermined", (0.34, 0.71, 0.91)
        ),
    }
)


def flag_legend() -> str:
    """All flags with their bits, in one line: `1 outside the model's range, 2 ...`."""
    return ", ".join(f"{int(flag)} {FLAGS[flag].text}" for flag in Flag)


_STANDARD_DEVIATION = DicomStorage(code=("113061", "DCM", "Standard Deviation"), step=1.0)
_ALL = (
    Quantity(
        key="t1",
        label="T1",
        caption="T1",
        description="Longitudinal relaxation time T1",
        unit=SECOND,
        suffix="T1map",
        is_bids=True,
        colours="lipari",
        window=(0.0, 3000.0),
        dicom=DicomStorage("T1 MAP", ("113063", "DCM", "T1"), step=1.0),
    ),
    Quantity(
        key="t2",
        label="T2",
        caption="T2",
        description="Transverse relaxation time T2",
        unit=SECOND,
        suffix="T2map",
        is_bids=True,
        colours="navia",
        window=(0.0, 300.0),
        dicom=DicomStorage("T2 MAP", ("113065", "DCM", "T2"), step=1.0),
    ),
    Quantity(
        key="flags",
        label="Flags",
        caption="flags",
        description="Sum of quality flags, 0 for an unflagged voxel",
        unit=RATIO,
        suffix="flags",
        window=(0.0, float(sum(Flag))),
        dicom=DicomStorage(step=1.0),
    ),
    Quantity(
        key="residual",
        label="Residual",
        caption="residual / signal",
        description="Norm of the residual of the fit, divided by the norm of the fingerprint",
        unit=RATIO,
        suffix="residual",
        window=(0.0, 0.2),
    ),
    Quantity(
        key="m0",
        label="M0",
        caption="|M0|",
        description="Modulus of the equilibrium magnetisation M0, in the scanner's unit",
        unit=SCANNER_UNIT,
        suffix="M0map",
        is_bids=True,
        colours="grey",
        dicom=DicomStorage("DENSITY MAP", ("113058", "DCM", "Proton Density")),
    ),
    Quantity(
        key="sd_t1",
        label="SD of T1",
        caption="standard deviation of T1",
        description="Standard deviation of T1",
        unit=SECOND,
        suffix="T1sd",
        dicom=_STANDARD_DEVIATION,
    ),
    Quantity(
        key="systematic_t1",
        label="Systematic T1",
        caption="systematic uncertainty of T1",
        description="Systematic part of the standard uncertainty of T1",
        unit=SECOND,
        suffix="T1systematic",
        dicom=_STANDARD_DEVIATION,
    ),
    Quantity(
        key="combined_t1",
        label="Uncertainty T1",
        caption="uncertainty of T1",
        description="Combined standard uncertainty of T1: random and systematic",
        unit=SECOND,
        suffix="T1uncertainty",
        dicom=_STANDARD_DEVIATION,
    ),
    Quantity(
        key="sd_t2",
        label="SD of T2",
        caption="standard deviation of T2",
        description="Standard deviation of T2",
        unit=SECOND,
        suffix="T2sd",
        dicom=_STANDARD_DEVIATION,
    ),
    Quantity(
        key="systematic_t2",
        label="Systematic T2",
        caption="systematic uncertainty of T2",
        description="Systematic part of the standard uncertainty of T2",
        unit=SECOND,
        suffix="T2systematic",
        dicom=_STANDARD_DEVIATION,
    ),
    Quantity(
        key="combined_t2",
        label="Uncertainty T2",
        caption="uncertainty of T2",
        description="Combined standard uncertainty of T2: random and systematic",
        unit=SECOND,
        suffix="T2uncertainty",
        dicom=_STANDARD_DEVIATION,
    ),
    Quantity(
        key="misfit",
        label="Misfit",
        caption="misfit / signal",
        description="Share of the signal that neither the fit nor noise explains",
        unit=PERCENT,
        suffix="misfit",
    ),
    Quantity(
        key="local_misfit",
        label="Local misfit",
        caption="local misfit",
        description="Squared residual around the voxel / that which noise leaves there",
        unit=RATIO,
        suffix="localmisfit",
        window=(0.0, 5.0),
    ),
    Quantity(
        key="b1",
        label="B1",
        caption="B1",
        description="Actual / nominal flip angle (B1+)",
        unit=RATIO,
        suffix="B1map",
        window=(0.5, 1.5),
    ),
    Quantity(
        key="off_resonance",
        label="Off-resonance",
        caption="off-resonance",
        description="Precession frequency in the rotating frame (B0 inhomogeneity)",
        unit=HERTZ,
        suffix="B0map",
        colours="coolwarm",
        window=(-100.0, 100.0),
        dicom=DicomStorage(signed=True),
    ),
    Quantity(
        key="r2_prime",
        label="R2'",
        caption="R2'",
        description="R2' = R2* - R2: decay by the spread of off-resonances within the voxel",
        unit=PER_SECOND,
        suffix="R2primemap",
        window=(0.0, 50.0),
    ),
    Quantity(
        key="sd_r2_prime",
        label="SD of R2'",
        caption="standard deviation of R2'",
        description="Standard deviation of R2'",
        unit=PER_SECOND,
        suffix="R2primesd",
    ),
    Quantity(
        key="adc",
        label="ADC",
        caption="ADC",
        description="Apparent diffusion coefficient",
        unit=DIFFUSIVITY,
        suffix="ADCmap",
        window=(0.0, 3000.0),
        dicom=DicomStorage(
            "DIFFUSION MAP", ("113041", "DCM", "Apparent Diffusion Coefficient"), step=1.0
        ),
    ),
)
QUANTITIES: Mapping[str, Quantity] = MappingProxyType({each.key: each for each in _ALL})


def quantity(key: str) -> Quantity:
    """The quantity that the map `key` shows.

    Raises
    ------
    ArgumentError
        If there is no such map.

    """
    if key not in QUANTITIES:
        raise ArgumentError(f"map {key!r} is unknown, expected one of {', '.join(QUANTITIES)}")
    return QUANTITIES[key]
