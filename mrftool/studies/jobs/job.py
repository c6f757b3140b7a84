"""One job of the study, as a process: `python -m mrftool.studies.jobs.job FOLDER`.

It resumes from its last checkpoint, and writes its record last. Only here the study needs torch.
"""

import json
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mrftool.arrays import Array, ComplexArray, FloatArray
from mrftool.formats.atomic import writing
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.learning.adapt import adapted_run, load_weights
from mrftool.learning.batches import Source, encoder_rows
from mrftool.learning.checkpoint import TrainingRun, load_run
from mrftool.learning.config import TrainConfig
from mrftool.learning.networks.encoders import evaluating, times_of
from mrftool.learning.training import pick_device, prepare_run, table_for, train
from mrftool.manifold.compression import compress
from mrftool.sequence import PulseSequence
from mrftool.studies.jobs.machine import commit, machine
from mrftool.studies.jobs.records import PREDICTIONS, RECORD, job_folder, read_job
from mrftool.studies.paper.baselines import predict_match, predict_table
from mrftool.studies.paper.signals import Test, fill_empty, load_tests

Predictions = dict[str, FloatArray]  # T1 and T2 (voxel, 2) [s] of each test

_RUN_FOLDER, _TIMES = "run", "spent.json"
_BLOCK = 512  # voxels that are predicted at once


@dataclass
class Clock:
    """Wall-clock and processor time of each phase [s]; those of earlier processes count too."""

    seconds: dict[str, float] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time spent inside to that of `name`, even if it is interrupted."""
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - wall
            self.cpu_seconds[name] = self.cpu_seconds.get(name, 0.0) + time.process_time() - cpu


def main(folder: Path, device_name: str = "auto") -> None:
    """Run the job in `folder`: train what it asks for, predict its tests, and write its record."""
    device = pick_device(device_name)
    job, started = read_job(folder), datetime.now(UTC).isoformat(timespec="seconds")
    clock = Clock(**_earlier_times(folder))
    facts: dict[str, Any] = {}
    try:
        tests = load_tests(folder, job)
        if job["kind"] in ("train", "adapt"):
            run = _trained(folder, job, clock, device)
            predictions = _predicted(run, job, tests, clock)
            facts = {"steps": run.step, "batch": run.config.batch, "parameters": _size(run)}
        else:
            predict = {"match": predict_match, "table": predict_table}[job["kind"]]
            with clock.phase("predict"):
                predictions = predict(job, tests)
    finally:
        _write_json(folder / _TIMES, vars(clock))
    with writing(folder / PREDICTIONS) as part:
        np.savez(part, **predictions)  # type: ignore[arg-type]
    n_voxels = sum(map(len, predictions.values()))
    record = {
        "name": job["name"],
        "seed": job["seed"],
        "commit": commit(),
        "started": started,
        **vars(clock),
        **facts,
        "machine": {**machine(), "torch": torch.__version__, "device": _device_name(device)},
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "voxels_per_second": n_voxels / clock.seconds["predict"],
    }
    _write_json(folder / RECORD, record)


def _trained(folder: Path, job: dict[str, Any], clock: Clock, device: torch.device) -> TrainingRun:
    """The run of a job at its end; it resumes what an earlier process left."""
    last = folder / _RUN_FOLDER / "last.safetensors"
    with clock.phase("prepare"):
        if last.exists():
            run, _ = load_run(last, device)
        else:
            run = _new_run(folder, job, device)
    if run.step < run.config.steps:
        with clock.phase("train"):
            train(run, folder / _RUN_FOLDER, lambda step, losses: None)
    return run


def _new_run(folder: Path, job: dict[str, Any], device: torch.device) -> TrainingRun:
    config = TrainConfig(**job["train"])
    sequences = [read_sequence(name) for name in job["sequences"]]
    run_folder = folder / _RUN_FOLDER
    if job["kind"] == "train":
        return prepare_run(sequences, config, run_folder, device)
    start = job_folder(folder.parents[1], job["start"])
    _, weights = load_weights(start / _RUN_FOLDER / "last.safetensors")
    run_folder.mkdir(exist_ok=True)
    return adapted_run(config, weights, sequences[0], device)


def _predicted(
    run: TrainingRun, job: dict[str, Any], tests: list[Test], clock: Clock
) -> Predictions:
    """T1 and T2 `(voxel, 2)` [s] of each test, by the encoder alone."""
    source = _source_of(run, read_sequence(job["test_sequence"]))
    predictions = {}
    for test in tests:
        signal = test.signal
        starts = range(0, len(signal), _BLOCK)
        with clock.phase("predict"), evaluating(run.encoder), torch.no_grad():
            parts = [_pairs(run, source, signal[start : start + _BLOCK]) for start in starts]
        predictions[test.key] = fill_empty(
            np.concatenate(parts), test, run.config.t1_range, run.config.t2_range
        )
    return predictions


def _source_of(run: TrainingRun, sequence: PulseSequence) -> Source:
    """The source of a sequence, also if the run was not trained on it."""
    for source in run.sources:
        if source.sequence.sequence_id == sequence.sequence_id:
            return source
    return Source(sequence, table_for(sequence, run.config))


def _pairs(run: TrainingRun, source: Source, signal: ComplexArray) -> FloatArray:
    """T1 and T2 `(voxel, 2)` [s] of signals `(voxel, time)`."""
    fingerprint: Array = signal
    if run.spec.takes == "features":
        fingerprint = compress(signal, source.table.basis)
    without_noise = np.zeros(len(signal))
    rows = encoder_rows(
        fingerprint, without_noise, source, run.spec.takes, np.random.default_rng(0)
    )
    device = next(run.encoder.parameters()).device
    logs = times_of(run.encoder(torch.from_numpy(rows).to(device)).double())
    return np.asarray(logs.exp().cpu().numpy())


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return device.type


def _size(run: TrainingRun) -> int:
    """Number of weights of the encoder: maps are made without the decoder."""
    return sum(weights.numel() for weights in run.encoder.parameters())


def _earlier_times(folder: Path) -> dict[str, Any]:
    """What earlier processes of the job have spent."""
    path = folder / _TIMES
    if not path.exists():
        return {}
    return dict(json.loads(path.read_text("utf-8")))


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with writing(path) as part:
        part.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def _stop(*_: object) -> None:
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    main(Path(sys.argv[1]), *sys.argv[2:])
