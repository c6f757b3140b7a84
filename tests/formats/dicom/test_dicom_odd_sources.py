"""Maps of sources whose headers break rules, and what is checked before there are maps."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_factory import Scan, phantom, write_classic, write_enhanced
from dicom_maps import PROVENANCE, by_place, some_maps
from dicom_readers import dcm2niix
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from mrftool.errors import InputError, MismatchError
from mrftool.formats.dicom.headers.lenient import lenient
from mrftool.formats.dicom.read.series import DicomSeries, open_dicom_series
from mrftool.formats.dicom.write.objects import check_dicom_maps, write_dicom_maps
from mrftool.scan.series import Placement

FORMATS = ("mr", "parametric-map")


def series_of(folder: Path, change: Any, writer: Any = write_classic) -> DicomSeries:
    with lenient():
        writer(folder, Scan(phantom(), parts=("real", "imaginary"), change=change))
    return open_dicom_series(folder)


def written(folder: Path, source: DicomSeries, chosen: Any) -> Dataset:
    """The first file of a T1 map, whose numbers are checked."""
    maps = {"t1": some_maps(source.shape)["t1"]}
    check_dicom_maps(folder, ("t1",), source.placement, source.shape, source, format=chosen)
    assert not folder.exists()
    (entry,) = write_dicom_maps(folder, maps, source.placement, source, PROVENANCE, format=chosen)
    np.testing.assert_allclose(
        by_place(entry.paths, source.affine), maps["t1"][0] * 1000, atol=0.501
    )
    return pydicom.dcmread(entry.paths[0])


@pytest.mark.slow
@pytest.mark.parametrize("chosen", FORMATS)
@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        (["ISO_IR 100"], "Buc^Jérôme"),
        (["GB18030"], "Wang^XiaoDong=王^小东"),
    ],
)
def test_names_in_every_character_set_are_kept(
    tmp_path: Path, chosen: str, character_set: list[str], name: str
) -> None:
    def renamed(dataset: Dataset, z: int, t: int) -> None:
        dataset.SpecificCharacterSet = character_set
        dataset.PatientName = name

    source = series_of(tmp_path / "in", renamed)
    assert str(written(tmp_path / "out", source, chosen).PatientName) == name


ODD = {
    "date": lambda dataset: setattr(dataset, "PatientBirthDate", "***"),
    "time": lambda dataset: setattr(dataset, "StudyTime", "101112.1234567890"),
    "study date": lambda dataset: setattr(dataset, "StudyDate", "2024.02.29"),
    "age": lambda dataset: setattr(dataset, "PatientAge", "forty"),
    "weight": lambda dataset: dataset.add(DataElement(0x00101030, "LO", "heavy")),
    "sex": lambda dataset: setattr(dataset, "PatientSex", "X"),
    "long name": lambda dataset: setattr(dataset, "PatientName", "A" * 200),
    "character set": lambda dataset: setattr(dataset, "SpecificCharacterSet", "KLINGON"),
    "type": lambda dataset: dataset.add(DataElement(0x00100010, "LO", "A^B")),
    "number": lambda dataset: dataset.add(DataElement(0x00180087, "LO", "three")),
    "sequence": lambda dataset: dataset.add(DataElement(0x00101002, "LO", "P-1")),
    "two values": lambda dataset: setattr(dataset, "StudyID", ["1", "2"]),
}


@pytest.mark.parametrize("chosen", FORMATS)
@pytest.mark.parametrize("odd", ODD)
def test_a_flaw_of_the_header_costs_no_map(tmp_path: Path, chosen: str, odd: str) -> None:
    source = series_of(tmp_path / "in", lambda dataset, z, t: ODD[odd](dataset))
    assert written(tmp_path / "out", source, chosen).PatientID == "P-1"


@pytest.mark.parametrize("chosen", FORMATS)
def test_measures_and_orientation_of_each_frame(tmp_path: Path, chosen: str) -> None:
    def per_frame(dataset: Dataset, z: int, t: int) -> None:
        (shared,) = dataset.SharedFunctionalGroupsSequence
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            for group in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
                frame[group] = shared[group]
        for group in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
            del shared[group]

    source = series_of(tmp_path / "in", per_frame, write_enhanced)
    made = written(tmp_path / "out", source, chosen)
    uid = source.planes[0][0].values["SOPInstanceUID"]
    named = [
        element.value for element in made.iterall() if element.keyword == "ReferencedSOPInstanceUID"
    ]
    assert named and set(named) == {uid}


def test_parametric_maps_name_the_images_that_they_come_from(tmp_path: Path) -> None:
    source = series_of(tmp_path / "in", lambda dataset, z, t: None)
    made = written(tmp_path / "out", source, "parametric-map")
    known = {plane.values["SOPInstanceUID"] for planes in source.planes for plane in planes}
    named = [
        element.value for element in made.iterall() if element.keyword == "ReferencedSOPInstanceUID"
    ]
    assert set(named) <= known and len(set(named)) == source.shape[2]


@pytest.mark.parametrize("chosen", FORMATS)
@pytest.mark.parametrize("version", ["syngo MR XA10", "syngo MR XA20", "syngo MR XA30"])
def test_dcm2niix_keeps_maps_of_siemens_xa_apart(tmp_path: Path, chosen: Any, version: str) -> None:
    def siemens(dataset: Dataset, z: int, t: int) -> None:
        dataset.Manufacturer, dataset.SoftwareVersions = "SIEMENS", version

    source = series_of(tmp_path / "in", siemens)
    write_dicom_maps(
        tmp_path / "out",
        some_maps(source.shape),
        source.placement,
        source,
        PROVENANCE,
        format=chosen,
    )
    assert len(dcm2niix(tmp_path / "out", tmp_path / "nifti")) == 6
    made = pydicom.dcmread(next((tmp_path / "out").rglob("*.dcm")))
    assert version in made.ContributingEquipmentSequence[0].ContributionDescription


def test_inversion_and_trigger_times_and_laterality_are_kept(tmp_path: Path) -> None:
    def stated(dataset: Dataset, z: int, t: int) -> None:
        dataset.ScanningSequence, dataset.InversionTime, dataset.TriggerTime = "IR", 20.5, 3
        dataset.BodyPartExamined, dataset.Laterality = "KNEE", "L"

    made = written(tmp_path / "out", series_of(tmp_path / "in", stated), "mr")
    assert (made.InversionTime, made.TriggerTime, made.Laterality) == (20.5, 3, "L")


@pytest.mark.parametrize("chosen", FORMATS)
def test_the_side_of_the_body_of_an_enhanced_image_is_kept(tmp_path: Path, chosen: str) -> None:
    def right(dataset: Dataset, z: int, t: int) -> None:
        anatomy = Dataset()
        anatomy.FrameLaterality = "R"
        dataset.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [anatomy]

    source = series_of(tmp_path / "in", right, write_enhanced)
    assert written(tmp_path / "out", source, chosen).Laterality == "R"


def test_a_single_slice_has_the_thickness_of_its_source(tmp_path: Path) -> None:
    write_classic(tmp_path / "in", Scan(phantom((7, 5, 1, 3))))
    source = open_dicom_series(tmp_path / "in")
    made = written(tmp_path / "out", source, "parametric-map")
    (measures,) = made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    assert (measures.SliceThickness, measures.SpacingBetweenSlices) == (4, 4)


def test_what_cannot_be_written_shows_before_there_are_maps(tmp_path: Path) -> None:
    source = series_of(tmp_path / "in", lambda dataset, z, t: None)
    elsewhere = Placement(np.diag([2.0, 2, 2, 1]))
    with pytest.raises(MismatchError, match=r"its volume lies up to .* mm away"):
        check_dicom_maps(tmp_path / "out", ("t1",), elsewhere, source.shape, source)
    sheared = source.affine.copy()
    sheared[:3, 1] += 0.1 * sheared[:3, 0]
    with pytest.raises(InputError, match="sheared"):
        check_dicom_maps(tmp_path / "out", ("t1",), Placement(sheared), source.shape, source)
    (tmp_path / "out" / "t2").mkdir(parents=True)
    (tmp_path / "out" / "t2" / "0009.dcm").write_bytes(b"")
    with pytest.raises(InputError, match=r"t2: holds 0009\.dcm"):
        check_dicom_maps(tmp_path / "out", ("t1", "t2"), source.placement, source.shape, source)


@pytest.mark.parametrize("chosen", FORMATS)
def test_sources_with_malformed_elements_have_maps(tmp_path: Path, chosen: str) -> None:
    """An identifier that is a number, and a type of values that does not exist."""

    def malformed(dataset: Dataset, z: int, t: int) -> None:
        dataset.ScanOptions = "PFP"

    series_of(tmp_path / "in", malformed)
    for path in (tmp_path / "in").iterdir():
        content = path.read_bytes()
        for sound, odd in ((b"\x18\0\x22\0CS", b"XX"), (b"\x08\0\x16\0UI", b"US")):
            assert content.count(sound) == 1
            content = content.replace(sound, sound[:4] + odd)
        path.write_bytes(content)
    source = open_dicom_series(tmp_path / "in")
    written(tmp_path / "out", source, chosen)
