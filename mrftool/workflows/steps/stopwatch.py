"""How long the stages of a command take."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime


class Stopwatch:
    """Wall-clock and processor time (of all threads) of each stage [s], by its name; since when it
    runs.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, tuple[float, float]] = {}
        self.started = datetime.now(UTC).isoformat(timespec="seconds")

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """What happens inside counts as `name`; in the same name again, it adds up."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        before = self.seconds.get(name, (0.0, 0.0))
        self.seconds[name] = (
            before[0] + time.perf_counter() - wall,
            before[1] + time.process_time() - cpu,
        )
