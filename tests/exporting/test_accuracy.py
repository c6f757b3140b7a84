"""A model that errs far above its bound anywhere in its range is refused, and the tissue named."""

import numpy as np
import pytest

from mrftool.errors import CheckFailedError
from mrftool.exporting.accuracy import require_near_bound, worst_region
from mrftool.exporting.make import make_model
from mrftool.formats.sequence.yaml_file import sequence_from_dict
from mrftool.physics.cramer_rao import Form
from mrftool.sequence import PulseSequence

COUNT = 4000


@pytest.fixture
def estimates() -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Estimates at their bound, with true values and bound."""
    random = np.random.default_rng(0)
    t1 = np.exp(random.uniform(np.log(0.2), np.log(4), COUNT))
    reference = np.stack([t1, t1 * random.uniform(0.02, 0.5, COUNT)], axis=1)
    bound = 0.02 * reference
    found = reference + bound * random.standard_normal(reference.shape)
    return {"t1": found[:, 0], "t2": found[:, 1]}, reference, bound


def test_estimates_at_the_bound_pass(estimates) -> None:
    worst = worst_region(*estimates)
    assert worst is not None and worst.ratio < 1.1
    require_near_bound({"voxels": COUNT, "snr_20": {"worst_region": worst.to_dict()}})


def test_a_small_region_with_large_errors_is_found_and_named(estimates) -> None:
    found, reference, bound = estimates
    here = (abs(reference[:, 0] - 1.0) < 0.2) & (abs(reference[:, 1] - 0.1) < 0.05)
    assert 0.005 < here.mean() < 0.05
    found["t2"] = np.where(here, reference[:, 1] * 1.2, found["t2"])
    worst = worst_region(found, reference, bound)
    assert worst is not None and worst.parameter == "t2"
    assert worst.t1 == pytest.approx(1.0, rel=0.5) and worst.t2 == pytest.approx(0.1, rel=0.7)
    scores = {"noise_free": {}, "snr_20": {"worst_region": worst.to_dict()}}
    with pytest.raises(
        CheckFailedError, match=r"SNR 20, the error of T2 is [\d.]+ times"
    ) as caught:
        require_near_bound(scores)
    assert f"T1 {1e3 * worst.t1:.4g} ms" in str(caught.value)
    require_near_bound(scores, largest=20)


def test_tissue_that_is_not_determined_does_not_count(estimates) -> None:
    found, reference, bound = estimates
    found = {name: 3 * values for name, values in found.items()}
    assert worst_region(found, reference, 100 * bound) is None


@pytest.mark.parametrize("form", ["complex", "magnitude"])
def test_a_short_train_passes_though_noise_alone_keeps_it_from_the_bound(form: Form) -> None:
    """48 repetitions at SNR 5: more Gauss-Newton steps change nothing."""
    sequence = sequence_from_dict(
        {
            "mrftool_sequence": 1,
            "name": "lobes",
            "flip_angle_deg": {
                "rule": "lobes",
                "peaks": [35, 60],
                "lengths": [24, 24],
                "minimum": 5,
            },
            "rf_phase_deg": 0,
            "tr_ms": 12,
            "te_ms": 2.5,
            "inversion": {"efficiency": 0.98, "time_ms": 20},
            "spoiling": "gradient",
        }
    )
    _, manifest = make_model(sequence, form=form)
    assert manifest.scores["snr_5"]["worst_region"]["rmse_over_bound"] < 1.2


def test_a_model_of_too_few_steps_is_not_made(
    short_sequence: PulseSequence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A single atom is no start for a single step."""
    monkeypatch.setattr("mrftool.exporting.atoms._PLANS", ((1, 0),))
    ranges = {"t1_range": (0.3, 3.0), "t2_range": (0.02, 0.5), "tolerance": 1e-3}
    with pytest.raises(
        CheckFailedError, match=r"times its Cramer-Rao bound, expected at most 1\.2"
    ):
        make_model(short_sequence, polish=1, **ranges)
    _, manifest = make_model(short_sequence, polish=1, allow_inaccurate=True, **ranges)
    assert manifest.scores["snr_100"]["worst_region"]["rmse_over_bound"] > 1.2
