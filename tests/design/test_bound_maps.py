"""Maps against the truth and against the bound: `mrftool evaluate maps`."""

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from readable_figure import require_readable
from rich.console import Console
from typer.testing import CliRunner

from mrftool.cli.commands.evaluation.evaluate import app
from mrftool.environment.reporter import SilentReporter
from mrftool.errors import InputError, MismatchError
from mrftool.evaluation.bins import MIN_VOXELS, bins_of
from mrftool.evaluation.bounds import Scan, distinct_tissues, voxel_bounds
from mrftool.evaluation.metrics import Score, scores
from mrftool.evaluation.reference import read_reference
from mrftool.evaluation.score_tables import score_markdown, score_table
from mrftool.figures import canvas
from mrftool.figures.errors import bin_figure
from mrftool.formats.nifti.maps import read_volume
from mrftool.formats.nifti.write import write_maps
from mrftool.grid import Placement
from mrftool.physics.cramer_rao import cramer_rao
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue
from mrftool.workflows.simulate import Simulation, simulate_scan
from mrftool.workflows.steps.scene import PhantomSettings, SceneSource, open_scene


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are made, but not drawn: that takes most of the time."""
    monkeypatch.setattr(canvas, "save_figure", lambda figure, path: None)


TISSUE = Tissue([1.0, 1.0, 0.8, 1.0], [0.1, 0.1, 0.05, 0.1], b1=[1, 1, 1, 0.9], m0=[1, 2j, 0.5, 1])


@pytest.mark.parametrize("form", ["complex", "magnitude"])
def test_the_bound_of_a_voxel_is_that_of_its_kind(short_sequence: PulseSequence, form: str) -> None:
    tissues = distinct_tissues(TISSUE, form)
    assert len(tissues.tissue) == {"complex": 3, "magnitude": 4}[form]
    found = voxel_bounds(Scan(short_sequence, 0.02, form), tissues)
    expected = cramer_rao(short_sequence, TISSUE, noise_sd=0.02, form=form)
    np.testing.assert_allclose(found["t1"], expected.sd_t1, rtol=1e-5)
    np.testing.assert_allclose(found["t2"], expected.sd_t2, rtol=1e-5)


def test_of_too_many_tissues_a_random_choice_is_computed(short_sequence: PulseSequence) -> None:
    tissue = Tissue(np.repeat(np.linspace(0.5, 2, 30), 2), 0.1, m0=np.tile([1, 0], 30))
    found = voxel_bounds(
        Scan(short_sequence, 0.02, "complex"), distinct_tissues(tissue, "complex", limit=10)
    )["t1"]
    assert np.isfinite(found).sum() == 10
    assert np.isinf(found).sum() == 10  # without signal
    assert np.isnan(found).sum() == 40


def test_rmse_over_bound_of_a_case_worked_by_hand() -> None:
    truth = Tissue([1.0, 1.0, 1.0, 1.0, 1.0], 0.1)
    bound = {
        "t1": [0.01, 0.02, 0.5, np.nan, np.inf]
    }  # the third is not determined, the others are not known
    (score,) = scores(truth, {"t1": [1.02, 0.99, 9.0, 9.0, 9.0]}, bound=bound)
    assert score.n_bound == 2
    assert score.rmse_over_bound == pytest.approx(np.sqrt((2**2 + 0.5**2) / 2))
    (silent,) = scores(truth, {"t1": [1.02] * 5}, bound={"t1": [np.nan] * 5})
    assert (silent.n_bound, silent.rmse_over_bound) == (0, None)
    with pytest.raises(MismatchError, match="bound of t1"):
        scores(truth, {"t1": [1.0] * 5}, bound={"t1": [1.0]})


def test_the_table_with_bounds_fits_a_terminal() -> None:
    facts = {
        "bias": -12.3,
        "sd": 123.4,
        "rmse": 123.4,
        "bias_percent": -1.2,
        "error_percent": 12.34,
        "log10_mse": 1e-4,
    }
    honest = {"coverage_1sd": 0.68, "coverage_2sd": 0.95, "z_mean": -0.01, "z_sd": 1.0}
    row = Score(
        "t1",
        "white_matter",
        999_999,
        0,
        1084.0,
        **facts,
        **honest,
        n_bound=7,
        rmse_over_bound=1.0123,
    )
    console = Console(width=80, record=True, file=StringIO())
    console.print(score_table([row]))
    lines = console.export_text().splitlines()
    words = next(line for line in lines if "white matter" in line).split()
    assert words[-4:] == ["1.012", "0.68", "-0.01", "1.00"]
    assert max(map(len, lines)) <= 80
    assert "| RMSE / bound | with bound | in 1 sd |" in score_markdown([row])


def in_two_bins(n: int) -> tuple[Tissue, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """`n` voxels at T1 0.1 s and T2 0.05 s, 2 and 1 % too long, and as many at 1 s and 0.1 s,
    without error.
    """
    truth = Tissue(np.repeat([0.1, 1.0], n), np.repeat([0.05, 0.1], n))
    estimate = {"t1": truth.t1 * np.repeat([1.02, 1], n), "t2": truth.t2 * np.repeat([1.01, 1], n)}
    return truth, estimate, {"t1": 0.01 * truth.t1, "t2": np.full(2 * n, 0.001)}


def test_bins_hold_the_errors_of_their_voxels() -> None:
    truth, estimate, bound = in_two_bins(MIN_VOXELS)
    t1, t2 = bins_of(truth, estimate, bound, size=4)
    np.testing.assert_allclose(t1.t1_edges[[0, 2, 4]], [0.1, np.sqrt(0.1), 1.0])
    np.testing.assert_allclose(t1.t2_edges[[0, 4]], [0.05, 0.1])
    assert (t1.n[0, 0], t1.n[3, 3], t1.n.sum()) == (MIN_VOXELS, MIN_VOXELS, 2 * MIN_VOXELS)
    assert (t1.bias[0, 0], t1.rmse[0, 0], t1.rmse_over_bound[0, 0]) == pytest.approx(
        (0.02, 0.02, 2)
    )
    assert (t2.bias[0, 0], t2.rmse_over_bound[0, 0]) == pytest.approx((0.01, 0.5))
    assert (t1.bias[3, 3], t1.rmse_over_bound[3, 3]) == (0, 0)
    assert np.isnan(t1.bias).sum() == 14
    record = json.loads(json.dumps(t2.records(), allow_nan=False))
    assert record["t2_edges_ms"][-1] == 100
    assert record["rmse_over_bound"][0] == [0.5, None, None, None]
    few = bins_of(*in_two_bins(MIN_VOXELS - 1), size=4)[0]
    assert np.isnan(few.rmse).all()


def test_the_picture_of_bins_says_where_the_errors_are(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(canvas, "save_figure", lambda figure, path: drawn.append(figure))
    truth, estimate, bound = in_two_bins(MIN_VOXELS)
    bin_figure(bins_of(truth, estimate, bound), "x.png", title="maps against scan.nii.gz")
    require_readable(drawn[0])
    panels = [axes for axes in drawn[0].axes if axes.get_title()]
    titles = ["T1: RMSE / bound", "T1: bias [%]", "T2: RMSE / bound", "T2: bias [%]"]
    assert [axes.get_title() for axes in panels] == titles
    for axes, expected in zip(panels, ["2.00", "+2.0", "0.50", "+1.0"], strict=True):
        text = min(axes.texts, key=lambda text: text.get_position()[0])
        assert text.get_text() == expected
        assert text.get_position() == pytest.approx((100 * 10**0.05, 50 * 2**0.05))
    bin_figure(bins_of(truth, estimate), "x.png")
    assert next(axes.get_title() for axes in drawn[1].axes) == "T1: RMSE [%]"


def scanned(folder: Path, sequence: PulseSequence, form: str = "complex", snr: float = 30) -> Path:
    """A noisy scan of a small digital head, with its truth."""
    settings = PhantomSettings((16, 16, 2), b1_spread=0.1, m0_phase=np.pi / 2)
    scene = open_scene(SceneSource("brain"), settings)
    path = folder / "scan.nii.gz"
    simulate_scan(Simulation(sequence, snr=snr), scene, path, SilentReporter(), form=form)
    return path


def quantified(folder: Path, scan: Path, **about: object) -> dict[str, np.ndarray]:
    """Maps in a folder: the truth plus normal errors as large as the bound, with that bound as
    error bars.
    """
    truth = read_reference(scan)
    assert truth.scan is not None
    bound = voxel_bounds(truth.scan, distinct_tissues(truth.tissue, truth.scan.form))
    random, images = np.random.default_rng(0), {}
    for name, limit in bound.items():
        small = np.minimum(limit, 0.2 * getattr(truth.tissue, name))
        images[name] = getattr(truth.tissue, name) + small * random.standard_normal(len(limit))
        images[f"sd_{name}"] = small
    images = {
        name: truth.grid.to_image(column.astype(np.float32)) for name, column in images.items()
    }
    folder.mkdir()
    write_maps(
        ((folder / f"{name}.nii", x, name, None) for name, x in images.items()),
        Placement(truth.grid.affine),
    )
    report = {"maps": {name: f"{name}.nii" for name in images}, **about}
    (folder / "report.json").write_text(json.dumps(report))
    return images


def evaluated(*arguments: object) -> list[dict[str, object]]:
    result = CliRunner().invoke(app, ["maps", *map(str, arguments)])
    if result.exception:
        raise result.exception
    *_, written = [
        Path(line) for line in result.stdout.splitlines() if line.endswith("errors.json")
    ]
    return json.loads(written.read_text())


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("form", ["complex", "magnitude"])
def test_errors_as_large_as_the_bound_are_recognised(
    tmp_path: Path, short_sequence: PulseSequence, form: str
) -> None:
    scan = scanned(tmp_path, short_sequence, form)
    quantified(tmp_path / "maps", scan)
    rows = evaluated(tmp_path / "maps", scan)
    regions = {row["region"] for row in rows}
    assert {"all", "csf", "white_matter"} <= regions
    for row in rows:
        if row["n_bound"] > 20:
            chance = 4 / np.sqrt(2 * row["n_bound"])
            assert row["rmse_over_bound"] == pytest.approx(1, abs=chance), row
            assert row["z_sd"] == pytest.approx(1, abs=chance)
            assert abs(row["z_mean"]) < 4 / np.sqrt(row["n"])
    assert rows[0]["n_bound"] > 100


@pytest.mark.slow
def test_the_pictures_and_the_bins_are_written(
    tmp_path: Path, short_sequence: PulseSequence
) -> None:
    scan = scanned(tmp_path, short_sequence)
    quantified(tmp_path / "maps", scan)
    evaluated(tmp_path / "maps", scan, "-o", tmp_path / "out")
    assert len(json.loads((tmp_path / "out" / "bins.json").read_text())) == 2
    for name in ("bins.png", "errors.png", "scatter.png"):
        with Image.open(tmp_path / "out" / name) as opened:
            assert opened.format == "PNG"


@pytest.mark.usefixtures("undrawn")
def test_the_bound_is_of_the_form_that_was_quantified(
    tmp_path: Path, short_sequence: PulseSequence
) -> None:
    scan = scanned(tmp_path, short_sequence, snr=15)
    quantified(tmp_path / "maps", scan)
    quantified(tmp_path / "modulus", scan, input={"form": "magnitude"})
    first, second = (
        evaluated(tmp_path / name, scan)[0]["rmse_over_bound"] for name in ("maps", "modulus")
    )
    assert second < 0.99 * first  # magnitudes tell less: their bound is larger


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_without_noise_there_is_no_bound(tmp_path: Path, short_sequence: PulseSequence) -> None:
    noisy = tmp_path / "noisy"
    noisy.mkdir()
    images = quantified(tmp_path / "maps", scanned(noisy, short_sequence))
    clean = scanned(tmp_path, short_sequence, snr=np.inf)
    row = evaluated(tmp_path / "maps", clean)[0]
    assert (row["n_bound"], row["rmse_over_bound"]) == (0, None)
    assert row["n"] == np.count_nonzero(images["t1"])


@pytest.mark.usefixtures("undrawn")
def test_one_folder_of_maps_is_the_truth_of_another(
    tmp_path: Path, short_sequence: PulseSequence
) -> None:
    scan = scanned(tmp_path, short_sequence)
    images = quantified(tmp_path / "a", scan)
    quantified(tmp_path / "b", scan)
    header, t2 = read_volume(tmp_path / "b" / "t2.nii")
    t2 = np.where(images["t2"] > 0.1, np.nan, t2)
    longer = {
        "t1": 1.1 * images["t1"],
        "t2": t2,
        "flags": np.where(images["t1"] > 1.5, 16, 0).astype(np.uint8),
    }
    write_maps(
        ((tmp_path / "b" / f"{k}.nii", x.astype(np.float32), k, None) for k, x in longer.items()),
        header.placement,
    )
    (tmp_path / "b" / "report.json").write_text(
        json.dumps({"maps": {key: f"{key}.nii" for key in longer}})
    )
    rows = evaluated(tmp_path / "a", tmp_path / "b", "-o", tmp_path / "out")
    inside = (images["t1"] > 0) & ~(images["t2"] > 0.1) & ~(images["t1"] > 1.5)
    assert [row["n"] for row in rows] == [inside.sum()] * 2
    assert rows[0]["bias_percent"] == pytest.approx(100 / 1.1 - 100, rel=1e-4)
    assert rows[1]["rmse"] == 0
    assert rows[0]["rmse_over_bound"] is None
    assert rows[0]["z_sd"] is not None


@pytest.mark.usefixtures("undrawn")
def test_wrong_input_is_refused_and_leaves_nothing(
    tmp_path: Path, short_sequence: PulseSequence
) -> None:
    scan = scanned(tmp_path, short_sequence)
    quantified(tmp_path / "maps", scan)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="missing or no report"):
        evaluated(tmp_path / "maps", empty)
    (empty / "report.json").write_text('{"maps": {"t1": "t1.nii"}}')
    with pytest.raises(InputError, match="names no T1 and T2 map"):
        evaluated(tmp_path / "maps", empty)
    sidecar = tmp_path / "scan.json"
    facts = json.loads(sidecar.read_text())
    for wrong in (
        {"noise_sd": "loud"},
        {"noise_sd": -1},
        {"form": "real"},
        {"sequence": {"tr_ms": 1}},
    ):
        sidecar.write_text(json.dumps(facts | wrong))
        with pytest.raises(InputError, match=r"scan\.json"):
            evaluated(tmp_path / "maps", scan)
    assert not (tmp_path / "maps" / "errors").exists()


def test_what_else_moves_the_signal_is_part_of_the_truth(
    tmp_path: Path, short_sequence: PulseSequence
) -> None:
    view = open_scene(SceneSource("vials"), PhantomSettings((16, 16, 1)))
    columns = {key: getattr(view.tissue, key) for key in Tissue.columns()}
    odd = type(view)(
        Tissue(**{**columns, "off_resonance": -7.0}), view.grid, view.labels, view.classes
    )
    path = tmp_path / "scan.nii"
    simulate_scan(Simulation(short_sequence, snr=30), odd, path, SilentReporter())
    assert (read_reference(path).tissue.off_resonance == -7).all()
