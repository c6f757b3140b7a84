"""Series as scanners write them that nobody had at hand: read right, or refused with a clear
line.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_factory import Scan, forget_time, phantom, write_classic, write_enhanced
from dicom_readers import whole
from pydicom.dataset import Dataset

from mrftool.errors import InputError, MismatchError
from mrftool.formats.dicom.headers.raw_elements import OutOfOrdinaryError
from mrftool.formats.dicom.read.series import open_dicom_series

Change = Callable[[Dataset, int, int], None]


def phases(dataset: Dataset) -> Any:
    """The phases that the factory wrote into an image [rad]."""
    return np.frombuffer(dataset.PixelData, "<i2") / 10_000


def as_siemens_phase(dataset: Dataset) -> None:
    """One turn over the 12 bits of an unsigned number."""
    dataset.PixelData = (
        np.rint(phases(dataset) * 2048 / np.pi + 2048).clip(0, 4095).astype("<u2").tobytes()
    )
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, 0


@pytest.fixture(params=["quick", "pydicom"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the two readers of headers in turn."""

    def refuse(*_: Any) -> None:
        raise OutOfOrdinaryError

    if request.param == "pydicom":
        monkeypatch.setattr("mrftool.formats.dicom.headers.header.quick_header", refuse)
    return str(request.param)


@pytest.mark.parametrize("parts", [("magnitude", "phase"), ("real", "imaginary")], ids="-".join)
def test_siemens_xa_one_enhanced_file_for_each_time_and_a_series_for_each_part(
    tmp_path: Path, parts: tuple[str, str]
) -> None:
    truth = phantom()
    whole_scan = Scan(truth)
    for number, part in enumerate(parts, start=7):
        series = Scan(truth).series
        for t in range(truth.shape[3]):

            def xa(dataset: Dataset, _z: int, _t: int, part: str = part, t: int = t) -> None:
                dataset.InstanceNumber = dataset.AcquisitionNumber = t + 1
                dataset.ImageType = ["ORIGINAL", "PRIMARY", "MRF", "NONE"]
                for frame in dataset.PerFrameFunctionalGroupsSequence:
                    frame.FrameContentSequence[0].TemporalPositionIndex = 1
                    if part == "phase":
                        scale = frame.PixelValueTransformationSequence[0]
                        scale.RescaleSlope, scale.RescaleIntercept, scale.RescaleType = (
                            "2",
                            "-4096",
                            "US",
                        )
                if part == "phase":
                    as_siemens_phase(dataset)

            one = Scan(
                truth[..., t : t + 1],
                parts=(part,),
                maker="Siemens Healthineers",
                number=number,
                change=xa,
            )
            one.series, one.study, one.frame_of_reference = (
                series,
                whole_scan.study,
                whole_scan.frame_of_reference,
            )
            write_enhanced(tmp_path / f"{part}{t}", one)
    series_read = open_dicom_series(tmp_path)
    np.testing.assert_allclose(whole(series_read), truth, atol=2e-3)
    assert any(
        "7 (" in note and "8 (" in note and "one complex signal" in note
        for note in series_read.assumptions
    )


def clocked(times: list[str]) -> Change:
    """Frames that say when they were acquired, and nothing else of time or of their part of the
    signal.
    """

    def change(dataset: Dataset, _z: int, _t: int) -> None:
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = (
            "1.2.840.10008.5.1.4.1.1.4.4"
        )
        del dataset.ComplexImageComponent, dataset.DimensionIndexSequence
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            content = frame.FrameContentSequence[0]
            if times:
                content.FrameAcquisitionDateTime = times[content.TemporalPositionIndex - 1]
            del (
                content.TemporalPositionIndex,
                content.DimensionIndexValues,
                frame.MRImageFrameTypeSequence,
            )

    return change


@pytest.mark.parametrize("zone", ["", "+0100", "-0500"])
def test_legacy_converted_frames_are_ordered_by_their_clock_to_the_last_digit(
    tmp_path: Path, zone: str
) -> None:
    times = [f"20240229101112.{3100 * t:06d}{zone}" for t in range(6)]
    write_enhanced(tmp_path, scan := Scan(phantom(), change=clocked(times)))
    series = open_dicom_series(tmp_path)
    np.testing.assert_allclose(whole(series), abs(scan.image), atol=scan.step)
    assert "The order in time is that of FrameAcquisitionDateTime." in series.assumptions


