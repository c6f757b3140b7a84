"""The work behind `mrftool reconstruct`: raw data in, coefficients with their covariance out."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import Array, ComplexArray, FloatArray
from mrftool.environment.anonymous import without_paths
from mrftool.environment.reporter import Reporter
from mrftool.environment.threads import chosen_threads
from mrftool.errors import ArgumentError, InputError, MismatchError, MrftoolError
from mrftool.formats.bids import versions
from mrftool.formats.coefficients.read import COVARIANCE, IMAGES, MASK, SCHEMA
from mrftool.formats.coefficients.write import bart_files, folder_files
from mrftool.formats.mrd.header import Unit
from mrftool.formats.mrd.read import RawScan, check_sequence, open_raw
from mrftool.formats.mrd.trajectory import read_trajectory
from mrftool.formats.nifti.header import read_header
from mrftool.formats.nifti.stored.frames import map_frames
from mrftool.formats.nifti.write import write_maps
from mrftool.formats.sequence.yaml_file import (
    read_sequence,
    sequence_from_dict,
    sequence_to_dict,
)
from mrftool.inference.protocol import Header
from mrftool.reconstruction.encoding.stack import slices_of
from mrftool.reconstruction.noise import whitened, whitening
from mrftool.reconstruction.reconstruct import Reconstruction, Settings, reconstruct
from mrftool.reconstruction.temporal_basis import TemporalBasis, temporal_basis
from mrftool.scan.coefficients import CoefficientImages
from mrftool.scan.kspace import KSpace
from mrftool.sequence import PulseSequence
from mrftool.workflows.steps.header import require_agreement
from mrftool.workflows.steps.outputs.places import require_folder
from mrftool.workflows.steps.stopwatch import Stopwatch

_AMPLIFICATION, _COILS = "noise_amplification.nii", "coils.nii"
_ANONYMOUS_FACTS = {"source": "anonymous", "given": {}, "started": ""}


@dataclass(frozen=True)
class Request:
    """What to reconstruct, and how.

    sequence: file or shipped name; None: known_sequence, or the one in the header. trajectory: a
    .npy file in place of the scan's own, in `unit`, or a Pulseq file. coils: `(x, y, z, coil)` in
    NIfTI; None: from the data. rank: None: by the sequence. field_map: NIfTI [Hz]. anonymous: the
    outputs name no files and no dates.
    """

    scan: Path
    sequence: str | None = None
    trajectory: Path | None = None
    unit: Unit | None = None
    coils: Path | None = None
    rank: int | None = None
    field_map: Path | None = None
    settings: Settings = field(default_factory=Settings)
    known_sequence: PulseSequence | None = None
    anonymous: bool = False

    def files(self) -> list[Path]:
        """The files that are read."""
        given = (self.scan, self.trajectory, self.coils, self.field_map)
        return [path for path in given if path is not None]


@dataclass(frozen=True, eq=False)
class Job:
    """A scan that is open and checked, with its sequence and basis."""

    request: Request
    scan: RawScan
    sequence: PulseSequence
    basis: TemporalBasis
    noise_whitening: Array | None
    coils: ComplexArray | None
    field_map: FloatArray | None

    def field_of(self, index: int) -> FloatArray | None:
        """Off-resonance of a slice `(x, y)` [Hz]."""
        if self.field_map is None:
            return None
        return np.asarray(self.field_map[:, :, index], np.float64)


@dataclass(frozen=True, eq=False)
class Result:
    """Reconstructed slices, how long it took, and what of the header was allowed."""

    job: Job
    slices: list[Reconstruction]
    watch: Stopwatch
    allowed: tuple[str, ...] = ()

    @property
    def has_covariance(self) -> bool:
        """Whether the noise of the coefficients is known."""
        return self.slices[0].covariance is not None

    def images(self) -> CoefficientImages:
        """The coefficients, as the estimators take them."""
        images = np.stack([np.moveaxis(part.images, 0, -1) for part in self.slices], axis=2)
        covariance = None
        if self.has_covariance:
            covariance = self.stacked("covariance")
        return CoefficientImages(
            np.ascontiguousarray(images),
            self.job.basis.vectors,
            self.job.scan.placement,
            covariance,
            self.stacked("mask"),
            self.job.sequence.sequence_id,
            self.job.scan.name,
            self.job.scan.assumptions,
        )

    def stacked(self, name: str) -> Array:
        """One of the images of all slices `(x, y, z, ...)`."""
        return np.stack([getattr(part, name) for part in self.slices], axis=2)


def reconstruct_scan(
    request: Request,
    folder: Path,
    reporter: Reporter,
    *,
    bart: bool = False,
    allow: Iterable[str] = (),
) -> tuple["Result", list[Path]]:
    """Reconstruct a scan and write it into `folder`; all files or none.

    bart: coefficients and basis in BART's form too. allow: contradictions between header and
    sequence that may stand, see `mrftool.inference.protocol.NAMES`.
    """
    require_folder(folder)
    watch = Stopwatch()
    job = open_job(request, watch)
    result = run_job(job, watch, reporter, agreed(job, allow, reporter))
    return result, write_reconstruction(result, folder, bart=bart)


def open_job(request: Request, watch: Stopwatch) -> Job:
    """Open and check everything before the work begins.

    Raises
    ------
    InputError
        If a file is missing or malformed.
    MismatchError
        If files do not belong together.
    """
    with watch.stage("open the scan"):
        points, unit = None, request.unit
        if request.trajectory is not None:
            points, known_unit = read_trajectory(request.trajectory)
            if known_unit is not None and unit not in (None, known_unit):
                raise ArgumentError(
                    f"{request.trajectory}: its unit is {known_unit}, expected no other"
                )
            unit = known_unit or unit
        scan = open_raw(request.scan, trajectory=points, unit=unit)
        sequence = _sequence(request, scan)
        check_sequence(scan, sequence.sequence_id, sequence.flip_angle)
        matrix = _noise_whitening(scan)
        coils = _coils(request.coils, scan)
        scan = replace(scan, assumptions=(*scan.assumptions, *_coil_doubts(request.coils, coils)))
        field_map = _field_map(request.field_map, scan)
    with watch.stage("temporal basis"):
        basis = temporal_basis(sequence, request.rank)
    return Job(request, scan, sequence, basis, matrix, coils, field_map)


def agreed(job: Job, allow: Iterable[str], reporter: Reporter) -> tuple[str, ...]:
    """Compare the header of the raw data with the sequence, as `require_agreement` does."""
    header = Header(job.scan.name, job.scan.header.protocol)
    return require_agreement(header, job.sequence, allow, reporter)


def run_job(
    job: Job, watch: Stopwatch, reporter: Reporter, allowed: tuple[str, ...] = ()
) -> Result:
    """Reconstruct every slice. Faults name the file. allowed: what `agreed` found."""
    for sentence in job.scan.assumptions:
        reporter.note(sentence)
    reporter.note(f"Needs about {memory_needed(job) / 1e6:.0f} MB of memory.")
    slices: list[Reconstruction] = []
    raw = whitened_slices(job)
    try:
        for index in range(job.scan.n_slices):
            with watch.stage("read the raw data"):
                kspace = next(raw)
            with watch.stage("reconstruct"):
                slices.append(_one_slice(job, kspace, index, reporter))
    except MrftoolError as error:
        if str(error).startswith(job.scan.name):
            raise
        raise type(error)(
            f"{job.scan.name}: {error}", hint=error.hint, arguments=error.arguments
        ) from error
    return Result(job, slices, watch, allowed)


def memory_needed(job: Job) -> int:
    """Memory that a reconstruction takes, about: one slice, and all results [bytes]."""
    n_x, n_y = job.scan.matrix
    n_samples, n_coils = job.scan.size
    rank, pixels = job.basis.rank, n_x * n_y
    size = 4
    if np.iscomplexobj(job.basis.vectors):
        size = 8
    expanded = rank
    if job.field_map is not None:
        expanded, size = rank * job.request.settings.segments, 8
    kernel = expanded * (expanded + 1) // 2 * 4 * pixels * size
    jobs = min(chosen_threads(job.request.settings.threads), n_coils)
    work = 2 * 8 * 4 * pixels * 16 + jobs * 4 * pixels * expanded * 8
    raw = 2 * 8 * n_samples * n_coils * len(job.sequence)
    results = job.scan.n_slices * pixels * (8 * rank + 4 * rank**2 + 8 * n_coils + 8)
    return (150 << 20) + kernel + work + raw + results


def write_reconstruction(result: Result, folder: Path, *, bart: bool = False) -> list[Path]:
    """Write the coefficients, their covariance and what belongs to them; all or nothing.

    bart: coefficients and basis in BART's form too.
    """
    from mrftool.reports.reconstruction import report_files

    coefficients = result.images()
    images: dict[str, tuple[Array, str]] = {
        IMAGES: (coefficients.images, "Coefficient images"),
        _COILS: (
            np.stack([np.moveaxis(part.coils, 0, -1) for part in result.slices], axis=2),
            "Coil sensitivities [1]",
        ),
        MASK: (result.stacked("mask"), "Voxels that hold an object"),
    }
    if coefficients.covariance is not None:
        images[COVARIANCE] = (coefficients.covariance, "Covariance of the coefficients per channel")
        images[_AMPLIFICATION] = (
            result.stacked("amplification"),
            "Noise over that of perfect encoding [1]",
        )
    facts = facts_of(result)
    files: dict[Path, str | bytes] = dict(
        folder_files(folder, images, coefficients.basis, coefficients.placement, facts)
    )
    if bart:
        files |= bart_files(folder, coefficients.images, coefficients.basis)
    amplification = None
    if result.has_covariance:
        amplification = result.stacked("amplification")
    residuals = [part.residuals for part in result.slices]
    report = report_files(facts, residuals, abs(coefficients.images[..., 0]), amplification)
    files |= {folder / name: content for name, content in report.items()}
    write_maps([], coefficients.placement, others=files)
    return list(files)


def summary_of(result: Result) -> dict[str, str]:
    """What came out, for a person."""
    facts = [_slice_facts(part) for part in result.slices]
    levels = [part["noise_sd"] for part in facts]
    rows = {
        "image": " x ".join(map(str, (*result.job.scan.matrix, result.job.scan.n_slices))),
        "rank": f"{result.job.basis.rank}",
        "noise sd": f"{min(levels):.4g} to {max(levels):.4g}",
        "last residual": f"{max(part['residuals'][-1] for part in facts):.2g}",
        "condition": f"{max(part['condition'] for part in facts):.3g}",
        "voxels": f"{sum(part['voxels'] for part in facts)}",
    }
    amplified = [part["median_noise_amplification"] for part in facts]
    if None not in amplified:
        rows["noise over perfect encoding"] = f"{np.mean(amplified):.3g}"
    return rows


def facts_of(result: Result) -> dict[str, Any]:
    """Everything that was used, and what it gave: the sidecar of the coefficients."""
    job, settings = result.job, result.job.request.settings
    given = {
        "trajectory": job.request.trajectory,
        "coils": job.request.coils,
        "field_map": job.request.field_map,
    }
    said = [*job.scan.assumptions, *result.allowed]
    if job.request.anonymous:
        said = [without_paths(text, job.request.files()) for text in said]
    facts = {
        "schema": SCHEMA,
        "source": job.request.scan.name,
        "sequence_id": job.sequence.sequence_id,
        "sequence": sequence_to_dict(job.sequence),
        "rank": job.basis.rank,
        "basis_left_out": job.basis.left_out,
        "iterations": settings.iterations_at(job.basis.rank),
        "replicas": settings.replicas,
        "seed": settings.seed,
        "trajectory_unit": job.scan.unit,
        "is_prewhitened": job.noise_whitening is not None,
        "time_segments": settings.segments if job.field_map is not None else None,
        "given": {name: path.name for name, path in given.items() if path is not None},
        "covariance": "of the real part, and as much of the imaginary part, of each coefficient",
        "slices": [_slice_facts(part) for part in result.slices],
        "assumptions": said,
        "allowed": list(result.allowed),
        "seconds": {name: round(wall, 2) for name, (wall, _) in result.watch.seconds.items()},
        "started": result.watch.started,
        "versions": {**versions()},
    }
    if job.request.anonymous:
        facts |= _ANONYMOUS_FACTS
    return facts


def _slice_facts(part: Reconstruction) -> Mapping[str, Any]:
    amplification = None
    if part.amplification is not None and part.mask.any():
        amplification = float(np.median(part.amplification[part.mask]))
    return {
        "noise_sd": part.noise_sd,
        "residuals": part.residuals.tolist(),
        "condition": part.condition,
        "voxels": int(part.mask.sum()),
        "median_noise_amplification": amplification,
    }


def whitened_slices(job: Job) -> Iterator[KSpace]:
    """Raw data of each slice, prewhitened where there is a noise scan."""
    for kspace in slices_of(job.scan):
        if job.noise_whitening is None:
            yield kspace
        else:
            yield whitened(kspace, job.noise_whitening)


def _one_slice(job: Job, kspace: KSpace, index: int, reporter: Reporter) -> Reconstruction:
    coils = None
    if job.coils is not None:
        coils = np.ascontiguousarray(np.moveaxis(job.coils[:, :, index], -1, 0))
        if job.noise_whitening is not None:
            coils = np.tensordot(job.noise_whitening, coils, axes=1).astype(np.complex64)
    known = None
    if job.noise_whitening is not None:
        known = 1.0
    return reconstruct(
        kspace,
        job.basis,
        job.request.settings,
        noise_sd=known,
        reporter=reporter,
        coils=coils,
        field_map=job.field_of(index),
    )


def _sequence(request: Request, scan: RawScan) -> PulseSequence:
    if request.sequence is not None:
        return read_sequence(request.sequence)
    if request.known_sequence is not None:
        return request.known_sequence
    if scan.header.sequence is None:
        raise InputError(
            f"{request.scan}: does not hold its sequence, expected a sequence file besides"
        )
    return sequence_from_dict(dict(scan.header.sequence), str(request.scan))


def _noise_whitening(scan: RawScan) -> Array | None:
    """What makes the coils' noise white, where the scan holds noise."""
    noise = scan.noise()
    if noise is None:
        return None
    try:
        return whitening(noise)
    except InputError as error:
        raise InputError(f"{scan.name}: {error}") from error


