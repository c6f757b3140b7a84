"""What is not tried again at once after it failed."""

import time

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 300.0  # after a failed attempt [s]


class Rests:
    """What is not tried for a while, longer after each failure in a row."""

    def __init__(self) -> None:
        self._pause: dict[str, float] = {}
        self._until: dict[str, float] = {}

    def has(self, what: str) -> bool:
        """Whether something rests now."""
        return time.monotonic() < self._until.get(what, 0.0)

    def begin(self, what: str) -> bool:
        """Let something rest; whether it is the first time in a row."""
        before = self._pause.get(what, 0.0)
        self._pause[what] = min(max(2 * before, _FIRST_PAUSE), _LONGEST_PAUSE)
        self._until[what] = time.monotonic() + self._pause[what]
        return before == 0.0

    def end(self, what: str) -> None:
        """Something worked."""
        self._pause.pop(what, None)
        self._until.pop(what, None)
