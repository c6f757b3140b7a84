import io
import os
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_factory import Scan, phantom, write_classic, write_enhanced
from dicom_readers import whole
from pydicom.dataset import Dataset

from mrftool.errors import InputError, MismatchError, MissingExtraError, MrftoolError
from mrftool.formats.dicom.headers.files import find_files
from mrftool.formats.dicom.headers.header import pydicom_header
from mrftool.formats.dicom.headers.lenient import lenient
from mrftool.formats.dicom.headers.quick import Known, quick_header
from mrftool.formats.dicom.headers.raw_elements import OutOfOrdinaryError
from mrftool.formats.dicom.read import order
from mrftool.formats.dicom.read.series import open_dicom_series

Change = Callable[[Dataset, int, int], None]


@pytest.fixture(autouse=True)
def temporary_folder(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Whatever is unpacked goes here, and nothing may be left."""
    folder = tmp_path_factory.mktemp("unpacked")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def refused(
    source: Any, match: str, error: type[MrftoolError] = InputError, **options: Any
) -> None:
    """Opening, or else reading, stops with one line and the exit code of `error`."""
    with pytest.raises(error, match=match) as caught:
        whole(open_dicom_series(source, **options))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code in (3, 4)


def one_image(change: Change) -> Change:
    """The change to the image of slice 1 at time 2 alone."""

    def only(dataset: Dataset, z: int, t: int) -> None:
        if (z, t) == (1, 2):
            change(dataset, z, t)

    return only


def without(name: str) -> Change:
    def change(dataset: Dataset, z: int, t: int) -> None:
        delattr(dataset, name)

    return change


def having(name: str, value: Any) -> Change:
    def change(dataset: Dataset, z: int, t: int) -> None:
        dataset.add_new(name, pydicom.datadict.dictionary_VR(name), value)

    return change


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (without("ImagePositionPatient"), "ImagePositionPatient is missing, expected 3 numbers"),
        (
            without("ImageOrientationPatient"),
            "ImageOrientationPatient is missing, expected 6 numbers",
        ),
        (without("PixelSpacing"), "PixelSpacing is missing, expected 2 numbers"),
        (without("Rows"), "Rows is missing, expected a number from 1 to 4096"),
        (without("BitsAllocated"), "BitsAllocated is missing"),
        (without("SOPInstanceUID"), "SOPInstanceUID is missing"),
        (without("PixelData"), "ends before its pixel data"),
        (
            without("ImageType"),
            "does not say which part of the signal it is, others of its series are magnitude",
        ),
        (
            having("ImageType", ["ORIGINAL", "PRIMARY", "M", "P"]),
            "ImageType says magnitude and phase",
        ),
        (having("Rows", 65535), "Rows is 65535, expected a number from 1 to 4096"),
        (having("Columns", 0), "Columns is 0, expected"),
        (having("Rows", 9), "pixel data of 70 bytes, expected 126 for 1 x 9 x 7 pixels of 16 bits"),
        (having("Rows", 4), "pixel data of 70 bytes, expected 56"),
        (having("BitsAllocated", 12), "BitsAllocated is 12, expected 8, 16 or 32"),
        (having("BitsStored", 17), "BitsStored is 17, expected a number from 1 to 16"),
        (having("SamplesPerPixel", 3), "is a colour image"),
        (having("NumberOfFrames", 2), "has 2 frames and describes 1"),
        (having("RescaleSlope", 0), "rescale slope is 0 or not finite"),
        (having("PixelSpacing", [0, 1]), r"PixelSpacing \(0.0, 1.0\) is not that of"),
        (
            having("ImageOrientationPatient", [1, 0, 0, 0, 1, 0]),
            "expected one stack of parallel slices",
        ),
        (having("ImagePositionPatient", [1, 2]), "ImagePositionPatient is .*expected 3 numbers"),
        (having("FrameOfReferenceUID", "1.2.3"), "its frame of reference is not that of"),
    ],
)
def test_one_image_at_fault_stops_the_series(tmp_path: Path, change: Change, match: str) -> None:
    write_classic(tmp_path, Scan(phantom(), change=one_image(change)))
    refused(tmp_path, rf"I0\d+\.dcm: .*{match}")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (having("ImageOrientationPatient", [1, 0, 0, 1, 0, 0]), "expected two unit vectors"),
        (having("ImageOrientationPatient", [2, 0, 0, 0, 1, 0]), "expected two unit vectors"),
        (having("PixelSpacing", [-1, 1]), "expected lengths of more than 0 mm"),
        (without("SeriesInstanceUID"), ""),
    ],
)
def test_a_fault_of_all_images(tmp_path: Path, change: Change, match: str) -> None:
    write_classic(tmp_path, Scan(phantom(), change=change))
    if match:
        refused(tmp_path, match)
    else:  # a series that has no name is still one series
        assert open_dicom_series(tmp_path).n_time == 6


@pytest.mark.parametrize("writer", [write_classic, write_enhanced])
@pytest.mark.parametrize("left", [0.1, 0.5, 0.99])
def test_truncated_files(tmp_path: Path, writer: Any, left: float) -> None:
    path = writer(tmp_path, Scan(phantom((40, 30, 2, 3))))[0]
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * left)])
    refused(tmp_path, r"\.dcm: |expected")


def test_truncated_codestream(tmp_path: Path) -> None:
    def cut(dataset: Dataset, z: int, t: int) -> None:
        dataset.compress("1.2.840.10008.1.2.5", generate_instance_uid=False)
        dataset.PixelData = dataset.PixelData[: len(dataset.PixelData) // 4 * 2]

    write_classic(tmp_path, Scan(phantom((40, 30, 1, 1)), change=cut))
    refused(tmp_path, r"\.dcm: damaged pixels, which cannot be decoded")


def test_a_codec_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Absent:
        is_available = False

    def compress(dataset: Dataset, z: int, t: int) -> None:
        dataset.compress("1.2.840.10008.1.2.5", generate_instance_uid=False)

    write_classic(tmp_path, Scan(phantom((8, 6, 1, 1)), change=compress))
    monkeypatch.setattr("mrftool.formats.dicom.read.pixels.get_decoder", lambda uid: Absent())
    with pytest.raises(
        MissingExtraError, match="no decoder for RLE Lossless is installed"
    ) as caught:
        open_dicom_series(tmp_path)
    assert caught.value.exit_code == 6
    assert str(caught.value.hint).startswith("pip install 'pylibjpeg-libjpeg>=")


def test_a_transfer_syntax_that_holds_no_images(tmp_path: Path) -> None:
    def film(dataset: Dataset, z: int, t: int) -> None:
        dataset.compress("1.2.840.10008.1.2.5", generate_instance_uid=False)
        dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"

    write_classic(tmp_path, Scan(phantom((8, 6, 1, 1)), change=film))
    refused(tmp_path, r"transfer syntax MPEG-4 .* cannot be decoded")


def test_huge_claims_of_a_small_compressed_file(tmp_path: Path) -> None:
    def lie(dataset: Dataset, z: int, t: int) -> None:
        dataset.compress("1.2.840.10008.1.2.5", generate_instance_uid=False)
        dataset.Rows = dataset.Columns = 65535

    write_classic(tmp_path, Scan(phantom((8, 6, 1, 1)), change=lie))
    refused(tmp_path, "Rows is 65535, expected a number from 1 to 4096")


def test_frames_that_are_claimed_but_not_there(tmp_path: Path) -> None:
    write_enhanced(tmp_path, Scan(phantom(), change=having("NumberOfFrames", 2_000_000_000)))
    refused(tmp_path, "has 2000000000 frames and describes 18")


def test_missing_images(tmp_path: Path) -> None:
    paths = write_classic(tmp_path, Scan(phantom((7, 5, 4, 6))))
    by_place: dict[str, list[Path]] = {}
    for path in paths:
        by_place.setdefault(str(pydicom.dcmread(path).ImagePositionPatient), []).append(path)
    slices = list(by_place.values())
    slices[1][0].unlink()
    refused(tmp_path, r"its slice at .* mm has 5 images, the others 6")
    for path in slices[1][1:]:
        path.unlink()
    refused(tmp_path, r"mm from its slice to the next, elsewhere .*is a slice missing")


def test_the_same_instance_twice(tmp_path: Path) -> None:
    paths = write_classic(tmp_path, Scan(phantom()))
    (tmp_path / "copy.dcm").write_bytes(paths[3].read_bytes())
    refused(tmp_path, r"copy\.dcm: is the same instance as .*expected each image once")


def test_two_series_mixed(tmp_path: Path) -> None:
    write_classic(tmp_path / "a", Scan(phantom(), number=1))
    write_classic(tmp_path / "b", Scan(phantom(), number=2))
    refused(tmp_path, "has 2 series, expected one", MismatchError)


def test_parts_that_do_not_match(tmp_path: Path) -> None:
    def drop(dataset: Dataset, z: int, t: int) -> None:
        if dataset.ImageType[2] == "I":
            dataset.ImagePositionPatient[0] += 3

    write_classic(tmp_path / "a", Scan(phantom(), parts=("real", "imaginary"), change=drop))
    refused(tmp_path / "a", "the imaginary images lie elsewhere than the real ones")
    write_classic(tmp_path / "b", Scan(phantom(), parts=("real",)))
    refused(
        tmp_path / "b",
        "has real images alone, expected real and imaginary, magnitude and phase, or magnitude",
    )


def test_other_files(tmp_path: Path) -> None:
    refused(tmp_path, "no DICOM file among 0 files")
    (tmp_path / "a.nii").write_bytes(b"\x5c\x01\0\0" * 200)
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path, "no DICOM file among 2 files")
    refused(tmp_path / "a.nii", "no DICOM file among 1 files")
    refused(tmp_path / "nowhere", "no such file or folder")
    refused([tmp_path / "nowhere.dcm"], "cannot be read: No such file")
    report = Dataset()
    report.SOPClassUID, report.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.11", "1.2.3"
    report.file_meta = pydicom.dataset.FileMetaDataset()
    report.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    report.save_as(tmp_path / "report.dcm", enforce_file_format=True)
    refused(tmp_path, "no images among 3 files")


def archive_of(paths: list[Path], where: Path, *more: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(where, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            archive.write(path, path.name)
        for name, data in more:
            archive.writestr(name, data)
    return where


@pytest.mark.parametrize(
    "name", ["../out.dcm", "a/../../out.dcm", "/out.dcm", "..\\out.dcm", "C:\\out.dcm", "C:out.dcm"]
)
def test_an_archive_that_leads_out_of_itself(tmp_path: Path, name: str) -> None:
    paths = write_classic(tmp_path / "in", Scan(phantom()))
    archive = archive_of(paths, tmp_path / "x.zip", (name, paths[0].read_bytes()))
    refused(archive, r"x\.zip: entry .*out\.dcm' leads out of the archive; nothing was unpacked")
    assert not list(tmp_path.parent.rglob("out.dcm"))


def test_an_archive_with_a_link(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.dcm")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    paths = write_classic(tmp_path / "in", Scan(phantom()))
    refused(
        archive_of(paths, tmp_path / "x.zip", (link, b"/etc/passwd")),
        "is a symbolic link; nothing was unpacked",
    )


def test_archives_that_would_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mrftool.formats.dicom.headers.archive._RATIO_COUNTS_FROM", 1 << 20)
    bomb = archive_of([], tmp_path / "bomb.zip", *((f"{n}.dcm", bytes(5 << 20)) for n in range(3)))
    refused(bomb, "would grow more than 200-fold to 15728640 bytes; nothing was unpacked")
    paths = write_classic(tmp_path / "in", Scan(phantom()))
    good = archive_of(paths, tmp_path / "good.zip")
    monkeypatch.setattr("mrftool.formats.dicom.headers.archive._MAX_TOTAL", 1000)
    refused(good, "would grow to .* bytes, expected at most 1000; nothing was unpacked")


def test_damaged_and_empty_archives(tmp_path: Path) -> None:
    paths = write_classic(tmp_path / "in", Scan(phantom((40, 30, 1, 2))))
    archive = archive_of(paths, tmp_path / "x.zip")
    data = bytearray(archive.read_bytes())
    data[600] ^= 0xFF
    archive.write_bytes(bytes(data))
    refused(archive, r"x\.zip: damaged or unreadable archive")
    data[6] |= 1  # the flag for encryption, in the first entry and (below) in the directory
    directory = data.index(b"PK\1\2")
    data[directory + 8] |= 1
    archive.write_bytes(bytes(data))
    refused(archive, "is encrypted; nothing was unpacked")
    refused(
        archive_of([], tmp_path / "y.zip", ("a.txt", b"hello")), "no DICOM file among 1 entries"
    )
    refused(archive_of([], tmp_path / "z.zip"), "no DICOM file among 0 entries")
    whole = archive_of(paths, tmp_path / "w.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path / "cut.zip", r"cut\.zip: damaged or unreadable archive")


def test_a_series_that_fails_leaves_no_unpacked_files(
    tmp_path: Path, temporary_folder: Path
) -> None:
    paths = write_classic(tmp_path / "in", Scan(phantom()))
    refused(archive_of(paths[1:], tmp_path / "x.zip"), "x.zip/I0.*has 5 images, the others 6")
    assert list(temporary_folder.iterdir()) == []
    found = find_files(archive_of(paths, tmp_path / "y.zip"))
    assert len(list(temporary_folder.rglob("*.dcm"))) == len(paths)
    found.close()


def test_a_deflated_data_set_that_grows_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deflate(dataset: Dataset, z: int, t: int) -> None:
        dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"

    (path,) = write_classic(tmp_path, Scan(phantom((40, 30, 1, 1)), change=deflate))
    monkeypatch.setattr("mrftool.formats.dicom.headers.header._MAX_INFLATED", 2000)
    refused(path, r"\.dcm: would inflate to more than 2000 bytes")


def test_a_data_set_that_does_not_inflate(tmp_path: Path) -> None:
    def deflate(dataset: Dataset, z: int, t: int) -> None:
        dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"

    (path,) = write_classic(tmp_path, Scan(phantom((40, 30, 1, 1)), change=deflate))
    path.write_bytes(path.read_bytes()[:-300] + zlib.compress(b"x" * 300))
    refused(path, r"\.dcm: ")


@pytest.mark.parametrize("writer", [write_classic, write_enhanced])
def test_flipped_bytes_never_end_in_a_traceback(tmp_path: Path, writer: Any) -> None:
    path = writer(tmp_path, Scan(phantom((8, 6, 1, 1))))[0]
    good = path.read_bytes()
    rng = np.random.default_rng(5)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(150):
        data = bytearray(good)
        for place in rng.integers(132, len(data), rng.choice([1, 4, 16])):
            data[place] = rng.integers(256)
        path.write_bytes(bytes(data))
        try:
            whole(open_dicom_series(path))
            outcomes["read"] += 1
        except MrftoolError as error:
            assert "\n" not in str(error)
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 20


@pytest.mark.parametrize("known", [None, Known()], ids=["each anew", "known layouts"])
@pytest.mark.parametrize("implicit", [False, True])
def test_the_quick_reader_and_pydicom_agree_or_leave_it_to_pydicom(
    tmp_path: Path, implicit: bool, known: Known | None
) -> None:
    syntax = "1.2.840.10008.1.2" if implicit else "1.2.840.10008.1.2.1"

    def private(dataset: Dataset, z: int, t: int) -> None:
        item = Dataset()
        item.Rows, item.SeriesDescription = 3, "inside"
        dataset.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x2F, "SS", 2)
        undefined = dataset.private_block(0x0009, "NOBODY", create=True)
        undefined.add_new(0x01, "SQ", [item])
        undefined[0x01].is_undefined_length = True

    (path,) = write_classic(tmp_path, Scan(phantom((8, 6, 1, 1)), syntax=syntax, change=private))
    good = path.read_bytes()
    rng = np.random.default_rng(9)
    quick = 0
    for number in range(400):
        data = bytearray(good)
        for place in rng.integers(132, len(data) - 96, rng.integers(3) if number else 0):
            data[place] = rng.choice(list(b"0123456789.\\ -\0\1\xff"))
        try:
            found = quick_header(io.BytesIO(data), len(data), known)
        except (OutOfOrdinaryError, struct.error, ValueError):
            assert number > 0
            continue
        with lenient(), suppress(OSError, ValueError):
            assert pydicom_header(io.BytesIO(data), len(data)) == found
            quick += 1
    assert quick > 150


def test_a_known_layout_is_read_without_the_pixels(tmp_path: Path) -> None:
    paths = write_classic(tmp_path, Scan(phantom((64, 64, 1, 3))))
    known = Known()
    quick_header(io.BytesIO(paths[0].read_bytes()), paths[0].stat().st_size, known)
    file = io.BytesIO(paths[1].read_bytes())
    header = quick_header(file, paths[1].stat().st_size, known)
    assert header["file"]["TemporalPositionIdentifier"] == 2
    assert file.tell() < 4096 < header["pixels"]["length"]


def test_lengths_that_lie(tmp_path: Path) -> None:
    path = write_classic(tmp_path, Scan(phantom((8, 6, 1, 1))))[0]
    data = path.read_bytes()
    pixels = data.rindex(b"\xe0\x7f\x10\x00OW\0\0")
    for length in (0, 94, 98, 0x7FFFFFFF, 0xFFFFFFFF):
        path.write_bytes(data[: pixels + 8] + struct.pack("<I", length) + data[pixels + 12 :])
        refused(path, "pixel data of .* bytes, expected 96")
    name = data.index(b"PN")
    path.write_bytes(data[: name + 2] + b"\xff\xff" + data[name + 4 :])
    refused(path, "ImageType|ends before its pixel data|is missing")


def test_a_time_of_thousands_of_digits_is_none() -> None:
    assert order._clock("1" * 5000, "1" * 5000) is None
    assert order._clock("20260102101112.25", "101112.25") == (20260102101112, 0.25)
