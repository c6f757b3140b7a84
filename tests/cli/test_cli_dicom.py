"""A scan that came as DICOM, through the command line, back into its study."""

import os
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from dicom_factory import Scan, write_classic, write_enhanced
from front_door import command, refuses, works

T1, T2 = np.meshgrid([0.5, 0.9, 1.4, 2.0], [0.05, 0.08, 0.11], indexing="ij")


@pytest.fixture(scope="module")
def scan(short_sequence):
    """Four columns of T1, three rows of T2, two slices of unlike M0; complex, oblique."""
    from mrftool.physics.simulate import simulate
    from mrftool.tissue import Tissue

    signal = simulate(short_sequence, Tissue(T1.ravel(), T2.ravel())).signal.reshape(4, 3, 1, -1)
    return Scan(
        np.concatenate([signal, 0.5 * signal], axis=2) * np.exp(0.7j), parts=("real", "imaginary")
    )


def study(folder: Path, scan: Scan, write=write_classic) -> Path:
    folder.mkdir()
    write(folder, scan)
    return folder


def maps_of(paths: list[Path]) -> dict[tuple[float, ...], np.ndarray]:
    """Values in milliseconds by the position of each slice."""
    found = {}
    for path in paths:
        dataset = pydicom.dcmread(path)
        values = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
        found[tuple(np.round([float(x) for x in dataset.ImagePositionPatient], 3))] = values
    return found


@pytest.mark.slow
@pytest.mark.parametrize("write", [write_classic, write_enhanced])
def test_dicom_in_gives_nifti_and_dicom_out_with_the_same_numbers(
    scan, model, tmp_path, write
) -> None:
    source = study(tmp_path / "in", scan, write)
    works("quantify", source, "--model", model, "-o", tmp_path / "maps")
    nifti = nibabel.load(tmp_path / "maps" / "T1map.nii.gz")
    stored = sorted((tmp_path / "maps" / "dicom").rglob("*.dcm"))
    datasets = [pydicom.dcmread(path) for path in stored]
    t1 = [
        path for path, x in zip(stored, datasets, strict=True) if "T1 MAP" in "\\".join(x.ImageType)
    ]
    assert len(t1) == 2
    assert {x.StudyInstanceUID for x in datasets} == {scan.study}
    assert {x.FrameOfReferenceUID for x in datasets} == {scan.frame_of_reference}
    for values in maps_of(t1).values():
        np.testing.assert_allclose(np.sort(values.ravel()), np.sort(1e3 * T1.ravel()), atol=1.5)
    np.testing.assert_allclose(
        np.sort(nifti.get_fdata().ravel()), np.sort(np.tile(T1.ravel(), 2)), rtol=1e-3
    )


@pytest.mark.slow
def test_dicom_maps_can_be_left_out_or_be_parametric(scan, model, tmp_path) -> None:
    source = study(tmp_path / "in", scan)
    works("quantify", source, "--model", model, "-o", tmp_path / "a", "--no-dicom")
    assert not list((tmp_path / "a").rglob("*.dcm"))
    works(
        "quantify",
        source,
        "--model",
        model,
        "-o",
        tmp_path / "b",
        "--dicom-format",
        "parametric-map",
    )
    kinds = {pydicom.dcmread(path).SOPClassUID.name for path in (tmp_path / "b").rglob("*.dcm")}
    assert kinds == {"Parametric Map Storage"}


