import zipfile
from pathlib import Path
from typing import Any

import dicom_factory as factory
import numpy as np
import pydicom
import pytest
from dicom_factory import (
    PARTS,
    WRITERS,
    Scan,
    forget_time,
    oblique,
    phantom,
    write_classic,
    write_enhanced,
)
from dicom_readers import dcm2niix, same_in_space, whole
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.sequence import Sequence

from mrftool.errors import InputError, MismatchError
from mrftool.formats.dicom.headers.raw_elements import OutOfOrdinaryError
from mrftool.formats.dicom.read.series import open_dicom_series


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("parts", PARTS, ids="-".join)
def test_what_was_written_is_read(tmp_path: Path, writer: str, parts: tuple[str, ...]) -> None:
    truth = phantom()
    WRITERS[writer](tmp_path, scan := Scan(truth, parts=parts))
    series = open_dicom_series(tmp_path)
    expected = truth if len(parts) == 2 else abs(truth)
    assert series.form == ("complex" if len(parts) == 2 else "magnitude")
    np.testing.assert_allclose(
        whole(series), expected, atol=1.5e-4 if "phase" in parts else scan.step, rtol=0
    )
    np.testing.assert_allclose(series.affine, scan.affine, atol=1e-6)


@pytest.mark.parametrize("part", ["real", "imaginary", "magnitude"])
def test_dcm2niix_has_the_same_numbers_at_the_same_places(tmp_path: Path, part: str) -> None:
    parts = (part,) if part == "magnitude" else ("real", "imaginary")
    write_classic(tmp_path / "in", Scan(phantom(), parts=parts))
    series = open_dicom_series(tmp_path / "in")
    image = whole(series)
    mine = {"real": image.real, "imaginary": image.imag, "magnitude": image}[part]
    ending = {"real": "_real", "imaginary": "_imaginary", "magnitude": ""}[part]
    theirs = next(
        path for path in dcm2niix(tmp_path / "in", tmp_path / "out") if path.stem.endswith(ending)
    )
    np.testing.assert_allclose(same_in_space(mine, series.affine, theirs), mine, rtol=1e-6)


def test_dcm2niix_has_the_same_enhanced_numbers(tmp_path: Path) -> None:
    # It sorts the frames of enhanced images by their dimension indices for this maker alone.
    write_enhanced(tmp_path / "in", Scan(phantom(), maker="Philips"))
    series = open_dicom_series(tmp_path / "in")
    (theirs,) = dcm2niix(tmp_path / "in", tmp_path / "out")
    np.testing.assert_allclose(
        same_in_space(whole(series), series.affine, theirs), whole(series), rtol=1e-6
    )


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize(
    "name",
    ["TriggerTime", "RTIA", "RTIAold", *(f"ProtocolDataBlock/mr_000{n}" for n in range(4, 8))],
)
def test_dynamics_of_ge(tmp_path: Path, data_dir: Path, name: str) -> None:
    folder = data_dir / "dicom" / "ge_dynamics" / name
    series = open_dicom_series(folder)
    image = whole(series)
    (theirs,) = dcm2niix(folder, tmp_path / "out")
    np.testing.assert_array_equal(same_in_space(image, series.affine, theirs), image)
    if name == "TriggerTime":
        assert image.shape == (64, 64, 8, 16)
        assert image.sum(dtype=np.float64) == 264807289


@pytest.mark.data
@pytest.mark.parametrize("name", range(1, 10))
def test_nine_transfer_syntaxes_of_one_mosaic(data_dir: Path, name: int) -> None:
    folder = data_dir / "dicom" / "transfer_syntaxes_9_same_image"
    series = open_dicom_series(folder / "In" / f"{name}.dcm")
    image = whole(series)
    np.testing.assert_array_equal(
        same_in_space(image, series.affine, folder / "Ref" / f"{name}.nii"), image
    )


