"""`mrftool sequence import` and `mrftool sequence export`: sequences from and for other tools."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mrftool.cli.checks import Check, between, named
from mrftool.cli.console import Terminal, show_line, show_table, wrote
from mrftool.cli.options import Heartbeats, OverwriteForeign, SequenceArgument

if TYPE_CHECKING:
    from mrftool.arrays import FloatArray
    from mrftool.formats.sequence.pulseq.writing.scanner import Scanner
    from mrftool.formats.sequence.sources import Given
    from mrftool.formats.sequence.tables.columns import Layout

_GIVEN, _TABLE, _PULSEQ = "What the file does not say", "Tables of numbers", "Pulseq files"


def _given(text: str, kind: str = _GIVEN, check: Check | None = None, *names: str) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=kind, callback=check)


def _played(text: str, check: Check) -> Any:
    return _given(text, "Pulseq files (.seq): what the scanner plays", check)


def import_command(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="Pulseq (.seq), ISMRMRD (.h5, .mrd), or a table of numbers.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", callback=named(".yaml", ".yml"), help="The sequence file to write."
        ),
    ],
    name: Annotated[
        str | None, _given("Name of the sequence; by default that of the file.")
    ] = None,
    te_ms: Annotated[str | None, _given("TE [ms]: a number, or a file with one a line.")] = None,
    tr_ms: Annotated[str | None, _given("TR [ms]: a number, or a file with one a line.")] = None,
    rf_phase_deg: Annotated[
        str | None, _given("RF phase [deg]: a number, or a file with one a line.")
    ] = None,
    ti_ms: Annotated[
        float | None, _given("Inversion pulse to the first RF pulse [ms].", check=between(0, 60e3))
    ] = None,
    inversion_efficiency: Annotated[
        float | None, _given("Mz after the inversion is minus this times Mz.", check=between(0, 1))
    ] = None,
    no_inversion: Annotated[
        bool, _given("No inversion leads the train.", _GIVEN, None, "--no-inversion")
    ] = False,
    spoiling: Annotated[
        Literal["gradient", "none"] | None, _given("gradient, or none (balanced).")
    ] = None,
    repeats: Annotated[
        int | None,
        _given("How often the train plays; the last is observed.", check=between(1, 1000)),
    ] = None,
    wait_ms: Annotated[
        float | None, _given("Recovery between trains [ms].", check=between(0, 60e3))
    ] = None,
    slice_profile: Annotated[
        int | None,
        _given("Simulate the slice profile at so many positions.", _PULSEQ, between(2, 200)),
    ] = None,
    receiver_follows: Annotated[
        bool, _given("The receiver follows the RF phase.", _PULSEQ, None, "--receiver-follows")
    ] = False,
    field_t: Annotated[
        float | None,
        _given("Field of the magnet [T], for offsets in ppm.", _PULSEQ, between(0.01, 30)),
    ] = None,
    rr: Heartbeats = None,
    flip_column: Annotated[str | None, _given("Name or number of the column.", _TABLE)] = None,
    phase_column: Annotated[str | None, _given("Name or number of the column.", _TABLE)] = None,
    tr_column: Annotated[str | None, _given("Name or number of the column.", _TABLE)] = None,
    te_column: Annotated[str | None, _given("Name or number of the column.", _TABLE)] = None,
    flip_unit: Annotated[
        Literal["deg", "rad", "fraction"] | None, _given("Unit of flip angles.", _TABLE)
    ] = None,
    phase_unit: Annotated[
        Literal["deg", "rad"] | None, _given("Unit of RF phases.", _TABLE)
    ] = None,
    time_unit: Annotated[
        Literal["ms", "s", "us"] | None, _given("Unit of TR and TE.", _TABLE)
    ] = None,
    nominal_flip_deg: Annotated[
        float | None, _given("Flip angle of which fractions are given.", _TABLE)
    ] = None,
    base_tr_ms: Annotated[
        float | None, _given("TR of which extensions are given [ms].", _TABLE)
    ] = None,
    base_te_ms: Annotated[
        float | None, _given("TE of which extensions are given [ms].", _TABLE)
    ] = None,
    rows: Annotated[
        int | None, _given("Use only the first so many rows.", _TABLE, between(1, 1e6))
    ] = None,
    decimal: Annotated[Literal["point", "comma"] | None, _given("Decimal sign.", _TABLE)] = None,
    overwrite: OverwriteForeign = False,
) -> None:
    """Make a sequence file of another tool's file. What that does not say must be given; nothing is
    guessed.
    """
    from mrftool.formats.sequence.yaml_file import sequence_summary
    from mrftool.workflows.sequences.sequence_files import import_sequence_file

    given, layout = _user_says(context.params), _layout(context.params)
    imported = import_sequence_file(
        file, output, Terminal(), given=given, layout=layout, overwrite=overwrite
    )
    show_table(f"sequence {imported.sequence.name}", sequence_summary(imported.sequence))
    wrote([output])


def export_command(
    file: SequenceArgument,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            callback=named(".csv", ".yaml", ".yml", ".seq"),
            help=".csv, .yaml without rules, or .seq for a scanner.",
        ),
    ],
    rr: Heartbeats = None,
    max_gradient: Annotated[
        float | None, _played("Largest gradient [mT/m]; by default 30.", between(1, 1000))
    ] = None,
    max_slew: Annotated[
        float | None, _played("Largest slew rate [T/m/s]; by default 120.", between(1, 2000))
    ] = None,
    max_b1: Annotated[
        float | None, _played("Largest RF amplitude [uT]; by default 20.", between(0.1, 1000))
    ] = None,
    raster_us: Annotated[
        float | None, _played("Of blocks and gradients [us]; by default 10.", between(1, 1000))
    ] = None,
    pulse_ms: Annotated[
        float | None, _played("Of each RF pulse [ms]; by default 0.5.", between(0.01, 100))
    ] = None,
    readout_ms: Annotated[
        float | None, _played("Of each readout, from TE on [ms]; by default 0.5.", between(0.1, 99))
    ] = None,
    voxel_mm: Annotated[
        float | None, _played("Of readouts and spoilers [mm]; by default 2.", between(0.1, 100))
    ] = None,
    overwrite: OverwriteForeign = False,
) -> None:
    """Write a sequence as a table (CSV), or as YAML with every rule resolved; both keep its id. Or
    as a Pulseq file: hard or selective pulses, readouts, spoilers, preparations, triggers.
    """
    from mrftool.workflows.sequences.sequence_files import export_sequence_file

    limits = {
        "max_gradient": _scaled(max_gradient, 1e-3),
        "max_slew": max_slew,
        "max_b1": _scaled(max_b1, 1e-6),
        "raster": _scaled(raster_us, 1e-6),
        "pulse_duration": _scaled(pulse_ms, 1e-3),
        "readout_duration": _scaled(readout_ms, 1e-3),
        "voxel_size": _scaled(voxel_mm, 1e-3),
    }
    sequence = export_sequence_file(
        file, output, Terminal(), rr=rr, scanner=_scanner(limits), overwrite=overwrite
    )
    facts = {"repetitions": len(sequence), "sequence_id": sequence.sequence_id}
    show_line(f"{len(sequence)} repetitions, id {sequence.sequence_id}", **facts)
    wrote([output])


def _scanner(limits: dict[str, float | None]) -> "Scanner | None":
    """The scanner of which some limits are given, in SI units; None without any."""
    from mrftool.formats.sequence.pulseq.writing.scanner import Scanner

    given = {name: limit for name, limit in limits.items() if limit is not None}
    if not given:
        return None
    return Scanner(**given)


def _user_says(options: dict[str, Any]) -> "Given":
    """What the options say of the sequence, in SI units."""
    import numpy as np

    from mrftool.formats.sequence.sources import Given

    return Given(
        name=options["name"],
        tr=_list(options["tr_ms"], 1e-3),
        te=_list(options["te_ms"], 1e-3),
        rf_phase=_list(options["rf_phase_deg"], np.pi / 180),
        inversion_time=_scaled(options["ti_ms"], 1e-3),
        inversion_efficiency=options["inversion_efficiency"],
        no_inversion=bool(options["no_inversion"]),
        spoiling=options["spoiling"],
        repeats=options["repeats"],
        wait=_scaled(options["wait_ms"], 1e-3),
        receiver_follows=bool(options["receiver_follows"]),
        slice_positions=options["slice_profile"],
        field=options["field_t"],
        rr=_heartbeats(options["rr"]),
    )


def _layout(options: dict[str, Any]) -> "Layout":
    """What the options say of a table."""
    import numpy as np

    from mrftool.formats.sequence.tables.columns import Layout

    columns = {
        "flip_angle": options["flip_column"],
        "rf_phase": options["phase_column"],
        "tr": options["tr_column"],
        "te": options["te_column"],
    }
    return Layout(
        columns=tuple((key, str(name)) for key, name in columns.items() if name is not None),
        flip_unit=options["flip_unit"],
        phase_unit=options["phase_unit"],
        time_unit=options["time_unit"],
        nominal_flip=_scaled(options["nominal_flip_deg"], np.pi / 180),
        base_tr=_scaled(options["base_tr_ms"], 1e-3),
        base_te=_scaled(options["base_te_ms"], 1e-3),
        rows=options["rows"],
        decimal=options["decimal"],
    )


def _scaled(value: float | None, factor: float) -> float | None:
    if value is None:
        return None
    return value * factor


def _heartbeats(text: str | None) -> "FloatArray | None":
    from mrftool.formats.sequence.heartbeats import read_heartbeats

    if text is None:
        return None
    return read_heartbeats(text)


def _list(text: str | None, factor: float) -> "FloatArray | None":
    """A number, or the numbers in a text file, one a line."""
    from mrftool.formats.sequence.tables.read import number_or_list

    if text is None:
        return None
    return number_or_list(text) * factor
