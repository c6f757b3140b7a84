"""Quantify coefficient images, or raw data that become such images first."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import BoolArray, Float32Array, Range
from mrftool.environment.reporter import Reporter, SilentReporter
from mrftool.environment.shipped import find_file
from mrftool.environment.threads import one_blas_thread
from mrftool.errors import ArgumentError, InputError, MismatchError
from mrftool.exporting.make import model_table
from mrftool.formats.coefficients.read import (
    allowed_before,
    header_facts,
    open_coefficients,
    sequence_facts,
)
from mrftool.formats.nifti.maps import open_b1, open_mask
from mrftool.formats.open_scan import file_kind
from mrftool.formats.sequence.heartbeats import read_with_heartbeats
from mrftool.formats.sequence.yaml_file import sequence_from_dict, sequence_to_dict
from mrftool.inference.assessment.given_values import default_uncertainties, with_given_values
from mrftool.inference.coefficients import quantify_coefficients
from mrftool.inference.protocol import Header
from mrftool.inference.session import load_model
from mrftool.manifold.table import SignalTable
from mrftool.maps import Maps
from mrftool.reconstruction.reconstruct import Settings
from mrftool.reports.run import Method
from mrftool.scan.coefficients import CoefficientImages
from mrftool.scan.expanded import frames_of
from mrftool.sequence import PulseSequence
from mrftool.workflows.kspace.reconstruct import Request, Result, agreed, open_job, run_job
from mrftool.workflows.steps.header import require_agreement
from mrftool.workflows.steps.outputs.maps_run import MapsRun
from mrftool.workflows.steps.outputs.places import require_folder
from mrftool.workflows.steps.outputs.results import MapsResult, write_results
from mrftool.workflows.steps.outputs.run_record import RunIdentity, require_own_outputs
from mrftool.workflows.steps.stopwatch import Stopwatch

T1_RANGE: Range = (0.1, 4.5)
T2_RANGE: Range = (0.01, 2.0)
_LEAST_B1_RANGE = 0.02  # width of the table along B1 [1]


@dataclass(frozen=True)
class CoefficientScan:
    """Coefficient images or raw data, as the caller names them.

    Parameters
    ----------
    path : Path
        A folder of a reconstruction, images (NIfTI, .cfl, .npy), or raw data (MRD).
    basis : Path, optional
        Temporal basis of images (.npy, .cfl); a folder has its own.
    covariance : Path, optional
        Covariance of images (.npy, NIfTI).
    sequence : str, optional
        Sequence file, or the name of a shipped one; by default that of the scan.
    model : str, optional
        A model whose sequence and ranges are taken instead.
    mask : Path, optional
        Mask (NIfTI) of the voxels that count; by default what the reconstruction found.
    b1 : Path, optional
        B1 map (NIfTI): fraction or percent.
    threads : int, optional
        Threads of the arithmetic.
    rr : str, optional
        RR intervals of the scan [ms], as `read_heartbeats` reads them; with a sequence.
    is_joint : bool
        Estimate all voxels of raw data at once; experimental.
    uncertainty : dict, optional
        Standard uncertainty of each value that the fit takes for granted, by name, as in
        `quantify_scan` [SI unit]; by default typical ones.

    """

    path: Path
    basis: Path | None = None
    covariance: Path | None = None
    sequence: str | None = None
    model: str | None = None
    mask: Path | None = None
    b1: Path | None = None
    threads: int | None = None
    is_joint: bool = False
    rr: str | None = None
    uncertainty: Mapping[str, float] | None = None

    def chosen(self) -> dict[str, object]:
        """What was chosen beside the path, for the report."""
        return {
            "basis": self.basis,
            "covariance": self.covariance,
            "seq": self.sequence,
            "rr": self.rr,
            "model": self.model,
            "mask": self.mask,
            "b1": self.b1,
            "threads": self.threads,
            "joint": self.is_joint or None,
            "uncertainty": self.uncertainty,
        }


@dataclass(frozen=True)
class TableSettings:
    """What the table covers: t1_range, t2_range [s]; B1 as the map has it. adc [m2/s]."""

    t1_range: Range = T1_RANGE
    t2_range: Range = T2_RANGE
    adc: float = 0.0


def quantify_coefficient_scan(
    scan: CoefficientScan,
    folder: Path,
    reporter: Reporter,
    *,
    report: bool = True,
    allow: Iterable[str] = (),
    overwrite: bool = False,
    anonymous: bool = False,
) -> MapsResult:
    """Write the maps of coefficient images into `folder`; raw data are reconstructed in memory.

    report: whether picture and report are made, else the record of the files alone.

    allow: contradictions between header and sequence that may stand, see
    `mrftool.inference.protocol.NAMES`. anonymous: say nothing of the patient.

    Raises
    ------
    MismatchError
        If images, basis, sequence, mask and B1 map do not belong together.
    ArgumentError
        If options contradict each other.

    """
    require_folder(folder)
    identity = RunIdentity("quantify", scan.path, scan.chosen(), anonymous)
    require_own_outputs(folder, identity, overwrite=overwrite)
    watch = Stopwatch()
    opened = _opened(scan, allow, watch, reporter)
    images, sequence, settings = opened.images, opened.sequence, opened.settings
    result = opened.result
    mask, b1 = None, None
    if scan.mask is not None:
        mask, assumed = open_mask(scan.mask, images, images.name)
        images = replace(images, assumptions=(*images.assumptions, *assumed))
    if scan.b1 is not None:
        b1, assumed = open_b1(scan.b1, images, images.mask, images.name)
        images = replace(images, assumptions=(*images.assumptions, *assumed))
    for sentence in images.assumptions:
        reporter.note(sentence)
    maps, method = maps_of_coefficients(
        images,
        sequence,
        settings,
        mask=mask,
        b1=b1,
        uncertainty=scan.uncertainty,
        watch=watch,
        reporter=reporter,
    )
    if scan.is_joint and result is not None:
        with watch.stage("joint estimate"):
            maps = _joint_maps(result, maps, settings, reporter)
        reporter.note(maps.assumptions[-1])
    run = MapsRun(
        command="quantify",
        source=scan.path,
        series=frames_of(images, opened.header, sequence.sequence_id),
        maps=replace(maps, assumptions=(*maps.assumptions, *opened.allowed)),
        allowed=opened.allowed,
        method=method,
        options=scan.chosen(),
        stated=scan.uncertainty,
        identity=identity,
        watch=watch,
    )
    return write_results(run, folder, reporter, report=report, overwrite=overwrite)


def maps_of_coefficients(
    images: CoefficientImages,
    sequence: PulseSequence,
    settings: TableSettings | None = None,
    *,
    mask: BoolArray | None = None,
    b1: Float32Array | None = None,
    uncertainty: Mapping[str, float] | None = None,
    watch: Stopwatch | None = None,
    reporter: Reporter | None = None,
) -> tuple[Maps, Method]:
    """Maps of coefficient images, and the method for the report.

    Parameters
    ----------
    sequence : PulseSequence
        That made the data.
    mask : array, optional
        Voxels that count `(x, y, z)`; by default those of the images' own mask.
    b1 : array, optional
        Actual over nominal flip angle `(x, y, z)` [1].
    uncertainty : dict, optional
        Standard uncertainty of given values by name [SI unit]; by default typical ones.

    Raises
    ------
    MismatchError
        If basis, sequence, mask and B1 map do not belong together, or each pulse has several
        echoes.

    """
    _require_one_echo(sequence)
    settings, reporter = settings or TableSettings(), reporter or SilentReporter()
    watch = watch or Stopwatch()
    chosen = images.mask if mask is None else mask
    b1_range = None
    if b1 is not None:
        b1_range = _b1_range(b1, chosen)
    t1_range, t2_range = settings.t1_range, settings.t2_range
    with watch.stage("table"), reporter.working("tabulating the sequence"), one_blas_thread():
        table = model_table(
            sequence, adc=settings.adc, t1_range=t1_range, t2_range=t2_range, b1_range=b1_range
        )
    count = int(np.prod(images.shape))
    if chosen is not None:
        count = int(chosen.sum())
    with watch.stage("fit"), reporter.progress("quantifying", count) as progress:
        maps = quantify_coefficients(
            images,
            table,
            t1_range=t1_range,
            t2_range=t2_range,
            mask=chosen,
            progress=progress,
            b1=b1,
        )
    ranges, given = {"t1": t1_range, "t2": t2_range}, {}
    if b1 is not None and b1_range is not None:
        ranges["b1"], given["b1"] = b1_range, b1
    if uncertainty is None:
        uncertainty = default_uncertainties(sequence)
    with watch.stage("uncertainty"):
        maps = with_given_values(maps, sequence, ranges, uncertainty, adc=settings.adc, given=given)
    return maps, _method(sequence, table, settings, b1_range, images.rank)


@dataclass(frozen=True, eq=False)
class _Opened:
    """The images, their sequence, what the table is to cover, a reconstruction made here, what the
    header states, and which of its contradictions were allowed.
    """

    images: CoefficientImages
    sequence: PulseSequence
    settings: TableSettings
    result: Result | None
    header: Mapping[str, Any]
    allowed: tuple[str, ...]


def _opened(
    scan: CoefficientScan, allow: Iterable[str], watch: Stopwatch, reporter: Reporter
) -> _Opened:
    if scan.sequence is not None and scan.model is not None:
        raise ArgumentError("a sequence and a model both name a sequence, expected one of them")
    named, settings = None, TableSettings()
    if scan.model is not None:
        named, settings = _of_model(scan.model)
    if scan.sequence is not None:
        named = read_with_heartbeats(scan.sequence, scan.rr)
    if file_kind(scan.path) != "MRD raw data":
        if scan.is_joint:
            raise ArgumentError("a joint estimate needs raw data, expected an MRD file")
        with watch.stage("open the images"):
            images = open_coefficients(scan.path, scan.basis, scan.covariance)
        sequence = named or _sequence(scan.path)
        header = header_facts(scan.path)
        allowed = require_agreement(Header(images.name, header), sequence, allow, reporter)
        allowed = (*allowed_before(header), *allowed)
        return _Opened(images, sequence, settings, None, header, allowed)
    if scan.basis is not None or scan.covariance is not None:
        raise ArgumentError("basis and covariance go with coefficient images, not with raw data")
    if scan.is_joint and scan.b1 is not None:
        raise ArgumentError("a joint estimate takes no B1 map, expected none")
    request = Request(
        scan.path,
        None,
        known_sequence=named,
        settings=Settings(threads=scan.threads),
    )
    job = open_job(request, watch)
    raw = job.scan.header.protocol
    allowed = agreed(job, allow, reporter)
    result = run_job(job, watch, reporter, allowed)
    images = replace(result.images(), assumptions=())
    return _Opened(images, job.sequence, settings, result, raw, allowed)


def _joint_maps(result: Result, start: Maps, settings: TableSettings, reporter: Reporter) -> Maps:
    from mrftool.workflows.kspace.quantify_jointly import maps_of_slices

    with one_blas_thread():
        table = model_table(
            result.job.sequence,
            adc=settings.adc,
            t1_range=settings.t1_range,
            t2_range=settings.t2_range,
        )
    return maps_of_slices(result, start, table, reporter)


def _sequence(path: Path) -> PulseSequence:
    """The sequence of coefficient images that a folder of ours names."""
    facts = sequence_facts(path)
    if facts is None:
        raise InputError(f"{path}: does not name its sequence, expected a sequence file besides")
    return sequence_from_dict(dict(facts), str(path))


def _of_model(name: str) -> tuple[PulseSequence, TableSettings]:
    """Sequence and ranges of a model file, or of a shipped model."""
    manifest = load_model(find_file("models", name, ".onnx")).manifest
    settings = TableSettings(manifest.ranges["t1"], manifest.ranges["t2"], manifest.adc)
    return sequence_from_dict(dict(manifest.sequence), name), settings


def _require_one_echo(sequence: PulseSequence) -> None:
    if sequence.later_echoes.size:
        raise MismatchError(
            f"sequence {sequence.name} has several echoes of each pulse, whose off-resonance and "
            "R2' are fitted from frames alone, expected a series of frames"
        )


def _b1_range(b1: Float32Array, mask: BoolArray | None) -> Range:
    """What the map holds inside the mask, a little widened."""
    known = np.isfinite(b1) & (b1 > 0)
    if mask is not None and (mask & known).any():
        known &= mask
    low, high = float(b1[known].min()), float(b1[known].max())
    extra = max(_LEAST_B1_RANGE - (high - low), 0.0) / 2 + 1e-3
    return low - extra, high + extra


def _method(
    sequence: PulseSequence,
    table: SignalTable,
    settings: TableSettings,
    b1_range: Range | None,
    rank: int,
) -> Method:
    digest = hashlib.sha256(np.ascontiguousarray(table.coefficients).tobytes()).hexdigest()
    return Method(
        kind="model",
        name=f"table of {sequence.name}",
        file="",
        sha256=digest,
        sequence_name=sequence.name,
        sequence_id=sequence.sequence_id,
        sequence=sequence_to_dict(sequence),
        t1_range=settings.t1_range,
        t2_range=settings.t2_range,
        b1_range=b1_range,
        algorithm="least squares of whitened coefficients, Gauss-Newton on the tabulated signals",
        words={"coefficients": f"rank {rank}"},
        numbers={"rank": rank, "table_error": table.error, "adc_m2_per_s": settings.adc},
        table_error=table.error,
    )
