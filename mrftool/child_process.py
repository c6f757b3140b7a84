"""Python processes of our own: they never import code from the working folder.

`python -m` puts the working folder first on the module search path. A folder of scans that someone
sent may hold a `numpy.py`; it must not run because a command was started there.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

_PACKAGE_PARENT = Path(__file__).resolve().parent.parent


def python_command(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module with this interpreter."""
    return [sys.executable, "-P", "-m", module, *arguments]


def python_environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of such a process: it finds what this process finds, but for the working
    folder.
    """
    path = os.pathsep.join(entry for entry in sys.path if _is_trusted(entry))
    return {**os.environ, **(changes or {}), "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}


def _is_trusted(entry: str) -> bool:
    """False for the working folder, unless mrftool itself was imported from there."""
    if not entry:
        return False
    place = Path(entry).resolve()
    return place != Path.cwd() or place == _PACKAGE_PARENT
