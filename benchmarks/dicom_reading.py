"""How fast a DICOM series is read, beside dcm2niix on the same files in the same run.

    python benchmarks/dicom_reading.py [--folder FOLDER] [--slices 10] [--times 1000] [--size 128]
    [--jobs N]

Without a folder, a magnitude series of single-frame files is made in a temporary one. Both programs
read every file
once and every pixel once: dcm2niix writes a NIfTI file, mrftool gives `(voxel, time)` blocks of
float32. Files lie in the page cache; each program runs three times in turn, the best counts. Where
other work keeps the processors busy, the processor time of all processes and threads says more than
the wall clock.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Seconds = NDArray[np.float64]

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="a folder with one series")
    parser.add_argument("--slices", type=int, default=10)
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument(
        "--jobs", type=int, help="processes that read headers; one per core by default"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = options.folder or make_series(Path(made), options)
        n_files = sum(path.is_file() for path in folder.rglob("*"))
        runs: dict[str, list[Seconds]] = {"dcm2niix": [], "mrftool": [], "mrftool, headers": []}
        for _ in range(3):
            runs["dcm2niix"].append(time_dcm2niix(folder))
            headers, everything = time_mrftool(folder, options.jobs)
            runs["mrftool, headers"].append(headers)
            runs["mrftool"].append(everything)
    best = {name: tuple(np.min(seconds, axis=0)) for name, seconds in runs.items()}
    print("| files/s | by the wall clock | by processor time |\n|---|--:|--:|")
    for name, (wall, cpu) in best.items():
        print(f"| {name} | {n_files / wall:.0f} | {n_files / cpu:.0f} |")
    print(
        json.dumps(
            {
                "files": n_files,
                **{name: [n_files / time for time in both] for name, both in best.items()},
            }
        )
    )


def make_series(folder: Path, options: argparse.Namespace) -> Path:
    from dicom_factory import Scan, write_classic

    rng = np.random.default_rng(0)
    image = rng.random((options.size, options.size, options.slices, 1)) * rng.random(options.times)
    write_classic(folder, Scan(image))
    return folder


def clocks() -> NDArray[np.float64]:
    """Wall clock, and processor time of this process and those that it waited for [s]."""
    used = os.times()
    return np.array(
        [time.perf_counter(), used.user + used.system + used.children_user + used.children_system]
    )


def time_dcm2niix(folder: Path) -> Seconds:
    program = shutil.which("dcm2niix")
    if program is None:
        return np.array([np.inf, np.inf])
    with tempfile.TemporaryDirectory() as out:
        start = clocks()
        subprocess.run(
            [program, "-z", "n", "-b", "n", "-o", out, folder], check=True, capture_output=True
        )
        return clocks() - start


def time_mrftool(folder: Path, jobs: int | None) -> tuple[Seconds, Seconds]:
    """Seconds until the series is open, and until all of it is read."""
    from mrftool.formats.dicom.read.series import open_dicom_series

    start = clocks()
    series = open_dicom_series(folder, jobs=jobs)
    opened = clocks() - start
    for _ in series.blocks():
        pass
    return opened, clocks() - start


if __name__ == "__main__":
    main()
