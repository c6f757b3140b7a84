"""RF sequences to files: YAML with every rule resolved, and CSV that says all that the YAML
says.
"""

import hashlib
import textwrap
from pathlib import Path
from typing import Any

from mrftool.environment.shipped import find_file
from mrftool.errors import InputError
from mrftool.formats.atomic import write_text
from mrftool.formats.sequence.heartbeats import read_with_heartbeats
from mrftool.formats.sequence.reading.yaml_text import dump_yaml, load_mapping
from mrftool.formats.sequence.tables.text import Table
from mrftool.formats.sequence.yaml_file import parse_sequence, sequence_to_dict
from mrftool.sequence import PulseSequence

WIDTH = 120
COLUMNS = ("flip_angle_deg", "rf_phase_deg", "tr_ms", "te_ms")
SOFTWARE = ("Software", "mrftool")  # a definition in Pulseq files
_OWN_CSV = "# mrftool_sequence:"
SUFFIXES = (".csv", ".yaml", ".yml")


def yaml_text(sequence: PulseSequence, description: str = "", source: str = "") -> str:
    """A sequence file without rules: what is constant as one number, the rest as lists.

    Its first line tells `is_own_text` that mrftool wrote the others.
    """
    data = sequence_to_dict(sequence)
    head = {"mrftool_sequence": data.pop("mrftool_sequence"), "name": data.pop("name")}
    said = {"description": description, "source": source}
    head |= {key: text for key, text in said.items() if text}
    text = "".join(_entry(key, value) for key, value in {**head, **data}.items())
    return f"{_first_line(text)}\n{text}"


def csv_text(sequence: PulseSequence) -> str:
    """One row for each repetition; all that is no column stands above, in comments that `from_csv`
    reads.
    """
    data = sequence_to_dict(sequence)
    columns = {key: data.pop(key) for key in COLUMNS}
    n = data.pop("repetitions")
    lists = [value if isinstance(value, list) else [value] * n for value in columns.values()]
    head = [f"# {key}: {_flow(value)}" for key, value in data.items()]
    rows = [",".join(repr(value) for value in row) for row in zip(*lists, strict=True)]
    return "\n".join([*head, ",".join(COLUMNS), *rows]) + "\n"


def is_own(table: Table) -> bool:
    """Whether a table came from `csv_text`."""
    return any(comment.startswith("mrftool_sequence:") for comment in table.comments)


def is_own_text(path: Path) -> bool:
    """Whether mrftool wrote a sequence file (YAML, CSV or Pulseq); of YAML, as it now is."""
    text = path.read_text("utf-8", errors="replace")
    first, _, rest = text.partition("\n")
    is_pulseq = "\n{} {}".format(*SOFTWARE) in text
    return is_pulseq or first.startswith(_OWN_CSV) or first == _first_line(rest)


def _first_line(rest: str) -> str:
    """The first line of a YAML file of mrftool: of one that was changed since, it is another."""
    digest = hashlib.sha256(rest.encode()).hexdigest()
    return f"# Written by mrftool. Its other lines have the SHA-256 {digest[:16]}"


def from_csv(table: Table, origin: str) -> PulseSequence:
    """The sequence that `csv_text` wrote. Raises InputError if it was damaged since."""
    missing = [name for name in COLUMNS if name not in table.names]
    if missing:
        raise InputError(
            f"{origin}: has no column {', '.join(missing)}, expected all of: {', '.join(COLUMNS)}"
        )
    try:
        head, _, _ = load_mapping("\n".join(table.comments), origin)
    except InputError as error:
        raise InputError(
            f"{origin}: its first lines are damaged, expected them as mrftool writes them"
        ) from error
    columns = {name: table.values[:, table.names.index(name)].tolist() for name in COLUMNS}
    return parse_sequence(dump_yaml({**head, **columns}), origin=origin)


def export_sequence(name: str, path: Path, *, rr: str | None = None) -> PulseSequence:
    """Write the sequence of a file, or a shipped one, to `path`: CSV or YAML by its suffix.

    rr: RR intervals [ms], as `read_heartbeats` reads them.
    Raises InputError if the sequence or the place is bad.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: unknown suffix, expected {' or '.join(SUFFIXES)}")
    sequence = read_with_heartbeats(name, rr)
    is_csv = path.suffix.lower() == ".csv"
    write_text(csv_text(sequence) if is_csv else yaml_text(sequence, *_said_in(name)), path)
    return sequence


def _said_in(name: str) -> tuple[str, str]:
    """Description and source of a sequence file that was read without fault."""
    text = find_file("sequences", name, ".yaml").read_text(encoding="utf-8-sig")
    raw, _, _ = load_mapping(text, name)
    return str(raw.get("description", "")).strip(), str(raw.get("source", "")).strip()


def _entry(key: str, value: Any) -> str:
    """A key of the file: short values on its line, texts and lists folded below it."""
    flow = f"{key}: {_flow(value)}"
    if len(flow) <= WIDTH:
        return flow + "\n"
    if isinstance(value, str):
        return f"{key}: >-\n{textwrap.indent(_folded(value), '  ')}\n"
    if isinstance(value, list):
        cells = ", ".join(_flow(cell) for cell in value)
        return f"{key}: [\n{textwrap.indent(_folded(cells), '  ')}\n]\n"
    return f"{key}:\n" + textwrap.indent("".join(_entry(k, v) for k, v in value.items()), "  ")


def _folded(text: str) -> str:
    return textwrap.fill(text, WIDTH - 2, break_long_words=False, break_on_hyphens=False)


def _flow(value: Any) -> str:
    """A value in YAML on one line."""
    text = dump_yaml(value, default_flow_style=True, width=1e9, allow_unicode=True)
    return text.removesuffix("...\n").strip()
