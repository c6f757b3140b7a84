"""One command in a process of its own, with limits, and what is wrong with how it ended."""

import os
import resource
import select
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

EXIT_CODES = (0, 2, 3, 4, 5, 6)
MEMORY = 3 << 30  # limit of the process [bytes]
TOO_MUCH = 2 << 20  # resident memory that counts as a fault [KiB]
SECONDS = 30  # of processor time


@dataclass(frozen=True)
class Outcome:
    """How a command ended; `faults` is empty if that is as it should be."""

    arguments: list[str]
    code: int
    seconds: float
    megabytes: float
    said: str
    faults: list[str]

    def as_dict(self) -> dict[str, object]:
        """Plain data, for a JSON file."""
        return asdict(self)


def run_case(
    work: Callable[[], int], folder: Path, arguments: list[str], seconds: int = SECONDS
) -> Outcome:
    """Run `work` in a forked process in `folder`; what it prints goes to a file there.

    seconds: of processor time; four times as many may pass on a clock.
    """
    (folder / "out").mkdir(exist_ok=True)
    before = _files(folder)
    said = folder / ".said"
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        _be_child(work, folder, said, seconds)
    status, usage, is_late = _wait(child, seconds)
    text = said.read_text(errors="replace")
    said.unlink()
    new = sorted(_files(folder) - before - {".said"})
    code = os.waitstatus_to_exitcode(status)
    faults = _faults(code, text, new, usage.ru_maxrss, is_late)
    seconds = round(time.monotonic() - begun, 2)
    return Outcome(arguments, code, seconds, usage.ru_maxrss / 1024, text[-4000:], faults)


def _be_child(work: Callable[[], int], folder: Path, said: Path, seconds: int) -> None:
    code = 99
    try:
        output = os.open(said, os.O_CREAT | os.O_WRONLY)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(folder)
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        code = work()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _wait(child: int, seconds: int) -> tuple[int, resource.struct_rusage, bool]:
    """Wait for a child; end it when it takes too long.

    Counted in steps, so that no time counts in which somebody stopped the campaign (SIGSTOP).
    """
    descriptor = os.pidfd_open(child)
    ready: list[int] = []
    for _ in range(4 * seconds):
        ready, _, _ = select.select([descriptor], [], [], 1.0)
        if ready:
            break
    if not ready:
        os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    os.close(descriptor)
    return status, usage, not ready


def _faults(code: int, text: str, new: list[str], kilobytes: int, is_late: bool) -> list[str]:
    """What is wrong: a traceback, a hang, too much memory, a part of an output left behind."""
    faults = []
    if is_late or -code in (signal.SIGXCPU, signal.SIGKILL):
        faults.append("hang")
    elif code not in EXIT_CODES or "Traceback (most recent" in text:
        faults.append(f"exit code {code}: {_last_line(text)}")
    if kilobytes > TOO_MUCH:
        faults.append(f"{kilobytes >> 10} MB")
    if "\x1b" in text:
        faults.append("escape sequence")
    parts = [name for name in new if ".part." in name]
    if parts or (code != 0 and new):
        faults.append(f"left behind: {', '.join(new[:3])}")
    return faults


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    places = [line.strip() for line in lines if "mrftool/" in line and "line" in line]
    return " | ".join([*places[-1:], *lines[-1:]])[:300]


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def clear(folder: Path) -> Path:
    """An empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
