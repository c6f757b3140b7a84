import csv
import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

pytest.importorskip("dask.distributed")

from cohort_tasks import killing_sub_03

from mrftool.cohort import participants
from mrftool.cohort.cluster import ClusterChoice, open_cluster, run_tasks
from mrftool.cohort.dataset import find_scans
from mrftool.cohort.group import group_rows, summarise_group
from mrftool.cohort.participants import Resources, run_participants
from mrftool.cohort.task import Task
from mrftool.environment.reporter import SilentReporter
from mrftool.errors import ArgumentError, InputError
from mrftool.evaluation.rois import RegionScore

ONE_WORKER = Resources(ClusterChoice(1))


@pytest.fixture
def dataset(shelf: Path, tmp_path: Path) -> Path:
    """Four subjects with the same scan; that of sub-02 is cut off."""
    folder = tmp_path / "bids"
    for number in range(1, 5):
        subject = f"sub-0{number}"
        anat = folder / subject / "anat"
        anat.mkdir(parents=True)
        shutil.copy(shelf / "brain.nii.gz", anat / f"{subject}_MRF.nii.gz")
        shutil.copy(shelf / "brain.json", anat / f"{subject}_MRF.json")
    damaged = folder / "sub-02/anat/sub-02_MRF.nii.gz"
    damaged.write_bytes(damaged.read_bytes()[:3000])
    (folder / "dataset_description.json").write_text('{"Name": "t", "BIDSVersion": "1.10.0"}')
    return folder


def status(output: Path) -> dict[str, dict[str, str]]:
    with (output / "status.tsv").open() as file:
        return {row["scan"]: row for row in csv.DictReader(file, delimiter="\t")}


