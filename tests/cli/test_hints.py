"""What the library calls by a quantity's name, the command line shows as an option."""

import pytest

from mrftool.cli import app
from mrftool.cli.hints import hint_for, invoked_command
from mrftool.errors import InputError


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