@pytest.mark.slow
def test_maps_stay_where_dicom_maps_cannot_be_written(scan, model, tmp_path, monkeypatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ValueError("a value that DICOM does not know")

    source = study(tmp_path / "in", scan)
    monkeypatch.setattr("mrftool.formats.dicom.write.objects.write_dicom_maps", fails)
    arguments = ("quantify", source, "--model", model, "-o", tmp_path / "maps")
    done = works(*arguments)
    says = "the maps could not be written as DICOM: ValueError: a value that DICOM does not know"
    assert says in done.err
    kept = {path.name for path in (tmp_path / "maps").iterdir()}
    assert {"T1map.nii.gz", "overview.png", "report.html", "report.json"} <= kept
    assert "dicom" not in kept
    assert command(*arguments, "--strict").code == 5


@pytest.mark.slow
def test_nifti_in_goes_into_the_study_of_a_reference(scan, model, tmp_path) -> None:
    source = study(tmp_path / "in", scan)
    works("quantify", source, "--model", model, "-o", tmp_path / "a", "--no-dicom")
    affine = nibabel.load(tmp_path / "a" / "T1map.nii.gz").affine
    image = np.zeros(
        (*nibabel.load(tmp_path / "a" / "T1map.nii.gz").shape, scan.image.shape[3]), np.complex64
    )
    nibabel.Nifti1Image(image + 1, affine).to_filename(tmp_path / "scan.nii")
    works(
        "quantify",
        tmp_path / "scan.nii",
        "--model",
        model,
        "-o",
        tmp_path / "b",
        "--dicom-reference",
        source,
    )
    assert {pydicom.dcmread(path).StudyInstanceUID for path in (tmp_path / "b").rglob("*.dcm")} == {
        scan.study
    }
    affine[:3, 3] += 50
    nibabel.Nifti1Image(image + 1, affine).to_filename(tmp_path / "off.nii")
    refuses(
        4,
        "quantify",
        tmp_path / "off.nii",
        "--model",
        model,
        "-o",
        tmp_path / "c",
        "--dicom-reference",
        source,
    )
    assert not (tmp_path / "c").exists()


def test_options_that_would_do_nothing_are_refused(scan, model, tmp_path, shelf) -> None:
    source = study(tmp_path / "in", scan)
    nifti = ("quantify", shelf / "brain.nii.gz", "--model", model, "-o", tmp_path / "a")
    refuses(2, *nifti, "--dicom", says=("expected a DICOM scan",))
    refuses(2, *nifti, "--dicom-format", "mr")
    refuses(
        2,
        "quantify",
        source,
        "--model",
        model,
        "-o",
        tmp_path / "a",
        "--no-dicom",
        "--dicom-format",
        "mr",
    )
    assert not (tmp_path / "a").exists()


@pytest.mark.slow
def test_a_reference_may_have_phases_of_any_unit_but_must_be_one_series(
    scan, model, tmp_path
) -> None:
    def forget(dataset, _z, _t):
        dataset.RescaleType = "US"

    image, affine = abs(scan.image), np.diag([-1.0, -1, 1, 1]) @ np.diag([1.5, 2, 4, 1])
    nibabel.Nifti1Image((image + 1).astype(np.complex64), affine).to_filename(tmp_path / "scan.nii")
    turned = Scan(image, affine=affine, parts=("magnitude", "phase"), change=forget)
    nifti = (
        "quantify",
        tmp_path / "scan.nii",
        "--model",
        model,
        "--dicom-reference",
        study(tmp_path / "in", turned),
    )
    works(*nifti, "-o", tmp_path / "maps")
    assert {
        pydicom.dcmread(path).StudyInstanceUID for path in (tmp_path / "maps").rglob("*.dcm")
    } == {turned.study}
    write_classic(tmp_path / "in" / "more", Scan(image, study=turned.study, number=9))
    outcome = refuses(4, *nifti, "-o", tmp_path / "again", says=("has 2 series",))
    assert "give a folder that holds the reference series alone" in outcome.err
    assert not (tmp_path / "again").exists()


@pytest.mark.slow
def test_match_reads_a_chosen_series_and_writes_into_its_study(scan, shelf, tmp_path) -> None:
    source = study(tmp_path / "in", scan)
    write_classic(source / "other", Scan(scan.image, number=9, study=scan.study))
    grid = ("--seq", shelf / "short.yaml", "--t1-ms", "500,900,1400,2000", "--t2-ms", "50,80,110")
    refuses(4, "match", source, *grid, "-o", tmp_path / "maps", says=("has 2 series",))
    works("match", source, *grid, "-o", tmp_path / "maps", "--series", str(scan.number))
    works(
        "match",
        source,
        *grid,
        "-o",
        tmp_path / "pm",
        "--series",
        scan.series,
        "--dicom-format",
        "parametric-map",
    )
    works("match", source, *grid, "-o", tmp_path / "none", "--series", scan.series, "--no-dicom")
    slices = maps_of(sorted((tmp_path / "maps" / "dicom" / "t1").iterdir()))
    assert len(slices) == 2
    for values in slices.values():
        np.testing.assert_array_equal(values, 1e3 * T1.T)
    assert (
        pydicom.dcmread(tmp_path / "pm" / "dicom" / "t1.dcm").SOPClassUID.name
        == "Parametric Map Storage"
    )
    assert not list((tmp_path / "none").rglob("*.dcm"))


def test_what_is_no_scan_is_refused_in_one_line(tmp_path) -> None:
    (tmp_path / "cut.zip").write_bytes(b"PK\3\4" + bytes(100))
    os.mkfifo(tmp_path / "pipe.nii")
    output = ("-o", tmp_path / "maps")
    refuses(
        3,
        "quantify",
        tmp_path / "cut.zip",
        *output,
        says=("cut.zip: damaged or unreadable archive",),
    )
    refuses(3, "quantify", tmp_path / "pipe.nii", *output, says=("pipe.nii",))
    assert not (tmp_path / "maps").exists()


@pytest.mark.slow
def test_each_dicom_map_is_named_once(scan, model, tmp_path) -> None:
    source = study(tmp_path / "in", scan)
    done = works("quantify", source, "--model", model, "-o", tmp_path / "maps")
    lines = [line for line in done.out.splitlines() if "/dicom/" in line]
    assert sorted(lines) == sorted(str(path) for path in (tmp_path / "maps" / "dicom").iterdir())
