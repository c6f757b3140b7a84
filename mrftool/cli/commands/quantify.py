"""`mrftool quantify`: a scan through a model into maps."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from mrftool.cli.options import between


def quantify(
    scan: Annotated[Path, typer.Argument(help="4-D NIfTI, or a folder or zip of DICOM files.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the maps.")] = Path(
        "maps"
    ),
    model: Annotated[
        str, typer.Option(help="Model file (.onnx), or the name of a shipped one.")
    ] = "fisp",
    mask: Annotated[
        Path | None, typer.Option(help="Mask (NIfTI) of the voxels that count.")
    ] = None,
    b1: Annotated[Path | None, typer.Option(help="B1 map (NIfTI): fraction or percent.")] = None,
    imag: Annotated[
        Path | None, typer.Option(help="Imaginary part, if the scan is the real part.")
    ] = None,
    phase: Annotated[Path | None, typer.Option(help="Phase, if the scan is the magnitude.")] = None,
    form: Annotated[
        Literal["magnitude", "real"] | None,
        typer.Option(help="magnitude: take the modulus; real: no imaginary part."),
    ] = None,
    noise_sd: Annotated[
        float | None,
        typer.Option(
            help="Noise per channel; by default from each residual.", callback=between(1e-30, 1e30)
        ),
    ] = None,
    series: Annotated[
        str | None, typer.Option(help="DICOM series, by UID, number or description.")
    ] = None,
    dicom: Annotated[
        bool | None,
        typer.Option("--dicom/--no-dicom", help="DICOM maps too; by default if DICOM came in."),
    ] = None,
    dicom_reference: Annotated[
        Path | None, typer.Option(help="DICOM series in whose study the maps go.")
    ] = None,
    dicom_format: Annotated[
        Literal["mr", "parametric-map"] | None,
        typer.Option(help="mr: whole ms, the default; parametric-map: float32."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads of the arithmetic.", callback=between(1, 256))
    ] = None,
) -> None:
    """Write T1, T2 and M0 maps with error bars, flags, a picture and a report."""
    from mrftool.cli.console import note, progress_bar
    from mrftool.cli.options import require_folder
    from mrftool.formats.open_scan import open_scan, open_volumes
    from mrftool.inference.quantify import quantify as quantify_series
    from mrftool.inference.session import load_model
    from mrftool.reports.run import method_of
    from mrftool.shipped import find_file
    from mrftool.workflows.dicom_output import dicom_output
    from mrftool.workflows.results import show_results, write_results
    from mrftool.workflows.stopwatch import Stopwatch

    require_folder(output)
    watch = Stopwatch()
    with watch.stage("read the model"):
        loaded = load_model(find_file("models", model, ".onnx"))
    with watch.stage("open the scan"):
        scanned = open_scan(
            scan, imag=imag, phase=phase, form=form, series=series, progress=progress_bar
        )
        study = dicom_output(scanned, dicom, dicom_reference, dicom_format)
        inside, b1_map, assumed = open_volumes(scanned, mask, b1)
    for sentence in (*scanned.assumptions, *assumed):
        note(sentence)
    count = int(inside.sum()) if inside is not None else scanned.n_voxels
    with watch.stage("read and quantify"), progress_bar("quantifying", count) as progress:
        maps = quantify_series(
            scanned,
            loaded,
            mask=inside,
            b1=b1_map,
            noise_sd=noise_sd,
            threads=threads,
            progress=progress,
        )
    for sentence in maps.assumptions[len(scanned.assumptions) :]:
        note(sentence)
    maps = replace(maps, assumptions=(*maps.assumptions, *assumed))
    options = {
        "mask": mask,
        "b1": b1,
        "imag": imag,
        "phase": phase,
        "form": form,
        "noise-sd": noise_sd,
    }
    chosen = {
        **options,
        "series": series,
        "dicom-reference": dicom_reference,
        "dicom-format": dicom_format,
        "threads": threads,
    }
    paths = write_results(
        maps, output, scan, scanned, method_of(loaded), watch=watch, options=chosen, dicom=study
    )
    show_results(scan, maps, paths)
