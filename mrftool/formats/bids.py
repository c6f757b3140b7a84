"""BIDS: sidecars beside images, names of maps, and the description of a derivative data set.

Source: Brain Imaging Data Structure 1.10, https://bids-specification.readthedocs.io.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from mrftool.errors import InputError
from mrftool.formats.json_text import fault_in_words, with_whole_characters
from mrftool.formats.nifti.files import stem
from mrftool.quantities import FLAGS, QUANTITIES, Flag, flag_legend, quantity

RAW_SUFFIXES = (".mrd", ".h5")
_MOST_BYTES = 64 << 20
_MOST_LEVELS = 4  # data set, subject, session, kind of images


def sidecar_path(image: Path) -> Path:
    """Where the JSON file of a scan lies: `scan.nii.gz` and `scan.mrd` have `scan.json`."""
    if image.suffix in RAW_SUFFIXES:
        return image.with_suffix(".json")
    return image.with_name(f"{stem(image)}.json")


def read_sidecar(image: Path) -> dict[str, Any] | None:
    """What the JSON file beside an image says, or None if there is none.

    In a BIDS data set, an image also inherits what files of fewer entities say, in its folder and
    those above it; the nearer and the more specific file counts (BIDS, the inheritance principle).

    Raises
    ------
    InputError
        If a file is there and is not a JSON object.
    """
    found: dict[str, Any] | None = None
    for path in [*_inherited(image), sidecar_path(image)]:
        content = _read_json(path)
        if content is not None:
            found = (found or {}) | content
    return found


def _inherited(image: Path) -> list[Path]:
    """Sidecars of the data set that hold for the image too, the most general first."""
    own = _entities(stem(image))
    if own is None:
        return []
    found: list[Path] = []
    for folder in _folders_of_dataset(image):
        named = {path: _entities(path.stem) for path in folder.glob(f"*{own[1]}.json")}
        holding = [path for path, entities in named.items() if _holds(entities, own)]
        found += sorted(holding, key=lambda path: (path.stem.count("_"), path.name))
    return [path for path in found if path.name != sidecar_path(image).name]


def _folders_of_dataset(image: Path) -> list[Path]:
    """The folder of the image and those above it up to that of the data set, from the top."""
    folders: list[Path] = []
    for folder in list(image.absolute().parents)[:_MOST_LEVELS]:
        folders.insert(0, folder)
        if (folder / "dataset_description.json").is_file():
            return folders
    return [image.absolute().parent]


Entities = tuple[frozenset[str], str]  # such as `sub-01`, and the suffix


def _entities(name: str) -> Entities | None:
    """What a BIDS name says; None for other names."""
    *entities, suffix = name.split("_")
    if not re.fullmatch(r"[A-Za-z0-9]+", suffix):
        return None
    if not all(re.fullmatch(r"[a-z]+-[A-Za-z0-9+]+", entity) for entity in entities):
        return None
    return frozenset(entities), suffix


def _holds(named: Entities | None, image: Entities) -> bool:
    """Whether a sidecar of these entities holds for the image."""
    return named is not None and named[1] == image[1] and named[0] <= image[0]


def _read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file, or None if there is no such file."""
    try:
        if path.is_dir() or not path.exists():
            return None
        _require_small_file(path)
        text = path.read_text("utf-8-sig")
        content = with_whole_characters(json.loads(text), text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is no JSON: {fault_in_words(error)}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not isinstance(content, dict):
        raise InputError(
            f"{path}: holds a JSON {type(content).__name__}, expected an object of keys and values"
        )
    return content


def _require_small_file(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"{path}: is no regular file, expected a sidecar")
    if path.stat().st_size > _MOST_BYTES:
        raise InputError(f"{path}: is larger than {_MOST_BYTES >> 20} MB, expected a sidecar")


def to_json(content: Mapping[str, Any]) -> str:
    """The text of a sidecar."""
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


@dataclass(frozen=True)
class Provenance:
    """Where maps come from, for their sidecars.

    Parameters
    ----------
    sources
        The files that they were computed from.
    algorithm, reference
        How, and where that is described.
    pulse_sequence
        Its kind, in words.
    skull_stripped
        Whether only the brain was kept.
    details
        Digests, versions and settings; they go under the key "mrftool".
    """

    sources: tuple[str, ...]
    algorithm: str
    pulse_sequence: str
    reference: str = "https://doi.org/10.1038/nature11971"
    skull_stripped: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)


_BIDS_NAME = re.compile(r"(sub-[A-Za-z0-9]+)((?:_[a-z]+-[A-Za-z0-9+]+)*)_[A-Za-z0-9]+")


