import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest

from mrftool.environment.shipped import shipped_files
from mrftool.errors import InputError
from mrftool.formats.sequence.schema import json_schema
from mrftool.formats.sequence.yaml_file import (
    parse_sequence,
    read_sequence,
    sequence_from_dict,
    sequence_to_dict,
)

SHIPPED = [path for path in shipped_files("sequences") if path.suffix == ".yaml"]
HEAD = "mrftool_sequence: 1\nname: x\n"


def build(**keys: object) -> str:
    return HEAD + "".join(f"{key}: {json.dumps(value)}\n" for key, value in keys.items())


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_sequences_survive_a_round_trip_with_their_identity(path: Path) -> None:
    sequence = read_sequence(path)
    again = sequence_from_dict(sequence_to_dict(sequence))
    assert again.sequence_id == sequence.sequence_id
    np.testing.assert_allclose(again.flip_angle, sequence.flip_angle, atol=1e-10)
    assert sequence_to_dict(again) == sequence_to_dict(sequence)


def test_the_papers_train_has_its_published_numbers() -> None:
    fisp = read_sequence("fisp")
    assert len(fisp) == 1000
    assert np.rad2deg(fisp.flip_angle[:3]) == pytest.approx([5.94, 6.41, 6.88])
    assert np.rad2deg(fisp.flip_angle.max()) == pytest.approx(70, abs=1)
    assert fisp.tr[[0, 1]] * 1e3 == pytest.approx([13.17382, 13.14382])
    assert (fisp.te == 0.010).all()
    assert fisp.train.inversion is not None
    assert (fisp.train.inversion.efficiency, fisp.train.inversion.time) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (3, [3, 3, 3, 3]),
        ([1, 2, 3, 4.5], [1, 2, 3, 4.5]),
        ({"rule": "cycle", "values": [0, 180]}, [0, 180, 0, 180]),
        ({"rule": "quadratic", "increment": 10}, [0, 10, 30, 60]),
        ({"rule": "lobes", "peaks": [10, 20], "lengths": [2, 2], "minimum": 0}, [0, 10, 0, 20]),
        (
            {"rule": "lobes", "peaks": [10], "lengths": [4], "minimum": 2},
            [2, 2 + 8 * 0.5**0.5, 10, 2 + 8 * 0.5**0.5],
        ),
        ({"rule": "spline", "knots": [0, 30]}, [0, 10, 20, 30]),
    ],
)
def test_rules_give_the_numbers_of_their_formula(column: object, expected: list[float]) -> None:
    sequence = parse_sequence(build(repetitions=4, flip_angle_deg=column, tr_ms=10, te_ms=2))
    np.testing.assert_allclose(np.rad2deg(sequence.flip_angle), expected, atol=1e-12)


def test_splines_are_natural_clipped_and_drawn_from_their_seed() -> None:
    def flips(**rule: object) -> np.ndarray:
        text = build(repetitions=101, flip_angle_deg={"rule": "spline", **rule}, tr_ms=10, te_ms=2)
        return np.rad2deg(parse_sequence(text).flip_angle)

    curve = flips(knots=[0, 60, 20, 50, 10])
    np.testing.assert_allclose(curve[[0, 25, 50, 75, 100]], [0, 60, 20, 50, 10], atol=1e-9)
    bend = np.diff(curve, 2)
    assert abs(bend[0]) < 0.1 * abs(bend).max()
    assert flips(knots=[0, 60, 20, 50, 10], high=55).max() == pytest.approx(55)
    drawn = {"random_knots": 5, "low": 0, "high": 90}
    assert (flips(seed=1, **drawn) == flips(seed=1, **drawn)).all()
    assert (flips(seed=1, **drawn) != flips(seed=2, **drawn)).any()
    noise = flips(knots=[30, 30], noise_sd=2, seed=3) - 30
    assert 1.4 < noise.std() < 2.6


def test_a_csv_column_is_found_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("flip,tr\n10,12\n20,13\n30,14\n")
    text = build(
        flip_angle_deg={"csv": "train.csv", "column": "flip", "rows": 2}, tr_ms=12, te_ms=2
    )
    path = tmp_path / "s.yaml"
    path.write_text(text)
    np.testing.assert_allclose(np.rad2deg(read_sequence(path).flip_angle), [10, 20])


