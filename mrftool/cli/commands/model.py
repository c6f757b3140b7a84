"""`mrftool model`: what a model file says about itself."""

from typing import Annotated

import typer

from mrftool.cli.console import show_table
from mrftool.cli.options import ModelArgument

app = typer.Typer(help="Look at model files.", no_args_is_help=True)


@app.command()
def show(
    name: ModelArgument,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the whole manifest as JSON.")
    ] = False,
) -> None:
    """Print the manifest of a model: sequence, ranges, accuracy, training, versions, hashes."""
    from mrftool.environment.shipped import find_file
    from mrftool.inference.model.manifest import manifest_to_json
    from mrftool.inference.model.summary import summary
    from mrftool.inference.session import load_model

    model = load_model(find_file("models", name, ".onnx"))
    if as_json:
        typer.echo(manifest_to_json(model.manifest))
    else:
        show_table(f"model {model.path}", summary(model.manifest))


@app.command(name="list")
def list_shipped() -> None:
    """List the models that come with mrftool."""
    from mrftool.environment.shipped import shipped_files
    from mrftool.inference.session import load_model

    for path in shipped_files("models"):
        if path.suffix == ".onnx":
            manifest = load_model(path).manifest
            typer.echo(f"{path.stem:16} {manifest.form:10} {manifest.n_time:5} time points  {path}")
