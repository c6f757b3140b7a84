from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from random_sequences import random_sequence

from mrftool.environment.shipped import shipped_files
from mrftool.errors import InputError, UsageError
from mrftool.formats.sequence.importing import import_sequence, imported_text
from mrftool.formats.sequence.sources import Given
from mrftool.formats.sequence.tables.columns import Layout
from mrftool.formats.sequence.tables.text import read_table
from mrftool.formats.sequence.write import csv_text, export_sequence, yaml_text
from mrftool.formats.sequence.yaml_file import parse_sequence, read_sequence

SHIPPED = [path for path in shipped_files("sequences") if path.suffix == ".yaml"]
REST = {"no_inversion": True, "spoiling": "gradient"}
ALL = {**REST, "rf_phase": np.zeros(1), "tr": np.array([0.012]), "te": np.array([0.002])}


def file(tmp_path: Path, text: str, name: str = "list.txt") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def flips(tmp_path: Path, text: str, layout: Layout | None = None) -> list[float]:
    sequence = import_sequence(file(tmp_path, text), Given(**ALL), layout).sequence
    return [float(flip) for flip in np.rad2deg(sequence.flip_angle)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5.94\n6.41\n", [[5.94], [6.41]]),
        ("\ufeff# MRF\n% list\n// more\n5.94\r\n\r\n6.41", [[5.94], [6.41]]),
        ("1.5,2.5\n3,4\n", [[1.5, 2.5], [3, 4]]),
        ("1.5, 2.5,\n3, 4,\n", [[1.5, 2.5], [3, 4]]),
        ("5,5;6,1\n7;8,2\n", [[5.5, 6.1], [7, 8.2]]),
        ("5,94 12,1\n6,41   12,2\n", [[5.94, 12.1], [6.41, 12.2]]),
        ("5,94\t12\n6,41\t13\n", [[5.94, 12], [6.41, 13]]),
        ("a\tb\n1e1\t-2E-1\n", [[10, -0.2]]),
        ("flip,TR\n10,12\n11,13\n", [[10, 12], [11, 13]]),
        ("flip\n5,94\n6,41\n", [[5.94], [6.41]]),
        ('"flip angle";"TR"\n10;12\n', [[10, 12]]),
        ("\ufeffsep=;\r\nflip;TR\r\n10;12,5\r\n", [[10, 12.5]]),
        ("10 20 30 40 50 60\n", [[10], [20], [30], [40], [50], [60]]),
    ],
)
def test_separators_and_decimal_signs_are_found(
    tmp_path: Path, text: str, expected: list[list[float]]
) -> None:
    np.testing.assert_array_equal(read_table(file(tmp_path, text)).values, expected)


