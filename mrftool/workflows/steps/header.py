"""Hear what the header of a scan says of its sequence."""

from collections.abc import Iterable

from mrftool.environment.reporter import Reporter
from mrftool.environment.shipped import shipped_files
from mrftool.errors import ArgumentError, MismatchError
from mrftool.inference.protocol import NAMES, Contradiction, Header, contradictions
from mrftool.scan.series import Series
from mrftool.sequence import PulseSequence


def allowed_names(allow: Iterable[str]) -> frozenset[str]:
    """Names of contradictions that may stand. Raises ArgumentError if one is unknown."""
    allowed = frozenset(allow)
    unknown = sorted(allowed - set(NAMES))
    if unknown:
        raise ArgumentError(
            f"{', '.join(unknown)} cannot be allowed, expected some of {', '.join(NAMES)}",
            arguments=("allow",),
        )
    return allowed


def require_agreement(
    series: Series | Header,
    sequence: PulseSequence | None,
    allow: Iterable[str],
    reporter: Reporter,
) -> tuple[str, ...]:
    """Compare the header of a scan with the sequence of a model or dictionary.

    Parameters
    ----------
    series : Series or Header
        The scan.
    sequence : PulseSequence, optional
        Of the model or dictionary; None where it is not known.
    allow : iterable of str
        Names of contradictions that are known and may stand: see `NAMES`.
    reporter : Reporter
        Hears of those.

    Returns
    -------
    tuple of str
        A sentence for each contradiction that was allowed.

    Raises
    ------
    MismatchError
        Naming every other contradiction.

    """
    allowed = allowed_names(allow)
    if sequence is None:
        return ()
    known = tuple(path.stem for path in shipped_files("sequences"))
    found = contradictions(series, sequence, known)
    refused = [each for each in found if each.name not in allowed]
    if refused:
        raise _refusal(series.name, refused)
    sentences = tuple(f"allowed ({each.name}): {each.text}" for each in found)
    for sentence in sentences:
        reporter.note(sentence)
    return sentences


def _refusal(scan: str, refused: Iterable[Contradiction]) -> MismatchError:
    names = " and ".join(each.name for each in refused)
    return MismatchError(
        f"{scan}: " + "; ".join(each.text for each in refused),
        hint=f"if the header is wrong, allow {names}",
        arguments=("allow",),
    )
