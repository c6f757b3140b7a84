"""The functions of `import mrftool`: one for each step, on arrays or on files.

They write nothing but what they are asked to. The whole of a command, with its reports and
pictures, is in `mrftool.workflows`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from mrftool.arrays import BoolArray
from mrftool.environment.reporter import Reporter, SilentReporter
from mrftool.environment.shipped import find_file
from mrftool.fingerprints import Fingerprints
from mrftool.formats.bids import map_description, map_path
from mrftool.formats.coefficients.read import open_coefficients
from mrftool.formats.nifti.write import write_maps as write_nifti_maps
from mrftool.formats.open_scan import open_scan
from mrftool.formats.sequence.yaml_file import read_sequence, sequence_from_dict
from mrftool.grid import Placement
from mrftool.inference import quantify as model_quantify
from mrftool.inference.session import Model
from mrftool.inference.session import load_model as load_model_file
from mrftool.maps import Maps
from mrftool.matching.dictionary import (
    Source,
    compress_dictionary,
    dictionary_from_file,
    dictionary_from_sequence,
)
from mrftool.matching.match import match_series
from mrftool.physics.cramer_rao import Bound, cramer_rao
from mrftool.physics.simulate import DEFAULT_TOLERANCE
from mrftool.physics.simulate import simulate as simulate_tissue
from mrftool.physics.tissue_grids import paper_tissue
from mrftool.quantities import quantity
from mrftool.scan.coefficients import CoefficientImages
from mrftool.scan.series import Series, series_from_array
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue
from mrftool.workflows.steps.header import require_agreement

SequenceLike = PulseSequence | str | Path
Scan = Series | str | Path | ArrayLike


def load_sequence(name: str | Path, *, rr: ArrayLike | None = None) -> PulseSequence:
    """Read a sequence file, or a shipped sequence by its name ("fisp").

    Parameters
    ----------
    name : str or Path
        The file, or the name.
    rr : array_like, optional
        For a sequence that waits for heartbeats: RR intervals, times of all triggers, or one
        interval for all [s]; by default those of the file.

    Raises
    ------
    InputError
        If there is no such sequence, naming every fault of the file otherwise.

    """
    heartbeats = None
    if rr is not None:
        heartbeats = np.asarray(rr, np.float64)
    return read_sequence(name, rr=heartbeats)


def load_model(name: str | Path) -> Model:
    """Load a model file (.onnx), or a shipped model by its name ("fisp").

    Raises
    ------
    InputError
        If there is no such model, or the file is damaged.

    """
    return load_model_file(find_file("models", str(name), ".onnx"))


def load_scan(
    path: str | Path,
    *,
    imag: str | Path | None = None,
    phase: str | Path | None = None,
    form: Literal["magnitude", "real"] | None = None,
    series: str | None = None,
) -> Series:
    """Open a scan; its samples are read block by block where they are used.

    Parameters
    ----------
    path : str or Path
        A 4-D NIfTI file, or a folder, zip archive or file of DICOM.
    imag, phase : str or Path, optional
        The second part of a complex NIfTI scan, where `path` is its real part or its magnitude.
    form : {"magnitude", "real"}, optional
        "magnitude" takes the modulus of a complex scan; "real" reads one without imaginary part.
    series : str, optional
        DICOM series, by UID, number or description.

    """
    return open_scan(
        Path(path),
        imag=_path_or_none(imag),
        phase=_path_or_none(phase),
        form=form,
        series=series,
    )


def simulate(
    sequence: SequenceLike, tissue: Tissue, *, tolerance: float = DEFAULT_TOLERANCE
) -> Fingerprints:
    """Simulate the fingerprints of tissue under a sequence.

    Parameters
    ----------
    sequence : PulseSequence, str or Path
        The sequence, its file, or the name of a shipped one.
    tissue : Tissue
        T1, T2 [s], M0, B1 [1] and so on of each voxel.
    tolerance : float
        Largest error that cutting off high EPG orders may make, relative to the norm of each
        fingerprint [1].

    Returns
    -------
    Fingerprints
        Their `signal` is `(voxel, time)` [the unit of M0].

    """
    return simulate_tissue(_sequence(sequence), tissue, tolerance=tolerance)


def crlb(
    sequence: SequenceLike,
    tissue: Tissue,
    snr: ArrayLike,
    *,
    form: Literal["complex", "magnitude"] = "complex",
) -> Bound:
    """Compute the Cramer-Rao bound of T1 and T2: the smallest standard deviations possible.

    Parameters
    ----------
    sequence : PulseSequence, str or Path
        The sequence, its file, or the name of a shipped one.
    tissue : Tissue
        T1, T2 [s] and so on of each voxel.
    snr : array_like
        Root mean square of each fingerprint over the noise of each channel, `(voxel,)` or a
        number [1].
    form : {"complex", "magnitude"}
        Of the signals.

    """
    return cramer_rao(_sequence(sequence), tissue, snr, form=form)


def quantify(
    scan: Scan,
    model: Model | str | Path = "fisp",
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
    scan : Series, str, Path or array_like
        A scan, its file, or an array `(x, y, z, time)`: complex, or real for magnitudes.
    model : Model, str or Path
        A model, its file, or the name of a shipped one.
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
    MismatchError
        If scan, model and given maps do not belong together, or the header of the scan contradicts
        the model's sequence.

    """
    if not isinstance(model, Model):
        model = load_model(model)
    maps: dict[str, Any] = {name: np.asarray(image, np.float32) for name, image in given.items()}
    series = _series(scan)
    allowed = require_agreement(series, _sequence_of(model), allow, SilentReporter())
    found = model_quantify.quantify(
        series,
        model,
        mask=_mask(mask),
        noise_sd=noise_sd,
        threads=threads,
        **maps,
    )
    return replace(found, assumptions=(*found.assumptions, *allowed))


