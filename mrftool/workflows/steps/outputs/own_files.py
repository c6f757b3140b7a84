"""Files that are replaced without asking: those that mrftool wrote itself."""

from collections.abc import Callable, Sequence
from pathlib import Path

from mrftool.errors import ArgumentError, InputError
from mrftool.formats.bids import sidecar_path
from mrftool.formats.json_text import read_json
from mrftool.formats.npz.dictionary import is_dictionary
from mrftool.formats.sequence.write import is_own_text

_OF_SIMULATIONS = {"sequence_id", "seed", "truth"}  # keys of their sidecars


def require_own_simulation(outputs: Sequence[Path], *, overwrite: bool) -> None:
    """Raise ArgumentError if one of `outputs`, the scan first, is there and was not simulated.

    The sidecar of the scan says whether it was.
    """
    if not overwrite:
        why = "and no sidecar says that mrftool simulated it"
        _require_own(outputs, lambda _: _is_simulated(outputs[0]), why)


def require_own_dictionary(output: Path, *, overwrite: bool) -> None:
    """Raise ArgumentError if a file is there that is no dictionary of mrftool."""
    if not overwrite:
        _require_own([output], is_dictionary, "and is no dictionary that mrftool wrote")


def require_own_sequence(output: Path, *, overwrite: bool) -> None:
    """Raise ArgumentError if a sequence file is there that mrftool did not write."""
    if not overwrite:
        _require_own([output], is_own_text, "and mrftool did not write it, or it was changed since")


def _require_own(outputs: Sequence[Path], is_own: Callable[[Path], bool], why: str) -> None:
    for path in outputs:
        if path.is_file() and not is_own(path):
            raise ArgumentError(
                f"{path} exists, {why}, expected another name",
                hint="overwriting replaces it",
                arguments=("overwrite",),
            )


def _is_simulated(scan: Path) -> bool:
    try:
        facts = read_json(sidecar_path(scan), "a sidecar")
    except (InputError, ValueError):
        return False
    return isinstance(facts, dict) and facts.keys() >= _OF_SIMULATIONS