@pytest.mark.slow
def test_one_damaged_scan_costs_that_scan_and_a_rerun_does_nothing(
    dataset: Path, model: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    scans = find_scans(dataset)
    first = run_participants(scans, model, output, SilentReporter(), resources=ONE_WORKER)
    assert [each.state for each in first] == ["done", "failed", "done", "done"]
    rows = status(output)
    assert "sub-02_MRF.nii.gz" in rows["sub-02_MRF"]["reason"]
    assert not (output / ".work").exists()
    t1 = output / "sub-01/anat/sub-01_T1map.nii.gz"
    assert np.nanmax(nib.load(t1).get_fdata()) > 0.5
    before = t1.stat().st_mtime_ns
    again = run_participants(scans, model, output, SilentReporter(), resources=ONE_WORKER)
    assert [each.state for each in again] == ["skipped", "failed", "skipped", "skipped"]
    assert t1.stat().st_mtime_ns == before


@pytest.mark.slow
def test_a_scan_that_kills_its_worker_costs_that_scan(
    dataset: Path, model: Path, tmp_path: Path
) -> None:
    output, scans = tmp_path / "out", find_scans(dataset, participants=["01", "03", "04"])
    tasks = [Task(scan, model, output, output / ".work") for scan in scans]
    with open_cluster(ClusterChoice(2)) as client:
        results = {each.key: each for each in run_tasks(client, tasks, killing_sub_03)}
    assert results["sub-03_MRF"].state == "failed"
    assert "its worker process died" in results["sub-03_MRF"].reason
    assert {results[key].state for key in ("sub-01_MRF", "sub-04_MRF")} <= {"done", "skipped"}


@pytest.mark.slow
def test_the_group_level_finds_regions_and_an_outlier(
    dataset: Path, model: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    scans = find_scans(dataset, participants=["01", "03", "04"])
    run_participants(scans, model, output, SilentReporter(), resources=ONE_WORKER)
    image = nib.load(output / "sub-01/anat/sub-01_T1map.nii.gz")
    labels = np.zeros(image.shape, np.int16)
    labels[8:16, 8:16] = 3
    nib.save(nib.Nifti1Image(labels, image.affine), dataset / "sub-01/anat/sub-01_dseg.nii.gz")
    rows = summarise_group(dataset, output, SilentReporter())
    assert {row.score.region for row in rows if row.scan == "sub-01_MRF"} == {3}
    assert {row.score.region for row in rows if row.scan == "sub-04_MRF"} == {1}
    assert (output / "group.tsv").read_text().count("\n") == len(rows) + 1


@pytest.mark.slow
def test_two_clusters_run_side_by_side_without_a_warning() -> None:
    with open_cluster(ClusterChoice(1)) as first, open_cluster(ClusterChoice(1)) as second:
        assert first.scheduler.address != second.scheduler.address


def test_an_outlier_lies_far_from_the_median_of_the_others() -> None:
    times = {"a": 0.80, "b": 0.81, "c": 0.79, "d": 0.80, "e": 1.40}
    scores = {name: [RegionScore(1, "t1", 9, t1, 0.1, 0.01)] for name, t1 in times.items()}
    assert [row.scan for row in group_rows(scores) if row.is_outlier] == ["e"]


def test_the_group_level_needs_a_finished_scan(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no finished scan"):
        summarise_group(dataset, tmp_path, SilentReporter())


def test_too_little_memory_is_refused_before_work_begins(
    dataset: Path, model: Path, tmp_path: Path
) -> None:
    small = Resources(ClusterChoice(4), memory=2 << 30)
    with pytest.raises(ArgumentError, match="512 MB for each of 4 workers"):
        run_participants(
            find_scans(dataset), model, tmp_path / "out", SilentReporter(), resources=small
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("said", ["failed", "skipped"])
def test_the_marker_on_disk_is_believed(
    dataset: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    """A scan whose result was lost after it was finished is done, also where it was tried again."""
    from mrftool.cohort.task import TaskResult, run_task

    def lost(client: Any, tasks: list[Task]) -> Any:
        for task in tasks:
            run_task(task)
            yield TaskResult(task.scan.key, said, "lost")

    monkeypatch.setattr(participants, "run_tasks", lost)
    monkeypatch.setattr(participants, "open_cluster", _no_cluster)
    scans = find_scans(dataset, participants=["01"])
    results = run_participants(
        scans, model, tmp_path / "out", SilentReporter(), resources=ONE_WORKER
    )
    assert [each.state for each in results] == ["done"]
    marker = tmp_path / "out/sub-01/anat/sub-01_MRF_report/done.json"
    assert json.loads(marker.read_text())["scan"] == "sub-01_MRF"


def _no_cluster(choice: ClusterChoice) -> Any:
    from contextlib import nullcontext

    return nullcontext()


@pytest.mark.slow
def test_a_scheduler_that_is_not_there_is_named(unused_port: Callable[[], int]) -> None:
    address = f"tcp://127.0.0.1:{unused_port()}"
    with (
        pytest.raises(InputError, match="no scheduler answers there"),
        open_cluster(ClusterChoice(scheduler=address)),
    ):
        pass


@pytest.fixture
def unused_port() -> Callable[[], int]:
    import socket

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    return find


@pytest.mark.slow
def test_anonymous_maps_of_a_data_set_keep_no_text_of_a_sidecar(
    dataset: Path, model: Path, tmp_path: Path
) -> None:
    study = tmp_path / "PLANTED^JOHN"
    dataset.rename(study)
    keys = ("SeriesDescription", "ProtocolName", "InstitutionName", "DeviceSerialNumber",
            "Manufacturer", "ManufacturersModelName", "StationName", "PatientName",
            "AcquisitionTime", "StudyDate")  # fmt: skip
    for sidecar in study.rglob("sub-*.json"):
        facts = json.loads(sidecar.read_text()) | dict.fromkeys(keys, "PLANTED")
        sidecar.write_text(json.dumps(facts))

    def run(name: str, anonymous: bool) -> tuple[Path, list[str], list[str]]:
        output, said = tmp_path / name, SilentReporter()
        results = run_participants(
            find_scans(study, participants=["01", "02"]),
            model,
            output,
            said,
            resources=ONE_WORKER,
            anonymous=anonymous,
        )
        files = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
        texts = {
            path: gzip.decompress(content) if path.suffix == ".gz" else content
            for path, content in files.items()
        }
        texts[Path("said")] = "".join(said.notes).encode()
        planted = sorted(path.name for path, text in texts.items() if b"PLANTED" in text)
        return output, [result.state for result in results], planted

    named, states, planted = run("named", anonymous=False)
    assert states == ["done", "failed"]
    assert {"report.html", "report.json", "status.tsv", "said"} <= set(planted)
    output, states, planted = run("anonymous", anonymous=True)
    assert states == ["done", "failed"]
    assert planted == []
    assert "(hidden)" in status(output)["sub-02_MRF"]["reason"]
    assert relative_files(output) == relative_files(named)
    report = output / "sub-01/anat/sub-01_MRF_report"
    made = [report / name for name in json.loads((report / "report.json").read_text())["outputs"]]
    assert (output / "sub-01/anat/sub-01_T1map.nii.gz").resolve() in [p.resolve() for p in made]
    assert all(path.is_file() for path in made)
    assert run("anonymous", anonymous=True)[1] == ["skipped", "failed"]
    assert run("named", anonymous=True)[1:] == (["done", "failed"], [])
    assert summarise_group(study, output, SilentReporter())


def relative_files(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
