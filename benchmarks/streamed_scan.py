"""How fast a compressed scan is quantified beside inflating it, and the memory of whole commands:
`name: value`.

    python benchmarks/streamed_scan.py FOLDER [--slices 2 4] [--dicom 1 2] [--rounds 3]

Scans of 256 x 256 x slices x 1000 complex64, tissue in noise, lie in FOLDER while they run, one
after the other; those of DICOM have 128 x 128 pixels. In turn, the best of several rounds counts:
the compressed scan is inflated by isal and by zlib, one thread each, and quantified with the
shipped model. Memory is the most that was resident of `mrftool quantify`.
"""

import argparse
import gzip
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from isal import igzip
from large_volume import PLANE, compress

from mrftool.environment.shipped import find_file
from mrftool.formats.nifti.read import open_series
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.inference.quantify import quantify as quantify_series
from mrftool.inference.session import load_model
from mrftool.physics.simulate import simulate
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

_CHUNK = 4 << 20
_PIXELS = 128  # of DICOM images, along each side
_TISSUE, _NOISE = 0.6, 0.005  # share of the voxels; of M0, about 5 % of a typical signal
_ALLOWED = [part for name in ("tr", "te", "flip-angle") for part in ("--allow", name)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--slices", type=int, nargs="*", default=[2, 4])
    parser.add_argument("--dicom", type=int, nargs="*", default=[1, 2], help="slices of DICOM")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    sequence = read_sequence("fisp")
    maps = options.folder / "maps"
    for slices in options.slices:
        scan = options.folder / "scan.nii"
        apart(write_scan, scan, slices, sequence)
        show_command(f"nii_{slices}_slices", scan, maps)
        packed = compress(scan)
        try:
            show_command(f"nii_gz_{slices}_slices", packed, maps)
            if slices == max(options.slices):
                apart(show_rates, packed, slices, options)
        finally:
            packed.unlink()
    for slices in options.dicom:
        scan = options.folder / "dicom"
        apart(write_dicom, scan, slices, sequence)
        show_command(f"dicom_{slices}_slices", scan, maps)
        shutil.rmtree(scan)


def apart(work: Callable[..., None], *arguments: Any) -> None:
    """Call `work` in a process of its own: what this one holds counts as resident in its
    children.
    """
    child = multiprocessing.Process(target=work, args=arguments)
    child.start()
    child.join()
    if child.exitcode:
        raise SystemExit(f"{work.__name__} failed")


def show_command(name: str, scan: Path, maps: Path) -> None:
    """The whole command: its time, and the most memory that was resident."""
    command = ["quantify", str(scan), "-o", str(maps), "--no-report", *_ALLOWED]
    began = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", "mrftool", *command], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    if status:
        raise SystemExit("quantify failed")
    print(f"{name}_seconds: {time.perf_counter() - began:.2f}")
    print(f"{name}_processor_seconds: {used.ru_utime + used.ru_stime:.2f}")
    print(f"{name}_resident_mb: {used.ru_maxrss / 1024:.0f}", flush=True)
    shutil.rmtree(maps)


def show_rates(packed: Path, slices: int, options: argparse.Namespace) -> None:
    """Voxels per second of inflating and of quantifying."""
    model = load_model(find_file("models", "fisp", ".onnx"))

    def quantified() -> None:
        quantify_series(open_series(packed), model, threads=options.threads)

    works: dict[str, Callable[[], None]] = {
        "quantify": quantified,
        "inflate_isal": lambda: inflate(igzip.open, packed),
        "inflate_zlib": lambda: inflate(gzip.open, packed),
    }
    walls = dict.fromkeys(works, np.inf)
    processors = dict(walls)
    for _ in range(options.rounds):
        for name, work in works.items():
            wall, processor = time.perf_counter(), time.process_time()
            work()
            walls[name] = min(walls[name], time.perf_counter() - wall)
            processors[name] = min(processors[name], time.process_time() - processor)
    n_voxels = slices * PLANE**2
    for name in works:
        print(f"nii_gz_{name}_gigabytes_per_s: {8e-6 * n_voxels / walls[name]:.2f}")
        print(f"nii_gz_{name}_voxels_per_s: {n_voxels / walls[name]:.0f}")
        print(f"nii_gz_{name}_processor_us_per_voxel: {1e6 * processors[name] / n_voxels:.2f}")
    print(f"nii_gz_quantify_over_inflate: {walls['inflate_isal'] / walls['quantify']:.2f}")


def inflate(opener: Callable[..., Any], path: Path) -> None:
    buffer = bytearray(_CHUNK)
    with opener(path) as file:
        while file.readinto(buffer):
            pass


def fingerprints(sequence: PulseSequence) -> np.ndarray:
    """Of random tissue `(time, tissue)`."""
    random = np.random.default_rng(0)
    t1 = random.uniform(0.3, 3.0, 500)
    signal = simulate(sequence, Tissue(t1, t1 * random.uniform(0.03, 0.3, t1.size))).signal
    return np.ascontiguousarray(signal.T, np.complex64)


def write_scan(path: Path, slices: int, sequence: PulseSequence) -> None:
    """Tissue in noise, with air around it."""
    random, frames = np.random.default_rng(1), fingerprints(sequence)
    shape = (PLANE, PLANE, slices)
    sorts, inside = random.integers(frames.shape[1], size=shape), random.random(shape) < _TISSUE
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.complex64)
    header.set_data_shape((*shape, len(frames)))
    header.set_xyzt_units("mm", "sec")
    header.set_sform(np.eye(4), 1)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    with path.open("wb") as file:
        file.write(header.binaryblock + b"\0\0\0\0")
        for frame in frames:
            noise = _NOISE * random.standard_normal((*shape, 2), np.float32)
            image = frame[sorts] * inside + noise.view(np.complex64)[..., 0]
            file.write(image.astype(np.complex64).tobytes(order="F"))


def write_dicom(folder: Path, slices: int, sequence: PulseSequence) -> None:
    """Single-frame files of tissue, real and imaginary."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
    from dicom_factory import Scan, write_classic

    random, frames = np.random.default_rng(1), fingerprints(sequence)
    sorts = random.integers(frames.shape[1], size=(_PIXELS, _PIXELS, slices))
    noise = _NOISE * random.standard_normal((*sorts.shape, len(frames), 2), np.float32)
    image = frames.T[sorts] + noise.view(np.complex64)[..., 0]
    write_classic(folder, Scan(image, parts=("real", "imaginary")))


if __name__ == "__main__":
    main()
