"""`mrftool match`: a scan against a dictionary into maps."""

from pathlib import Path
from typing import Annotated

import typer

from mrftool.cli.checks import between, chosen_frames, given, mask_file, plausible, refuse
from mrftool.cli.commands.quantify import show_maps
from mrftool.cli.console import Terminal
from mrftool.cli.options import (
    Allow,
    Anonymous,
    ArrayAxes,
    Dicom,
    DicomFormat,
    DicomReference,
    DicomSeries,
    DictionaryT1,
    DictionaryT2,
    Heartbeats,
    Imag,
    Like,
    MapFolder,
    Mask,
    Overwrite,
    Phase,
    Scan,
    ScanForm,
    Skip,
    Strict,
    Threads,
    Variable,
)

_OF_FRAMES = ["imag", "phase", "form", "series", "axes", "like", "variable"]


def match(
    context: typer.Context,
    scan: Scan,
    output: MapFolder = Path("maps"),
    dictionary: Annotated[
        Path | None, typer.Option(help="Dictionary (.npz) that mrftool simulate wrote.")
    ] = None,
    seq: Annotated[
        str, typer.Option("--seq", help="Or: the sequence to simulate one for.")
    ] = "fisp",
    rr: Heartbeats = None,
    t1_ms: DictionaryT1 = None,
    t2_ms: DictionaryT2 = None,
    b1_grid: Annotated[
        str | None, typer.Option(help="Its B1, likewise; B1 then becomes a map.")
    ] = None,
    adc: Annotated[
        float,
        typer.Option(help="Its diffusion coefficient [m2/s].", callback=plausible("adc")),
    ] = 0.0,
    tolerance: Annotated[
        float,
        typer.Option(
            help="Error of each compressed entry that is allowed.", callback=between(1e-6, 0.5)
        ),
    ] = 2e-3,
    rank: Annotated[
        int | None, typer.Option(help="Compress to this many coefficients instead.")
    ] = None,
    mask: Mask = None,
    imag: Imag = None,
    phase: Phase = None,
    form: ScanForm = None,
    basis: Annotated[
        Path | None,
        typer.Option(help="The scan is coefficient images with this basis (.npy, .cfl)."),
    ] = None,
    skip: Skip = None,
    series: DicomSeries = None,
    axes: ArrayAxes = None,
    like: Like = None,
    variable: Variable = None,
    dicom: Dicom = None,
    dicom_reference: DicomReference = None,
    dicom_format: DicomFormat = None,
    allow: Allow = None,
    overwrite: Overwrite = False,
    anonymous: Anonymous = False,
    strict: Strict = False,
    threads: Threads = None,
) -> None:
    """Write T1, T2 and M0 maps of the entries most similar to each voxel; by default of the paper's
    160,200 tissues.
    """
    from mrftool.workflows.match import DictionaryChoice, match_scan
    from mrftool.workflows.steps.outputs.dicom_output import DicomChoice
    from mrftool.workflows.steps.scan import ScanFiles

    if dictionary is not None:
        refuse(
            context,
            ["seq", "rr", "t1_ms", "t2_ms", "b1_grid", "adc"],
            "goes with a simulated dictionary, not with a file",
        )
    if given(context, "tolerance"):
        refuse(context, ["rank"], "replaces --tolerance, expected one of the two")
    if basis is not None:
        refuse(context, _OF_FRAMES, "goes with a series of frames")
    result = match_scan(
        ScanFiles(scan, imag, phase, form, series, axes, like, variable, basis),
        output,
        Terminal(),
        dictionary=DictionaryChoice(dictionary, seq, t1_ms, t2_ms, b1_grid, adc, rr),
        tolerance=tolerance,
        rank=rank,
        mask=mask_file(mask),
        hide_air=mask is None,
        skip=chosen_frames(skip),
        dicom=DicomChoice(dicom, dicom_reference, dicom_format),
        threads=threads,
        allow=allow or (),
        overwrite=overwrite,
        anonymous=anonymous,
    )
    show_maps(scan, result, strict=strict)