def _sequence_of(method: Model | Source) -> PulseSequence | None:
    """Of a model or dictionary, where it is known."""
    if isinstance(method, Model):
        facts: Mapping[str, Any] | None = method.manifest.sequence
    else:
        facts = method.sequence
    if facts is None:
        return None
    return sequence_from_dict(dict(facts))


def reconstruct(
    scan: str | Path,
    *,
    sequence: str | Path | None = None,
    rank: int | None = None,
    coils: str | Path | None = None,
    field_map: str | Path | None = None,
    replicas: int = 6,
    threads: int | None = None,
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
    coils : str or Path, optional
        Coil maps `(x, y, z, coil)` (NIfTI) [1]; by default estimated from the data.
    field_map : str or Path, optional
        Off-resonance `(x, y, z)` (NIfTI) [Hz].
    replicas : int
        Of the noise, for the covariance; 0: none, and maps without error bars.
    threads : int, optional
        By default one per processor.
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
    from mrftool.workflows.kspace.reconstruct import Request, open_job, run_job
    from mrftool.workflows.steps.stopwatch import Stopwatch

    name = None
    if sequence is not None:
        name = str(sequence)
    settings = Settings(replicas=replicas, threads=threads)
    request = Request(
        Path(scan),
        name,
        coils=_path_or_none(coils),
        rank=rank,
        field_map=_path_or_none(field_map),
        settings=settings,
    )
    watch = Stopwatch()
    return run_job(open_job(request, watch), watch, reporter or SilentReporter()).images()


def load_coefficients(
    path: str | Path, basis: str | Path | None = None, covariance: str | Path | None = None
) -> CoefficientImages:
    """Open coefficient images: a folder of `mrftool reconstruct`, or what another tool made.

    Parameters
    ----------
    path : str or Path
        A folder of ours, or a file of `(x, y, z, K)` complex numbers (NIfTI, .cfl, .npy).
    basis : str or Path, optional
        Temporal basis `(time, K)` (.npy, .cfl); a folder of ours has its own.
    covariance : str or Path, optional
        Of the noise of the coefficients, `(K, K)` or `(x, y, z, K, K)` (.npy, NIfTI).

    """
    return open_coefficients(Path(path), _path_or_none(basis), _path_or_none(covariance))


def quantify_coefficients(
    images: CoefficientImages,
    sequence: SequenceLike,
    *,
    mask: ArrayLike | None = None,
    b1: ArrayLike | None = None,
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

    Raises
    ------
    MismatchError
        If images, sequence, mask and B1 map do not belong together.

    """
    from mrftool.workflows.kspace.quantify_coefficients import maps_of_coefficients

    field = None
    if b1 is not None:
        field = np.asarray(b1, np.float32)
    return maps_of_coefficients(images, _sequence(sequence), mask=_mask(mask), b1=field)[0]


def match(
    scan: Scan,
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
    scan : Series, str, Path or array_like
        A scan, its file, or an array `(x, y, z, time)`: complex, or real for magnitudes.
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
    series = _series(scan)
    if dictionary is not None:
        source = dictionary_from_file(dictionary)
    else:
        if tissue is None:
            tissue = paper_tissue()
        source = dictionary_from_sequence(_sequence(sequence), tissue, threads=threads)
    allowed = require_agreement(series, _sequence_of(source), allow, SilentReporter())
    compressed = compress_dictionary(source, series.form)
    found = match_series(series, compressed, mask=_mask(mask), threads=threads)
    return replace(found, assumptions=(*found.assumptions, *allowed))


def export_model(
    source: SequenceLike,
    output: str | Path,
    *,
    reporter: Reporter | None = None,
    **settings: Any,
) -> Model:
    """Write a verified model, and load it.

    Parameters
    ----------
    source : PulseSequence, str or Path
        A sequence, for a model without a network; or the folder or checkpoint of a training run.
    output : str or Path
        The .onnx file.
    reporter : Reporter, optional
        Hears of progress.
    settings
        Those of `mrftool.workflows.export.export_sequence` or `export_run`: polish, form, adc, and
        t1_range, t2_range [s], b1_range [1].

    Raises
    ------
    CheckFailedError
        If the model does not hold against the exact engine.

    """
    from mrftool.workflows.export import export_run, export_sequence

    path, listener = Path(output), reporter or SilentReporter()
    if _is_run(source):
        written = export_run(Path(str(source)), path, listener, **settings)
    else:
        written = export_sequence(source, path, listener, **settings)
    return load_model_file(written.path)


def train(
    sequences: str | Path | Iterable[str | Path],
    folder: str | Path,
    *,
    device: str = "auto",
    reporter: Reporter | None = None,
    **settings: Any,
) -> Path:
    """Train an encoder; `export_model` makes a model of it. Needs the extra `train`.

    Parameters
    ----------
    sequences : str, Path or several of them
        Sequence files, or names of shipped ones.
    folder : str or Path
        Folder of the run.
    device : str
        "cpu", "cuda" or "auto".
    reporter : Reporter, optional
        Hears of progress.
    settings
        Fields of `mrftool.learning.config.TrainConfig`, such as steps=1000 or seed=1.

    Returns
    -------
    Path
        The folder.

    """
    from mrftool.learning.config import TrainConfig
    from mrftool.workflows.train import train_encoder

    names = [sequences] if isinstance(sequences, str | Path) else list(sequences)
    listener = reporter or SilentReporter()
    config = TrainConfig(**settings)
    return train_encoder(names, config, Path(folder), listener, device=device).folder


def write_maps(
    maps: Maps, folder: str | Path, *, affine: ArrayLike | None = None
) -> dict[str, Path]:
    """Write maps as NIfTI files with their units in header and sidecar.

    Parameters
    ----------
    maps : Maps
        What `quantify` or `match` returned.
    folder : str or Path
        It is made where it does not exist.
    affine : array_like, optional
        Voxel index to millimetres in RAS+ `(4, 4)` [mm], as `Series.affine`; by default voxels of
        1 mm.

    Returns
    -------
    dict
        The file of each map, by its name.

    """
    if affine is None:
        affine = np.eye(4)
    paths = {name: map_path(folder, "", name) for name, _ in maps.images()}
    images = [
        (paths[name], image, map_description(name), {"Units": quantity(name).unit.name})
        for name, image in maps.images()
    ]
    write_nifti_maps(images, Placement(np.asarray(affine, np.float64)))
    return paths


def _sequence(sequence: SequenceLike) -> PulseSequence:
    if isinstance(sequence, PulseSequence):
        return sequence
    return read_sequence(sequence)


def _series(scan: Scan) -> Series:
    if isinstance(scan, Series):
        return scan
    if isinstance(scan, str | Path):
        return open_scan(Path(scan))
    return series_from_array(scan)


def _mask(mask: ArrayLike | None) -> BoolArray | None:
    if mask is None:
        return None
    return np.asarray(mask, bool)


def _path_or_none(path: str | Path | None) -> Path | None:
    if path is None:
        return None
    return Path(path)


def _is_run(source: SequenceLike) -> bool:
    """Whether `source` is the folder or a checkpoint of a training run."""
    if isinstance(source, PulseSequence):
        return False
    path = Path(source)
    return path.is_dir() or path.suffix == ".safetensors"
