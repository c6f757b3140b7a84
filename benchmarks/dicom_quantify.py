"""A whole scan in DICOM, from the scanner's files to maps in the patient's study: time and memory
of each step.

    python benchmarks/dicom_quantify.py [--slices 10] [--size 128] [--model MODEL.onnx]

The scan is simulated with the sequence `fisp` and written as single-frame files, real and
imaginary, one per slice and repetition. Without a model file, one without an encoder is made first.
"""

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from dicom_factory import Scan, write_classic

from mrftool.exporting.make import make_model
from mrftool.formats.bids import Provenance
from mrftool.formats.dicom.read.series import open_dicom_series
from mrftool.formats.dicom.write.objects import with_units, write_dicom_maps
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.inference.quantify import quantify
from mrftool.inference.session import load_model
from mrftool.physics.simulate import simulate
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slices", type=int, default=10)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    sequence = read_sequence("fisp")
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        if options.model is None:
            options.model = here / "fisp.onnx"
            onnx.save(make_model(sequence, check=False)[0], options.model)
        maker = multiprocessing.Process(
            target=make_scan, args=(here, sequence, options)
        )  # keeps its memory to itself
        maker.start()
        maker.join()
        truth = np.load(here / "truth.npy")
        before = memory()
        start = time.perf_counter()
        series = open_dicom_series(here / "scan")
        opened = time.perf_counter()
        maps = quantify(series, load_model(options.model))
        quantified = time.perf_counter()
        provenance = Provenance(("scan",), "MR fingerprinting", "fisp")
        write_dicom_maps(here / "maps", with_units(maps), series.placement, series, provenance)
        written = time.perf_counter()
    n_files = options.slices * len(sequence) * 2
    print(f"{n_files} files, {series.n_voxels} voxels, {series.n_time} times")
    print(f"open   {opened - start:7.2f} s   {n_files / (opened - start):8.0f} files/s")
    print(
        f"maps   {quantified - opened:7.2f} s   {series.n_voxels / (quantified - opened):8.0f} "
        f"voxels/s with reading"
    )
    print(f"write  {written - quantified:7.2f} s")
    print(
        f"all    {written - start:7.2f} s   peak memory {memory():.0f} MB (before: {before:.0f} MB)"
    )
    for name, image in (("T1", maps.t1 / truth[0]), ("T2", maps.t2 / truth[1])):
        print(
            f"{name}: 95 % of the voxels within {100 * np.percentile(abs(image - 1), 95):.4f} % "
            f"of the truth"
        )


def make_scan(folder: Path, sequence: PulseSequence, options: argparse.Namespace) -> None:
    """Tissue drawn at random for 512 sorts of voxels: the scan, and the true T1 and T2 as images
    [s].
    """
    rng = np.random.default_rng(0)
    t1 = np.exp(rng.uniform(np.log(0.3), np.log(3.5), 512))
    tissue = Tissue(t1, t1 * rng.uniform(0.05, 0.4, 512))
    sorts = rng.integers(512, size=(options.size, options.size, options.slices))
    image = simulate(sequence, tissue).signal.astype(np.complex64)[sorts]
    write_classic(folder / "scan", Scan(image, parts=("real", "imaginary")))
    np.save(folder / "truth.npy", [tissue.t1[sorts], tissue.t2[sorts]])


def memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
