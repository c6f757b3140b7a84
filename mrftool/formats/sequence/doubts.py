"""Numbers of a sequence that are possible but improbable: most likely in another unit."""

import numpy as np

from mrftool.plausibility import PLAUSIBLE
from mrftool.sequence import PulseSequence

SHORTEST_TR, LONGEST_TR = PLAUSIBLE["tr"].low, PLAUSIBLE["tr"].high  # [s]
SHORTEST_TE = PLAUSIBLE["te"].low  # [s]
SHORTEST_TI = PLAUSIBLE["ti"].low  # that is not 0 [s]
SMALLEST_FLIP = PLAUSIBLE["flip_angle"].low  # of the largest pulse [rad]


def sequence_doubts(sequence: PulseSequence) -> list[str]:
    """A sentence for each quantity that is most likely in another unit than its file says."""
    doubts = []
    longest_tr, longest_te = float(sequence.tr.max()), float(sequence.te.max())
    if longest_tr < SHORTEST_TR:
        doubts.append(f"the longest TR is {longest_tr * 1e3:g} ms, are the times in seconds?")
    if sequence.tr.min() > LONGEST_TR:
        doubts.append(f"every TR is above {LONGEST_TR:g} s, are the times in microseconds?")
    if 0 < longest_te < SHORTEST_TE:
        doubts.append(f"the longest TE is {longest_te * 1e3:g} ms, are the times in seconds?")
    train = sequence.train
    if train is not None and train.inversion is not None and 0 < train.inversion.time < SHORTEST_TI:
        time = train.inversion.time * 1e3
        doubts.append(f"the inversion time is {time:g} ms, are the times in seconds?")
    largest = float(abs(sequence.flip_angle).max())
    if 0 < largest < SMALLEST_FLIP:
        shown = f"{np.rad2deg(largest):.3g} deg"
        doubts.append(f"the largest flip angle is {shown}, are the angles in radians?")
    return doubts
