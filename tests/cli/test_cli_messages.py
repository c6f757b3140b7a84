"""The options of every command: -v, -q, --json and --log; and what long work says where nobody
watches.
"""

import json
import re
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from front_door import command, refuses, works

from mrftool.cli.app import _command
from mrftool.cli.messages import terminal
from mrftool.cli.messages.common_options import common_options
from mrftool.cli.messages.session import new_session
from mrftool.cli.messages.terminal import Terminal, is_watched
from mrftool.cli.messages.training_table import TrainingTable

SIMULATE = ("simulate", "--seq", "short.yaml", "--phantom", "vials", "--matrix", "8", "-o", "v.nii")


@pytest.fixture(autouse=True)
def _beside_a_sequence(tmp_path: Path, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short.yaml").write_bytes((shelf / "short.yaml").read_bytes())


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "FIRST_LINE", 0.02)
    monkeypatch.setattr(terminal, "NEXT_LINES", 0.02)


def test_every_command_has_the_common_options() -> None:
    names = {parameter.name for parameter in common_options()}
    assert names == {"verbose", "quiet", "as_json", "log"}
    commands = [_command()]
    for parent in commands:
        commands += getattr(parent, "commands", {}).values()
    for each in commands:
        assert names <= {parameter.name for parameter in each.params}, each.name
        assert len({option for p in each.params for option in p.opts}) == sum(
            len(p.opts) for p in each.params
        ), each.name


def test_help_lists_the_exit_codes() -> None:
    text = " ".join(works("quantify", "--help").out.split())
    for words in ("0 done", "3 an input that cannot be used", "5 a failed check"):
        assert words in text


def test_results_are_one_json_document() -> None:
    outcome = works(*SIMULATE, "--json")
    found = json.loads(outcome.out)
    assert found["command"] == f"mrftool {' '.join(SIMULATE)} --json"
    assert (found["exit_code"], found["files"][:2]) == (0, ["v.nii", "v.json"])
    listed = json.loads(works("--json", "sequence", "check", "short.yaml").out)
    assert listed["results"][0]["repetitions"] == 40


@pytest.mark.slow
def test_numbers_stay_numbers_in_json(model: Path) -> None:
    works(*SIMULATE)
    found = json.loads(works("quantify", "v.nii", "--model", model, "--json").out)
    assert found["results"][0]["values"]["voxels"] == 64
    assert "outside the range" in found["results"][0]["warnings"][0]
    assert "maps/report.json" in found["files"]
    rows = json.loads(works("evaluate", "maps", "maps", "v.nii", "--json").out)["results"][0][
        "rows"
    ]
    assert {"t1", "t2"} <= {row["parameter"] for row in rows}
    assert all(isinstance(row["rmse"], float) for row in rows)


def test_an_error_is_in_the_json_document_too() -> None:
    outcome = command("quantify", "none.nii", "--json")
    found = json.loads(outcome.out)
    assert (outcome.code, found["exit_code"]) == (3, 3)
    assert found["error"].startswith("none.nii: no such file")
    assert outcome.err.startswith("mrftool: none.nii: no such file")


def test_quiet_tells_errors_alone_and_verbose_tells_tasks() -> None:
    assert works(*SIMULATE, "--slices", 2).err == ""
    loud = works(*SIMULATE, "--slices", 2, "-v").err
    assert loud.startswith("mrftool: simulating\nmrftool: simulating: done after ")
    refuses(2, "-q", "sequence", "list", "-v", says=("--verbose contradicts --quiet",))
    assert command("-q", "quantify", "none.nii").err.startswith("mrftool: none.nii")


@pytest.mark.slow
def test_notes_are_left_out_when_quiet(model: Path) -> None:
    works(*SIMULATE)
    assert "standard uncertainties assumed" in works("quantify", "v.nii", "--model", model).err
    quiet = works("quantify", "v.nii", "--model", model, "-q")
    assert quiet.err == "" and "T1map" in quiet.out


@pytest.mark.slow
def test_the_log_holds_command_notes_files_and_code(model: Path) -> None:
    works(*SIMULATE)
    works("quantify", "v.nii", "--model", model, "-q", "--log", "log.txt")
    refuses(3, "quantify", "none.nii", "--log", "log.txt")
    text = Path("log.txt").read_text("utf-8")
    lines = [re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00 ", "", x) for x in text.splitlines()]
    assert lines[0].startswith("mrftool quantify v.nii --model ")
    assert any(line.startswith("standard uncertainties assumed") for line in lines)
    assert lines.index("exit code 0") > lines.index("wrote maps/report.html")
    assert lines[-2].startswith("none.nii: no such file") and lines[-1] == "exit code 3"


def test_a_log_that_cannot_be_written_is_an_input_error() -> None:
    refuses(3, "sequence", "list", "--log", "no/such/folder", says=("no/such/folder",))


@pytest.mark.usefixtures("_impatient")
def test_long_work_tells_how_far_it_has_come(capsys: pytest.CaptureFixture[str]) -> None:
    with new_session(()), Terminal().progress("matching", 1000) as done:
        done(250)
        time.sleep(0.1)
    with new_session(()), Terminal().working("tabulating"):
        time.sleep(0.1)
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"mrftool: matching: 250 of 1,000, about \d+ s left", lines[0])
    assert lines[-1] == "mrftool: tabulating: 0 s so far"


@pytest.mark.usefixtures("_impatient")
def test_long_work_says_nothing_when_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with new_session(()) as session:
        session.verbosity = -1
        with Terminal().working("tabulating"):
            time.sleep(0.1)
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("_impatient")
def test_training_tells_its_step_and_losses(capsys: pytest.CaptureFixture[str]) -> None:
    with new_session(()), TrainingTable() as table:
        for step in (11, 12):
            table.show(step, 1000, {"loss": 0.25})
            time.sleep(0.05)
        table.show(13, 1000, {"loss": 0.25})
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"mrftool: step 12 of 1,000, about \d+ s left, loss 0\.25", lines[0])


def test_short_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with new_session(()), Terminal().progress("matching", 10) as done:
        done(10)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("environment", "is_drawn"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "xterm-color", "JPY_PARENT_PID": "7"}, False),  # a cell of a notebook
    ],
)
def test_a_bar_is_drawn_only_where_a_line_can_be_redrawn(
    environment: dict[str, str], is_drawn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(isatty=lambda: True))
    assert is_watched() is is_drawn