def map_path(folder: str | Path, source: str | Path, name: str) -> Path:
    """Where a map goes: `T1map.nii.gz`; or, for a BIDS source, `sub-01/anat/sub-01_T1map.nii.gz`
    with its entities.

    Entities that only tell the channels of the source apart (part) are left out.

    Raises
    ------
    ArgumentError
        If there is no map of that name.

    """
    suffix = quantity(name).suffix
    match = _BIDS_NAME.fullmatch(stem(Path(source)))
    if match is None:
        return Path(folder) / f"{suffix}.nii.gz"
    subject, entities = match[1], re.sub(r"_part-[A-Za-z0-9+]+", "", match[2])
    session = re.search(r"ses-[A-Za-z0-9+]+", entities)
    place = Path(folder, subject)
    if session:
        place /= session[0]
    return place / "anat" / f"{subject}{entities}_{suffix}.nii.gz"


def report_folder(folder: str | Path, source: str | Path) -> Path:
    """Where the report of a run goes: `folder` itself; or, for a BIDS source, a folder of its own,
    `sub-01/anat/sub-01_MRF_report`, so that each scan of a data set has one.
    """
    if not is_bids(source):
        return Path(folder)
    name = re.sub(r"_part-[A-Za-z0-9+]+", "", stem(Path(source)))
    return map_path(folder, source, "t1").parent / f"{name}_report"


def is_bids(source: str | Path) -> bool:
    """Whether a file is named as BIDS has it."""
    return _BIDS_NAME.fullmatch(stem(Path(source))) is not None


def map_description(name: str) -> str:
    """A line for the header of a map, with its unit."""
    shown = quantity(name)
    return f"{shown.description} [{shown.unit.name}]"


def map_sidecar(name: str, provenance: Provenance) -> dict[str, Any]:
    """The sidecar of a map, in the words of BIDS."""
    content = {
        "Description": quantity(name).description,
        "Units": quantity(name).unit.name,
        "Sources": list(provenance.sources),
        "SkullStripped": provenance.skull_stripped,
        "EstimationReference": provenance.reference,
        "EstimationAlgorithm": provenance.algorithm,
        "PulseSequenceType": provenance.pulse_sequence,
        "mrftool": {"versions": versions(), **provenance.details},
    }
    if name == "flags":
        content["Levels"] = {str(int(flag)): FLAGS[flag].text for flag in Flag}
    return content


def versions() -> dict[str, str]:
    """Of the software that the numbers depend on."""
    return dict(_versions())


@cache
def _versions() -> Mapping[str, str]:
    return {name: _version(name) for name in ("mrftool", "numpy", "nibabel", "onnxruntime")}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # run from a folder, not installed
        return "unknown"


_README = f"""# MR fingerprinting maps

Made by mrftool from the scans that the sidecar of each map names, with the model and the sequence
that it names by their digests. T1, T2 and their standard deviations are in seconds, M0 in the unit
of the scan, the residual is
relative to the signal. Flags are sums of: {flag_legend()}.
`report.html` says whether a run looks wrong.
"""


def dataset_texts(folder: str | Path) -> dict[Path, str]:
    """The files that make a folder of maps a BIDS derivative data set, and their texts.

    Files that exist are left as they are. Maps that BIDS has no name for are listed in
    `.bidsignore`.
    """
    description = {
        "Name": "MR fingerprinting maps",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "mrftool", "Version": _version("mrftool")}],
    }
    extra = [f"*_{each.suffix}.*" for each in QUANTITIES.values() if not each.is_bids]
    tables = ["status.tsv", "group.tsv"]
    ignored = [*extra, *tables, "*.png", "*.html", "report.json", "*_report", "*.dcm"]
    texts = {
        Path(folder) / "dataset_description.json": to_json(description),
        Path(folder) / ".bidsignore": "\n".join(ignored) + "\n",
        Path(folder) / "README.md": _README,
    }
    return {path: text for path, text in texts.items() if not path.exists()}


def part_path(image: Path, part: str) -> Path:
    """The name of one channel of an image: `scan_real.nii`, or `sub-01_part-real_MRF.nii` for a
    BIDS name.
    """
    ending = image.name[len(stem(image)) :]
    if is_bids(image):
        rest, suffix = stem(image).rsplit("_", 1)
        return image.with_name(f"{rest}_part-{part}_{suffix}{ending}")
    return image.with_name(f"{stem(image)}_{part}{ending}")


def other_part(image: Path) -> tuple[str, Path] | None:
    """The second part of a complex image that BIDS keeps in two files, if it lies beside the first:
    "phase" or "imag", and its path.
    """
    for part, other in (("mag", "phase"), ("real", "imag")):
        second = image.with_name(image.name.replace(f"_part-{part}_", f"_part-{other}_"))
        if second != image and second.is_file():
            return other, second
    return None
