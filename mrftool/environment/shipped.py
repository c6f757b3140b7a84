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


def find_file(kind: str, name: str, suffix: str) -> Path:
    """A file by its path, or a shipped one by its name, with or without the suffix.

    Raises
    ------
    InputError
        If there is neither.
    """
    path = Path(name)
    is_folder = path.is_dir()
    if path.exists() and not is_folder:
        return path
    shipped = shipped_file(kind, name) or shipped_file(kind, name + suffix)
    if shipped is not None:
        return shipped
    what = "is a folder" if is_folder else "no such file"
    known = [file.stem for file in shipped_files(kind) if file.suffix == suffix] or ["none"]
    raise InputError(
        f"{name}: {what}, expected a {suffix} file or one of the shipped {kind}: "
        + ", ".join(known)
    )
