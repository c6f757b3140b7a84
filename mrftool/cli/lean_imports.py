"""Keep libraries from loading others that no command needs of them."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from typing import Any


class _NibabelAlone(MetaPathFinder):
    """Hides pydicom from nibabel while that is imported: its own reader of DICOM, which nothing
    here calls, would load a third of a second's worth of tables.
    """

    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> None:
        """Raises ModuleNotFoundError where nibabel asks for pydicom; finds nothing itself."""
        del path, target
        if name == "pydicom" and _is_being_imported("nibabel"):
            raise ModuleNotFoundError("pydicom is not for nibabel", name=name)


def import_nibabel_alone() -> None:
    """From now on, in this process. For a process that is ours alone."""
    sys.meta_path.insert(0, _NibabelAlone())


def _is_being_imported(name: str) -> bool:
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return bool(getattr(spec, "_initializing", False))
