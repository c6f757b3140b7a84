"""What the documentation shows is run."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from mrftool.cli.app import _command

HOW_TO = Path(__file__).parents[1] / "docs" / "how_to"
PYTHON = HOW_TO / "use_from_python.md"
SEQUENCES = HOW_TO / "sequences_and_networks.md"


@pytest.mark.slow
def test_the_python_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    cells = re.findall(r"```{code-cell}\n(.*?)```", PYTHON.read_text("utf-8"), flags=re.DOTALL)
    code = "".join(cell for cell in cells if not cell.startswith(":tags: [raises-exception]"))
    names: dict[str, object] = {}
    exec(compile(code, str(PYTHON), "exec"), names)
    maps, tissue = names["maps"], names["tissue"]
    assert maps["t1"].ravel() == pytest.approx(tissue.t1, rel=1e-3)  # type: ignore[attr-defined, index]
    assert maps["t2"].ravel() == pytest.approx(tissue.t2, rel=1e-3)  # type: ignore[attr-defined, index]


def test_the_sequence_example_is_a_sequence() -> None:
    from mrftool.formats.sequence.yaml_file import parse_sequence

    (text,) = re.findall(r"```yaml\n(.*?)```", SEQUENCES.read_text("utf-8"), flags=re.DOTALL)
    assert len(parse_sequence(text)) == 600


def documented_commands() -> Iterator[tuple[str, str]]:
    """Command lines in the code blocks of the documentation, each with its page."""
    root = HOW_TO.parents[1]
    pages = [root / "README.md", *sorted(root.glob("docs/**/*.md"))]
    for page in pages:
        if page.parent.name == "reference" or "_build" in page.parts:
            continue  # partly made from the code
        blocks = re.findall(r"```.*?\n(.*?)```", page.read_text("utf-8"), flags=re.DOTALL)
        for block in (each for each in blocks if "+--" not in each):  # no diagrams
            lines = block.replace("\\\n", " ").splitlines()
            for line in (each.strip().removeprefix("!") for each in lines):
                if line.startswith("mrftool ") and " mrftool " not in line:
                    yield page.name, line


def test_the_commands_of_the_documentation_are_understood() -> None:
    """Names of commands and options, and the values that are checked as they are read."""
    commands = list(documented_commands())
    assert len(commands) > 60
    root = _command()
    for page, line in commands:
        plain = re.split(r"\s2?[>|&]|;", re.sub(r"\$\w+|\$\{\w+\}", "1", line))[0]
        words = shlex.split(plain, comments=True)[1:]
        command = root
        while getattr(command, "commands", None):
            command = command.commands[words.pop(0)]
        try:
            command.make_context(line, words)
        except Exception as error:
            pytest.fail(f"{page}: {line}: {error}")


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "benchmarks/README.md"])
def test_links_of_pages_that_sphinx_does_not_see_lead_to_files(page: str) -> None:
    place = HOW_TO.parents[1] / page
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", place.read_text("utf-8"))
    local = [target for target in targets if "://" not in target]
    assert local or page != "README.md"
    assert [target for target in local if not (place.parent / target).exists()] == []
