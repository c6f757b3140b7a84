"""A data set of 40 scans, two of them damaged, one that kills its worker. Prints `name: value`.

    python benchmarks/cohort.py [--scans 40] [--workers 2] [--mem-mb 3000] [--second 6]
    python benchmarks/cohort.py --scaling 1,2,4 [--scans 16]

Runs `mrftool bids` twice on local workers: what is done, what failed and why, and what a rerun
changes. Then `--second` scans on a scheduler that was started by hand on the loopback interface,
one of them the scan that kills its worker. The damage is done to sub-02 (cut off) and sub-03 (no
image). The BIDS validator checks the maps where it is installed (bids-validator-deno). --scaling
runs sound scans alone, with each number of workers in turn; the time of a scan is that of those
after the first of each worker.
"""

import argparse
import csv
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from cohort_tasks import killing_sub_40

from mrftool.cli.app import run
from mrftool.cohort import participants
from mrftool.exporting.make import make_model
from mrftool.formats.sequence.yaml_file import sequence_to_dict
from mrftool.inference.model.onnx_file import write_model
from mrftool.sequence import Inversion, PulseSequence, Train

SUPPORT = Path(__file__).resolve().parents[1] / "tests" / "support"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scans", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--mem-mb", type=int, default=3000)
    parser.add_argument("--second", type=int, default=6)
    parser.add_argument("--scaling", default="", help="numbers of workers, with commas")
    options = parser.parse_args()
    if options.scaling:
        scaling([int(text) for text in options.scaling.split(",")], options.scans)
        return
    participants.run_tasks = partial(participants.run_tasks, work=killing_sub_40)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, dataset = made(folder, options.scans)
        local = ["--n-cpus", str(options.workers), "--mem-mb", str(options.mem_mb)]
        print("memory_of_a_worker_megabytes:", options.mem_mb // options.workers)
        first_and_rerun(dataset, folder / "out", [*local, "--model", str(model)])
        print("bids_validator_errors:", validator_errors(folder / "out"))
        if options.second:
            labels = [f"{number:02d}" for number in range(1, options.second)] + ["40"]
            with scheduler() as address:
                second = ["--scheduler", address, "--model", str(model)]
                for label in labels:
                    second += ["--participant-label", label]
                code = bids(dataset, folder / "second", second)
            print("second_scheduler_exit_code:", code)
            show(folder / "second", "second_scheduler_")


def scaling(numbers: list[int], scans: int) -> None:
    """Time of as many sound scans with each number of workers."""
    print("processors:", len(os.sched_getaffinity(0)))
    alone = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, dataset = made(folder, scans, is_damaged=False)
        for workers in numbers:
            output = folder / f"out_{workers}"
            more = ["--n-cpus", str(workers), "--model", str(model), "--skip-bids-validation"]
            code = bids(dataset, output, more)
            ends = sorted(path.stat().st_mtime for path in output.rglob("done.json"))
            print(f"exit_code_{workers}:", code)
            # the first scan of each worker also loads what the others find loaded
            seconds = (ends[-1] - ends[workers - 1]) / (len(ends) - workers)
            alone = alone or seconds
            print(f"seconds_a_scan_with_{workers}: {seconds:.2f}")
            print(f"speedup_with_{workers}: {alone / seconds:.2f}")


def validator_errors(folder: Path) -> str:
    """How many errors the BIDS validator finds."""
    place = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    tool = shutil.which("bids-validator-deno", path=place)
    if tool is None:
        return "not installed"
    done = subprocess.run(
        [tool, "--json", str(folder)], capture_output=True, text=True, check=False, timeout=300
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    errors = [issue for issue in issues if issue["severity"] == "error"]
    for issue in errors[:10]:
        print("validator:", issue.get("code"), issue.get("location"))
    return str(len(errors))


def first_and_rerun(dataset: Path, output: Path, options: list[str]) -> None:
    """Both runs on local workers."""
    start = time.monotonic()
    with peak_of_children() as peak:
        code = bids(dataset, output, options)
    print("exit_code:", code)
    print("seconds:", round(time.monotonic() - start))
    print("largest_worker_megabytes:", max(peak, default=0) >> 10)
    show(output, "")
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*.nii.gz")}
    bids(dataset, output, options)
    after = {path: path.stat().st_mtime_ns for path in output.rglob("*.nii.gz")}
    print("maps:", len(before))
    print("maps_changed_by_rerun:", sum(after.get(path) != when for path, when in before.items()))
    show(output, "rerun_")


def bids(dataset: Path, output: Path, options: list[str]) -> int:
    """Run the command; its exit code."""
    return run(["bids", str(dataset), str(output), "participant", *options])


def show(output: Path, prefix: str) -> None:
    """Print the table of a run."""
    with (output / "status.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for state in ("done", "skipped", "failed"):
        print(f"{prefix}{state}:", sum(row["state"] == state for row in rows))
    for row in rows:
        if row["state"] == "failed":
            print(f"{prefix}reason_{row['scan']}:", row["reason"][-90:])


def made(folder: Path, scans: int, is_damaged: bool = True) -> tuple[Path, Path]:
    """A model, and a data set."""
    flips = np.deg2rad(5 + 55 * np.sin(np.pi * np.arange(40) / 40))
    zeros, tr, te = np.zeros(40), np.full(40, 0.012), np.full(40, 0.003)
    sequence = PulseSequence(flips, zeros, tr, te, Train(Inversion(1.0, 0.02)).events, name="short")
    model = folder / "short.onnx"
    write_model(make_model(sequence, tolerance=1e-3, check=False)[0], model)
    (folder / "short.yaml").write_text(yaml.safe_dump(sequence_to_dict(sequence)))
    scan = folder / "brain.nii.gz"
    phantom = ["--phantom", "brain", "--matrix", "16", "--snr", "50", "-o", str(scan)]
    run(["simulate", "--seq", str(folder / "short.yaml"), *phantom])
    dataset = folder / "study"
    for number in [*range(1, scans), 40]:
        subject = f"sub-{number:02d}"
        anat = dataset / subject / "anat"
        anat.mkdir(parents=True)
        shutil.copy(scan, anat / f"{subject}_MRF.nii.gz")
        shutil.copy(folder / "brain.json", anat / f"{subject}_MRF.json")
    (dataset / "dataset_description.json").write_text('{"Name": "study", "BIDSVersion": "1.10.0"}')
    (dataset / ".bidsignore").write_text("*_MRF.*\n")
    (dataset / "README").write_text("Forty scans of a phantom.\n")
    if not is_damaged:
        return model, dataset
    damaged = dataset / "sub-02/anat/sub-02_MRF.nii.gz"
    damaged.write_bytes(damaged.read_bytes()[:3000])
    (dataset / "sub-03/anat/sub-03_MRF.nii.gz").write_bytes(b"no image")
    return model, dataset


@contextmanager
def peak_of_children() -> Iterator[list[int]]:
    """Samples of the anonymous memory of each process below this one [KB]."""
    samples: list[int] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.2):
            samples.extend(_anonymous(pid) for pid in _descendants(os.getpid()))
            samples[:] = [max(samples, default=0)]

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield samples
    finally:
        stop.set()
        watcher.join()


def _descendants(parent: int) -> list[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    found, new = [], [parent]
    while new:
        new = [pid for pid, above in parents.items() if above in new]
        found += new
    return found


def _anonymous(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)


@contextmanager
def scheduler() -> Iterator[str]:
    """A dask scheduler with two workers, started by hand on the loopback interface."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    path = os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    here, quiet = ["--host", "127.0.0.1"], ["--no-dashboard"]
    worker = [address, *here, "--nworkers", "2", "--nthreads", "1", "--memory-limit", "0", *quiet]
    commands = {
        "distributed.cli.dask_scheduler": [*here, "--port", str(port), *quiet],
        "distributed.cli.dask_worker": worker,
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        for module, arguments in commands.items()
    ]
    try:
        yield address
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
