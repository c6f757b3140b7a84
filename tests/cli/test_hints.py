"""What the library calls by a quantity's name, the command line shows as an option."""

from dataclasses import fields

import pytest

from mrftool.cli import app
from mrftool.cli.hints import hint_for, invoked_command
from mrftool.errors import InputError
from mrftool.formats.sequence.sources import Given
from mrftool.formats.sequence.tables.columns import Layout


def _import_command():
    return invoked_command(app._command(), ["sequence", "import", "list.csv", "-o", "out.yaml"])


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["te"], "see --te-ms"),
        (["rf_phase", "te", "te"], "see --rf-phase-deg, --te-ms"),
        (["inversion"], "see --no-inversion, --ti-ms, --inversion-efficiency"),
        (["field"], "see --field-t"),
        (["file"], ""),  # no option, but an argument
        (["nothing"], ""),
        ([], ""),
    ],
)
def test_quantities_are_shown_as_the_options_of_the_command(arguments, hint):
    assert hint_for(_import_command(), arguments) == hint


def test_the_command_shows_the_options_below_the_message(monkeypatch, capsys):
    def fail(*_):
        raise InputError("list.csv: TE is missing", hint="look at the protocol", arguments=["te"])

    monkeypatch.setattr(app, "_invoke", fail)
    assert app.run(["sequence", "import", "list.csv"]) == 3
    assert capsys.readouterr().err.splitlines() == [
        "mrftool: list.csv: TE is missing",
        "hint: look at the protocol; see --te-ms",
    ]


def test_every_quantity_that_an_import_can_lack_has_an_option():
    command = _import_command()
    quantities = {field.name for field in fields(Given)} | {field.name for field in fields(Layout)}
    named = quantities - {"columns"} | {"flip_column", "phase_column", "tr_column", "te_column"}
    for name in named:
        assert hint_for(command, [name]).startswith("see --"), name
