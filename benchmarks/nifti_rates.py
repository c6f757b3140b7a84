"""How fast fingerprint series are read and written: MB of numbers per second, the best of some
repetitions.

    python benchmarks/nifti_rates.py [--slices 16] [--times 1000] [--repeat 3] [--folder /var/tmp]

A series of 64 x 64 x slices x times complex64 with noise. "cold" asks the kernel to forget the file
first (a virtual disk may still have it). "nibabel, whole" loads the volume and transposes it in one
go, which is what blocks replace.
"""

import argparse
import gzip
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
from isal import igzip

from mrftool.formats.nifti.read import open_series
from mrftool.formats.nifti.write import write_series
from mrftool.grid import Placement
from mrftool.scan.series import c_order

CHUNK = 4 << 20


def blocks(shape, n_time, dtype):
    """Decaying fingerprints with noise, slice by slice."""
    rng = np.random.default_rng(0)
    decay = np.exp(-np.arange(n_time) / 200).astype("f4")
    for start in range(0, int(np.prod(shape)), 4096):
        signal = np.empty((4096, n_time), dtype)
        signal.real = rng.normal(decay, 0.05, (4096, n_time))
        if dtype == "c8":
            signal.imag = rng.normal(0, 0.05, (4096, n_time))
        yield c_order(np.arange(start, start + 4096), shape), signal


def inflate(opener: Callable, path: Path) -> None:
    buffer = bytearray(CHUNK)
    with opener(path, "rb") as file:
        while file.readinto(buffer):
            pass


def deflate(opener: Callable, source: Path, path: Path) -> None:
    with source.open("rb") as raw, opener(path, "wb", compresslevel=1) as file:
        shutil.copyfileobj(raw, file, CHUNK)


def read(path: Path, mask=None) -> None:
    for _, signal in open_series(path).blocks(mask):
        assert signal.flags.c_contiguous


def read_whole(path: Path) -> None:
    image = np.asanyarray(nibabel.load(path).dataobj)
    np.ascontiguousarray(image.reshape(-1, image.shape[-1], order="F"))


def forget(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    os.fsync(file)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(file)


def best(what: Callable, repeat: int, before: Callable = lambda: None) -> float:
    times = []
    for _ in range(repeat):
        before()
        start = time.perf_counter()
        what()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=16)
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", default="/var/tmp")
    options = parser.parse_args()
    shape, n_time = (64, 64, options.slices), options.times
    megabytes = np.prod(shape) * n_time * 8 / 1e6
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        plain, packed, other = (Path(folder, name) for name in ("s.nii", "s.nii.gz", "o.nii.gz"))
        made = list(blocks(shape, n_time, "c8"))

        def write(path):
            return lambda: write_series(path, shape, Placement(np.eye(4)), n_time, made)

        half = np.random.default_rng(0).random(shape) < 0.5
        tasks = {
            "write .nii": (write(plain),),
            "write .nii.gz": (write(packed),),
            "read .nii": (lambda: read(plain),),
            "read .nii, cold": (lambda: read(plain), lambda: forget(plain)),
            "read .nii, half of the voxels": (lambda: read(plain, half),),
            "read .nii, nibabel, whole": (lambda: read_whole(plain),),
            "read .nii.gz": (lambda: read(packed),),
            "read .nii.gz, nibabel, whole": (lambda: read_whole(packed),),
            "inflate with isal": (lambda: inflate(igzip.open, packed),),
            "inflate with zlib": (lambda: inflate(gzip.open, packed),),
            "deflate with isal, level 1": (lambda: deflate(igzip.open, plain, other),),
            "deflate with zlib, level 1": (lambda: deflate(gzip.open, plain, other),),
        }
        print(f"{megabytes:.0f} MB of complex64, {shape} voxels, {n_time} times")
        for name, (what, *before) in tasks.items():
            print(
                f"{name:32s} {megabytes / best(what, options.repeat, *before):6.0f} MB/s",
                flush=True,
            )


if __name__ == "__main__":
    main()
