"""Values that all voxels share are fitted with T1 and T2, with their uncertainty."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from front_door import refuses, works

from mrftool.environment.reporter import SilentReporter
from mrftool.errors import MismatchError
from mrftool.exporting.make import make_model
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.inference.session import Model
from mrftool.manifold.influences import EFFICIENCY, FLIP_EXPONENT, with_change
from mrftool.maps import Maps
from mrftool.physics.simulate import simulate
from mrftool.scan.series import Series, series_from_array
from mrftool.sequence import Invert, Pulses, PulseSequence
from mrftool.tissue import Tissue
from mrftool.workflows.common_values import CommonChoice
from mrftool.workflows.estimation import Estimation, estimated
from mrftool.workflows.steps.stopwatch import Stopwatch

SIZE = 18
RANGES = {"t1_range": (0.3, 3.5), "t2_range": (0.02, 0.4)}


@dataclass
class Scanned:
    """A scan of random tissue."""

    tissue: Tissue
    series: Series


def model_of(sequence: PulseSequence, **options) -> Model:
    """A model without an encoder."""
    proto, manifest = make_model(sequence, check=False, **{**RANGES, **options})
    return Model(Path("model.onnx"), manifest, proto.SerializeToString())


@pytest.fixture(scope="module")
def delics() -> PulseSequence:
    """A sequence of 500 repetitions."""
    return read_sequence("delics")


@pytest.fixture(scope="module")
def models(delics) -> dict[str, Model]:
    """Models without and with an axis of B1, and one of magnitudes."""
    return {
        "complex": model_of(delics),
        "b1": model_of(delics, b1_range=(0.6, 1.4)),
        "magnitude": model_of(delics, form="magnitude"),
    }


def scan_of(sequence, b1, *, snr=30.0, magnitude=False, seed=0) -> Scanned:
    """White and grey matter, and what lies between, in noise."""
    random = np.random.default_rng(seed)
    count = SIZE * SIZE
    t1 = np.exp(random.uniform(np.log(0.7), np.log(1.8), count))
    tissue = Tissue(t1, t1 * random.uniform(0.05, 0.1, count), b1=np.broadcast_to(b1, count))
    clean = simulate(sequence, tissue).signal
    sd = np.sqrt(np.mean(np.abs(clean) ** 2)) / snr
    rows = clean + sd * random.standard_normal((*clean.shape, 2)).view(complex)[..., 0]
    kind = np.complex64
    if magnitude:
        rows, kind = np.abs(rows), np.float32
    return Scanned(tissue, series_from_array(rows.reshape(SIZE, SIZE, 1, -1).astype(kind)))


def smooth_field() -> np.ndarray:
    """A field that is no polynomial `(voxel,)`."""
    x, y = np.meshgrid(*2 * [np.linspace(-1, 1, SIZE)], indexing="ij")
    return (0.8 + 0.3 * np.exp(-1.2 * ((x - 0.2) ** 2 + y**2))).ravel()


def fit(series, model, choice, *, images=None, stated=None) -> tuple[Estimation, Maps]:
    """The maps, and the fit that made them."""
    task = Estimation(series, model, images or {}, None, False, None, stated)
    fitted, found = estimated(task, choice, Stopwatch(), SilentReporter())
    return fitted, found.maps


def errors(maps: Maps, tissue: Tissue, name: str) -> tuple[float, float]:
    """Mean relative error, and the share of combined 95 % intervals that hold."""
    found, true = getattr(maps, name).ravel(), getattr(tissue, name)
    z = (found - true) / maps.extra[f"combined_{name}"].ravel()
    return float(np.mean(found / true - 1)), float(np.mean(np.abs(z) < 1.96))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("b1", "shape", "form"),
    [
        (0.75, "factor", "complex"),
        (1.25, "factor", "complex"),
        (0.9, "factor", "magnitude"),
        (smooth_field(), "smooth", "complex"),
    ],
)
def test_an_unknown_b1_is_found_and_t2_is_unbiased(delics, models, b1, shape, form):
    scanned = scan_of(delics, b1, magnitude=form == "magnitude")
    _, biased = fit(scanned.series, models[form], CommonChoice())
    task, maps = fit(scanned.series, models[form], CommonChoice(shape), stated={"b1": 0.0})
    found = maps.extra["b1"].ravel()
    assert np.quantile(np.abs(found - scanned.tissue.b1), 0.95) < 0.01
    assert abs(np.mean(found / scanned.tissue.b1 - 1)) < 0.002
    assert abs(errors(biased, scanned.tissue, "t2")[0]) > 0.08
    for name in ("t1", "t2"):
        bias, coverage = errors(maps, scanned.tissue, name)
        assert abs(bias) < 0.01
        assert coverage > 0.9
    told = task.fitted
    assert told["residual_after"] < told["residual_before"]
    assert told["b1"]["standard_uncertainty"] < 0.01


@pytest.mark.slow
def test_a_map_that_is_off_by_a_factor_is_put_right(delics, models):
    field = smooth_field()
    scanned = scan_of(delics, field)
    given = {"b1": (1.12 * field).reshape(SIZE, SIZE, 1).astype(np.float32)}
    _, maps = fit(scanned.series, models["b1"], CommonChoice("factor"), images=given)
    assert np.allclose(maps.extra["b1"].ravel(), field, rtol=0.003)
    assert abs(errors(maps, scanned.tissue, "t2")[0]) < 0.01


@pytest.mark.slow
def test_voxels_that_differ_from_one_factor_widen_the_error_bars(delics, models):
    field = 1 + 0.05 * np.random.default_rng(2).standard_normal(SIZE * SIZE)
    scanned = scan_of(delics, field, snr=60)
    task, maps = fit(scanned.series, models["complex"], CommonChoice("factor"))
    assert task.stated["b1"] == pytest.approx(0.05, rel=0.25)
    assert errors(maps, scanned.tissue, "t2")[1] > 0.9


@pytest.mark.slow
def test_the_fit_follows_an_error_of_another_given_value_as_far_as_it_says(delics, models):
    right = scan_of(delics, 0.9, snr=1e4)
    other = with_change(FLIP_EXPONENT, delics, right.tissue, 0.01)[0]
    wrong = scan_of(other, 0.9, snr=1e4)
    stated = {"flip_exponent": 0.01, "b1": 0.0}
    found = [
        fit(each.series, models["b1"], CommonChoice("factor"), stated=stated)
        for each in (right, wrong)
    ]
    (task, first), (_, second) = found
    moved = float(np.mean(second.extra["b1"] - first.extra["b1"]))
    assert moved == pytest.approx(-0.01 * task.following["flip_exponent"]["b1"], rel=0.05)
    for name in ("t1", "t2"):
        # What remains is the difference of two effects that are seven times as large.
        shift = np.abs(getattr(second, name) - getattr(first, name)).ravel()
        assert np.median(shift / first.extra[f"systematic_{name}"].ravel()) == pytest.approx(
            1, abs=0.15
        )


@pytest.mark.slow
@pytest.mark.parametrize("shape", [None, "factor"])
def test_a_less_perfect_inversion_is_found(delics, models, shape):
    made = with_change(EFFICIENCY, delics, Tissue([1.0], [0.1]), -0.06)[0]
    scanned = scan_of(made, 1.0 if shape is None else 0.9)
    stated = {"efficiency": 0.03}
    _, biased = fit(scanned.series, models["complex"], CommonChoice(shape), stated=stated)
    choice = CommonChoice(shape, efficiency=True)
    task, maps = fit(scanned.series, models["complex"], choice, stated=stated)
    told = task.fitted["efficiency"]
    assert told["mean_change"] == pytest.approx(-0.06, abs=4 * told["by_noise"] + 1e-3)
    assert task.stated["efficiency"] < 0.005
    assert abs(errors(biased, scanned.tissue, "t1")[0]) > 0.02
    for name in ("t1", "t2"):
        bias, coverage = errors(maps, scanned.tissue, name)
        assert abs(bias) < 0.01
        assert coverage > 0.9
    assert task.model.sequence_id != models["complex"].sequence_id


@pytest.mark.slow
def test_the_prior_holds_the_efficiency_where_the_scan_tells_little(delics, models):
    made = with_change(EFFICIENCY, delics, Tissue([1.0], [0.1]), -0.06)[0]
    scanned = scan_of(made, 1.0)
    choice = CommonChoice(efficiency=True)
    task, _ = fit(scanned.series, models["complex"], choice, stated={"efficiency": 1e-5})
    assert abs(task.fitted["efficiency"]["mean_change"]) < 1e-3


def test_an_efficiency_is_fitted_only_where_there_is_an_inversion(delics):
    plain = replace(delics, events=(Pulses(),))
    with pytest.raises(MismatchError, match="no inversion"):
        fit(scan_of(plain, 1.0).series, model_of(plain), CommonChoice(efficiency=True))


def test_a_sequence_that_cannot_tell_b1_from_t2_is_refused():
    # The transient of a balanced train of constant flips is one exponential: three numbers for four
    # unknowns (Schmitt et al., Magn. Reson. Med. 51:661, 2004).
    n = 200
    alike = PulseSequence(
        np.deg2rad(np.r_[20, np.full(n - 1, 40)]),
        np.pi * (np.arange(n) % 2),
        tr=np.r_[0.0025, np.full(n - 1, 0.005)],
        te=np.r_[0.00125, np.full(n - 1, 0.0025)],
        events=(Invert(), Pulses()),
        spoiling="none",
        name="constant",
    )
    scanned = scan_of(alike, 1.0)
    with pytest.raises(MismatchError, match="cannot tell B1"):
        fit(scanned.series, model_of(alike), CommonChoice("factor"))


@pytest.mark.slow
def test_the_command_writes_the_field_and_says_what_it_costs(tmp_path):
    scan = tmp_path / "scan.nii"
    phantom = ("--phantom", "brain", "--matrix", 32, "--b1-spread", 0.2)
    works("simulate", "--seq", "fisp", *phantom, "--snr", 30, "-o", scan)
    outcome = works("quantify", scan, "-o", tmp_path / "maps", "--b1", "fit:smooth")
    assert "B1 is fitted: a smooth field" in outcome.err
    truth = nibabel.load(tmp_path / "scan_truth_B1map.nii.gz").get_fdata()
    found = nibabel.load(tmp_path / "maps" / "B1map.nii.gz").get_fdata()
    inside = found > 0
    assert np.sqrt(np.mean((found - truth)[inside] ** 2)) < 0.01
    sidecar = json.loads((tmp_path / "maps" / "T2map.json").read_text())
    report = json.loads((tmp_path / "maps" / "report.json").read_text())
    for facts in (sidecar["mrftool"], report["method"]):
        fitted = facts["fitted"]
        assert fitted["b1"]["by_noise"] < fitted["b1"]["standard_uncertainty"] < 0.05
        assert fitted["t2_uncertainty"] > 0
    again = ("-o", tmp_path / "other", "--b1", "fit:")
    refuses(2, "quantify", scan, *again, says=("after the colon",))
