"""How cost grows: `make bench-scaling`.

Fits the exponents of processor time and of peak memory over one size at a time, from processes of
their own; the constant part (imports, the model) is taken off. Exits with 1 where time grows
faster than the exponent that is allowed.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from scaling_cases import CASES, Case

_CONSTANT = 8  # a size this much smaller than the first shows the constant part
_TIME_NOISE, _MEMORY_NOISE = 0.02, 0.005  # growth that counts as none [s], [GB]
_OWN = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}


def measured(case: Case, sizes: dict[str, int], rounds: int) -> tuple[float, float]:
    """Least processor time in its own code [s] and peak memory [GB] of a process that does the
    work.
    """
    with tempfile.TemporaryDirectory() as folder:
        for step in case.before:
            run_step(step.format(**sizes), Path(folder))
        runs = [run_step(case.work.format(**sizes, round=k), Path(folder)) for k in range(rounds)]
    return min(seconds for seconds, _ in runs), min(memory for _, memory in runs)


def run_step(step: str, folder: Path) -> tuple[float, float]:
    """Run a command line of mrftool, or Python code; processor time in its own code [s] and peak
    memory [GB].
    """
    arguments = ["-c", step]
    if step.startswith("mrftool "):
        arguments = ["-m", *shlex.split(step)]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env=os.environ | _OWN,
            stdout=said,
            stderr=said,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            sys.exit(f"{step}\n{said.read().decode()}")
    return usage.ru_utime, usage.ru_maxrss / 1e6


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
        seconds, memory = measured(case, case.fixed | {case.variable: size}, rounds)
        times.append(seconds)
        memories.append(memory)
    of_time = exponent(sizes, times, _TIME_NOISE)
    of_memory = exponent(sizes, memories, _MEMORY_NOISE)
    shown = ", ".join(f"{value:.2f}" for value in times)
    print(f"# {case.name}: {sizes}: {shown} s; at most {case.allowed:g} {case.reason}")
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
