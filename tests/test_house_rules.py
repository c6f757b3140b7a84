"""Rules of the house that a linter does not know."""

import ast
import re
from pathlib import Path

import pytest

import mrftool

PACKAGE = Path(str(mrftool.__file__)).parent
LIBRARY = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.relative_to(PACKAGE).parts[0] not in ("cli", "__main__.py")
]
OF_OTHER_PROGRAMS = {  # call git, and the validator of BIDS
    "studies/jobs/machine.py",
    "cohort/dataset.py",
}
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]+")


def texts(path: Path) -> list[str]:
    """String literals of a file, docstrings among them."""
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    return [
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_library_names_no_flag_of_the_command_line(path: Path) -> None:
    if str(path.relative_to(PACKAGE)) in OF_OTHER_PROGRAMS:
        return
    assert [flag for text in texts(path) for flag in FLAG.findall(text)] == []


def test_a_flag_in_a_message_would_be_found(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text('raise ValueError(f"{name}: expected {n} as --te-ms says")')
    assert [flag for text in texts(path) for flag in FLAG.findall(text)] == ["--te-ms"]
