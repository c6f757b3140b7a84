import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pydicom
import pytest
from dicom_factory import PARTS, WRITERS, Scan, phantom, write_classic
from dicom_maps import PROVENANCE, by_place, some_maps
from dicom_readers import dcm2niix, same_in_space, whole
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from mrftool.errors import InputError, MismatchError, MrftoolError, UsageError
from mrftool.exporting.make import make_model
from mrftool.formats.dicom.headers.lenient import lenient
from mrftool.formats.dicom.read.series import DicomSeries, open_dicom_series
from mrftool.formats.dicom.write.objects import with_units, write_dicom_maps
from mrftool.grid import Placement
from mrftool.inference.quantify import quantify
from mrftool.inference.session import Model, load_model
from mrftool.physics.simulate import simulate
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue


@pytest.fixture
def source(tmp_path: Path) -> DicomSeries:
    write_classic(tmp_path / "in", Scan(phantom(), parts=("real", "imaginary")))
    return open_dicom_series(tmp_path / "in")


def test_mr_images_hold_the_numbers_at_their_places(tmp_path: Path, source: DicomSeries) -> None:
    maps = some_maps(source.shape)
    steps = {"t1": 1, "t2": 1, "sd_t1": 1, "m0": 1e-4, "residual": 1e-4, "flags": 1}
    for entry in write_dicom_maps(tmp_path / "out", maps, source.placement, source, PROVENANCE):
        image, unit = maps[entry.name]
        expected = abs(image) * (1000 if unit == "s" else 1)
        np.testing.assert_allclose(
            by_place(entry.paths, source.affine), expected, atol=0.501 * steps[entry.name]
        )
        assert [path.name for path in entry.paths] == ["0001.dcm", "0002.dcm", "0003.dcm"]
        again = open_dicom_series(tmp_path / "out" / entry.name)
        np.testing.assert_allclose(whole(again)[..., 0], expected, atol=0.501 * steps[entry.name])
        np.testing.assert_allclose(again.affine, source.affine, atol=1e-5)


def test_dcm2niix_reads_the_maps(tmp_path: Path, source: DicomSeries) -> None:
    maps = some_maps(source.shape)
    write_dicom_maps(tmp_path / "maps", {"t1": maps["t1"]}, source.placement, source, PROVENANCE)
    (nifti,) = dcm2niix(tmp_path / "maps", tmp_path / "nifti")
    expected = maps["t1"][0] * 1000
    np.testing.assert_allclose(same_in_space(expected, source.affine, nifti), expected, atol=0.501)


def test_parametric_maps_hold_every_digit(tmp_path: Path, source: DicomSeries) -> None:
    maps = some_maps(source.shape)
    written = write_dicom_maps(
        tmp_path / "out", maps, source.placement, source, PROVENANCE, format="parametric-map"
    )
    for entry in written:
        image, unit = maps[entry.name]
        expected = (abs(image) * np.float64(1000 if unit == "s" else 1)).astype(np.float32)
        np.testing.assert_array_equal(by_place(entry.paths, source.affine), expected)
        dataset = pydicom.dcmread(entry.paths[0])
        assert dataset.SOPClassUID == "1.2.840.10008.5.1.4.1.1.30"
        assert (
            dataset.ContributingEquipmentSequence[-1].PurposeOfReferenceCodeSequence[0].CodeValue
            == "109102"
        )
        assert (dataset.PatientName, dataset.PatientSex, dataset.AccessionNumber) == (
            "Müller^Jörg",
            "O",
            "A-17",
        )
        assert dataset.FrameOfReferenceUID == source.planes[0][0].values["FrameOfReferenceUID"]


