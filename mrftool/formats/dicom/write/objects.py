"""DICOM out: maps as objects of the patient's study, beside the series they were computed from."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from mrftool.errors import ArgumentError, InputError, MrftoolError
from mrftool.formats.atomic import all_or_none
from mrftool.formats.bids import Provenance
from mrftool.formats.dicom.headers.header import read_dataset
from mrftool.formats.dicom.headers.lenient import lenient
from mrftool.formats.dicom.read.plane import Plane
from mrftool.formats.dicom.read.series import DicomSeries
from mrftool.formats.dicom.write.kept import start_of
from mrftool.formats.dicom.write.mr import mr_images
from mrftool.formats.dicom.write.parametric import parametric_map
from mrftool.formats.dicom.write.quantity import Quantified, quantified
from mrftool.formats.dicom.write.space import Slices, require_same_volume, slices_of, with_axes_of
from mrftool.formats.dicom.write.template import Origin
from mrftool.grid import Placement
from mrftool.maps import Maps
from mrftool.quantities import quantity

Format = Literal["mr", "parametric-map"]
Objects = tuple[list[Dataset], dict[str, int]]

_MAKERS: Mapping[str, Callable[[Quantified, int, Slices, Origin], Objects]] = {
    "mr": mr_images,
    "parametric-map": parametric_map,
}


@dataclass(frozen=True)
class WrittenMap:
    """paths: of the files of one map. counts: voxels whose number could not be kept, by what
    happened to it.
    """

    name: str
    paths: tuple[Path, ...]
    counts: dict[str, int]


def with_units(maps: Maps) -> dict[str, tuple[NDArray[np.generic], str]]:
    """The maps of a quantification as `write_dicom_maps` takes them."""
    return {name: (image, quantity(name).unit.name) for name, image in maps.images()}


def write_dicom_maps(
    folder: str | Path,
    maps: Mapping[str, tuple[NDArray[np.generic], str]],
    placement: Placement,
    source: DicomSeries,
    provenance: Provenance,
    *,
    format: Format = "mr",  # noqa: A002
) -> list[WrittenMap]:
    """Writes maps as new series of the study of `source`: all of them, or nothing.

    maps: by name, images `(x, y, z)` with their unit: that of `mrftool.quantities`, or "ms".
    placement: of the maps; their axes are turned to those of the source, nothing is resampled.
    format: "mr" writes `NAME/0001.dcm` and so on as MR Image Storage, whole milliseconds in 16
        bits; "parametric-map" writes `NAME.dcm` as a Parametric Map in 32-bit floating point.

    NaN and infinities are stored as 0; MR images also store what is below 0 as 0 and what is above
    65,535 ms as that. The counts that come back say how often.

    Raises InputError if maps have different shapes or the folder holds other files where they go,
    MismatchError if they do not lie in the volume of the source.
    """
    written, objects = _made(Path(folder), maps, placement, source, provenance, format)
    _save(objects, [path for entry in written for path in entry.paths])
    return written


def check_dicom_maps(
    folder: str | Path,
    names: Sequence[str],
    placement: Placement,
    shape: tuple[int, int, int],
    source: DicomSeries,
    *,
    format: Format = "mr",  # noqa: A002
) -> None:
    """Raises what `write_dicom_maps` would raise, before there are maps: a map of zeros is made and
    written to memory in their place.

    names: of the maps. shape, placement: where they lie.
    """
    empty = np.zeros(shape, np.float32)
    maps = {name: (empty, quantity(name).unit.name) for name in names[:1]}
    provenance = Provenance((), "not known yet", "not known yet")
    try:
        written, objects = _made(Path(folder), maps, placement, source, provenance, format)
    except MrftoolError:
        raise
    except Exception as error:  # whatever pydicom and highdicom raise of a malformed header
        raise InputError(
            f"{source.name}: its headers cannot be used for DICOM maps: {error}",
            hint="write no DICOM maps",
        ) from error
    count = len(written[0].paths)
    for name in names:
        _require_room(WrittenMap(name, _paths(Path(folder), name, count, format), {}))
    with lenient():
        for dataset in objects:
            _write(dataset, io.BytesIO())


def _made(
    folder: Path,
    maps: Mapping[str, tuple[NDArray[np.generic], str]],
    placement: Placement,
    source: DicomSeries,
    provenance: Provenance,
    chosen: str,
) -> tuple[list[WrittenMap], list[Dataset]]:
    """Where the maps will lie, and their objects, in the same order."""
    if chosen not in _MAKERS:
        raise ArgumentError(f"DICOM format {chosen!r}, expected one of {', '.join(_MAKERS)}")
    entries, slices = _ready(maps, placement, source)
    origin = _origin(source, slices, provenance)
    written, objects = [], []
    with lenient():
        for number, entry in enumerate(entries, start=1):
            made, counts = _MAKERS[chosen](entry, number, slices, origin)
            paths = _paths(folder, entry.name, len(made), chosen)
            lost = {text: n for text, n in counts.items() if n}
            written.append(WrittenMap(entry.name, paths, lost))
            _require_room(written[-1])
            objects += made
    return written, objects


def _ready(
    maps: Mapping[str, tuple[NDArray[np.generic], str]], placement: Placement, source: DicomSeries
) -> tuple[list[Quantified], Slices]:
    """The maps in the axes of the source and the units of the files, and where their slices lie."""
    images = {name: np.asarray(image) for name, (image, _) in maps.items()}
    if not images:
        raise InputError("there are no maps to write, expected at least one")
    entries = {name: quantified(name, image, maps[name][1]) for name, image in images.items()}
    first, *others = images
    for name in others:
        if images[name].shape != images[first].shape:
            raise InputError(
                f"map {name} has shape {images[name].shape}, expected {images[first].shape} as "
                f"{first}"
            )
    shape = images[first].shape
    require_same_volume(shape, placement.affine, source.shape, source.affine, source.name)
    values, affine = with_axes_of(
        {name: entry.values for name, entry in entries.items()}, placement.affine, source.affine
    )
    done = [entry.with_values(values[name]) for name, entry in entries.items()]
    x, y, z = done[0].values.shape
    return done, slices_of((x, y, z), affine)


def _origin(source: DicomSeries, slices: Slices, provenance: Provenance) -> Origin:
    """What the maps come from: one source image for each slice, the nearest."""
    heights = np.array([_height(planes[0], slices) for planes in source.planes])
    wanted = slices.positions @ slices.normal
    planes = [source.planes[int(abs(heights - height).argmin())][0] for height in wanted]
    first = source.planes[0][0]
    header = read_dataset(first.path, first.label)
    with lenient():
        return Origin(
            header, start_of(header), planes, source.n_time, provenance, datetime.now().astimezone()
        )


def _height(plane: Plane, slices: Slices) -> float:
    return float(np.asarray(plane.vector("ImagePositionPatient", 3)) @ slices.normal)


def _paths(folder: Path, name: str, count: int, chosen: str) -> tuple[Path, ...]:
    if chosen == "parametric-map":
        return (folder / f"{name}.dcm",)
    return tuple(folder / name / f"{number:04d}.dcm" for number in range(1, count + 1))


def _require_room(entry: WrittenMap) -> None:
    """Raises InputError if files of an earlier run would stay among the new ones."""
    folder = entry.paths[0].parent
    is_one_file = entry.paths[0].name == f"{entry.name}.dcm"
    other_form = folder.parent / f"{entry.name}.dcm"
    if is_one_file:
        other_form = folder / entry.name
    if other_form.exists():
        raise InputError(
            f"{other_form}: is the {entry.name} map in another form, expected a folder without it"
        )
    if is_one_file or not folder.is_dir():
        return
    others = {path.name for path in folder.iterdir()} - {path.name for path in entry.paths}
    if others:
        raise InputError(
            f"{folder}: holds {min(others)}, expected an empty folder for the {entry.name} map"
        )


def _save(objects: list[Dataset], paths: list[Path]) -> None:
    with all_or_none(paths, make_folders=True) as parts, lenient():
        for dataset, part in zip(objects, parts, strict=True):
            _write(dataset, part)


def _write(dataset: Dataset, target: Path | BinaryIO) -> None:
    """Raises InputError for whatever pydicom raises, but for faults of the disk."""
    try:
        dataset.save_as(target, enforce_file_format=True)
    except OSError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError(f"the DICOM map {dataset.get('SeriesDescription')}: {said}") from error
