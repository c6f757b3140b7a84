"""Slice-selective pulses of a Pulseq file, by pypulseq: waveform, slice gradient, rephasing."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mrftool.errors import InputError
from mrftool.formats.sequence.pulseq.writing.plan import Step
from mrftool.formats.sequence.pulseq.writing.scanner import Scanner
from mrftool.physics.dephasing import GAMMA
from mrftool.sequence import SelectivePulse
from mrftool.sequence.selective_pulse import WINDOW_DEPTHS


@dataclass(frozen=True, eq=False)
class SlicePulse:
    """A pulse with its gradients.

    rf, gradient, rephaser: pypulseq's events. left: moment along z that both leave, for the
    gradients before the next pulse to take back [1/m].
    """

    rf: Any
    gradient: Any
    rephaser: Any
    left: float


def slice_pulse(
    pp: Any, system: Any, pulse: SelectivePulse, step: Step, scanner: Scanner, delay: float
) -> SlicePulse:
    """The events of a pulse of the train.

    Parameters
    ----------
    pp, system
        The package pypulseq, and its limits of the scanner.
    pulse
        What is played.
    step
        With which flip angle and phase.
    scanner
        For its largest B1.
    delay
        From the begin of the block to the begin of the waveform, at least [s].

    Raises
    ------
    InputError
        If the pulse has no slice thickness, or the scanner cannot play it.
    """
    if pulse.thickness is None:
        raise InputError("a slice-selective pulse without thickness, expected thickness_mm")
    make = {"sinc": pp.make_sinc_pulse, "gauss": pp.make_gauss_pulse}[pulse.shape]
    try:
        rf, gradient, _ = make(
            flip_angle=step.positive_flip,
            apodization=WINDOW_DEPTHS[pulse.apodisation],
            delay=delay,
            duration=pulse.duration,
            phase_offset=step.phase_of_positive_flip,
            return_gz=True,
            slice_thickness=pulse.thickness,
            system=system,
            time_bw_product=pulse.time_bandwidth,
            use=step.use,
        )
        ramp = (gradient.area - gradient.flat_area) / 2
        area = -(pulse.rephasing * gradient.flat_area / 2 + ramp)
        rephaser = pp.make_trapezoid("z", area=area, system=system)
    except (AssertionError, ValueError) as error:
        raise InputError(f"{step.name}: its slice cannot be played: {error}") from error
    peak = 2 * np.pi * float(np.abs(rf.signal).max()) / GAMMA
    if peak > scanner.max_b1:
        raise InputError(
            f"{step.name} needs a B1 of {peak * 1e6:.4g} uT, expected at most "
            f"{scanner.max_b1 * 1e6:.4g} uT: a longer pulse needs less"
        )
    return SlicePulse(rf, gradient, rephaser, float(gradient.area + area))
