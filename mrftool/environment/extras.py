"""Packages of the optional extras, as pyproject.toml names them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from mrftool.errors import MissingExtraError

EXTRA_OF = {
    "torch": "train",
    "onnxscript": "train",
    "safetensors": "train",
    "h5py": "brainweb",
    "finufft": "recon",
    "ducc0": "recon",
    "ismrmrd": "recon",
    "pynetdicom": "serve",
}


@contextmanager
def naming_extras() -> Iterator[None]:
    """Raise MissingExtraError in place of ModuleNotFoundError where an extra brings the package."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in EXTRA_OF:
            raise
        raise missing_extra(error.name) from error


def missing_extra(package: str) -> MissingExtraError:
    """What to tell the user of a package that an extra brings and that is not installed."""
    return MissingExtraError(f"{package} is not installed", hint=install_hint(EXTRA_OF[package]))


def install_hint(extra: str) -> str:
    """The command that installs what an extra needs: `pip install 'torch>=2.9' ...`.

    It names the packages themselves: mrftool need not come from a package index.
    """
    packages = _packages_of(extra)
    if not packages:
        return f"install the extra {extra} of mrftool, from where mrftool came"
    return "pip install " + " ".join(f"'{package}'" for package in packages)


def _packages_of(extra: str) -> list[str]:
    from importlib import metadata

    try:
        lines = metadata.requires("mrftool") or []
    except metadata.PackageNotFoundError:
        return []
    marker = re.compile(rf"""extra\s*==\s*["']{re.escape(extra)}["']""")
    parts = [line.partition(";") for line in lines]
    return [package.strip() for package, _, condition in parts if marker.search(condition)]
