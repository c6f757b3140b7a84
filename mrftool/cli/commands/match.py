"""`mrftool match`: a scan against a dictionary into maps."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mrftool.cli.options import between, given, refuse

if TYPE_CHECKING:
    from mrftool.matching.dictionary import Source


def match(
    context: typer.Context,
    scan: Annotated[Path, typer.Argument(help="4-D NIfTI, or a folder or zip of DICOM files.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the maps.")] = Path(
        "maps"
    ),
    dictionary: Annotated[
        Path | None, typer.Option(help="Dictionary (.npz) that mrftool simulate wrote.")
    ] = None,
    seq: Annotated[
        str, typer.Option("--seq", help="Or: the sequence to simulate one for.")
    ] = "fisp",
    t1_ms: Annotated[
        str | None, typer.Option(help="Its T1: start:step:stop, low:high:logN or a,b,c.")
    ] = None,
    t2_ms: Annotated[
        str | None, typer.Option(help="Its T2, likewise; pairs with T2 > T1 are left out.")
    ] = None,
    b1_grid: Annotated[
        str | None, typer.Option(help="Its B1, likewise; B1 then becomes a map.")
    ] = None,
    adc: Annotated[float, typer.Option(help="Its diffusion coefficient [m2/s].")] = 0.0,
    tolerance: Annotated[
        float,
        typer.Option(
            help="Error of each compressed entry that is allowed.", callback=between(1e-6, 0.5)
        ),
    ] = 2e-3,
    rank: Annotated[
        int | None, typer.Option(help="Compress to this many coefficients instead.")
    ] = None,
    mask: Annotated[
        Path | None, typer.Option(help="Mask (NIfTI) of the voxels that count.")
    ] = None,
    imag: Annotated[
        Path | None, typer.Option(help="Imaginary part, if the scan is the real part.")
    ] = None,
    phase: Annotated[Path | None, typer.Option(help="Phase, if the scan is the magnitude.")] = None,
    form: Annotated[
        Literal["magnitude", "real"] | None,
        typer.Option(help="magnitude: take the modulus; real: no imaginary part."),
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
    """Write T1, T2 and M0 maps of the entries most similar to each voxel; by default of the paper's
    160,200 tissues.
    """
    from mrftool.cli.console import note, progress_bar
    from mrftool.cli.options import require_folder
    from mrftool.formats.open_scan import open_scan, open_volumes
    from mrftool.matching.dictionary import compress_dictionary
    from mrftool.matching.match import check_source, match_series
    from mrftool.reports.run import method_of_dictionary
    from mrftool.workflows.dicom_output import dicom_output
    from mrftool.workflows.results import show_results, write_results
    from mrftool.workflows.stopwatch import Stopwatch

    if dictionary is not None:
        refuse(
            context,
            ["seq", "t1_ms", "t2_ms", "b1_grid", "adc"],
            "goes with a simulated dictionary, not with a file",
        )
    if given(context, "tolerance"):
        refuse(context, ["rank"], "replaces --tolerance, expected one of the two")
    require_folder(output)
    watch = Stopwatch()
    with watch.stage("open the scan"):
        scanned = open_scan(
            scan, imag=imag, phase=phase, form=form, series=series, progress=progress_bar
        )
        study = dicom_output(scanned, dicom, dicom_reference, dicom_format)
        inside, _, _ = open_volumes(scanned, mask, None)
    source = _source(dictionary, seq, (t1_ms, t2_ms, b1_grid), adc, threads)
    assumed = check_source(scanned, source, scanned.form)
    for sentence in (*scanned.assumptions, *assumed):
        note(sentence)
    with (
        watch.stage("compress the dictionary"),
        progress_bar("compressing", len(source)) as progress,
    ):
        compressed = compress_dictionary(
            source, scanned.form, tolerance=tolerance, rank=rank, progress=progress
        )
    count = int(inside.sum()) if inside is not None else scanned.n_voxels
    with watch.stage("read and match"), progress_bar("matching", count) as progress:
        maps = match_series(scanned, compressed, mask=inside, threads=threads, progress=progress)
    options = {
        "dictionary": dictionary,
        "rank": rank,
        "mask": mask,
        "imag": imag,
        "phase": phase,
        "form": form,
    }
    simulated = (
        {}
        if dictionary
        else {"seq": seq, "t1-ms": t1_ms, "t2-ms": t2_ms, "b1-grid": b1_grid, "adc": adc or None}
    )
    chosen = {
        **options,
        **simulated,
        "tolerance": tolerance,
        "series": series,
        "dicom-reference": dicom_reference,
        "dicom-format": dicom_format,
        "threads": threads,
    }
    method = method_of_dictionary(compressed)
    paths = write_results(
        maps,
        output,
        scan,
        scanned,
        method,
        command="match",
        watch=watch,
        options=chosen,
        dicom=study,
    )
    show_results(scan, maps, paths)


def _source(
    path: Path | None, seq: str, values: tuple[str | None, ...], adc: float, threads: int | None
) -> "Source":
    """The dictionary in a file, or the one to simulate."""
    from mrftool.formats.sequence.yaml_file import read_sequence
    from mrftool.matching.dictionary import dictionary_from_file, dictionary_from_sequence
    from mrftool.workflows.simulate import dictionary_tissue

    if path is not None:
        return dictionary_from_file(path)
    t1_ms, t2_ms, b1_grid = values
    tissue = dictionary_tissue(t1_ms, t2_ms, b1_grid, adc)
    return dictionary_from_sequence(read_sequence(seq), tissue, threads=threads)
