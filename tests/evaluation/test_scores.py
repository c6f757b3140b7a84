"""Models of shipped sequences, made without training, at the statistical limit; and the search that
starts them.
"""

import numpy as np
import pytest
from scipy import stats

from mrftool.exporting.atoms import choose_atoms, spread
from mrftool.exporting.make import make_model, model_table
from mrftool.exporting.thresholds import FALSE_ALARM
from mrftool.exporting.verify import verify
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.manifold.table import evaluate
from mrftool.sequence import PulseSequence

VOXELS = 8000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "form"), [("fisp", "complex"), ("delics", "complex"), ("cao", "magnitude")]
)
def test_models_of_shipped_sequences_reach_the_bound_with_calibrated_deviations(
    name: str, form: str
) -> None:
    """Random tissue all over the range; the ratio of RMSE and bound is itself known to 0.8 %."""
    sequence = read_sequence(name)
    model, manifest = make_model(sequence, form=form, check=False)
    scores = verify(
        model.SerializeToString(),
        manifest,
        sequence,
        voxels=VOXELS,
        snrs=(5.0, 20.0, 100.0),
        seed=3,
    )
    assert scores["noise_free"]["rms_t1"] < 1e-3
    assert scores["noise_free"]["rms_t2"] < 1e-3
    for snr in ("snr_5", "snr_20", "snr_100"):
        assert (
            scores[snr]["misfit_flagged"] <= stats.binom.isf(1e-4, VOXELS, 2 * FALSE_ALARM) / VOXELS
        )
        for key in ("t1", "t2"):
            found = scores[snr][key]
            assert found["determined"] > 0.95
            assert found["rmse_over_bound"] <= 1.03
            assert abs(found["z_mean"]) <= 0.05
            assert 0.95 <= found["z_sd"] <= 1.05
            assert found["coverage_95"] == pytest.approx(0.95, abs=0.012)


def test_search_entries_cover_all_candidates_evenly() -> None:
    points = np.random.default_rng(0).uniform(0, 1, (2000, 2)) * [4, 1]
    chosen = spread(points, 100)
    assert len(set(chosen)) == 100
    gaps = np.linalg.norm(points[:, None] - points[chosen], axis=2)
    radius = gaps.min(axis=1).max()
    assert (
        radius < 2 * np.sqrt(4 / 100 / np.pi) * 1.2
    )  # twice the best possible, and a little for the edges
    apart = gaps[chosen] + 10 * np.eye(100)
    assert apart.min() >= radius


@pytest.mark.slow
@pytest.mark.parametrize("b1_range", [None, (0.97, 1.03)])
def test_fewer_gauss_newton_steps_get_more_search_entries(
    short_sequence: PulseSequence, b1_range: tuple[float, float] | None
) -> None:
    table = model_table(
        short_sequence, t1_range=(0.1, 4.5), t2_range=(0.01, 2.0), b1_range=b1_range, tolerance=1e-3
    )
    short, long = choose_atoms(table, 8, 1), choose_atoms(table, 8, 4)
    assert (len(short.places), short.settle) > (len(long.places), long.settle)
    np.testing.assert_allclose(
        np.linalg.norm(choose_atoms(table, table.rank, 4).rows, axis=1), 1, atol=1e-9
    )
    found = evaluate(table, np.concatenate([long.places, long.given], axis=1))[:, :8]
    cosine = (
        (found * long.rows).sum(axis=1)
        / np.linalg.norm(found, axis=1)
        / np.linalg.norm(long.rows, axis=1)
    )
    np.testing.assert_allclose(cosine, 1, atol=1e-9)
