"""Options are converted as Typer converts them, where we do it in its place."""

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import typer

from mrftool.cli.plain_values import take_plain_values


def command(found: list[Any]) -> Any:
    app = typer.Typer(add_completion=False)

    @app.command()
    def declared(
        files: list[Path],
        text: str = "",
        number: int | None = None,
        size: float = 1.5,
        pair: Annotated[tuple[float, float], typer.Option()] = (1.0, 2.0),
        form: Literal["real", "complex"] | None = None,
        names: Annotated[list[str] | None, typer.Option()] = None,
        folder: Annotated[Path | None, typer.Option(file_okay=False)] = None,
        flag: bool = False,
    ) -> None:
        found.append((files, text, number, size, pair, form, names, folder, flag))

    return typer.main.get_command(app)


@pytest.mark.parametrize(
    "words",
    [
        ["a"],
        ["a", "b", "--number", "12", "--text", "x", "--flag"],
        ["a", "--number", "+7", "--size", "2e-3", "--pair", "3", "4.5"],
        ["a", "--form", "real", "--names", "x", "--names", "y", "--folder", "."],
        ["a", "--number", "1_0"],
        ["a", "--number", "1.0"],
        ["a", "--number", "x"],
        ["a", "--number", "9" * 30],
        ["a", "--size", "x"],
        ["a", "--form", "Real"],
        ["a", "--folder", __file__],
        ["a\0b"],
    ],
)
def test_values_and_messages_are_those_of_typer(words: list[str]) -> None:
    outcomes = []
    for is_ours in (False, True):
        found: list[Any] = []
        root = command(found)
        if is_ours:
            take_plain_values([root])
        try:
            root.main(list(words), standalone_mode=False)
        except Exception as error:
            found.append((type(error), str(error)))
        outcomes.append(found)
    assert outcomes[0] == outcomes[1]
    assert outcomes[0]
