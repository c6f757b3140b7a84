"""The maps of a measurement that came in, by the same work as for a file."""

from dataclasses import dataclass
from pathlib import Path

from mrftool.environment.reporter import Reporter
from mrftool.errors import InputError
from mrftool.formats.coefficients.mrd import holds_coefficients, read_stored
from mrftool.formats.mrd.image_series import recognises as holds_images
from mrftool.formats.open_scan import open_scan
from mrftool.grid import Placement
from mrftool.maps import Maps
from mrftool.servers.mrd.service import Target, target_of


@dataclass(frozen=True)
class Work:
    """One measurement.

    Parameters
    ----------
    path
        MRD file of what came in.
    folder
        For the maps and their report.
    config
        Model or sequence of the configuration that the scanner named; None if it named none.
    has_sequence
        Whether the header holds the sequence, which then counts.
    threads
        Of the arithmetic; None for one per processor.
    allow
        In what the header may contradict the sequence.

    """

    path: Path
    folder: Path
    config: str | None
    has_sequence: bool
    threads: int | None
    allow: tuple[str, ...] = ()


def quantify_incoming(work: Work, reporter: Reporter) -> tuple[Maps, Placement]:
    """Maps of a measurement, and where they lie.

    Raises
    ------
    InputError
        If data or header are malformed, or images name no model.
    MismatchError
        If data and sequence do not belong together.

    """
    target = Target()
    if work.config is not None:
        target = target_of(work.config)
    if holds_coefficients(work.path):
        return _of_coefficients(work, target, reporter)
    if holds_images(work.path):
        return _of_images(work, target, reporter)
    return _of_readouts(work, target, reporter)


def _of_readouts(work: Work, target: Target, reporter: Reporter) -> tuple[Maps, Placement]:
    from mrftool.formats.mrd.read import open_raw

    return _maps_of(work, target, reporter), open_raw(work.path).placement


def _of_coefficients(work: Work, target: Target, reporter: Reporter) -> tuple[Maps, Placement]:
    return _maps_of(work, target, reporter), read_stored(work.path).placement


def _maps_of(work: Work, target: Target, reporter: Reporter) -> Maps:
    from mrftool.workflows.kspace.quantify_coefficients import (
        CoefficientScan,
        quantify_coefficient_scan,
    )

    if work.has_sequence:
        target = Target()
    scan = CoefficientScan(
        work.path, sequence=target.sequence, model=target.model, threads=work.threads
    )
    return quantify_coefficient_scan(scan, work.folder, reporter, allow=work.allow).maps


def _of_images(work: Work, target: Target, reporter: Reporter) -> tuple[Maps, Placement]:
    from mrftool.workflows.quantify import quantify_scan
    from mrftool.workflows.steps.scan import ScanFiles

    if target.model is None:
        raise InputError("images need a configuration that names a model, expected one")
    result = quantify_scan(
        ScanFiles(work.path),
        work.folder,
        reporter,
        model=target.model,
        threads=work.threads,
        allow=work.allow,
    )
    return result.maps, open_scan(work.path).placement
