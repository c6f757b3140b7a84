"""Fingerprint scans of a BIDS data set."""

import json
import re
import shutil
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from mrftool.errors import InputError

SUFFIX = "MRF"  # of fingerprint images; BIDS 1.10 defines none for them

_NAME = re.compile(
    r"(?P<subject>sub-[A-Za-z0-9]+)(?P<entities>(?:_[a-z]+-[A-Za-z0-9+]+)*)"
    r"_(?P<suffix>[A-Za-z0-9]+)\.nii(?:\.gz)?"
)
_PART = re.compile(r"_part-(?P<part>mag|phase|real|imag)(?=_)")


@dataclass(frozen=True)
class CohortScan:
    """One fingerprint scan of a data set.

    Parameters
    ----------
    key
        Name without channel and ending, as in `sub-01_ses-02_MRF`; unique in the data set.
    subject
        As in `sub-01`.
    session
        As in `ses-02`, or "" where there are no sessions.
    image
        The image, or its magnitude or real part.
    phase, imaginary
        The other channel of the image, where it lies in a file of its own.

    """

    key: str
    subject: str
    session: str
    image: Path
    phase: Path | None = None
    imaginary: Path | None = None

    @property
    def files(self) -> list[Path]:
        """All files of the scan that exist: its channels, and the sidecar of each."""
        channels = [path for path in (self.image, self.phase, self.imaginary) if path is not None]
        sidecars = [path.with_name(_stem(path) + ".json") for path in channels]
        return [*channels, *(path for path in sidecars if path.exists())]


def find_scans(
    dataset: Path,
    *,
    suffix: str = SUFFIX,
    participants: Collection[str] = (),
    sessions: Collection[str] = (),
) -> list[CohortScan]:
    """The fingerprint scans of a data set, by name.

    Parameters
    ----------
    dataset
        Folder with `dataset_description.json`.
    suffix
        Last part of the names of fingerprint images.
    participants, sessions
        Labels to take, with or without `sub-` and `ses-`; all where none is given.

    Raises
    ------
    InputError
        If the folder is no BIDS data set, a label is not in it, or no scan is left.

    """
    if not (dataset / "dataset_description.json").is_file():
        raise InputError(
            f"{dataset}: has no dataset_description.json, expected the folder of a BIDS data set"
        )
    images: dict[str, dict[str, Path]] = {}
    for path in sorted(dataset.glob("sub-*/**/*.nii*")):
        match = _NAME.fullmatch(path.name)
        if match is None or match["suffix"] != suffix:
            continue
        part = _PART.search(path.name)
        name = _PART.sub("", _stem(path))
        channel = "whole" if part is None else part["part"]
        images.setdefault(name, {})[channel] = path
    scans = [_scan(key, channels) for key, channels in images.items()]
    chosen = _chosen(scans, "subject", _labels(participants, "sub-"))
    chosen = _chosen(chosen, "session", _labels(sessions, "ses-"))
    if not chosen:
        raise InputError(f"{dataset}: has no scan named sub-*_{suffix}.nii.gz, expected one")
    return chosen


def _scan(key: str, channels: dict[str, Path]) -> CohortScan:
    session = re.search(r"_(ses-[A-Za-z0-9+]+)", key)
    place = (key, key.split("_", maxsplit=1)[0], session[1] if session else "")
    if "whole" in channels:
        return CohortScan(*place, channels["whole"])
    if "mag" in channels:
        return CohortScan(*place, channels["mag"], phase=channels.get("phase"))
    if "real" in channels:
        return CohortScan(*place, channels["real"], imaginary=channels.get("imag"))
    names = ", ".join(sorted(path.name for path in channels.values()))
    raise InputError(f"{names}: a channel alone, expected its magnitude or real part beside it")


def _labels(labels: Collection[str], prefix: str) -> set[str]:
    return {prefix + label.removeprefix(prefix) for label in labels}


def _chosen(scans: list[CohortScan], field: str, labels: set[str]) -> list[CohortScan]:
    if not labels:
        return scans
    present = {getattr(scan, field) for scan in scans}
    missing = sorted(labels - present)
    if missing:
        raise InputError(f"{', '.join(missing)}: not in the data set, expected a label that is")
    return [scan for scan in scans if getattr(scan, field) in labels]


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")


def validate(dataset: Path) -> bool:
    """Check a data set with the BIDS validator, where that is installed; whether it was.

    Raises
    ------
    InputError
        If the validator finds an error.

    """
    validator = shutil.which("bids-validator-deno")
    if validator is None:
        return False
    command = [validator, str(dataset.absolute()), "--json", "--ignoreNiftiHeaders"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    try:
        issues = json.loads(run.stdout)["issues"]["issues"]
        errors = [issue for issue in issues if issue["severity"] == "error"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{dataset}: the BIDS validator gave no result that can be read"
        ) from error
    if errors:
        first = errors[0]
        raise InputError(
            f"{dataset}: the BIDS validator finds {len(errors)} errors, the first is "
            f"{first.get('code')} in {first.get('location')}, expected a valid data set"
        )
    return True