def test_maps_belong_to_the_study_and_say_what_they_are(
    tmp_path: Path, source: DicomSeries
) -> None:
    written = write_dicom_maps(
        tmp_path / "out", some_maps(source.shape), source.placement, source, PROVENANCE
    )
    original = pydicom.dcmread(source.planes[0][0].path)
    of = {entry.name: [pydicom.dcmread(path) for path in entry.paths] for entry in written}
    every = [dataset for datasets in of.values() for dataset in datasets]
    kept = (
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "StudyInstanceUID",
        "StudyID",
        "AccessionNumber",
    )
    for dataset in every:
        assert all(
            dataset[name].value == original[name].value for name in (*kept, "FrameOfReferenceUID")
        )
        assert (dataset.SOPClassUID, dataset.ImageType[:2]) == (
            original.SOPClassUID,
            ["DERIVED", "PRIMARY"],
        )
        assert (dataset.BitsStored, dataset.RescaleIntercept, dataset.PixelRepresentation) == (
            16,
            0,
            0,
        )
        assert dataset.SeriesInstanceUID != original.SeriesInstanceUID
        scanner, program = dataset.ContributingEquipmentSequence
        assert (scanner.Manufacturer, scanner.DeviceSerialNumber) == ("Tester", "12345")
        assert program.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
        assert "ab" * 32 in program.ContributionDescription
        assert "0123456789abcdef" in program.ContributionDescription
    assert len({dataset.SOPInstanceUID for dataset in every}) == len(every)
    assert len({dataset.SeriesInstanceUID for dataset in every}) == len(of)
    assert len({dataset.SeriesNumber for dataset in every}) == len(of)
    words = {name: datasets[0].ImageType[2] for name, datasets in of.items()}
    assert words == {
        **{"t1": "T1 MAP", "t2": "T2 MAP", "m0": "DENSITY MAP"},
        **dict.fromkeys(("sd_t1", "residual", "flags"), "OTHER"),
    }
    codes = {name: _quantity(datasets[0]) for name, datasets in of.items()}
    assert codes == {
        "t1": "113063",
        "t2": "113065",
        "m0": "113058",
        "sd_t1": "113061",
        "residual": "",
        "flags": "",
    }
    for name, label in (("t1", "T1 [ms] mrftool"), ("t2", "T2 [ms] mrftool")):
        windows = {(dataset.WindowCenter, dataset.WindowWidth) for dataset in of[name]}
        assert len(windows) == 1
        assert (
            of[name][0].SeriesDescription,
            of[name][0].RescaleType,
            of[name][0].RescaleSlope,
        ) == (label, "ms", 1)
        mapping = of[name][0].RealWorldValueMappingSequence[0]
        assert (mapping.RealWorldValueSlope, mapping.MeasurementUnitsCodeSequence[0].CodeValue) == (
            1,
            "ms",
        )


def _quantity(dataset: Dataset) -> str:
    items = dataset.RealWorldValueMappingSequence[0].get("QuantityDefinitionSequence")
    return items[0].ConceptCodeSequence[0].CodeValue if items else ""


@pytest.mark.parametrize("writer", WRITERS)
def test_each_slice_names_a_source_image_at_its_place(tmp_path: Path, writer: str) -> None:
    WRITERS[writer](tmp_path / "in", Scan(phantom(), parts=("real", "imaginary")))
    source = open_dicom_series(tmp_path / "in")
    maps = {"t1": some_maps(source.shape)["t1"]}
    (entry,) = write_dicom_maps(tmp_path / "out", maps, source.placement, source, PROVENANCE)
    sources = {path: pydicom.dcmread(path) for path in (tmp_path / "in").iterdir()}
    for path in entry.paths:
        dataset = pydicom.dcmread(path)
        (item,) = dataset.SourceImageSequence
        assert item.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
        (image,) = [
            one for one in sources.values() if one.SOPInstanceUID == item.ReferencedSOPInstanceUID
        ]
        if writer == "enhanced":
            frame = image.PerFrameFunctionalGroupsSequence[item.ReferencedFrameNumber - 1]
            place = frame.PlanePositionSequence[0].ImagePositionPatient
        else:
            place = image.ImagePositionPatient
        np.testing.assert_allclose(
            np.array(place, float), np.array(dataset.ImagePositionPatient, float), atol=1e-5
        )


