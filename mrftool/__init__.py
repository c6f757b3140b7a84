"""Magnetic Resonance Fingerprinting: from a pulse sequence and a scan to T1 and T2 maps.

The types and functions of `__all__` are loaded when they are first used, so that `import mrftool`
costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mrftool.api.loading import load_coefficients, load_model, load_scan, load_sequence
    from mrftool.api.models import adapt, export, train
    from mrftool.api.quantification import match, quantify, quantify_coefficients, reconstruct
    from mrftool.api.results import evaluate, write_maps
    from mrftool.api.signals import crlb, simulate
    from mrftool.environment.reporter import Reporter, SilentReporter
    from mrftool.evaluation.metrics import Score
    from mrftool.fingerprints import Fingerprints
    from mrftool.grid import Grid, Placement
    from mrftool.inference.session import Model
    from mrftool.maps import Maps
    from mrftool.physics.cramer_rao import Bound
    from mrftool.quantities import Flag
    from mrftool.scan.coefficients import CoefficientImages
    from mrftool.scan.series import Series
    from mrftool.sequence import (
        HardPulse,
        Inversion,
        Invert,
        Pulses,
        PulseSequence,
        Saturate,
        T2Prep,
        Train,
        Trigger,
        Wait,
    )
    from mrftool.tissue import Tissue

    __version__: str

__all__ = [
    "Bound",
    "CoefficientImages",
    "Fingerprints",
    "Flag",
    "Grid",
    "HardPulse",
    "Inversion",
    "Invert",
    "Maps",
    "Model",
    "Placement",
    "PulseSequence",
    "Pulses",
    "Reporter",
    "Saturate",
    "Score",
    "Series",
    "SilentReporter",
    "T2Prep",
    "Tissue",
    "Train",
    "Trigger",
    "Wait",
    "__version__",
    "adapt",
    "crlb",
    "evaluate",
    "export",
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
    "Bound": "physics.cramer_rao",
    "CoefficientImages": "scan.coefficients",
    "Fingerprints": "fingerprints",
    "Flag": "quantities",
    "Grid": "grid",
    "HardPulse": "sequence",
    "Inversion": "sequence",
    "Invert": "sequence",
    "Maps": "maps",
    "Model": "inference.session",
    "Placement": "grid",
    "PulseSequence": "sequence",
    "Pulses": "sequence",
    "Reporter": "environment.reporter",
    "Saturate": "sequence",
    "Score": "evaluation.metrics",
    "Series": "scan.series",
    "SilentReporter": "environment.reporter",
    "T2Prep": "sequence",
    "Tissue": "tissue",
    "Train": "sequence",
    "Trigger": "sequence",
    "Wait": "sequence",
    "adapt": "api.models",
    "crlb": "api.signals",
    "evaluate": "api.results",
    "export": "api.models",
    "load_coefficients": "api.loading",
    "load_model": "api.loading",
    "load_scan": "api.loading",
    "load_sequence": "api.loading",
    "match": "api.quantification",
    "quantify": "api.quantification",
    "quantify_coefficients": "api.quantification",
    "reconstruct": "api.quantification",
    "simulate": "api.signals",
    "train": "api.models",
    "write_maps": "api.results",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("mrftool")
    if name not in _HOMES:
        raise AttributeError(f"module 'mrftool' has no attribute {name!r}")
    return getattr(import_module(f"mrftool.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