def test_a_comma_that_may_be_either_is_refused_until_told(tmp_path: Path) -> None:
    path = file(tmp_path, "5,94\n6,41\n")
    with pytest.raises(InputError, match="a comma may separate") as caught:
        read_table(path)
    assert caught.value.arguments == ("decimal",)
    np.testing.assert_array_equal(read_table(path, "comma").values, [[5.94], [6.41]])
    np.testing.assert_array_equal(read_table(path, "point").values, [[5, 94], [6, 41]])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "no numbers"),
        ("flip\n", "line 1: 'flip' and no numbers below"),
        ("10\nx\n30\n", "line 2: 'x' is no number"),
        ("10\nnan\n30\n", "line 2: 'nan' is no number"),
        ("10\n1e999\n", "not finite"),
        ("1 2 3\n4 5\n", "line 2: 2 cells, expected 3"),
        ("a b\n1 2 3\n", "line 1: a header of 2 names, expected 3"),
        ("1.2.3\n", "no numbers below"),
        ("0x10\n", "no numbers below"),
    ],
)
def test_what_is_no_table_is_refused_with_its_line(
    tmp_path: Path, text: str, expected: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_table(file(tmp_path, text))
    assert str(caught.value).startswith(str(tmp_path)) and expected in str(caught.value)


def test_binary_and_missing_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_bytes(bytes(range(256)))
    for name, expected in (
        ("b.csv", "not a text file"),
        ("none.csv", "no such file"),
        (".", "is a folder"),
    ):
        with pytest.raises(InputError, match=expected):
            import_sequence(tmp_path / name, Given(**ALL))


def test_angles_are_degrees_only_beyond_doubt(tmp_path: Path) -> None:
    assert flips(tmp_path, "5\n70\n") == pytest.approx([5, 70])
    with pytest.raises(InputError, match="flip_angle: its unit is not in the header") as caught:
        flips(tmp_path, "1\n6.2\n")
    assert caught.value.arguments == ("flip_unit",)
    assert flips(tmp_path, "1\n6.2\n", Layout(flip_unit="deg")) == pytest.approx([1, 6.2])
    assert flips(tmp_path, "1\n2\n", Layout(flip_unit="rad")) == pytest.approx(np.rad2deg([1, 2]))
    assert flips(tmp_path, "flip [rad]\n1\n2\n") == pytest.approx(np.rad2deg([1, 2]))
    assert flips(tmp_path, "alpha_deg\n1\n2\n") == pytest.approx([1, 2])
    with pytest.raises(InputError, match="the header says deg, and the user says rad") as caught:
        flips(tmp_path, "alpha_deg\n1\n2\n", Layout(flip_unit="rad"))
    assert caught.value.arguments == ("flip_unit",)


def test_snapmrf_tables_are_read_with_their_nominal_values(tmp_path: Path) -> None:
    """The header is that of data/MRF001.csv in snapMRF; fractions of 70 deg make the train of Jiang
    et al.
    """
    text = (
        "flip_angle_(fraction_of_nominal),rf_phase_(deg),extension_of_base_TR_(ms),extension_of_base_TE_(ms)\n"
        "0.084857,0.000000,1.50,0.00\n0.091571,180.000000,1.47,0.10\n"
    )
    path = file(tmp_path, text, "MRF.csv")
    with pytest.raises(InputError) as caught:
        import_sequence(path, Given(**REST))
    for words in ("a nominal flip angle", "a base TR", "a base TE"):
        assert words in str(caught.value)
    assert caught.value.arguments == ("nominal_flip", "base_tr", "base_te")
    layout = Layout(nominal_flip=np.deg2rad(70), base_tr=0.0116738, base_te=0.0019)
    sequence = import_sequence(path, Given(**REST), layout).sequence
    np.testing.assert_allclose(np.rad2deg(sequence.flip_angle), [5.94, 6.41], atol=1e-4)
    np.testing.assert_allclose(np.rad2deg(sequence.rf_phase), [0, 180])
    np.testing.assert_allclose(sequence.tr, [13.1738e-3, 13.1438e-3])
    np.testing.assert_allclose(sequence.te, [1.9e-3, 2.0e-3])


def test_columns_are_chosen_by_name_or_number(tmp_path: Path) -> None:
    text = "a;b;c;d\n12;10;0;2\n13;20;90;3\n"
    columns = (("flip_angle", "b"), ("tr", "1"), ("te", "d"), ("rf_phase", "3"))
    layout = Layout(columns=columns, time_unit="ms", rows=2)
    sequence = import_sequence(file(tmp_path, text), Given(**REST), layout).sequence
    np.testing.assert_allclose(np.rad2deg(sequence.flip_angle), [10, 20])
    np.testing.assert_allclose(sequence.tr, [12e-3, 13e-3])
    np.testing.assert_allclose(sequence.te, [2e-3, 3e-3])
    np.testing.assert_allclose(np.rad2deg(sequence.rf_phase), [0, 90])
    seconds = Layout(columns=(*columns[:1], ("tr", "4")), time_unit="s", rows=1)
    assert (
        import_sequence(file(tmp_path, text), Given(**{**ALL, "tr": None}), seconds).sequence.tr
        == 2.0
    )


@pytest.mark.parametrize(
    "unit", ["\u00b5s", "\u03bcs", "\u33b2", "usec", "microseconds"]
)  # micro sign, Greek mu, one letter of both
def test_microseconds_are_read_however_they_are_written(tmp_path: Path, unit: str) -> None:
    text = f"flip_deg,TR ({unit}),TE ({unit})\n10,12000,2500\n"
    sequence = import_sequence(file(tmp_path, text), Given(**REST, rf_phase=np.zeros(1))).sequence
    np.testing.assert_allclose([sequence.tr[0], sequence.te[0]], [12e-3, 2.5e-3])


@pytest.mark.parametrize("unit", ["\u0434s", "ns", "\u00b5ms"])
def test_an_unknown_unit_is_not_read_as_its_last_letters(tmp_path: Path, unit: str) -> None:
    text = f"flip_deg,TR ({unit})\n10,0.012\n"
    with pytest.raises(InputError, match="tr: its unit is not in the header"):
        import_sequence(file(tmp_path, text), Given(**{**ALL, "tr": None}))


@pytest.mark.parametrize(
    ("text", "layout", "expected"),
    [
        (
            "1 20\n",
            Layout(),
            "flip_angle: no column is named so (column 1, column 2), expected its name or number",
        ),
        (
            "flip,fa\n10,20\n",
            Layout(),
            "flip_angle: columns flip, fa may be it, expected one to be chosen",
        ),
        (
            "flip,TR\n10,20\n",
            Layout(columns=(("tr", "TRs"),)),
            "tr: no column 'TRs', expected one of: flip, TR",
        ),
        (
            "flip_deg,TR\n10,20\n",
            Layout(),
            "tr: its unit is not in the header, expected ms or s or us",
        ),
        ("flip TR\n10\n20\n", Layout(), "flip_angle: column flip TR may also be another quantity"),
        ("flip_deg\n10\n", Layout(rows=2), "1 rows, expected at least 2"),
        ("flip_deg,TR_ms,TE_ms\n10,12,13\n", Layout(), "TE 13 ms is outside TR 12 ms"),
        ("flip_deg\n10\n", Layout(base_tr=0.01), "a base TR is given, but no column needs it"),
        (
            "flip_deg\n10\n",
            Layout(nominal_flip=1.0),
            "a nominal flip angle is given, but no column needs it",
        ),
    ],
)
def test_what_is_not_clear_in_a_table_is_refused(
    tmp_path: Path, text: str, layout: Layout, expected: str
) -> None:
    given = {**REST, "rf_phase": np.zeros(1)}
    if "TE" not in text:
        given["te"] = np.array([0.002])
    if "TR" not in text:
        given["tr"] = np.array([0.012])
    with pytest.raises(InputError) as caught:
        import_sequence(file(tmp_path, text), Given(**given), layout)
    assert expected in str(caught.value)


def test_a_bare_list_needs_all_else_given_and_says_so_at_once(tmp_path: Path) -> None:
    path = file(tmp_path, "10\n20\n30\n", "fa.txt")
    with pytest.raises(InputError) as caught:
        import_sequence(path)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{path}: 5 faults in the sequence"
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        "rf_phase",
        "tr",
        "te",
        "spoiling",
        "inversion",
    ]
    given = Given(rf_phase=np.zeros(1), tr=np.array([0.012, 0.013]), te=np.array([0.002]), **REST)
    with pytest.raises(InputError, match="tr: 2 values are given, expected 1 or 3"):
        import_sequence(path, given)