def test_numbers_that_cannot_be_kept_are_counted(tmp_path: Path, source: DicomSeries) -> None:
    t1 = np.full(source.shape, 1.0)
    t1.flat[:6] = (np.nan, np.inf, -np.inf, -0.2, 65.5352, 80)
    t2 = np.full(source.shape, 0.1)
    (first, second) = write_dicom_maps(
        tmp_path / "out", {"t1": (t1, "s"), "t2": (t2, "s")}, source.placement, source, PROVENANCE
    )
    stored = by_place(first.paths, source.affine).ravel()
    assert stored[:7].tolist() == [0, 0, 0, 0, 65535, 65535, 1000]
    assert first.counts == {
        "not finite, stored as 0": 3,
        "below 0, stored as 0": 1,
        "above 65535 ms, stored as that": 1,
    }
    assert second.counts == {}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
def test_maps_on_turned_axes_come_back_on_those_of_the_source(
    tmp_path: Path, source: DicomSeries, order: tuple[int, int, int]
) -> None:
    maps = some_maps(source.shape)
    turn = np.eye(4)[:, [*order, 3]]
    turn[:3, 3] = turn[:3, 1] * (source.shape[order[1]] - 1)
    turn[:3, 1] *= -1
    image = maps["t1"][0].transpose(order)[:, ::-1]
    placement = Placement(source.affine @ turn)
    (entry,) = write_dicom_maps(
        tmp_path / "out", {"t1": (image, "s")}, placement, source, PROVENANCE
    )
    np.testing.assert_allclose(
        by_place(entry.paths, source.affine), maps["t1"][0] * 1000, atol=0.501
    )


def test_nifti_from_dcm2niix_goes_back_into_the_study(tmp_path: Path) -> None:
    import nibabel

    write_classic(tmp_path / "in", Scan(phantom()))
    source = open_dicom_series(tmp_path / "in")
    (path,) = dcm2niix(tmp_path / "in", tmp_path / "nifti")
    nifti = nibabel.load(path)
    maps = {"t1": (nifti.get_fdata()[..., 2], "s")}
    (entry,) = write_dicom_maps(tmp_path / "out", maps, Placement(nifti.affine), source, PROVENANCE)
    np.testing.assert_allclose(
        by_place(entry.paths, source.affine), whole(source)[..., 2] * 1000, atol=0.501
    )


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"format": "jpeg"}, UsageError, "DICOM format 'jpeg', expected one of mr, parametric-map"),
        ({"maps": {}}, InputError, "there are no maps to write"),
        (
            {"maps": {"t1": (np.ones((7, 5, 3)), "min")}},
            InputError,
            "map t1: unit 'min', expected one of s, ms",
        ),
        (
            {"maps": {"t1": (np.ones((7, 5)), "s")}},
            InputError,
            r"map t1: has shape \(7, 5\), expected three dim",
        ),
        (
            {"maps": {"t1": (np.ones((7, 5, 3)), "s"), "t2": (np.ones((5, 7, 3)), "s")}},
            InputError,
            r"map t2 has shape \(5, 7, 3\), expected \(7, 5, 3\) as t1",
        ),
        (
            {"placement": Placement(np.diag([2.0, 2, 2, 1]))},
            MismatchError,
            "its volume lies up to .* mm away",
        ),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_written(
    tmp_path: Path,
    source: DicomSeries,
    change: dict[str, Any],
    error: type[MrftoolError],
    match: str,
) -> None:
    given: dict[str, Any] = {
        "maps": some_maps(source.shape),
        "placement": source.placement,
        "format": "mr",
    } | change
    with pytest.raises(error, match=match):
        write_dicom_maps(
            tmp_path / "out",
            given["maps"],
            given["placement"],
            source,
            PROVENANCE,
            format=given["format"],
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("forms", [("mr", "parametric-map"), ("parametric-map", "mr")])
def test_maps_of_one_run_do_not_lie_beside_those_of_another_form(
    tmp_path: Path, source: DicomSeries, forms: Any
) -> None:
    maps = some_maps(source.shape)
    write_dicom_maps(tmp_path, maps, source.placement, source, PROVENANCE, format=forms[0])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="is the t1 map in another form"):
        write_dicom_maps(tmp_path, maps, source.placement, source, PROVENANCE, format=forms[1])
    assert sorted(tmp_path.rglob("*")) == before
    write_dicom_maps(tmp_path, maps, source.placement, source, PROVENANCE, format=forms[0])


