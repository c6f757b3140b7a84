"""Raw data in MRD files: one slice at a time, with the trajectory."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mrftool.arrays import ComplexArray, FloatArray, IndexArray
from mrftool.errors import InputError, MismatchError
from mrftool.formats.mrd.geometry import affine_of
from mrftool.formats.mrd.header import RawHeader, Unit, read_raw_header
from mrftool.formats.mrd.readouts import Readouts, read_heads
from mrftool.formats.mrd.trajectory import Plane, group_arms, in_radians
from mrftool.grid import Placement
from mrftool.scan.kspace import KSpace, Trajectory

# Counters that may number the repetitions of the sequence, in the order of trust.
_COUNTERS = ("repetition", "contrast", "set")


@dataclass(frozen=True, eq=False)
class RawScan:
    """A scan in an MRD file, checked as far as its heads tell.

    placement: where the image lies. assumptions: sentences, one for each thing that the file does
    not say.
    """

    header: RawHeader
    readouts: Readouts = field(repr=False)
    placement: Placement
    repetition: IndexArray = field(repr=False)
    trajectory: FloatArray | None = field(default=None, repr=False)
    unit: Unit | None = None
    assumptions: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """How messages call the scan."""
        return str(self.readouts.path)

    @property
    def matrix(self) -> tuple[int, int]:
        """Size of the image in the plane."""
        return self.header.matrix[0], self.header.matrix[1]

    @property
    def plane(self) -> Plane:
        """The image in the plane."""
        return Plane(self.matrix, self.header.field_of_view[:2])

    @property
    def n_partitions(self) -> int:
        """Phase encodings along z; 1 for two-dimensional slices."""
        return self.header.matrix[2]

    @property
    def n_slices(self) -> int:
        """Slices of the image, separate ones or partitions."""
        return self.header.n_slices * self.n_partitions

    @property
    def size(self) -> tuple[int, int]:
        """Samples and coils of each readout."""
        return self.readouts.size(self.imaging_rows())

    def imaging_rows(self) -> IndexArray:
        """Readouts of the image, in order."""
        return np.flatnonzero(self.readouts.is_imaging)

    def rows(self, slice_index: int, partition: int = 0) -> IndexArray:
        """Readouts of one slice and partition, in order."""
        place = f"slice {slice_index}"
        chosen = self.readouts.is_imaging & (self.readouts.counter("slice") == slice_index)
        if self.n_partitions > 1:
            place = f"partition {partition} of {place}"
            chosen &= self.readouts.counter("kspace_encode_step_2") == partition
        rows = np.flatnonzero(chosen)
        if not rows.size:
            raise InputError(f"{self.name}: {place} has no readouts")
        return rows

    def noise(self) -> ComplexArray | None:
        """Samples of the noise scan `(coil, sample)`, None without one."""
        rows = np.flatnonzero(self.readouts.is_noise)
        if not rows.size:
            return None
        samples = self.readouts.samples(rows)
        return np.asarray(samples.swapaxes(0, 1).reshape(samples.shape[1], -1))

    def arms(self, rows: IndexArray) -> tuple[Trajectory, IndexArray]:
        """The arms of some readouts, and which each of them follows."""
        points, _ = in_radians(self._points(rows), self.plane, self.unit, self.name)
        arms, arm = group_arms(points[:, self._kept(rows)])
        return Trajectory(arms, self._sample_time(rows)), arm

    def read_slice(self, slice_index: int) -> KSpace:
        """Raw data of one of the separate slices."""
        rows = self.rows(slice_index)
        trajectory, arm = self.arms(rows)
        samples = self.samples(rows)
        return self.named(samples, trajectory, arm, self.repetition[rows])

    def samples(self, rows: IndexArray) -> ComplexArray:
        """Samples of some readouts, without those to discard."""
        return np.ascontiguousarray(self.readouts.samples(rows)[:, :, self._kept(rows)])

    def named(
        self, samples: ComplexArray, trajectory: Trajectory, arm: IndexArray, repetition: IndexArray
    ) -> KSpace:
        """Raw data, with the file's name in the message of a fault."""
        try:
            return KSpace(samples, trajectory, arm, repetition, self.matrix)
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from error

    def _points(self, rows: IndexArray) -> FloatArray:
        """Points `(readout, sample, 2)` in the unit of their file."""
        n_samples, _ = self.readouts.size(rows)
        if self.trajectory is None:
            return np.asarray(self.readouts.trajectories(rows)[..., :2], np.float64)
        if self.trajectory.shape[1] != n_samples:
            raise MismatchError(
                f"{self.name}: a trajectory of {self.trajectory.shape[1]} samples, expected "
                f"{n_samples} as the readouts"
            )
        return np.asarray(self.trajectory[self._given_rows(rows)])

    def _given_rows(self, rows: IndexArray) -> IndexArray:
        """Where a trajectory that was given holds the points of each readout."""
        assert self.trajectory is not None  # noqa: S101  the caller has looked
        count = len(self.trajectory)
        imaging = self.imaging_rows()
        repetition = self.repetition[rows]
        n_repetitions = int(repetition.max()) + 1
        if count == len(imaging):
            return np.searchsorted(imaging, rows)
        if count > n_repetitions:
            raise MismatchError(
                f"{self.name}: a trajectory of {count} readouts, expected at most {n_repetitions}, "
                f"or all {len(imaging)}"
            )
        return np.asarray(repetition % count)

    def _kept(self, rows: IndexArray) -> slice:
        """Samples that are not to be discarded."""
        n_samples, _ = self.readouts.size(rows)
        return self.readouts.kept(rows, n_samples)

    def _sample_time(self, rows: IndexArray) -> FloatArray | None:
        """Of each sample that is kept, from the echo [s]; None where the file does not tell."""
        n_samples, _ = self.readouts.size(rows)
        head = self.readouts.heads[rows[0]]
        dwell = float(head["sample_time_us"]) * 1e-6
        if dwell <= 0:
            return None
        time = (np.arange(n_samples) - int(head["center_sample"])) * dwell
        return np.asarray(time[self._kept(rows)])


