"""How fast a large scan is read and quantified: `name: value`.

    python benchmarks/large_scan.py FOLDER [--length 1000] [--slices 4] [--threads 2]

A complex scan of 256 x 256 x slices voxels lies in FOLDER while it runs, and in the cache of the
system; one of 500 frames is quantified with a model made for it. The best of several rounds counts.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

from large_volume import PLANE, write_scan

from mrftool.environment.shipped import find_file
from mrftool.exporting.make import make_model
from mrftool.formats.nifti.read import open_series
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.inference.quantify import quantify
from mrftool.inference.session import Model, load_model
from mrftool.sequence import PulseSequence

_COLUMNS = ("flip_angle", "rf_phase", "tr", "te")


def model_of(sequence: PulseSequence, folder: Path) -> Model:
    """The shipped model, or one without an encoder of a shorter train."""
    if len(sequence) == len(read_sequence("fisp")):
        return load_model(find_file("models", "fisp", ".onnx"))
    path = folder / "model.onnx"
    path.write_bytes(make_model(sequence, check=False)[0].SerializeToString())
    return load_model(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--length", type=int, default=1000, help="frames")
    parser.add_argument("--slices", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    fisp = read_sequence("fisp")
    first = {name: getattr(fisp, name)[: options.length] for name in _COLUMNS}
    sequence = replace(fisp, **first)
    scan = options.folder / "large.nii"
    try:
        write_scan(scan, options.slices, sequence)
        series, model = open_series(scan), model_of(sequence, options.folder)
        walls, processors = [], []
        for _ in range(options.rounds):
            wall, processor = time.perf_counter(), time.process_time()
            quantify(series, model, threads=options.threads)
            walls.append(time.perf_counter() - wall)
            processors.append(time.process_time() - processor)
    finally:
        scan.unlink(missing_ok=True)
    n_voxels = options.slices * PLANE**2
    print(f"large_scan_gigabytes: {8e-9 * n_voxels * options.length:.2f}")
    print(f"large_scan_voxels_per_s: {n_voxels / min(walls):.0f}")
    print(f"large_scan_processor_us_per_voxel: {1e6 * min(processors) / n_voxels:.2f}")


if __name__ == "__main__":
    main()
