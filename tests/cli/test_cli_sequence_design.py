"""`mrftool sequence optimise` and `mrftool sequence compare` through the front door."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from front_door import refuses, untouched, works

from mrftool.design import optimise as search
from mrftool.formats.sequence.yaml_file import read_sequence

SMALL = ("--length", 80, "--arms", 8, "--iterations", 6, "--tissue", "1000/80", "--b1", "1")


@pytest.fixture
def designed(tmp_path: Path) -> Callable[..., Path]:
    def run(*options: object) -> Path:
        path = tmp_path / "mine.yaml"
        works("sequence", "optimise", "fisp", "-o", path, *SMALL, *options)
        return path

    return run


@pytest.mark.slow
def test_a_designed_sequence_is_a_valid_file_with_a_picture(designed: Callable[..., Path]) -> None:
    path = designed("--tr-ms", 11, "--te-ms", 1.5, "--ti-ms", 25, "--max-step", 3)
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    sequence = read_sequence(str(path))
    assert len(sequence) == 80
    assert sequence.name == "mine"
    np.testing.assert_allclose(sequence.tr, 0.011)
    np.testing.assert_allclose(sequence.te, 0.0015)
    assert sequence.train is not None
    assert sequence.train.inversion is not None
    assert sequence.train.inversion.time == pytest.approx(0.025)
    assert abs(np.diff(np.rad2deg(sequence.flip_angle))).max() <= 3 + 1e-6
    assert "mean log variance" in path.read_text()
    works("sequence", "check", path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ("--max-flip", 30),
        ("--max-energy", 5),
        ("--tissue", "2000/40"),
        ("--b1", "0.8,1.2"),
        ("--efficiency", "0.7,1"),
        ("--weight", "t1=5,t2=1"),
        ("--arms", 4),
        ("--order", "blocks"),
        ("--iterations", 2),
        ("--length", 60),
        ("--tr-range-ms", 10, 14, "--max-time-s", 0.95),
        ("--te-range-ms", 1, 5),
        ("--ti-range-ms", 5, 40),
    ],
)
def test_every_option_changes_the_design(
    options: tuple[object, ...], designed: Callable[..., Path]
) -> None:
    before = read_sequence(str(designed("--max-step", 2)))
    after = read_sequence(str(designed("--max-step", 2, *options)))
    assert before.sequence_id != after.sequence_id


@pytest.mark.slow
def test_the_seed_changes_the_second_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = []
    monkeypatch.setattr(
        search, "_require_determined", lambda problem, name, start, threads: starts.append(start)
    )
    for seed in (0, 1):
        works("sequence", "optimise", "-o", tmp_path / "a.yaml", *SMALL, "--seed", seed)
    first, second, again, other = (start.flip_angle for start in starts)
    np.testing.assert_array_equal(first, again)
    assert abs(second - other).max() > np.deg2rad(0.5)


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--weight", "t3=1"), 2, "expected weights of t1 and t2"),
        (("--tissue", "1000"), 2, "expected pairs T1/T2 in ms"),
        (("--b1", "one"), 2, "--b1 one, expected numbers"),
        (("--max-time-s", 0.1), 2, "last at least"),
        (("--tr-range-ms", 10, 14), 2, "without a limit on the total time"),
        (("--tr-range-ms", 10, 14, "--tr-ms", 12), 2, "contradicts --tr-range-ms"),
        (("--te-range-ms", 1, 50), 2, "expected TE <= TR"),
        (("--arms", 60), 2, "60 arms for 80 repetitions"),
        (("--tissue", "80/1000"), 2, "0 < T2 <= T1"),
    ],
)
def test_requests_that_cannot_be_met_are_refused_in_one_line(
    options: tuple[object, ...], code: int, says: str, tmp_path: Path
) -> None:
    with untouched(tmp_path):
        arguments = ("-o", tmp_path / "x.yaml", *SMALL, *options)
        refuses(code, "sequence", "optimise", "fisp", *arguments, says=(says,))


def test_a_start_that_cannot_be_designed_is_refused(tmp_path: Path) -> None:
    output = ("-o", tmp_path / "x.yaml")
    refuses(2, "sequence", "optimise", "liquid_phantom", *output, says=("RF phases other than",))


@pytest.mark.slow
def test_sequences_are_compared_side_by_side(tmp_path: Path) -> None:
    outcome = works("sequence", "compare", "fisp_jiang", "delics", "-o", tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    delics = read_sequence("delics")
    energy = f"{np.sum(delics.flip_angle**2):.3g}"
    line = next(line for line in outcome.out.splitlines() if "squared flip" in line)
    assert line.split()[-1] == energy
    assert "per 1 % of B1" in outcome.out
    refuses(2, "sequence", "compare", "delics", says=("1 sequence(s), expected 2 to 6",))
