"""Matching of whole series against dictionaries, and the compression of dictionaries."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mrftool.errors import CheckFailedError, InputError, MismatchError, UsageError
from mrftool.formats.npz.dictionary import save_dictionary
from mrftool.inference import scan
from mrftool.maps import Maps
from mrftool.matching import dictionary as dictionaries
from mrftool.matching import match as matches
from mrftool.matching.dictionary import (
    MatchDictionary,
    Source,
    compress_dictionary,
    dictionary_from_file,
    dictionary_from_sequence,
)
from mrftool.matching.match import match_series
from mrftool.physics.noise import add_noise
from mrftool.physics.simulate import simulate
from mrftool.physics.tissue_grids import grid_tissue
from mrftool.quantities import Flag
from mrftool.scan.series import Form, Series, series_from_array
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue
from tests.support.rounding import assert_equal_to_rounding

GRID = grid_tissue(np.geomspace(0.2, 4, 25), np.geomspace(0.01, 1, 25))
SHAPE = (6, 5, 7)
COUNT = 6 * 5 * 7


@pytest.fixture(scope="module")
def phased(short_sequence: PulseSequence) -> PulseSequence:
    """A sequence whose fingerprints no single phase makes real."""
    return replace(short_sequence, rf_phase=np.deg2rad(117) * np.arange(40) ** 2 / 2)


def signals(sequence: PulseSequence, tissue: Tissue, *, noise: float = 0.0) -> Any:
    """With noise of this standard deviation."""
    random = np.random.default_rng(1)
    return add_noise(
        simulate(sequence, tissue, threads=1).signal, np.full(len(tissue), noise), random
    )


def some_tissue() -> Tissue:
    """Tissue between the entries."""
    random = np.random.default_rng(0)
    t1, share = random.uniform(0.4, 3, COUNT), random.uniform(0.05, 0.3, COUNT)
    return Tissue(
        t1, t1 * share, m0=random.uniform(1, 5, COUNT) * np.exp(2j * np.pi * random.random(COUNT))
    )


def series_of(rows: Any) -> Series:
    return series_from_array(rows.reshape(*SHAPE, -1))


def assert_same(one: Maps, other: Maps) -> None:
    assert_equal_to_rounding(dict(one.images()), dict(other.images()))


@pytest.mark.parametrize("form", ["complex", "magnitude"])
@pytest.mark.parametrize("name", ["short_sequence", "phased"])
def test_maps_are_those_of_a_full_length_match_in_float64(
    name: str, form: Form, request: pytest.FixtureRequest
) -> None:
    sequence = request.getfixturevalue(name)
    rows = signals(sequence, some_tissue(), noise=0.01)
    dictionary = compress_dictionary(
        dictionary_from_sequence(sequence, GRID, threads=1), form, tolerance=1e-5
    )
    assert np.iscomplexobj(dictionary.matcher.entries) == (name == "phased" and form == "complex")
    entries = simulate(sequence, GRID, threads=1).signal.astype(complex)
    rows, entries = (rows, entries) if form == "complex" else (abs(rows), abs(entries))
    maps = match_series(series_of(rows), dictionary)

    norms = np.linalg.norm(entries, axis=1)
    scores = abs(rows.astype(complex) @ (entries / norms[:, None]).conj().T)
    best = scores.argmax(axis=1)
    assert (
        maps.t1.ravel() == GRID.t1[best].astype(np.float32)
    ).mean() > 0.99  # the others are nearly as good
    index = [int(np.flatnonzero((GRID.t1.astype("f4") == a) & (GRID.t2.astype("f4") == b))[0])
             for a, b in zip(maps.t1.ravel(), maps.t2.ravel(), strict=True)]  # fmt: skip
    assert (scores[np.arange(COUNT), index] > scores.max(axis=1) * (1 - 1e-5)).all()
    chosen = entries[index]
    m0 = np.einsum("vt,vt->v", chosen.conj(), rows) / norms[index] ** 2
    np.testing.assert_allclose(maps.m0.ravel(), m0, rtol=1e-4)
    assert maps.m0.dtype == (np.complex64 if form == "complex" else np.float32)
    left = np.linalg.norm(rows - m0[:, None] * chosen, axis=1) / np.linalg.norm(rows, axis=1)
    np.testing.assert_allclose(maps.extra["residual"].ravel() ** 2, left**2, atol=1e-6)
    assert left.min() > 0.005


def test_the_entries_themselves_are_found_with_their_size_and_phase(
    short_sequence: PulseSequence,
) -> None:
    random = np.random.default_rng(3)
    index, m0 = random.integers(0, len(GRID), COUNT), 7 * np.exp(2j * np.pi * random.random(COUNT))
    scaled = Tissue(GRID.t1, GRID.t2, m0=np.full(len(GRID), 2j))
    dictionary = compress_dictionary(
        dictionary_from_sequence(short_sequence, scaled, threads=1), "complex"
    )
    maps = match_series(series_of(signals(short_sequence, GRID[index]) * m0[:, None]), dictionary)
    np.testing.assert_array_equal(maps.t1.ravel(), GRID.t1[index].astype(np.float32))
    np.testing.assert_array_equal(maps.t2.ravel(), GRID.t2[index].astype(np.float32))
    np.testing.assert_allclose(maps.m0.ravel(), m0, rtol=1e-5)
    assert maps.extra["residual"].max() < 1.1 * dictionary.truncation + 1e-3
    assert set(maps.extra) == {"residual"}


def test_entries_at_either_end_are_flagged_as_perhaps_out_of_range(
    short_sequence: PulseSequence,
) -> None:
    dictionary = compress_dictionary(
        dictionary_from_sequence(short_sequence, GRID, threads=1), "complex"
    )
    tissue = Tissue([0.1, 20, 0.9, 0.9, 2.5, 0.9], [0.05, 0.05, 0.005, 0.05, 1.8, 0.9])
    image = signals(short_sequence, tissue).reshape(6, 1, 1, 40)
    flags = match_series(series_from_array(image), dictionary).flags.ravel()
    np.testing.assert_array_equal(flags, Flag.OUT_OF_RANGE * np.array([1, 1, 1, 0, 1, 0]))
    line = grid_tissue(np.array([0.9]), np.geomspace(0.01, 0.8, 30))
    only_t2 = compress_dictionary(
        dictionary_from_sequence(short_sequence, line, threads=1), "complex"
    )
    flags = match_series(series_from_array(image), only_t2).flags.ravel()
    assert flags[3] == 0 and flags[2] == Flag.OUT_OF_RANGE


def test_b1_is_a_map_where_the_entries_differ_in_it(short_sequence: PulseSequence) -> None:
    grid = grid_tissue(
        np.geomspace(0.4, 3, 12), np.geomspace(0.03, 0.5, 12), np.array([0.8, 0.9, 1.0, 1.1])
    )
    dictionary = compress_dictionary(
        dictionary_from_sequence(short_sequence, grid, threads=1), "complex"
    )
    index = np.random.default_rng(0).integers(0, len(grid), COUNT)
    maps = match_series(series_of(signals(short_sequence, grid[index])), dictionary)
    np.testing.assert_array_equal(maps.extra["b1"].ravel(), grid.b1[index].astype(np.float32))
    at_end = np.isin(grid.b1[index], (0.8, 1.1)) | np.isin(
        grid.t1[index], (grid.t1.min(), grid.t1.max())
    )
    at_end |= np.isin(grid.t2[index], (grid.t2.min(), grid.t2.max()))
    np.testing.assert_array_equal(maps.flags.ravel() == Flag.OUT_OF_RANGE, at_end)


def test_masked_and_empty_voxels_are_zero_and_broken_ones_are_not_numbers(
    short_sequence: PulseSequence,
) -> None:
    dictionary = compress_dictionary(
        dictionary_from_sequence(short_sequence, GRID, threads=1), "complex"
    )
    image = signals(short_sequence, some_tissue()).reshape(*SHAPE, -1)
    image[0, 0, 0], image[1, 1, 1, 5], image[1, 1, 2, 0] = 0, np.nan, np.inf
    mask = np.ones(SHAPE, bool)
    mask[2, 2, 2] = False
    done: list[int] = []
    maps = match_series(series_from_array(image), dictionary, mask=mask, progress=done.append)
    places = {
        (0, 0, 0): Flag.MASKED,
        (2, 2, 2): Flag.MASKED,
        (1, 1, 1): Flag.NON_FINITE,
        (1, 1, 2): Flag.NON_FINITE,
    }
    for place, flag in places.items():
        assert maps.flags[place] == flag
        for name, values in maps.images():
            if name != "flags":
                np.testing.assert_array_equal(
                    values[place], 0 if flag == Flag.MASKED else np.nan, err_msg=name
                )
    assert sum(done) == mask.sum() and (maps.t1[3:] > 0).all()


@pytest.mark.parametrize("form", ["complex", "magnitude"])
def test_maps_do_not_depend_on_blocks_batches_and_threads(
    form: Form, short_sequence: PulseSequence, monkeypatch: pytest.MonkeyPatch
) -> None:
    dictionary = compress_dictionary(
        dictionary_from_sequence(short_sequence, GRID, threads=1), form
    )
    rows = signals(short_sequence, some_tissue(), noise=0.02)
    series = series_of(rows if form == "complex" else abs(rows))
    whole = match_series(series, dictionary, threads=1)
    for voxels in (1, 3, 17):
        monkeypatch.setattr(matches, "BATCH", 2 * voxels)
        monkeypatch.setattr(
            scan, "BLOCK_BYTES", voxels * series.n_time * (8 if form == "complex" else 4)
        )
        assert_same(match_series(series, dictionary, threads=3), whole)


def test_a_file_serves_like_the_simulation_that_it_holds(
    short_sequence: PulseSequence, tmp_path: Path
) -> None:
    path = tmp_path / "d.npz"
    save_dictionary(path, simulate(short_sequence, GRID, threads=1), GRID, {"name": "short"})
    read = compress_dictionary(dictionary_from_file(path), "complex")
    made = compress_dictionary(dictionary_from_sequence(short_sequence, GRID, threads=1), "complex")
    assert read.digest() == made.digest()
    other = compress_dictionary(
        dictionary_from_sequence(short_sequence, GRID, threads=1), "complex", tolerance=0.1
    )
    assert other.digest() != made.digest()
    series = series_of(signals(short_sequence, some_tissue(), noise=0.02))
    assert_same(match_series(series, read), match_series(series, made))
    assert (read.source.sequence_name, read.source.sequence_id) == (
        "short",
        short_sequence.sequence_id,
    )


def test_what_does_not_belong_together_is_refused(short_sequence: PulseSequence) -> None:
    dictionary = compress_dictionary(
        dictionary_from_sequence(short_sequence, GRID, threads=1), "complex"
    )
    image = signals(short_sequence, some_tissue()).reshape(*SHAPE, -1)
    with pytest.raises(MismatchError, match="39 time points, expected 40 as the dictionary"):
        match_series(series_from_array(image[..., 1:]), dictionary)
    with pytest.raises(MismatchError, match="magnitude series, expected complex as the dictionary"):
        match_series(series_from_array(abs(image)), dictionary)
    named = replace(series_from_array(image), sidecar={"sequence_id": "0" * 16})
    with pytest.raises(
        MismatchError, match=r"made with sequence 0000000000000000, expected \w+ as the dictionary"
    ):
        match_series(named, dictionary)


def test_what_no_file_says_is_assumed_aloud(short_sequence: PulseSequence) -> None:
    source = dictionary_from_sequence(short_sequence, GRID, threads=1)
    series = series_of(signals(short_sequence, some_tissue()))
    (sentence,) = match_series(series, compress_dictionary(source, "complex")).assumptions
    assert "series does not name its sequence; assumed to be short of the dictionary" in sentence
    nameless = compress_dictionary(replace(source, sequence_id=None), "complex")
    (sentence,) = match_series(series, nameless).assumptions
    assert "dictionary does not name its sequence" in sentence


def errors_of(dictionary: MatchDictionary, entries: Any) -> Any:
    """What compression leaves out of each entry, by its definition."""
    entries = entries.astype(complex)
    vectors = dictionary.basis.vectors
    left = entries - entries @ vectors.conj() @ vectors.T
    return np.linalg.norm(left, axis=1) / np.linalg.norm(entries, axis=1)


@pytest.mark.parametrize("tolerance", [0.1, 2e-3, 1e-5])
def test_every_entry_is_compressed_to_the_tolerance_with_no_coefficient_too_many(
    tolerance: float, short_sequence: PulseSequence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dictionaries, "_SAMPLE", 8)  # too few: the worst entries have to join
    monkeypatch.setattr(dictionaries, "_BLOCK_BYTES", 8 * 40 * 100)
    source = dictionary_from_sequence(short_sequence, GRID, threads=1)
    dictionary = compress_dictionary(source, "complex", tolerance=tolerance)
    entries = simulate(short_sequence, GRID, threads=1).signal
    errors = errors_of(dictionary, entries)
    assert errors.max() <= tolerance
    assert dictionary.truncation == pytest.approx(errors.max(), rel=1e-3, abs=1e-7)
    monkeypatch.undo()
    fewer = compress_dictionary(source, "complex", rank=dictionary.basis.rank - 2)
    assert fewer.basis.rank == dictionary.basis.rank - 2
    assert errors_of(fewer, entries).max() > tolerance


def test_a_rank_holds_whatever_its_error(short_sequence: PulseSequence) -> None:
    done: list[int] = []
    source = dictionary_from_sequence(short_sequence, GRID, threads=1)
    dictionary = compress_dictionary(source, "complex", rank=3, progress=done.append)
    assert dictionary.basis.rank == 3 and dictionary.truncation > 0.01
    assert sum(done) == len(GRID)


def made_of(rows: Any) -> Source:
    tissue = Tissue(np.linspace(1, 2, len(rows)), np.full(len(rows), 0.1))
    return Source("d.npz", tissue, rows.shape[1], lambda index: rows[index], None, "unknown")


@pytest.mark.parametrize("value", [0, np.nan, np.inf])
def test_a_dictionary_with_an_entry_that_is_none_is_refused(value: float) -> None:
    rows = np.random.default_rng(0).standard_normal((3000, 20)).astype(np.complex64)
    rows[2345] = value
    with pytest.raises(
        InputError, match=r"d.npz: an entry is zero or not finite, expected a signal in each"
    ):
        compress_dictionary(made_of(rows), "complex", rank=4)


def test_a_dictionary_that_cannot_be_compressed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dictionaries, "_SAMPLE", 10)
    monkeypatch.setattr(dictionaries, "_N_ADDED", 1)
    rows = np.random.default_rng(0).standard_normal((300, 200)).astype(np.complex64)
    with pytest.raises(
        CheckFailedError, match=r"the worst entry has an error of .*, expected 2.0e-03"
    ):
        compress_dictionary(made_of(rows), "complex")


@pytest.mark.parametrize(
    "options", [{"tolerance": 0.0}, {"tolerance": 1.0}, {"rank": 0}, {"rank": 41}]
)
def test_options_out_of_range_are_refused(
    options: dict[str, Any], short_sequence: PulseSequence
) -> None:
    with pytest.raises(UsageError, match="expected 0 to 1 and 1 to 40"):
        compress_dictionary(
            dictionary_from_sequence(short_sequence, GRID, threads=1), "complex", **options
        )
