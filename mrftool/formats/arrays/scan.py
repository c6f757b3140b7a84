"""Array files as a format of scans."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mrftool.arrays import Array
from mrftool.errors import ArgumentError, InputError, MismatchError
from mrftool.formats.arrays.array_file import is_array_file, read_array
from mrftool.formats.arrays.axes import TIME, arrange, bart_axes, require_letters
from mrftool.formats.channels import magnitude
from mrftool.formats.scan_request import ScanRequest, ShowProgress
from mrftool.formats.space import sizes
from mrftool.grid import Placement
from mrftool.scan.series import Form, Series, Signal, Voxels


def recognises(path: Path) -> bool:
    """Whether the suffix is that of an array file."""
    return path.is_file() and is_array_file(path)


def open_scan(path: Path, request: ScanRequest, progress: ShowProgress | None) -> Series:
    """Open the series in an array file, whose axes the caller names.

    Raises
    ------
    InputError
        If the file is damaged, its axes are not named, or it is no series.
    MismatchError
        If the reference image has another shape.
    ArgumentError
        If the request does not go with the format.
    """
    if request.imag or request.phase or request.series:
        raise ArgumentError(
            "an imaginary part, a phase and a choice of series do not go with array files: the "
            "axis 'i' has real and imaginary parts",
            arguments=["imag", "phase", "series"],
        )
    if request.axes is not None:
        require_letters(request.axes)
    values = read_array(path, request.variable)
    axes = request.axes or _own_axes(path, values)
    if TIME not in axes:
        raise InputError(f"{path}: axes {axes!r}, expected one that is t", arguments=["axes"])
    image = arrange(values, axes, path)
    placement, assumed = _placement(path, image.shape[:3], request.like)
    form = _form(values, image, request)
    return Series(
        (image.shape[0], image.shape[1], image.shape[2]),
        placement,
        image.shape[3],
        form,
        _reader(image, form, path),
        assumed,
        None,
        name=path.name,
        axes=axes,
    )


def _own_axes(path: Path, values: Array) -> str:
    """The axes that the format itself says. Raises InputError where it does not."""
    axes = None
    if path.suffix.lower() in (".cfl", ".hdr"):
        axes = bart_axes(values.shape)
    if axes is None:
        raise InputError(
            f"{path}: does not say which of its axes (sizes {sizes(values.shape)}) are x, y, z and "
            "time, expected their letters in order, as 'tyx'",
            arguments=["axes"],
        )
    return axes


def _placement(
    path: Path, shape: tuple[int, ...], like: Path | None
) -> tuple[Placement, tuple[str, ...]]:
    """Where the image lies: as a reference image, or in voxels of 1 mm."""
    from mrftool.formats.nifti.header import read_header

    if like is None:
        said = f"{path.name} does not say where the image lies: voxels of 1 mm are assumed."
        return Placement(np.eye(4), (0, 0)), (said,)
    header = read_header(like)
    if header.shape != shape:
        raise MismatchError(
            f"{like}: has {sizes(header.shape)} voxels, expected {sizes(shape)} as {path}",
            arguments=["like", "axes"],
        )
    return header.placement, header.assumptions


def _form(values: Array, image: Array, request: ScanRequest) -> Form:
    is_complex = np.iscomplexobj(image) or request.form == "real"
    if request.form == "real" and np.iscomplexobj(values):
        raise ArgumentError("form 'real' goes with real numbers, and the scan is complex")
    if is_complex and request.form != "magnitude":
        return "complex"
    return "magnitude"


def _reader(image: Array, form: Form, path: Path) -> Callable[[Voxels], Signal]:
    shape = image.shape[:3]

    def read(voxels: Voxels) -> Signal:
        x, y, z = np.unravel_index(voxels, shape, order="F")
        signal = image[x, y, z]
        if form == "complex":
            return np.ascontiguousarray(signal, np.complex64)
        if np.iscomplexobj(signal):
            signal = abs(signal)
        return magnitude(path.name, np.ascontiguousarray(signal, np.float32))

    return read
