"""Tell that numbers of a sequence are most likely in another unit, or what a model of it leaves
out.
"""

from mrftool.environment.reporter import Reporter
from mrftool.formats.sequence.doubts import sequence_doubts
from mrftool.sequence import PulseSequence


def note_doubts(sequence: PulseSequence, reporter: Reporter) -> None:
    """Note each number of a sequence that is possible but improbable."""
    for doubt in sequence_doubts(sequence):
        reporter.note(f"sequence {sequence.name}: {doubt}")


def note_echoes(sequence: PulseSequence, reporter: Reporter) -> None:
    """Note what signals of several echoes are taken to have where nothing is fitted beside T1 and
    T2.
    """
    if sequence.later_echoes.size:
        reporter.note(
            f"sequence {sequence.name} has several echoes of each pulse: off-resonance and R2' "
            "count as 0 here; quantify with the sequence itself fits them"
        )
