"""Where the time of a small scan goes, stage by stage: `make bench-stages`.

Processor time of commands as processes of their own (one thread, bytecode compiled before, the best
of several), the stages that the report of `quantify` names, and what reading the file alone takes.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np

from mrftool.environment.shipped import find_file
from mrftool.formats.open_scan import open_scan
from mrftool.formats.sequence.yaml_file import read_sequence, sequence_to_dict
from mrftool.inference.quantify import quantify
from mrftool.inference.session import load_model
from mrftool.physics.simulate import simulate
from mrftool.sequence import Invert, Pulses, PulseSequence, Wait
from mrftool.tissue import Tissue

_N_TISSUES, _NOISE = 500, 0.002
_LARGEST_RADIUS = 0.84  # of the object, relative to half the field of view


def write_scan(path: Path, shape: tuple[int, int, int]) -> None:
    """A complex scan of fisp: a cylinder of random tissues, and air."""
    random, sequence = np.random.default_rng(0), read_sequence("fisp")
    t1 = np.exp(random.uniform(np.log(0.2), np.log(3.0), _N_TISSUES))
    t2 = t1 * np.exp(random.uniform(np.log(0.05), np.log(0.5), _N_TISSUES))
    fingerprints = simulate(sequence, Tissue(t1, t2)).signal
    x, y = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape[:2]), indexing="ij")
    inside = (x**2 + y**2 < _LARGEST_RADIUS**2)[:, :, None] * np.ones(shape[2])
    kinds = random.integers(0, _N_TISSUES, shape)
    data = np.empty((*shape, len(sequence)), np.complex64, order="F")
    for time_point, frame in enumerate(fingerprints.T):
        noise = random.standard_normal((2, *shape)) * _NOISE
        data[..., time_point] = frame[kinds] * inside + noise[0] + 1j * noise[1]
    nibabel.save(nibabel.Nifti1Image(data, np.diag([2.0, 2.0, 5.0, 1.0])), path)


def processor_time(arguments: list[str], environment: dict[str, str], rounds: int) -> float:
    """Least processor time of a Python process with these arguments [s]."""
    command = [sys.executable, *arguments]
    return min(time_of(command, environment) for _ in range(rounds))


def time_of(command: list[str], environment: dict[str, str]) -> float:
    """Processor time of a process and its children [s]."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def reading_time(path: Path, rounds: int) -> float:
    """Least processor time of reading all blocks of the file [s]."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        for _ in open_scan(path).blocks():
            pass
        times.append(time.process_time() - start)
    return min(times)


def commands(environment: dict[str, str], rounds: int) -> None:
    for name, arguments in {
        "help": ["--help"],
        "sequence_list": ["sequence", "list"],
        "sequence_show": ["sequence", "show", "fisp"],
    }.items():
        with tempfile.TemporaryDirectory() as folder:
            module = ["-m", "mrftool", *arguments]
            if name == "sequence_show":
                module += ["-o", f"{folder}/show.png"]
            print(f"{name}_cpu_s: {processor_time(module, environment, rounds):.2f}", flush=True)
    modules = "mrftool.cli.app, mrftool.workflows.quantify, mrftool.workflows.quantify_balanced, "
    modules += "mrftool.workflows.kspace.quantify_coefficients"
    imports = processor_time(["-c", f"import {modules}"], environment, rounds)
    print(f"quantify_imports_cpu_s: {imports:.2f}")


def exports(folder: Path, environment: dict[str, str], rounds: int) -> None:
    """`export --encoder none` of the first 500 pulses of fisp, verification included."""
    sequence = read_sequence("fisp")
    columns = ("flip_angle", "rf_phase", "tr", "te")
    first = {column: getattr(sequence, column)[:500] for column in columns}
    short = PulseSequence(**first, events=(Invert(), Wait(0.02), Pulses()), name="fisp500")
    file = folder / "fisp500.yaml"
    file.write_text(json.dumps(sequence_to_dict(short)))
    for name, options in {"": [], "_b1": ["--b1", "0.7", "1.2"]}.items():
        model = folder / f"model{name}.onnx"
        arguments = ["-m", "mrftool", "export", "--encoder", "none", "--seq", str(file), "-q"]
        spent = processor_time([*arguments, "-o", str(model), *options], environment, rounds)
        print(f"export_500{name}_cpu_s: {spent:.2f}", flush=True)


def small_scan(folder: Path, environment: dict[str, str], rounds: int) -> None:
    """`quantify` of 128 x 128 x 3 voxels, with and without report."""
    scan = folder / "small.nii"
    write_scan(scan, (128, 128, 3))
    reading = reading_time(scan, rounds)
    print(f"small_scan_read_cpu_s: {reading:.2f}")
    quantify_it = ["-m", "mrftool", "quantify", str(scan), "--threads", "1", "-q"]
    for name, options in {"": [], "_no_report": ["--no-report"]}.items():
        output = folder / f"maps{name}"
        arguments = [*quantify_it, "-o", str(output), *options]
        spent = processor_time(arguments, environment, rounds)
        print(f"small_scan{name}_cpu_s: {spent:.2f}")
        print(f"small_scan{name}_beyond_reading_cpu_s: {spent - reading:.2f}", flush=True)
    record = json.loads((folder / "maps" / "report.json").read_text())
    for stage, seconds in record["seconds"].items():
        print(f"small_scan_stage_{stage.replace(' ', '_')}_cpu_s: {seconds['cpu']:.2f}")


def beside(versions: list[str], folder: Path, environment: dict[str, str], rounds: int) -> None:
    """Commands by other versions of mrftool, NAME=PYTHON each, in turn."""
    scan = folder / "small.nii"
    write_scan(scan, (128, 128, 3))
    quantify_it = ["quantify", str(scan), "--threads", "1"]
    for task, arguments in {
        "small_scan": quantify_it,
        "small_scan_no_report": [*quantify_it, "--no-report"],
        "help": ["--help"],
        "sequence_list": ["sequence", "list"],
    }.items():
        times = dict[str, list[float]]()
        for turn in range(rounds):
            for version in (f"this={sys.executable}", *versions):
                name, _, python = version.partition("=")
                command = [python, "-m", "mrftool", *arguments]
                if arguments[0] == "quantify":
                    command += ["-o", str(folder / f"{task}_{name}{turn}")]
                own = environment | {"PYTHONPYCACHEPREFIX": str(folder / f"bytecode_{name}")}
                times.setdefault(name, []).append(time_of(command, own))
        for name, found in times.items():
            print(f"{task}_by_{name}_cpu_s: {min(found):.2f}", flush=True)


def large_scan(folder: Path, n_slices: int) -> None:
    """Throughput of quantification alone, one thread."""
    scan = folder / "large.nii"
    write_scan(scan, (128, 128, n_slices))
    series, model = open_scan(scan), load_model(find_file("models", "fisp", ".onnx"))
    quantify(open_scan(scan), model, threads=1)
    start = time.process_time()
    quantify(series, model, threads=1)
    spent = time.process_time() - start
    print(f"large_scan_voxels: {series.n_voxels}")
    print(f"large_scan_quantify_us_per_voxel: {1e6 * spent / series.n_voxels:.2f}")
    reading = reading_time(scan, 2)
    print(f"large_scan_read_us_per_voxel: {1e6 * reading / series.n_voxels:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slices", type=int, default=12, help="of the larger scan")
    parser.add_argument(
        "--beside", nargs="+", metavar="NAME=PYTHON", help="commands by other versions, in turn"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = os.environ | {"PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
        environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        if options.beside:
            beside(options.beside, folder, environment, options.rounds)
            return
        commands(environment, options.rounds)
        exports(folder, environment, options.rounds)
        small_scan(folder, environment, options.rounds)
        if options.slices:
            large_scan(folder, options.slices)


if __name__ == "__main__":
    main()
