"""One job of the study, as a process of its own: `python -m mrftool.studies.jobs.job FOLDER`. The
only part with torch.

It goes on where it was cut off, and writes its record last.
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

from mrftool.arrays import ComplexArray, FloatArray
from mrftool.formats.atomic import writing
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.learning.adapt import adapted_run, load_weights
from mrftool.learning.batches import Source, encoder_rows
from mrftool.learning.checkpoint import TrainingRun, load_run
from mrftool.learning.config import TrainConfig
from mrftool.learning.networks.encoders import times_of
from mrftool.learning.training import prepare_run, table_for, train
from mrftool.manifold.compression import compress
from mrftool.studies.jobs.machine import commit, machine
from mrftool.studies.jobs.records import PREDICTIONS, RECORD, job_folder, read_job
from mrftool.studies.paper.baselines import predict_match, predict_table
from mrftool.studies.paper.signals import Test, fill_empty, load_tests

Found = dict[str, FloatArray]

_RUN, _SPENT = "run", "spent.json"
_CPU = torch.device("cpu")
_AT_A_TIME = 512  # voxels


@dataclass
class Clock:
    """Time spent on each stage [s], by the wall and by the processors; earlier processes count too."""

    seconds: dict[str, float] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what happens inside towards `name`, even if it is cut off."""
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - wall
            self.cpu_seconds[name] = self.cpu_seconds.get(name, 0.0) + time.process_time() - cpu


def main(folder: Path) -> None:
    """Run the job in `folder`: train what it asks for, predict its tests, and write its record."""
    job, started = read_job(folder), datetime.now(UTC).isoformat(timespec="seconds")
    clock = Clock(**_spent(folder))
    facts: dict[str, Any] = {}
    try:
        tests = load_tests(folder, job)
        if job["kind"] in ("train", "adapt"):
            run = _trained(folder, job, clock)
            found = _predicted(run, job, tests, clock)
            facts = {"steps": run.step, "batch": run.config.batch, "parameters": _size(run)}
        else:
            with clock.stage("predict"):
                found = {"match": predict_match, "table": predict_table}[job["kind"]](job, tests)
    finally:
        _write_json(folder / _SPENT, vars(clock))
    with writing(folder / PREDICTIONS) as part:
        np.savez(part, **found)  # type: ignore[arg-type]
    rate = sum(map(len, found.values())) / clock.seconds["predict"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    record = {
        "name": job["name"],
        "seed": job["seed"],
        "commit": commit(),
        "started": started,
        **vars(clock),
        **facts,
    }
    where = {**machine(), "torch": torch.__version__}
    _write_json(
        folder / RECORD,
        {**record, "machine": where, "peak_memory_mb": peak, "voxels_per_second": rate},
    )


def _trained(folder: Path, job: dict[str, Any], clock: Clock) -> TrainingRun:
    """The run of a job at its end: begun, or gone on with, or as an earlier process left it."""
    last = folder / _RUN / "last.safetensors"
    with clock.stage("prepare"):
        run = load_run(last, _CPU)[0] if last.exists() else _begun(folder, job)
    if run.step < run.config.steps:
        with clock.stage("train"):
            train(run, folder / _RUN, lambda step, losses: None)
    return run


def _begun(folder: Path, job: dict[str, Any]) -> TrainingRun:
    config = TrainConfig(**job["train"])
    sequences = [read_sequence(name) for name in job["sequences"]]
    if job["kind"] == "train":
        return prepare_run(sequences, config, folder / _RUN, _CPU)
    _, weights = load_weights(
        job_folder(folder.parents[1], job["start"]) / _RUN / "last.safetensors"
    )
    (folder / _RUN).mkdir(exist_ok=True)
    return adapted_run(config, weights, sequences[0], _CPU)


def _predicted(run: TrainingRun, job: dict[str, Any], tests: list[Test], clock: Clock) -> Found:
    """T1 and T2 `(voxel, 2)` [s] of each test, by the encoder alone."""
    sequence = read_sequence(job["test_sequence"])
    known = next((x for x in run.sources if x.sequence.sequence_id == sequence.sequence_id), None)
    source = known or Source(sequence, table_for(sequence, run.config))
    run.encoder.eval()
    found = {}
    for test in tests:
        signal = test.signal
        with clock.stage("predict"), torch.no_grad():
            parts = [
                _pairs(run, source, signal[i : i + _AT_A_TIME])
                for i in range(0, len(signal), _AT_A_TIME)
            ]
        found[test.key] = fill_empty(
            np.concatenate(parts), test, run.config.t1_range, run.config.t2_range
        )
    return found


def _pairs(run: TrainingRun, source: Source, signal: ComplexArray) -> FloatArray:
    whole = signal if run.spec.takes == "fingerprint" else compress(signal, source.table.basis)
    rows = encoder_rows(
        whole, np.zeros(len(signal)), source, run.spec.takes, np.random.default_rng(0)
    )
    return np.asarray(times_of(run.encoder(torch.from_numpy(rows)).double()).exp().numpy())


def _size(run: TrainingRun) -> int:
    """Weights of the encoder: a decoder is not there when maps are made."""
    return sum(weights.numel() for weights in run.encoder.parameters())


def _spent(folder: Path) -> dict[str, Any]:
    path = folder / _SPENT
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with writing(path) as part:
        part.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def _stop(*_: object) -> None:
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    main(Path(sys.argv[1]))
