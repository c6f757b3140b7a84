"""The frame of the command line: help, exit codes, streams, signals, and what may be imported
when.
"""

import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from front_door import (
    PYTHON,
    ROOT,
    Outcome,
    assert_refused,
    command,
    environment,
    files,
    process,
    refuses,
    untouched,
    works,
)

from mrftool.cli.app import application
from mrftool.cli.messages.panels import PANELS
from mrftool.errors import (
    CheckFailedError,
    InputError,
    MismatchError,
    MissingExtraError,
    MrftoolError,
    UsageError,
)

BARRED = ("torch", "safetensors", "onnxscript")
BAR = f"""
import sys
class Bar:
    def find_spec(self, name, *_):
        if name.split(".")[0] in {BARRED}:
            raise ModuleNotFoundError("No module named " + name, name=name)
sys.meta_path.insert(0, Bar())
"""
HEAVY = (
    "numpy",
    "scipy",
    "torch",
    "onnx",
    "onnxruntime",
    "nibabel",
    "pydicom",
    "matplotlib",
    "pydantic",
    "yaml",
)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def python(script: str, *arguments: object, **options: Any) -> Outcome:
    """Run a Python script that may change the package before it calls it."""
    line = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    options = {"env": environment(), "timeout": 120, **options}
    done = subprocess.run(line, check=False, capture_output=True, text=True, **options)
    return Outcome(done.returncode, done.stdout, done.stderr)


def all_commands() -> list[tuple[str, ...]]:
    """Every command and group of commands, by its words."""
    found: list[tuple[str, ...]] = [()]
    for name, group in typer.main.get_command(application()).commands.items():  # type: ignore[attr-defined]
        found += [(name,), *((name, word) for word in getattr(group, "commands", ()))]
    return found


@pytest.mark.slow
def test_help_is_there_for_every_command_and_loads_nothing_heavy() -> None:
    commands = all_commands()
    assert len(commands) >= 15
    script = f"""
        import contextlib, io, sys
        from mrftool.cli.app import run
        for command in {commands!r}:
            text = io.StringIO()
            with contextlib.redirect_stdout(text):
                code = run([*command, "--help"])
            usage = "Usage: " + " ".join(["mrftool", *command])
            assert code == 0 and usage in text.getvalue(), command
            print("loaded:", *(name for name in {HEAVY!r} if name in sys.modules))
    """
    outcome = python(script)
    assert (outcome.code, outcome.err) == (0, "")
    first, *others = outcome.out.splitlines()
    assert first == "loaded:"
    assert set(others) <= {
        "loaded:",
        "loaded: pydantic",
    }  # with which Typer itself reads the options of a subcommand
    assert len(others) == len(commands) - 1


@pytest.mark.parametrize("arguments", [(), ("sequence",), ("model",), ("evaluate",)])
def test_no_command_at_all_shows_help_and_fails(arguments: tuple[str, ...]) -> None:
    outcome = command(*arguments)
    assert outcome.code == 2 and "Usage: mrftool" in outcome.out and outcome.err == ""


