from pathlib import Path

import numpy as np
import pytest
from front_door import command, process, refuses, untouched, works

from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.sequence import PulseSequence

COMPLETE = (
    "--tr-ms",
    12,
    "--te-ms",
    2,
    "--rf-phase-deg",
    0,
    "--no-inversion",
    "--spoiling",
    "gradient",
)


def import_list(tmp_path: Path, *options: object, text: str = "10\n20\n30\n") -> PulseSequence:
    (tmp_path / "fa.txt").write_text(text)
    works("sequence", "import", tmp_path / "fa.txt", "-o", tmp_path / "mine.yaml", *options)
    return read_sequence(tmp_path / "mine.yaml")


def test_a_list_becomes_a_sequence_file_and_tells_its_assumptions(tmp_path: Path) -> None:
    (tmp_path / "fa.txt").write_text("10\n20\n30\n")
    outcome = works(
        "sequence", "import", tmp_path / "fa.txt", "-o", tmp_path / "mine.yaml", *COMPLETE
    )
    assert outcome.out.splitlines()[-1] == str(tmp_path / "mine.yaml")
    for sentence in (
        "te is 2 ms, as the user says",
        "one column",
        "the train is assumed to play once, from equilibrium",
    ):
        assert f"mrftool: {sentence}" in outcome.err
        assert sentence[1:] in " ".join((tmp_path / "mine.yaml").read_text().split())
    works("sequence", "check", tmp_path / "mine.yaml")


def test_lists_of_several_files_go_together(tmp_path: Path) -> None:
    (tmp_path / "tr.txt").write_text("12\n13\n14\n")
    (tmp_path / "phase.txt").write_text("0\n90\n180\n")
    lists = ("--tr-ms", tmp_path / "tr.txt", "--rf-phase-deg", tmp_path / "phase.txt")
    sequence = import_list(tmp_path, *lists, "--te-ms", 2, "--no-inversion", "--spoiling", "none")
    np.testing.assert_allclose(sequence.tr * 1e3, [12, 13, 14])
    np.testing.assert_allclose(np.rad2deg(sequence.rf_phase), [0, 90, 180])
    assert sequence.spoiling == "none"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--te-ms", 3), None),
        (("--tr-ms", 13), None),
        (("--rf-phase-deg", "phase.txt"), None),
        (("--spoiling", "none"), None),
        (("--repeats", 2), None),
        (("--rows", 2), None),
        (("--flip-unit", "rad"), "1\n2\n3\n"),
        (("--flip-unit", "fraction", "--nominal-flip-deg", 70), "0.1\n0.2\n0.3\n"),
        (("--flip-column", 2), "10 1\n20 2\n30 3\n"),
        (("--decimal", "comma"), "10,1\n20,2\n30,3\n"),
    ],
)
def test_each_option_changes_the_sequence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[object, ...], text: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("phase.txt").write_text("0\n90\n180\n")
    before = import_list(tmp_path, *COMPLETE)
    unit = ("--flip-unit", "deg") if text and "--flip-column" in options else ()
    assert import_list(tmp_path, *COMPLETE, *options, *unit, text=text or "10\n20\n30\n") != before


def test_options_for_trains_and_tables_reach_the_sequence(tmp_path: Path) -> None:
    inversion = (
        "--ti-ms",
        20,
        "--inversion-efficiency",
        0.9,
        "--repeats",
        3,
        "--wait-ms",
        500,
        "--name",
        "own",
    )
    table = "A;B;C;D\n0,5;90;100;10\n0,25;0;200;20\n"
    columns = (
        "--flip-column",
        "A",
        "--phase-column",
        "B",
        "--tr-column",
        3,
        "--te-column",
        "D",
        "--time-unit",
        "us",
    )
    bases = (
        "--nominal-flip-deg",
        60,
        "--flip-unit",
        "fraction",
        "--base-tr-ms",
        12,
        "--base-te-ms",
        1,
    )
    sequence = import_list(
        tmp_path,
        *inversion,
        *columns,
        *bases,
        "--phase-unit",
        "deg",
        "--spoiling",
        "gradient",
        text=table,
    )
    assert sequence.train.inversion is not None
    assert (sequence.train.inversion.time, sequence.train.inversion.efficiency) == (0.02, 0.9)
    assert (sequence.train.repeats, sequence.train.wait, sequence.name) == (3, 0.5, "own")
    np.testing.assert_allclose(np.rad2deg(sequence.flip_angle), [30, 15])
    np.testing.assert_allclose(np.rad2deg(sequence.rf_phase), [90, 0])
    np.testing.assert_allclose(sequence.tr * 1e3, [12.1, 12.2])
    np.testing.assert_allclose(sequence.te * 1e3, [1.01, 1.02])


