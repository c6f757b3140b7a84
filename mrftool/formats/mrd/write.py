"""MRD raw data out: readouts with their trajectory, whole or not there."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mrftool.arrays import Array, ComplexArray
from mrftool.formats.atomic import all_or_none
from mrftool.formats.mrd.append import growing_file
from mrftool.formats.mrd.geometry import LPS_TO_RAS
from mrftool.formats.mrd.header import RawHeader, header_xml
from mrftool.grid import Placement
from mrftool.scan.kspace import KSpace

_NOISE_FLAG = 1 << 18
_VERSION = 1
_BLOCK = 256  # readouts that are written at a time


@dataclass(frozen=True, eq=False)
class RawSlice:
    """Readouts of one slice and partition, and where the slice lies.

    kspace: with the trajectory in rad/pixel; it is written in cycles per field of view.
    placement: of the whole image. index: of the slice; partition: of the phase encoding along z.
    """

    kspace: KSpace
    placement: Placement
    index: int = 0
    partition: int = 0


def write_raw(
    path: Path,
    header: RawHeader,
    slices: Iterable[RawSlice],
    *,
    noise: ComplexArray | None = None,
) -> None:
    """Write an MRD file.

    Parameters
    ----------
    header
        Its unit of the trajectory must be 1/FOV.
    slices
        Written as they come: one is in memory at a time.
    noise
        A noise scan `(coil, sample)`.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    with all_or_none([path]) as (part,):
        write_raw_part(part, header, slices, noise=noise)


def write_raw_part(
    part: Path, header: RawHeader, slices: Iterable[RawSlice], *, noise: ComplexArray | None = None
) -> None:
    """Write into a file of a larger output; see `write_raw`."""
    with growing_file(part, header_xml(header)) as file:
        if noise is not None:
            file.add_records(_noise_records(noise))
        for piece in slices:
            for records in _records(piece, header):
                file.add_records(records)


def _records(piece: RawSlice, header: RawHeader) -> Iterator[Array]:
    """Records of a slice, some at a time."""
    kspace = piece.kspace
    cycles = kspace.trajectory.points * np.array(kspace.matrix) / (2 * np.pi)
    for start in range(0, len(kspace.samples), _BLOCK):
        rows = slice(start, start + _BLOCK)
        records = _empty(kspace.samples[rows], cycles[kspace.arm[rows]])
        heads = records["head"]
        heads["idx"]["repetition"] = kspace.repetition[rows]
        heads["idx"]["slice"] = piece.index
        heads["idx"]["kspace_encode_step_1"] = kspace.arm[rows]
        heads["idx"]["kspace_encode_step_2"] = piece.partition
        heads["scan_counter"] = np.arange(len(kspace.samples))[rows]
        _place(heads, piece, header)
        if kspace.trajectory.sample_time is not None:
            _time(heads, kspace.trajectory.sample_time)
        yield records


def _noise_records(noise: ComplexArray) -> Array:
    records = _empty(noise[None], np.zeros((1, noise.shape[1], 0)))
    records["head"]["flags"] = _NOISE_FLAG
    return records


def _empty(samples: ComplexArray, points: Array) -> Array:
    """Records of readouts `(readout, coil, sample)` at points `(readout, sample, dimension)`."""
    from ismrmrd.hdf5 import acquisition_dtype

    records = np.zeros(len(samples), acquisition_dtype)
    heads = records["head"]
    heads["version"] = _VERSION
    heads["number_of_samples"] = samples.shape[2]
    heads["available_channels"] = heads["active_channels"] = samples.shape[1]
    heads["trajectory_dimensions"] = points.shape[2]
    flat = np.ascontiguousarray(samples, np.complex64).view(np.float32)
    for row, (values, place) in enumerate(zip(flat, points.astype(np.float32), strict=True)):
        records["data"][row] = values.ravel()
        records["traj"][row] = place.ravel()
    return records


def _time(heads: Array, sample_time: Array) -> None:
    """Dwell time and the sample of the echo."""
    dwell = (sample_time[-1] - sample_time[0]) / (len(sample_time) - 1)
    heads["sample_time_us"] = dwell * 1e6
    heads["center_sample"] = np.clip(round(-sample_time[0] / dwell), 0, len(sample_time) - 1)


def _place(heads: Array, piece: RawSlice, header: RawHeader) -> None:
    """Directions and centre of the slice, in DICOM's system."""
    affine = piece.placement.affine
    columns = affine[:3, :3]
    axes = columns / np.linalg.norm(columns, axis=0)
    for key, axis in zip(("read_dir", "phase_dir", "slice_dir"), axes.T, strict=True):
        heads[key] = LPS_TO_RAS @ axis
    n_x, n_y, n_z = header.matrix
    centre = columns @ [n_x // 2, n_y // 2, n_z // 2 + piece.index] + affine[:3, 3]
    heads["position"] = LPS_TO_RAS @ centre
