"""The files of a scan as the caller names them, and the volumes that lie on its voxels."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mrftool.environment.reporter import Reporter
from mrftool.errors import InputError
from mrftool.formats.open_scan import file_kind, open_scan
from mrftool.scan.expanded import frames_of
from mrftool.scan.series import Series

NO_MASK = "none"  # all voxels count
_NOT_FRAMES = ("coefficient images", "MRD raw data")  # kinds of scans


def holds_frames(path: Path, basis: Path | None) -> bool:
    """Whether a scan is a series of frames: its kind, or a basis beside it, tells."""
    return basis is None and file_kind(path) not in _NOT_FRAMES


@dataclass(frozen=True)
class ScanFiles:
    """Where a scan lies, and how to read it.

    Parameters
    ----------
    path : Path
        A 4-D NIfTI file, or a folder, zip or file of DICOM.
    imag, phase : Path, optional
        The second part of a complex NIfTI scan, where `path` is its real part or its magnitude.
    form : {"magnitude", "real"}, optional
        "magnitude" takes the modulus of a complex scan; "real" reads one without imaginary part.
    series : str, optional
        DICOM series, by UID, number or description.
    axes, like, variable : optional
        Of an array file: its axes ("tyx"), an image on its voxels, which array it is.
    basis : Path, optional
        Temporal basis of coefficient images, which stand for the frames that they expand to.

    """

    path: Path
    imag: Path | None = None
    phase: Path | None = None
    form: Literal["magnitude", "real"] | None = None
    series: str | None = None
    axes: str | None = None
    like: Path | None = None
    variable: str | None = None
    basis: Path | None = None

    def open(self, reporter: Reporter) -> Series:
        """Open the scan; its samples are read later."""
        kind = file_kind(self.path)
        if kind == "MRD raw data":
            raise InputError(f"{self.path}: raw data, expected images: reconstruct them first")
        if self.basis is not None or kind == "coefficient images":
            from mrftool.formats.coefficients.read import header_facts, open_coefficients

            images = open_coefficients(self.path, self.basis, None)
            return frames_of(images, header_facts(self.path), images.sequence_id)
        return open_scan(
            self.path,
            imag=self.imag,
            phase=self.phase,
            form=self.form,
            series=self.series,
            axes=self.axes,
            like=self.like,
            variable=self.variable,
            progress=reporter.progress,
        )

    def chosen(self) -> dict[str, object]:
        """What was chosen beside the path, for the report."""
        return {
            "imag": self.imag,
            "phase": self.phase,
            "form": self.form,
            "series": self.series,
            "axes": self.axes,
            "like": self.like,
            "variable": self.variable,
            "basis": self.basis,
        }

    def files(self) -> Iterator[Path]:
        """Files that are read."""
        yield self.path
        if self.imag is not None:
            yield self.imag
        if self.phase is not None:
            yield self.phase
        if self.like is not None:
            yield self.like


def mask_option(mask: Path | None, hide_air: bool) -> Path | str | None:
    """The choice of a mask, for the report: its file, "none", or None for an automatic one."""
    if mask is None and not hide_air:
        return NO_MASK
    return mask
