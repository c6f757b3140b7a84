"""What a process of the command line loads: no more than its command needs."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("command", "without"),
    [
        ("['sequence', 'list']", ["matplotlib", "scipy", "pydicom", "onnx"]),
        ("['quantify', '--help']", ["numpy", "matplotlib", "nibabel"]),
    ],
)
def test_a_command_leaves_alone_what_it_does_not_need(command: str, without: list[str]) -> None:
    code = (
        "import sys; from mrftool.cli import app\n"
        f"sys.argv = ['mrftool', *{command}]\n"
        "try:\n    app.main()\n"
        "finally:\n    loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "    print(sorted(loaded), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not [name for name in without if f"'{name}'" in done.stderr]


def test_nibabel_comes_without_pydicom_which_others_can_load() -> None:
    code = (
        "import sys; from mrftool.cli.lean_imports import import_nibabel_alone\n"
        "import_nibabel_alone(); import nibabel; assert 'pydicom' not in sys.modules\n"
        "import pydicom; assert pydicom.dcmread\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
