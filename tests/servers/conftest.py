"""Sockets that pynetdicom leaves open where the peer closes first."""

import gc
import threading
import warnings
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def sockets_of_pynetdicom_are_collected() -> Iterator[None]:
    """Else the garbage collector finds them in the midst of another test, which then fails."""
    yield
    for thread in threading.enumerate():
        if type(thread).__module__.startswith("pynetdicom"):
            thread.join(2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
