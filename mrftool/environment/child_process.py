"""Python processes of our own: they never import code from the working folder.

`python -m` puts the working folder first on the module search path. A folder of scans that someone
sent may hold a `numpy.py`; it must not run because a command was started there.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_SAFE_PATH = "PYTHONSAFEPATH"  # Python then leaves the working folder out of its search path
_LOOK = 0.5  # between looks at whether the parent lives [s]
_PACKAGE_PARENT = Path(__file__).resolve().parents[2]


def python_command(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module with this interpreter."""
    return [sys.executable, "-P", "-m", module, *arguments]


def python_environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of such a process: it finds what this process finds, but for the working
    folder.
    """
    path = os.pathsep.join(entry for entry in sys.path if _is_trusted(entry))
    return {**os.environ, **(changes or {}), "PYTHONPATH": path, _SAFE_PATH: "1"}


@contextmanager
def safe_start() -> Iterator[None]:
    """Python processes that a library starts in this block ignore the working folder too."""
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SAFE_PATH]
        else:
            os.environ[_SAFE_PATH] = before


def end_with(parent: int, tidy: Callable[[], None] = lambda: None) -> None:
    """End this process soon after its parent, the process of this number, has ended.

    A parent that is killed cannot end its children. `tidy` is called before the end, for what the
    parent would have removed.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK)
        try:
            tidy()
        finally:
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _is_trusted(entry: str) -> bool:
    """False for the working folder, unless mrftool itself was imported from there."""
    if not entry:
        return False
    place = Path(entry).resolve()
    return place != Path.cwd() or place == _PACKAGE_PARENT
