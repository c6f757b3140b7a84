"""What a person watches while the jobs of a study run."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mrftool.cli.console import note
from mrftool.cli.messages.terminal import is_watched
from mrftool.evaluation.text_tables import duration

if TYPE_CHECKING:
    from rich.table import Table

    from mrftool.studies.jobs.runner import State


@contextmanager
def watching() -> Iterator["Callable[[State], None]"]:
    """Yield the function to call with the state of the jobs.

    It shows a table that changes where a person watches, and else a line for each job that ends.
    """
    from rich.console import Console
    from rich.live import Live

    if not is_watched():
        yield _Lines().show
        return
    console = Console(stderr=True)
    with Live(console=console, refresh_per_second=2, transient=True) as live:
        yield lambda state: live.update(_table(state))


class _Lines:
    """One line on stderr for each job that has ended."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def show(self, state: "State") -> None:
        for name in {*state.seconds, *state.failed} - self._told:
            self._told.add(name)
            if name in state.seconds:
                how = f"took {duration(state.seconds[name])}"
            else:
                how = f"failed: {state.failed[name]}"
            note(f"{name} {how}; {_progress(state)}")


def _table(state: "State") -> "Table":
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_row(_progress(state))
    for name, since in state.since.items():
        table.add_row(f"  {name}", f"running for {duration(time.monotonic() - since)}")
    for name, why in state.failed.items():
        table.add_row(f"  {name}", f"failed: {why}")
    return table


def _progress(state: "State") -> str:
    text = f"{state.n_ended} of {len(state.jobs)} jobs"
    left = state.seconds_left()
    if left is None:
        return text
    return f"{text}, about {duration(left)} left"
