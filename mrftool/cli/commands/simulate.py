"""`mrftool simulate`: fingerprints of a sequence, as a dictionary or as a scan with its ground
truth beside it.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mrftool.cli.checks import between, given, named, plausible, refuse
from mrftool.cli.console import Terminal, wrote
from mrftool.cli.options import (
    DictionaryT1,
    DictionaryT2,
    Heartbeats,
    OverwriteForeign,
    SequenceName,
    SignalForm,
)

if TYPE_CHECKING:
    from mrftool.workflows.steps.scene import SceneSource

_OF_SCANS = ("adc", "r2_prime", "form")
_OF_DIGITAL_HEADS = ("slices", "b1_spread", "m0_phase")
# Options that make a difference to each kind of source; all others do to every one.
_OPTIONS = {
    "a dictionary": {"t1_ms", "t2_ms", "b1_grid", "adc", "r2_prime"},
    "a phantom": {"phantom", "matrix", *_OF_DIGITAL_HEADS, *_OF_SCANS},
    "a phantom file": {"phantom", *_OF_SCANS},
    "BrainWeb": {"brainweb", *_OF_DIGITAL_HEADS, *_OF_SCANS},
    "tissue maps": {"t1", "t2", "m0", "b1", "mask", *_OF_SCANS},
}

_OF_RAW_DATA = ("coils", "trajectory", "coverage", "fine", "b0_hz", "stack")


def simulate(
    context: typer.Context,
    seq: SequenceName,
    rr: Heartbeats = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Dictionary (.npz) or 4-D image (.nii, .nii.gz)."),
    ] = None,
    phantom: Annotated[
        str | None,
        typer.Option(
            metavar="[brain|vials|FILE.npz]",
            help="Simulate an image of a phantom, or of tissue maps.",
        ),
    ] = None,
    brainweb: Annotated[
        Path | None, typer.Option(help="Folder with BrainWeb's fuzzy class volumes.")
    ] = None,
    t1: Annotated[
        Path | None, typer.Option(help="T1 map (NIfTI, s or ms): simulate an image of it.")
    ] = None,
    t2: Annotated[Path | None, typer.Option(help="T2 map.")] = None,
    m0: Annotated[Path | None, typer.Option(help="M0 map, by default 1.")] = None,
    b1: Annotated[Path | None, typer.Option(help="B1 map, by default 1.")] = None,
    mask: Annotated[Path | None, typer.Option(help="Mask of the maps.")] = None,
    t1_ms: DictionaryT1 = None,
    t2_ms: DictionaryT2 = None,
    b1_grid: Annotated[str | None, typer.Option(help="Dictionary B1, likewise.")] = None,
    matrix: Annotated[
        int, typer.Option(help="Phantom voxels along x and y.", callback=between(1, 4096))
    ] = 128,
    slices: Annotated[
        int,
        typer.Option(
            help="Phantom slices; of BrainWeb, the middle ones.", callback=between(1, 4096)
        ),
    ] = 1,
    b1_spread: Annotated[
        float,
        typer.Option(help="Largest deviation of a smooth B1 field from 1.", callback=between(0, 1)),
    ] = 0.0,
    m0_phase: Annotated[
        float, typer.Option(help="Largest phase of M0 [deg].", callback=between(0, 36000))
    ] = 0.0,
    adc: Annotated[
        float | None,
        typer.Option(help="Diffusion coefficient of all voxels [m2/s].", callback=plausible("adc")),
    ] = None,
    r2_prime: Annotated[
        float | None,
        typer.Option(help="R2' = R2* - R2 of all voxels [1/s].", callback=between(0, 1e4)),
    ] = None,
    snr: Annotated[
        float,
        typer.Option(
            help="SNR of complex white noise; inf for none.", callback=between(1e-6, float("inf"))
        ),
    ] = float("inf"),
    seed: Annotated[
        int, typer.Option(help="Seed of the phantom and of the noise.", callback=between(0, 2**63))
    ] = 0,
    form: SignalForm = "complex",
    kspace: Annotated[
        Path | None,
        typer.Option(help="Raw data instead, into this file.", callback=named(".mrd", ".h5")),
    ] = None,
    coils: Annotated[
        int, typer.Option(help="Receive coils (with --kspace).", callback=between(1, 128))
    ] = 8,
    trajectory: Annotated[
        Literal["spiral48", "spiral48-in-order", "golden", "radial"],
        typer.Option(help="Arms and their order (with --kspace)."),
    ] = "spiral48",
    coverage: Annotated[
        float,
        typer.Option(
            help="Radius of k-space covered; 1.41 for its corners too (with --kspace).",
            callback=between(0.1, 1.414),
        ),
    ] = 1.0,
    fine: Annotated[
        int,
        typer.Option(
            help="Object points along a pixel's edge (with --kspace).", callback=between(1, 8)
        ),
    ] = 2,
    b0_hz: Annotated[
        float,
        typer.Option(
            help="Peak of an off-resonance field [Hz] (with --kspace).",
            callback=between(-1e3, 1e3),
        ),
    ] = 0.0,
    stack: Annotated[
        bool, typer.Option("--stack", help="Slices as partitions of a slab (with --kspace).")
    ] = False,
    tolerance: Annotated[
        float, typer.Option(help="Error of each fingerprint that is allowed.")
    ] = 1e-5,
    n_states: Annotated[int | None, typer.Option(help="Keep this many EPG orders instead.")] = None,
    overwrite: OverwriteForeign = False,
) -> None:
    """Simulate a scan (of a phantom or of maps), raw k-space, or a dictionary (the default)."""
    import numpy as np

    from mrftool.cli.commands.kspace.simulate_kspace import RawOptions, simulate_raw
    from mrftool.formats.sequence.heartbeats import read_with_heartbeats
    from mrftool.workflows.simulate import (
        Simulation,
        dictionary_tissue,
        simulate_dictionary,
        simulate_scan,
    )
    from mrftool.workflows.steps.scene import PhantomSettings, SceneSource, open_scene

    sequence = read_with_heartbeats(seq, rr)
    if kspace is not None:
        raw = RawOptions(
            phantom, (matrix, slices), stack, coils, trajectory, coverage, fine, snr, b0_hz,
            b1_spread, m0_phase, seed,
        )  # fmt: skip
        simulate_raw(context, sequence, raw, kspace, overwrite=overwrite)
        return
    refuse(context, _OF_RAW_DATA, "goes with --kspace")
    source = SceneSource(phantom, brainweb, t1, t2, m0, b1, mask)
    _refuse_idle_options(context, _kind(source))
    simulation = Simulation(sequence, tolerance, n_states, snr, seed)
    if source.is_empty:
        tissue = dictionary_tissue(t1_ms, t2_ms, b1_grid, adc or 0.0, r2_prime or 0.0)
        wrote([simulate_dictionary(simulation, tissue, output, Terminal(), overwrite=overwrite)])
        return
    phase = float(np.deg2rad(m0_phase))
    settings = PhantomSettings((matrix, matrix, slices), b1_spread, phase, adc, r2_prime, seed)
    scene = open_scene(source, settings)
    inputs = [Path(seq), *source.files()]
    wrote(
        simulate_scan(
            simulation, scene, output, Terminal(), form=form, inputs=inputs, overwrite=overwrite
        )
    )


def _kind(source: "SceneSource") -> str:
    """Of what is simulated, as the keys of `_OPTIONS` name it."""
    if source.is_empty:
        return "a dictionary"
    if source.is_file:
        return "a phantom file"
    if source.phantom is not None:
        return "a phantom"
    if source.brainweb is not None:
        return "BrainWeb"
    return "tissue maps"


def _refuse_idle_options(context: typer.Context, kind: str) -> None:
    """Raise UsageError for options that would do nothing."""
    every = set().union(*_OPTIONS.values())
    for name in sorted(every - _OPTIONS[kind]):
        places = " or ".join(kind for kind, options in _OPTIONS.items() if name in options)
        refuse(context, [name], f"does nothing for {kind}, expected it with {places}")
    if given(context, "tolerance"):
        refuse(context, ["n_states"], "replaces --tolerance, expected one of the two")
