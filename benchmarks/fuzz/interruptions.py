"""Stop commands at random moments: `make interrupt`, or `python -m fuzz.interruptions --cases 200`.

Each case runs one command and, at a random moment, ends it with SIGKILL, SIGTERM or SIGINT, lets
the disk run full, or cuts a file short that it reads. Then every output must be whole or absent,
those of an earlier run in the same folder must be the old ones or the new ones, nothing else may
lie beside them, and what the user reads must be no traceback. A training is resumed, half of the
time with a damaged last checkpoint, and must end with the same bytes as one without a pause.
"""

import argparse
import faulthandler
import importlib
import io
import json
import os
import pkgutil
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import mrftool
from fuzz.__main__ import prepare
from fuzz.run_case import clear

KINDS = ("kill", "terminate", "interrupt", "full disk", "cut input")
SIGNALS = {
    "kill": signal.SIGKILL,
    "terminate": signal.SIGTERM,
    "interrupt": signal.SIGINT,
}
COMMANDS: dict[str, list[str]] = {
    "simulate": ["simulate", "--seq", "in/tiny.yaml", "--phantom", "brain", "--matrix", "48",
                 "--snr", "40", "-o", "out/scan.nii.gz"],
    "dictionary": ["simulate", "--seq", "in/tiny.yaml", "--t1-ms", "100:5:4000", "--t2-ms",
                   "10:5:400", "-o", "out/dictionary.npz"],
    "train": ["train", "--seq", "in/tiny.yaml", "--steps", "24", "--batch", "16",
              "--encoder", "fc", "--device", "cpu", "-o", "out/run"],
    "export": ["export", "--seq", "in/tiny.yaml", "--encoder", "none", "--allow-inaccurate",
               "-o", "out/m.onnx"],
    "quantify": ["quantify", "in/scan.nii", "--model", "in/m.onnx", "-o", "out/maps"],
    "quantify gz": ["quantify", "in/scan.nii.gz", "--model", "in/m.onnx", "-o", "out/maps"],
    "match": ["match", "in/scan.nii", "--dictionary", "in/d.npz", "-o", "out/maps"],
}  # fmt: skip
RESUME = ["train", "--resume", "--device", "cpu", "-o", "out/run"]
CODES = (0, 2, 3, 128 + signal.SIGINT, 128 + signal.SIGTERM, -signal.SIGTERM, -signal.SIGKILL)
EXACT = (".nii.gz", ".nii", ".onnx", ".safetensors", ".csv")  # the same bytes from every run
DECORATIONS = ("overview.png", "report.html", "curve.png", "previous.safetensors")
LONGEST = 600.0  # [s]
_STEP = 0.005  # between looks at a child [s]
# Packages that start a thread when they are imported: in a forked process it is missing, and
# whoever waits for it waits for ever.
_WITH_THREADS = ("onnxruntime",)
WATCHER = 5.0  # how long the watcher of a killed process may take on a busy machine [s]


@dataclass
class Reference:
    """A command that nobody interrupts: its outputs, and how long it takes [s]."""

    files: dict[str, bytes]
    seconds: float


@dataclass
class Trial:
    """One interruption and what was wrong after it."""

    command: str
    kind: str
    moment: float
    code: int = 0
    said: str = ""
    faults: list[str] = field(default_factory=list)


