"""Where in k-space the readouts of a Pulseq file lie.

k is the gradient moment since the centre of the last excitation; a refocusing pulse turns it round.
"""

from pathlib import Path

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import InputError
from mrftool.formats.sequence.pulseq.file import PulseqFile, read_pulseq
from mrftool.formats.sequence.pulseq.shots import list_shots

_REFOCUSING = "refocusing"


def read_kspace(path: Path) -> FloatArray:
    """Points of all readouts after the first pulse `(readout, sample, 3)` [1/m].

    Raises
    ------
    InputError
        If the file is damaged, holds no readout, or readouts that differ in their samples.
    """
    points = _readouts(read_pulseq(path))
    counts = sorted({len(readout) for readout in points})
    if len(counts) != 1:
        listed = ", ".join(map(str, counts[:4])) or "no"
        raise InputError(f"{path}: readouts of {listed} samples, expected as many in all")
    return np.stack(points)


def _readouts(file: PulseqFile) -> list[FloatArray]:
    """Points of each readout `(sample, 3)`."""
    points = []
    origin = np.zeros(3)
    for shot in list_shots(file)[0]:
        moment = file.moment_at(shot.block, np.array([shot.rf.centre]))[0]
        turned = shot.rf.use == _REFOCUSING
        origin = moment + turned * (moment - origin)
        for block in shot.readouts:
            adc = file.blocks[block].adc
            assert adc is not None  # noqa: S101  a readout is a block with one
            points.append(file.moment_at(block, adc.time) - origin)
    return points
