"""`mrftool evaluate`: maps against a reference, models against the exact engine, the paper's
methods.
"""

from pathlib import Path
from typing import Annotated

import typer

from mrftool.cli.checks import between
from mrftool.cli.commands.evaluation.paper import paper
from mrftool.cli.console import Terminal, show_drawn, show_text_table, wrote
from mrftool.cli.options import ModelArgument

app = typer.Typer(
    help="Compare maps with a reference, models with the exact engine, and the paper's methods.",
    no_args_is_help=True,
)


@app.callback()
def _group() -> None:
    """Compare maps with a reference, models with the exact engine, and the paper's methods."""


@app.command()
def maps(
    folder: Annotated[Path, typer.Argument(help="Folder that mrftool quantify wrote.")],
    reference: Annotated[
        Path,
        typer.Argument(
            metavar="REFERENCE",
            help="Scan that mrftool simulate wrote, tissue maps in a .npz, or another such folder.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder; by default FOLDER/errors.")
    ] = None,
) -> None:
    """Print errors of T1 and T2 for each tissue; write them as JSON, Markdown and pictures.

    Where the scan was simulated with noise, RMSE is compared with the Cramer-Rao bound: the
    smallest that any unbiased estimate can reach from these data. Where the maps have standard
    deviations, the errors are compared with those. bins.png shows RMSE / bound and bias over T1 and
    T2.
    """
    import json

    from mrftool.evaluation.score_tables import score_json, score_table
    from mrftool.workflows.evaluation.evaluate_maps import compare_maps

    found = compare_maps(folder, reference, output or folder / "errors", Terminal())
    title = f"{folder} against {reference}"
    show_drawn(score_table(found.scores, title), title, json.loads(score_json(found.scores)))
    wrote(found.paths)


@app.command()
def model(
    name: ModelArgument,
    seq: Annotated[
        str | None, typer.Option("--seq", help="Sequence file; by default the model's own.")
    ] = None,
    snr: Annotated[
        str, typer.Option(help="Rms of each fingerprint / noise sd per channel: numbers.")
    ] = "5 10 20 50 100",
    voxels: Annotated[
        int, typer.Option("-n", "--voxels", callback=between(20, 20_000), help="Tissues.")
    ] = 5000,
    seed: Annotated[
        int, typer.Option(callback=between(0, 2**32 - 1), help="Of tissue and noise.")
    ] = 0,
    known_noise: Annotated[
        bool, typer.Option("--known-noise", help="Tell the model the noise level.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder; by default NAME_trials.")
    ] = None,
) -> None:
    """Try a model on random tissue of its range, at its own sequence and at wrong signals.

    RMSE is compared with the Cramer-Rao bound, errors with the error bars that the model gives
    (z = error / sd), and flags are counted: false alarms on signals as modelled; missed ones on
    noise, on signals of other shipped sequences, of a B1 20 % below the one that the model is told,
    and of RF phases that it does not know.
    """
    import json

    from mrftool.environment.shipped import find_file
    from mrftool.evaluation.model_tables import accuracy_table, flag_table
    from mrftool.inference.session import load_model
    from mrftool.physics.tissue_grids import parse_values
    from mrftool.workflows.evaluation.evaluate_model import evaluate_model

    snrs = tuple(map(float, parse_values(",".join(snr.replace(",", " ").split()))))
    loaded = load_model(find_file("models", name, ".onnx"))
    found = evaluate_model(
        loaded,
        output or Path(f"{loaded.path.stem}_trials"),
        Terminal(),
        sequence=seq,
        snrs=snrs,
        voxels=voxels,
        seed=seed,
        knows_noise=known_noise,
    )
    title = f"{loaded.manifest.name} on {found.sequence.name}"
    numbers = json.loads(found.paths[0].read_text("utf-8"))
    show_text_table(accuracy_table(found.trials, title), numbers["scores"])
    show_text_table(flag_table(found.trials), numbers["flag_rates"])
    wrote(found.paths)


app.command()(paper)


@app.command()
def rois(
    folder: Annotated[Path, typer.Argument(help="Folder that mrftool quantify wrote.")],
    labels: Annotated[Path, typer.Argument(help="Label image (NIfTI) on the voxels of the maps.")],
    reference: Annotated[
        Path | None, typer.Option(help="CSV file with the columns region, t1_ms and t2_ms.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="JSON; by default FOLDER/regions.json.")
    ] = None,
) -> None:
    """Print T1 and T2 of regions, with the uncertainty of each mean."""
    import json

    from mrftool.workflows.evaluation.evaluate_rois import evaluate_rois

    result = evaluate_rois(folder, labels, reference=reference, output=output)
    numbers = json.loads(result.path.read_text("utf-8"))
    show_text_table(result.table(), numbers["regions"])
    wrote([result.path])
