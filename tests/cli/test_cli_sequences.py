"""`mrftool sequence` and `mrftool evaluate maps` through the front door."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from front_door import (
    Outcome,
    assert_refused,
    command,
    files,
    load,
    refuses,
    save,
    untouched,
    works,
)

from mrftool.formats.sequence.yaml_file import read_sequence

THREE_FAULTS = """\
mrftool_sequence: 1
name: bad
flip_angle_deg: [10, 20, .nan]
tr_ms: 12
te_ms: 30
rf_fase_deg: 0
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def seq(shelf: Path) -> Path:
    return shelf / "short.yaml"


COMMANDS = [("sequence", "check"), ("sequence", "show"), ("simulate", "--seq"), ("export", "--seq")]


@pytest.mark.parametrize("words", COMMANDS)
def test_three_faults_of_a_file_are_named_together_with_key_and_line(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "bad.yaml").write_text(THREE_FAULTS)
    with untouched(tmp_path):
        outcome = command(*words, "bad.yaml")
    assert (outcome.code, outcome.out) == (3, "")
    first, *faults = outcome.err.splitlines()
    assert first == "mrftool: bad.yaml: 3 faults in the sequence"
    assert len(faults) == 3
    expected = [
        (3, "flip_angle_deg", "finite"),
        (5, "te_ms", "TR 12 ms"),
        (6, "rf_fase_deg", "rf_phase_deg"),
    ]
    for fault, (line, key, text) in zip(faults, expected, strict=True):
        assert fault.startswith(f"  line {line}: {key}") and text in fault


def test_a_key_that_is_there_twice_is_a_fault(seq: Path) -> None:
    lines = seq.read_text().splitlines()
    first = next(n for n, line in enumerate(lines, 1) if line.startswith("te_ms:"))
    Path("twice.yaml").write_text("\n".join([*lines, "te_ms: 4"]))
    outcome = command("sequence", "check", "twice.yaml")
    assert outcome.code == 3
    assert (
        f"  line {len(lines) + 1}: te_ms: is in line {first} already, expected it once"
        in outcome.err
    )


def test_check_goes_on_after_a_bad_file(seq: Path) -> None:
    Path("bad.yaml").write_text(THREE_FAULTS)
    outcome = command("sequence", "check", "bad.yaml", seq, "none", "fisp", ".")
    assert outcome.code == 3
    assert [line.split(": good")[0] for line in outcome.out.splitlines()] == [str(seq), "fisp"]
    assert [
        line.split(":")[1].strip()
        for line in outcome.err.splitlines()
        if line.startswith("mrftool: ")
    ] == [
        "bad.yaml",
        "none",
        ".",
    ]


def test_a_path_comes_before_a_shipped_name(seq: Path, tmp_path: Path) -> None:
    (tmp_path / "fisp").write_bytes(seq.read_bytes())
    assert "good, 40 repetitions" in works("sequence", "check", "fisp").out
    assert "good, 1000 repetitions" in works("sequence", "check", "fisp.yaml").out


def test_shipped_sequences_are_listed_and_good() -> None:
    lines = works("sequence", "list").out.splitlines()
    names = [line.split()[0] for line in lines]
    assert {
        "fisp",
        "fisp_jiang",
        "spline5",
        "spline11noisy",
        "cao",
        "delics",
        "liquid_phantom",
        "cmrf15",
        "irbssfp",
        "optimised",
    } <= set(names)
    works("sequence", "check", *names)


def test_the_schema_is_json() -> None:
    assert json.loads(works("sequence", "schema").out)["title"] == "mrftool RF sequence"


