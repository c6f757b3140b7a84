"""The work of each command, called from Python: no terminal, nothing printed."""

import json
from pathlib import Path

import numpy as np
import pytest
from front_door import load

from mrftool.environment.reporter import SilentReporter
from mrftool.errors import ArgumentError
from mrftool.learning.config import TrainConfig
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue
from mrftool.workflows.evaluation.evaluate_maps import compare_maps
from mrftool.workflows.kspace.quantify_coefficients import (
    CoefficientScan,
    quantify_coefficient_scan,
)
from mrftool.workflows.match import DictionaryChoice, match_scan
from mrftool.workflows.quantify import quantify_scan
from mrftool.workflows.sequences.sequence_files import (
    check_sequences,
    export_sequence_file,
    import_sequence_file,
)
from mrftool.workflows.sequences.show_sequence import show_sequence
from mrftool.workflows.simulate import (
    Simulation,
    dictionary_tissue,
    simulate_dictionary,
    simulate_scan,
)
from mrftool.workflows.steps.outputs.dicom_output import DicomChoice
from mrftool.workflows.steps.scan import ScanFiles
from mrftool.workflows.steps.scene import PhantomSettings, SceneSource, open_scene


@pytest.fixture(autouse=True)
def _silent(capfd: pytest.CaptureFixture[str]):
    yield
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_from_a_phantom_to_maps_and_their_errors(
    short_sequence: PulseSequence, model: Path, tmp_path: Path
) -> None:
    reporter = SilentReporter()
    scene = open_scene(SceneSource("brain"), PhantomSettings((16, 16, 1)))
    simulation = Simulation(short_sequence, snr=50)
    scan, *truth = simulate_scan(simulation, scene, tmp_path / "scan.nii", reporter)
    assert scan == tmp_path / "scan.nii" and all(path.exists() for path in truth)
    result = quantify_scan(ScanFiles(scan), tmp_path / "maps", reporter, model=model)
    assert all(path.exists() for path in result.paths)
    np.testing.assert_array_equal(load(tmp_path / "maps" / "T1map.nii.gz"), result.maps.t1)
    assert set(result.warnings) <= set(reporter.notes)
    report = json.loads((tmp_path / "maps" / "report.json").read_text())
    assert report["command"] == "quantify"
    found = compare_maps(tmp_path / "maps", scan, tmp_path / "errors", reporter)
    assert {score.parameter for score in found.scores} == {"t1", "t2"}
    assert all(path.exists() for path in found.paths)


@pytest.mark.slow
def test_a_scan_is_matched_with_a_simulated_or_a_written_dictionary(
    short_sequence: PulseSequence, shelf: Path, tmp_path: Path
) -> None:
    reporter = SilentReporter()
    tissue = dictionary_tissue("300:1800:log20", "20:150:log20")
    file = simulate_dictionary(Simulation(short_sequence), tissue, tmp_path / "d.npz", reporter)
    scan = ScanFiles(shelf / "brain.nii.gz")
    written = match_scan(
        scan, tmp_path / "a", reporter, dictionary=DictionaryChoice(file), threads=1
    )
    choice = DictionaryChoice(
        None, str(shelf / "short.yaml"), t1_ms="300:1800:log20", t2_ms="20:150:log20"
    )
    simulated = match_scan(scan, tmp_path / "b", reporter, dictionary=choice, threads=1)
    np.testing.assert_allclose(written.maps.t1, simulated.maps.t1, rtol=1e-6)


@pytest.mark.slow
def test_sequences_are_shown_checked_and_exchanged(shelf: Path, tmp_path: Path) -> None:
    reporter, name = SilentReporter(), shelf / "short.yaml"
    view = show_sequence(name, tmp_path / "short.png", reporter)
    assert len(view.sequence) == 40 and all(path.exists() for path in view.paths)
    sound, faults = check_sequences([name, tmp_path / "none.yaml"])
    assert list(sound) == [str(name)] and "none.yaml: no such file" in faults[0]
    sequence = export_sequence_file(name, tmp_path / "short.csv")
    imported = import_sequence_file(tmp_path / "short.csv", tmp_path / "back.yaml", reporter)
    assert imported.sequence.sequence_id == sequence.sequence_id


def test_arguments_that_contradict_each_other_are_refused_before_any_work() -> None:
    with pytest.raises(ArgumentError, match="one of a phantom"):
        SceneSource("brain", t1=Path("t1.nii"), t2=Path("t2.nii"))
    with pytest.raises(ArgumentError, match="DICOM"):
        DicomChoice(False, Path("series"))
    with pytest.raises(ValueError, match="both T1 and T2"):
        dictionary_tissue("1:1:10")


@pytest.mark.slow
def test_an_encoder_is_trained_stopped_resumed_and_exported(
    short_sequence: PulseSequence,
    shelf: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("torch")
    from mrftool.learning import training
    from mrftool.workflows.export import export_run
    from mrftool.workflows.train import resume_training, train_encoder

    monkeypatch.setattr(training, "_VALIDATION_VOXELS", 64)
    reporter, folder, seen = SilentReporter(), tmp_path / "run", []
    config = TrainConfig(
        decoder="none",
        steps=3,
        batch=8,
        t1_range=(0.5, 1.5),
        t2_range=(0.04, 0.15),
    )
    sequence = shelf / "short.yaml"
    stopped = train_encoder(
        [sequence],
        config,
        folder,
        reporter,
        device="cpu",
        watch=lambda step, steps, losses: seen.append((step, steps)),
        should_stop=lambda: True,
    )
    assert stopped.was_stopped and (stopped.step, seen) == (1, [(1, 3)])
    done = resume_training(folder, device="cpu")
    assert not done.was_stopped and all(path.exists() for path in done.paths)
    assert "score" in done.scores
    written = export_run(folder, tmp_path / "m.onnx", reporter, allow_inaccurate=True)
    assert written.path.exists() and written.manifest.encoder != "none"


def test_the_reporter_hears_of_progress(short_sequence: PulseSequence, tmp_path: Path) -> None:
    class Counting(SilentReporter):
        def __init__(self) -> None:
            super().__init__()
            self.done = 0

        def progress(self, task: str, total: int):
            from contextlib import nullcontext

            def add(done: int) -> None:
                self.done += done

            return nullcontext(add)

    reporter = Counting()
    tissue = Tissue(np.linspace(0.5, 1.5, 10), 0.05)
    simulate_dictionary(Simulation(short_sequence), tissue, tmp_path / "d.npz", reporter)
    assert reporter.done == 10


def test_a_folder_of_another_run_is_refused_before_raw_data_are_reconstructed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("mrftool.workflows.kspace.quantify_coefficients._opened")
    other = {"command": "match", "source": "other.nii"}
    (tmp_path / "report.json").write_text(json.dumps({"run": other}))
    with pytest.raises(ArgumentError, match="maps of another run"):
        quantify_coefficient_scan(
            CoefficientScan(tmp_path / "scan.mrd"), tmp_path, SilentReporter()
        )