def open_raw(
    path: Path, *, trajectory: FloatArray | None = None, unit: Unit | None = None
) -> RawScan:
    """The scan in the MRD file `path`.

    Parameters
    ----------
    trajectory
        Points in place of the file's own: `(readout, sample, 2)` in the order of the file,
        `(repetition, sample, 2)`, or `(arm, sample, 2)`, arms repeating in order.
    unit
        Of the trajectory; by default what the file says, or what fits.

    Raises
    ------
    InputError
        If the file is no MRD raw data, is truncated, or its readouts differ in size.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected MRD raw data")
    header = read_raw_header(path)
    readouts = read_heads(path)
    rows = np.flatnonzero(readouts.is_imaging)
    if not rows.size:
        raise InputError(f"{path}: has no imaging readouts, expected raw data of an image")
    readouts.size(rows)
    repetition, said = _repetitions(readouts, header, rows)
    if unit is None and trajectory is None:
        unit = header.unit
    try:
        placement, assumed = affine_of(header, readouts.heads[rows])
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    own = RawScan(header, readouts, placement, repetition, trajectory, unit, (*said, *assumed))
    return _with_unit(own)


def check_sequence(scan: RawScan, sequence_id: str, flip_angle: FloatArray) -> None:
    """Raise MismatchError unless a scan may have been made with this sequence.

    Parameters
    ----------
    flip_angle
        Of the sequence `(repetition,)` [rad].
    """
    said = scan.header.sequence_id
    if said is not None and said != sequence_id:
        raise MismatchError(f"{scan.name}: made with sequence {said}, expected {sequence_id}")
    listed = scan.header.flip_angle
    same = listed is None or len(listed) != len(flip_angle)
    if not same and listed is not None and not np.allclose(listed, flip_angle, atol=2e-3):
        raise MismatchError(
            f"{scan.name}: its header lists other flip angles than the sequence, expected the same"
        )


def _with_unit(scan: RawScan) -> RawScan:
    """The scan with the unit of its trajectory; says so where it was told from the numbers."""
    if scan.unit is not None:
        return scan
    rows = scan.rows(0)
    _, unit = in_radians(scan._points(rows), scan.plane, None, scan.name)
    said = f"The trajectory is taken to be in {unit}, since only there does it cover the image."
    return RawScan(
        scan.header,
        scan.readouts,
        scan.placement,
        scan.repetition,
        scan.trajectory,
        unit,
        (*scan.assumptions, said),
    )


def _repetitions(
    readouts: Readouts, header: RawHeader, rows: IndexArray
) -> tuple[IndexArray, tuple[str, ...]]:
    """Repetition of each readout `(readout,)`, and what was assumed to tell it."""
    for name in _COUNTERS:
        counter = readouts.counter(name)
        if counter[rows].max() > 0:
            said = f"Repetitions are numbered by the counter {name!r} of the readouts."
            return counter, (said,)
    place = np.zeros(len(readouts.heads), np.int64)
    key = readouts.counter("slice") * header.matrix[2] + readouts.counter("kspace_encode_step_2")
    for group in np.unique(key[rows]):
        chosen = rows[key[rows] == group]
        place[chosen] = np.arange(len(chosen))
    said = "No counter numbers the repetitions: readouts are taken in the order of the file."
    return place, (said,)
