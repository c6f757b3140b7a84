"""The headers of DICOM files that only pydicom can read, many of them by several processes.

Python parses headers on one core only, so many files are dealt out to workers: this module run as a
program, which takes lists of files on standard input and answers in JSON. (A pool of the standard
library would copy this process or import its main module again; both go wrong in programs of other
people that call us.)
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mrftool.arrays import Progress
from mrftool.environment.child_process import python_command, python_environment
from mrftool.environment.threads import usable_processors
from mrftool.errors import InputError
from mrftool.formats.dicom.headers.files import File
from mrftool.formats.dicom.headers.header import read_header
from mrftool.formats.dicom.headers.keywords import Values
from mrftool.formats.scan_request import ShowProgress

_BATCH = 64
_WORTH_A_PROCESS = 300  # files; a worker takes half a second to start


def read_headers(
    files: Sequence[File], jobs: int | None, show: ShowProgress
) -> list[Values | None]:
    """The header of each file, in order; None for files that only looked like DICOM.

    Parameters
    ----------
    files : sequence of File
        Those without a header are read.
    jobs : int or None
        Number of processes; None for one per core and 300 files.
    show : callable
        Shows how many of them have been read, as `Reporter.progress` does.

    Raises
    ------
    InputError
        Naming the first damaged file, and how many more there are.
    """
    read = iter(_read([file for file in files if file.header is None], jobs, show))
    answers = [file.header or next(read) for file in files]
    errors = _errors(files, answers)
    if errors:
        raise InputError(_first_of(errors))
    return [_unless_error(answer) for answer in answers]


def _read(files: Sequence[File], jobs: int | None, show: ShowProgress) -> list[Values]:
    if not files:
        return []
    batches = [files[start : start + _BATCH] for start in range(0, len(files), _BATCH)]
    workers = min(jobs or usable_processors(), len(files) // _WORTH_A_PROCESS)
    with show("reading DICOM headers out of the ordinary", len(files)) as advance:
        if workers > 1:
            return _from_workers(batches, advance, workers)
        return _from_here(batches, advance)


def _errors(files: Sequence[File], answers: Sequence[Values]) -> list[str]:
    """What is wrong with files that are certainly DICOM; with all, where none can be read."""
    pairs = zip(files, answers, strict=True)
    failed = [(file, answer["error"]) for file, answer in pairs if "error" in answer]
    errors = [error for file, error in failed if file.is_certain]
    if not errors and len(failed) == len(answers):
        return [error for _, error in failed]
    return errors


def _first_of(errors: Sequence[str]) -> str:
    if len(errors) == 1:
        return errors[0]
    return f"{errors[0]} (and {len(errors) - 1} more damaged files)"


def _unless_error(answer: Values) -> Values | None:
    if "error" in answer:
        return None
    return answer


def _from_here(batches: Sequence[Sequence[File]], advance: Progress) -> list[Values]:
    answers = []
    for batch in batches:
        answers += [_header_or_error(file.path, file.label) for file in batch]
        advance(len(batch))
    return answers


def _from_workers(
    batches: Sequence[Sequence[File]], advance: Progress, workers: int
) -> list[Values]:
    shares = [batches[number::workers] for number in range(workers)]
    with ThreadPoolExecutor(workers) as threads:
        found = [
            list(share)
            for share in threads.map(lambda share: list(_one_worker(share, advance)), shares)
        ]
    answers = [found[number % workers][number // workers] for number in range(len(batches))]
    return [header for batch in answers for header in batch]


def _one_worker(batches: Sequence[Sequence[File]], advance: Progress) -> Iterator[list[Values]]:
    """Answers to the batches, from one worker process."""
    with subprocess.Popen(  # noqa: S603
        python_command("mrftool.formats.dicom.headers.parallel"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=python_environment(),
    ) as worker:
        stdin: Any = worker.stdin
        stdout: Any = worker.stdout
        for batch in batches:
            question = json.dumps([[file.path, file.label] for file in batch])
            stdin.write(question.encode() + b"\n")
            stdin.flush()
            answer = stdout.readline()
            if not answer:
                raise InputError(
                    f"{batch[0].label}: its reader ended early; this file or one soon after is "
                    f"damaged"
                )
            yield json.loads(answer)
            advance(len(batch))


def _header_or_error(path: str, label: str) -> Values:
    try:
        return read_header(path, label)
    except InputError as error:
        return {"error": str(error)}


def _serve() -> None:
    for line in sys.stdin.buffer:
        answer = [_header_or_error(path, label) for path, label in json.loads(line)]
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