@pytest.mark.slow
def test_show_prints_and_draws_whatever_the_name(seq: Path, tmp_path: Path) -> None:
    name = "x [/b] $\\frac$ 日本 \x1b[31m"
    (tmp_path / "odd.yaml").write_text(
        yaml.safe_dump({**yaml.safe_load(seq.read_text()), "name": name})
    )
    outcome = works("sequence", "show", "odd.yaml", "--compare", seq)
    for words in (
        "40",
        "efficiency 1, TI 20 ms",
        read_sequence(seq).sequence_id,
        "x [/b] $\\frac$ 日本",
    ):
        assert words in outcome.out
    assert "\x1b" not in outcome.out + outcome.err and outcome.err == ""
    pictures = {file: content for file, content in files(tmp_path).items() if file.endswith(".png")}
    assert {"x_b_frac_日本_31m.png", "x_b_frac_日本_31m_against_short.png"} <= pictures.keys()
    assert all(
        content is not None and content.startswith(b"\x89PNG") for content in pictures.values()
    )
    assert set(outcome.out.splitlines()) >= pictures.keys()
    missing = command("sequence", "check", "\x1b[31mred.yaml")
    assert missing.err.startswith("mrftool: \\x1b[31mred.yaml: no such file")


@pytest.mark.parametrize(
    ("code", "arguments", "says"),
    [
        (2, ("SEQ", "-o", "short.yaml"), "short.yaml, expected a file name that ends in .png"),
        (3, ("SEQ", "-o", "no/folder/a.png"), "no/folder/a.png: cannot be written"),
        (2, ("SEQ", "--snr", "nan"), "--snr nan"),
        (2, ("SEQ", "--snr", 0), "--snr 0"),
        (
            3,
            ("nothing",),
            "nothing: no such file, expected a .yaml file or one of the shipped sequences: cao,",
        ),
        (3, ("binary.yaml",), "binary.yaml: not a text file in UTF-8, expected YAML"),
        (3, ("list.yaml",), "list.yaml: expected a YAML mapping"),
        (3, ("alias.yaml",), "alias.yaml: YAML aliases are not allowed"),
        (3, ("python.yaml",), "python.yaml: line 1: could not determine a constructor"),
        (3, ("deep.yaml",), "deep.yaml: line 1: 11 levels deep"),
        (
            3,
            ("huge.yaml",),
            "huge.yaml: 20000001 bytes, expected a sequence file of at most 20000000",
        ),
    ],
)
def test_what_is_no_sequence_is_refused(
    code: int, arguments: tuple[object, ...], says: str, seq: Path, tmp_path: Path
) -> None:
    contents = {
        "short.yaml": seq.read_bytes(),
        "binary.yaml": bytes(range(256)),
        "list.yaml": b"- 1\n",
        "alias.yaml": b"a: &x [1]\nb: *x\n",
        "python.yaml": b"!!python/object/apply:os.system ['touch hacked']\n",
        "deep.yaml": b"[" * 50_000,
        "huge.yaml": b"#" * 20_000_001,
    }
    for name in {*map(str, arguments), "short.yaml"} & contents.keys():
        (tmp_path / name).write_bytes(contents[name])
    with untouched(tmp_path):
        outcome = command(
            "sequence", "show", *(seq if word == "SEQ" else word for word in arguments)
        )
    shown = Outcome(outcome.code, "" if "cannot be written" in says else outcome.out, outcome.err)
    assert_refused(shown, code, (says,))


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory, shelf: Path) -> Path:
    """A folder as quantify leaves it: maps that are 10 % too long, and the report that names
    them.
    """
    folder = tmp_path_factory.mktemp("scored") / "maps"
    folder.mkdir()
    import nibabel

    affine = nibabel.load(shelf / "brain.nii.gz").affine
    for name in ("T1", "T2"):
        save(
            folder / f"{name}map.nii.gz",
            1.1 * load(shelf / f"brain_truth_{name}map.nii.gz"),
            affine,
        )
    (folder / "report.json").write_text(
        json.dumps({"maps": {"t1": "T1map.nii.gz", "t2": "T2map.nii.gz"}})
    )
    return folder


