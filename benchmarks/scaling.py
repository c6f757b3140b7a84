"""How cost grows: `make bench-scaling`.

Fits the exponents of processor time and of peak memory over one size at a time, from processes of
their own; the constant part (imports, the model) is taken off. Exits with 1 where time grows
faster than the exponent that is allowed.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass

import numpy as np

_ALLOWED = 1.1
_CONSTANT = 8  # a size this much smaller than the first shows the constant part
_TIME_NOISE, _MEMORY_NOISE = 0.02, 0.005  # growth that counts as none [s], [GB]


@dataclass(frozen=True)
class Case:
    """Work in which one size doubles twice; more than the allowed exponent of time needs a reason.

    In the code, {names} of sizes stand for their values.
    """

    name: str
    code: str
    variable: str
    sizes: tuple[int, int, int]
    fixed: dict[str, object]
    allowed: float = _ALLOWED
    reason: str = ""


_PULSES = """
import numpy as np
from mrftool.sequence import PulseSequence, Invert, Wait, Pulses
def train(n):
    flips = np.deg2rad(10 + 40 * np.abs(np.sin(np.arange(n) * np.pi / 200)))
    return PulseSequence(flips, np.zeros(n), np.full(n, 0.012), np.full(n, 0.003),
                         events=(Invert(), Wait(0.02), Pulses()), name="grown")
"""
_TISSUE = """
from mrftool.physics.simulate import simulate
from mrftool.tissue import Tissue
def tissue(n):
    random = np.random.default_rng(0)
    t1 = np.exp(random.uniform(np.log(0.2), np.log(3.0), n))
    return Tissue(t1, t1 * np.exp(random.uniform(np.log(0.03), 0, n)))
"""
_SIMULATE = _PULSES + _TISSUE + "simulate(train({pulses}), tissue({voxels}), threads=1)"
_QUANTIFY = (
    _PULSES
    + _TISSUE
    + """
from mrftool import load_model, quantify
from mrftool.formats.sequence.yaml_file import read_sequence
few = simulate(read_sequence("fisp"), tissue(500)).signal
noise = 0.002 * np.random.default_rng(1).standard_normal((500, 1000)).astype(np.float32)
rows = (few + noise)[np.arange({voxels}) % 500]
quantify(rows.reshape(-1, 64, 1, 1000), load_model("fisp"), threads=1)
"""
)
_EXPORT = (
    _PULSES
    + """
from mrftool.exporting.make import make_model
make_model(train({pulses}), t1_range=(0.1, 4.0), t2_range=(0.01, 2.0))
"""
)
_MATCH = (
    _PULSES
    + _TISSUE
    + """
from mrftool.matching.dictionary import compress_dictionary, dictionary_from_sequence
from mrftool.matching.nearest import match
made = compress_dictionary(dictionary_from_sequence(train(500), tissue({entries})), "complex")
entries = made.matcher.entries
random = np.random.default_rng(2)
rows = entries[random.integers(0, len(entries), {voxels})]
match(made.matcher, rows + 0.01 * random.standard_normal(rows.shape))
"""
)
_TRAIN = (
    _PULSES
    + """
import tempfile, torch
from pathlib import Path
from mrftool.learning.config import TrainConfig
from mrftool.learning.training import prepare_run, train as learn
torch.set_num_threads(1)
config = TrainConfig(decoder="none", steps={steps}, validate_every={steps}, batch=512)
with tempfile.TemporaryDirectory() as folder:
    run = prepare_run([train(300)], config, Path(folder), torch.device("cpu"))
    learn(run, Path(folder), lambda step, losses: None)
"""
)
CASES = (
    Case("simulate_over_voxels", _SIMULATE, "voxels", (40000, 80000, 160000), {"pulses": 500}),
    Case(
        "simulate_over_pulses",
        _SIMULATE,
        "pulses",
        (1000, 2000, 4000),
        {"voxels": 16000},
        1.5,
        "orders of long T2 grow with the train, up to where they have decayed",
    ),
    Case(
        "quantify_over_voxels",
        _QUANTIFY,
        "voxels",
        (20480, 40960, 81920),
        {},
        1.25,
        "measured 1.17 on the machine of benchmarks/README.md; the cause is not known",
    ),
    Case(
        "export_over_pulses",
        _EXPORT,
        "pulses",
        (1000, 2000, 4000),
        {},
        1.5,
        "orders grow as in simulate, and the compression is a factorisation",
    ),
    Case("match_over_entries", _MATCH, "entries", (16000, 32000, 64000), {"voxels": 20000}),
    Case("train_over_steps", _TRAIN, "steps", (160, 320, 640), {}),
    Case("match_over_voxels", _MATCH, "voxels", (100000, 200000, 400000), {"entries": 4000}),
)


def measured(code: str) -> tuple[float, float]:
    """Processor time in its own code [s] and peak memory [GB] of a process that does the work."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    source = f"{code}\nimport json, resource\nuse = resource.getrusage(resource.RUSAGE_SELF)\n"
    source += "print(json.dumps([use.ru_utime, use.ru_maxrss / 1e6]))"
    done = subprocess.run(
        [sys.executable, "-c", source], env=environment, check=True, capture_output=True, text=True
    )
    seconds, memory = json.loads(done.stdout.splitlines()[-1])
    return seconds, memory


def exponent(sizes: tuple[int, ...], values: list[float], noise: float) -> float:
    """Slope over log(size) of the logarithm of what grows from the smallest size on, by least
    squares; 0 where nothing grows beyond the noise.
    """
    larger, grown = np.subtract(sizes[1:], sizes[0]), np.subtract(values[1:], values[0])
    if grown.min() < noise:
        return 0.0
    return float(np.polyfit(np.log(larger), np.log(grown), 1)[0])


def run(case: Case, rounds: int) -> bool:
    """Print the exponents of a case; whether time grows no faster than it may."""
    times, memories = [], []
    sizes = (case.sizes[0] // _CONSTANT, *case.sizes)
    for size in sizes:
        values = case.fixed | {case.variable: size}
        code = case.code
        for name, value in values.items():
            code = code.replace("{" + name + "}", str(value))
        runs = [measured(code) for _ in range(rounds)]
        times.append(min(seconds for seconds, _ in runs))
        memories.append(min(memory for _, memory in runs))
    of_time = exponent(sizes, times, _TIME_NOISE)
    of_memory = exponent(sizes, memories, _MEMORY_NOISE)
    seconds = ", ".join(f"{value:.2f}" for value in times)
    print(f"# {case.name}: {sizes}: {seconds} s; at most {case.allowed:g} {case.reason}")
    print(f"{case.name}_time_exponent: {of_time:.2f}")
    print(f"{case.name}_memory_exponent: {of_memory:.2f}", flush=True)
    return of_time <= case.allowed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of each size; the best counts")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    options = parser.parse_args()
    chosen = [case for case in CASES if options.only in case.name]
    passed = [run(case, options.rounds) for case in chosen]
    print(f"cases_within_their_exponent: {sum(passed)} of {len(passed)}")
    sys.exit(int(not all(passed)))


if __name__ == "__main__":
    main()