def test_frames_without_any_time_are_taken_in_the_order_of_their_file(tmp_path: Path) -> None:
    write_enhanced(tmp_path, Scan(phantom(), change=clocked([])))
    series = open_dicom_series(tmp_path)
    assert series.n_time == 6
    assert "The order in time is that of frames in their files." in series.assumptions


@pytest.mark.parametrize(
    ("maker", "word", "match"),
    [
        ("UIH", "VFRAME", r"holds slices side by side \(VFRAME\)"),
        ("Siemens Healthineers", "MOSAIC", "Siemens mosaic that does not say how many slices"),
    ],
)
def test_mosaics_that_cannot_be_taken_apart_are_refused(
    tmp_path: Path, maker: str, word: str, match: str
) -> None:
    def tiled(dataset: Dataset, _z: int, _t: int) -> None:
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", word]

    write_classic(tmp_path, Scan(phantom((7, 5, 1, 3)), maker=maker, change=tiled))
    with pytest.raises(InputError, match=match) as caught:
        open_dicom_series(tmp_path)
    assert "dcm2niix" in str(caught.value.hint)


def unscaled_phase(rescale: tuple[str, str] | None, bits: int = 12) -> Change:
    """Phases as 0 to 4095, with the rescale that says nothing or without one."""

    def change(dataset: Dataset, _z: int, _t: int) -> None:
        if dataset.ImageType[2] != "P":
            return
        as_siemens_phase(dataset)
        dataset.BitsStored, dataset.HighBit = bits, bits - 1
        del dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType
        if rescale:
            dataset.RescaleSlope, dataset.RescaleIntercept = rescale

    return change


@pytest.mark.parametrize("rescale", [None, ("1", "0")])
def test_siemens_phases_from_0_to_4095_are_one_turn(
    tmp_path: Path, rescale: tuple[str, str] | None
) -> None:
    scan = Scan(
        phantom(), parts=("magnitude", "phase"), maker="SIEMENS", change=unscaled_phase(rescale)
    )
    write_classic(tmp_path, scan)
    np.testing.assert_allclose(whole(open_dicom_series(tmp_path)), scan.image, atol=2e-3)


@pytest.mark.parametrize("rescale", [None, ("1", "0")])
@pytest.mark.parametrize(
    ("maker", "bits"),
    [("SIEMENS", 16), ("CANON_MEC", 12), ("UIH", 12), ("GE MEDICAL SYSTEMS", 12), ("", 12)],
)
def test_phases_from_0_to_4095_of_others_are_refused(
    tmp_path: Path, maker: str, bits: int, rescale: tuple[str, str] | None
) -> None:
    change = unscaled_phase(rescale, bits)
    write_classic(
        tmp_path, Scan(phantom(), parts=("magnitude", "phase"), maker=maker, change=change)
    )
    with pytest.raises(InputError, match="unit of the phase is not known") as caught:
        open_dicom_series(tmp_path)
    assert "give its phase as a second file" in str(caught.value.hint)


def test_ge_phases_beyond_half_a_turn_are_no_milliradians(tmp_path: Path) -> None:
    def forget(
        dataset: Dataset, _z: int, _t: int
    ) -> None:  # what is stored are tenths of milliradians
        del dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType

    write_classic(
        tmp_path,
        Scan(phantom(), parts=("magnitude", "phase"), maker="GE MEDICAL SYSTEMS", change=forget),
    )
    with pytest.raises(InputError, match=r"has a phase of -?\d+.* rad, expected -3.173 to 3.173"):
        whole(open_dicom_series(tmp_path))


def test_negative_numbers_are_no_magnitudes(tmp_path: Path) -> None:
    def silent(dataset: Dataset, _z: int, _t: int) -> None:
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]

    write_classic(tmp_path, Scan(phantom(), parts=("real",), change=silent))
    with pytest.raises(InputError, match=r"holds the negative number -0\.\d+, expected magnitudes"):
        whole(open_dicom_series(tmp_path))


def test_private_words_of_ge_in_another_block(tmp_path: Path, reader: str) -> None:
    def moved(dataset: Dataset, _z: int, _t: int) -> None:
        kind = "MPRI".index(dataset.ImageType[2])
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
        dataset.private_block(0x0043, "SOMEBODY ELSE", create=True).add_new(0x2F, "SS", 1 - kind)
        dataset.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x2F, "SS", kind)

    write_classic(tmp_path, scan := Scan(phantom(), parts=("real", "imaginary"), change=moved))
    np.testing.assert_allclose(whole(open_dicom_series(tmp_path)), scan.image, atol=scan.step)


