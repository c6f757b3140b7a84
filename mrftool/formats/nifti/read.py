"""Fingerprint series in NIfTI files."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from mrftool.arrays import Array
from mrftool.errors import ArgumentError, InputError, MismatchError
from mrftool.formats.bids import read_sidecar
from mrftool.formats.channels import detect_phase_unit, from_parts, from_polar, magnitude
from mrftool.formats.nifti.data import Combine, FramesReader
from mrftool.formats.nifti.header import NiftiHeader, read_header
from mrftool.formats.nifti.stored.frames import Frames, map_frames
from mrftool.formats.scan_request import ShowProgress
from mrftool.formats.space import require_same_voxels, sizes
from mrftool.scan.series import Series

GivenForm = Literal["complex", "magnitude", "real"]

_SERIES_INTENTS = {0, 2001}  # none, time series
_PAIR_INTENTS = {0, 1007, 2001}  # also: vector


def open_series(
    path: str | Path,
    *,
    imag: str | Path | None = None,
    phase: str | Path | None = None,
    form: GivenForm | None = None,
    progress: ShowProgress | None = None,
) -> Series:
    """The fingerprint series in a NIfTI file, to be read in blocks.

    Parameters
    ----------
    path : path
        Complex numbers, or magnitudes, or real parts. `(x, y, z, time)`; or `(x, y, z, time, 2)`
        real and imaginary; or `(x, y, z, 1, time)`; or one slice over time, `(x, y, time)`.
    imag : path, optional
        The imaginary part, if `path` is the real part.
    phase : path, optional
        Of the magnitude in `path` [rad], or 0..4095 or -4096..4095 for a full circle; the unit is
        detected.
    form : {"complex", "magnitude", "real"}, optional
        "magnitude" takes the modulus of complex numbers; "real" takes real numbers as complex
        without an imaginary part; by default complex numbers stay complex and real ones are
        magnitudes, of which none may be negative.
    progress : callable, optional
        Shows how far a compressed file has been inflated, as `Reporter.progress` does.

    Raises
    ------
    InputError
        If a file is malformed or no series.
    MismatchError
        If two files do not belong together.
    ArgumentError
        If the options contradict each other.
    """
    _require_options(imag, phase, form)
    header = _slice_over_time(read_header(path))
    layout = _layout(header)
    frames = map_frames(header, progress)
    second = imag or phase
    if layout.is_pair:
        source = _halves(header, frames, second)
    elif second is not None:
        source = _two_files(header, frames, second, phase is not None, progress)
    else:
        source = _one_file(header, frames, form)
    source = _in_form(source, form, header)
    return Series(
        header.shape,
        header.placement,
        layout.n_time,
        "complex" if source.is_complex else "magnitude",
        FramesReader(source.parts, source.combine, source.is_complex),
        (*header.assumptions, *layout.assumptions, *source.assumptions),
        read_sidecar(header.path),
        name=header.path.name,
        frame_time=header.frame_time,
    )


@dataclass(frozen=True)
class _Layout:
    """n_time: samples of each fingerprint. is_pair: the file holds all real parts, then all
    imaginary ones.
    """

    n_time: int
    is_pair: bool
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Source:
    """What a signal is made of: `combine` of one tile from each part; None of one that is it."""

    parts: tuple[Frames, ...]
    combine: Combine | None
    is_complex: bool
    assumptions: tuple[str, ...] = ()


def _require_options(imag: object, phase: object, form: str | None) -> None:
    if imag is not None and phase is not None:
        raise ArgumentError("imaginary part and phase are both given, expected one of them")
    if form not in (None, *get_args(GivenForm)):
        raise ArgumentError(f"form {form!r}, expected 'complex', 'magnitude' or 'real'")
    if form == "real" and (imag, phase) != (None, None):
        raise ArgumentError("form 'real' goes with one file, expected no imaginary part or phase")
    if form == "magnitude" and phase is not None:
        raise ArgumentError("form 'magnitude' needs no phase, expected the magnitude alone")


def _slice_over_time(header: NiftiHeader) -> NiftiHeader:
    """A file of three dimensions as one slice over time, (x, y, 1, time)."""
    x, y, n = header.shape
    if len(header.dims) > 3 or n == 1:
        return header
    said = f"{header.path.name} has three dimensions: taken as one slice over time, (x, y, time)."
    return replace(header, dims=(x, y, 1, n), assumptions=(*header.assumptions, said))


def _layout(header: NiftiHeader) -> _Layout:
    """How the dimensions after the third are times, and perhaps two channels."""
    times, name = header.dims[3:], header.path
    if not times:
        raise InputError(
            f"{name}: has {sizes(header.shape)} voxels at one time, expected a series "
            "(x, y, z, time)",
            hint="a single slice has four dimensions too: x, y, 1, time",
        )
    if len(times) == 1:
        return _Layout(times[0], is_pair=False)
    if _has_times_as_components(header):
        said = f"{name.name} has one time and {times[1]} components: taken as times."
        return _Layout(times[1], False, (said,))
    if _has_parts_as_components(header):
        said = f"{name.name} has a fifth dimension of 2: taken as real and imaginary part."
        return _Layout(times[0], True, (said,))
    raise InputError(
        f"{name}: has the dimensions {sizes(header.dims)} (intent {header.intent}), expected "
        "(x, y, z, time), (x, y, z, 1, time), or (x, y, z, time, 2) for real and imaginary part"
    )


def _has_times_as_components(header: NiftiHeader) -> bool:
    """Whether the fifth dimension holds the times, as in vector images."""
    times = header.dims[3:]
    if len(times) != 2 or header.intent not in _SERIES_INTENTS:
        return False
    return times[0] == 1 and times[1] > 2


def _has_parts_as_components(header: NiftiHeader) -> bool:
    """Whether the fifth dimension holds the real and the imaginary part."""
    times = header.dims[3:]
    if len(times) != 2 or header.intent not in _PAIR_INTENTS or _is_complex(header):
        return False
    return times[0] > 1 and times[1] == 2


def _halves(header: NiftiHeader, frames: Frames, second: str | Path | None) -> _Source:
    if second is not None:
        raise InputError(
            f"{header.path}: has real and imaginary part already, expected no second file"
        )
    half = len(frames) // 2
    return _Source(
        (frames.part(slice(0, half)), frames.part(slice(half, None))), from_parts, is_complex=True
    )


def _two_files(
    header: NiftiHeader,
    frames: Frames,
    second: str | Path,
    is_phase: bool,
    progress: ShowProgress | None,
) -> _Source:
    other = _slice_over_time(read_header(second))
    for one in (header, other):
        if _is_complex(one):
            raise InputError(
                f"{one.path}: holds complex numbers, expected real ones, since a second file is "
                "given"
            )
    require_same_voxels(other.path, other, header.path, header)
    if header.dims != other.dims:
        raise MismatchError(
            f"{other.path}: has {sizes(other.dims)} values, expected {sizes(header.dims)} as "
            f"{header.path}"
        )
    parts = frames, map_frames(other, progress)
    if not is_phase:
        return _Source(parts, from_parts, True, other.assumptions)
    unit = detect_phase_unit(parts[1].sample(), _stated_unit(other.path), str(other.path))
    assumptions = other.assumptions
    if unit.sentence:
        assumptions = (*assumptions, f"{other.path.name}: {unit.sentence}.")
    combine = partial(from_polar, header.path, other.path, unit)
    combine(*(part.sample() for part in parts))
    return _Source(parts, combine, True, assumptions)


def _stated_unit(image: Path) -> str | None:
    """The unit that the sidecar of an image states, or None."""
    unit = (read_sidecar(image) or {}).get("Units")
    if isinstance(unit, str):
        return unit
    return None


def _one_file(header: NiftiHeader, frames: Frames, form: GivenForm | None) -> _Source:
    name = header.path.name
    if _is_complex(header):
        if form == "real":
            raise InputError(
                f"{header.path}: holds complex numbers, expected real ones for form 'real'"
            )
        return _Source((frames,), None, is_complex=True)
    if form == "complex":
        raise InputError(
            f"{header.path}: holds real numbers, expected complex ones",
            hint="give the imaginary part or the phase as a second file, or form 'real' if there "
            "is none",
        )
    if form == "real":
        return _Source(
            (frames,),
            _without_imaginary_part,
            True,
            (f"{name} holds real numbers: taken as complex without imaginary part.",),
        )
    combine = partial(magnitude, header.path)
    combine(frames.sample())
    if form == "magnitude":
        return _Source((frames,), combine, is_complex=False)
    said = f"{name} holds real numbers, none of them negative: taken as magnitudes."
    return _Source((frames,), combine, False, (said,))


def _in_form(source: _Source, form: GivenForm | None, header: NiftiHeader) -> _Source:
    """The modulus, where a magnitude is asked of complex numbers."""
    if form != "magnitude" or not source.is_complex:
        return source
    said = f"{header.path.name} holds complex numbers: their modulus is taken."
    return _Source(source.parts, _then_modulus(source.combine), False, (*source.assumptions, said))


def _then_modulus(combine: Combine | None) -> Combine:
    if combine is None:
        return np.abs
    return lambda *tiles: np.abs(combine(*tiles))


def _without_imaginary_part(values: Array) -> Array:
    return values.astype(np.complex64)


def _is_complex(header: NiftiHeader) -> bool:
    return header.dtype.kind == "c"