def test_files_of_another_run_are_not_mixed_in(tmp_path: Path, source: DicomSeries) -> None:
    maps = some_maps(source.shape)
    write_dicom_maps(tmp_path / "out", maps, source.placement, source, PROVENANCE)
    first = pydicom.dcmread(tmp_path / "out" / "t1" / "0001.dcm").SOPInstanceUID
    write_dicom_maps(tmp_path / "out", maps, source.placement, source, PROVENANCE)
    assert pydicom.dcmread(tmp_path / "out" / "t1" / "0001.dcm").SOPInstanceUID != first
    (tmp_path / "out" / "t2" / "0004.dcm").write_bytes(b"")
    with pytest.raises(
        InputError, match=r"t2: holds 0004\.dcm, expected an empty folder for the t2 map"
    ):
        write_dicom_maps(tmp_path / "out", maps, source.placement, source, PROVENANCE)


def test_slices_of_another_run_do_not_stay_beside_a_single_one(tmp_path: Path) -> None:
    write_classic(tmp_path / "in", Scan(phantom((7, 5, 1, 3))))
    source = open_dicom_series(tmp_path / "in")
    (tmp_path / "out" / "t1").mkdir(parents=True)
    (tmp_path / "out" / "t1" / "0002.dcm").write_bytes(b"")
    with pytest.raises(InputError, match=r"t1: holds 0002\.dcm"):
        write_dicom_maps(
            tmp_path / "out", some_maps(source.shape), source.placement, source, PROVENANCE
        )


def _spare(dataset: Dataset, z: int, t: int) -> None:
    """A header that says as little as it may."""
    for name in (
        "StudyID",
        "AccessionNumber",
        "ReferringPhysicianName",
        "PatientBirthDate",
        "SpecificCharacterSet",
    ):
        del dataset[name]
    for name in (
        "FrameOfReferenceUID",
        "Manufacturer",
        "SeriesNumber",
        "ScanningSequence",
        "SliceThickness",
    ):
        del dataset[name]
    dataset.PatientName = "X"
    dataset["PatientSex"] = DataElement("PatientSex", "CS", "not said", validation_mode=IGNORE)


@pytest.mark.parametrize("chosen", ["mr", "parametric-map"])
def test_a_spare_header_is_enough(tmp_path: Path, chosen: Any) -> None:
    write_classic(tmp_path / "in", Scan(phantom(), change=_spare))
    source = open_dicom_series(tmp_path / "in")
    maps = {"t1": some_maps(source.shape)["t1"]}
    (entry,) = write_dicom_maps(
        tmp_path / "out", maps, source.placement, source, PROVENANCE, format=chosen
    )
    np.testing.assert_allclose(
        by_place(entry.paths, source.affine), maps["t1"][0] * 1000, atol=0.501
    )
    with lenient():
        assert pydicom.dcmread(entry.paths[0]).PatientSex == "not said"


