"""DICOM in one pass: each image is read once, and gives what reading voxel by voxel gives."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_factory import Scan, write_classic, write_enhanced
from pydicom import dcmread, dcmwrite
from pydicom.uid import RLELossless

from mrftool.errors import InputError
from mrftool.formats.dicom.read import signal
from mrftool.formats.dicom.read.series import open_dicom_series
from mrftool.formats.dicom.read.signal import SignalReader
from mrftool.inference.assessment.uncertainty import assess_uncertainty
from mrftool.inference.quantify import quantify
from mrftool.inference.session import load_model
from mrftool.scan import stream
from mrftool.scan.series import Series
from mrftool.scan.stream import streaming_reader
from mrftool.sequence import PulseSequence
from tests.support.small_scan import SHAPE, assert_same_maps, noisy_signal

Write = Callable[[Path, Scan], Any]


def write_packed(folder: Path, scan: Scan) -> None:
    for path in write_classic(folder, scan):
        dataset = dcmread(path)
        dataset.compress(RLELossless)
        dcmwrite(path, dataset, enforce_file_format=True)


@pytest.fixture(
    params=[
        (write_classic, ("real", "imaginary")),
        (write_classic, ("magnitude", "phase")),
        (write_enhanced, ("real", "imaginary")),
        (write_packed, ("real", "imaginary")),
    ],
    ids=["real", "polar", "enhanced", "packed"],
)
def series(request: pytest.FixtureRequest, short_sequence: PulseSequence, tmp_path: Path) -> Series:
    write, parts = request.param
    image = np.nan_to_num(noisy_signal(short_sequence)).reshape(*SHAPE, -1, order="F")
    write(tmp_path, Scan(image[:, :, :2], parts=parts))
    return open_dicom_series(tmp_path)


def test_frames_in_order_are_those_of_each_voxel(
    series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_MOST", 11)
    reader = streaming_reader(series)
    assert reader is not None
    tiles = list(reader.frames())
    assert [first for first, _ in tiles] == list(range(0, series.n_time, 11))
    expected = series.read(np.arange(series.n_voxels))
    np.testing.assert_allclose(np.concatenate([tile for _, tile in tiles]).T, expected, rtol=1e-6)


def test_maps_and_error_bars_take_each_image_once(
    series: Series, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_model(model)
    voxel_by_voxel = replace(series, read=partial(SignalReader.__call__, series.read))
    expected = quantify(voxel_by_voxel, loaded, hide_air=True)
    n_read: list[int] = []
    original = signal.stored_rows

    def counted(*arguments: Any) -> Any:
        n_read.append(len(arguments[0]))
        return original(*arguments)

    monkeypatch.setattr(signal, "stored_rows", counted)
    found = quantify(series, loaded, hide_air=True)
    assert_same_maps(found, expected)
    bars = assess_uncertainty(series, found, loaded)
    assert sum(n_read) == 2 * series.shape[2] * series.n_time
    other = assess_uncertainty(voxel_by_voxel, found, loaded)
    assert bars.noise_sd == pytest.approx(other.noise_sd, rel=1e-6)
    np.testing.assert_allclose(bars.maps.extra["combined_t1"], other.maps.extra["combined_t1"])


def test_an_image_that_is_damaged_in_the_middle_is_one_line(
    short_sequence: PulseSequence, model: Path, tmp_path: Path
) -> None:
    image = np.nan_to_num(noisy_signal(short_sequence)).reshape(*SHAPE, -1, order="F")
    paths = write_classic(tmp_path, Scan(image, parts=("real", "imaginary")))
    series = open_dicom_series(tmp_path)
    paths[77].write_bytes(paths[77].read_bytes()[:-40])
    with pytest.raises(InputError, match="ends within its pixels") as caught:
        quantify(series, load_model(model))
    assert "\n" not in str(caught.value)
