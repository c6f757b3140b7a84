"""`mrftool model`: what a model file says about itself."""

import typer

from mrftool.cli.console import show_document, show_line, show_table
from mrftool.cli.options import ModelArgument

app = typer.Typer(help="Look at model files.", no_args_is_help=True)


@app.command()
def show(name: ModelArgument) -> None:
    """Print the manifest of a model: sequence, ranges, accuracy, training, versions, hashes.

    With --json, the whole of it.
    """
    import json

    from mrftool.environment.shipped import find_file
    from mrftool.inference.model.manifest import manifest_to_json
    from mrftool.inference.model.summary import summary
    from mrftool.inference.session import load_model

    model = load_model(find_file("models", name, ".onnx"))
    show_document(json.loads(manifest_to_json(model.manifest)))
    show_table(f"model {model.path}", summary(model.manifest))


@app.command(name="list")
def list_shipped() -> None:
    """List the models that come with mrftool."""
    from mrftool.environment.shipped import shipped_files
    from mrftool.inference.session import load_model

    for path in shipped_files("models"):
        if path.suffix == ".onnx":
            manifest = load_model(path).manifest
            show_line(
                f"{path.stem:16} {manifest.form:10} {manifest.n_time:5} time points  {path}",
                name=path.stem,
                form=manifest.form,
                time_points=manifest.n_time,
                path=str(path),
            )
