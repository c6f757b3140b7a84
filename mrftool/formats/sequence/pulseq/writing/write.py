"""Write a sequence as a Pulseq file that a scanner can play."""

import warnings
from pathlib import Path

from mrftool.errors import InputError
from mrftool.formats.atomic import writing
from mrftool.formats.sequence.pulseq.writing.plan import remarks, segments
from mrftool.formats.sequence.pulseq.writing.player import Player
from mrftool.formats.sequence.pulseq.writing.scanner import Scanner
from mrftool.formats.sequence.write import SOFTWARE
from mrftool.sequence import PulseSequence


def write_pulseq(sequence: PulseSequence, path: Path, scanner: Scanner | None = None) -> list[str]:
    """Write a .seq file of hard pulses, spokes from the centre of k-space, spoilers and crushers.

    Parameters
    ----------
    sequence
        What is played. Triggers become waits for a physiological trigger.
    path
        Of the file.
    scanner
        Its limits, by default usual ones.

    Returns
    -------
    list of str
        What is played in another way than the sequence says, one sentence each.

    Raises
    ------
    InputError
        If the scanner cannot play the sequence; names the pulse and what it needs.
    MissingExtraError
        If pypulseq is absent.
    """
    _require_usual_readout(sequence)
    player = Player(sequence, scanner or Scanner())
    try:
        parts = segments(sequence)
        for place, segment in enumerate(parts):
            player.play(segment, after_trigger=place > 0, is_last=place + 1 == len(parts))
    except InputError as error:
        raise InputError(f"{sequence.name}: {error}") from error
    player.file.set_definition("Name", sequence.name)
    player.file.set_definition(*SOFTWARE)
    sound, faults = player.file.check_timing()
    if not sound:
        raise InputError(f"{sequence.name}: the file has wrong times: {faults[0]}")
    with writing(path) as part, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        part.write_text(_text_of(player, part), encoding="utf-8")
    return [*remarks(sequence), *_shift_remarks(player)]


def _require_usual_readout(sequence: PulseSequence) -> None:
    """Raises InputError for what a file of one readout and one spoiler for each pulse can't say."""
    there = {
        "several echoes of each pulse": sequence.later_echoes.size > 0,
        "a receiver phase apart from the RF phase": sequence.receiver_phase is not None,
        "spoilers of other than one cycle": sequence.spoiler_cycles is not None,
    }
    found = [what for what, is_there in there.items() if is_there]
    if found:
        raise InputError(
            f"{sequence.name}: {' and '.join(found)} are not written to Pulseq files, expected one "
            "echo, in phase with its pulse, and one spoiler cycle for each pulse"
        )


def _text_of(player: Player, part: Path) -> str:
    """The text of the file; pypulseq writes only to names that end in .seq."""
    draft = part.with_name(part.name + ".seq")
    try:
        player.file.write(str(draft))
        return draft.read_text(encoding="utf-8")
    finally:
        draft.unlink(missing_ok=True)


def _shift_remarks(player: Player) -> list[str]:
    notes = []
    if player.earliest > 0:
        early = f"{player.earliest * 1e3:.4g} ms"
        notes.append(f"T2 preparations begin up to {early} early, to make room for their crushers")
    if player.largest_shift > 1e-9:
        shift = f"{player.largest_shift * 1e6:.3g} us"
        notes.append(f"pulses are moved by up to {shift} onto the raster")
    if notes:
        notes.append("import the file to get the sequence that it plays")
    return notes