def test_the_version_is_printed_alone() -> None:
    outcome = works("--version")
    assert outcome.out.startswith("mrftool ") and outcome.out.count("\n") == 1 and outcome.err == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nonsense",), ("No such command 'nonsense'",)),
        (("--nonsense",), ("No such option", "--nonsense")),
        (("simulate",), ("Missing option '--seq'",)),
        (("simulate", "--seq"), ("--seq", "requires an argument")),
        (("simulate", "--seq", "fisp", "--matrix", "eight"), ("--matrix", "integer")),
        (("simulate", "--seq", "fisp", "too", "much"), ("too",)),
        (("quantify",), ("Missing argument",)),
        (("bids", "in", "out"), ("Choose from: participant, group",)),
        (("quantify", "a.nii", "--form", "none"), ("--form", "none")),
        (("model", "show"), ("Missing argument",)),
        (("model", "nonsense"), ("nonsense",)),
        (("evaluate", "maps", "one"), ("Missing argument",)),
        (("export",), ("expected a training run, or --seq FILE --encoder none",)),
        (("train", "--t1-ms", "5"), ("--t1-ms", "requires 2 arguments")),
    ],
)
def test_wrong_usage_is_one_line_and_a_hint(
    arguments: tuple[str, ...], says: tuple[str, ...], tmp_path: Path
) -> None:
    refuses(2, *arguments, says=says)
    assert files(tmp_path) == {}


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (UsageError, 2),
        (InputError, 3),
        (MismatchError, 4),
        (CheckFailedError, 5),
        (MissingExtraError, 6),
    ],
)
def test_every_error_has_its_code_message_and_hint(
    raised: type[MrftoolError], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop(monkeypatch, raised("file.nii: is bad, expected good", hint="mend it"))
    expected = Outcome(code, "", "mrftool: file.nii: is bad, expected good\nhint: mend it\n")
    assert command("sequence", "list") == expected


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        (OSError(28, "No space left on device", "out.nii"), "out.nii: No space left on device"),
        (OSError(122, "Disk quota exceeded"), "output: Disk quota exceeded"),
        (PermissionError(13, "Permission denied", "in.nii"), "in.nii: Permission denied"),
        (IsADirectoryError(21, "Is a directory", "in.nii"), "in.nii: Is a directory"),
        (OSError(36, "File name too long", "x" * 300), "File name too long"),
        (MemoryError("Unable to allocate 71 PiB"), "not enough memory: Unable to allocate 71 PiB"),
    ],
)
def test_what_the_machine_refuses_is_no_traceback(
    raised: Exception, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop(monkeypatch, raised)
    assert_refused(command("sequence", "list"), 3, (says,))


def test_a_file_that_may_not_be_read_is_no_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret.nii").write_bytes(b"")
    monkeypatch.setattr("os.access", lambda *_, **__: False)
    refuses(3, "quantify", "secret.nii", says=("'secret.nii' is not readable",))


def test_an_interrupt_that_a_library_hides_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.11 makes a RuntimeError of Ctrl-C where a class is made, as matplotlib does while it
    loads.
    """
    hidden = RuntimeError("Error calling __set_name__")
    hidden.__cause__ = KeyboardInterrupt()
    stop(monkeypatch, hidden)
    assert command("sequence", "list") == Outcome(130, "", "mrftool: interrupted\n")


def test_an_interrupt_while_the_command_line_loads_is_one() -> None:
    outcome = python("""
        import sys
        class Interrupted:
            def find_spec(self, name, *_):
                if name == "typer":
                    raise KeyboardInterrupt
        sys.meta_path.insert(0, Interrupted())
        from mrftool.__main__ import main
        main()
    """)
    assert outcome == Outcome(130, "", "mrftool: interrupted\n")


@pytest.mark.parametrize(
    ("words", "unit"),
    [(("simulate",), "[m2/s]"), (("export",), "[ms]"), (("sequence", "import"), "[ms]")],
)
def test_help_shows_units(words: tuple[str, ...], unit: str) -> None:
    assert unit in works(*words, "--help").out


@pytest.mark.parametrize("name", PANELS)
def test_every_option_of_a_panel_is_one_of_the_command(name: str) -> None:
    root = typer.main.get_command(application())
    commands = [*root.commands.items(), *root.commands["sequence"].commands.items()]
    same = [command for own, command in commands if own == name]  # two are called export
    known = {parameter.name for command in same for parameter in command.params}
    for panel, options in PANELS[name].items():
        assert set(options) <= known, panel


def test_help_shows_options_in_panels() -> None:
    lines = works("quantify", "--help").out.splitlines()
    titles = [line.split("─ ")[1].split(" ─")[0] for line in lines if line.startswith("╭")]
    assert titles[:2] == ["Arguments", "Options"] and titles[-1] == "Messages"
    assert {"DICOM output", "Array files"} <= set(titles)


def test_a_fault_of_our_own_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    stop(monkeypatch, ZeroDivisionError("ours"))
    with pytest.raises(ZeroDivisionError, match="ours"):
        command("sequence", "list")


def stop(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Make a command raise an error in the midst of its work."""

    def raising(_: str) -> None:
        raise error

    monkeypatch.setattr("mrftool.environment.shipped.shipped_files", raising)


def test_without_the_extra_training_says_which_to_install(tmp_path: Path) -> None:
    outcome = python(
        BAR + "from mrftool.cli.app import main; main()", "train", "--seq", "fisp", "-o", "run"
    )
    assert_refused(outcome, 6, (" is not installed",))
    assert "hint: pip install 'torch>=" in outcome.err
    assert files(tmp_path) == {}


@pytest.mark.slow
def test_simulate_and_quantify_need_no_torch(shelf: Path, model: Path) -> None:
    """Not only that it is not imported: an installation without it does the same."""
    script = f"""
import mrftool.pages.maps
mrftool.pages.maps.overview_figure = lambda *_, **__: _[2].write_bytes(b"")
from mrftool.cli.app import run
commands = [
    ["simulate", "--seq", "{shelf}/short.yaml", "--t1-ms", "900", "--t2-ms", "80", "-o", "d.npz"],
    ["simulate", "--seq", "{shelf}/short.yaml", "--phantom", "vials", "--matrix", "8"]
    + ["-o", "v.nii"],
    ["quantify", "v.nii", "--model", "{model}"],
    ["model", "show", "{model}"],
    ["sequence", "check", "{shelf}/short.yaml"],
]
for command in commands:
    assert run(command) == 0, command
assert not [name for name in sys.modules if name.startswith("mrftool.learning")]
"""
    outcome = python(BAR + script)
    assert outcome.code == 0, outcome


@pytest.mark.slow
def test_nothing_is_reported_to_the_makers_of_libraries(model: Path, tmp_path: Path) -> None:
    """onnxruntime leaves an identity of the computer in these folders before it reports."""
    (tmp_path / "home").mkdir()
    home = str(tmp_path / "home")
    clean = {
        name: value
        for name, value in environment().items()
        if name not in ("ORT_DISABLE_TELEMETRY", "CI")
    }
    clean |= dict.fromkeys(
        ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), home
    )
    script = (
        "import sys; from mrftool.cli.app import main; sys.argv = ['mrftool', 'model', "
        "'show', sys.argv[1]]; main()"
    )
    assert python(script, model, env=clean).code == 0
    assert files(tmp_path) == {"home": None}
    home_of_it = [
        path.name
        for path in (ROOT / "mrftool").rglob("*.py")
        if "import onnxruntime" in path.read_text()
    ]
    assert home_of_it == ["runtime.py"]


