"""Odd but legal Pulseq files: extensions, old versions, and what a sequence cannot hold."""

import re
import time
from pathlib import Path

import numpy as np
import pytest
from pulseq_factory import Fisp

from mrftool.errors import InputError
from mrftool.formats.sequence.importing import import_sequence
from mrftool.formats.sequence.pulseq.file import read_pulseq
from mrftool.formats.sequence.pulseq.parsing.shapes import decompress
from mrftool.formats.sequence.sources import Given

NO_INVERSION = Given(no_inversion=True)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The text of a train without an inversion, unsigned."""
    path = tmp_path_factory.mktemp("pulseq") / "plain.seq"
    Fisp(flips=(10, 20, 30), phases=(0, 0, 0), tr=(14e-3,) * 3, rf="block", inversion="none").write(
        path
    )
    return path.read_text().split("\n[SIGNATURE]")[0] + "\n"


def blocks_of(text: str) -> list[list[str]]:
    body = re.search(r"\[BLOCKS\]\n(.*?)\n\n", text, re.DOTALL)
    assert body is not None
    return [line.split() for line in body.group(1).splitlines()]


def extended(text: str, extensions: str, number: str, where: str = "all") -> str:
    """The file with an extension in each block, or in those with a readout."""
    rows = blocks_of(text)
    for row in rows:
        if where == "all" or row[6] != "0":
            row[7] = number
    old = re.search(r"\[BLOCKS\]\n(.*?)\n\n", text, re.DOTALL)
    assert old is not None
    new = "\n".join(" ".join(row) for row in rows)
    return text.replace(old.group(1), new) + "\n[EXTENSIONS]\n1 1 1 0\n2 1 2 0\n\n" + extensions


def read(tmp_path: Path, text: str, given: Given = NO_INVERSION):
    path = tmp_path / "train.seq"
    path.write_text(text, encoding="utf-8")
    return import_sequence(path, given)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: extended(text, "extension LABELSET 1\n1 7 MYLABEL\n2 8 MINE\n", "1"),
        lambda text: extended(text, "extension LABELINC 1\n1 1 LIN\n", "1"),
        lambda text: extended(text, "extension TRIGGERS 1\n1 1 3 0 100\n", "1"),
        lambda text: extended(text, "extension ROTATIONS 1\n1 0.7071 0 0 0.7071\n", "1"),
        lambda text: extended(text, "extension NEWEST 1\n1 whatever it says\n", "1"),
    ],
    ids=["byte-order mark", "CRLF", "own label", "counter", "output", "rotation", "unknown"],
)
def test_what_does_not_change_the_signal_keeps_the_sequence(tmp_path: Path, plain: str, change):
    expected = read(tmp_path, plain).sequence
    assert read(tmp_path, change(plain)).sequence.sequence_id == expected.sequence_id


def test_a_rotation_turns_the_gradients_of_its_block(tmp_path: Path, plain: str) -> None:
    angle = np.deg2rad(30)
    half = f"{np.cos(angle / 2):.9f} 0 0 {np.sin(angle / 2):.9f}"
    (tmp_path / "plain.seq").write_text(plain)
    (tmp_path / "turned.seq").write_text(extended(plain, f"extension ROTATIONS 1\n1 {half}\n", "1"))
    before, after = (read_pulseq(tmp_path / f"{name}.seq") for name in ("plain", "turned"))
    x, y, z = before.moment.T
    turned = [np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y, z]
    np.testing.assert_allclose(after.moment.T, turned, atol=1e-4)
    assert abs(after.moment[:, 1]).max() > 100


def test_readouts_of_navigators_and_noise_make_no_image(tmp_path: Path, plain: str) -> None:
    labels = "extension LABELSET 1\n1 1 NAV\n"
    with pytest.raises(InputError, match=r"pulse without a readout|no RF pulse is followed"):
        read(tmp_path, extended(plain, labels, "1", "readouts"))
    zero = "extension LABELSET 1\n1 0 NOISE\n"
    assert len(read(tmp_path, extended(plain, zero, "1", "readouts")).sequence) == 3


@pytest.mark.parametrize(
    ("extensions", "expected"),
    [
        ("extension ROTATIONS 1\n1 0 0 0 0\n", "is no event of extension ROTATIONS 1"),
        ("extension ROTATIONS 1\n2 1 0 0 0\n", "event 1 of the extension ROTATIONS is missing"),
        ("extension LABELSET 1\n1 NAV\n", "is no event of extension LABELSET 1"),
        ("extension LABELSET one\n1 1 NAV\n", "expected a name and a number"),
    ],
)
def test_damaged_extensions_are_refused(
    tmp_path: Path, plain: str, extensions: str, expected: str
) -> None:
    with pytest.raises(InputError, match=expected):
        read(tmp_path, extended(plain, extensions, "1"))


def test_lists_of_extensions_that_never_end_are_refused(tmp_path: Path, plain: str) -> None:
    text = extended(plain, "extension LABELSET 1\n1 1 LIN\n", "1")
    with pytest.raises(InputError, match="missing or never ends"):
        read(tmp_path, text.replace("1 1 1 0\n2 1 2 0", "1 1 1 1"))


def test_pulses_of_minutes_are_refused(tmp_path: Path, plain: str) -> None:
    text = re.sub(r"(?m)^RadiofrequencyRasterTime .*$", "RadiofrequencyRasterTime 1", plain)
    with pytest.raises(InputError, match=r"an RF pulse of .* s, expected at most 30 s"):
        read(tmp_path, text)


def test_extensions_that_a_file_requires_must_be_known(tmp_path: Path, plain: str) -> None:
    text = plain.replace("[DEFINITIONS]\n", "[DEFINITIONS]\nRequiredExtensions ROTATIONS WARP\n")
    with pytest.raises(InputError, match="needs the extension WARP, expected one of"):
        read(tmp_path, text)


def test_shims_are_left_out_with_a_note_and_must_not_change(tmp_path: Path, plain: str) -> None:
    one = "extension RF_SHIMS 1\n1 2 1 0 0.5 0\n2 2 1 0 0.9 0\n"
    notes = read(tmp_path, extended(plain, one, "1")).notes
    assert any("RF shims are left out" in note for note in notes)
    text = extended(plain, one, "1")
    first = next(i for i, row in enumerate(blocks_of(text)) if row[2] != "0")
    row = " ".join(blocks_of(text)[first])
    with pytest.raises(InputError, match="2 different RF shims"):
        read(tmp_path, text.replace(row, row[:-1] + "2", 1))


def test_a_file_without_pulses_is_refused(tmp_path: Path, plain: str) -> None:
    rows = [" ".join(row) for row in blocks_of(plain)]
    text = plain
    for line, row in zip(plain.splitlines(), plain.splitlines(), strict=True):
        if line.split() and " ".join(row.split()) in rows:
            cells = row.split()
            cells[2] = "0"
            text = text.replace(row, " ".join(cells))
    with pytest.raises(InputError, match="no RF pulse is followed by a readout"):
        read(tmp_path, text)


SATURATION = """[VERSION]
major 1
minor 3
revision 1
[BLOCKS]
1 0 2 0 0 0 0 0
{repeats}
[RF]
1 27.7778 1 2 100 0 0
2 1 3 4 0 1500 0
[TRAP]
1 1000 100 1000 100 0
[ADC]
1 10 10000 200 0 0
[SHAPES]
shape_id 1
num_samples 1000
1
0
0
997
shape_id 2
num_samples 1000
0
0
998
shape_id 3
num_samples 2000000
1
0
0
1999997
shape_id 4
num_samples 2000000
0
0
1999998
"""


@pytest.mark.slow
def test_a_long_saturation_is_no_fat_saturation_and_takes_seconds(tmp_path: Path) -> None:
    repeats = "\n".join(f"{n} 0 1 0 0 0 0 0\n{n + 1} 0 0 1 0 0 1 0" for n in (2, 4, 6))
    begun = time.process_time()
    with pytest.raises(InputError, match=r"1 x pulse without a readout \(block 1\)"):
        read(tmp_path, SATURATION.format(repeats=repeats))
    assert time.process_time() - begun < 20


def test_pulses_that_reach_no_slice_have_no_slice_profile(tmp_path: Path) -> None:
    path = tmp_path / "train.seq"
    Fisp((30, 30), (0, 0), tr=(14e-3, 14e-3), rf="sinc", inversion="none").write(path)
    text = path.read_text().split("\n[SIGNATURE]")[0]
    strong = re.sub(r"(?<=\[RF\]\n)(\d+\s+)\S+", r"\g<1>1e9", text)
    with pytest.raises(InputError, match="no slice within"):
        read(tmp_path, strong, Given(no_inversion=True, slice_positions=5))


def test_the_note_on_the_last_tr_is_true(tmp_path: Path, plain: str) -> None:
    whole = read(tmp_path, plain)
    assert "the last TR is taken from the repetition before it" in whole.notes
    last = " ".join(blocks_of(plain)[-1])
    line = next(line for line in plain.splitlines() if line.split() == last.split())
    cut = read(tmp_path, plain.replace(line + "\n", "", 1))
    assert cut.sequence.tr[-1] < whole.sequence.tr[-1]
    assert "the last TR is what is left of the file" in cut.notes


def test_a_gradient_of_an_old_version_continues_the_block_before_it(tmp_path: Path) -> None:
    text = SATURATION.format(repeats="2 0 0 2 0 0 0 0\n3 0 0 2 0 0 0 0\n4 0 1 0 0 0 0 0")
    text = text.replace("[TRAP]", "[GRADIENTS]\n2 100 1 0\n[TRAP]")
    (tmp_path / "old.seq").write_text(text.replace("1 0 2 0 0 0 0 0\n", "1 0 1 0 0 0 0 0\n"))
    file = read_pulseq(tmp_path / "old.seq")
    first, second = (file.blocks[i].gradients[0] for i in (1, 2))
    assert first is not None and second is not None
    assert (first.value[0], first.value[-1], second.value[0]) == (0, 100, 100)
    assert second.moment[-1] == pytest.approx(100 * 1000 * 1e-5)


@pytest.mark.parametrize(
    ("packed", "n", "expected"),
    [
        ([1, 2, 3], 3, [1, 3, 6]),
        ([0.5, 0.5, 2], 4, [0.5, 1, 1.5, 2]),
        ([1, 0, 0, 1], 4, [1, 1, 1, 1]),
        ([1, 0, 0, 1], 5, None),
        ([0, 0, -1], 1, None),
        ([0, 0, 1e300], 5, None),
        ([0, 0], 2, [0, 0]),
    ],
)
def test_shapes_are_decompressed(packed: list[float], n: int, expected: list[float] | None) -> None:
    samples = decompress(np.array(packed, float), n)
    if expected is None:
        assert samples is None
    else:
        np.testing.assert_allclose(samples, expected)
