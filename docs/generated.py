"""Pages of the reference made from the code: command line, outputs, maps, flags, exit codes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from mrftool import errors, quantities
from mrftool.cli.app import application
from mrftool.cli.messages.common_options import common_options
from mrftool.workflows import train
from mrftool.workflows.evaluation import evaluate_maps, evaluate_model


def write_references(folder: Path) -> None:
    """Write the generated pages into `folder`."""
    pages = {"command_line.md": command_line(), "exit_codes.md": exit_codes()}
    pages["maps_and_flags.md"] = maps_and_flags()
    pages["outputs.md"] = outputs()
    for name, lines in pages.items():
        text = "\n".join(lines) + "\n"
        path = folder / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def command_line() -> Iterator[str]:
    """Every command with its options, as `--help` gives them."""
    yield "# Command line"
    yield ""
    yield "Made from the code. `mrftool COMMAND --help` says the same."
    yield ""
    yield "## Options of every command"
    yield from _option_table(common_options())
    yield ""
    yield "Results go to stdout; notes, progress and errors to stderr. Where stderr is no terminal,"
    yield "long work tells how far it has come after ten seconds, and then every half minute."
    yield ""
    yield "With `--json`, stdout is one document: the `command`, its `exit_code`, an `error` if"
    yield "there was one, the `results` (tables as `values` or `rows`), the `files` that were"
    yield "written, and the `notes`. Of `model show` it is the manifest, of `sequence schema` the"
    yield "schema."
    yield from _command(typer.main.get_command(application()), "mrftool", depth=1)


def _command(command: Any, path: str, depth: int) -> Iterator[str]:
    children = getattr(command, "commands", {})
    if not children:
        yield ""
        yield f"## `{path}`"
        yield ""
        yield (command.help or "").strip()
        yield from _option_table(command.params)
    for name, child in children.items():
        yield from _command(child, f"{path} {name}", depth + 1)


def _option_table(parameters: list[Any]) -> Iterator[str]:
    yield ""
    yield "| option | meaning | default |"
    yield "|---|---|---|"
    for parameter in parameters:
        names = ", ".join(f"`{name}`" for name in parameter.opts)
        if parameter.param_type_name == "argument":
            names = f"`{parameter.name.upper()}`"
        default = parameter.default
        shown = f"`{default}`" if isinstance(default, str | int | float | Path) else ""
        meaning = (getattr(parameter, "help", None) or "").replace("|", "\\|").replace("\\[", "[")
        yield f"| {names} | {meaning} | {shown} |"


def exit_codes() -> Iterator[str]:
    """The error classes with their exit codes."""
    yield "# Exit codes"
    yield ""
    yield "| code | error | meaning |"
    yield "|--:|---|---|"
    yield "| 0 | | done |"
    yield "| 1 | | a fault of mrftool's own: a traceback |"
    for kind in _error_classes(errors.MrftoolError):
        meaning = (kind.__doc__ or "").splitlines()[0]
        yield f"| {kind.exit_code} | `{kind.__name__}` | {meaning} |"
    yield "| 130 | | interrupted by Ctrl-C |"


def _error_classes(base: type[errors.MrftoolError]) -> Iterator[type[errors.MrftoolError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _error_classes(kind)


def maps_and_flags() -> Iterator[str]:
    """Every map that can be written, and every flag."""
    yield "# Maps and flags"
    yield ""
    yield "| file | meaning | unit in NIfTI | shown in |"
    yield "|---|---|---|---|"
    for quantity in quantities.QUANTITIES.values():
        unit = quantity.unit
        yield f"| `{quantity.suffix}` | {quantity.description} | {unit.name} | {unit.shown} |"
    yield ""
    yield "## Flags"
    yield ""
    yield "`flags` holds sums of:"
    yield ""
    yield "| bit | meaning |"
    yield "|--:|---|"
    for flag, description in quantities.FLAGS.items():
        yield f"| {int(flag)} | {description.text} |"


# Of each file that a command leaves: what it holds. A file without a line stops the build.
_HOLDS = {
    "errors.json": "scores of T1 and T2, over all voxels and for each tissue; times in ms",
    "errors.md": "the same as a table in Markdown",
    "errors.png": "true values, estimates and errors over the image",
    "scatter.png": "estimates against true values",
    "bins.json": "RMSE over the Cramer-Rao bound, and bias, over T1 and T2",
    "bins.png": "the same as a picture",
    "model.json": "scores at each SNR, and shares of flagged signals",
    "model.md": "the same as tables in Markdown",
    "model.png": "the same as a picture",
    "best.safetensors": "weights of the best validation, with all settings; `export` takes them",
    "last.safetensors": "weights and optimiser of the last step, for `train --resume`",
    "curve.csv": "losses and scores over the steps",
    "curve.png": "the same as a picture",
}
_FOLDERS = (
    ("mrftool evaluate maps", "FOLDER/errors", evaluate_maps.FILES),
    ("mrftool evaluate model", "NAME_trials", evaluate_model.FILES),
    ("mrftool train", "runs/NAME", train.FILES),
)
_OTHERS = """
## What the other commands write

| command | files |
|---|---|
| `mrftool simulate` | scan (`.nii.gz`), sidecar, true maps `NAME_truth_*`; a dictionary (`.npz`) |
| `mrftool simulate --kspace` | raw data (`.mrd`) with their sidecar, and the maps of the object |
| `mrftool reconstruct` | [what comes out](../how_to/reconstruct_raw_data.md#what-comes-out) |
| `mrftool export`, `mrftool adapt` | a model (`.onnx`), or a temporal basis (`.npy`, `.cfl`) |
| `mrftool evaluate rois` | `regions.json`: mean, spread and uncertainty of each region [s] |
| `mrftool evaluate paper` | `report.md` with its pictures, and the records of all jobs |
| `mrftool sequence show`, `compare` | pictures (`.png`) |
| `mrftool sequence optimise`, `import` | a [sequence file](sequence_file.md) |
| `mrftool bids` | [derivatives, `status.tsv` and `group.tsv`](../tutorials/cohort.md) |
"""


def outputs() -> Iterator[str]:
    """The files that each command leaves."""
    yield "# Outputs"
    yield ""
    yield "Outputs are written beside their place and renamed: each is whole, or not there."
    yield ""
    yield "## `mrftool quantify`, `mrftool match`"
    yield ""
    yield "A file for each [map](maps_and_flags.md), with a BIDS sidecar; `overview.png`;"
    yield "`report.html` and [`report.json`](../report.md); DICOM maps where they are asked for."
    yield "[What quantify writes](../how_to/what_quantify_writes.md) says more."
    for command, folder, files in _FOLDERS:
        yield ""
        yield f"## `{command}`"
        yield ""
        yield f"In the folder of `-o`, by default `{folder}`:"
        yield ""
        yield "| file | holds |"
        yield "|---|---|"
        for name in files:
            yield f"| `{name}` | {_HOLDS[name]} |"
    yield from _OTHERS.splitlines()
