"""Pictures and tables of the bound, and `mrftool sequence show` that makes them."""

from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import yaml
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from PIL import Image
from readable_figure import require_readable
from rich.console import Console
from typer.testing import CliRunner

from mrftool.cli.commands.sequences.sequence import app
from mrftool.design.precision import Precision, plane, precision
from mrftool.errors import UsageError
from mrftool.figures import canvas
from mrftool.figures.sequences.precision import comparison_figure, precision_figure
from mrftool.formats.sequence.yaml_file import sequence_to_dict
from mrftool.reports.sequences.sequence_tables import common_tissue, precision_table
from mrftool.sequence import PulseSequence

POINTS = plane((0.1, 5), (0.005, 3), 13)
NAMES, COMMON = common_tissue()
MARKS = {name: (t1, t2) for name, t1, t2 in zip(NAMES, COMMON.t1, COMMON.t2, strict=True)}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that would have been saved."""
    kept: list[Figure] = []
    monkeypatch.setattr(canvas, "save_figure", lambda figure, path: kept.append(figure))
    return kept


@pytest.fixture(scope="module")
def found(short_sequence: PulseSequence) -> Precision:
    return precision(short_sequence, POINTS, 20)


@pytest.fixture(scope="module")
def faster(short_sequence: PulseSequence) -> PulseSequence:
    s = short_sequence
    return PulseSequence(s.flip_angle, s.rf_phase, 0.75 * s.tr, s.te, s.events, name="faster")


def meshes(figure: Figure) -> list[np.ndarray]:
    """Values that each panel shows."""
    found = [
        child for axes in figure.axes for child in axes.collections if isinstance(child, QuadMesh)
    ]
    return [
        np.asarray(mesh.get_array()).ravel()
        for mesh in found
        if mesh.get_array().size == len(POINTS)
    ]


def test_the_picture_shows_the_bound_and_the_efficiency(
    drawn: list[Figure], found: Precision, short_sequence: PulseSequence
) -> None:
    precision_figure(found, short_sequence, 20, "x.png", tissues=MARKS)
    require_readable(drawn[0])
    shown = [*np.clip(100 * found.relative.T, 0.2, 20), *np.clip(found.efficiency.T, 1, 100)]
    for k, values in enumerate(meshes(drawn[0])):
        np.testing.assert_allclose(values, shown[k])
    assert k == 3
    axes = drawn[0].axes[0]
    assert axes.get_title() == "smallest sd of T1 [%] at SNR 20"
    assert axes.lines[2].get_xydata()[0] == pytest.approx((4309, 1886))  # CSF
    assert (axes.get_xlim(), axes.get_ylim()) == (
        pytest.approx((100, 5000)),
        pytest.approx((5, 3000)),
    )


def test_contours_are_labelled_where_they_run(
    drawn: list[Figure], found: Precision, short_sequence: PulseSequence
) -> None:
    """The bound, interpolated at each label, is what the label says."""
    precision_figure(found, short_sequence, 20, "x.png", tissues=MARKS)
    axes = drawn[0].axes[0]
    labels = [text for text in axes.texts if text.get_text().endswith("%")]
    assert len(labels) >= 2
    for label in labels:
        t1, t2 = 1e-3 * np.array(label.get_position())
        exact = precision(short_sequence, type(POINTS)([t1], [t2]), 20).relative[0, 0]
        assert 100 * exact == pytest.approx(float(label.get_text().rstrip(" %")), rel=0.05)


def test_what_is_not_determined_is_drawn_as_the_worst(
    drawn: list[Figure], found: Precision, short_sequence: PulseSequence
) -> None:
    relative = np.where(POINTS.t2[:, None] < 0.02, np.inf, found.relative)
    blind = Precision(
        POINTS, found.level, relative, np.where(np.isinf(relative), 0, found.efficiency)
    )
    precision_figure(blind, short_sequence, 20, "x.png", tissues={})
    comparison_figure(blind, blind, ("a", "b"), 1.0, "x.png", tissues={})
    require_readable(drawn[0])
    assert (meshes(drawn[0])[0][POINTS.t2 < 0.02] == 20).all()


def test_the_comparison_is_the_ratio_of_efficiencies(
    drawn: list[Figure], found: Precision, faster: PulseSequence
) -> None:
    other = precision(faster, POINTS, 20)
    comparison_figure(found, other, ("short", "faster"), 1.1547, "x.png", tissues=MARKS)
    require_readable(drawn[0])
    for k, values in enumerate(meshes(drawn[0])):
        ratio = found.efficiency[:, k] / other.efficiency[:, k]
        np.testing.assert_allclose(values, np.clip(ratio, 0.25, 4))
    assert drawn[0].axes[1].get_title() == "T2: sd by faster / sd by short"
    assert "multiply by 1.15" in drawn[0].get_suptitle()


def test_the_table_fits_a_terminal(short_sequence: PulseSequence, faster: PulseSequence) -> None:
    found, other = (precision(each, COMMON, 20) for each in (short_sequence, faster))
    table = precision_table("short", found, 20, other, "faster")
    console = Console(width=80, record=True, file=StringIO())
    console.print(table.for_terminal())
    lines = console.export_text().splitlines()
    white = next(line for line in lines if line.strip().startswith("WM"))
    expected = [1084, 69, 100 * found.level[0], *(100 * found.relative[0]), *found.efficiency[0]]
    expected += [*(found.efficiency[0] / other.efficiency[0])]
    np.testing.assert_allclose([float(word) for word in white.split()[1:]], expected, rtol=6e-3)
    assert max(map(len, lines)) <= 80
    assert table.markdown().count("\n| ") == 2 + len(NAMES)


def write(sequence: PulseSequence, folder: Path) -> str:
    path = folder / f"{sequence.name}.yaml"
    path.write_text(yaml.safe_dump(sequence_to_dict(sequence)))
    return str(path)


@pytest.mark.slow
def test_show_writes_the_train_the_bound_and_the_comparison(
    tmp_path: Path, short_sequence: PulseSequence, faster: PulseSequence
) -> None:
    name, other = write(short_sequence, tmp_path), write(faster, tmp_path)
    picture = tmp_path / "look.png"
    result = CliRunner().invoke(
        app, ["show", name, "-o", str(picture), "--snr", "10", "--compare", other]
    )
    assert result.exit_code == 0, result.output
    parts = ("", "_against_faster", "_diagram", "_precision", "_sensitivity")
    names = [f"look{text}.png" for text in parts]
    assert sorted(path.name for path in tmp_path.glob("*.png")) == names
    for path in tmp_path.glob("*.png"):
        with Image.open(path) as opened:
            assert opened.format == "PNG"
    assert "SNR 10" in result.stdout
    assert all(name in result.stdout for name in NAMES)


@pytest.mark.slow
def test_options_change_the_table_and_wrong_ones_are_refused(
    tmp_path: Path, short_sequence: PulseSequence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canvas, "save_figure", lambda figure, path: None)
    name, picture = write(short_sequence, tmp_path), str(tmp_path / "look.png")
    run = CliRunner().invoke
    tables = [
        run(app, ["show", name, "-o", picture, *options]).stdout
        for options in ([], ["--snr", "10"], ["--form", "magnitude"])
    ]
    assert len(set(tables)) == 3
    wrong = str(tmp_path / "wrong.png")
    for options in (["--snr", "0"], ["--snr", "inf"]):
        result = run(app, ["show", name, "-o", wrong, *options])
        assert isinstance(result.exception, UsageError)
        assert "--snr" in str(result.exception)
    assert run(app, ["show", name, "-o", wrong, "--form", "real"]).exit_code == 2
    assert not list(tmp_path.glob("wrong*"))
