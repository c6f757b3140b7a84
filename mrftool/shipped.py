"""Files that come with the package: RF sequences and models."""

from pathlib import Path


def shipped_file(kind: str, name: str) -> Path | None:
    """Path of a shipped file of a kind ("sequences" or "models"), or None if there is none of that name."""
    return next((path for path in shipped_files(kind) if path.name == name), None)


def shipped_files(kind: str) -> list[Path]:
    """All shipped files of a kind, by name. They lie in the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    folders = (package / kind, package.parent / kind)
    return next((sorted(p for p in folder.iterdir() if p.is_file()) for folder in folders if folder.is_dir()), [])
