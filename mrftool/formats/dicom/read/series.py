"""DICOM in: a fingerprint series of whatever scanner, read block by block through its affine and
its order in time.
"""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mrftool.environment.reporter import SilentReporter
from mrftool.errors import InputError
from mrftool.formats.dicom.headers.files import FileSet, Source, find_files
from mrftool.formats.dicom.headers.header import as_planes, look_into
from mrftool.formats.dicom.headers.keywords import Values
from mrftool.formats.dicom.headers.lenient import lenient
from mrftool.formats.dicom.headers.parallel import read_headers
from mrftool.formats.dicom.headers.quick import Known
from mrftool.formats.dicom.read.check import (
    check_planes,
    facts_of,
    notes_of,
    without_second_links,
)
from mrftool.formats.dicom.read.mosaic import tiles_of
from mrftool.formats.dicom.read.parts import parts_of
from mrftool.formats.dicom.read.plane import Plane
from mrftool.formats.dicom.read.select import chosen_planes
from mrftool.formats.dicom.read.signal import SignalReader, signal_reader
from mrftool.formats.scan_request import ShowProgress
from mrftool.grid import Placement
from mrftool.scan.series import Form, Series

_MR_IMAGES = tuple(f"1.2.840.10008.5.1.4.1.1.4{ending}" for ending in ("", ".1", ".3", ".4"))

_MOST_BYTES = 256 << 20  # of signal that a codec makes us read together
_MOST_PLAIN_BYTES = 64 << 20  # of signal that is read together where rows can be read alone


@dataclass(frozen=True, eq=False)
class DicomSeries(Series):
    """A series that came as DICOM. planes: of the first part of the signal, `[slice][time]`, for
    what is made of it.

    files: where they lie; an archive stays unpacked for as long as the series lives.
    """

    planes: list[list[Plane]] = field(kw_only=True, repr=False)
    files: FileSet = field(kw_only=True, repr=False)


def open_dicom_series(
    source: Source,
    *,
    series: str | None = None,
    jobs: int | None = None,
    progress: ShowProgress | None = None,
    place_only: bool = False,
) -> DicomSeries:
    """Open the images of one series without reading their pixels.

    The image has the axes (column, row, slice), with the slices along the normal of the plane; its
    affine says where that is. Real and imaginary, magnitude and phase, or magnitude alone; see
    `assumptions`.

    Parameters
    ----------
    source : path or list of paths
        A folder, a zip archive, a file or a list of files.
    series : str, optional
        SeriesInstanceUID, SeriesNumber or SeriesDescription where there are several series; two
        with a comma between them for a signal in two series.
    jobs : int, optional
        Number of processes that read headers; one per core by default.
    progress : callable, optional
        Shows how many headers have been read, as `Reporter.progress` does.
    place_only : bool
        True if only the study and the place of the volume count; of two parts of a signal, the
        second may then be in any unit.

    Raises
    ------
    InputError
        If images are missing, damaged or do not form a volume over time.
    MismatchError
        If there are several series to choose from.
    MissingExtraError
        If no decoder is installed for their transfer syntax.
    """
    show = progress or SilentReporter().progress
    files = find_files(source, partial(look_into, known=Known()), show)
    try:
        where = "the list"
        if isinstance(source, str | Path):
            where = str(source)
        with lenient():
            planes, others = _planes(files, jobs, show)
            return _opened(files, planes, others, where, series, place_only)
    except BaseException:
        files.close()
        raise


def _opened(
    files: FileSet,
    planes: list[Plane],
    others: int,
    where: str,
    wanted: str | None,
    place_only: bool,
) -> DicomSeries:
    if not planes:
        raise InputError(
            f"{where}: no images among {others} files, expected the images of a series"
        )
    chosen, notes = chosen_planes(planes, wanted, where)
    chosen = without_second_links(chosen)
    check_planes(chosen)
    parts, affine, more = parts_of([tile for plane in chosen for tile in tiles_of(plane)])
    if place_only:
        parts = parts[:1]
    reader = signal_reader(parts)
    n_time = reader.n_time
    form: Form = "magnitude"
    if len(parts) > 1:
        form = "complex"
    left = files.notes
    if others:
        left += (f"{others} files without images were left aside.",)
    return DicomSeries(
        (reader.columns, reader.rows, len(parts[0].planes)),
        Placement(affine),
        n_time,
        form,
        reader,
        (*notes, *more, *reader.notes, *notes_of(chosen), *left),
        sidecar=facts_of(chosen),
        granule=reader.columns * _rows_at_once(reader),
        name=f"{where} series {chosen[0].values.get('SeriesNumber', '?')}",
        planes=parts[0].planes,
        files=files,
    )


def _rows_at_once(reader: SignalReader) -> int:
    """Rows of a slice to read together: all, or a part of them that stays below the limit of
    memory, since each part opens every file once more.
    """
    row_bytes = reader.columns * reader.n_time * 4 * len(reader.parts)
    most = _MOST_BYTES
    if reader.is_plain:
        most = _MOST_PLAIN_BYTES
    parts = (n for n in range(1, reader.rows + 1) if reader.rows % n == 0)
    return max(n for n in parts if n == 1 or n * row_bytes <= most)


def _planes(files: FileSet, jobs: int | None, show: ShowProgress) -> tuple[list[Plane], int]:
    """All image planes of the files, and how many files hold none."""
    headers = read_headers(files.files, jobs, show)
    planes: list[Plane] = []
    others = files.others
    for file, header in zip(files.files, headers, strict=True):
        if header is None or not _is_image(header):
            others += 1
            continue
        planes += [
            Plane(file.path, file.label, index, values, header["pixels"])
            for index, values in enumerate(as_planes(header))
        ]
    return planes, others


def _is_image(header: Values) -> bool:
    """False for reports, presentation states, directories; True for images that were cut short."""
    is_mr = header["file"]["SOPClassUID"] in _MR_IMAGES
    return is_mr or "Rows" in header["file"] or "element" in header["pixels"]
