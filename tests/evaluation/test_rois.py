import math
from pathlib import Path

import numpy as np
import pytest

from mrftool.errors import InputError
from mrftool.evaluation.rois import read_reference, region_scores
from mrftool.quantities import Flag
from mrftool.workflows.evaluation.evaluate_rois import RegionsResult


def images(**changes: object) -> dict[str, np.ndarray]:
    shape = (4, 4, 1)
    maps = {
        "t1": np.full(shape, 1.0, np.float32),
        "t2": np.full(shape, 0.1, np.float32),
        "sd_t1": np.full(shape, 0.04, np.float32),
        "sd_t2": np.full(shape, 0.01, np.float32),
    }
    return {**maps, **changes}  # type: ignore[dict-item]


def labels() -> np.ndarray:
    image = np.zeros((4, 4, 1), np.int16)
    image[:2], image[2] = 1, 5
    return image


def test_independent_errors_shrink_with_the_number_of_voxels() -> None:
    first, *_, last = region_scores(images(), labels())
    assert (first.region, first.parameter, first.n_voxels) == (1, "t1", 8)
    assert first.mean == pytest.approx(1.0)
    assert first.uncertainty == pytest.approx(0.04 / np.sqrt(8))
    assert (last.region, last.parameter, last.n_voxels) == (5, "t2", 4)
    assert last.uncertainty == pytest.approx(0.01 / 2)


def test_systematic_errors_do_not_shrink() -> None:
    shared = np.full((4, 4, 1), 0.03, np.float32)
    score = region_scores(images(systematic_t1=shared), labels())[0]
    assert score.uncertainty == pytest.approx(math.hypot(0.04 / np.sqrt(8), 0.03))


def test_the_mean_of_simulated_voxels_scatters_as_its_uncertainty_says() -> None:
    random = np.random.default_rng(0)
    z = []
    for _ in range(400):
        t1 = (1 + 0.04 * random.standard_normal((4, 4, 1))).astype(np.float32)
        score = region_scores(images(t1=t1), labels())[0]
        z.append((score.mean - 1) / score.uncertainty)
    assert np.std(z) == pytest.approx(1, abs=0.12)  # 3 standard errors of 400 draws


def test_a_table_of_regions_leaves_out_columns_without_values() -> None:
    plain = RegionsResult(region_scores(images(), labels()), Path("regions.json")).table()
    given = region_scores(images(), labels(), {1: {"t1": 1.0, "t2": 0.1}})
    full = RegionsResult(given, Path("regions.json")).table()
    assert {"reference", "error [%]"} == set(full.headings) - set(plain.headings)
    assert {len(row) for row in plain.rows} == {len(plain.headings)}


@pytest.mark.parametrize("flag", [Flag.MASKED, Flag.NON_FINITE, Flag.OUT_OF_RANGE])
def test_flagged_voxels_do_not_count(flag: Flag) -> None:
    flags = np.zeros((4, 4, 1), np.float32)
    flags[0, 0, 0] = int(flag)
    assert region_scores(images(flags=flags), labels())[0].n_voxels == 7


def test_maps_without_standard_deviations_have_no_uncertainty() -> None:
    maps = images()
    del maps["sd_t1"]
    assert math.isnan(region_scores(maps, labels())[0].uncertainty)


def test_an_image_without_labels_is_an_error() -> None:
    with pytest.raises(InputError, match="no label above 0"):
        region_scores(images(), np.zeros((4, 4, 1), np.int16))


def test_reference_values_are_read_in_milliseconds(tmp_path: Path) -> None:
    path = tmp_path / "nist.csv"
    path.write_text("region,t1_ms,t2_ms\n1,1250,100\n5,500,50\n")
    score = region_scores(images(), labels(), read_reference(path))[0]
    assert score.reference == pytest.approx(1.25)
    assert score.error_percent == pytest.approx(-20)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no rows"),
        ("region,t1_ms\n1,1000\n", "line 2: 't2_ms'"),
        ("region,t1_ms,t2_ms\n1,long,100\n", "line 2: .*expected the columns"),
        ("region,t1_ms,t2_ms\n1,0,100\n", "line 2: 0 is not a time of more than 0 ms"),
        ("region,t1_ms,t2_ms\n1,1000,nan\n", "line 2: nan is not a time of more than 0 ms"),
    ],
)
def test_a_faulty_reference_file_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "nist.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_reference(path)