def test_every_assumption_stands_in_the_written_file(tmp_path: Path) -> None:
    path = file(tmp_path, "10\n20\n30\n", "fa: 'list' #1.txt")
    given = Given(
        name="mine: #1",
        tr=np.array([0.012, 0.013, 0.014]),
        **{k: v for k, v in ALL.items() if k != "tr"},
    )
    result = import_sequence(path, given)
    text = imported_text(result, path)
    raw = yaml.safe_load(text)
    assert parse_sequence(text).sequence_id == result.sequence.sequence_id
    assert raw["name"] == "mine: #1"
    assert len(result.notes) >= 8
    for note in result.notes:
        assert note[1:] in raw["description"]
    assert (
        raw["source"].startswith("fa: 'list' #1.txt, SHA-256 ")
        and len(raw["source"].split()[-1]) == 64
    )
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("seed", range(8))
def test_exports_say_all_that_the_sequence_says(tmp_path: Path, seed: int) -> None:
    sequence = random_sequence(seed, with_spoiler=seed % 3 == 0)
    path = file(tmp_path, csv_text(sequence), "train.csv")
    again = import_sequence(path).sequence
    assert again.sequence_id == sequence.sequence_id
    assert again.name == sequence.name
    assert parse_sequence(yaml_text(sequence)).sequence_id == sequence.sequence_id
    header, *rows = np.genfromtxt(path, delimiter=",", dtype=str, comments="#")
    assert header.tolist() == ["flip_angle_deg", "rf_phase_deg", "tr_ms", "te_ms"]
    values = np.array(rows, float)
    np.testing.assert_allclose(values[:, 0], np.rad2deg(sequence.flip_angle), atol=1e-8)
    np.testing.assert_allclose(
        values[:, 2:], np.stack([sequence.tr, sequence.te], 1) * 1e3, atol=1e-8
    )


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_sequences_keep_their_identity_through_csv_and_yaml(
    tmp_path: Path, path: Path
) -> None:
    sequence = read_sequence(path)
    export_sequence(path.stem, tmp_path / "train.csv")
    assert import_sequence(tmp_path / "train.csv").sequence.sequence_id == sequence.sequence_id
    export_sequence(str(path), tmp_path / "plain.yaml")
    assert read_sequence(tmp_path / "plain.yaml").sequence_id == sequence.sequence_id
    old, new = (yaml.safe_load(p.read_text()) for p in (path, tmp_path / "plain.yaml"))
    assert (new["description"], new["source"]) == (
        old["description"].strip(),
        old["source"].strip(),
    )
    assert "rule" not in (tmp_path / "plain.yaml").read_text().split("flip_angle_deg")[1]