@pytest.mark.parametrize(
    "key",
    [
        *("TemporalPositionIdentifier", "AcquisitionNumber", "EchoNumbers", "InstanceNumber"),
        *("TriggerTime", "AcquisitionTime", "ContentTime", "AcquisitionDateTime"),
    ],
)
def test_each_key_alone_orders_the_images_in_time(tmp_path: Path, key: str) -> None:
    truth = phantom()

    def only(dataset: Dataset, z: int, t: int) -> None:
        count = 5 - t if key in ("InstanceNumber", "TriggerTime") else t
        forget_time(dataset)
        as_time = {"AcquisitionTime": f"0959{50 + t}.5", "ContentTime": f"0959{50 + t}"}
        as_time["AcquisitionDateTime"] = f"20240229{235955 + t}"
        setattr(
            dataset,
            key,
            as_time.get(key, count * 3 + (z if key in ("InstanceNumber", "TriggerTime") else 0)),
        )

    write_classic(tmp_path, scan := Scan(truth, parts=("real", "imaginary"), change=only))
    series = open_dicom_series(tmp_path)
    backwards = key in ("InstanceNumber", "TriggerTime")
    np.testing.assert_allclose(
        whole(series), truth[..., ::-1] if backwards else truth, atol=scan.step
    )
    assert any(key in note for note in series.assumptions)


@pytest.mark.parametrize("key", ["AcquisitionTime", "ContentTime"])
def test_times_of_day_go_on_after_midnight(tmp_path: Path, key: str) -> None:
    def late(dataset: Dataset, z: int, t: int) -> None:
        forget_time(dataset)
        dataset.pop("AcquisitionDate", None)
        seconds = (24 * 3600 - 3 + t) % (24 * 3600)
        minutes = seconds // 60
        setattr(dataset, key, f"{minutes // 60:02d}{minutes % 60:02d}{seconds % 60:02d}")

    write_classic(tmp_path, scan := Scan(phantom(), parts=("real", "imaginary"), change=late))
    np.testing.assert_allclose(whole(open_dicom_series(tmp_path)), phantom(), atol=scan.step)


def test_without_any_key_there_is_no_order(tmp_path: Path) -> None:
    write_classic(tmp_path, Scan(phantom(), change=lambda dataset, z, t: forget_time(dataset)))
    with pytest.raises(
        InputError,
        match=r"no order in time.*TemporalPositionIdentifier.*InstanceNumber.*ContentTime",
    ):
        open_dicom_series(tmp_path)


def test_time_points_that_differ_between_slices_are_refused(tmp_path: Path) -> None:
    def shift(dataset: Dataset, z: int, t: int) -> None:
        dataset.TemporalPositionIdentifier += z == 1 and t == 5

    write_classic(tmp_path, Scan(phantom(), change=shift))
    with pytest.raises(
        InputError, match="TemporalPositionIdentifier 6 is not there in every slice"
    ):
        open_dicom_series(tmp_path)


@pytest.mark.parametrize("writer", WRITERS)
def test_dimension_indices_order_enhanced_frames(tmp_path: Path, writer: str) -> None:
    def forget(dataset: Dataset, z: int, t: int) -> None:
        for frame in dataset.get("PerFrameFunctionalGroupsSequence", []):
            del frame.FrameContentSequence[0].TemporalPositionIndex

    truth = phantom()
    write_enhanced(tmp_path, scan := Scan(truth, change=forget))
    np.testing.assert_allclose(whole(open_dicom_series(tmp_path)), abs(truth), atol=scan.step)


def _siemens(dataset: Dataset, z: int, t: int) -> None:
    """12-bit phases from -4096 to 4094, unit not stated."""
    if dataset.ImageType[2] == "P":
        phase = np.frombuffer(dataset.PixelData, "<i2") / 10_000
        dataset.PixelData = (
            np.rint(phase * 4096 / np.pi / 2 + 2048).clip(0, 4095).astype("<u2").tobytes()
        )
        dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, 0
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 2, -4096, "US"


def _siemens_bare(dataset: Dataset, z: int, t: int) -> None:
    """The same before rescale attributes were written."""
    _siemens(dataset, z, t)
    if dataset.ImageType[2] == "P":
        del dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType


