"""Fuzzy tissue volumes of BrainWeb, for those who have downloaded them, as a phantom.

BrainWeb: C. A. Cocosco et al., NeuroImage 5:S425 (1997), https://brainweb.bic.mni.mcgill.ca/. One
file for each tissue class, either raw (one unsigned byte per voxel, 0 to 255 for a share of 0 to 1,
x fastest, no header) or MINC, each perhaps compressed by gzip. The normal brain has 181 x 217 x 181
voxels of 1 mm and starts at (-90, -126, -72) mm.
"""

import gzip
import importlib.util
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mrftool.arrays import Float32Array
from mrftool.errors import InputError, MissingExtraError
from mrftool.phantoms.phantom import Phantom
from mrftool.phantoms.tissues import class_tissue

SHAPE = (181, 217, 181)
_START = (-90.0, -126.0, -72.0)  # of the first voxel [mm]
_TAGS = {  # the last part of BrainWeb's file names
    "bck": "background",
    "csf": "csf",
    "gry": "grey_matter",
    "wht": "white_matter",
    "fat": "fat",
    "m+s": "muscle_skin",
    "skn": "skin",
    "skl": "skull",
    "gli": "glial_matter",
    "mit": "connective",
    "les": "lesion",
}
_OPTIONAL = ("background", "lesion")
_SUFFIXES = (".rawb", ".raw", ".mnc", ".rawb.gz", ".raw.gz", ".mnc.gz")


def find_brainweb(folder: str | Path) -> dict[str, Path]:
    """Class names and files of a BrainWeb model in `folder`, by the names that BrainWeb gives its
    files.

    Raises InputError if a class has no file, or more than one.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder, expected one with BrainWeb files")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        name = _class_of(path)
        if name in found:
            raise InputError(
                f"{folder}: {found[name].name} and {path.name}, expected one file for class {name}"
            )
        if name:
            found[name] = path
    _require_all_classes(folder, found)
    return found


def _require_all_classes(folder: Path, found: Mapping[str, Path]) -> None:
    required = {name: tag for tag, name in _TAGS.items() if name not in _OPTIONAL}
    missing = [f"{name} (*_{tag})" for name, tag in required.items() if name not in found]
    if missing:
        raise InputError(
            f"{folder}: no file for class {', '.join(missing)}, "
            "expected names as BrainWeb gives them"
        )


def _class_of(path: Path) -> str | None:
    """The tissue class that the name of a file says, or None."""
    for suffix in _SUFFIXES:
        if path.name.endswith(suffix):
            tag = path.name.removesuffix(suffix).split("_")[-1].lower()
            return _TAGS.get(tag)
    return None


def read_brainweb(
    files: Mapping[str, str | Path],
    *,
    slices: slice = slice(None),
    shape: tuple[int, int, int] = SHAPE,
    b0: float = 1.5,
) -> Phantom:
    """A phantom of the fuzzy volumes in `files`: class name (as in `find_brainweb`) to path.

    slices: which slices in z. shape: of raw files, which do not say it. b0: 1.5 for BrainWeb's own
    relaxation times, or 3 [T].

    Raises InputError for a file that is missing, truncated or of another size than expected,
    MissingExtraError if MINC 2 needs h5py and there is none.
    """
    if not files:
        raise InputError("no BrainWeb files, expected one for each tissue class")
    names = tuple(files)
    tissue = class_tissue(names, b0)
    if not range(shape[2])[slices]:
        raise InputError(
            f"slices {slices.start} to {slices.stop} of {shape[2]}, expected at least one in the "
            f"volume"
        )
    volumes = [_read_volume(Path(files[name]), shape, slices) for name in names]
    fractions = np.stack(volumes, axis=-1)
    if not fractions.any():
        raise InputError(
            f"{Path(files[names[0]]).parent}: all tissue fractions are 0, expected some tissue"
        )
    first, _, step = slices.indices(shape[2])
    affine = np.diag([1.0, 1.0, float(step), 1.0])
    affine[:3, 3] = np.add(_START, (0, 0, first))
    return Phantom(fractions, names, tissue, affine)


def _read_volume(path: Path, shape: tuple[int, int, int], slices: slice) -> Float32Array:
    """Fractions `(x, y, z)` of one file, the wanted slices of it."""
    try:
        if ".mnc" in path.suffixes:
            return _read_minc(path, shape, slices)
        with _opened(path) as stream:
            return _read_raw(path, stream, shape, slices)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: {reason}, expected a readable BrainWeb volume") from error


def _opened(path: Path) -> BinaryIO:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _read_raw(
    path: Path, stream: BinaryIO, shape: tuple[int, int, int], slices: slice
) -> Float32Array:
    size = int(np.prod(shape))
    data = stream.read(size + 1)
    if len(data) != size:
        found = f"{len(data)} bytes" if len(data) < size else f"more than {size} bytes"
        raise InputError(
            f"{path}: {found}, expected {size} for {shape[0]} x {shape[1]} x {shape[2]} voxels"
        )
    volume = np.frombuffer(data, np.uint8).reshape(shape, order="F")
    return np.asarray(volume[:, :, slices] / np.float32(255), np.float32)


def _read_minc(path: Path, shape: tuple[int, int, int], slices: slice) -> Float32Array:
    import nibabel

    with _opened(path) as stream, tempfile.NamedTemporaryFile(suffix=".mnc") as plain:
        limit = (
            16 * int(np.prod(shape)) + 2**20
        )  # float64 and a long header: more is no such volume
        data = stream.read(limit)
        if data.startswith(b"\x89HDF") and importlib.util.find_spec("h5py") is None:
            raise MissingExtraError(
                f"{path}: is MINC 2, which needs the package h5py", hint="pip install h5py"
            )
        plain.write(data)
        plain.flush()
        try:
            image = nibabel.as_closest_canonical(nibabel.load(plain.name))  # type: ignore[no-untyped-call]
            volume = np.asarray(image.get_fdata(dtype=np.float32))
        except (
            Exception
        ) as error:  # the readers of NetCDF and HDF5 raise all kinds on a damaged file
            raise InputError(
                f"{path}: {type(error).__name__} while reading, expected a whole MINC file"
            ) from error
    if volume.shape != shape:
        raise InputError(f"{path}: {volume.shape} voxels, expected {shape}")
    if not (volume.min() >= -1e-3 and volume.max() <= 1 + 1e-3):
        raise InputError(
            f"{path}: values {volume.min():g} to {volume.max():g}, expected tissue fractions 0 to 1"
        )
    return np.asarray(np.clip(volume[:, :, slices], 0, 1), np.float32)
