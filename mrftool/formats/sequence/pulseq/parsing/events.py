"""Event tables of a Pulseq file, those of older versions in the form of version 1.5."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from mrftool.arrays import FloatArray, IndexArray
from mrftool.errors import InputError
from mrftool.formats.sequence.pulseq.parsing.sections import Sections, number, whole
from mrftool.formats.sequence.pulseq.parsing.shapes import read_shapes

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
        read_shapes(sections),
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
