"""Commands replace what they wrote before, and nothing of the user's own without being told to."""

from pathlib import Path

import numpy as np
import pytest
from front_door import refuses, works

from mrftool.formats.sequence.write import csv_text, yaml_text
from mrftool.sequence import PulseSequence

SIMULATE = ("simulate", "--seq", "short.yaml", "--phantom", "vials", "--matrix", 8)
DICTIONARY = ("simulate", "--seq", "short.yaml", "--t1-ms", "800", "--t2-ms", "80")
EXPORT = ("sequence", "export", "short.yaml")
IMPORT = ("sequence", "import", "table.csv")
OPTIMISE = ("sequence", "optimise", "--length", 40, "--iterations", 1, "--arms", 1)


@pytest.fixture(autouse=True)
def _elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short_sequence: PulseSequence
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("short.yaml").write_text(yaml_text(short_sequence))
    Path("table.csv").write_text(csv_text(short_sequence))


@pytest.mark.parametrize(
    ("words", "output"),
    [
        ((*SIMULATE, "-o"), "scan.nii.gz"),
        ((*DICTIONARY, "-o"), "dictionary.npz"),
        pytest.param((*SIMULATE, "--kspace"), "scan.mrd", marks=pytest.mark.slow),
        ((*EXPORT, "-o"), "plain.yaml"),
        ((*EXPORT, "-o"), "plain.csv"),
        pytest.param((*EXPORT, "-o"), "plain.seq", marks=pytest.mark.slow),
        ((*IMPORT, "-o"), "imported.yaml"),
        pytest.param((*OPTIMISE, "-o"), "best.yaml", marks=pytest.mark.slow),
    ],
)
def test_a_file_of_the_user_is_kept_and_one_of_mrftool_is_replaced(
    words: tuple[object, ...], output: str
) -> None:
    Path(output).write_text("name: my own\n")
    error = refuses(2, *words, output).err
    assert f"{output} exists, and " in error
    assert "--overwrite" in error
    assert Path(output).read_text() == "name: my own\n"
    works(*words, output, "--overwrite")
    works(*words, output)


def test_a_sequence_file_that_was_edited_is_the_users_own() -> None:
    works(*EXPORT, "-o", "plain.yaml")
    with Path("plain.yaml").open("a") as file:
        file.write("# I tried 12 ms here\n")
    refuses(2, *EXPORT, "-o", "plain.yaml")


def test_arrays_of_the_user_are_no_dictionary() -> None:
    np.savez("arrays.npz", signal=np.ones(3), t1=np.ones(3), t2=np.ones(3))
    assert "is no dictionary that mrftool wrote" in refuses(2, *DICTIONARY, "-o", "arrays.npz").err


def test_a_sidecar_of_the_user_is_kept() -> None:
    Path("scan.json").write_text('{"RepetitionTime": 0.012}')
    assert "scan.json exists" in refuses(2, *SIMULATE, "-o", "scan.nii.gz").err
