"""Magnetic Resonance Fingerprinting: from a pulse sequence and a scan to T1 and T2 maps.

The types and functions of `__all__` are loaded when they are first used, so that `import mrftool`
costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mrftool.api import (
        crlb,
        export_model,
        load_coefficients,
        load_model,
        load_scan,
        load_sequence,
        match,
        quantify,
        quantify_coefficients,
        reconstruct,
        simulate,
        train,
        write_maps,
    )
    from mrftool.environment.reporter import Reporter, SilentReporter
    from mrftool.fingerprints import Fingerprints
    from mrftool.grid import Grid, Placement
    from mrftool.inference.session import Model
    from mrftool.maps import Maps
    from mrftool.quantities import Flag
    from mrftool.scan.coefficients import CoefficientImages
    from mrftool.scan.series import Series
    from mrftool.sequence import Inversion, PulseSequence
    from mrftool.tissue import Tissue

    __version__: str

__all__ = [
    "CoefficientImages",
    "Fingerprints",
    "Flag",
    "Grid",
    "Inversion",
    "Maps",
    "Model",
    "Placement",
    "PulseSequence",
    "Reporter",
    "Series",
    "SilentReporter",
    "Tissue",
    "__version__",
    "crlb",
    "export_model",
    "load_coefficients",
    "load_model",
    "load_scan",
    "load_sequence",
    "match",
    "quantify",
    "quantify_coefficients",
    "reconstruct",
    "simulate",
    "train",
    "write_maps",
]

_HOMES = {
    "CoefficientImages": "scan.coefficients",
    "Fingerprints": "fingerprints",
    "Flag": "quantities",
    "Grid": "grid",
    "Inversion": "sequence",
    "Maps": "maps",
    "Model": "inference.session",
    "Placement": "grid",
    "PulseSequence": "sequence",
    "Reporter": "environment.reporter",
    "Series": "scan.series",
    "SilentReporter": "environment.reporter",
    "Tissue": "tissue",
}  # all others are in `api`


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("mrftool")
    if name not in __all__:
        raise AttributeError(f"module 'mrftool' has no attribute {name!r}")
    home = import_module(f"mrftool.{_HOMES.get(name, 'api')}")
    return getattr(home, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
