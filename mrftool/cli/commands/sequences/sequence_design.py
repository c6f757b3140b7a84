"""`mrftool sequence optimise` and `mrftool sequence compare`."""

import math
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mrftool.cli.checks import ascending, between, named, refuse
from mrftool.cli.console import Terminal, note, show_text_table, wrote
from mrftool.cli.options import OverwriteForeign, in_seconds
from mrftool.cli.stop_signals import StopSignals
from mrftool.errors import UsageError

if TYPE_CHECKING:
    from mrftool.workflows.design.optimise import DesignRequest

_LIMITS, _TARGET, _SEARCH = "Limits", "What to optimise for", "Search"

Arms = Annotated[
    int,
    typer.Option(
        help="Arms of the trajectory; 1: fully sampled.",
        callback=between(1, 10_000),
        rich_help_panel=_TARGET,
    ),
]
Order = Annotated[
    Literal["golden", "blocks"],
    typer.Option(
        help="golden: arms take turns; blocks: each is read in neighbouring repetitions.",
        rich_help_panel=_TARGET,
    ),
]
RangeMs = tuple[float, float] | None


def optimise_command(
    context: typer.Context,
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", help="The sequence to write.", callback=named(".yaml", ".yml")
        ),
    ],
    start: Annotated[
        str | None,
        typer.Argument(
            metavar="[START]", help="Sequence to start from; by default two shipped ones."
        ),
    ] = None,
    length: Annotated[
        int | None,
        typer.Option(
            help="Pulses; by default those of START.",
            callback=between(4, 5000),
            rich_help_panel=_LIMITS,
        ),
    ] = None,
    tr_ms: Annotated[
        float | None,
        typer.Option(help="TR [ms].", callback=between(0.1, 60e3), rich_help_panel=_LIMITS),
    ] = None,
    te_ms: Annotated[
        float | None,
        typer.Option(help="TE [ms].", callback=between(0, 60e3), rich_help_panel=_LIMITS),
    ] = None,
    ti_ms: Annotated[
        float | None,
        typer.Option(
            help="Inversion time [ms].", callback=between(0, 60e3), rich_help_panel=_LIMITS
        ),
    ] = None,
    tr_range_ms: Annotated[
        RangeMs,
        typer.Option(
            help="Vary each TR within [ms].",
            callback=ascending(0.1, 60e3),
            rich_help_panel=_LIMITS,
        ),
    ] = None,
    te_range_ms: Annotated[
        RangeMs,
        typer.Option(
            help="Vary each TE within [ms].", callback=ascending(0, 60e3), rich_help_panel=_LIMITS
        ),
    ] = None,
    ti_range_ms: Annotated[
        RangeMs,
        typer.Option(
            help="Vary the inversion time within [ms].",
            callback=ascending(0, 60e3),
            rich_help_panel=_LIMITS,
        ),
    ] = None,
    max_flip: Annotated[
        float,
        typer.Option(
            help="Largest flip angle [deg].", callback=between(1, 180), rich_help_panel=_LIMITS
        ),
    ] = 75.0,
    max_step: Annotated[
        float | None,
        typer.Option(
            help="Largest change from pulse to pulse [deg].",
            callback=between(0.01, 180),
            rich_help_panel=_LIMITS,
        ),
    ] = None,
    max_energy: Annotated[
        float | None,
        typer.Option(
            help="Largest sum of squared flip angles [rad2].",
            callback=between(1e-3, 1e6),
            rich_help_panel=_LIMITS,
        ),
    ] = None,
    max_time_s: Annotated[
        float | None,
        typer.Option(
            help="Longest duration of the train [s].",
            callback=between(1e-3, 1e4),
            rich_help_panel=_LIMITS,
        ),
    ] = None,
    tissue: Annotated[
        str,
        typer.Option(
            help="T1/T2 of tissues [ms], such as 1084/69,1820/99.", rich_help_panel=_TARGET
        ),
    ] = "1084/69,1820/99",
    b1: Annotated[
        str, typer.Option(help="B1 to average over.", rich_help_panel=_TARGET)
    ] = "0.85,1,1.1",
    efficiency: Annotated[
        str,
        typer.Option(help="Inversion efficiencies to average over.", rich_help_panel=_TARGET),
    ] = "1",
    weight: Annotated[
        str,
        typer.Option(help="Weights of the relative variances.", rich_help_panel=_TARGET),
    ] = "t1=1,t2=1",
    arms: Arms = 48,
    order: Order = "golden",
    iterations: Annotated[
        int,
        typer.Option(
            help="Of each search, at most.", callback=between(1, 100_000), rich_help_panel=_SEARCH
        ),
    ] = 1000,
    seed: Annotated[
        int,
        typer.Option(
            help="Of the random change of the second start.",
            callback=between(0, 2**63),
            rich_help_panel=_SEARCH,
        ),
    ] = 0,
    overwrite: OverwriteForeign = False,
) -> None:
    """Design the flip angles (and times) of a train for tissues, limits and a trajectory.

    The Cramer-Rao bound of T1 and T2 from the repetitions of each arm alone is averaged over arms,
    tissues and B1, and minimised by L-BFGS-B from two starts. Ctrl-C keeps the best train so far.
    The picture beside the sequence shows start and result.
    """
    from mrftool.workflows.design.optimise import optimise_sequence

    for name in ("tr", "te", "ti"):
        if context.params[f"{name}_range_ms"]:
            refuse(context, [f"{name}_ms"], f"contradicts --{name}-range-ms, which varies it")
    request = _request(context)
    command = shlex.join(["mrftool", *sys.argv[1:]])
    with StopSignals() as signals:
        result = optimise_sequence(
            start,
            output,
            request,
            Terminal(),
            command=command,
            should_stop=signals.any_came,
            overwrite=overwrite,
        )
    if result.design.was_stopped:
        note(
            f"stopped after {result.design.evaluations} evaluations: the best train so far is kept"
        )
    show_text_table(result.table)
    wrote(result.paths)