def _ge(dataset: Dataset, z: int, t: int) -> None:
    """The part is only in the private tag, phases are milliradians without a rescale."""
    kind = "MPRI".index(dataset.ImageType[2])
    if kind == 1:
        dataset.PixelData = (
            np.rint(np.frombuffer(dataset.PixelData, "<i2") / 10).astype("<i2").tobytes()
        )
    dataset.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x2F, "SS", kind)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    if kind == 1:
        del dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType


def _philips(dataset: Dataset, z: int, t: int) -> None:
    """Words of Philips; phases rescaled to -pi to pi, with the word 'normalized'."""
    word = dataset.ImageType[2]
    dataset.ImageType = [
        "ORIGINAL",
        "PRIMARY",
        "PHASE MAP" if word == "P" else f"{word}_FFE",
        word,
        "FFE",
    ]
    if word == "P":
        phase = np.frombuffer(dataset.PixelData, "<i2") / 10_000
        dataset.PixelData = np.rint((phase + np.pi) * 4095 / 2 / np.pi).astype("<u2").tobytes()
        dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, 0
        dataset.RescaleSlope, dataset.RescaleIntercept = (
            f"{2 * np.pi / 4095:.12f}",
            f"{-np.pi:.12f}",
        )
        dataset.RescaleType = "normalized"


@pytest.mark.parametrize("parts", PARTS[:2], ids="-".join)
@pytest.mark.parametrize(
    ("maker", "change", "atol"),
    [
        ("SIEMENS", _siemens, 1e-3),
        ("SIEMENS", _siemens_bare, 1e-3),
        ("GE MEDICAL SYSTEMS", _ge, 6e-4),
        ("Philips", _philips, 1e-3),
    ],
)
def test_the_words_and_phases_of_makers(
    tmp_path: Path, parts: tuple[str, ...], maker: str, change: Any, atol: float
) -> None:
    truth = phantom()
    write_classic(tmp_path, Scan(truth, parts=parts, maker=maker, change=change))
    np.testing.assert_allclose(whole(open_dicom_series(tmp_path)), truth, atol=atol)


def test_a_phase_of_unknown_unit_is_refused(tmp_path: Path) -> None:
    def forget(dataset: Dataset, z: int, t: int) -> None:
        dataset.RescaleType = "US"

    write_classic(tmp_path, Scan(phantom(), parts=("magnitude", "phase"), change=forget))
    with pytest.raises(
        InputError, match=r"unit of the phase is not known .*expected rad, mrad or deg"
    ):
        open_dicom_series(tmp_path)


def test_magnitude_and_phase_in_two_series_are_put_together(tmp_path: Path) -> None:
    truth = phantom()
    first = Scan(truth, parts=("magnitude",))
    second = Scan(
        truth,
        parts=("phase",),
        number=8,
        study=first.study,
        frame_of_reference=first.frame_of_reference,
    )
    write_classic(tmp_path / "a", first)
    write_classic(tmp_path / "b", second)
    series = open_dicom_series(tmp_path)
    np.testing.assert_allclose(whole(series), truth, atol=1.5e-4)
    assert (
        "Series 7 (magnitude) and 8 (phase) are taken as the parts of one complex signal."
        in series.assumptions
    )
    assert open_dicom_series(tmp_path, series="7").form == "magnitude"
    assert open_dicom_series(tmp_path, series=f"8,{first.series}").form == "complex"


def test_real_and_imaginary_are_preferred_and_the_rest_is_named(tmp_path: Path) -> None:
    write_classic(tmp_path, scan := Scan(phantom(), parts=("magnitude", "real", "imaginary")))
    series = open_dicom_series(tmp_path)
    np.testing.assert_allclose(whole(series), scan.image, atol=scan.step)
    assert "Of the series, real and imaginary are used; magnitude not." in series.assumptions