@pytest.mark.slow
def test_results_go_to_stdout_and_the_rest_to_stderr(shelf: Path, tmp_path: Path) -> None:
    outcome = process("sequence", "check", shelf / "short.yaml", "none.yaml", cwd=tmp_path)
    assert outcome.code == 3
    assert outcome.out.startswith(f"{shelf / 'short.yaml'}: good, 40 repetitions, id ")
    assert outcome.err.startswith("mrftool: none.yaml: no such file")


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_closed_stream_is_no_crash(stream: str, shelf: Path) -> None:
    number = {"stdout": 1, "stderr": 2}[stream]
    line = f'exec "$@" {number}>&-'
    done = subprocess.run(
        ["/bin/sh", "-c", line, "sh", *PYTHON, "sequence", "check", str(shelf / "short.yaml")],
        check=False,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=120,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done


@pytest.mark.slow
def test_a_full_disk_behind_stdout_is_said(shelf: Path) -> None:
    with Path("/dev/full").open("w") as full:
        line = [*PYTHON, "sequence", "schema"]
        done = subprocess.run(
            line, check=False, stdout=full, stderr=subprocess.PIPE, text=True, env=environment()
        )
    assert_refused(
        Outcome(done.returncode, "", done.stderr), 3, ("output: No space left on device",)
    )


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    child = subprocess.Popen(
        [*PYTHON, "sequence", "schema"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert child.stdout is not None and child.stderr is not None
    child.stdout.close()
    assert (child.wait(timeout=60), child.stderr.read()) == (141, b"")
    child.stderr.close()


@pytest.mark.slow
def test_a_terminal_that_knows_only_ascii_is_no_crash(shelf: Path, tmp_path: Path) -> None:
    narrow = environment(PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    line = [
        *PYTHON,
        "simulate",
        "--seq",
        str(shelf / "short.yaml"),
        "--t1-ms",
        "900",
        "--t2-ms",
        "80",
    ]
    done = subprocess.run(
        [*line, "-o", "größe.npz"], check=False, capture_output=True, cwd=tmp_path, env=narrow
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, rb"gr\xf6\xdfe.npz" + b"\n", b"")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "output"), [(signal.SIGINT, "new.npz"), (signal.SIGTERM, "earlier.npz")]
)
def test_a_signal_during_simulate_leaves_what_was_there(
    sent: signal.Signals, output: str, tmp_path: Path
) -> None:
    (tmp_path / "earlier.npz").write_text("an earlier result")
    with untouched(tmp_path):
        line = [
            *PYTHON,
            "simulate",
            "-q",
            "--seq",
            "fisp",
            "--overwrite",
            "-o",
            output,
        ]  # the paper's dictionary: seconds of work
        child = subprocess.Popen(
            line,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        wait_for(
            lambda: any(part.stat().st_size > 3_000_000 for part in tmp_path.glob(".*.part.*"))
        )
        child.send_signal(sent)
        out, err = child.communicate(timeout=60)
    said = {signal.SIGINT: (130, "mrftool: interrupted\n"), signal.SIGTERM: (143, "")}
    assert ((child.returncode, err), out) == (said[sent], "")


def wait_for(happened: Callable[[], bool]) -> None:
    for _ in range(3000):
        if happened():
            return
        time.sleep(0.02)
    pytest.fail("it never happened")


@pytest.mark.slow
def test_commands_work_from_any_folder(tmp_path: Path) -> None:
    """Shipped files are found, and nothing is left in the folder that the command was called
    from.
    """
    outcome = process("sequence", "check", "fisp", cwd="/")
    assert outcome.code == 0 and outcome.out.startswith("fisp: good, 1000 repetitions")
    assert files(tmp_path) == {}
