"""What a process of the command line loads: no more than its command needs."""

import subprocess
import sys

import pytest


def loaded_by(words: list[str]) -> set[str]:
    """Top-level modules that a command has loaded when it ends."""
    code = (
        "import sys; from mrftool.cli import app\n"
        f"sys.argv = ['mrftool', *{words}]\n"
        "try:\n    app.main()\n"
        "finally:\n    loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "    print('loaded', *loaded, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("words", "without"),
    [
        (["sequence", "list"], {"matplotlib", "scipy", "pydicom", "onnx"}),
        (["quantify", "--help"], {"numpy", "matplotlib", "nibabel", "pydantic"}),
        (["quantify", "no_such.nii"], {"pydantic", "nibabel", "scipy", "matplotlib", "yaml"}),
    ],
)
def test_a_command_leaves_alone_what_it_does_not_need(words: list[str], without: set[str]) -> None:
    loaded = loaded_by(words)
    assert "mrftool" in loaded
    assert not without & loaded


def test_a_quantified_scan_loads_no_reader_of_sequence_files() -> None:
    code = (
        "import sys\n"
        "import mrftool.cli.uncertainty, mrftool.workflows.quantify\n"
        "lazy = ['pydantic', 'yaml', 'nibabel', 'scipy', 'mrftool.inference.common.fit']\n"
        "sys.exit(', '.join(name for name in lazy if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_one_subcommand_is_loaded_where_one_is_asked_for() -> None:
    code = (
        "import sys; from mrftool.cli.app import run; run(['model', 'show', 'no_such'])\n"
        "sys.exit('mrftool.cli.commands.quantify' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
