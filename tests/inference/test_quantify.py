import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mrftool.environment.threads import prefetched
from mrftool.errors import MismatchError, UsageError
from mrftool.exporting.make import make_model
from mrftool.inference import scan
from mrftool.inference.quantify import quantify
from mrftool.inference.session import Model, run
from mrftool.maps import Maps
from mrftool.physics.noise import add_noise
from mrftool.physics.simulate import simulate
from mrftool.quantities import Flag
from mrftool.scan.series import Form, series_from_array
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue
from tests.support.rounding import assert_equal_to_rounding

SHAPE = (9, 8, 7)


@pytest.fixture(scope="module")
def model(short_sequence: PulseSequence) -> Model:
    made, manifest = make_model(
        short_sequence, check=False, t1_range=(0.3, 3.0), t2_range=(0.02, 0.5)
    )
    return Model(Path("short.onnx"), manifest, made.SerializeToString())


@pytest.fixture(scope="module")
def image(short_sequence: PulseSequence) -> np.ndarray:
    random = np.random.default_rng(0)
    count = int(np.prod(SHAPE))
    tissue = Tissue(random.uniform(0.5, 2.0, count), random.uniform(0.03, 0.3, count))
    signal = add_noise(
        simulate(short_sequence, tissue, threads=1).signal, np.full(count, 0.003), random
    )
    return signal.reshape(*SHAPE, len(short_sequence))


def assert_same(one: Maps, other: Maps) -> None:
    assert_equal_to_rounding(dict(one.images()), dict(other.images()))


@pytest.mark.slow
@pytest.mark.parametrize(("length", "form"), [(40, "complex"), (39, "complex"), (39, "magnitude")])
def test_maps_do_not_depend_on_batches_threads_and_blocks(
    length: int,
    form: Form,
    short_sequence: PulseSequence,
    image: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    per_pulse = {
        name: getattr(short_sequence, name)[:length]
        for name in ("flip_angle", "rf_phase", "tr", "te")
    }
    made, manifest = make_model(replace(short_sequence, **per_pulse), check=False, form=form)
    model = Model(Path("short.onnx"), manifest, made.SerializeToString())
    image = image[..., :length] if form == "complex" else abs(image[..., :length])
    series = series_from_array(image)
    whole = quantify(series, model, threads=1)
    for voxels in (1, 5, 100):
        monkeypatch.setattr(scan, "BLOCK_BYTES", voxels * image[0, 0, 0].nbytes)
        assert_same(quantify(series, model, threads=3), whole)
    signal = image.reshape(-1, image.shape[-1])
    expected = run(model, signal, threads=1)
    for batch in (1, 7, 9, 64):
        for threads in (1, 4):
            found = run(model, signal, batch=batch, threads=threads)
            assert_equal_to_rounding(found, expected, f"{batch} voxels at a time")


def test_every_voxel_has_its_own_answer(
    model: Model, image: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "BLOCK_BYTES", 10 * image[0, 0, 0].nbytes)
    column = run(model, image[2, 3, 4][None])
    maps = quantify(series_from_array(image), model)
    assert maps.t1[2, 3, 4] == pytest.approx(column["t1"][0], rel=1e-4)
    assert maps.flags[2, 3, 4] == column["flags"][0]


def test_masked_and_empty_voxels_are_zero_and_broken_ones_are_not_numbers(
    model: Model, image: np.ndarray
) -> None:
    image = image.copy()
    image[0, 0, 0], image[1, 1, 1, 5] = 0, np.nan
    mask = np.ones(SHAPE, bool)
    mask[2, 2, 2] = False
    done: list[int] = []
    maps = quantify(series_from_array(image), model, mask=mask, progress=done.append)
    for place, flag in {
        (0, 0, 0): Flag.MASKED,
        (2, 2, 2): Flag.MASKED,
        (1, 1, 1): Flag.NON_FINITE,
    }.items():
        assert maps.flags[place] == flag
        for name, values in maps.images():
            if name != "flags":
                np.testing.assert_array_equal(
                    values[place], 0 if flag == Flag.MASKED else np.nan, err_msg=name
                )
    assert sum(done) == mask.sum()
    assert (maps.t1[3:] > 0).all()


@pytest.mark.parametrize("hide_air", [False, True])
def test_a_mask_of_nothing_gives_maps_of_nothing(
    model: Model, image: np.ndarray, hide_air: bool
) -> None:
    nothing = np.zeros(SHAPE, bool)
    maps = quantify(series_from_array(image), model, mask=nothing, hide_air=hide_air)
    assert maps.t1.shape == SHAPE and not maps.t1.any() and (maps.flags == Flag.MASKED).all()


def test_what_does_not_belong_together_is_refused(model: Model, image: np.ndarray) -> None:
    series = series_from_array(image)
    named = replace(series, sidecar={"sequence_id": "0" * 16})
    with pytest.raises(
        MismatchError, match=r"made with sequence 0000000000000000, expected \w+ as the model"
    ):
        quantify(named, model)
    other = {"sequence_id": "0" * 16, "sequence": {"name": "other"}}
    with pytest.raises(
        MismatchError, match=rf"sequence other \(0000.*, expected short \({model.sequence_id}\)"
    ):
        quantify(replace(series, sidecar=other), model)
    with pytest.raises(MismatchError, match="39 time points, expected 40 as the model"):
        quantify(series_from_array(image[..., 1:]), model)
    with pytest.raises(MismatchError, match="magnitude series, expected complex as the model"):
        quantify(series_from_array(abs(image)), model)
    with pytest.raises(MismatchError, match="takes no B1 map"):
        quantify(series, model, b1=np.ones(SHAPE, np.float32))
    with pytest.raises(UsageError, match="0 threads"):
        quantify(series, model, threads=0)


def test_what_no_file_says_is_assumed_aloud(model: Model, image: np.ndarray) -> None:
    series = series_from_array(image)
    (sentence,) = quantify(series, model).assumptions
    assert "does not name its sequence; assumed to be short of the model" in sentence
    named = replace(series, sidecar={"sequence_id": model.sequence_id})
    assert quantify(named, model).assumptions == ()


def test_items_are_made_ahead_and_come_in_order() -> None:
    started, events = threading.Event(), []

    def numbers() -> Iterator[int]:
        yield 0
        started.set()
        yield from (1, 2)

    for number in prefetched(numbers()):
        events.append(number)
        assert started.wait(10)  # the second is being made while we hold the first
    assert events == [0, 1, 2]


def test_a_fault_of_the_reader_arrives() -> None:
    def numbers() -> Iterator[int]:
        yield 0
        raise MismatchError("broken")

    with pytest.raises(MismatchError, match="broken"):
        list(prefetched(numbers()))
