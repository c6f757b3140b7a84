"""How fast a DICOM series is read, beside dcm2niix on the same files in the same run.

    python benchmarks/dicom_reading.py [--folder FOLDER] [--slices 10] [--times 1000] [--size 128] [--jobs N]

Without a folder, a magnitude series of single-frame files is made in a temporary one. Both programs read every file
once and every pixel once: dcm2niix writes a NIfTI file, mrftool gives `(voxel, time)` blocks of float32. Files lie in
the page cache; each program runs three times in turn, the best counts.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="a folder with one series")
    parser.add_argument("--slices", type=int, default=10)
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--jobs", type=int, help="processes that read headers; one per core by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = options.folder or make_series(Path(made), options)
        n_files = sum(path.is_file() for path in folder.rglob("*"))
        best = {"dcm2niix": np.inf, "mrftool": np.inf, "mrftool, headers": np.inf}
        for _ in range(3):
            best["dcm2niix"] = min(best["dcm2niix"], time_dcm2niix(folder))
            headers, everything = time_mrftool(folder, options.jobs)
            best["mrftool, headers"] = min(best["mrftool, headers"], headers)
            best["mrftool"] = min(best["mrftool"], everything)
    for name, seconds in best.items():
        print(f"{name:18} {seconds:8.3f} s  {n_files / seconds:8.0f} files/s")
    print(json.dumps({"files": n_files, **{name: n_files / seconds for name, seconds in best.items()}}))


def make_series(folder: Path, options: argparse.Namespace) -> Path:
    from dicom_factory import Scan, write_classic

    rng = np.random.default_rng(0)
    image = rng.random((options.size, options.size, options.slices, 1)) * rng.random(options.times)
    write_classic(folder, Scan(image))
    return folder


def time_dcm2niix(folder: Path) -> float:
    program = shutil.which("dcm2niix")
    if program is None:
        return np.inf
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        subprocess.run([program, "-z", "n", "-b", "n", "-o", out, folder], check=True, capture_output=True)
        return time.perf_counter() - start


def time_mrftool(folder: Path, jobs: int | None) -> tuple[float, float]:
    """Seconds until the series is open, and until all of it is read."""
    from mrftool.formats.dicom.read import open_dicom_series

    start = time.perf_counter()
    series = open_dicom_series(folder, jobs=jobs)
    opened = time.perf_counter() - start
    for _ in series.blocks():
        pass
    return opened, time.perf_counter() - start


if __name__ == "__main__":
    main()