def test_everything_that_a_file_can_say_reaches_the_sequence() -> None:
    sequence = parse_sequence(
        build(
            repetitions=3,
            flip_angle_deg=30,
            rf_phase_deg=[0, 90, 180],
            tr_ms=12,
            te_ms=[1, 2, 3],
            inversion={"efficiency": 0.9, "time_ms": 20},
            train={"repeats": 2, "wait_ms": 500},
            spoiler={"gradient_mt_per_m": [10], "duration_ms": [2]},
            slice_profile={"flip_factor": [0.5, 1], "weight": [0.5, 0.5]},
        )
    )
    np.testing.assert_allclose(sequence.rf_phase, [0, np.pi / 2, np.pi])
    np.testing.assert_allclose(sequence.te, [0.001, 0.002, 0.003])
    assert (
        sequence.train.inversion is not None
        and sequence.spoiler is not None
        and sequence.slice_profile is not None
    )
    assert (sequence.train.inversion.efficiency, sequence.train.inversion.time) == (0.9, 0.02)
    assert (sequence.train.repeats, sequence.train.wait) == (2, 0.5)
    assert (sequence.spoiler.gradient[0], sequence.spoiler.duration[0]) == (0.010, 0.002)
    assert sequence.slice_profile.flip_factor.tolist() == [0.5, 1]


UNCERTAINTY = {
    "b1_percent": 3,
    "efficiency_percent": 2.5,
    "ti_ms": 0.5,
    "te_ms": 0.2,
    "adc_um2_per_s": 150,
    "off_resonance_hz": 20,
    "flip_exponent": 0.02,
    "slice_profile_percent": 4,
}


@pytest.mark.parametrize("version", [1, 2])
def test_uncertainties_come_back_and_are_no_part_of_the_identity(version: int) -> None:
    columns = {"repetitions": 3, "flip_angle_deg": 30, "tr_ms": 12, "te_ms": 1}
    if version == 2:
        columns |= {"mrftool_sequence": 2, "events": [{"t2prep": {"te_ms": 40}}, {"pulses": {}}]}
    plain = sequence_from_dict({"mrftool_sequence": 1, "name": "x", **columns})
    stated = sequence_from_dict({**sequence_to_dict(plain), "uncertainty": UNCERTAINTY})
    assert stated.sequence_id == plain.sequence_id and "uncertainty" not in sequence_to_dict(plain)
    assert sequence_to_dict(stated)["uncertainty"] == UNCERTAINTY
    again = sequence_from_dict(sequence_to_dict(stated))
    assert again.uncertainty == pytest.approx(
        {
            "b1": 0.03,
            "efficiency": 0.025,
            "ti": 0.5e-3,
            "te": 0.2e-3,
            "adc": 0.15e-9,
            "off_resonance": 20,
            "flip_exponent": 0.02,
            "slice_profile": 0.04,
        }
    )


@pytest.mark.parametrize(
    "block", [{"b1": 3}, {"b1_percent": -1}, {"ti_ms": "1"}, {"b1_percent": True}]
)
def test_an_uncertainty_that_makes_no_sense_is_a_fault(block: dict) -> None:
    with pytest.raises(InputError, match="uncertainty"):
        parse_sequence(build(flip_angle_deg=[30, 20], tr_ms=12, te_ms=1, uncertainty=block))


def test_shipped_sequences_state_their_uncertainties() -> None:
    for path in shipped_files("sequences"):
        if path.suffix == ".yaml":
            stated = read_sequence(path).uncertainty
            assert {"b1", "efficiency", "ti", "te"} <= stated.keys(), path.name


def test_a_spoiler_on_several_axes_comes_back_from_a_file() -> None:
    spoiler = {"gradient_mt_per_m": [[-6, 4, 8], [0, 0, 8]], "duration_ms": [1, 5, 2]}
    sequence = parse_sequence(
        build(repetitions=3, flip_angle_deg=30, tr_ms=12, te_ms=1, spoiler=spoiler)
    )
    assert sequence.spoiler is not None
    np.testing.assert_allclose(sequence.spoiler.moment, [30e-6, 16e-6])
    assert sequence_to_dict(sequence)["spoiler"] == spoiler
    assert sequence_from_dict(sequence_to_dict(sequence)) == sequence


def test_all_faults_are_named_at_once_with_their_lines() -> None:
    text = (
        HEAD
        + "repetitions: 4\n"  # line 3
        + "flip_angle_deg: [1, 2, .nan, 4]\n"
        + "tr_ms: 10\n"
        + "te_ms: [5, 12, 5, 5]\n"
        + "flip_angel: 3\n"
        + "inversion: {efficiency: 2}\n"
        + "tr_s: 0.01\n"
    )
    with pytest.raises(InputError) as caught:
        parse_sequence(text, origin="bad.yaml")
    lines = str(caught.value).splitlines()
    assert lines[0] == "bad.yaml: 5 faults in the sequence"
    for expected in (
        "line 4: flip_angle_deg[2]:",
        "line 6: te_ms: repetition 1: TE 12 ms is outside TR 10 ms",
        "line 7: flip_angel: unknown key, did you mean flip_angle_deg?",
        "line 8: inversion.efficiency:",
        "line 9: tr_s: unknown key, did you mean tr_ms?",
    ):
        assert any(expected in line for line in lines), expected