def test_faults_come_at_once_one_line_each_and_leave_nothing(tmp_path: Path) -> None:
    (tmp_path / "fa.txt").write_text("1\n2\n")
    with untouched(tmp_path):
        outcome = command(
            "sequence", "import", tmp_path / "fa.txt", "-o", tmp_path / "mine.yaml", "--te-ms", 2
        )
    assert (outcome.code, outcome.out) == (3, "")
    first, *faults, hint = outcome.err.splitlines()
    assert first == f"mrftool: {tmp_path / 'fa.txt'}: 5 faults in the sequence"
    assert [fault.strip().split(":")[0] for fault in faults] == [
        "flip_angle",
        "rf_phase",
        "tr",
        "spoiling",
        "inversion",
    ]
    assert hint == (
        "hint: see --flip-unit, --rf-phase-deg, --tr-ms, --spoiling, --no-inversion, --ti-ms, "
        "--inversion-efficiency"
    )


@pytest.mark.parametrize(
    ("code", "arguments", "says"),
    [
        (3, ("none.seq", "-o", "a.yaml"), "none.seq: no such file"),
        (3, ("fa.txt", "-o", "absent/a.yaml", *COMPLETE), "absent/a.yaml: cannot be written"),
        (3, ("fa.txt", "-o", "a.yaml", "--tr-ms", "none.txt"), "none.txt: No such file"),
        (3, ("broken.seq", "-o", "a.yaml"), "broken.seq: is no Pulseq file"),
        (3, ("broken.h5", "-o", "a.yaml"), "expected an ISMRMRD file in HDF5"),
        (2, ("fa.txt", "-o", "a.txt", *COMPLETE), "expected a file name that ends in .yaml"),
        (2, ("own.yaml", "-o", "own.yaml", *COMPLETE), "own.yaml is an input"),
        (2, ("fa.txt", "-o", "a.yaml", "--ti-ms", -1), "--ti-ms -1.0, expected 0 to 60000"),
        (2, ("fa.txt", "-o", "a.yaml", "--slice-profile", 8), "are for Pulseq files"),
        (2, ("broken.seq", "-o", "a.yaml", "--rows", 8), "are for tables"),
    ],
)
def test_refusals(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    arguments: tuple[object, ...],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("fa.txt").write_text("10\n20\n")
    Path("own.yaml").write_text("10\n20\n")
    Path("broken.seq").write_text("nothing")
    Path("broken.h5").write_text("nothing")
    with untouched(tmp_path):
        refuses(code, "sequence", "import", *arguments, says=(says,))


def test_what_can_only_be_said_has_no_opposite() -> None:
    shown = works("sequence", "import", "--help").out
    assert "--no-inversion" in shown and "--no-no-" not in shown and "--no-receiver" not in shown


@pytest.mark.slow
def test_exports_come_back_with_their_id(tmp_path: Path) -> None:
    outcome = works("sequence", "export", "spline5", "-o", tmp_path / "train.csv")
    expected = read_sequence("spline5").sequence_id
    assert expected in outcome.out
    works("sequence", "import", tmp_path / "train.csv", "-o", tmp_path / "again.yaml")
    works("sequence", "export", tmp_path / "again.yaml", "-o", tmp_path / "plain.yaml")
    assert read_sequence(tmp_path / "plain.yaml").sequence_id == expected
    with untouched(tmp_path):
        refuses(
            2, "sequence", "export", "spline5", "-o", tmp_path / "train.txt", says=("ends in .csv",)
        )
        refuses(
            3, "sequence", "export", "spline55", "-o", tmp_path / "x.csv", says=("no such file",)
        )
        refuses(
            2,
            "sequence",
            "export",
            tmp_path / "again.yaml",
            "-o",
            tmp_path / "again.yaml",
            says=("is an input",),
        )


@pytest.mark.slow
def test_a_pulseq_file_becomes_a_sequence_file(tmp_path: Path) -> None:
    from pulseq_factory import Fisp

    Fisp(phases=[0, 180] * 3).write(tmp_path / "fisp.seq")
    options = ("--slice-profile", 8, "--inversion-efficiency", 0.97)
    outcome = process(
        "sequence", "import", tmp_path / "fisp.seq", "-o", tmp_path / "fisp.yaml", *options
    )
    assert outcome.code == 0, outcome
    sequence = read_sequence(tmp_path / "fisp.yaml")
    assert sequence.slice_profile is not None and len(sequence.slice_profile.weight) == 8
    assert sequence.train.inversion is not None and sequence.train.inversion.efficiency == 0.97
    assert sequence.name == "fisp"
    assert "Pulseq 1.5.0 file" in (tmp_path / "fisp.yaml").read_text()
