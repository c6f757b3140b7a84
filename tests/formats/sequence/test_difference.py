"""Mismatches of sequences are told by names and numbers, not by digests alone."""

from dataclasses import replace

import numpy as np
import pytest

from mrftool.errors import MismatchError
from mrftool.formats.sequence.difference import difference_of_files, difference_text
from mrftool.formats.sequence.yaml_file import sequence_to_dict
from mrftool.inference.scan import check_belongs
from mrftool.scan.series import series_from_array
from mrftool.sequence import PulseSequence


def test_names_and_properties_that_differ_are_told(short_sequence: PulseSequence) -> None:
    slower = replace(short_sequence, tr=short_sequence.tr + 1e-3, name="slower")
    assert difference_text(slower, short_sequence) == "slower, not short: TR 13 ms, not 12 ms"


def test_columns_with_equal_ends_are_compared(short_sequence: PulseSequence) -> None:
    flips = short_sequence.flip_angle.copy()
    flips[[10, 11]] += np.deg2rad([2, -3])
    other = replace(short_sequence, flip_angle=flips)
    assert difference_text(other, short_sequence) == "flip angles differ by up to 3 deg"


def test_a_scan_of_another_sequence_is_refused_with_the_difference(
    short_sequence: PulseSequence,
) -> None:
    other = replace(short_sequence, te=short_sequence.te + 1e-3, name="late")
    sidecar = {"sequence_id": other.sequence_id, "sequence": sequence_to_dict(other)}
    series = replace(series_from_array(np.ones((2, 2, 1, 40), np.complex64)), sidecar=sidecar)
    expected = {
        "n_time": 40,
        "form": "complex",
        "sequence_id": short_sequence.sequence_id,
        "sequence_name": "short",
    }
    difference = r"\(late, not short: TE 4 ms, not 3 ms"
    words = rf"{other.sequence_id}\), expected short \(\w+\) as the model {difference}"
    with pytest.raises(MismatchError, match=words):
        check_belongs(series, "model", **expected, sequence=sequence_to_dict(short_sequence))
    with pytest.raises(MismatchError, match=r"as the model$"):
        check_belongs(series, "model", **expected)


def test_damaged_descriptions_tell_nothing(short_sequence: PulseSequence) -> None:
    sound = sequence_to_dict(short_sequence)
    for damaged in (None, "fisp", {"flip_angle_deg": "x"}, {}):
        assert difference_of_files(damaged, sound) == ""  # type: ignore[arg-type]