GOOD = {"flip_angle_deg": 10, "tr_ms": 10, "te_ms": 2, "repetitions": 4}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"tr_ms": "10"}, "tr_ms"),
        ({"tr_ms": True}, "tr_ms"),
        ({"tr_ms": -1}, "more than 0 ms"),
        ({"te_ms": [1, 2]}, "2 values, expected 4"),
        ({"repetitions": None}, "repetitions"),
        ({"flip_angle_deg": {"rule": "lobe", "peaks": [3]}}, "expected a number, a list"),
        (
            {"flip_angle_deg": {"rule": "lobes", "peaks": [3], "lengths": [2, 2]}},
            "1 peaks and 2 lengths",
        ),
        ({"flip_angle_deg": {"rule": "spline", "random_knots": 4}}, "low < high"),
        (
            {"tr_ms": {"rule": "spline", "random_knots": 2, "low": -1e308, "high": 1e308}},
            "its rule cannot be computed",
        ),
        ({"flip_angle_deg": {"csv": "none.csv", "column": "a"}}, "none.csv: No such file"),
        ({"spoiling": "some"}, "spoiling"),
        ({"spoiler": {"gradient_mt_per_m": [1, 2], "duration_ms": [1]}}, "spoiler"),
        (
            {"spoiler": {"gradient_mt_per_m": 1, "duration_ms": [1]}},
            "spoiler.gradient_mt_per_m: expected a list",
        ),
        (
            {"spoiler": {"gradient_mt_per_m": [[1, 2], [3]], "duration_ms": [1, 1]}},
            "gradient_mt_per_m: 2 and 1 pieces, expected",
        ),
        (
            {"spoiler": {"gradient_mt_per_m": [[1, 2], [3, "4"]], "duration_ms": [1, 1]}},
            "spoiler.gradient_mt_per_m[1][1]",
        ),
        (
            {"spoiler": {"gradient_mt_per_m": [[1], [3], [1], [2]], "duration_ms": [1]}},
            "at most 3 items",
        ),
        ({"slice_profile": {"flip_factor": [1], "weight": [0.5]}}, "sum to 0.5"),
        (
            {"inversion": {"ti_ms": 20}},
            "inversion.ti_ms: unknown key (got 20), did you mean time_ms?",
        ),
        ({"inversion": {"efficiency": 96}}, "expected at most 1: percent? (got 96)"),
        (
            {"mrftool_sequence": 2, "inversion": {}, "events": [{"pulses": {}}]},
            "inversion: unknown key, expected `- invert: {efficiency: 1, time_ms: 20}` under",
        ),
        ({"mrftool_sequence": 3}, "mrftool_sequence: expected 1 or 2 (got 3)"),
        ({"mrftool_sequence": 2}, "events: missing, expected what is played, in order"),
    ],
)
def test_each_fault_is_refused_in_words(change: dict[str, object], expected: str) -> None:
    keys = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
    body = "".join(f"{key}: {json.dumps(value)}\n" for key, value in keys.items())
    head = "name: x\n" if "mrftool_sequence" in keys else HEAD
    with pytest.raises(InputError, match="fault") as caught:
        parse_sequence(head + body)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "a: [1",
        "hello",
        "",
        "- 1\n- 2\n",
        "a: &x [1]\nb: *x\n",
        "a: !!python/object:os.system 1\n",
        "\t: 1",
        "[" * 2000,
    ],
)
def test_what_is_no_sequence_file_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_sequence(text, origin="f.yaml")
    assert str(caught.value).startswith("f.yaml:")


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file.*shipped sequences: .*fisp"):
        read_sequence("nothing-of-that-name")
    (tmp_path / "b.yaml").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="not a text file in UTF-8"):
        read_sequence(tmp_path / "b.yaml")
    with pytest.raises(InputError, match=r"is a folder, expected a .yaml file"):
        read_sequence(tmp_path)


def test_the_schema_for_editors_is_the_one_in_force() -> None:
    stored = next(
        path for path in shipped_files("sequences") if path.name == "sequence.schema.json"
    )
    assert json.loads(stored.read_text()) == json_schema()


@pytest.mark.parametrize("place", ["", "train.csv"])
def test_a_pipe_is_refused_and_not_waited_for(place: str, tmp_path: Path) -> None:
    """Opening one waits for a writer, for ever; so does reading /dev/zero."""
    path = tmp_path / "s.yaml"
    os.mkfifo(tmp_path / place if place else path)
    if place:
        path.write_text(build(flip_angle_deg={"csv": place, "column": "flip"}, tr_ms=12, te_ms=2))
    with pytest.raises(InputError, match=r"is no regular file, expected a (CSV|sequence) file"):
        read_sequence(path)


