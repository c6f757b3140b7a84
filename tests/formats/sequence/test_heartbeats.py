"""RR intervals and times of triggers as people keep them; differences between rhythms."""

from pathlib import Path

import numpy as np
import pytest

from mrftool.errors import InputError
from mrftool.formats.sequence.difference import difference_text
from mrftool.formats.sequence.heartbeats import read_heartbeats, read_with_heartbeats

RR = [1042, 1059, 907, 816, 780, 903, 788, 742, 922, 915, 960, 799, 901, 893]


@pytest.fixture
def rr(tmp_path: Path) -> Path:
    path = tmp_path / "rr.txt"
    path.write_text("\n".join(map(str, RR)))
    return path


def test_a_number_stands_for_all_intervals_and_a_file_for_each(rr: Path) -> None:
    assert read_heartbeats("850") == pytest.approx(0.85)
    assert read_heartbeats("850").ndim == 0
    np.testing.assert_allclose(read_heartbeats(str(rr)), np.array(RR) / 1e3)


def test_tables_with_a_header_and_decimals_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rr.csv"
    path.write_text("rr_ms\n901.5\n890.25\n")
    np.testing.assert_allclose(read_heartbeats(str(path)), [0.9015, 0.89025])


def test_seconds_are_not_taken_for_milliseconds(tmp_path: Path) -> None:
    path = tmp_path / "rr.txt"
    path.write_text("0.9\n0.85\n")
    for text in (str(path), "0.9"):
        with pytest.raises(InputError, match=r"0\.9 ms, expected milliseconds: seconds taken for"):
            read_heartbeats(text)


def test_blocks_of_the_shipped_sequence_begin_one_interval_apart(rr: Path) -> None:
    """From the first pulse after one trigger to the first after the next one."""
    sequence = read_with_heartbeats("cmrf15", str(rr))
    assert len(sequence) == 15 * 47
    time, begins = 0.0, []
    for event in sequence.program:
        if event in sequence.blocks:
            begins.append(time)
            time += float(sequence.tr[event.slice].sum())
        else:
            time += event.duration
    np.testing.assert_allclose(np.diff(begins), np.array(RR) / 1e3, atol=1e-9)


def test_times_of_triggers_give_the_same_sequence(rr: Path, tmp_path: Path) -> None:
    times = tmp_path / "triggers.txt"
    times.write_text("\n".join(map(str, np.cumsum([5000, *RR]))))
    sequence = read_with_heartbeats("cmrf15", str(times))
    assert sequence == read_with_heartbeats("cmrf15", str(rr))
    assert sequence != read_with_heartbeats("cmrf15")


def test_a_heartbeat_that_does_not_fit_names_the_file(rr: Path) -> None:
    rr.write_text(rr.read_text().replace("780", "300"))
    with pytest.raises(InputError, match="trigger 6 is missed: it comes 300 ms") as caught:
        read_with_heartbeats("cmrf15", str(rr))
    assert str(rr) in str(caught.value.hint)


def test_rhythms_are_told_apart_by_their_first_interval_that_differs(
    rr: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.txt"
    other.write_text(rr.read_text().replace("907", "950"))
    one, two = (read_with_heartbeats("cmrf15", str(path)) for path in (rr, other))
    assert difference_text(one, two) == (
        "before block 4 of pulses: wait (time 622), not wait (time 665)"
    )