def test_a_series_is_chosen_by_number_or_uid_and_else_listed(tmp_path: Path) -> None:
    def describe(dataset: Dataset, z: int, t: int) -> None:
        dataset.SeriesDescription = f"MRF, take {dataset.SeriesNumber}"

    scans = [
        Scan(phantom() * factor, number=number, change=describe)
        for factor, number in ((1, 4), (2, 5), (3, 6))
    ]
    for scan in scans:
        write_classic(tmp_path / str(scan.number), scan)
    (tmp_path / "notes.txt").write_text("not DICOM")
    with pytest.raises(MismatchError, match="has 3 series, expected one") as error:
        open_dicom_series(tmp_path)
    assert all(scan.series in str(error.value.hint) for scan in scans)
    for wanted in ("5", "MRF, take 5", scans[1].series):
        series = open_dicom_series(tmp_path, series=wanted)
        np.testing.assert_allclose(whole(series), abs(scans[1].image), atol=scans[1].step)
    assert "1 files without images were left aside." in series.assumptions
    with pytest.raises(InputError, match="has no series '9'"):
        open_dicom_series(tmp_path, series="9")


def _shift_bits(dataset: Dataset, z: int, t: int) -> None:
    """12 signed bits that begin at bit 2, with rubbish around them."""
    values = np.frombuffer(dataset.PixelData, "<i2").astype(int) >> 4
    dataset.PixelData = (((values & 0xFFF) << 2) | 0xC001).astype("<u2").tobytes()
    dataset.BitsStored, dataset.HighBit = 12, 13
    dataset.RescaleSlope = f"{float(dataset.RescaleSlope) * 16:.10g}"


def _eight_bits(dataset: Dataset, z: int, t: int) -> None:
    values = np.frombuffer(dataset.PixelData, "<i2").astype(int) >> 8
    dataset.PixelData = values.astype("i1").tobytes() + b"\0" * (values.size % 2)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.RescaleSlope = f"{float(dataset.RescaleSlope) * 256:.10g}"


def _thirty_two_bits(dataset: Dataset, z: int, t: int) -> None:
    dataset.PixelData = (np.frombuffer(dataset.PixelData, "<i2").astype("<i4") * 100).tobytes()
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 32, 32, 31
    dataset.RescaleSlope = f"{float(dataset.RescaleSlope) / 100:.10g}"


@pytest.mark.parametrize(
    ("change", "steps"), [(_shift_bits, 16), (_eight_bits, 256), (_thirty_two_bits, 1)]
)
def test_bits_are_taken_as_the_header_says(tmp_path: Path, change: Any, steps: int) -> None:
    truth = phantom()
    write_classic(tmp_path, scan := Scan(truth, parts=("real", "imaginary"), change=change))
    np.testing.assert_allclose(
        whole(open_dicom_series(tmp_path)), truth, atol=1.5 * steps * scan.step
    )


def _real_world(dataset: Dataset, z: int, t: int) -> None:
    item, unit = Dataset(), Dataset()
    item.RealWorldValueSlope, item.RealWorldValueIntercept = 0.5 * (t + 1), 3.0
    item.RealWorldValueFirstValueMapped, item.RealWorldValueLastValueMapped = -32768, 32767
    item.LUTLabel, item.LUTExplanation = "x", "y"
    unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = "1", "UCUM", "no units"
    item.MeasurementUnitsCodeSequence = Sequence([unit])
    dataset.RealWorldValueMappingSequence = Sequence([item])


def _philips_private(dataset: Dataset, z: int, t: int) -> None:
    dataset.RescaleSlope, dataset.RescaleIntercept = 0.25, 2
    block = dataset.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
    block.add_new(0x0D, "FL", 0.0)
    block.add_new(0x0E, "FL", 0.02)


def _rescale_per_time(dataset: Dataset, z: int, t: int) -> None:
    dataset.RescaleSlope, dataset.RescaleIntercept = 0.25 * (t + 1), -7


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize(
    ("maker", "change"), [("Philips", _philips_private), ("Tester", _rescale_per_time)]
)
def test_dcm2niix_scales_alike(tmp_path: Path, maker: str, change: Any, implicit: bool) -> None:
    syntax = "1.2.840.10008.1.2" if implicit else "1.2.840.10008.1.2.1"
    write_classic(tmp_path / "in", Scan(phantom(), maker=maker, change=change, syntax=syntax))
    series = open_dicom_series(tmp_path / "in")
    image = whole(series)
    (theirs,) = dcm2niix(tmp_path / "in", tmp_path / "out")
    np.testing.assert_allclose(same_in_space(image, series.affine, theirs), image, rtol=1e-6)
    assert image.max() > 10