@pytest.mark.slow
def test_maps_that_are_ten_percent_too_long_score_so(
    scored: Path, shelf: Path, tmp_path: Path
) -> None:
    with untouched(scored):
        outcome = works("evaluate", "maps", scored, shelf / "brain.nii.gz", "-o", "out [/b] $x$")
    assert "white matter" in outcome.out
    scores = json.loads(Path("out [/b] $x$/errors.json").read_text())
    assert {score["parameter"] for score in scores} == {"t1", "t2"}
    for score in scores:
        assert score["bias_percent"] == pytest.approx(10, abs=1e-3)
        assert score["error_percent"] == pytest.approx(10, abs=1e-3)
    assert {"errors.md", "errors.png", "scatter.png"} <= set(files(Path("out [/b] $x$")))


@pytest.mark.parametrize(
    ("code", "truth", "says"),
    [
        (3, "none.nii", "none.nii: no such file"),
        (
            3,
            "bare.nii",
            "bare.nii: its sidecar names no ground truth, expected a scan that mrftool simulate "
            "wrote",
        ),
        (3, "lost.nii", "gone.nii"),
        (3, "odd.nii", "odd.nii"),
        (3, "text.npz", "text.npz"),
        (3, "sick.nii", "sick.json: is no JSON"),
        (4, "small.npz", "T1map.nii.gz: has 24 x 24 x 1 voxels, expected 4 x 4 x 1"),
        (4, "uneven.nii", "small.nii"),
    ],
)
def test_a_truth_that_is_none_is_refused(
    code: int, truth: str, says: str, scored: Path, shelf: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.npz").write_text("text")
    ones = np.ones((4, 4, 1))
    np.savez(tmp_path / "small.npz", t1=ones, t2=ones, affine=np.eye(4), mask=ones)
    sidecars: dict[str, Any] = {
        "lost": {"truth": {"t1": "gone.nii", "t2": "gone.nii"}},
        "odd": {"truth": [1, 2]},
        "uneven": {"truth": {"t1": "large.nii", "t2": "small.nii"}},
    }
    save(tmp_path / "large.nii", np.ones((24, 24, 1), np.float32))
    save(tmp_path / "small.nii", np.ones((4, 4, 1), np.float32))
    for name in ("bare", "lost", "odd", "uneven", "sick"):
        (tmp_path / f"{name}.nii").write_bytes((tmp_path / "small.nii").read_bytes())
        if name in sidecars:
            (tmp_path / f"{name}.json").write_text(json.dumps(sidecars[name]))
    (tmp_path / "sick.json").write_text("{")
    with untouched(tmp_path):
        refuses(code, "evaluate", "maps", scored, truth, "-o", "out", says=(says,))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "report.json: missing or no report, expected a folder that mrftool quantify wrote"),
        (b"{", "report.json: missing or no report"),
        (b"\xff", "report.json: missing or no report"),
        (b"[" * 100000, "report.json: missing or no report"),
        (b'{"maps": {}}', "names no T1 and T2 map"),
        (b'{"maps": {"t1": "gone.nii", "t2": "gone.nii"}}', "gone.nii: no such file"),
    ],
)
def test_a_folder_without_maps_is_refused(
    content: bytes | None, says: str, shelf: Path, tmp_path: Path
) -> None:
    (tmp_path / "maps").mkdir()
    if content is not None:
        (tmp_path / "maps" / "report.json").write_bytes(content)
    with untouched(tmp_path):
        refuses(3, "evaluate", "maps", "maps", shelf / "brain.nii.gz", says=(says,))


def test_scores_that_cannot_be_written_leave_the_earlier_ones(
    scored: Path, shelf: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    with untouched(tmp_path), untouched(scored):
        refuses(
            3,
            "evaluate",
            "maps",
            scored,
            shelf / "brain.nii.gz",
            "-o",
            "file",
            says=("file", "cannot be written"),
        )


def test_pictures_of_a_sequence_appear_together_or_not_at_all(
    seq: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mrftool.workflows.sequences.show_sequence.precision_figure", full)
    (tmp_path / "short.png").write_text("an earlier picture")
    with untouched(tmp_path):
        outcome = command("sequence", "show", seq)
    assert outcome.code == 3 and outcome.err.startswith(
        "mrftool: short.png and 3 more: cannot be written"
    )
