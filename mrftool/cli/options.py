"""Options that several commands share, each declared once.

A command reads `mask: Mask = None`; what the option is called, and what `--help` says of it, stands
here.
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mrftool.cli.checks import ascending, between, named, plausible
from mrftool.environment.shipped import shipped_names

_SEQUENCES = ", ".join(shipped_names("sequences", ".yaml"))
_MODELS = ", ".join(shipped_names("models", ".onnx"))

SignalForm = Annotated[
    Literal["complex", "magnitude"], typer.Option("--form", help="Of the signals.")
]

# Files
SequenceName = Annotated[
    str, typer.Option("--seq", help=f"Sequence file, or a shipped one: {_SEQUENCES}.")
]
Heartbeats = Annotated[
    str | None,
    typer.Option(
        "--rr",
        help="RR intervals [ms]: a number, or a file with one a line, or with trigger times.",
    ),
]
SequenceArgument = Annotated[
    str,
    typer.Argument(metavar="FILE", help=f"Sequence file (YAML), or a shipped one: {_SEQUENCES}."),
]
ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help=f"Model file (.onnx), or a shipped one: {_MODELS}.")
]
ModelName = Annotated[str, typer.Option(help=f"Model file (.onnx), or a shipped one: {_MODELS}.")]
ModelOutput = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", help="The model; by default NAME.onnx.", callback=named(".onnx")
    ),
]

# A scan, and maps of it
Scan = Annotated[Path, typer.Argument(help="4-D NIfTI, DICOM, or .cfl, .mat, .npy, .npz, .ra.")]
MapFolder = Annotated[Path, typer.Option("-o", "--output", help="Folder of the maps.")]
Mask = Annotated[
    Path | None,
    typer.Option(
        help="Mask (NIfTI) of the voxels that count, or none; by default all but those of noise."
    ),
]
Imag = Annotated[Path | None, typer.Option(help="Imaginary part, if the scan is the real part.")]
Phase = Annotated[Path | None, typer.Option(help="Phase, if the scan is the magnitude.")]
ScanForm = Annotated[
    Literal["magnitude", "real"] | None,
    typer.Option("--form", help="magnitude: take the modulus; real: no imaginary part."),
]
DicomSeries = Annotated[
    str | None, typer.Option("--series", help="DICOM series, by UID, number or description.")
]
ArrayAxes = Annotated[
    str | None,
    typer.Option(
        "--axes", help="Of an array file: a letter for each axis, as tyx; i: real, imaginary."
    ),
]
Like = Annotated[
    Path | None, typer.Option(help="Of an array file: NIfTI image on the same voxels.")
]
Variable = Annotated[
    str | None, typer.Option(help="Of a .mat or .npz file: which array is the scan.")
]
Dicom = Annotated[
    bool | None,
    typer.Option("--dicom/--no-dicom", help="DICOM maps too; by default if DICOM came in."),
]
DicomReference = Annotated[
    Path | None, typer.Option(help="DICOM series in whose study the maps go.")
]
DicomFormat = Annotated[
    Literal["mr", "parametric-map"] | None,
    typer.Option(help="mr: whole ms, the default; parametric-map: float32."),
]
Allow = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Go on where the header contradicts the sequence in this: tr, te, ti, flip-angle, "
        "field or sequence-name; may be given several times.",
    ),
]
Skip = Annotated[
    str | None,
    typer.Option(
        metavar="FRAMES",
        help="Frames to leave out, counted from 1 as in reports: 1,18-21.",
    ),
]
Uncertainty = Annotated[
    str | None,
    typer.Option(
        metavar="NAME=SIZE,...",
        help="Standard uncertainty of what the fit takes for granted, as b1=3%,ti=1ms; those left "
        "out have none, and 'none' states none. By default typical ones.",
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace the maps of another run in the folder.")
]
OverwriteForeign = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace a file that mrftool did not write, or you changed."),
]
Anonymous = Annotated[
    bool,
    typer.Option("--anonymous", help="Outputs and log say nothing of the patient; no DICOM maps."),
]
Strict = Annotated[
    bool,
    typer.Option("--strict", help="Exit with 5 if the report says that something looks wrong."),
]
WithReport = Annotated[
    bool, typer.Option("--report/--no-report", help="Whether picture and report are made.")
]
Threads = Annotated[
    int | None, typer.Option(help="Threads of the arithmetic.", callback=between(1, 256))
]

# Dictionaries
DictionaryT1 = Annotated[
    str | None, typer.Option("--t1-ms", help="Its T1: start:step:stop, low:high:logN or a,b,c.")
]
DictionaryT2 = Annotated[
    str | None,
    typer.Option("--t2-ms", help="Its T2, likewise; pairs with T2 > T1 are left out."),
]

# Models
RangeT1 = Annotated[
    tuple[float, float],
    typer.Option("--t1-ms", help="T1 range [ms].", callback=ascending(0.01, 1e6)),
]
RangeT2 = Annotated[
    tuple[float, float],
    typer.Option("--t2-ms", help="T2 range [ms].", callback=ascending(0.01, 1e6)),
]
RangeB1 = Annotated[
    tuple[float, float] | None,
    typer.Option(
        "--b1", help="B1 range: the model then takes a B1 map.", callback=ascending(0.01, 10)
    ),
]
Adc = Annotated[
    float, typer.Option("--adc", help="Diffusion coefficient [m2/s].", callback=plausible("adc"))
]
Polish = Annotated[
    int, typer.Option(help="Gauss-Newton steps on the tabulated signals.", callback=between(0, 16))
]

AllowInaccurate = Annotated[
    bool,
    typer.Option(
        "--allow-inaccurate",
        help="Write the model even if it errs over 1.2 times its bound somewhere.",
    ),
]

# Training
Steps = Annotated[int, typer.Option(help="Optimiser steps.", callback=between(1, 10_000_000))]
Rate = Annotated[float, typer.Option(help="Peak learning rate.", callback=between(1e-9, 1e3))]
Device = Annotated[
    str, typer.Option(metavar="[auto|cpu|cuda]", help="auto: a GPU where there is one.")
]


def in_seconds(range_ms: tuple[float, float]) -> tuple[float, float]:
    """A range given in ms [s]."""
    return range_ms[0] / 1e3, range_ms[1] / 1e3


def in_ms(range_s: tuple[float, float]) -> tuple[float, float]:
    """A range given in s [ms]."""
    return range_s[0] * 1e3, range_s[1] * 1e3