@pytest.mark.parametrize("writer", WRITERS)
def test_real_world_values_come_before_the_rescale(tmp_path: Path, writer: str) -> None:
    def both(dataset: Dataset, z: int, t: int) -> None:
        for number, frame in enumerate(dataset.get("PerFrameFunctionalGroupsSequence", [])):
            _real_world(frame, 0, number)
        if "PerFrameFunctionalGroupsSequence" not in dataset:
            _real_world(dataset, z, t)

    WRITERS[writer](tmp_path, scan := Scan(phantom((7, 5, 1, 6)), change=both, seed=3))
    order = np.random.default_rng(3).permutation(6) if writer == "enhanced" else np.arange(6)
    stored = np.rint(abs(scan.image[:, :, 0]) / scan.step)
    expected = np.empty_like(stored)
    for number, time in enumerate(order):
        expected[..., time] = stored[..., time] * 0.5 * (number + 1) + 3
    np.testing.assert_allclose(whole(open_dicom_series(tmp_path))[:, :, 0], expected, rtol=1e-6)


def test_private_scales_of_enhanced_frames(tmp_path: Path) -> None:
    def change(dataset: Dataset, z: int, t: int) -> None:
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            item = Dataset()
            _philips_private(item, 0, 0)
            del item.RescaleSlope, item.RescaleIntercept
            frame.PixelValueTransformationSequence[0].RescaleSlope = 0.25
            frame.PixelValueTransformationSequence[0].RescaleIntercept = 2
            frame.add_new(0x20050014, "LO", "Philips MR Imaging DD 005")
            frame.add_new(0x2005140F, "SQ", [item])

    write_enhanced(tmp_path / "in", scan := Scan(phantom(), maker="Philips", change=change))
    series = open_dicom_series(tmp_path / "in")
    stored = np.rint(abs(scan.image) / scan.step)
    np.testing.assert_allclose(whole(series), (stored * 0.25 + 2) / (0.25 * 0.02), rtol=1e-6)
    (theirs,) = dcm2niix(tmp_path / "in", tmp_path / "out")
    np.testing.assert_allclose(
        same_in_space(whole(series), series.affine, theirs), whole(series), rtol=1e-6
    )


def test_private_scales_that_change_over_time(tmp_path: Path) -> None:
    # (stored x RS + RI) / (RS x SS): Chenevert et al., Translational Oncology 2014;7:65-71.
    def change(dataset: Dataset, z: int, t: int) -> None:
        _philips_private(dataset, z, t)
        dataset.RescaleSlope = 0.25 * (t + 1)
        dataset[0x2005, 0x100E].value = 0.01 * (t + 1)

    write_classic(tmp_path, scan := Scan(phantom(), maker="Philips Medical Systems", change=change))
    stored, t = np.rint(abs(scan.image) / scan.step), np.arange(1, 7)
    expected = (stored * 0.25 * t + 2) / (0.25 * t * 0.01 * t)
    np.testing.assert_allclose(whole(open_dicom_series(tmp_path)), expected, rtol=1e-6)


def test_scaling_of_different_kinds_is_refused(tmp_path: Path) -> None:
    def some(dataset: Dataset, z: int, t: int) -> None:
        if t == 3:
            _real_world(dataset, z, t)

    write_classic(tmp_path, Scan(phantom(), change=some))
    with pytest.raises(InputError, match=r"is scaled by .*: expected one kind of scaling"):
        open_dicom_series(tmp_path)


