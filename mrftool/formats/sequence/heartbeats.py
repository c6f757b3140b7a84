"""The heartbeats of a scan: RR intervals, or times of the triggers, as people keep them."""

from pathlib import Path

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import InputError, MrftoolError
from mrftool.formats.sequence.tables.read import number_or_list
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.plausibility import PLAUSIBLE, unit_slip
from mrftool.sequence import PulseSequence


def read_heartbeats(text: str) -> FloatArray:
    """RR intervals or trigger times [s], from a number [ms], or a text file with one a line [ms].

    Returns
    -------
    FloatArray
        A single number `()`, or those of the file `(number,)` [s].

    Raises
    ------
    InputError
        If there is no such file, or its numbers cannot be milliseconds.
    """
    numbers = number_or_list(text) * 1e-3
    _require_milliseconds(text, float(numbers.max()))
    if _is_number(text):
        return np.asarray(numbers[0])
    return numbers


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _require_milliseconds(text: str, largest: float) -> None:
    """Raise InputError if the largest RR interval or trigger time [s] is too short for either."""
    plausible = PLAUSIBLE["rr"]
    if largest >= plausible.low:
        return
    message = f"{text}: RR intervals up to {plausible.text(largest)}, expected milliseconds"
    slip = unit_slip("rr", largest, plausible.holds)
    if slip:
        message += f": {slip}?"
    raise InputError(message, arguments=("rr",))


def read_with_heartbeats(name: str | Path, rr: str | None = None) -> PulseSequence:
    """The sequence in a file, or a shipped one, with the heartbeats of a scan.

    Parameters
    ----------
    name
        Sequence file, or the name of a shipped one.
    rr
        RR intervals, or times of the triggers, as `read_heartbeats` reads them [ms]; by default
        those of the sequence file.

    Raises
    ------
    InputError
        Naming every fault of the sequence, and every heartbeat that does not fit.
    """
    if rr is None:
        return read_sequence(name)
    heartbeats = read_heartbeats(rr)
    try:
        return read_sequence(name, rr=heartbeats)
    except MrftoolError as error:
        error.hint = error.hint or f"the heartbeats are those of {rr}"
        raise
