"""`mrftool simulate`: fingerprints of a sequence, as a dictionary or as a 4-D image with its truth
beside it.
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mrftool.cli.options import between

Form = Literal["complex", "magnitude"]


def simulate(
    context: typer.Context,
    seq: Annotated[str, typer.Option("--seq", help="Sequence file, or the name of a shipped one.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Dictionary (.npz) or 4-D image (.nii, .nii.gz)."),
    ] = None,
    phantom: Annotated[
        str | None,
        typer.Option(help="brain, vials, or a .npz with tissue maps: simulate an image of it."),
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
    t1_ms: Annotated[
        str | None, typer.Option(help="Dictionary T1: start:step:stop, low:high:logN or a,b,c.")
    ] = None,
    t2_ms: Annotated[
        str | None, typer.Option(help="Dictionary T2, likewise; pairs with T2 > T1 are left out.")
    ] = None,
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
        typer.Option(help="Diffusion coefficient of all voxels [m2/s].", callback=between(0, 1e-6)),
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
    form: Annotated[Form, typer.Option(help="Of the image.")] = "complex",
    tolerance: Annotated[
        float, typer.Option(help="Error of each fingerprint that is allowed.")
    ] = 1e-5,
    n_states: Annotated[int | None, typer.Option(help="Keep this many EPG orders instead.")] = None,
) -> None:
    """Simulate fingerprints: by default the paper's dictionary of 160,200 tissues."""
    from mrftool.formats.sequence.yaml_file import read_sequence
    from mrftool.workflows.simulate import Engine, dictionary, dictionary_tissue, image, scene
    from mrftool.workflows.simulate_sources import Fields, Sources

    sources = Sources(seq, phantom, brainweb, t1, t2, m0, b1, mask)
    sources.check(context)
    engine = Engine(read_sequence(seq), tolerance, n_states, snr, seed)
    if sources.kind == "a dictionary":
        tissue = dictionary_tissue(t1_ms, t2_ms, b1_grid, adc or 0.0)
        dictionary(engine, tissue, output)
    else:
        view = scene(sources, Fields((matrix, matrix, slices), b1_spread, m0_phase, adc, seed))
        image(engine, view, sources, output, form)
