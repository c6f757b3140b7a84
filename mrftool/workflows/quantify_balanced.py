"""Quantify a scan whose off-resonance is fitted: with a balanced sequence and a map of it, or with
several echoes of each pulse.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mrftool.arrays import Array, Float32Array
from mrftool.environment.reporter import Reporter
from mrftool.errors import ArgumentError
from mrftool.formats.nifti.maps import open_off_resonance
from mrftool.formats.open_scan import open_volumes
from mrftool.formats.sequence.heartbeats import read_with_heartbeats
from mrftool.formats.sequence.yaml_file import sequence_to_dict
from mrftool.inference.assessment.given_values import default_uncertainties
from mrftool.inference.balanced import quantify_balanced
from mrftool.inference.exact_fit import ExactFit
from mrftool.manifold.influences import OFF_RESONANCE
from mrftool.maps import Maps
from mrftool.reports.run import Method
from mrftool.scan.series import Series
from mrftool.scan.stream import prepare
from mrftool.workflows.steps.header import require_agreement
from mrftool.workflows.steps.outputs.dicom_output import DicomChoice, dicom_choice, dicom_output
from mrftool.workflows.steps.outputs.maps_run import MapsRun
from mrftool.workflows.steps.outputs.places import require_folder
from mrftool.workflows.steps.outputs.results import MapsResult, write_results
from mrftool.workflows.steps.outputs.run_record import RunIdentity, require_own_outputs
from mrftool.workflows.steps.scan import ScanFiles
from mrftool.workflows.steps.stopwatch import Stopwatch


@dataclass(frozen=True)
class BalancedChoice:
    """The sequence of the scan, and the maps that are given with it.

    Parameters
    ----------
    sequence : str or Path
        Sequence file, or the name of a shipped one.
    off_resonance : Path, optional
        Map (NIfTI) of the off-resonance [Hz, or as Units in its sidecar say]; a balanced sequence
        needs one.
    rr : str, optional
        RR intervals of the scan [ms], as `read_heartbeats` reads them.
    b1 : Path, optional
        B1 map (NIfTI): fraction or percent.
    mask : Path, optional
        Mask (NIfTI) of the voxels that count.

    """

    sequence: str | Path
    off_resonance: Path | None = None
    rr: str | None = None
    b1: Path | None = None
    mask: Path | None = None

    def chosen(self) -> dict[str, object]:
        """What was chosen, for the report."""
        return {
            "seq": self.sequence,
            "rr": self.rr,
            "b0": self.off_resonance,
            "b1": self.b1,
            "mask": self.mask,
        }


def quantify_balanced_scan(
    scan: ScanFiles,
    folder: Path,
    reporter: Reporter,
    choice: BalancedChoice,
    *,
    noise_sd: float | None = None,
    uncertainty: Mapping[str, float] | None = None,
    dicom: DicomChoice | None = None,
    threads: int | None = None,
    report: bool = True,
    allow: Iterable[str] = (),
    overwrite: bool = False,
    anonymous: bool = False,
) -> MapsResult:
    """Write maps of T1, T2, M0 and off-resonance, which is fitted from its map on; with several
    echoes also of R2'.

    Parameters
    ----------
    scan, folder, reporter, dicom, threads, report, allow, overwrite, anonymous
        See `quantify_scan`.
    choice : BalancedChoice
        The sequence, and the maps that are given.
    noise_sd : float, optional
        Standard deviation of the noise per channel [the scan's unit].
    uncertainty : dict, optional
        Standard uncertainty of each value that the fit takes for granted, by name [SI unit]; the
        off-resonance is not among them.

    Raises
    ------
    MismatchError
        If scan, sequence and maps do not belong together, or the sequence is not balanced.

    """
    require_folder(folder)
    watch, output = Stopwatch(), dicom_choice(dicom, anonymous)
    sequence = read_with_heartbeats(choice.sequence, choice.rr)
    sizes = default_uncertainties(sequence) if uncertainty is None else dict(uncertainty)
    if uncertainty is not None and OFF_RESONANCE.name in sizes:
        raise ArgumentError(
            "the off-resonance is fitted, expected no uncertainty of it", arguments=("uncertainty",)
        )
    sizes.pop(OFF_RESONANCE.name, None)
    chosen = {**choice.chosen(), **scan.chosen(), "noise-sd": noise_sd, **output.chosen()}
    chosen["uncertainty"] = uncertainty
    asked = {**chosen, "model": sequence.sequence_id}
    identity = RunIdentity("quantify", scan.path, asked, anonymous)
    require_own_outputs(folder, identity, overwrite=overwrite)
    with watch.stage("open the scan"):
        series = scan.open(reporter)
        study = dicom_output(series, output, folder, reporter)
        inside, images, assumed = open_volumes(series, choice.mask, {"b1": choice.b1})
        field, said = _off_resonance(choice, series)
    allowed = require_agreement(series, sequence, allow, reporter)
    estimator = ExactFit(sequence, noise_sd=noise_sd, uncertainty=sizes, threads=threads)
    assumed = (*assumed, *said)
    if not estimator.has_echoes:
        text = f"the off-resonance is fitted, up to {estimator.reach:g} Hz from its map"
        assumed = (*assumed, text)
    count = series.n_voxels if inside is None else int(inside.sum())
    prepare(series)
    with watch.stage("read and quantify"), reporter.progress("quantifying", count) as progress:
        maps = quantify_balanced(
            series, estimator, field, b1=images.get("b1"), mask=inside, progress=progress
        )
    for sentence in (*maps.assumptions, *assumed):
        reporter.note(sentence)
    run = MapsRun(
        command="quantify",
        source=scan.path,
        series=series,
        maps=replace(maps, assumptions=(*maps.assumptions, *assumed, *allowed)),
        method=_method(estimator),
        given={**images, **_fitted_beside(maps)},
        allowed=allowed,
        stated=sizes,
        options={**chosen, "threads": threads},
        identity=identity,
        watch=watch,
    )
    return write_results(run, folder, reporter, dicom=study, report=report, overwrite=overwrite)


def _off_resonance(
    choice: BalancedChoice, series: Series
) -> tuple[Float32Array | None, tuple[str, ...]]:
    """The map that is given, and what is to be said of it."""
    if choice.off_resonance is None:
        return None, ("the off-resonance is fitted, from the phases of the echoes on",)
    return open_off_resonance(choice.off_resonance, series, series.name)


def _fitted_beside(maps: Maps) -> dict[str, Array]:
    """Images of what is fitted beside T1 and T2: the look at the fit takes it for granted."""
    return {key: maps.extra[key] for key in ("off_resonance", "r2_prime") if key in maps.extra}


def _method(estimator: ExactFit) -> Method:
    sequence = estimator.sequence
    fitted = "off-resonance"
    if estimator.has_echoes:
        fitted = "off-resonance and R2'"
    digest = hashlib.sha256(sequence.sequence_id.encode()).hexdigest()
    return Method(
        kind="model",
        name=f"engine on {sequence.name}",
        file="",
        sha256=digest,
        sequence_name=sequence.name,
        sequence_id=sequence.sequence_id,
        sequence=sequence_to_dict(sequence),
        t1_range=estimator.t1_range,
        t2_range=estimator.t2_range,
        algorithm=f"least squares, Gauss-Newton on exact signals; {fitted} fitted",
    )
