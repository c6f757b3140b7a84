"""pydicom without its opinion on values: what breaks a rule of its type is for us to handle."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pydicom

_lock = threading.Lock()
_inside = 0  # threads that are within `lenient` now
_restore = ExitStack()  # how the process was before the first of them came


@contextmanager
def lenient() -> Iterator[None]:
    """No validation and no warnings by pydicom, whose settings hold for the whole process.

    The first thread to come in sets them, the last to leave puts back what was there.
    """
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _inside  # noqa: PLW0603  (the settings are global too)
    with _lock:
        if not _inside:
            settings: Any = pydicom.config.settings
            before = settings.reading_validation_mode
            _restore.callback(setattr, settings, "reading_validation_mode", before)
            settings.reading_validation_mode = pydicom.config.IGNORE
            _restore.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
        _inside += 1


def _leave() -> None:
    global _inside  # noqa: PLW0603
    with _lock:
        _inside -= 1
        if not _inside:
            _restore.close()
