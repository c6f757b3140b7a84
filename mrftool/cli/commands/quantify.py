"""`mrftool quantify`: a scan through a model into maps."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mrftool.cli.checks import (
    b1_choice,
    between,
    chosen_frames,
    given,
    mask_file,
    refuse,
    refuse_fit,
)
from mrftool.cli.console import Terminal, show_table, wrote
from mrftool.cli.messages.session import session
from mrftool.cli.options import (
    Allow,
    Anonymous,
    ArrayAxes,
    Dicom,
    DicomFormat,
    DicomReference,
    DicomSeries,
    Heartbeats,
    Imag,
    Like,
    MapFolder,
    Mask,
    ModelName,
    Overwrite,
    Phase,
    ScanForm,
    Skip,
    Strict,
    Threads,
    Uncertainty,
    Variable,
    WithReport,
)
from mrftool.cli.several_scans import for_each_scan
from mrftool.errors import CheckFailedError

if TYPE_CHECKING:
    from mrftool.workflows.steps.model_source import SequenceModel
    from mrftool.workflows.steps.outputs.results import MapsResult


_OF_FRAMES = (
    "b0",
    "efficiency",
    "imag",
    "phase",
    "form",
    "skip",
    "coils",
    "noise_sd",
    "noise_covariance",
    "series",
    "axes",
    "like",
    "variable",
    "dicom",
    "dicom_reference",
    "dicom_format",
)


_OF_A_MODEL = ("efficiency", "noise_covariance", "skip", "coils")  # that no exact fit takes


def quantify(
    context: typer.Context,
    scans: Annotated[
        list[Path],
        typer.Argument(
            metavar="SCAN...",
            help="4-D NIfTI, DICOM, MRD raw data, coefficient images, .cfl, .mat, .npy, .npz, .ra; "
            "of several, each into a folder of its own in that of the maps.",
        ),
    ],
    output: MapFolder = Path("maps"),
    model: ModelName = "fisp",
    mask: Mask = None,
    b1: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|fit...",
            help="B1 map (NIfTI): fraction or percent. fit: one factor is fitted, fit:smooth: a "
            "smooth field; fit:FILE and fit:smooth:FILE: beside a map.",
        ),
    ] = None,
    efficiency: Annotated[
        Literal["fit"] | None,
        typer.Option(help="fit: the inversion's efficiency, within its stated uncertainty."),
    ] = None,
    b0: Annotated[
        Path | None,
        typer.Option(
            "--b0",
            help="Off-resonance map [Hz], of a balanced sequence or one of several echoes (with "
            "--seq): fitted on.",
        ),
    ] = None,
    imag: Imag = None,
    phase: Phase = None,
    form: ScanForm = None,
    skip: Skip = None,
    coils: Annotated[
        int | None,
        typer.Option(
            help="Of magnitudes: root sum of squares of this many coils.", callback=between(1, 64)
        ),
    ] = None,
    noise_sd: Annotated[
        float | None,
        typer.Option(
            help="Noise per channel; by default from each residual.", callback=between(1e-30, 1e30)
        ),
    ] = None,
    noise_covariance: Annotated[
        Path | None,
        typer.Option(
            help="Of the noise over time (.npy, .mat): time x time, or its autocovariance by lag."
        ),
    ] = None,
    uncertainty: Uncertainty = None,
    series: DicomSeries = None,
    axes: ArrayAxes = None,
    like: Like = None,
    variable: Variable = None,
    dicom: Dicom = None,
    dicom_reference: DicomReference = None,
    dicom_format: DicomFormat = None,
    basis: Annotated[
        Path | None, typer.Option(help="Of coefficient images: temporal basis (.npy, .cfl).")
    ] = None,
    covariance: Annotated[
        Path | None, typer.Option(help="Of coefficient images: covariance (.npy, NIfTI).")
    ] = None,
    seq: Annotated[
        str | None,
        typer.Option("--seq", help="Instead of a model: the sequence; its model is made and kept."),
    ] = None,
    rr: Heartbeats = None,
    allow: Allow = None,
    overwrite: Overwrite = False,
    anonymous: Anonymous = False,
    strict: Strict = False,
    report: WithReport = True,
    joint: Annotated[
        bool,
        typer.Option("--joint", help="Of raw data: all voxels in one estimate (experimental)."),
    ] = False,
    threads: Threads = None,
) -> None:
    """Write T1, T2 and M0 maps with error bars, flags, a picture and a report."""
    from mrftool.cli.uncertainty import stated_uncertainties
    from mrftool.workflows.steps.scan import holds_frames

    if seq is None:
        refuse(context, ["rr", "b0"], "goes with --seq")
    if not report:
        refuse(context, ["strict"], "looks at the report, which --no-report leaves out")
    b1_file, b1_shape = b1_choice(b1)

    def quantify_one(scan: Path, folder: Path) -> None:
        if holds_frames(scan, basis):
            refuse(context, ["covariance", "joint"], "goes with coefficient images or raw data")
            result = quantify_frames(scan, folder)
        else:
            result = quantify_coefficient_one(scan, folder)
        show_maps(scan, result, strict=strict)

    def quantify_coefficient_one(scan: Path, folder: Path) -> "MapsResult":
        from mrftool.workflows.kspace.quantify_coefficients import (
            CoefficientScan,
            quantify_coefficient_scan,
        )

        refuse(context, _OF_FRAMES, "goes with a series of frames")
        refuse_fit(b1_shape, "goes with a series of frames")
        named = None
        if given(context, "model"):
            named = model
        files = (scan, basis, covariance, seq, named, mask, b1_file)
        stated = stated_uncertainties(uncertainty)
        images = CoefficientScan(*files, threads, joint, rr, stated)
        return quantify_coefficient_scan(
            images,
            folder,
            Terminal(),
            report=report,
            allow=allow or (),
            overwrite=overwrite,
            anonymous=anonymous,
        )

    def quantify_frames(scan: Path, folder: Path) -> "MapsResult":
        from mrftool.workflows.common_choice import CommonChoice
        from mrftool.workflows.quantify import quantify_scan
        from mrftool.workflows.steps.outputs.dicom_output import DicomChoice
        from mrftool.workflows.steps.scan import ScanFiles

        files = ScanFiles(scan, imag, phase, form, series, axes, like, variable)
        sizes = stated_uncertainties(uncertainty)
        outputs = DicomChoice(dicom, dicom_reference, dicom_format)
        common = CommonChoice(b1_shape, efficiency is not None)
        if seq is not None and _is_fitted_exactly(seq, b0, rr):
            from mrftool.workflows.quantify_balanced import BalancedChoice, quantify_balanced_scan

            without = "does not go with --b0, nor with several echoes"
            refuse(context, _OF_A_MODEL, without)
            refuse_fit(b1_shape, without)
            return quantify_balanced_scan(
                files,
                folder,
                Terminal(),
                BalancedChoice(seq, b0, rr, b1_file, mask),
                noise_sd=noise_sd,
                uncertainty=sizes,
                dicom=outputs,
                threads=threads,
                report=report,
                allow=allow or (),
                overwrite=overwrite,
                anonymous=anonymous,
            )
        return quantify_scan(
            files,
            folder,
            Terminal(),
            model=_origin(context, model, seq, rr),
            mask=mask_file(mask),
            hide_air=mask is None,
            skip=chosen_frames(skip),
            coils=coils,
            b1=b1_file,
            common=common,
            noise_sd=noise_sd,
            noise_covariance=noise_covariance,
            uncertainty=sizes,
            dicom=outputs,
            threads=threads,
            report=report,
            allow=allow or (),
            overwrite=overwrite,
            anonymous=anonymous,
        )

    for_each_scan(scans, output, quantify_one)


def _is_fitted_exactly(seq: str, b0: Path | None, rr: str | None) -> bool:
    """Whether the off-resonance is fitted: a map of it is given, or several echoes tell it."""
    if b0 is not None:
        return True
    from mrftool.formats.sequence.heartbeats import read_with_heartbeats

    return read_with_heartbeats(seq, rr).tells_off_resonance


def _origin(
    context: typer.Context, model: str, seq: str | None, rr: str | None
) -> "str | SequenceModel":
    """A model, or the sequence that one is made for."""
    from mrftool.workflows.steps.model_source import SequenceModel

    if seq is None:
        return model
    refuse(context, ["model"], "and --seq both name a sequence, expected one of them")
    return SequenceModel(seq, rr)


def show_maps(scan: Path, result: "MapsResult", *, strict: bool) -> None:
    """What came out, on stdout: voxels and flags, and the files.

    Raises CheckFailedError if `strict`, and the report does not say "good" or something could not
    be written beside the maps.
    """
    counts = {text: n for text, n in result.maps.counts().items() if n}
    show_table(session().shown(str(scan)), counts, warnings=list(result.warnings))
    wrote(result.paths)
    if not strict:
        return
    if result.failures:
        raise CheckFailedError(
            f"{scan}: {len(result.failures)} of the outputs beside the maps could not be made, "
            "expected all of them"
        )
    if result.warnings:
        raise CheckFailedError(
            f"{scan}: {len(result.warnings)} remarks of the report need a look, expected none"
        )
