"""The RF sequence and its parts."""

from mrftool.sequence.events import (
    Event,
    Inversion,
    Invert,
    Pulses,
    Train,
    Wait,
    train_faults,
)
from mrftool.sequence.faults import sequence_faults
from mrftool.sequence.parts import SliceProfile, Spoiler, Spoiling
from mrftool.sequence.pulse_sequence import PulseSequence

__all__ = [
    "Event",
    "Inversion",
    "Invert",
    "PulseSequence",
    "Pulses",
    "SliceProfile",
    "Spoiler",
    "Spoiling",
    "Train",
    "Wait",
    "sequence_faults",
    "train_faults",
]
