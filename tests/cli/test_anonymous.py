"""Which words of a patient, a hospital and a day reach outputs, with and without `--anonymous`."""

import gzip
import json
from pathlib import Path

import h5py
import numpy as np
import pydicom
import pytest
from dicom_factory import Scan, write_classic
from front_door import Outcome, refuses, works
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset

from mrftool.physics.simulate import simulate
from mrftool.tissue import Tissue

WORD, DAY, TIME, UID, PERSON = "PLANTED", "19771231", "235958", "1.2.3.77777777", "Planted^Patient"
PLANTED = [word.encode() for word in (WORD, DAY, TIME, UID, PERSON, "1977-12-31", "23:59:58")]
TEXTS = {"LO": WORD, "SH": WORD, "ST": WORD, "LT": WORD, "UT": WORD, "AE": WORD, "PN": PERSON,
         "DA": DAY, "TM": TIME, "DT": DAY + TIME, "UI": UID, "AS": "077Y"}  # fmt: skip
KEPT = ("SOPClassUID", "SOPInstanceUID", "TransferSyntaxUID", "RescaleType", "Manufacturer")
GROUPS = (0x0008, 0x0010, 0x0012, 0x0018, 0x0020, 0x0032, 0x0038, 0x0040)


def plant(dataset: Dataset, z: int, t: int) -> None:
    """Recognisable values in every text, date and identifier of a header that the standard has."""
    for tag, (vr, _, _, retired, keyword) in DicomDictionary.items():
        if vr in TEXTS and tag >> 16 in GROUPS and not retired and keyword not in KEPT:
            if keyword.startswith(("Acquisition", "Frame", "Content")) and vr in ("TM", "DT"):
                continue  # they order the frames
            setattr(dataset, keyword, TEXTS[vr])


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of all files, inflated, by name."""
    files = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {
        name: gzip.decompress(content) if name.endswith(".gz") else content
        for name, content in files.items()
    }


def found_in(folder: Path, outcome: Outcome | None = None) -> set[str]:
    """Names of the files that hold something planted, in their name or in them."""
    files = contents(folder)
    if outcome is not None:
        files["stdout"], files["stderr"] = outcome.out.encode(), outcome.err.encode()
    return {
        Path(name).name for name, content in files.items() if _is_planted(name, content, folder)
    }


def _is_planted(name: str, content: bytes, folder: Path) -> bool:
    own_name = name.removeprefix(str(folder)).encode()
    return any(word in content or word in own_name for word in PLANTED)


@pytest.fixture(scope="module")
def series(short_sequence, tmp_path_factory) -> Path:
    t1, t2 = np.array([0.5, 0.9, 1.4, 2.0]), np.array([0.05, 0.08, 0.11, 0.1])
    signal = simulate(short_sequence, Tissue(t1, t2)).signal.reshape(2, 2, 1, -1)
    folder = tmp_path_factory.mktemp("in") / f"{WORD}^JOHN"
    write_classic(folder, Scan(signal * np.exp(0.7j), parts=("real", "imaginary"), change=plant))
    return folder


@pytest.mark.slow
def test_an_anonymous_run_of_dicom_says_nothing_of_the_patient(series, model, tmp_path) -> None:
    def run(name: str, *options: str) -> set[str]:
        out = tmp_path / name
        log = ["--log", out / "log.txt", "--json"]
        out.mkdir()
        return found_in(out, works("quantify", series, "--model", model, "-o", out, *log, *options))

    assert run("anonymous", "--anonymous") == set()
    assert {"T1map.json", "report.json", "report.html", "log.txt", "0001.dcm"} <= run("named")


@pytest.mark.slow
def test_an_anonymous_run_of_nifti_keeps_no_text_of_its_sidecar(shelf, model, tmp_path) -> None:
    place = tmp_path / WORD / "sub-PLANTED_ses-1_task-rest_bold.nii.gz"
    place.parent.mkdir()
    place.write_bytes((shelf / "brain.nii.gz").read_bytes())
    facts = json.loads((shelf / "brain.json").read_text())
    keys = ("SeriesDescription", "ProtocolName", "InstitutionName", "DeviceSerialNumber",
            "Manufacturer", "ManufacturersModelName", "StationName", "PatientName")  # fmt: skip
    facts |= dict.fromkeys(keys, WORD) | {"AcquisitionTime": "23:59:58", "StudyDate": DAY}
    (tmp_path / WORD / "sub-PLANTED_ses-1_task-rest_bold.json").write_text(json.dumps(facts))
    out = tmp_path / "out"
    given = ["--model", model, "--anonymous"]
    outcome = works("quantify", place, "-o", out, *given)
    assert found_in(out, outcome) == set()
    refuses(2, "quantify", place, "-o", out, *given, says=("holds the maps of another run",))
    works("quantify", place, "-o", out, *given, "--overwrite")


@pytest.mark.slow
def test_an_anonymous_reconstruction_names_no_files_and_days(short_sequence, tmp_path) -> None:
    from mrd_scans import write_raw_scan

    raw = tmp_path / WORD / "PLANTED.mrd"
    raw.parent.mkdir()
    write_raw_scan(raw, short_sequence)
    with h5py.File(raw, "r+") as file:
        header = file["dataset"]["xml"][0].decode()
        subject = (
            f"<subjectInformation><patientName>{PERSON}</patientName><patientID>{WORD}</patientID>"
            "<patientBirthdate>1977-12-31</patientBirthdate></subjectInformation>"
            f"<studyInformation><studyDate>1977-12-31</studyDate><studyTime>23:59:58</studyTime>"
            f"</studyInformation><acquisitionSystemInformation><systemVendor>{WORD}</systemVendor>"
            f"<institutionName>{WORD}</institutionName></acquisitionSystemInformation>"
        )
        start = header.index(">", header.index("<ismrmrdHeader")) + 1
        file["dataset"]["xml"][0] = (header[:start] + subject + header[start:]).encode()
    options = ["--rank", 3, "--replicas", 2, "--anonymous"]
    outcome = works("reconstruct", raw, "-o", tmp_path / "recon", *options)
    assert found_in(tmp_path / "recon", outcome) == set()
    outcome = works("quantify", raw, "-o", tmp_path / "maps", "--anonymous")
    assert found_in(tmp_path / "maps", outcome) == set()
    with h5py.File(raw, "r+") as file:
        parameters = "<sequenceParameters><TR>99</TR></sequenceParameters>"
        header = file["dataset"]["xml"][0].decode()
        header = header.replace("</ismrmrdHeader>", parameters + "</ismrmrdHeader>")
        file["dataset"]["xml"][0] = header.encode()
    works("reconstruct", raw, "-o", tmp_path / "allowed", *options, "--allow", "tr")
    facts = json.loads((tmp_path / "allowed" / "coefficients.json").read_text())
    assert len(facts["allowed"]) == 1 and facts["allowed"][0] in facts["assumptions"]


def test_dicom_maps_are_no_part_of_an_anonymous_run(series, model, tmp_path) -> None:
    asked = ("--model", model, "-o", tmp_path / "out", "--anonymous", "--dicom")
    refuses(2, "quantify", series, *asked, says=("DICOM maps name the patient",))


def test_the_planted_series_holds_what_is_planted(series) -> None:
    dataset = pydicom.dcmread(next(series.iterdir()))
    assert sum(str(element.value) in TEXTS.values() for element in dataset) > 300
