"""Scans whose images are spread over series, folders and kinds as only some scanners do it."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from dicom_factory import Scan, phantom, write_classic, write_enhanced
from dicom_readers import whole
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

from mrftool.errors import InputError, MismatchError
from mrftool.formats.dicom.read.check import _gaps
from mrftool.formats.dicom.read.series import DicomSeries, open_dicom_series

PARTS = ("real", "imaginary")


def same_as(series: DicomSeries, scan: Scan) -> None:
    np.testing.assert_allclose(whole(series), scan.image, atol=1.5 * scan.step)


@pytest.mark.parametrize("piece", ["volume", "slice"])
@pytest.mark.parametrize("wanted", [None, "7", "MRF"])
def test_a_series_uid_for_each_volume_or_slice_is_one_scan(
    tmp_path: Path, piece: str, wanted: str | None
) -> None:
    uids: dict[int, str] = {}

    def renamed(dataset: Dataset, z: int, t: int) -> None:
        key = t if piece == "volume" else z
        dataset.SeriesInstanceUID = uids.setdefault(key, generate_uid())

    write_classic(tmp_path, scan := Scan(phantom(), parts=PARTS, change=renamed))
    series = open_dicom_series(tmp_path, series=wanted)
    same_as(series, scan)
    if wanted is None:
        assert any("series with the number 7 are taken as one" in s for s in series.assumptions)


def test_volumes_with_numbers_of_their_own_are_chosen_by_a_range(tmp_path: Path) -> None:
    def renumbered(dataset: Dataset, z: int, t: int) -> None:
        dataset.SeriesNumber = 7001 + t
        dataset.SeriesInstanceUID = f"1.2.3.{t}"

    write_classic(tmp_path, scan := Scan(phantom(), parts=PARTS, change=renumbered))
    same_as(open_dicom_series(tmp_path, series="7001-7006"), scan)
    assert open_dicom_series(tmp_path, series="7002-7004").n_time == 3
    with pytest.raises(InputError, match="has no series '8001-8002'"):
        open_dicom_series(tmp_path, series="8001-8002")


def test_two_whole_scans_of_one_number_are_not_taken_as_one(tmp_path: Path) -> None:
    first = Scan(phantom())
    for folder in ("a", "b"):
        again = Scan(first.image, study=first.study, frame_of_reference=first.frame_of_reference)
        write_classic(tmp_path / folder, again)
    for wanted in (None, "7"):
        with pytest.raises(MismatchError, match="2 series"):
            open_dicom_series(tmp_path, series=wanted)


@pytest.mark.parametrize(
    "key", ["TemporalPositionIdentifier", "AcquisitionNumber", "InstanceNumber"]
)
def test_parts_that_lost_different_ends_are_not_paired_by_rank(tmp_path: Path, key: str) -> None:
    first = Scan(phantom())
    for number, part in enumerate(PARTS):

        def shifted(dataset: Dataset, z: int, t: int, shift: int = number) -> None:
            for name in ("TemporalPositionIdentifier", "AcquisitionNumber", "AcquisitionTime"):
                del dataset[name]
            dataset.InstanceNumber = z + 1
            setattr(dataset, key, 10 * (t + shift) + (z if key == "InstanceNumber" else 0))

        one = Scan(first.image, parts=(part,), number=number, study=first.study, change=shifted)
        one.frame_of_reference = first.frame_of_reference
        write_classic(tmp_path / part, one)
    with pytest.raises(InputError, match=f"{key} .* the same times in both parts"):
        open_dicom_series(tmp_path)


@pytest.mark.parametrize("signed", [True, False])
def test_padding_is_no_signal(tmp_path: Path, signed: bool) -> None:
    image = phantom().real.copy()
    padded = -32768 if signed else 65535

    def pad(dataset: Dataset, z: int, t: int) -> None:
        kind = np.int16 if signed else np.uint16
        pixels = np.frombuffer(dataset.PixelData, "<i2").reshape(5, 7).astype(kind)
        pixels[0] = padded
        dataset.PixelData = pixels.tobytes()
        dataset.PixelRepresentation = int(signed)
        dataset.add_new(0x00280120, "SS" if signed else "US", padded)

    write_classic(tmp_path, Scan(abs(image), change=pad))
    read = whole(open_dicom_series(tmp_path))
    assert (read[:, 0] == 0).all() and (read[:, 1:] > 0).all()


def test_a_range_of_padding_values(tmp_path: Path) -> None:
    def pad(dataset: Dataset, z: int, t: int) -> None:
        dataset.PixelData = (np.arange(35, dtype="<i2") - 20).tobytes()
        dataset.RescaleSlope = 1
        dataset.add_new(0x00280120, "SS", -20)
        dataset.add_new(0x00280121, "SS", -1)

    write_classic(tmp_path, Scan(phantom(), change=pad))
    read = whole(open_dicom_series(tmp_path))[:, :, 0, 0].T.ravel()
    np.testing.assert_array_equal(read, np.maximum(np.arange(35) - 20, 0))


def test_private_philips_slopes_count_whoever_is_named_as_manufacturer(tmp_path: Path) -> None:
    gains = np.linspace(0.5, 2, 6)

    def philips(dataset: Dataset, z: int, t: int) -> None:
        pixels = np.frombuffer(dataset.PixelData, "<i2") * gains[t] / 2
        dataset.PixelData = np.rint(pixels).astype("<i2").tobytes()
        block = dataset.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
        block.add_new(0x0E, "FL", gains[t] / 2 / dataset.RescaleSlope)
        mapping = Dataset()
        mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 20_000.0 * (t + 1), 0.0
        dataset.RealWorldValueMappingSequence = [mapping]

    for maker in ("Philips Medical Systems", "", "REMOVED"):
        scan = Scan(phantom(), parts=PARTS, maker=maker, change=philips)
        write_classic(tmp_path / f"maker{maker}", scan)
        read = whole(open_dicom_series(tmp_path / f"maker{maker}"))
        np.testing.assert_allclose(read, scan.image, atol=8 * scan.step)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_philips_slopes_count_without_the_creator_of_their_block(
    tmp_path: Path, syntax: str
) -> None:
    def philips(dataset: Dataset, z: int, t: int) -> None:
        dataset.add_new(0x2005100E, "FL", (t + 1) / dataset.RescaleSlope)

    scan = Scan(phantom(), parts=PARTS, maker="", syntax=syntax, change=philips)
    write_classic(tmp_path / "in", scan)
    divided = dataclasses.replace(scan, image=scan.image / np.arange(1, 7))
    same_as(open_dicom_series(tmp_path / "in"), divided)

    def of_another(dataset: Dataset, z: int, t: int) -> None:
        philips(dataset, z, t)
        dataset.add_new(0x20050010, "LO", "ANOTHER MAKER")

    write_classic(tmp_path / "other", dataclasses.replace(scan, change=of_another))
    same_as(open_dicom_series(tmp_path / "other"), scan)


def test_own_maps_beside_the_scan_are_left_aside(tmp_path: Path) -> None:
    write_classic(tmp_path, scan := Scan(phantom(), parts=PARTS))
    own = Scan(abs(phantom()[..., :1]), number=701, maker="mrftool", study=scan.study)
    write_classic(tmp_path / "maps", own)
    series = open_dicom_series(tmp_path)
    same_as(series, scan)
    assert any("maps that mrftool made" in said for said in series.assumptions)
    assert open_dicom_series(tmp_path, series="701").n_time == 1
    assert open_dicom_series(tmp_path / "maps").n_time == 1


def test_links_to_nowhere_are_told_and_links_to_folders_followed(tmp_path: Path) -> None:
    write_classic(tmp_path / "scan", scan := Scan(phantom(), parts=PARTS))
    (tmp_path / "scan" / "lost.dcm").symlink_to(".git/annex/objects/not-fetched")
    (tmp_path / "scan" / "loop.dcm").symlink_to("loop.dcm")
    (tmp_path / "scan" / "again").symlink_to(tmp_path)
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "a").symlink_to("../scan")
    for place in ("scan", "links"):
        series = open_dicom_series(tmp_path / place)
        same_as(series, scan)
        assert any("2 links lead to no file" in said for said in series.assumptions)


def test_links_to_images_beside_them_count_once(tmp_path: Path) -> None:
    paths = write_classic(tmp_path / "objects", scan := Scan(phantom(), parts=PARTS))
    for path in paths:
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "hard.dcm").hardlink_to(paths[0])
    same_as(open_dicom_series(tmp_path), scan)


@pytest.mark.parametrize(
    "content",
    [
        np.array([2, 1, 7, 9] * 40, "<i2").tobytes(),
        np.array([8, 5, 16, 0] * 40, "<i2").tobytes(),
        np.array([8, 0, 2, 0, 3, 16, 0, 0] * 40, "<i2").tobytes(),
        b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100" + b"\x02\x00" * 90,
    ],
)
def test_a_file_that_only_begins_like_dicom_does_not_stop_a_series(
    tmp_path: Path, content: bytes
) -> None:
    write_classic(tmp_path, scan := Scan(phantom(), parts=PARTS))
    (tmp_path / "2dseq").write_bytes(content)
    same_as(open_dicom_series(tmp_path), scan)


def two_kinds(dataset: Dataset, z: int, t: int) -> None:
    """Time points 0, 0, 1, 1, 2, 2 of two echoes."""
    dataset.TemporalPositionIdentifier = dataset.AcquisitionNumber = t // 2 + 1
    dataset.EchoNumbers, dataset.EchoTime = t % 2 + 1, 3 + 4 * (t % 2)


def map_in_hertz(dataset: Dataset, z: int, t: int) -> None:
    if t == 5:
        dataset.RescaleType = "Hz"


@pytest.mark.parametrize(
    ("change", "said"), [(two_kinds, r"echo time \(3.*7"), (map_in_hertz, r"unit \(HZ, none\)")]
)
def test_two_kinds_of_image_in_a_series_are_refused(tmp_path: Path, change: Any, said: str) -> None:
    write_classic(tmp_path, Scan(phantom(), change=change))
    with pytest.raises(InputError, match=f"differ in {said}"):
        open_dicom_series(tmp_path)


def test_two_echoes_of_an_enhanced_image_are_refused(tmp_path: Path) -> None:
    def two_echoes(dataset: Dataset, z: int, t: int) -> None:
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            content = frame.FrameContentSequence[0]
            time = content.TemporalPositionIndex - 1
            content.TemporalPositionIndex = time // 2 + 1
            content.DimensionIndexValues[0] = time // 2 + 1
            content.DimensionIndexValues.append(time % 2 + 1)
            echo = Dataset()
            echo.EffectiveEchoTime = 2.0 + 3 * (time % 2)
            frame.MREchoSequence = [echo]
        axis = Dataset()
        axis.DimensionIndexPointer = 0x00189082
        dataset.DimensionIndexSequence.append(axis)

    write_enhanced(tmp_path, Scan(phantom(), change=two_echoes))
    with pytest.raises(InputError, match=r"differ in echo time \(2.*5"):
        open_dicom_series(tmp_path)


def test_an_echo_time_that_changes_over_time_is_one_kind(tmp_path: Path) -> None:
    def changing(dataset: Dataset, z: int, t: int) -> None:
        dataset.EchoTime = 3 + 2 * (t % 2)

    write_classic(tmp_path, scan := Scan(phantom(), parts=PARTS, change=changing))
    same_as(open_dicom_series(tmp_path), scan)


@pytest.mark.parametrize(
    ("numbers", "gaps"),
    [
        ({1: [1, 2, 3], 2: [1, 2, 3]}, []),
        ({1: [1, 3, 5], 2: [2, 4, 6]}, []),
        ({1: [1, 2, 4], 2: [1, 2, 3]}, [1]),
        ({1: [1, 3, 5, 7], 2: [2, 4, 8]}, [3, 4]),
        ({1: [1, 2, 5]}, [2]),
    ],
)
def test_gaps_are_those_of_each_series_or_of_one_count_for_all(
    numbers: dict[int, list[int]], gaps: list[int]
) -> None:
    planes: list[Any] = [
        SimpleNamespace(values={"InstanceNumber": k, "SeriesNumber": series}, n_frames=1, series="")
        for series, own in numbers.items()
        for k in own
    ]
    assert [int(note.split()[-6]) for note in _gaps(planes)] == gaps
