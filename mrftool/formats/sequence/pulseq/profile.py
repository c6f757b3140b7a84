"""Slice profile of a selective pulse in a Pulseq file, by Bloch simulation across the slice."""

import numpy as np

from mrftool.errors import InputError
from mrftool.formats.sequence.pulseq.file import PulseqFile
from mrftool.formats.sequence.pulseq.shots import Shot, slice_gradient
from mrftool.physics.rf.pulse import flip_across
from mrftool.sequence import SliceProfile

_SEARCHED = 16  # cycles of dephasing during the pulse, either way, within which the slice lies
_EDGE = 0.05  # flip factor at which the slice ends


def slice_profile(
    file: PulseqFile, shots: tuple[Shot, ...], positions: int
) -> tuple[SliceProfile, str]:
    """Simulate the slice in `positions` equal parts; and a note on how it was made.

    The pulse whose flip angle is nearest to the root mean square represents all.

    Raises
    ------
    InputError
        If the pulses are not selective.
    """
    flips = np.array([shot.flip for shot in shots])
    shot = shots[int(np.argmin(abs(flips - np.sqrt((flips**2).mean()))))]
    block = file.blocks[shot.block]
    steps, mean = slice_gradient(block)
    strength = float(np.linalg.norm(mean))
    if strength == 0 or shot.flip == 0:
        raise InputError(
            "the pulses are not slice-selective, expected no slice profile",
            arguments=["slice_positions"],
        )
    gradient = steps @ mean / strength
    half = _SEARCHED / (strength * float(shot.rf.pulse.duration.sum()))
    coarse = np.linspace(-half, half, 801)
    seen = flip_across(shot.rf.pulse, gradient, coarse) / shot.flip
    inside = coarse[seen >= _EDGE]
    if len(inside) < 2:
        raise InputError(
            f"no slice within {half * 1e3:.3g} mm of the isocentre: the pulses reach {_EDGE:g} of "
            "their flip angle nowhere, expected a selective pulse and its gradient"
        )
    width = float(inside[-1] - inside[0])
    middle = inside[0] + (np.arange(positions) + 0.5) / positions * width
    factor = flip_across(shot.rf.pulse, gradient, middle) / shot.flip
    note = (
        f"the slice profile is that of a pulse of {np.rad2deg(shot.flip):.4g} deg at {positions} "
        f"positions over {width * 1e3:.3g} mm, the width at {_EDGE:g} of the flip angle; phase "
        "across the slice is left out"
    )
    return SliceProfile(np.round(factor, 6), np.full(positions, 1 / positions)), note
