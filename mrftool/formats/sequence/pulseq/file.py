"""Pulseq files (.seq) as blocks of RF, gradients and readout, one after the other. Home of
pypulseq.

Format: K. J. Layton et al., Magn Reson Med 77:1544 (2017), doi 10.1002/mrm.26235, and its
specification up to 1.5.
"""

import tempfile
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import InputError, MissingExtraError
from mrftool.formats.sequence.pulseq.block import Block, decode_block
from mrftool.formats.sequence.pulseq.text import check_and_tidy

_PHYSIOLOGICAL = 2  # kind of trigger, by the specification
_LONGEST_REASON = 120


@dataclass(frozen=True, eq=False)
class PulseqFile:
    """A file as it plays: blocks one after the other.

    Attributes
    ----------
    version : str
    definitions : dict
    blocks : list of Block
    start : array
        Start of each block, and the end of the last `(block + 1,)` [s].
    moment : array
        Moment of the gradients from the start of the file to there `(block + 1, 3)` [1/m].
    notes : tuple of str
    """

    version: str
    definitions: dict[str, Any]
    blocks: list[Block]
    start: FloatArray
    moment: FloatArray
    notes: tuple[str, ...]

    def moment_at(self, block: int, time: FloatArray) -> FloatArray:
        """Gradient moments from the start of the file to `time` `(n,)` [s] after the start of
        `block`: `(n, 3)`.
        """
        return np.asarray(self.moment[block] + self.blocks[block].moment_at(time))


def read_pulseq(path: Path, field: float | None = None) -> PulseqFile:
    """Read the blocks of a Pulseq file.

    Parameters
    ----------
    path : Path
        Of the .seq file.
    field : float, optional
        Of the magnet, needed where the file gives offsets in ppm [T].

    Raises
    ------
    InputError
        If the file is damaged or of another version.
    MissingExtraError
        Without the package pypulseq.
    """
    text, version, notes = check_and_tidy(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        played = _load(text, path)
        blocks = _blocks(played, field, path)
        notes += _extensions(played, path)
    durations = [float(duration) for duration in played.block_durations.values()]
    start = np.concatenate([[0.0], np.cumsum(durations)])
    moment = _moments(blocks)
    if not (blocks and np.isfinite(start).all() and np.isfinite(moment).all()):
        raise InputError(
            f"{path}: blocks with finite times and gradients are missing, expected a sequence that "
            "can be played"
        )
    return PulseqFile(version, dict(played.definitions), blocks, start, moment, notes)


def _moments(blocks: list[Block]) -> FloatArray:
    """Gradient moments from the start of the file to each block and to the end `(block + 1, 3)`."""
    after_all = np.array([np.inf])
    ends = np.array([block.moment_at(after_all)[0] for block in blocks]).reshape(-1, 3)
    return np.concatenate([np.zeros((1, 3)), np.cumsum(ends, axis=0)])


def _blocks(played: Any, field: float | None, path: Path) -> list[Block]:
    """All blocks; those that play the same events are one object."""
    known: dict[tuple[int, ...], Block] = {}
    blocks = []
    for number, events in played.block_events.items():
        key = tuple(int(event) for event in events[1:6])
        if key not in known:
            known[key] = _block(played, number, field, path)
        blocks.append(known[key])
    return blocks


def _load(text: str, path: Path) -> Any:
    """The file as pypulseq reads it, from a copy with the checked text."""
    try:
        import pypulseq
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "Pulseq files need pypulseq", hint="pip install 'mrftool[import]'"
        ) from error
    played = pypulseq.Sequence(use_block_cache=False)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "tidy.seq")
        copy.write_text(text, encoding="ascii", errors="replace")
        try:
            played.read(str(copy), detect_rf_use=False, remove_duplicates=False)
        except Exception as error:  # its parser checks little: any exception means a damaged file
            _close(error)
            raise InputError(
                f"{path}: cannot be read: {_said(error)}, expected a complete Pulseq file"
            ) from error
    return played


def _close(error: Exception) -> None:
    """Close the file that pypulseq leaves open where it fails."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        handle = frame.f_locals.get("input_file")
        if handle is not None:
            handle.close()


def _extensions(played: Any, path: Path) -> tuple[str, ...]:
    """Notes on the file's extensions."""
    kinds = {int(data[0]) for data in played.trigger_library.data.values()}
    if _PHYSIOLOGICAL in kinds:
        raise InputError(
            f"{path}: waits for a physiological trigger, expected a timing that the file fixes"
        )
    if played.soft_delay_library.data:
        return ("soft delays have the length that the file gives them",)
    return ()


def _block(played: Any, number: int, field: float | None, path: Path) -> Block:
    try:
        return decode_block(played.get_block(number), field)
    except InputError as error:
        text = f"{path}: block {number}: {error}"
        raise InputError(text, arguments=error.arguments) from error
    except Exception as error:  # see _load
        raise InputError(
            f"{path}: block {number}: {_said(error)}, expected events that the file defines"
        ) from error


def _said(error: Exception) -> str:
    """What a foreign library said, in one line."""
    if isinstance(error, KeyError) and error.args:
        return f"event or shape {error.args[0]!s:.20} is missing"
    words = " ".join(str(error).split())
    return f"{type(error).__name__} {words[:_LONGEST_REASON]}".strip()
