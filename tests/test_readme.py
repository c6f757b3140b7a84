"""What the documentation shows is run."""

import re
from pathlib import Path

import pytest

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
