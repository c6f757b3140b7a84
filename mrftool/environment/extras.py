"""Packages of the optional extras, as pyproject.toml names them."""

import re
from importlib.metadata import PackageNotFoundError, requires


def install_hint(extra: str) -> str:
    """The command that installs what an extra needs: `pip install 'torch>=2.9' ...`.

    It names the packages themselves: mrftool need not come from a package index.
    """
    packages = _packages_of(extra)
    if not packages:
        return f"install the extra {extra} of mrftool, from where mrftool came"
    return "pip install " + " ".join(f"'{package}'" for package in packages)


def _packages_of(extra: str) -> list[str]:
    try:
        lines = requires("mrftool") or []
    except PackageNotFoundError:
        return []
    marker = re.compile(rf"""extra\s*==\s*["']{re.escape(extra)}["']""")
    parts = [line.partition(";") for line in lines]
    return [package.strip() for package, _, condition in parts if marker.search(condition)]
