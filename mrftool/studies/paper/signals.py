"""Signals of the tests: simulated when they are asked for, the same for every method."""

import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import BoolArray, ComplexArray, FloatArray, Range
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.physics.noise import add_noise, level_of, noise_sd
from mrftool.physics.simulate import simulate
from mrftool.studies.jobs.records import Job
from mrftool.studies.paper.sets import load_set, tissue_folder
from mrftool.tissue import Tissue

_WEAKEST = 1e-30  # rms of a signal [m0]: float32 holds hardly a digit of what is weaker


@dataclass(frozen=True, eq=False)
class Test:
    """One test of a method: tissue, and how its signals are made.

    snr: of every voxel [1], None without noise. The noise depends on `key` alone.
    """

    key: str
    tissue: Tissue
    sequence: str
    snr: float | None

    @property
    def signal(self) -> ComplexArray:
        """Complex signals `(voxel, time)`, each of rms 1 before noise, as M0 is unknown; 0 where
        there is none.

        They are made anew each time, so that one test at a time fills the memory.
        """
        clean = _clean(self)
        if self.snr is None:
            return clean
        random = np.random.default_rng(zlib.crc32(self.key.encode()))
        return add_noise(clean, noise_sd(clean, self.snr, common=False), random)

    @property
    def has_signal(self) -> BoolArray:
        """Voxels `(voxel,)` that give any signal: of T2 far below TE, nothing is left."""
        return np.asarray(_clean(self).any(axis=1))


def load_tests(folder: Path, job: Job) -> list[Test]:
    """The tests that the job in `folder` asks for, in order. Raises InputError if a set of tissue
    is missing.
    """
    output = folder.resolve().parents[1]
    sets = {
        name: load_set(tissue_folder(output), name)
        for name in {test["set"] for test in job["tests"]}
    }
    return [_test(test, sets[test["set"]].tissue, job["test_sequence"]) for test in job["tests"]]


def fill_empty(prediction: FloatArray, test: Test, t1_range: Range, t2_range: Range) -> FloatArray:
    """`prediction` `(voxel, 2)` [s] with the lowest T1 and T2 of the training range where there is
    no signal.

    A signal that is zero throughout tells no more than that T2 is far below TE: whatever the method
    says is chance, and differs between methods without any being better. So every method alike gets
    the same, the nearest it may say.
    """
    filled = np.array(prediction, np.float64)
    filled[~test.has_signal] = (t1_range[0], t2_range[0])
    return filled


def _test(asked: dict[str, Any], tissue: Tissue, sequence: str) -> Test:
    with_b1 = Tissue(tissue.t1, tissue.t2, b1=asked["b1"])
    return Test(asked["key"], with_b1, sequence, asked["snr"])


def _clean(test: Test) -> ComplexArray:
    columns = (test.tissue.t1, test.tissue.t2, test.tissue.b1)
    return _unit_signal(test.sequence, np.stack(columns).tobytes())


@lru_cache(maxsize=1)
def _unit_signal(sequence: str, tissue: bytes) -> ComplexArray:
    """Without noise; kept for the next test, which often differs in its noise alone."""
    t1, t2, b1 = np.frombuffer(tissue).reshape(3, -1)
    signal = simulate(read_sequence(sequence), Tissue(t1, t2, b1=b1)).signal
    level = level_of(signal)
    has_signal = level > _WEAKEST
    for start in range(0, len(signal), 4096):
        rows = slice(start, start + 4096)
        unit = signal[rows] / np.where(has_signal[rows], level[rows], np.inf)[:, None]
        signal[rows] = unit
    signal.setflags(write=False)
    return signal
