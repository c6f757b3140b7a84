"""Pulseq files (.seq) as blocks of RF, gradients and readout, one after the other."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import InputError
from mrftool.formats.sequence.pulseq.block import Block, decode_block
from mrftool.formats.sequence.pulseq.parsing.events import Events, find, read_events
from mrftool.formats.sequence.pulseq.parsing.extensions import (
    NO_IMAGE,
    Extension,
    Extensions,
    read_extensions,
)
from mrftool.formats.sequence.pulseq.parsing.sections import Sections, read_sections

MAX_BLOCKS = 5_000_000
_ROUNDING = 1e-9  # [s]; a gradient that ends so close to its block's end may continue in the next


@dataclass(frozen=True, eq=False)
class PulseqFile:
    """A file as it plays: blocks one after the other.

    Attributes
    ----------
    version : str
    definitions : dict
        Words of each definition.
    blocks : list of Block
    start : array
        Start of each block, and the end of the last `(block + 1,)` [s].
    moment : array
        Moment of the gradients from the start of the file to there `(block + 1, 3)` [1/m].
    notes : tuple of str
    triggers : tuple of int
        Indices of blocks that begin with a wait for a physiological trigger.
    """

    version: str
    definitions: dict[str, list[str]]
    blocks: list[Block]
    start: FloatArray
    moment: FloatArray
    notes: tuple[str, ...]
    triggers: tuple[int, ...] = ()

    def moment_at(self, block: int, time: FloatArray) -> FloatArray:
        """Gradient moments from the start of the file to `time` `(n,)` [s] after the start of
        `block`: `(n, 3)`.
        """
        return np.asarray(self.moment[block] + self.blocks[block].moment_at(time))


def read_pulseq(path: Path, field_strength: float | None = None) -> PulseqFile:
    """Read the blocks of a Pulseq file.

    Parameters
    ----------
    path : Path
        Of the .seq file.
    field_strength : float, optional
        Of the magnet, needed where the file gives offsets in ppm [T].

    Raises
    ------
    InputError
        If the file is damaged or of another version.
    """
    sections = read_sections(path)
    events = read_events(sections)
    extensions, notes = read_extensions(sections)
    if len(events.blocks) > MAX_BLOCKS:
        raise InputError(f"{path}: {len(events.blocks)} blocks, expected at most {MAX_BLOCKS}")
    player = _Player(sections, events, extensions, field_strength)
    blocks, durations, triggers = [], [], []
    for number, row in enumerate(events.blocks.tolist(), 1):
        try:
            block, duration = player.play(row)
        except InputError as error:
            text = f"{path}: block {number}: {error}"
            raise InputError(text, arguments=error.arguments) from error
        blocks.append(block)
        durations.append(duration)
        if extensions.of_block(row[-1]).waits:
            triggers.append(number - 1)
    start = np.concatenate([[0.0], np.cumsum(durations)])
    moment = _moments(blocks)
    if not (blocks and np.isfinite(start).all() and np.isfinite(moment).all()):
        raise InputError(
            f"{path}: blocks with finite times and gradients are missing, expected a sequence that "
            "can be played"
        )
    version = ".".join(map(str, sections.version))
    all_notes = (*sections.notes, *notes, *player.notes(path))
    return PulseqFile(
        version, sections.definitions, blocks, start, moment, all_notes, tuple(triggers)
    )


@dataclass(eq=False)
class _Player:
    """Decodes one block after the other. Blocks that play the same events become one object."""

    sections: Sections
    events: Events
    extensions: Extensions
    field_strength: float | None
    known: dict[tuple[float, ...], Block] = field(default_factory=dict)
    before: tuple[float, ...] = (0.0, 0.0, 0.0)
    labels: Counter[str] = field(default_factory=Counter)
    shims: set[tuple[str, ...]] = field(default_factory=set)
    n_skipped: int = 0

    def play(self, row: list[int]) -> tuple[Block, float]:
        """The next block and its duration [s]."""
        delay, *numbers, extension_number = row
        extension = self.extensions.of_block(extension_number)
        self._apply_labels(extension)
        if numbers[4] and any(self.labels[name] for name in NO_IMAGE):
            self.n_skipped += 1
            numbers[4] = 0
        key = (*numbers, extension_number, *self.before)
        if key not in self.known:
            self.known[key] = decode_block(
                self.events, tuple(numbers), extension, self.before, self.field_strength
            )
        block = self.known[key]
        duration = self._duration(delay, block)
        if block.rf is not None and extension.shim is not None:
            self.shims.add(extension.shim)
        if self.sections.version < (1, 5, 0):
            self.before = _gradients_at(block, duration)
        return block, duration

    def notes(self, path: Path) -> list[str]:
        """What is left out. Raises InputError if pulses differ in their RF shims."""
        if len(self.shims) > 1:
            raise InputError(
                f"{path}: {len(self.shims)} different RF shims, expected at most one for all pulses"
            )
        notes = []
        if self.shims:
            notes.append("RF shims are left out: flip angles are those of the single waveform")
        if self.n_skipped:
            listed = " or ".join(NO_IMAGE)
            notes.append(f"{self.n_skipped} readouts with the label {listed} are left out")
        return notes

    def _apply_labels(self, extension: Extension) -> None:
        for sign, name, value in extension.labels:
            if sign == "=":
                self.labels[name] = value
            else:
                self.labels[name] += value

    def _duration(self, delay: int, block: Block) -> float:
        """Duration of a block [s]; before version 1.4 that of its longest event."""
        if self.sections.version >= (1, 4, 0):
            return delay * self.sections.rasters["BlockDurationRaster"]
        ends = [ramp.time[-1] for ramp in block.gradients if ramp is not None]
        if delay:
            ends.append(find(self.events.delays, delay))
        if block.rf is not None:
            ends.append(block.rf.start + block.rf.pulse.duration.sum())
        if block.adc is not None:
            ends.append(block.adc.end)
        return float(max(ends, default=0.0))


def _gradients_at(block: Block, end: float) -> tuple[float, ...]:
    """Gradients of x, y and z at the end of a block [Hz/m]."""
    values = [0.0, 0.0, 0.0]
    for axis, ramp in enumerate(block.gradients):
        if ramp is not None and ramp.time[-1] > end - _ROUNDING:
            values[axis] = float(ramp.value[-1])
    return tuple(values)


def _moments(blocks: list[Block]) -> FloatArray:
    """Gradient moments from the start of the file to each block and to the end `(block + 1, 3)`."""
    after_all = np.array([np.inf])
    unique = {id(block): block for block in blocks}
    ends = {key: block.moment_at(after_all)[0] for key, block in unique.items()}
    each = np.array([ends[id(block)] for block in blocks]).reshape(-1, 3)
    return np.concatenate([np.zeros((1, 3)), np.cumsum(each, axis=0)])