def test_an_archive_a_list_and_shuffled_names_give_the_same(tmp_path: Path) -> None:
    paths = write_classic(tmp_path / "in", Scan(phantom(), parts=("real", "imaginary")))
    with zipfile.ZipFile(tmp_path / "scan.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("readme.txt", "hello")
        for path in paths:
            archive.write(path, f"deep/er/{path.name}")
    expected = whole(open_dicom_series(tmp_path / "in"))
    zipped = open_dicom_series(tmp_path / "scan.zip")
    np.testing.assert_array_equal(whole(zipped), expected)
    np.testing.assert_array_equal(whole(open_dicom_series(sorted(paths, reverse=True))), expected)
    unpacked = zipped.files.unpacked
    assert unpacked is not None and unpacked.is_dir()
    zipped.files.close()
    assert not unpacked.exists()


def test_blocks_of_a_mask_are_the_masked_voxels(tmp_path: Path) -> None:
    write_classic(tmp_path, scan := Scan(phantom(), parts=("real", "imaginary")))
    series = open_dicom_series(tmp_path)
    mask = np.random.default_rng(2).random(series.shape) < 0.3
    found = np.zeros((series.n_voxels, series.n_time), complex)
    for voxels, signal in series.blocks(mask, max_bytes=500):
        found[voxels] = signal
    np.testing.assert_allclose(
        found.reshape(scan.image.shape), scan.image * mask[..., None], atol=scan.step
    )


@pytest.mark.slow
def test_workers_read_what_one_process_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_classic(tmp_path, Scan(phantom((7, 5, 4, 40)), parts=("real", "imaginary")))
    expected = whole(open_dicom_series(tmp_path, jobs=1))
    monkeypatch.setattr("mrftool.formats.dicom.headers.parallel._WORTH_A_PROCESS", 50)
    monkeypatch.setattr("mrftool.formats.dicom.headers.header.quick_header", _refuse)
    counted: list[int] = []

    class Bar:
        def __init__(self, title: str, total: int) -> None:
            counted.append(-total)

        def __enter__(self) -> Any:
            return counted.append

        def __exit__(self, *exception: object) -> None:
            pass

    np.testing.assert_array_equal(
        whole(open_dicom_series(tmp_path, jobs=3, progress=Bar)), expected
    )
    assert sum(counted) == 0
    for name in ("I000003.dcm", "I000200.dcm"):
        (tmp_path / name).write_bytes(_nested(20_000))
    with pytest.raises(
        InputError, match=r"I000003\.dcm: damaged DICOM: sequences nested .*and 1 more"
    ):
        open_dicom_series(tmp_path, jobs=3)


def _refuse(*_: Any) -> None:
    raise OutOfOrdinaryError


def _nested(depth: int) -> bytes:
    """A file whose private sequences go deep."""
    meta = b"\2\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0"
    item = b"\x09\0\x10\x10SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\xff\xff\xff\xff"
    return b"\0" * 128 + b"DICM" + b"\2\0\0\0UL\4\0\x1c\0\0\0" + meta + item * depth


def test_one_slice_without_thickness_is_one_millimetre_thick(tmp_path: Path) -> None:
    def thin(dataset: Dataset, z: int, t: int) -> None:
        del dataset.SpacingBetweenSlices
        dataset.SliceThickness = None

    write_classic(tmp_path, scan := Scan(phantom((7, 5, 1, 3)), change=thin))
    series = open_dicom_series(tmp_path)
    np.testing.assert_allclose(np.linalg.norm(series.affine[:3, 2]), 1)
    np.testing.assert_allclose(series.affine[:3, [0, 1, 3]], scan.affine[:3, [0, 1, 3]], atol=1e-6)
    assert "The slice thickness is not stated: taken as 1 mm." in series.assumptions


@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.1.99"]
)
@pytest.mark.parametrize("writer", WRITERS)
def test_compressed_series_read_as_plain_ones(tmp_path: Path, writer: str, syntax: str) -> None:
    def compress(dataset: Dataset, z: int, t: int) -> None:
        if syntax.endswith(".99"):
            dataset.file_meta.TransferSyntaxUID = syntax
        else:
            dataset.compress(syntax, generate_instance_uid=False)

    WRITERS[writer](
        tmp_path, scan := Scan(phantom((8, 6, 2, 3)), parts=("real", "imaginary"), change=compress)
    )
    assert pydicom.dcmread(next(tmp_path.iterdir())).file_meta.TransferSyntaxUID == syntax
    np.testing.assert_allclose(whole(open_dicom_series(tmp_path)), scan.image, atol=scan.step)


