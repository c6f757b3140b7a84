"""Optimise a sequence: design its train of pulses for tissues, limits and a trajectory."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mrftool.design.arm_loss import ArmLoss, Order, arm_of_repetition
from mrftool.design.limits import Limits
from mrftool.design.optimise import Design, Problem, optimise
from mrftool.design.pulse_train import PulseTrain, design_tissue, sequence_of, train_of
from mrftool.design.starts import adjusted, varied
from mrftool.environment.reporter import Reporter
from mrftool.evaluation.text_tables import TextTable
from mrftool.formats.atomic import all_or_none
from mrftool.formats.sequence.write import yaml_text
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.sequence import PulseSequence
from mrftool.workflows.design.compare import draw, table_of
from mrftool.workflows.steps.outputs.own_files import require_own_sequence

SHIPPED_STARTS = ("cao", "delics")


@dataclass(frozen=True)
class DesignRequest:
    """What a sequence is optimised for.

    Parameters
    ----------
    limits
        Of flip angles, times and energy.
    tissues
        T1 and T2 of each tissue [s].
    b1, efficiency
        Actual over nominal flip angles, and efficiencies of the inversion, that the precision is
        averaged over [1].
    arms, order
        Of the trajectory: see `mrftool.design.arm_loss.arm_of_repetition`.
    weight_t1, weight_t2
        Of the relative variances of T1 and T2.
    length
        Number of pulses; None: that of the start.
    tr, te, inversion_time
        Of all repetitions [s]; None: those of the start.
    iterations, seed
        Of each search, and of the random change of the second start.
    """

    limits: Limits
    tissues: tuple[tuple[float, float], ...] = ((1.084, 0.069), (1.82, 0.099))
    b1: tuple[float, ...] = (0.85, 1.0, 1.1)
    efficiency: tuple[float, ...] = (1.0,)
    arms: int = 48
    order: Order = "golden"
    weight_t1: float = 1.0
    weight_t2: float = 1.0
    length: int | None = None
    tr: float | None = None
    te: float | None = None
    inversion_time: float | None = None
    iterations: int = 1000
    seed: int = 0


@dataclass(frozen=True)
class OptimisedSequence:
    """The sequence, how its search went, start and result side by side, and the files written."""

    sequence: PulseSequence
    design: Design
    table: TextTable
    paths: tuple[Path, ...]


def optimise_sequence(
    start: str | Path | None,
    output: Path,
    request: DesignRequest,
    reporter: Reporter,
    *,
    command: str = "",
    should_stop: Callable[[], bool] = lambda: False,
    overwrite: bool = False,
) -> OptimisedSequence:
    """Search from two starts, and write the best sequence with a picture beside it.

    Parameters
    ----------
    start
        Sequence file, or the name of a shipped one; the second start is the same with a smooth
        random change. None: two shipped sequences, the second one so changed.
    output
        The sequence file to write (YAML); the picture has the same name.
    request
        What to optimise for.
    reporter
        Told of the progress.
    command
        How this was called, for the file.
    should_stop
        Asked again and again: the best train so far is written.
    overwrite
        Whether `output` may replace a file that mrftool did not write.

    Raises
    ------
    ArgumentError
        If limits contradict each other or cannot be reached, or a start determines nothing.
    """
    require_own_sequence(output, overwrite=overwrite)
    names: list[str | Path] = list(SHIPPED_STARTS)
    if start is not None:
        names = [start]
    sequences = [read_sequence(name) for name in names]
    for sequence in sequences:
        if sequence.slice_profile is not None:
            reporter.note(f"the slice profile of {sequence.name} is left out of the design")
    starts = _starts(sequences, request)
    first = next(iter(starts.values()))
    problem = Problem(
        design_tissue(list(request.tissues), list(request.b1), list(request.efficiency)),
        ArmLoss(
            arm_of_repetition(len(first), request.arms, request.order),
            request.weight_t1,
            request.weight_t2,
        ),
        request.limits,
    )
    design = optimise(
        problem, starts, reporter, iterations=request.iterations, should_stop=should_stop
    )
    sequence = sequence_of(design.train, sequences[0], output.stem)
    before = sequence_of(first, sequences[0], f"{sequences[0].name} (start)")
    paths = (output, output.with_suffix(".png"))
    with all_or_none(list(paths)) as (text, picture):
        text.write_text(yaml_text(sequence, _description(design), command), "utf-8")
        draw([before, sequence], picture, reporter)
    table = table_of([before, sequence], reporter, arms=request.arms, order=request.order)
    return OptimisedSequence(sequence, design, table, paths)


def _starts(sequences: list[PulseSequence], request: DesignRequest) -> dict[str, PulseTrain]:
    """Two trains to start from, with the length and times asked for."""
    length = request.length or len(sequences[0])
    trains = {
        sequence.name: adjusted(
            train_of(sequence),
            request.limits,
            length=length,
            tr=request.tr,
            te=request.te,
            inversion_time=request.inversion_time,
        )
        for sequence in sequences
    }
    last = list(trains)[-1]
    changed = varied(trains[last], request.limits, request.seed)
    if len(trains) > 1:
        del trains[last]
    return {**trains, f"{last}, varied": changed}


def _description(design: Design) -> str:
    stopped = ""
    if design.was_stopped:
        stopped = " The search was stopped before its end."
    return (
        f"Optimised from {design.start}: mean log variance of T1 and T2 {design.start_loss:.3f} to"
        f" {design.loss:.3f}.{stopped}"
    )
