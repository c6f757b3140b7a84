"""Ctrl-C and SIGTERM while training: the first waits for the end of a step, the second stops at
once.
"""

import signal
import sys
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self


class StopSignals:
    """While it is open, it remembers the signals that came."""

    def __init__(self) -> None:
        self._came: list[int] = []
        self._before: dict[int, Callable[..., Any] | int | None] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def any_came(self) -> bool:
        """Whether the work should stop."""
        return bool(self._came)

    def stop(self) -> NoReturn:
        """End this process as the first signal asks; as Ctrl-C does, if another process got it."""
        _stop((*self._came, signal.SIGINT)[0])

    def _remember(self, number: int, _: FrameType | None) -> None:
        if number in self._came:
            _stop(number)
        self._came.append(number)


def _stop(number: int) -> NoReturn:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + number)