def _coils(path: Path | None, scan: RawScan) -> ComplexArray | None:
    """Coil maps of a file `(x, y, z, coil)`."""
    if path is None:
        return None
    header = read_header(path)
    _, n_coils = scan.size
    expected = (*scan.matrix, scan.n_slices, n_coils)
    if (*header.dims, 1)[:4] != expected:
        raise MismatchError(f"{path}: coil maps of {header.dims}, expected {expected}")
    values = map_frames(header).values(slice(None), slice(None))
    if not np.isfinite(values).all():
        raise InputError(f"{path}: has values that are not finite, expected coil sensitivities")
    return np.asarray(values.ravel().reshape(expected, order="F"), np.complex64)


def _coil_doubts(path: Path | None, coils: ComplexArray | None) -> list[str]:
    """A sentence if the maps of several coils, as they are given, hold no phase."""
    if coils is None or coils.shape[-1] == 1:
        return []
    if coils.imag.any() or (coils.real < 0).any():
        return []
    return [f"The coil maps of {path} hold no phase: they may be magnitudes of the sensitivities."]


def _field_map(path: Path | None, scan: RawScan) -> FloatArray | None:
    """Off-resonance of a file `(x, y, z)` [Hz]."""
    if path is None:
        return None
    header = read_header(path)
    expected = (*scan.matrix, scan.n_slices)
    if header.dims != expected or header.dtype.kind == "c":
        raise MismatchError(f"{path}: a field map of {header.dims}, expected real {expected}")
    values = map_frames(header).values(slice(None), slice(None))
    field_map = values.ravel().reshape(expected, order="F").astype(np.float64)
    if not np.isfinite(field_map).all():
        raise InputError(f"{path}: has values that are not finite, expected frequencies in Hz")
    return np.asarray(field_map)
