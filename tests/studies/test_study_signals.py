"""Signals of the study's tests, and the methods without training on them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from study_factory import job, make_set

from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.physics.simulate import simulate
from mrftool.studies.jobs.records import job_folder
from mrftool.studies.paper import sets
from mrftool.studies.paper.baselines import match_dictionary, predict_match, predict_table
from mrftool.studies.paper.sets import load_set, make_sets, tissue_folder
from mrftool.studies.paper.signals import Test as StudyTest
from mrftool.studies.paper.signals import fill_empty, load_tests
from mrftool.tissue import Tissue

SHORT = {"t1_range": [0.9, 1.1], "t2_range": [0.08, 0.12]}


def asked_of(
    output: Path, *, snr: float | None = None, b1: float = 1.0, key: str = "phantom"
) -> list[StudyTest]:
    asked = job("table1", "fc")
    test = {"key": key, "set": "phantom", "snr": snr, "b1": b1, "voxels": 2}
    return load_tests(job_folder(output, asked["name"]), asked | {"tests": [test]})


def test_signals_are_those_of_the_engine_scaled_to_one(tmp_path: Path) -> None:
    make_set(tmp_path, "phantom")
    (test,) = asked_of(tmp_path, b1=0.9)
    exact = simulate(read_sequence("fisp"), Tissue([1.0, 2.0], [0.1, 0.05], b1=0.9)).signal
    rms = np.sqrt((abs(exact) ** 2).mean(axis=1, keepdims=True))
    assert test.signal == pytest.approx(exact / rms, abs=1e-6)
    assert test.has_signal.all() and np.array_equal(test.tissue.b1, [0.9, 0.9])


def test_noise_has_its_snr_and_hangs_on_the_key_alone(tmp_path: Path) -> None:
    make_set(tmp_path, "phantom")
    (clean,), (noisy,), (again,) = (asked_of(tmp_path, snr=snr) for snr in (None, 5, 5))
    noise = noisy.signal - clean.signal
    assert noise.real.std(axis=1) == pytest.approx(1 / 5, rel=0.1)
    assert noise.imag.std(axis=1) == pytest.approx(1 / 5, rel=0.1)
    assert np.array_equal(noisy.signal, again.signal)
    (other,) = asked_of(tmp_path, snr=5, key="other")
    assert not np.array_equal(noisy.signal, other.signal)


def test_voxels_without_a_signal_get_the_lowest_of_the_range(tmp_path: Path) -> None:
    make_set(tmp_path, "phantom", [[1.0, 0.1], [1.0, 2e-6]])
    for snr in (None, 5):
        (test,) = asked_of(tmp_path, snr=snr)
        assert list(test.has_signal) == [True, False] and not test.signal[1].any()
        filled = fill_empty(np.full((2, 2), 0.7), test, (0.03, 5), (0.006, 2))
        assert np.array_equal(filled, [[0.7, 0.7], [0.03, 0.006]])


@pytest.mark.slow
def test_matching_gives_the_entry_of_the_grid_that_is_nearest(tmp_path: Path) -> None:
    make_set(tmp_path, "phantom", [[1.001, 0.101], [1.0952, 0.0851]])
    found = predict_match(job("table1", "matching", train=SHORT), asked_of(tmp_path))
    assert found["phantom"] == pytest.approx(np.array([[1.001, 0.101], [1.095, 0.085]]))


@pytest.mark.slow
def test_a_dictionary_of_two_sequences_holds_the_signatures_of_both(tmp_path: Path) -> None:
    names = ["spline5", "spline11noisy"]
    dictionary = match_dictionary(job("table2", "matching", train=SHORT, sequences=names))
    source, half = dictionary.source, len(dictionary.source) // 2
    index = np.array([0, half - 1, half, 2 * half - 1])
    expected = [simulate(read_sequence(n), source.tissue[index[:2]]).signal for n in names]
    assert source.rows(index) == pytest.approx(np.concatenate(expected), abs=1e-6)
    assert np.array_equal(source.tissue.t1[:half], source.tissue.t1[half:])
    assert np.array_equal(source.rows(index[2:]), source.rows(index)[2:])


@pytest.mark.slow
def test_the_table_model_finds_clean_tissue_exactly(tmp_path: Path) -> None:
    make_set(tmp_path, "phantom", [[1.0, 0.1], [1.0, 2e-6]])
    train = {"t1_range": [0.5, 2.0], "t2_range": [0.05, 0.2]}
    found = predict_table(job("table1", "table", kind="table", train=train), asked_of(tmp_path))
    assert found["phantom"] == pytest.approx(np.array([[1.0, 0.1], [0.5, 0.05]]), rel=1e-3)


@pytest.mark.slow
def test_sets_are_made_once_and_again_where_the_tissue_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sets, "QUICK_MATRIX", (12, 12, 1))
    monkeypatch.setattr(sets, "_QUICK_ABOVE_VOXELS", 10)
    calls: list[Any] = []
    bound = sets.cramer_rao
    monkeypatch.setattr(sets, "cramer_rao", lambda *given: calls.append(given) or bound(*given))
    made = make_sets(tmp_path, None, quick=True)
    assert set(made) == {"phantom", "above"} and len(calls) == 2
    assert (made["above"].reference >= (2.5, 1.0)).all() and (
        made["above"].reference <= (5.0, 2.0)
    ).all()
    again = make_sets(tmp_path, None, quick=True)
    assert len(calls) == 2 and again["phantom"].digest == made["phantom"].digest
    monkeypatch.setattr(sets, "QUICK_MATRIX", (14, 14, 1))
    assert make_sets(tmp_path, None, quick=True)["phantom"].digest != made["phantom"].digest
    assert len(calls) == 3
    assert load_set(tissue_folder(tmp_path), "phantom").grid.mask.shape == (14, 14, 1)


@pytest.mark.data
@pytest.mark.slow
def test_the_anatomical_maps_have_122_voxels_without_a_signal(
    tmp_path: Path, data_dir: Path
) -> None:
    found = sets.load_tissue_npz(data_dir / sets.ANATOMICAL)
    make_set(
        tmp_path,
        "phantom",
        np.stack([found.tissue.t1, found.tissue.t2], axis=1),
        np.ones((7499, 2)),
    )
    (test,) = asked_of(tmp_path)
    assert (len(test.tissue), int((~test.has_signal).sum())) == (7499, 122)
    short = (test.tissue.t1 < 1e-3) | (test.tissue.t2 < 1e-3)
    assert int(short.sum()) == 139
