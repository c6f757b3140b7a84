"""Which panel of `--help` an option is shown in, for commands with many options.

Options that stand in no panel are shown first, under "Options".
"""

from typing import Any

_ARRAYS = ("axes", "like", "variable")
_DICOM_OUTPUT = ("dicom", "dicom_reference", "dicom_format")
_SCAN = ("imag", "phase", "form", "skip", "series")
_CHECKS = ("allow", "overwrite", "strict", "anonymous")

PANELS: dict[str, dict[str, tuple[str, ...]]] = {
    "quantify": {
        "What is known of the scan": (
            "mask",
            "b1",
            "b0",
            "efficiency",
            "coils",
            "noise_sd",
            "noise_covariance",
            "uncertainty",
        ),
        "Parts of the scan": _SCAN,
        "Array files": _ARRAYS,
        "Coefficient images and raw data": ("basis", "covariance", "joint"),
        "DICOM output": _DICOM_OUTPUT,
        "Checks": _CHECKS,
    },
    "match": {
        "A dictionary that is simulated": (
            "seq",
            "rr",
            "t1_ms",
            "t2_ms",
            "b1_grid",
            "adc",
            "tolerance",
        ),
        "Parts of the scan": _SCAN,
        "Array files": _ARRAYS,
        "DICOM output": _DICOM_OUTPUT,
        "Checks": _CHECKS,
    },
    "simulate": {
        "A phantom": ("phantom", "brainweb", "matrix", "slices", "b1_spread", "m0_phase"),
        "Maps to scan": ("t1", "t2", "m0", "b1", "mask"),
        "A dictionary": ("t1_ms", "t2_ms", "b1_grid"),
        "Raw data": ("kspace", "coils", "trajectory", "coverage", "fine", "b0_hz", "stack"),
        "Engine": ("tolerance", "n_states"),
        "Checks": ("overwrite",),
    },
    "train": {
        "Network and loss": (
            "decoder",
            "encoder",
            "weight",
            "labels",
            "decode_voxels",
            "loss",
        ),
        "Signals to learn from": (
            "form",
            "tissue",
            "share",
            "t1_ms",
            "t2_ms",
            "b1",
            "adc",
            "snr",
            "noise",
        ),
        "Optimiser": ("optimiser", "steps", "batch", "rate", "seed", "device"),
    },
    "export": {
        "A model without a network": ("form", "t1_ms", "t2_ms", "b1", "adc"),
        "A temporal basis": ("basis", "rank"),
    },
    "reconstruct": {
        "Trajectory and coils": ("trajectory", "trajectory_unit", "coils"),
        "Coefficients and noise": ("rank", "iterations", "replicas", "seed"),
        "Off-resonance": ("b0", "segments"),
        "Checks": ("allow", "anonymous"),
    },
    "optimise": {
        "Times": ("tr_ms", "te_ms", "ti_ms", "tr_range_ms", "te_range_ms", "ti_range_ms"),
        "Limits": ("max_flip", "max_step", "max_energy", "max_time_s"),
        "What counts": ("tissue", "b1", "efficiency", "weight", "arms", "order"),
        "Search": ("iterations", "seed"),
        "Checks": ("overwrite",),
    },
}


def group_options(root: Any) -> None:
    """Give the options of a command, and of all below it, their panels."""
    for name, command in getattr(root, "commands", {}).items():
        group_options(command)
        for panel, options in PANELS.get(name, {}).items():
            for parameter in command.params:
                if parameter.name in options:
                    parameter.rich_help_panel = panel
