"""From a scan to maps: by a model, by a dictionary, or from raw data."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mrftool.api.arguments import Scan, SequenceLike, as_mask, as_series, given_maps, path_or_none
from mrftool.arrays import Float32Array
from mrftool.environment.extras import naming_extras
from mrftool.environment.reporter import Reporter, SilentReporter
from mrftool.formats.mrd.header import Unit
from mrftool.formats.sequence.yaml_file import as_sequence, sequence_from_dict
from mrftool.inference import quantify as model_quantify
from mrftool.inference.session import Model
from mrftool.maps import Maps
from mrftool.matching.dictionary import (
    compress_dictionary,
    dictionary_from_file,
    dictionary_from_sequence,
)
from mrftool.matching.match import match_series
from mrftool.physics.tissue_grids import paper_tissue
from mrftool.scan.coefficients import CoefficientImages
from mrftool.scan.expanded import frames_of
from mrftool.scan.series import Series
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue
from mrftool.workflows.steps.header import require_agreement
from mrftool.workflows.steps.model_source import model_source
from mrftool.workflows.steps.sequence_model import (
    model_of_sequence,
    require_length,
    settings_for,
)


def quantify(
    scan: Scan,
    model: Model | PulseSequence | str | Path = "fisp",
    *,
    mask: ArrayLike | None = None,
    noise_sd: float | None = None,
    threads: int | None = None,
    allow: Iterable[str] = (),
    **given: ArrayLike,
) -> Maps:
    """Compute maps of T1, T2 and M0 with their standard deviations and flags from a scan.

    Parameters
    ----------
    scan : Series, Fingerprints, str, Path or array_like
        A scan, its file, fingerprints, or an array `(x, y, z, time)` or `(voxel, time)`: complex,
        or real for magnitudes. The maps of a list of voxels are `(voxel, 1, 1)`.
    model : Model, PulseSequence, str or Path
        A model, its file, or the name of a shipped one, of which the variant for magnitudes is
        taken where the scan holds magnitudes. A sequence, such as that of one patient's
        heartbeats: a model without a network is made for it, verified, and kept in the user's
        cache.
    mask : array_like, optional
        Voxels that count `(x, y, z)`; by default all.
    noise_sd : float, optional
        Standard deviation of the noise per channel [the scan's unit]; by default estimated from
        each voxel's residual.
    threads : int, optional
        By default one per processor.
    allow : iterable of str
        Contradictions between the scan's header and the model's sequence that may stand: "tr",
        "te", "ti", "flip-angle", "field", "sequence-name".
    given : array_like
        Maps of the parameters that the model takes, by name `(x, y, z)`: b1, actual over nominal
        flip angle [1].

    Raises
    ------
    ArgumentError
        If something else than a map of a parameter is given, or it is in another unit.
    MismatchError
        If scan, model and given maps do not belong together, or the header of the scan contradicts
        the model's sequence.

    """
    maps: dict[str, Any] = given_maps(given)
    series = as_series(scan)
    chosen = _model_of(model, series, maps)
    allowed = require_agreement(
        series, sequence_from_dict(chosen.manifest.sequence), allow, SilentReporter()
    )
    found = model_quantify.quantify(
        series,
        chosen,
        mask=as_mask(mask),
        noise_sd=noise_sd,
        threads=threads,
        **maps,
    )
    return replace(found, assumptions=(*found.assumptions, *allowed))


def _model_of(
    model: Model | PulseSequence | str | Path, series: Series, given: Mapping[str, Float32Array]
) -> Model:
    """The model for a scan and the maps that are given with it."""
    if isinstance(model, Model):
        return model
    if isinstance(model, PulseSequence):
        require_length(series, model)
        return model_of_sequence(model, settings_for(series, given), SilentReporter())
    return model_source(model).load(series, given, SilentReporter())


@naming_extras()
def reconstruct(
    scan: str | Path,
    *,
    sequence: str | Path | None = None,
    rank: int | None = None,
    trajectory: str | Path | None = None,
    trajectory_unit: Unit | None = None,
    coils: str | Path | None = None,
    field_map: str | Path | None = None,
    replicas: int = 6,
    threads: int | None = None,
    allow: Iterable[str] = (),
    reporter: Reporter | None = None,
) -> CoefficientImages:
    """Reconstruct raw data (MRD): coefficient images with the covariance of their noise.

    Needs the extra `recon`.

    Parameters
    ----------
    scan : str or Path
        The MRD file.
    sequence : str or Path, optional
        Sequence file, or the name of a shipped one; by default the one that the file holds.
    rank : int, optional
        Number of coefficients; by default 5 or 6, by the sequence.
    trajectory : str or Path, optional
        In place of the file's own: `(readout, sample, 2)` (.npy), or a Pulseq file.
    trajectory_unit : {"1/FOV", "1/m", "cycles/pixel", "rad/pixel"}, optional
        Of the trajectory; by default as the file says, or what fits.
    coils : str or Path, optional
        Coil maps `(x, y, z, coil)` (NIfTI) [1]; by default estimated from the data.
    field_map : str or Path, optional
        Off-resonance `(x, y, z)` (NIfTI) [Hz].
    replicas : int
        Of the noise, for the covariance; 0: none, and maps without error bars.
    threads : int, optional
        By default one per processor.
    allow : iterable of str
        Contradictions between the header of the raw data and the sequence that may stand: see
        `mrftool.inference.protocol.NAMES`.
    reporter : Reporter, optional
        Hears of progress.

    Raises
    ------
    InputError
        If a file is missing or malformed.
    MismatchError
        If files do not belong together.

    """
    from mrftool.reconstruction.reconstruct import Settings
    from mrftool.workflows.kspace.reconstruct import Request, agreed, open_job, run_job
    from mrftool.workflows.steps.stopwatch import Stopwatch

    name = None
    if sequence is not None:
        name = str(sequence)
    settings = Settings(replicas=replicas, threads=threads)
    request = Request(
        Path(scan),
        name,
        trajectory=path_or_none(trajectory),
        unit=trajectory_unit,
        coils=path_or_none(coils),
        rank=rank,
        field_map=path_or_none(field_map),
        settings=settings,
    )
    watch, reporter = Stopwatch(), reporter or SilentReporter()
    job = open_job(request, watch)
    return run_job(job, watch, reporter, agreed(job, allow, reporter)).images()


def quantify_coefficients(
    images: CoefficientImages,
    sequence: SequenceLike,
    *,
    mask: ArrayLike | None = None,
    b1: ArrayLike | None = None,
    uncertainty: Mapping[str, float] | None = None,
) -> Maps:
    """Compute maps of T1, T2 and M0 from coefficient images.

    Parameters
    ----------
    images : CoefficientImages
        Of `reconstruct` or `load_coefficients`, or built from arrays. Without covariance the maps
        have no standard deviations and no misfit flags.
    sequence : PulseSequence, str or Path
        That made the data: a sequence, its file, or the name of a shipped one.
    mask : array_like, optional
        Voxels that count `(x, y, z)`; by default those of the images' own mask.
    b1 : array_like, optional
        Actual over nominal flip angle `(x, y, z)` [1].
    uncertainty : dict, optional
        Standard uncertainty of each value that the fit takes for granted, by name [SI unit]; by
        default typical ones of all that the sequence has.

    Raises
    ------
    MismatchError
        If images, sequence, mask and B1 map do not belong together.

    """
    from mrftool.workflows.kspace.quantify_coefficients import maps_of_coefficients

    field = None
    if b1 is not None:
        field = np.asarray(b1, np.float32)
    return maps_of_coefficients(
        images, as_sequence(sequence), mask=as_mask(mask), b1=field, uncertainty=uncertainty
    )[0]


def match(
    scan: Scan | CoefficientImages,
    dictionary: str | Path | None = None,
    *,
    sequence: SequenceLike = "fisp",
    tissue: Tissue | None = None,
    mask: ArrayLike | None = None,
    threads: int | None = None,
    allow: Iterable[str] = (),
) -> Maps:
    """Compute maps from the most similar entries of a dictionary.

    Parameters
    ----------
    scan : Series, Fingerprints, str, Path, array_like or CoefficientImages
        A scan, its file, fingerprints, or an array `(x, y, z, time)` or `(voxel, time)`: complex,
        or real for magnitudes; or coefficient images, which stand for the frames that they expand
        to. The maps of a list of voxels are `(voxel, 1, 1)`.
    dictionary : str or Path, optional
        A dictionary (.npz); without it, one is simulated.
    sequence : PulseSequence, str or Path
        The sequence to simulate it for.
    tissue : Tissue, optional
        Its entries; by default the paper's 160,200.
    mask : array_like, optional
        Voxels that count `(x, y, z)`; by default all.
    threads : int, optional
        By default one per processor.
    allow : iterable of str
        Contradictions between the scan's header and the sequence that may stand, as in `quantify`.

    Raises
    ------
    MismatchError
        If scan and dictionary do not belong together, or the header of the scan contradicts the
        sequence.

    """
    if isinstance(scan, CoefficientImages):
        series = frames_of(scan, {}, scan.sequence_id)
    else:
        series = as_series(scan)
    if dictionary is not None:
        source = dictionary_from_file(dictionary)
    else:
        if tissue is None:
            tissue = paper_tissue()
        source = dictionary_from_sequence(as_sequence(sequence), tissue, threads=threads)
    allowed = require_agreement(series, source.its_sequence(), allow, SilentReporter())
    compressed = compress_dictionary(source, series.form)
    found = match_series(series, compressed, mask=as_mask(mask), threads=threads)
    return replace(found, assumptions=(*found.assumptions, *allowed))