@pytest.mark.parametrize("end", [",,\n,,\n", "\n , \n", ";;\r\n", "\t\t\n"])
def test_empty_rows_of_a_spreadsheet_are_left_out(tmp_path: Path, end: str) -> None:
    path = tmp_path / "excel.csv"
    path.write_text("flip_deg,tr_ms,te_ms\n10,12,2.5\n,,\n20,12,2.5\n" + end)
    assert read_table(path).values.tolist() == [[10, 12, 2.5], [20, 12, 2.5]]


def test_a_damaged_export_is_refused_and_a_changed_one_believed(tmp_path: Path) -> None:
    text = csv_text(random_sequence(1))
    for change, expected in (
        (("te_ms\n", "te\n"), "has no column te_ms"),
        (("# mrftool_sequence: 1", "# mrftool_sequence: 1\n# x: [1"), "first lines are damaged"),
        (("# spoiling: gradient", "# spoiling: some"), "spoiling"),
        (("# mrftool_sequence: 1", "# mrftool_sequence: 7"), "mrftool_sequence"),
    ):
        with pytest.raises(InputError, match=expected):
            import_sequence(file(tmp_path, text.replace(*change), "bad.csv"))
    given = Given(no_inversion=True, name="other")
    changed = import_sequence(file(tmp_path, text, "good.csv"), given).sequence
    assert (changed.train.inversion, changed.name) == (None, "other")


