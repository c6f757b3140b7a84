"""Files that come with the package: RF sequences and models."""

from pathlib import Path

from mrftool.errors import InputError


def shipped_file(kind: str, name: str) -> Path | None:
    """Path of a shipped file of a kind ("sequences" or "models"), or None if there is none of that
    name.
    """
    return next((path for path in shipped_files(kind) if path.name == name), None)


def shipped_files(kind: str) -> list[Path]:
    """All shipped files of a kind, by name. They lie in the installed package, or beside it in a
    checkout.
    """
    package = Path(__file__).parent
    folders = (package / kind, package.parent / kind)
    return next(
        (
            sorted(p for p in folder.iterdir() if p.is_file())
            for folder in folders
            if folder.is_dir()
        ),
        [],
    )


def find_file(kind: str, name: str, suffix: str) -> Path:
    """A file by its path as given, or a shipped one by its name, with or without the suffix.

    Raises InputError if there is neither.
    """
    path = Path(name)
    if path.exists() and not path.is_dir():
        return path
    shipped = shipped_file(kind, name if path.suffix else name + suffix)
    if shipped is None:
        known = (
            ", ".join(file.stem for file in shipped_files(kind) if file.suffix == suffix) or "none"
        )
        what = "is a folder" if path.is_dir() else "no such file"
        raise InputError(
            f"{name}: {what}, expected a {suffix} file or one of the shipped {kind}: {known}"
        )
    return shipped