def errors_of(path: Path) -> set[str]:
    """What dciodvfy calls an error, without the places in the file."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed (Debian's dicom3tools)")
    done = subprocess.run(["dciodvfy", "-new", path], capture_output=True, check=False)
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert "Image" in said or "ParametricMap" in said
    return {line for line in said.splitlines() if line.startswith("Error")}


@pytest.mark.parametrize("chosen", ["mr", "parametric-map"])
def test_dciodvfy_finds_no_error(tmp_path: Path, source: DicomSeries, chosen: Any) -> None:
    maps = some_maps(source.shape)
    for entry in write_dicom_maps(
        tmp_path / "out", maps, source.placement, source, PROVENANCE, format=chosen
    ):
        assert [errors_of(path) for path in entry.paths] == [set()] * len(entry.paths)


@pytest.mark.parametrize("chosen", ["mr", "parametric-map"])
def test_windows_below_one_are_linear_without_the_loss_of_a_step(
    tmp_path: Path, source: DicomSeries, chosen: Any
) -> None:
    """The standard's LINEAR takes 1 from the width: residuals from 0 to 1 would be black or
    white.
    """
    maps = some_maps(source.shape)
    maps["m0"] = (maps["m0"][0] / 10, "arbitrary")
    for entry in write_dicom_maps(
        tmp_path / "out", maps, source.placement, source, PROVENANCE, format=chosen
    ):
        dataset = pydicom.dcmread(entry.paths[0])
        shared = dataset.get("SharedFunctionalGroupsSequence")
        window = shared[0].FrameVOILUTSequence[0] if shared else dataset
        narrow = entry.name in ("m0", "residual")
        assert (float(window.WindowWidth) <= 1) == narrow
        assert window.get("VOILUTFunction", "LINEAR") == ("LINEAR_EXACT" if narrow else "LINEAR")
        assert errors_of(entry.paths[0]) == set()


@pytest.mark.data
@pytest.mark.parametrize("chosen", ["mr", "parametric-map"])
@pytest.mark.parametrize(
    "name",
    ["ge_dynamics/TriggerTime", "ge_dynamics/RTIAold", "transfer_syntaxes_9_same_image/In/1.dcm"],
)
def test_dciodvfy_finds_no_error_that_the_source_lacks(
    tmp_path: Path, data_dir: Path, name: str, chosen: Any
) -> None:
    source = open_dicom_series(data_dir / "dicom" / name)
    maps = {"t1": some_maps(source.shape)["t1"]}
    (entry,) = write_dicom_maps(
        tmp_path / "out", maps, source.placement, source, PROVENANCE, format=chosen
    )
    assert errors_of(entry.paths[0]) <= errors_of(Path(source.planes[0][0].path))
    np.testing.assert_allclose(
        by_place(entry.paths, source.affine), maps["t1"][0] * 1000, atol=0.501
    )


@pytest.fixture(scope="module")
def model(short_sequence: PulseSequence, tmp_path_factory: pytest.TempPathFactory) -> Model:
    path = tmp_path_factory.mktemp("model") / "short.onnx"
    made, _ = make_model(
        short_sequence, t1_range=(0.4, 1.6), t2_range=(0.03, 0.2), tolerance=1e-3, check=False
    )
    onnx.save(made, path)
    return load_model(path)


@pytest.mark.slow
@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("parts", PARTS[:2], ids="-".join)
def test_phantom_to_dicom_to_maps_to_dicom(
    tmp_path: Path, short_sequence: PulseSequence, model: Model, writer: str, parts: tuple[str, ...]
) -> None:
    shape = (6, 5, 3)
    rng = np.random.default_rng(0)
    tissue = Tissue(
        rng.uniform(0.5, 1.5, 90), rng.uniform(0.04, 0.15, 90), m0=rng.uniform(0.5, 1, 90) * 1j
    )
    signal = simulate(short_sequence, tissue).signal.reshape(*shape, -1)
    WRITERS[writer](tmp_path / "in", Scan(signal, parts=parts))
    source = open_dicom_series(tmp_path / "in")
    maps = quantify(source, model)
    images = with_units(maps)
    for entry in write_dicom_maps(tmp_path / "out", images, source.placement, source, PROVENANCE):
        assert not entry.counts
        if entry.name not in ("t1", "t2"):
            continue
        found = by_place(entry.paths, source.affine)
        truth = getattr(tissue, entry.name).reshape(shape) * 1000
        np.testing.assert_allclose(found, images[entry.name][0] * 1000, atol=0.501)
        np.testing.assert_allclose(found, truth, atol=0.5 + 0.005 * truth.max())
