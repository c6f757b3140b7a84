"""Methods without training, on the tests of the study: dictionary matching, and the table model. No
torch.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mrftool.arrays import Array, FloatArray, IndexArray
from mrftool.environment.threads import chosen_threads, one_blas_thread
from mrftool.exporting.make import make_model
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.inference.session import Model, run
from mrftool.matching.dictionary import (
    MatchDictionary,
    Source,
    compress_dictionary,
    dictionary_from_sequence,
)
from mrftool.matching.nearest import match
from mrftool.physics.tissue_grids import paper_tissue
from mrftool.studies.jobs.records import Job
from mrftool.studies.paper.signals import Test, fill_empty
from mrftool.tissue import Tissue

Found = dict[str, FloatArray]
Predict = Callable[[Array], FloatArray]  # from signals (voxel, time)

_BLOCK = 4096  # voxels whose signals are compressed at a time


def predict_match(job: Job, tests: list[Test]) -> Found:
    """T1 and T2 `(voxel, 2)` [s] of each test by dictionary matching, see `prepare_match`."""
    return _predicted(prepare_match(job), job, tests)


def predict_table(job: Job, tests: list[Test]) -> Found:
    """T1 and T2 `(voxel, 2)` [s] of each test by the table model, see `prepare_table`."""
    return _predicted(prepare_table(job), job, tests)


def prepare_match(job: Job) -> Predict:
    """Simulate and compress a dictionary on the paper's grid, of every sequence that the job names.
    Returns what gives
    each signal T1 and T2 of the most similar entry.
    """
    dictionary = match_dictionary(job)
    tissue = dictionary.source.tissue

    def predict(signal: Array) -> FloatArray:
        index = best_entries(dictionary, signal)
        return np.stack([tissue.t1[index], tissue.t2[index]], axis=1)

    return predict


def prepare_table(job: Job) -> Predict:
    """Make the table model of the job's sequence, from it alone. Returns what gives each signal its
    T1 and T2.
    """
    model = table_model(job)

    def predict(signal: Array) -> FloatArray:
        maps = run(model, signal)
        return np.stack([maps["t1"], maps["t2"]], axis=1).astype(np.float64)

    return predict


def _predicted(predict: Predict, job: Job, tests: list[Test]) -> Found:
    return {test.key: fill_empty(predict(test.signal), test, *_ranges(job)) for test in tests}


def match_dictionary(job: Job) -> MatchDictionary:
    """Compressed, of the paper's pairs in the job's ranges under every sequence of the job."""
    grid = paper_tissue(*_ranges(job))
    sources = [dictionary_from_sequence(read_sequence(name), grid) for name in job["sequences"]]
    return compress_dictionary(_joined(sources), "complex")


def best_entries(dictionary: MatchDictionary, signal: Array) -> IndexArray:
    """Index of the most similar entry for each row of `signal` `(voxel, time)`."""
    vectors = dictionary.basis.vectors.conj().astype(np.complex64)
    with one_blas_thread():
        rows = [signal[start : start + _BLOCK] @ vectors for start in range(0, len(signal), _BLOCK)]
    index, _ = match(dictionary.matcher, np.concatenate(rows), threads=chosen_threads(None))
    return index


def table_model(job: Job) -> Model:
    """A model without encoder for the job's sequence and ranges, ready to run."""
    t1_range, t2_range = _ranges(job)
    proto, manifest = make_model(
        read_sequence(job["sequences"][0]), t1_range=t1_range, t2_range=t2_range, check=False
    )
    return Model(Path(job["name"]), manifest, proto.SerializeToString())


def _ranges(job: Job) -> tuple[tuple[float, float], tuple[float, float]]:
    (t1_low, t1_high), (t2_low, t2_high) = job["train"]["t1_range"], job["train"]["t2_range"]
    return (t1_low, t1_high), (t2_low, t2_high)


def _joined(sources: list[Source]) -> Source:
    """One dictionary after the other."""
    if len(sources) == 1:
        return sources[0]
    ends = np.cumsum([len(source) for source in sources])

    def rows(index: IndexArray) -> Array:
        parts = []
        for source, end in zip(sources, ends, strict=True):
            own = index[(index >= end - len(source)) & (index < end)]
            parts.append(source.rows(own - (end - len(source))))
        return np.concatenate(parts)  # indices ascend, so the parts are in order

    tissue = Tissue(
        *(
            np.concatenate([getattr(source.tissue, key) for source in sources])
            for key in ("t1", "t2")
        )
    )
    names = " + ".join(source.sequence_name for source in sources)
    return Source(f"{names}, simulated", tissue, sources[0].n_time, rows, None, names)
