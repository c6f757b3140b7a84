"""Quantify a scan with a model: T1, T2 and M0 maps with error bars, flags, a picture and a
report.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from mrftool.environment.reporter import Reporter
from mrftool.formats.open_scan import open_volumes
from mrftool.workflows.common_choice import CommonChoice
from mrftool.workflows.estimation import Estimation, estimated, noise_of_file
from mrftool.workflows.steps.header import require_agreement
from mrftool.workflows.steps.left_out import series_and_model, skip_option
from mrftool.workflows.steps.model_source import SequenceModel, model_source
from mrftool.workflows.steps.outputs.dicom_output import DicomChoice, dicom_choice, dicom_output
from mrftool.workflows.steps.outputs.maps_run import MapsRun
from mrftool.workflows.steps.outputs.places import require_folder
from mrftool.workflows.steps.outputs.results import MapsResult, write_results
from mrftool.workflows.steps.outputs.run_record import RunIdentity, require_own_outputs
from mrftool.workflows.steps.scan import ScanFiles, mask_option
from mrftool.workflows.steps.stopwatch import Stopwatch


def quantify_scan(
    scan: ScanFiles,
    folder: Path,
    reporter: Reporter,
    *,
    model: str | Path | SequenceModel = "fisp",
    mask: Path | None = None,
    hide_air: bool = True,
    noise_sd: float | None = None,
    uncertainty: Mapping[str, float] | None = None,
    skip: Collection[int] = (),
    coils: int | None = None,
    dicom: DicomChoice | None = None,
    threads: int | None = None,
    report: bool = True,
    allow: Iterable[str] = (),
    overwrite: bool = False,
    anonymous: bool = False,
    common: CommonChoice | None = None,
    noise_covariance: Path | None = None,
    **given: Path | None,
) -> MapsResult:
    """Write the maps of a scan into `folder`.

    Parameters
    ----------
    scan : ScanFiles
        The scan.
    folder : Path
        Folder of the maps; it is made where it does not exist.
    reporter : Reporter
        Hears of progress and notes.
    model : str, Path or SequenceModel
        Model file (.onnx), or the name of a shipped one; or the sequence that a model is made for.
    mask : Path, optional
        Mask (NIfTI) of the voxels that count; by default all that hold more than noise.
    hide_air : bool
        Whether voxels that hold nothing but noise are masked, where no mask is given.
    noise_sd : float, optional
        Standard deviation of the noise per channel [the scan's unit]; by default estimated from
        each voxel's residual.
    uncertainty : dict, optional
        Standard uncertainty of each value that the fit takes for granted, by name (b1, efficiency,
        ti, te, adc, off_resonance, flip_exponent, slice_profile) [SI unit]; by default typical ones
        of all that the sequence has.
    skip : collection of int
        Indices of frames, from 0, that are left out: a model of the others is made for the run.
    coils : int, optional
        Number of coils whose root sum of squares the magnitudes are: a model of their noise is
        made for the run. By default that of the model, which is one.
    dicom : DicomChoice, optional
        Whether and how DICOM maps are written.
    threads : int, optional
        Threads of the arithmetic; by default one per processor.
    report : bool
        Whether picture and report are made; else the record of the files alone.
    allow : iterable of str
        Contradictions between the header of the scan and the sequence of the model that may stand:
        see `mrftool.inference.protocol.NAMES`.
    overwrite : bool
        Whether maps of another run in `folder` may be replaced.
    anonymous : bool
        Whether the outputs say nothing of the patient; there are no DICOM maps then.
    common : CommonChoice, optional
        Which given values are fitted as values of all voxels; by default none.
    noise_covariance : Path, optional
        Array file of the noise's covariance or autocovariance over time: see
        `mrftool.formats.coefficients.noise_covariance`. Unless its mean variance is 1, it states
        the level of the noise too.
    given : Path, optional
        Maps (NIfTI) of the parameters that the model takes, by name: b1, in fractions or percent.

    Raises
    ------
    MismatchError
        If scan, model, mask and given maps do not belong together.

    """
    require_folder(folder)
    choice, watch = dicom_choice(dicom, anonymous), Stopwatch()
    with watch.stage("read the model"):
        source = model_source(model)
    chosen = {
        "mask": mask_option(mask, hide_air),
        "skip": skip_option(skip),
        "coils": coils,
        "fit": (common or CommonChoice()).text,
        **given,
        **scan.chosen(),
        "noise-sd": noise_sd,
        "noise-covariance": noise_covariance,
        **choice.chosen(),
        **source.chosen,
    }
    asked = {**chosen, "uncertainty": uncertainty, "model": source.digest}
    identity = RunIdentity("quantify", scan.path, asked, anonymous)
    require_own_outputs(folder, identity, overwrite=overwrite)
    with watch.stage("open the scan"):
        series = scan.open(reporter)
        study = dicom_output(series, choice, folder, reporter)
        inside, images, assumed = open_volumes(series, mask, given)
    allowed = require_agreement(series, source.sequence, allow, reporter)
    with watch.stage("make the model"):
        loaded = source.load(series, images, reporter)
    assumed += source.sentences
    covariance, noise_sd = noise_of_file(noise_covariance, series, noise_sd, skip)
    with watch.stage("fit the model to the scan"):
        series, loaded = series_and_model(series, loaded, skip, coils)
    for sentence in (*series.assumptions, *assumed):
        reporter.note(sentence)
    task = Estimation(
        series=series,
        model=loaded,
        images=images,
        inside=inside,
        hide_air=hide_air and mask is None,
        noise_sd=noise_sd,
        noise_covariance=covariance,
        stated=uncertainty,
        threads=threads,
    )
    task, found = estimated(task, common or CommonChoice(), watch, reporter, keep_sample=report)
    run = MapsRun(
        command="quantify",
        source=scan.path,
        series=task.series,
        maps=replace(found.maps, assumptions=(*found.maps.assumptions, *assumed, *allowed)),
        method=task.method,
        given=dict(task.images),
        allowed=allowed,
        skipped=tuple(sorted(skip)),
        sequence_id=source.sequence.sequence_id,
        stated=task.stated,
        following=task.following,
        noise_sd=noise_sd,
        options={**chosen, "uncertainty": uncertainty, "threads": threads},
        identity=identity,
        watch=watch,
        sample=found.sample,
    )
    return write_results(run, folder, reporter, dicom=study, report=report, overwrite=overwrite)
