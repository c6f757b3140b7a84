"""What the import finds in Pulseq files of other projects: a table in Markdown.

    python benchmarks/pulseq_files.py FOLDER [--rr 1000]

The files are not part of this project: clone KomaMRI.jl, openmrf-core-matlab or others into FOLDER.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mrftool.errors import InputError
from mrftool.formats.sequence.importing import import_sequence
from mrftool.formats.sequence.pulseq.parsing.sections import read_sections
from mrftool.formats.sequence.sources import Given
from mrftool.formats.sequence.yaml_file import sequence_summary


def found_in(path: Path, rr: float) -> str:
    """The events of a file, or why there is no sequence in it; rr: of a heart at rest [s]."""
    try:
        sequence = import_sequence(path, Given()).sequence
    except InputError as error:
        text = _first_fault(error)
        if "triggers" not in text:
            return text
        try:
            sequence = import_sequence(path, Given(rr=np.asarray(rr))).sequence
        except InputError as second:
            return _first_fault(second)
    summary = sequence_summary(sequence)
    played = summary.get("events") or f"inversion {summary['inversion']}, train {summary['train']}"
    return f"{summary['repetitions']} frames; {played}; TR {summary['TR']}, TE {summary['TE']}"


def _first_fault(error: InputError) -> str:
    lines = str(error).splitlines()
    fault = lines[min(1, len(lines) - 1)].strip()
    return "refused: " + fault.rpartition(".seq: ")[2]


def rows(folder: Path, rr: float) -> Iterator[str]:
    """A row of the table for each file."""
    for path in sorted(folder.rglob("*.seq")):
        try:
            version = ".".join(map(str, read_sections(path).version))
        except InputError:
            version = "?"
        yield f"| `{path.name}` | {version} | {found_in(path, rr)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rr", type=float, default=1000.0, help="RR intervals [ms]")
    options = parser.parse_args()
    print("| file | version | found |\n|---|---|---|")
    for row in rows(options.folder, options.rr * 1e-3):
        print(row, flush=True)


if __name__ == "__main__":
    main()
