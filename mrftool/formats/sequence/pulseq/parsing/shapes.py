"""Shapes of a Pulseq file: samples of waveforms, compressed by the lengths of runs."""

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import InputError
from mrftool.formats.sequence.pulseq.parsing.sections import Line, Sections, number, whole

MAX_SAMPLES = 5_000_000  # in one shape; usual ones have some thousand
MAX_ALL_SAMPLES = 50_000_000
_MOST_DIGITS = 9  # of a number of samples


def read_shapes(sections: Sections) -> dict[int, FloatArray]:
    """Samples of each shape."""
    shapes: dict[int, FloatArray] = {}
    stored: list[Line] = []
    head: list[Line] = []
    total = 0
    end = Line(0, ["shape_id"])
    for line in [*sections.lines.get("[SHAPES]", []), end]:
        if line.words[0].lower() == "shape_id":
            if head:
                key, samples = _shape(sections, head, stored)
                shapes[key] = samples
                total += len(samples)
            head, stored = [line], []
        elif line.words[0].lower() == "num_samples":
            head.append(line)
        else:
            stored.append(line)
        if total > MAX_ALL_SAMPLES:
            raise InputError(
                f"{sections.path}: more than {MAX_ALL_SAMPLES} samples in its shapes, expected less"
            )
    return shapes


def _shape(sections: Sections, head: list[Line], stored: list[Line]) -> tuple[int, FloatArray]:
    """The number of a shape and its samples, as its lines say."""
    n_samples = _shape_length(sections, head)
    try:
        key = whole(head[0].words[-1])
        values = np.array([number(line.words[0]) for line in stored])
    except (ValueError, IndexError) as error:
        raise sections.damaged(head[0], "is no shape") from error
    is_plain = sections.version >= (1, 4, 0) and len(values) == n_samples
    if is_plain:
        return key, values
    samples = decompress(values, n_samples)
    if samples is None:
        raise InputError(
            f"{sections.path}: shape {key} does not make {n_samples} samples, expected a complete "
            "Pulseq file"
        )
    return key, samples


def _shape_length(sections: Sections, head: list[Line]) -> int:
    """Number of samples of a shape, as the lines above them say."""
    count = head[-1].words[-1]
    is_number = count.isdecimal() and len(count) <= _MOST_DIGITS
    if len(head) != 2 or not is_number or not 1 <= int(count) <= MAX_SAMPLES:
        raise InputError(
            f"{sections.path}: a shape of {count[:20]} samples, expected at most {MAX_SAMPLES}"
        )
    return int(count)


def decompress(packed: FloatArray, n: int) -> FloatArray | None:
    """Undo the run-length encoding of the samples' differences; None if it does not make `n`.

    Two equal values are followed by how often the value comes again.
    """
    differences: list[float] = []
    counts: list[int] = []
    total, i = 0, 0
    values = packed.tolist()
    while i < len(values) and total <= n:
        is_run = i + 2 < len(values) and values[i] == values[i + 1]
        count = 1
        if is_run:
            if not 0 <= values[i + 2] <= n:
                return None
            count = int(values[i + 2]) + 2
        differences.append(values[i])
        counts.append(count)
        total += count
        i += 1 + 2 * is_run
    if total != n:
        return None
    return np.asarray(np.cumsum(np.repeat(differences, counts)))
