import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from dicom_factory import Scan, write_classic

import mrftool
from mrftool.environment.child_process import python_command, python_environment
from mrftool.environment.reporter import SilentReporter
from mrftool.formats.dicom.headers import parallel
from mrftool.formats.dicom.headers.files import find_files

PACKAGE = Path(mrftool.__path__[0])
TRAP = "open('ran', 'w').write('code of the working folder ran')\nraise SystemExit(9)\n"


@pytest.fixture
def folder_with_traps(tmp_path, monkeypatch):
    """A working folder with modules that would shadow those that every process imports."""
    for name in ("numpy", "struct", "json", "pydicom", "mrftool", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text(TRAP)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("entry", ["", None, "here"])
def test_a_child_process_imports_nothing_from_the_working_folder(
    folder_with_traps, monkeypatch, entry
):
    if entry is not None:
        place = str(folder_with_traps) if entry == "here" else ""
        monkeypatch.setattr(sys, "path", [place, *sys.path])
    done = subprocess.run(
        python_command("mrftool.formats.dicom.headers.parallel"),
        input=b"",
        env=python_environment(),
        check=False,
    )
    assert done.returncode == 0
    assert not (folder_with_traps / "ran").exists()


@pytest.mark.slow
def test_header_workers_import_nothing_from_the_working_folder(folder_with_traps, monkeypatch):
    monkeypatch.setattr(parallel, "_WORTH_A_PROCESS", 2)
    write_classic(folder_with_traps / "scan", Scan(np.ones((2, 2, 1, 4))))
    files = find_files(folder_with_traps / "scan").files
    headers = parallel.read_headers(files, 2, SilentReporter().progress)
    assert len(headers) == len(files) and all("file" in header for header in headers)
    assert not (folder_with_traps / "ran").exists()


def test_a_child_process_finds_what_its_parent_finds(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "plugins")])
    assert str(tmp_path / "plugins") in python_environment()["PYTHONPATH"].split(os.pathsep)
    assert python_environment({"OMP_NUM_THREADS": "3"})["OMP_NUM_THREADS"] == "3"


@pytest.mark.slow
def test_workers_of_a_cohort_import_nothing_from_the_working_folder(folder_with_traps):
    pytest.importorskip("distributed")
    from mrftool.cohort.cluster import ClusterChoice, open_cluster

    with open_cluster(ClusterChoice(workers=1)) as client:
        assert client.submit(abs, -3).result(timeout=60) == 3
    assert not (folder_with_traps / "ran").exists()


def test_no_other_place_of_the_package_starts_python_on_its_own():
    starts = re.compile(r"sys\.executable|multiprocessing|ProcessPoolExecutor")
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if starts.search(path.read_text())
    }
    assert found <= {"environment/child_process.py", "cohort/cluster.py"}