def test_private_scale_of_philips_in_another_block(tmp_path: Path, reader: str) -> None:
    def moved(dataset: Dataset, _z: int, t: int) -> None:
        dataset.private_block(0x2005, "SOMEBODY ELSE", create=True).add_new(0x0E, "FL", 17.0)
        block = dataset.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
        block.add_new(0x0E, "FL", 1 / float(dataset.RescaleSlope) / (t + 1))

    write_classic(tmp_path, scan := Scan(phantom(), maker="Philips Medical Systems", change=moved))
    np.testing.assert_allclose(
        whole(open_dicom_series(tmp_path)), abs(scan.image) * np.arange(1, 7), rtol=1e-3
    )


def timed(key: str, clock: Callable[[int], str]) -> Change:
    """Images with one number for their order and a time of acquisition."""

    def change(dataset: Dataset, z: int, t: int) -> None:
        forget_time(dataset)
        setattr(dataset, key, 10 * t + (z if key == "InstanceNumber" else 0))
        dataset.AcquisitionTime = clock(t)

    return change


def test_a_number_that_contradicts_the_time_of_acquisition_is_no_order(tmp_path: Path) -> None:
    write_classic(
        tmp_path, Scan(phantom(), change=timed("InstanceNumber", lambda t: f"1011{59 - t}"))
    )
    with pytest.raises(
        InputError,
        match="InstanceNumber and AcquisitionTime put the images of a slice into different",
    ):
        open_dicom_series(tmp_path)


def test_a_number_of_the_standard_is_believed_and_the_contradiction_noted(tmp_path: Path) -> None:
    change = timed("TemporalPositionIdentifier", lambda t: f"1011{59 - t}")
    write_classic(tmp_path, scan := Scan(phantom(), change=change))
    series = open_dicom_series(tmp_path)
    np.testing.assert_allclose(whole(series), abs(scan.image), atol=scan.step)
    assert "AcquisitionTime would put the images into another order." in series.assumptions


def test_midnight_is_no_contradiction(tmp_path: Path) -> None:
    change = timed("InstanceNumber", lambda t: f"2359{57 + t}" if t < 3 else f"0000{t - 3:02d}")
    write_classic(tmp_path, scan := Scan(phantom(), change=change))
    np.testing.assert_allclose(whole(open_dicom_series(tmp_path)), abs(scan.image), atol=scan.step)


def test_four_parts_in_four_series_are_listed_and_two_of_them_chosen(tmp_path: Path) -> None:
    first = Scan(phantom())
    for number, part in enumerate(("magnitude", "phase", "real", "imaginary"), start=10):
        study = {"study": first.study, "frame_of_reference": first.frame_of_reference}
        write_classic(tmp_path / part, Scan(first.image, parts=(part,), number=number, **study))
    with pytest.raises(MismatchError) as caught:
        open_dicom_series(tmp_path)
    listed = str(caught.value.hint)
    places = [
        listed.index(text)
        for text in ("10 'MRF', 18 magnitude", "11 'MRF', 18 phase", "13 'MRF', 18 imaginary")
    ]
    assert "with a comma" in listed and places == sorted(places)
    for pair, atol in (("10,11", 1.5e-4), ("13,12", first.step)):
        np.testing.assert_allclose(
            whole(open_dicom_series(tmp_path, series=pair)), first.image, atol=atol
        )
    with pytest.raises(InputError, match="real images alone") as caught_alone:
        open_dicom_series(tmp_path, series="12")
    assert "choose both by NUMBER,NUMBER" in str(caught_alone.value.hint)


@pytest.mark.parametrize("bits", [12, 16])
def test_signed_jpeg_2000_keeps_its_signs(tmp_path: Path, bits: int) -> None:
    def compress(dataset: Dataset, _z: int, _t: int) -> None:
        stored = np.frombuffer(dataset.PixelData, "<i2") >> (16 - bits)
        dataset.PixelData, dataset.BitsStored, dataset.HighBit = stored.tobytes(), bits, bits - 1
        dataset.RescaleSlope = f"{float(dataset.RescaleSlope) * 2 ** (16 - bits):.10g}"
        dataset.compress("1.2.840.10008.1.2.4.90", generate_instance_uid=False)

    write_classic(
        tmp_path,
        scan := Scan(phantom((40, 36, 2, 3)), parts=("real", "imaginary"), change=compress),
    )
    image = whole(open_dicom_series(tmp_path))
    step = scan.step * 2 ** (16 - bits)
    np.testing.assert_allclose(image.real, scan.image.real, atol=step)
    np.testing.assert_allclose(image.imag, scan.image.imag, atol=step)