def test_a_device_without_an_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no regular file, expected a sequence file"):
        read_sequence("/dev/zero")
    (tmp_path / "s.yaml").write_text(
        build(flip_angle_deg={"csv": "/dev/zero", "column": "flip"}, tr_ms=12, te_ms=2)
    )
    with pytest.raises(InputError, match="is no regular file, expected a CSV file"):
        read_sequence(tmp_path / "s.yaml")


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("012", 12),
        ("1.2e1", 12),
        ("12e0", 12),
        ("+12", 12),
        ("0o14", 12),
        ("0xC", 12),
        (".5e2", 50),
    ],
)
def test_numbers_are_those_of_yaml_1_2(text: str, milliseconds: float) -> None:
    body = f"repetitions: 2\nflip_angle_deg: 10\nte_ms: 2\ntr_ms: {text}\n"
    assert parse_sequence(HEAD + body).tr[0] == pytest.approx(milliseconds * 1e-3)


@pytest.mark.parametrize("text", ["12:30", "12,0", "0x", "1_000", "2026-11-26", "yes", "0b1"])
def test_what_is_no_number_is_a_fault_with_its_line(text: str) -> None:
    body = f"repetitions: 2\nflip_angle_deg: 10\nte_ms: 2\ntr_ms: {text}\n"
    with pytest.raises(InputError, match="line 6: tr_ms: expected a number") as caught:
        parse_sequence(HEAD + body)
    assert ("decimal sign" in str(caught.value)) == ("," in text)


def test_a_decimal_comma_inside_a_mapping_is_named() -> None:
    body = "repetitions: 2\nflip_angle_deg: 10\nte_ms: 2\ntr_ms: 12\n"
    inversion = "inversion: {efficiency: 0,98, time_ms: 20}\n"
    with pytest.raises(InputError, match="a number where a key is expected: write decimals with"):
        parse_sequence(HEAD + body + inversion)


@pytest.mark.parametrize("name", ["1e3", "012", "true", "~", "2026-11-26", "a: b", "12:30"])
def test_names_that_look_like_values_stay_text(name: str) -> None:
    sequence = parse_sequence(build(**GOOD))
    named = dataclasses.replace(sequence, name=name)
    assert sequence_from_dict(sequence_to_dict(named)).name == name


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "[1, 2]: 3\n",
        HEAD + "? {a: b}\n: 3\n",
        HEAD + "tr_ms: 2026-13-45\n",
        HEAD + "flip_angle_deg: {rule: [1]}\n",
        HEAD + "flip_angle_deg: {csv: [1], column: {}}\n",
        HEAD + "tr_ms: " + "9" * 5000 + "\n",
        HEAD + "tr_ms: !!python/object:os.system x\n",
        HEAD + "tr_ms: !!float ''\n",
        HEAD + "tr_ms: !!int ''\n",
        HEAD + "tr_ms: !!bool x\n",
        HEAD + "tr_ms: !!timestamp x\n",
        "\x00",
        "a: &x [1]\nb: *x\n",
    ],
)
def test_odd_yaml_is_refused_in_words(text: str) -> None:
    with pytest.raises(InputError):
        parse_sequence(text)


def test_data_nested_too_deeply_are_refused() -> None:
    data: list[object] = []
    for _ in range(100_000):
        data = [data]
    with pytest.raises(InputError):
        sequence_from_dict({"name": data})


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(build(**GOOD), encoding="utf-8-sig")
    assert len(read_sequence(path)) == 4


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        ("pulse,FA\n0,10\n", {"column": "flip"}, "no column 'flip', expected one of: pulse, FA"),
        ("pulse,FA\n0,10\n", {}, "no column of a.csv is named, expected one of: pulse, FA"),
        ("pulse,FA\n0,10\n", {"column": 1}, "flip_angle_deg.column: expected text (got 1)"),
        ("10\n20\n", {"column": "FA"}, "begins with 10, expected names of its columns"),
        ("FA;TR\n10,5;12\n", {"column": "FA"}, "separates columns by ';' (FA;TR), expected ','"),
    ],
)
def test_a_csv_column_that_cannot_be_read_is_the_only_fault(
    text: str, column: dict[str, object], expected: str, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(text)
    keys = {"flip_angle_deg": {"csv": "a.csv", **column}, "tr_ms": 12, "te_ms": 3}
    with pytest.raises(InputError) as caught:
        parse_sequence(build(**keys), folder=tmp_path)
    assert ": 1 fault in the sequence" in str(caught.value)
    assert expected in str(caught.value)