def compare_command(
    names: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Sequence files, or names of shipped ones."),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="The picture to write.", callback=named(".png")),
    ] = Path("comparison.png"),
    arms: Arms = 48,
    order: Order = "golden",
) -> None:
    """Print precision, sensitivities, energy and time of sequences side by side, and draw them."""
    from mrftool.workflows.design.compare import compare_sequences

    result = compare_sequences(names, output, Terminal(), arms=arms, order=order)
    show_text_table(result.table)
    wrote([result.path])


def _request(context: typer.Context) -> "DesignRequest":
    """The options in SI units."""
    from mrftool.design.limits import Limits
    from mrftool.workflows.design.optimise import DesignRequest

    options = context.params
    weights = _weights(options["weight"])
    limits = Limits(
        max_flip=math.radians(options["max_flip"]),
        max_step=_scaled(options["max_step"], math.pi / 180),
        max_energy=options["max_energy"],
        max_time=options["max_time_s"],
        tr_range=_range(options["tr_range_ms"]),
        te_range=_range(options["te_range_ms"]),
        inversion_time_range=_range(options["ti_range_ms"]),
    )
    return DesignRequest(
        limits=limits,
        tissues=_tissues(options["tissue"]),
        b1=_numbers("--b1", options["b1"]),
        efficiency=_numbers("--efficiency", options["efficiency"]),
        arms=options["arms"],
        order=options["order"],
        weight_t1=weights.get("t1", 0.0),
        weight_t2=weights.get("t2", 0.0),
        length=options["length"],
        tr=_scaled(options["tr_ms"], 1e-3),
        te=_scaled(options["te_ms"], 1e-3),
        inversion_time=_scaled(options["ti_ms"], 1e-3),
        iterations=options["iterations"],
        seed=options["seed"],
    )


def _scaled(value: float | None, factor: float) -> float | None:
    if value is None:
        return None
    return value * factor


def _range(limits: RangeMs) -> RangeMs:
    if limits is None:
        return None
    return in_seconds(limits)


def _tissues(text: str) -> tuple[tuple[float, float], ...]:
    """Pairs such as 1084/69,1820/99 [ms] in seconds."""
    pairs = []
    for part in text.split(","):
        numbers = _numbers("--tissue", part.replace("/", ","))
        if len(numbers) != 2:
            raise UsageError(f"--tissue {text}, expected pairs T1/T2 in ms, such as 1084/69")
        pairs.append((numbers[0] / 1e3, numbers[1] / 1e3))
    return tuple(pairs)


def _weights(text: str) -> dict[str, float]:
    """Weights such as t1=1,t2=2."""
    weights = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        if name.strip() not in ("t1", "t2"):
            raise UsageError(f"--weight {text}, expected weights of t1 and t2, such as t1=1,t2=2")
        weights[name.strip()] = _numbers("--weight", value)[0]
    return weights


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{option} {text}, expected numbers with commas between them") from None