@pytest.mark.parametrize(
    ("name", "options", "layout"),
    [
        ("a.csv", {"slice_positions": 8}, {}),
        ("a.csv", {"receiver_follows": True}, {}),
        ("a.csv", {"field": 3.0}, {}),
        ("a.csv", {"inversion_time": 0.02}, {}),
        ("a.csv", {"name": "x" * 101}, {}),
        ("a.seq", {}, {"time_unit": "ms"}),
        ("a.mrd", {}, {"rows": 3}),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    tmp_path: Path, name: str, options: dict[str, Any], layout: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        import_sequence(
            file(tmp_path, "10\n20\n", name), Given(**{**ALL, **options}), Layout(**layout)
        )


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "n", "first", "given", "layout"),
    [
        ("bssfp_koma_MRFinput.csv", 1000, 30.480876, {}, {}),
        ("fisp_delics_mrpro.csv", 500, 0.29762, {"rf_phase": [0], "tr": [0.012], "te": [7e-4]}, {}),
        ("fisp_cao_openmrf.csv", 500, 10.314146, {"rf_phase": [0], "te": [7e-4]}, {"time_unit": "ms"}),
        ("fisp_hydra_flor_L1000.csv", 1000, 5.94, {"rf_phase": [0], "te": [0.01]}, {"rows": 1000}),
        ("usc_efficient_mrf_ni48_nt1036.csv", 1036, 0.0729333333 * 75, {},
         {"nominal_flip": np.deg2rad(75), "base_tr": 0.012, "base_te": 0.001}),
    ],
)  # fmt: skip
def test_real_lists_are_read(
    data_dir: Path, name: str, n: int, first: float, given: dict[str, Any], layout: dict[str, Any]
) -> None:
    arrays = {key: np.array(value, float) for key, value in given.items()}
    sequence = import_sequence(
        data_dir / "sequences" / name, Given(**arrays, **REST), Layout(**layout)
    ).sequence
    assert len(sequence) == n
    assert np.rad2deg(sequence.flip_angle[0]) == pytest.approx(first, abs=1e-7)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "shipped", "layout"),
    [
        ("fisp_hydra_flor_L1000.csv", "fisp", Layout(rows=1000)),
        ("fisp_cao_openmrf.csv", "cao", Layout(time_unit="ms")),
        ("fisp_delics_mrpro.csv", "delics", Layout()),
    ],
)
def test_real_lists_make_the_shipped_sequences(
    data_dir: Path, name: str, shipped: str, layout: Layout
) -> None:
    expected = read_sequence(shipped)
    assert expected.train.inversion is not None
    given = Given(
        rf_phase=np.zeros(1),
        tr=np.array([0.012]) if shipped == "delics" else None,
        te=expected.te[:1],
        inversion_time=expected.train.inversion.time,
        inversion_efficiency=expected.train.inversion.efficiency,
        spoiling="gradient",
    )
    sequence = import_sequence(data_dir / "sequences" / name, given, layout).sequence
    np.testing.assert_allclose(
        np.rad2deg(sequence.flip_angle), np.rad2deg(expected.flip_angle), atol=1e-5
    )
    np.testing.assert_allclose(sequence.tr, expected.tr, atol=1e-8)


@pytest.mark.parametrize("header", ["flip_deg,tr_ms", '"flip_deg","tr_ms"'])
def test_quoted_cells_may_have_decimal_commas(tmp_path: Path, header: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f'{header}\n"10,5","12"\n"20,5",13\n', "utf-8")
    table = read_table(path)
    np.testing.assert_array_equal(table.values, [[10.5, 12], [20.5, 13]])
    assert table.names == ("flip_deg", "tr_ms")
    assert table.dialect == "commas between cells, decimal commas"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_on_unix_windows_or_old_macintosh(tmp_path: Path, end: str) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(end.join(["# comment", "flip_deg,tr_ms", "10,12", "20,13", ""]).encode())
    table = read_table(path)
    np.testing.assert_array_equal(table.values, [[10, 12], [20, 13]])
    assert (table.names, table.comments) == (("flip_deg", "tr_ms"), ("comment",))


@pytest.mark.parametrize(
    "content",
    [
        b'"' + b"1" * 300_000 + b'",2\n3,4\n',
        b'"1\n',
        b"1,2\n\x00,3\n",
        b"\xff\xfe1\x00",
        b'""\n,\n',
        b"1;" + b"1" * 100_000 + b"x\n3;4\n",  # hours, where digits are tried in every division
    ],
    ids=["long cell", "open quote", "null byte", "UTF-16", "empty cells", "nearly a number"],
)
def test_odd_cells_are_refused_in_words(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"list\.csv: "):
        read_table(tmp_path / "list.csv")
