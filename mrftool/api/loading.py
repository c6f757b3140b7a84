"""Opening sequences, models, scans and coefficient images, by file or by shipped name."""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from mrftool.api.arguments import path_or_none
from mrftool.environment.shipped import find_file
from mrftool.formats.coefficients.read import open_coefficients
from mrftool.formats.open_scan import open_scan
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.inference.session import Model
from mrftool.inference.session import load_model as load_model_file
from mrftool.scan.coefficients import CoefficientImages
from mrftool.scan.series import Series
from mrftool.sequence import PulseSequence


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
        imag=path_or_none(imag),
        phase=path_or_none(phase),
        form=form,
        series=series,
    )


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
    return open_coefficients(Path(path), path_or_none(basis), path_or_none(covariance))
