"""Event tables of a Pulseq file, those of older versions in the form of version 1.5."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from mrftool.arrays import FloatArray, IndexArray
from mrftool.errors import InputError
from mrftool.formats.sequence.pulseq.sections import Line, Sections, number, whole

MAX_SAMPLES = 5_000_000  # in one shape; usual ones have some thousand
MAX_ALL_SAMPLES = 50_000_000
_MOST_DIGITS = 9  # of a number of samples
_USES = {"e": "excitation", "r": "refocusing", "i": "inversion", "s": "saturation"}

T = TypeVar("T")


@dataclass(frozen=True)
class RfEvent:
    """A row of [RF]: amplitude [Hz], numbers of shapes, times [s], offsets [Hz], [rad] and in ppm.

    `time_shape` is 0 for samples on the raster. `centre` is None before version 1.5.
    """

    amplitude: float
    magnitude_shape: int
    phase_shape: int
    time_shape: int
    centre: float | None
    delay: float
    frequency_ppm: float
    phase_ppm: float
    frequency: float
    phase: float
    use: str


@dataclass(frozen=True)
class TrapEvent:
    """A row of [TRAP]: amplitude [Hz/m], times [s]."""

    amplitude: float
    rise: float
    flat: float
    fall: float
    delay: float


@dataclass(frozen=True)
class GradientEvent:
    """A row of [GRADIENTS]: amplitude, first and last value [Hz/m], numbers of shapes, delay [s].

    `time_shape` is 0 for samples on the raster, -1 for samples on half the raster. `first` and
    `last` are None before version 1.5.
    """

    amplitude: float
    first: float | None
    last: float | None
    shape: int
    time_shape: int
    delay: float


@dataclass(frozen=True)
class AdcEvent:
    """A row of [ADC]: number of samples, times [s], offsets [Hz], [rad] and in ppm, phase shape."""

    n_samples: int
    dwell: float
    delay: float
    frequency_ppm: float
    phase_ppm: float
    frequency: float
    phase: float
    phase_shape: int


@dataclass(frozen=True, eq=False)
class Events:
    """All tables of a file.

    Attributes
    ----------
    blocks : array
        Numbers of the events of each block: delay or duration, RF, gradients of x, y and z, ADC,
        extension `(block, 7)`.
    delays : dict
        Of the blocks before version 1.4 [s].
    rasters : dict
        By the name of their definition [s].
    """

    blocks: IndexArray
    rf: dict[int, RfEvent]
    gradients: dict[int, TrapEvent | GradientEvent]
    adc: dict[int, AdcEvent]
    shapes: dict[int, FloatArray]
    delays: dict[int, float]
    rasters: dict[str, float]

    def shape(self, key: int) -> FloatArray:
        """Samples of a shape."""
        return find(self.shapes, key)


def find(table: dict[int, T], key: int) -> T:
    """An entry of a table. Raises InputError if there is none."""
    if key not in table:
        raise InputError(f"event or shape {key} is missing, expected a complete Pulseq file")
    return table[key]


def read_events(sections: Sections) -> Events:
    """Read all tables.

    Raises
    ------
    InputError
        If a table is damaged, or its shapes are too long.
    """
    version = sections.version[:2]
    arbitrary = sections.rows("[GRADIENTS]", lambda words: _gradient(words, version))
    return Events(
        _blocks(sections),
        sections.rows("[RF]", lambda words: _rf(words, version)),
        {**arbitrary, **sections.rows("[TRAP]", _trap)},
        sections.rows("[ADC]", lambda words: _adc(words, version)),
        _shapes(sections),
        sections.rows("[DELAYS]", lambda words: number(words[0]) * 1e-6),
        sections.rasters,
    )


def _blocks(sections: Sections) -> IndexArray:
    """Numbers of events `(block, 7)`; blocks before version 1.2.1 have no extension."""
    rows = []
    for line in sections.lines["[BLOCKS]"]:
        try:
            row = [whole(word) for word in line.words[1:]]
        except ValueError as error:
            raise sections.damaged(line, "is no block") from error
        if len(row) not in (6, 7) or min(row) < 0:
            raise sections.damaged(line, "is no block")
        rows.append([*row, 0][:7])
    return np.array(rows, np.int64).reshape(-1, 7)


def _rf(words: list[str], version: tuple[int, ...]) -> RfEvent:
    amplitude, magnitude, phase = number(words[0]), whole(words[1]), whole(words[2])
    if version >= (1, 5):
        centre, delay = number(words[4]) * 1e-6, number(words[5]) * 1e-6
        use = _USES.get(words[10], "undefined")
        ppm = number(words[6]), number(words[7])
        offset, angle = number(words[8]), number(words[9])
        return RfEvent(
            amplitude, magnitude, phase, whole(words[3]), centre, delay, *ppm, offset, angle, use
        )
    time_shape, rest = 0, words[3:]
    if version == (1, 4):
        time_shape, rest = whole(words[3]), words[4:]
    delay, offset, angle = number(rest[0]) * 1e-6, number(rest[1]), number(rest[2])
    return RfEvent(
        amplitude, magnitude, phase, time_shape, None, delay, 0.0, 0.0, offset, angle, "undefined"
    )


def _trap(words: list[str]) -> TrapEvent:
    rise, flat, fall, delay = (number(words[i]) * 1e-6 for i in range(1, 5))
    return TrapEvent(number(words[0]), rise, flat, fall, delay)


def _gradient(words: list[str], version: tuple[int, ...]) -> GradientEvent:
    amplitude = number(words[0])
    if version >= (1, 5):
        first, last = number(words[1]), number(words[2])
        delay = number(words[5]) * 1e-6
        return GradientEvent(amplitude, first, last, whole(words[3]), whole(words[4]), delay)
    time_shape = 0
    if version == (1, 4):
        time_shape = whole(words[2])
    return GradientEvent(
        amplitude, None, None, whole(words[1]), time_shape, number(words[-1]) * 1e-6
    )


def _adc(words: list[str], version: tuple[int, ...]) -> AdcEvent:
    n_samples, dwell, delay = whole(words[0]), number(words[1]) * 1e-9, number(words[2]) * 1e-6
    if version >= (1, 5):
        ppm = number(words[3]), number(words[4])
        offset, angle = number(words[5]), number(words[6])
        return AdcEvent(n_samples, dwell, delay, *ppm, offset, angle, whole(words[7]))
    return AdcEvent(n_samples, dwell, delay, 0.0, 0.0, number(words[3]), number(words[4]), 0)


def _shapes(sections: Sections) -> dict[int, FloatArray]:
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
    samples = _decompress(values, n_samples)
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


def _decompress(packed: FloatArray, n: int) -> FloatArray | None:
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