def main() -> None:
    """Run as many trials as asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=int(time.strftime("%Y%m%d")))
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=60.0, help="stop after so many")
    parser.add_argument("--commands", nargs="+", choices=list(COMMANDS), default=list(COMMANDS))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    default = Path(tempfile.gettempdir(), "mrftool-interruptions")
    parser.add_argument("--folder", type=Path, default=default, help="cleared first")
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.cases} interruptions", flush=True)
    work = clear(options.folder.resolve())
    seeds = clear(work / "seeds")
    prepare(seeds, _WITH_THREADS)
    _import_all()
    _compress(seeds)
    references = {name: _reference(name, seeds, work) for name in options.commands}
    count: Counter[str] = Counter()
    failed, end = 0, time.monotonic() + 60 * options.minutes
    for k in range(options.cases):
        rng = np.random.default_rng((options.seed, k))
        name = options.commands[k % len(options.commands)]
        kind = options.kinds[int(rng.integers(len(options.kinds)))]
        trial = _try(rng, name, kind, references[name], seeds, clear(work / f"case-{k}"))
        count[f"{name}, {trial.kind}: exit code {trial.code}"] += 1
        failed += bool(trial.faults)
        if trial.faults:
            print(f"{k}: {json.dumps(vars(trial))}", flush=True)
        else:
            shutil.rmtree(work / f"case-{k}")
        if time.monotonic() > end:
            break
    for text, number in sorted(count.items()):
        print(f"{number:5} x {text}")
    print(f"{count.total() - failed} of {count.total()} clean")
    sys.exit(1 if failed else 0)


def _import_all() -> None:
    """Import here, once, what the commands import while they run."""
    for module in pkgutil.walk_packages(mrftool.__path__, "mrftool."):
        if not module.name.rpartition(".")[2].startswith("_"):
            with suppress(ImportError):
                importlib.import_module(module.name)


def _compress(seeds: Path) -> None:
    subprocess.run(["gzip", "-k", str(seeds / "scan.nii")], check=True)
    shutil.copy(seeds / "scan.json", seeds / "scan.gz.json")


def _reference(name: str, seeds: Path, work: Path) -> Reference:
    folder = _place(clear(work / "reference"), seeds)
    begun = time.monotonic()
    code, said = _wait(_start(COMMANDS[name], folder), folder)
    seconds = time.monotonic() - begun
    if code != 0:
        sys.exit(f"{name}: exit code {code}: {said}")
    return Reference(_contents(folder / "out"), seconds)


def _place(folder: Path, seeds: Path) -> Path:
    """Inputs and an empty folder for outputs."""
    (folder / "in").mkdir()
    for name in ("tiny.yaml", "scan.nii", "scan.nii.gz", "scan.json", "m.onnx", "d.npz"):
        shutil.copy(seeds / name, folder / "in")
    (folder / "out").mkdir()
    return folder


def _try(
    rng: np.random.Generator,
    name: str,
    kind: str,
    reference: Reference,
    seeds: Path,
    folder: Path,
) -> Trial:
    _place(folder, seeds)
    trial = Trial(name, kind, round(float(rng.uniform(0, reference.seconds)), 3))
    arguments = list(COMMANDS[name])
    is_second = name != "train" and kind != "full disk" and rng.random() < 0.4
    if is_second:  # an earlier run has left its outputs
        _write(reference.files, folder / "out")
        if "maps" in arguments[-1]:
            arguments.append("--overwrite")
    size = sum(map(len, reference.files.values()))
    with _Disk(folder / "out", int(rng.uniform(0, 1.5 * size)), kind == "full disk"):
        child = _start(arguments, folder)
        _interrupt(rng, trial, child, folder)
        trial.code, trial.said = _wait(child, folder)
        _settle(folder / "out")
        trial.faults = _faults(trial, reference, folder / "out", is_second)
        if name == "train" and kind != "full disk":
            trial.faults += _resume(rng, reference, folder)
    return trial


class _Disk:
    """A small file system over the outputs; without the right to mount one, a full disk is not
    tried.
    """

    def __init__(self, folder: Path, size: int, is_full: bool) -> None:
        self._folder, self._size, self._is_full = folder, max(size, 1 << 14), is_full

    def __enter__(self) -> None:
        if self._is_full:
            size = f"size={self._size}"
            command = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(self._folder)]
            subprocess.run(command, check=True)

    def __exit__(self, *error: object) -> None:
        if self._is_full:
            subprocess.run(["umount", "-l", str(self._folder)], check=True)


def _start(arguments: list[str], folder: Path) -> int:
    """Run a command in a forked process, as the program does it; what it says goes to a file."""
    child = os.fork()
    if child:
        return child
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # until the program is there to meet it
    try:
        output = os.open(folder / "said", os.O_CREAT | os.O_WRONLY)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(folder)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        faulthandler.register(signal.SIGUSR1)
        _validate_often()
        _draw_little()
        sys.argv = ["mrftool", *arguments]
        from mrftool.cli.app import main as program

        signal.signal(signal.SIGINT, signal.default_int_handler)
        program()
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(end.code if isinstance(end.code, int) else 1)
    except BaseException:
        traceback.print_exc()
    os._exit(99)


def _validate_often() -> None:
    """A checkpoint after every fourth step, so that a short training has many."""
    from mrftool.learning import training

    def is_validated(run: training.TrainingRun) -> bool:
        return run.step % 4 == 0

    training._is_validated = is_validated
    training._VALIDATION_VOXELS = 64


def _draw_little() -> None:
    """Pictures take most of the time of a command: put a few bytes in their place."""
    import matplotlib.figure

    def save(self: object, path: object, **options: object) -> None:
        Path(str(path)).write_bytes(b"\x89PNG")

    matplotlib.figure.Figure.savefig = save  # type: ignore[method-assign,assignment]


def _interrupt(rng: np.random.Generator, trial: Trial, child: int, folder: Path) -> None:
    if trial.kind == "full disk":
        return
    time.sleep(trial.moment)
    if trial.kind in SIGNALS:
        os.kill(child, SIGNALS[trial.kind])
    else:
        inputs = sorted((folder / "in").iterdir())
        path = inputs[int(rng.integers(len(inputs)))]
        os.truncate(path, int(rng.uniform(0, path.stat().st_size)))


def _wait(child: int, folder: Path) -> tuple[int, str]:
    """Exit code, and what was said; 98, and where it stood, for what takes longer than LONGEST.

    Counted in steps, so that no time counts in which somebody stopped the campaign (SIGSTOP).
    """
    for _ in range(int(LONGEST / _STEP)):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), _said(folder)
        time.sleep(_STEP)
    os.kill(child, signal.SIGUSR1)  # the stacks of all threads
    time.sleep(1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 98, f"hang: {_said(folder)}"


def _said(folder: Path) -> str:
    path = folder / "said"
    if path.exists():
        return path.read_text(errors="replace")[-4000:]
    return ""


def _settle(out: Path) -> None:
    """Give the watcher of a killed process its time."""
    end = time.monotonic() + WATCHER
    while time.monotonic() < end and any(".part." in str(path) for path in out.rglob("*")):
        time.sleep(0.01)
    time.sleep(0.05)


def _faults(trial: Trial, reference: Reference, out: Path, is_second: bool) -> list[str]:
    faults = []
    if trial.code not in CODES or "Traceback" in trial.said:
        faults.append(f"exit code {trial.code}")
    if trial.kind in ("full disk", "cut input") and trial.code < 0:
        faults.append("a crash")
    found = _contents(out)
    faults += [f"left behind: {name}" for name in found if not _is_expected(name, reference)]
    for name, content in found.items():
        if not _is_whole(name, content, reference):
            faults.append(f"not whole: {name}")
    if is_second:
        kept = (name for name in reference.files if Path(name).name not in DECORATIONS)
        faults += [f"lost: {name}" for name in kept if name not in found]
    return faults


def _is_expected(name: str, reference: Reference) -> bool:
    return name in reference.files or Path(name).name in DECORATIONS


def _is_whole(name: str, content: bytes, reference: Reference) -> bool:
    """The bytes of an uninterrupted run, or where those hold times, a complete file of its kind."""
    if name.startswith("run/"):
        return len(content) > 0  # of an earlier step: resuming shows that it is whole
    if name.endswith(EXACT):
        return content == reference.files[name]
    if name.endswith(".npz"):
        return zipfile.is_zipfile(io.BytesIO(content))
    if name.endswith(".json"):
        return _is_json(content)
    if name.endswith(".html"):
        return content.rstrip().endswith(b"</html>")
    return len(content) > 0


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


def _resume(rng: np.random.Generator, reference: Reference, folder: Path) -> list[str]:
    """Resume a training, half of the time from a damaged checkpoint, and compare its end."""
    run = folder / "out" / "run"
    last = run / "last.safetensors"
    if not last.exists() or not (folder / "in" / "tiny.yaml").stat().st_size:
        return []
    steps = reference.files["run/last.safetensors"]
    if last.read_bytes() == steps:
        return []
    if (run / "previous.safetensors").exists() and rng.random() < 0.5:
        os.truncate(last, int(rng.uniform(0, last.stat().st_size)))
    code, said = _wait(_start(RESUME, folder), folder)
    if code != 0:
        return [f"cannot be resumed: exit code {code}: {said[-300:]}"]
    found = _contents(folder / "out")
    names = ("run/last.safetensors", "run/best.safetensors")
    return [
        f"resumed to other bytes: {name}" for name in names if found[name] != reference.files[name]
    ] + [f"left behind: {name}" for name in found if name not in reference.files]


def _contents(folder: Path) -> dict[str, bytes]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def _write(files: dict[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