@pytest.mark.parametrize(
    ("syntax", "plugin"),
    [
        (uid.RLELossless, "pydicom"),
        (uid.JPEGLSLossless, "pyjpegls"),
        (uid.JPEGLSNearLossless, "pyjpegls"),
        (uid.JPEG2000Lossless, "pylibjpeg"),
        (uid.JPEG2000, "pylibjpeg"),
        (uid.HTJ2KLossless, "pylibjpeg"),
        (uid.HTJ2KLosslessRPCL, "pylibjpeg"),
        (uid.HTJ2K, "pylibjpeg"),
    ],
    ids=lambda value: str(getattr(value, "keyword", value)),
)
def test_free_decoders_serve_without_an_extra(syntax: uid.UID, plugin: str) -> None:
    """All but pydicom's own are dependencies in pyproject.toml; pylibjpeg's codec is OpenJPEG."""
    assert plugin in get_decoder(syntax).available_plugins


def test_compressed_frames_without_an_offset_table(tmp_path: Path) -> None:
    def compress(dataset: Dataset, z: int, t: int) -> None:
        dataset.compress("1.2.840.10008.1.2.5", generate_instance_uid=False)
        frames = list(generate_frames(dataset.PixelData, number_of_frames=dataset.NumberOfFrames))
        dataset.PixelData = encapsulate(frames, has_bot=False)

    write_enhanced(tmp_path, scan := Scan(phantom((8, 6, 2, 3)), change=compress))
    np.testing.assert_allclose(whole(open_dicom_series(tmp_path)), abs(scan.image), atol=scan.step)


def test_large_compressed_slices_are_read_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compress(dataset: Dataset, z: int, t: int) -> None:
        dataset.compress("1.2.840.10008.1.2.5", generate_instance_uid=False)

    write_classic(tmp_path, scan := Scan(phantom((8, 6, 2, 3)), change=compress))
    assert open_dicom_series(tmp_path).granule == 8 * 6
    monkeypatch.setattr("mrftool.formats.dicom.read.series._MOST_BYTES", 8 * 3 * 4 * 5)
    series = open_dicom_series(tmp_path)
    assert series.granule == 8 * 3
    np.testing.assert_allclose(whole(series), abs(scan.image), atol=scan.step)


def test_a_slice_is_read_at_once_where_memory_allows_and_in_parts_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_classic(tmp_path, Scan(phantom((8, 6, 2, 5))))
    whole_slices = open_dicom_series(tmp_path)
    assert [len(signal) for _, signal in whole_slices.blocks(max_bytes=1)] == [8 * 6] * 2
    monkeypatch.setattr("mrftool.formats.dicom.read.series._MOST_PLAIN_BYTES", 8 * 5 * 4 * 3)
    parts = open_dicom_series(tmp_path)
    assert [len(signal) for _, signal in parts.blocks(max_bytes=1)] == [8 * 3] * 4
    np.testing.assert_array_equal(whole(parts), whole(whole_slices))
    paths[3].unlink()
    with pytest.raises(InputError, match="cannot be read: No such file"):
        whole(whole_slices)


@pytest.mark.parametrize("key", ["InstanceNumber", "AcquisitionNumber"])
def test_one_enhanced_file_for_each_time(tmp_path: Path, key: str) -> None:
    truth = phantom()
    common = Scan(truth[..., :1])
    for t in range(6):

        def number(dataset: Dataset, z: int, _: int, t: int = t) -> None:
            dataset.InstanceNumber = 1
            setattr(dataset, key, 6 - t)

        scan = Scan(
            truth[..., t : t + 1], change=number, seed=t, series=common.series, study=common.study
        )
        scan.frame_of_reference = common.frame_of_reference
        write_enhanced(tmp_path / str(t), scan)
    np.testing.assert_allclose(
        whole(open_dicom_series(tmp_path)), abs(truth)[..., ::-1], atol=scan.step
    )


def test_nothing_moves_when_slices_come_the_other_way(tmp_path: Path) -> None:
    affine = oblique()
    backwards = affine @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 2], [0, 0, 0, 1.0]])
    truth = abs(phantom())
    write_classic(tmp_path / "in", Scan(truth[:, :, ::-1], affine=backwards))
    series = open_dicom_series(tmp_path / "in")
    np.testing.assert_allclose(series.affine, affine, atol=1e-6)
    np.testing.assert_allclose(whole(series), truth, atol=factory.Scan(truth).step)
