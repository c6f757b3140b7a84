"""Files that come with the package: RF sequences and models."""

from pathlib import Path

from mrftool.errors import InputError


def shipped_file(kind: str, name: str) -> Path | None:
    """Path of a shipped file of a kind ("sequences" or "models"), or None."""
    for path in shipped_files(kind):
        if path.name == name:
            return path
    return None


def shipped_files(kind: str) -> list[Path]:
    """All shipped files of a kind, by name: in the package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    for folder in (package / kind, package.parent / kind):
        if folder.is_dir():
            return sorted(path for path in folder.iterdir() if path.is_file())
    return []


def shipped_names(kind: str, suffix: str) -> list[str]:
    """Names of the shipped files of a kind, without their suffix."""
    return [path.stem for path in shipped_files(kind) if path.suffix == suffix]


def find_file(kind: str, name: str, suffix: str) -> Path:
    """A file by its path, or a shipped one by its name, with or without the suffix.

    Raises
    ------
    InputError
        If there is neither.
    """
    path = Path(name)
    if path.exists() and not path.is_dir():
        return path
    shipped = shipped_file(kind, name) or shipped_file(kind, name + suffix)
    if shipped is not None:
        return shipped
    what = "no such file"
    if path.is_dir():
        what = "is a folder"
    raise InputError(
        f"{name}: {what}, expected a {suffix} file or one of the shipped {kind}: "
        + _known_names(kind, suffix)
    )


def _known_names(kind: str, suffix: str) -> str:
    return ", ".join(shipped_names(kind, suffix)) or "none"
