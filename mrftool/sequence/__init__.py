"""The RF sequence and its parts."""

from mrftool.sequence.events import (
    Event,
    HardPulse,
    Invert,
    Preparation,
    Pulses,
    Saturate,
    T2Prep,
    Trigger,
    Wait,
)
from mrftool.sequence.faults import sequence_faults
from mrftool.sequence.parts import SliceProfile, Spoiler, Spoiling
from mrftool.sequence.pulse_sequence import PulseSequence
from mrftool.sequence.selective_pulse import SelectivePulse
from mrftool.sequence.train import Inversion, Train, train_faults

__all__ = [
    "Event",
    "HardPulse",
    "Inversion",
    "Invert",
    "Preparation",
    "PulseSequence",
    "Pulses",
    "Saturate",
    "SelectivePulse",
    "SliceProfile",
    "Spoiler",
    "Spoiling",
    "T2Prep",
    "Train",
    "Trigger",
    "Wait",
    "sequence_faults",
    "train_faults",
]
