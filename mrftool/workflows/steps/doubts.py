"""Tell that numbers of a sequence are most likely in another unit."""

from mrftool.environment.reporter import Reporter
from mrftool.formats.sequence.doubts import sequence_doubts
from mrftool.sequence import PulseSequence


def note_doubts(sequence: PulseSequence, reporter: Reporter) -> None:
    """Note each number of a sequence that is possible but improbable."""
    for doubt in sequence_doubts(sequence):
        reporter.note(f"sequence {sequence.name}: {doubt}")
