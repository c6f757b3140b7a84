"""Several scans in one call: each has a folder of its own, and one that fails stops no other."""

from collections.abc import Callable, Iterable
from pathlib import Path

from mrftool.cli.messages.session import session
from mrftool.errors import InputError, MrftoolError, UsageError


def for_each_scan(scans: Iterable[Path], output: Path, work: Callable[[Path, Path], None]) -> None:
    """Call `work` with each scan and the folder of its maps.

    One scan alone has `output` itself. Of several, each has a folder in it with its own name; those
    named as BIDS has it share `output`, where their names keep them apart.

    Raises
    ------
    UsageError
        If two scans would have the same folder.
    MrftoolError
        If a scan failed: the error itself for a scan alone, and else one that counts, after the
        others are done.

    """
    places = _places(list(scans), output)
    if len(places) == 1:
        work(*places[0])
        return
    errors: list[MrftoolError] = []
    for scan, folder in places:
        try:
            work(scan, folder)
        except MrftoolError as error:
            errors.append(error)
            session().fail(str(error))
    if errors:
        raise _all_in_one(errors, len(places))


def _places(scans: list[Path], output: Path) -> list[tuple[Path, Path]]:
    """Each scan, and the folder of its maps."""
    from mrftool.formats.bids import is_bids
    from mrftool.formats.nifti.files import stem

    if len(scans) == 1:
        return [(scans[0], output)]
    places: dict[Path, Path] = {}
    for scan in scans:
        name = stem(scan)
        key = output / name
        if key in places:
            raise UsageError(
                f"{places[key]} and {scan} would both go to {key}, expected different names",
                hint="quantify one at a time, each into a folder of its own",
            )
        places[key] = scan
    return [(scan, output if is_bids(scan) else key) for key, scan in places.items()]


def _all_in_one(errors: list[MrftoolError], count: int) -> MrftoolError:
    """One error for several; its exit code is theirs, if they have the same."""
    kinds = {type(error) for error in errors}
    kind: type[MrftoolError] = InputError
    if len(kinds) == 1:
        kind = kinds.pop()
    return kind(f"{len(errors)} of {count} scans failed, see above")
