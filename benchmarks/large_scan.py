"""How fast a large scan is read and quantified: `name: value`.

    python benchmarks/large_scan.py FOLDER [--length 1000] [--encoder none] [--form magnitude]

A scan of 256 x 256 x slices voxels lies in FOLDER while it runs, and in the cache of the
system; one of 500 frames, or --encoder none, is quantified with a model made for it. What follows
compression runs in native code and, in turn, in ONNX Runtime. The best of several rounds counts.
Processor time of the parts is that of one thread.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from large_volume import PLANE, write_scan

from mrftool.environment.shipped import find_file
from mrftool.exporting.make import make_model
from mrftool.formats.nifti.read import open_series
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.inference.quantify import quantify
from mrftool.inference.session import (
    COMPRESSED_BATCH,
    Model,
    load_model,
    native_rest,
    run_compressed,
    split_of,
)
from mrftool.scan.compressor import CompressingReader
from mrftool.scan.series import Form, Series
from mrftool.sequence import PulseSequence

SHIPPED = {"complex": "fisp", "magnitude": "fisp_magnitude"}
WAYS = ("native", "onnxruntime")
PARTS = ("read_and_compress", "rest_native", "rest_onnxruntime")
_COLUMNS = ("flip_angle", "rf_phase", "tr", "te")


def model_of(sequence: PulseSequence, folder: Path, encoder: str, form: Form) -> Model:
    """The shipped model, or one without an encoder."""
    if encoder == "shipped" and len(sequence) == len(read_sequence("fisp")):
        return load_model(find_file("models", SHIPPED[form], ".onnx"))
    path = folder / "model.onnx"
    path.write_bytes(make_model(sequence, form=form, check=False)[0].SerializeToString())
    return load_model(path)


def without_native_code(*_: Any, **__: Any) -> None:
    """In place of `native_rest` and `native_whole`: ONNX Runtime runs the graph."""


WITHOUT_NATIVE_CODE = dict.fromkeys(("native_rest", "native_whole"), without_native_code)


def measured(run: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the wall clock, and of all threads."""
    wall, processor = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - processor


def of_parts(series: Series, model: Model) -> dict[str, float]:
    """Seconds of one thread: reading and compressing, and the rest in both ways."""
    split = split_of(model.content)
    if split is None:
        return {}
    assert isinstance(series.read, CompressingReader)
    native, times = native_rest(split), dict.fromkeys(PARTS, 0.0)
    for positions in series.pieces(None, 8 * COMPRESSED_BATCH):
        began = time.thread_time()
        columns = series.read.compressed(positions, split.compressor)
        times[PARTS[0]] += time.thread_time() - began
        for name, graph in zip(PARTS[1:], (native, None), strict=True):
            began = time.thread_time()
            run_compressed(model, split, *columns, native=graph)
            times[name] += time.thread_time() - began
    return times


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--length", type=int, default=1000, help="frames")
    parser.add_argument("--slices", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--encoder", choices=("shipped", "none"), default="shipped")
    parser.add_argument("--form", choices=("complex", "magnitude"), default="complex")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    fisp = read_sequence("fisp")
    first = {name: getattr(fisp, name)[: options.length] for name in _COLUMNS}
    sequence = replace(fisp, **first)
    scan = options.folder / "large.nii"
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    try:
        write_scan(scan, options.slices, sequence, magnitudes=options.form == "magnitude")
        series = open_series(scan)
        model = model_of(sequence, options.folder, options.encoder, options.form)
        run = partial(quantify, series, model, threads=options.threads)
        for _ in range(options.rounds):
            times["native"].append(measured(run))
            with mock.patch.multiple("mrftool.inference.quantify", **WITHOUT_NATIVE_CODE):
                times["onnxruntime"].append(measured(run))
        parts = [of_parts(series, model) for _ in range(options.rounds)]
    finally:
        scan.unlink(missing_ok=True)
    n_voxels = options.slices * PLANE**2
    print(f"large_scan_voxels: {n_voxels}")
    for way, pairs in times.items():
        walls, processors = zip(*pairs, strict=True)
        print(f"large_scan_{way}_voxels_per_s: {n_voxels / min(walls):.0f}")
        print(f"large_scan_{way}_processor_us_per_voxel: {1e6 * min(processors) / n_voxels:.2f}")
    for name in parts[0]:
        print(f"{name}_us_per_voxel: {1e6 * min(part[name] for part in parts) / n_voxels:.2f}")


if __name__ == "__main__":
    main()
