"""Write the temporal basis of a sequence for other reconstructions."""

from pathlib import Path

from mrftool.arrays import Range
from mrftool.formats.arrays.bart import basis_array, cfl_contents
from mrftool.formats.atomic import all_or_none
from mrftool.formats.coefficients.write import array_file
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.reconstruction.temporal_basis import temporal_basis
from mrftool.sequence import PulseSequence


def export_basis(
    sequence: PulseSequence | str | Path,
    path: Path,
    *,
    rank: int | None = None,
    b1_range: Range | None = None,
) -> list[Path]:
    """Write the basis `(time, rank)` of a sequence; the files that were written.

    Parameters
    ----------
    sequence : PulseSequence, str or Path
        The sequence, its file, or the name of a shipped one.
    path : Path
        .npy for Python and Julia, .cfl (with .hdr) for BART.
    rank : int, optional
        Number of vectors; by default 5 or 6.
    b1_range : (float, float), optional
        Actual over nominal flip angle that occurs [1].

    """
    if not isinstance(sequence, PulseSequence):
        sequence = read_sequence(sequence)
    vectors = temporal_basis(sequence, rank, b1_range=b1_range).vectors
    contents = {path: array_file(vectors)}
    if path.suffix == ".cfl":
        contents = dict(cfl_contents(path, basis_array(vectors)))
    with all_or_none(list(contents)) as parts:
        for part, content in zip(parts, contents.values(), strict=True):
            part.write_bytes(content)
    return list(contents)
