"""JSON files as untrusted input: reports, markers, manifests."""

import os
from pathlib import Path
from typing import Any

import pytest

from mrftool.cohort.marker import read_marker
from mrftool.errors import InputError
from mrftool.evaluation.reference import _classes, read_report
from mrftool.evaluation.rois import read_reference
from mrftool.formats.bids import read_sidecar
from mrftool.formats.json_text import json_text, load_json, read_json
from mrftool.workflows.steps.outputs.run_record import former_outputs


@pytest.mark.parametrize(
    "text",
    ["NaN", "[Infinity]", '{"a": -Infinity}', "1e400", "[-1e999]", "9" * 400, "[" * 100_000, "{"],
    ids=lambda text: text[:10],
)
def test_json_without_a_finite_value_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"finite|nested|Expecting"):
        load_json(text)


def test_half_a_character_is_read_as_a_question_mark() -> None:
    assert load_json('{"\\ud800": ["\\udfff", "\\ud83d\\ude00"]}') == {"?": ["?", "\U0001f600"]}


def test_sidecars_of_odd_values_are_refused_or_read(tmp_path: Path) -> None:
    (tmp_path / "scan.json").write_text('{"a": "\\ud800", "truth": {"t1": "x", "t2": "x"}}')
    assert read_sidecar(tmp_path / "scan.nii") == {"a": "?", "truth": {"t1": "x", "t2": "x"}}
    with pytest.raises(InputError, match=r"classes 2\.5, expected a list"):
        _classes({"classes": 2.5}, tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"a": "J\u00f6rg"}'.encode("latin-1"), "its text is not UTF-8"),
        ("{}".encode("utf-16"), "its text is not UTF-8"),
        (b"[" * 100_000, "it is nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "it has a number of too many digits"),
        (b'{\n"a": }', "line 2, column 6: "),
    ],
)
def test_a_sidecar_that_is_no_json_is_refused_in_a_users_words(
    tmp_path: Path, content: bytes, words: str
) -> None:
    (tmp_path / "scan.json").write_bytes(content)
    with pytest.raises(InputError, match=f"is no JSON: {words}"):
        read_sidecar(tmp_path / "scan.nii")


def test_finite_json_is_read(tmp_path: Path) -> None:
    assert load_json('{"a": [1, -2.5, 1e300, null, "NaN"]}') == {"a": [1, -2.5, 1e300, None, "NaN"]}
    (tmp_path / "a.json").write_text("\ufeff[1]", "utf-8")
    assert read_json(tmp_path / "a.json", "a list") == [1]


def zeros(path: Path) -> None:
    """A device without an end."""
    path.symlink_to("/dev/zero")


def sparse(path: Path) -> None:
    """Terabytes of zeros that need no disk."""
    path.touch()
    os.truncate(path, 1 << 40)


@pytest.mark.parametrize("make", [zeros, os.mkfifo, sparse], ids=["device", "pipe", "sparse"])
def test_a_report_without_an_end_is_refused_at_once(tmp_path: Path, make) -> None:
    make(tmp_path / "report.json")
    with pytest.raises(InputError, match="missing or no report"):
        read_report(tmp_path)
    assert former_outputs(tmp_path) == []
    assert read_marker(tmp_path / "report.json") is None
    with pytest.raises(InputError, match="expected a CSV file"):
        read_reference(tmp_path / "report.json")


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        {"a": {}, "b": [], "c": None, "d": True},
        {"curve": [1.5, -2e-7, 3], "affine": [[1.0, 0.0], [0.0, 1.0]], 'quo"te\u00e9\n': "x\ty"},
        [{"a": [{"b": [[]]}]}, [1, "two", None]],
        "text",
    ],
)
def test_text_holds_the_value(value: Any) -> None:
    assert load_json(json_text(value)) == value


def test_text_has_a_line_for_each_key_and_list_of_numbers() -> None:
    text = json_text({"a": [1, 2, 3], "b": {"c": [[1, 2], [3, 4]]}})
    assert text.splitlines() == [
        "{",
        '  "a": [1, 2, 3],',
        '  "b": {',
        '    "c": [',
        "      [1, 2],",
        "      [3, 4]",
        "    ]",
        "  }",
        "}",
    ]


def test_text_has_no_numbers_that_are_not_finite() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        json_text({"a": [float("nan")]})
