"""What a sequence makes of tissue: fingerprints, and what they can determine."""

from typing import Literal

from numpy.typing import ArrayLike

from mrftool.api.arguments import SequenceLike
from mrftool.fingerprints import Fingerprints
from mrftool.formats.sequence.yaml_file import as_sequence
from mrftool.physics.cramer_rao import Bound, cramer_rao
from mrftool.physics.simulate import DEFAULT_TOLERANCE
from mrftool.physics.simulate import simulate as simulate_tissue
from mrftool.tissue import Tissue


def simulate(
    sequence: SequenceLike, tissue: Tissue, *, tolerance: float = DEFAULT_TOLERANCE
) -> Fingerprints:
    """Simulate the fingerprints of tissue under a sequence.

    Parameters
    ----------
    sequence : PulseSequence, str or Path
        The sequence, its file, or the name of a shipped one.
    tissue : Tissue
        T1, T2 [s], M0, B1 [1] and so on of each voxel.
    tolerance : float
        Largest error that cutting off high EPG orders may make, relative to the norm of each
        fingerprint [1].

    Returns
    -------
    Fingerprints
        Their `signal` is `(voxel, time)` [the unit of M0].

    """
    return simulate_tissue(as_sequence(sequence), tissue, tolerance=tolerance)


def crlb(
    sequence: SequenceLike,
    tissue: Tissue,
    snr: ArrayLike,
    *,
    form: Literal["complex", "magnitude"] = "complex",
) -> Bound:
    """Compute the Cramer-Rao bound of T1 and T2: the smallest standard deviations possible.

    Parameters
    ----------
    sequence : PulseSequence, str or Path
        The sequence, its file, or the name of a shipped one.
    tissue : Tissue
        T1, T2 [s] and so on of each voxel.
    snr : array_like
        Root mean square of each fingerprint over the noise of each channel, `(voxel,)` or a
        number [1].
    form : {"complex", "magnitude"}
        Of the signals.

    """
    return cramer_rao(as_sequence(sequence), tissue, snr, form=form)
