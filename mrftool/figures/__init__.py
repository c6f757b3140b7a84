"""Pictures as PNG files. The home of matplotlib."""

import os
import sys
from contextlib import suppress


def _import_matplotlib() -> None:
    """Import matplotlib, also where MPLBACKEND names a backend that does not exist.

    Its own import fails there. The settings that it leaves are the same as those of a plain import.
    """
    if "matplotlib" in sys.modules:
        return
    backend = os.environ.pop("MPLBACKEND", None)
    import matplotlib

    if backend is not None:
        os.environ["MPLBACKEND"] = backend
        with suppress(ValueError):
            matplotlib.rcParams["backend"] = backend


_import_matplotlib()
