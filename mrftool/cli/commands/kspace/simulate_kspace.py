"""`mrftool simulate --kspace`: the raw data of a phantom."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mrftool.cli.checks import refuse
from mrftool.errors import UsageError

if TYPE_CHECKING:
    from mrftool.sequence import PulseSequence

_NOT_HERE = (
    "output",
    "brainweb",
    "t1",
    "t2",
    "m0",
    "b1",
    "mask",
    "t1_ms",
    "t2_ms",
    "b1_grid",
    "adc",
    "form",
    "tolerance",
    "n_states",
)


@dataclass(frozen=True)
class RawOptions:
    """Options as the user gave them. size: matrix and slices. b0_peak [Hz], m0_phase [deg]."""

    phantom: str | None
    size: tuple[int, int]
    is_stack: bool
    coils: int
    trajectory: str
    coverage: float
    factor: int
    snr: float
    b0_peak: float
    b1_spread: float
    m0_phase: float
    seed: int


def simulate_raw(
    context: typer.Context,
    sequence: "PulseSequence",
    options: RawOptions,
    path: Path,
    *,
    overwrite: bool,
) -> None:
    """Write raw data, and maps of what was simulated beside it."""
    import numpy as np

    from mrftool.cli.console import Terminal, wrote
    from mrftool.workflows.kspace.simulate_kspace import KSpaceSettings, simulate_kspace

    refuse(context, _NOT_HERE, "does nothing for raw data")
    if options.phantom not in (None, "brain", "vials"):
        raise UsageError(f"--phantom {options.phantom}, expected brain or vials for raw data")
    chosen: Any = {"phantom": options.phantom or "brain", "trajectory": options.trajectory}
    settings = KSpaceSettings(
        **chosen,
        matrix=options.size[0],
        slices=options.size[1],
        is_stack=options.is_stack,
        coils=options.coils,
        coverage=options.coverage,
        factor=options.factor,
        snr=options.snr,
        b0_peak=options.b0_peak,
        b1_spread=options.b1_spread,
        m0_phase=float(np.deg2rad(options.m0_phase)),
        seed=options.seed,
    )
    wrote(simulate_kspace(sequence, settings, path, Terminal(), overwrite=overwrite))
