"""Checks of the planes that were chosen, and what is worth a note about them."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mrftool.errors import InputError
from mrftool.formats.dicom.read.plane import Plane

_PHYSICAL_UNITS = {"HZ", "PPM", "RAD", "MRAD", "DEG", "MS", "S", "1/S"}
_COUNTERS = (
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "AcquisitionNumber",
    "FrameAcquisitionNumber",
    "TriggerTime",
)
_LONGEST_LIST = 120  # letters of a list of kinds in a message


def without_second_links(planes: Sequence[Plane]) -> list[Plane]:
    """The planes, those of a file once where several links lead to it."""
    first: dict[object, Plane] = {}
    kept = []
    for plane in planes:
        twin = first.setdefault((plane.values.get("SOPInstanceUID"), plane.index), plane)
        if twin.path == plane.path or not Path(plane.path).samefile(twin.path):
            kept.append(plane)
    return kept


def check_planes(planes: Sequence[Plane]) -> None:
    """Raises InputError for duplicates, frames that are not described, and mixed frames of
    reference.
    """
    seen: dict[tuple[str, int], Plane] = {}
    described: dict[str, int] = {}
    for plane in planes:
        described[plane.path] = described.get(plane.path, 0) + 1
        uid = plane.values.get("SOPInstanceUID")
        if uid is None:
            raise InputError(
                f"{plane.name}: SOPInstanceUID is missing, expected each image to have its own"
            )
        twin = seen.setdefault((uid, plane.index), plane)
        if twin is not plane:
            raise InputError(
                f"{plane.name}: is the same instance as {twin.name}, expected each image once"
            )
    for plane in planes:
        if plane.n_frames != described[plane.path]:
            raise InputError(
                f"{plane.label}: has {plane.n_frames} frames and describes "
                f"{described[plane.path]}, "
                "expected a single-frame or an enhanced multi-frame image"
            )
    _one_space(planes)


def require_one_kind(planes: Sequence[Plane]) -> None:
    """Raises InputError if the planes of one slice, in one component of the signal, are images of
    two kinds at each time: two echoes, or a magnitude and a map.
    """
    for what, kind_of in _KINDS.items():
        kinds = [kind_of(plane) for plane in planes]
        names = sorted({str(kind) for kind in kinds})
        if len(names) < 2:
            continue
        is_unit = what == "unit"
        if is_unit or any(_is_product(points, kinds) for points in _points_in_time(planes, kinds)):
            raise InputError(
                f"{planes[0].name}: its series holds images that differ in {what} "
                f"({', '.join(names)[:_LONGEST_LIST]}), expected one kind of image over time",
                hint="export the images of one kind as a series of their own",
            )


def _echo(plane: Plane) -> object:
    for key in ("EffectiveEchoTime", "EchoTime"):
        value = plane.values.get(key)
        if isinstance(value, int | float):
            return round(value, 3)
    return plane.values.get("EchoNumbers")


def _unit(plane: Plane) -> str:
    """Of a scaled pixel, where it is a physical one."""
    items = plane.values.get("RealWorld") or [[None, None, ""]]
    units = {str(plane.values.get("RescaleType", "")).upper(), str(items[0][2]).upper()}
    return " ".join(sorted(units & _PHYSICAL_UNITS)) or "none"


def _image_type(plane: Plane) -> tuple[object, ...]:
    words = plane.values.get("FrameType") or plane.values.get("ImageType")
    if not isinstance(words, list):
        return ()
    return tuple(words[2:])


_KINDS: dict[str, Callable[[Plane], object]] = {
    "unit": _unit,
    "echo time": _echo,
    "image type": _image_type,
}


def _points_in_time(planes: Sequence[Plane], kinds: Sequence[object]) -> Iterator[list[object]]:
    """What may number the time points of the planes, each by another attribute."""
    for key in _COUNTERS:
        yield [plane.values.get(key) for plane in planes]
    indices = [plane.values.get("DimensionIndexValues") or [] for plane in planes]
    for axis in range(min(map(len, indices))):
        if _tells_kinds_apart(axis, indices, kinds):
            yield [(*index[:axis], *index[axis + 1 :]) for index in indices]


def _tells_kinds_apart(axis: int, indices: Sequence[list[int]], kinds: Sequence[object]) -> bool:
    """True if all images of a kind have the same index on this axis of the frames' dimensions."""
    along = [index[axis] for index in indices]
    return len(set(zip(kinds, along, strict=True))) == len(set(kinds))


def _is_product(points: Sequence[object], kinds: Sequence[object]) -> bool:
    """True if each of several points in time has an image of each kind."""
    n_points, n_kinds = len(set(points)), len(set(kinds))
    pairs = set(zip(points, kinds, strict=True))
    return None not in points and n_points > 1 and len(pairs) == len(points) == n_points * n_kinds


def notes_of(planes: Sequence[Plane]) -> tuple[str, ...]:
    """What a reader of the report should know about these images."""
    notes = []
    if any(str(plane.values.get("LossyImageCompression", "00")) == "01" for plane in planes):
        notes.append("Images were compressed with loss.")
    modality = planes[0].values.get("Modality", "missing")
    if modality != "MR":
        notes.append(f"The modality is {modality}, not MR.")
    if any(
        str(plane.values.get("PhotometricInterpretation", "")) == "MONOCHROME1" for plane in planes
    ):
        notes.append(
            "Images are meant to be shown inverted (MONOCHROME1): the stored numbers are taken "
            "as they are."
        )
    notes += _gaps(planes)
    return tuple(notes)


def _gaps(planes: Sequence[Plane]) -> list[str]:
    """Instance numbers that no image of a series has, series told apart by their numbers.

    Several series can also share one count.
    """
    numbers: dict[object, set[int]] = {}
    for plane in planes:
        number = plane.values.get("InstanceNumber")
        if plane.n_frames == 1 and isinstance(number, int):
            series = plane.values.get("SeriesNumber", plane.series)
            numbers.setdefault(series, set()).add(number)
    together = set[int]().union(*numbers.values())
    if len(together) == sum(map(len, numbers.values())) and not _gaps_in(together):
        return []
    return [
        f"The instance numbers of the series have {count} gaps: images may be missing."
        for count in map(_gaps_in, numbers.values())
        if count
    ]


def _gaps_in(numbers: set[int]) -> int:
    """How many numbers between the smallest and the largest one are missing."""
    if not numbers:
        return 0
    return max(numbers) - min(numbers) + 1 - len(numbers)


_TIMES = {  # in ms
    "RepetitionTime": ("RepetitionTime",),
    "EchoTime": ("EffectiveEchoTime", "EchoTime"),
    "InversionTime": ("InversionTime",),
}


def facts_of(planes: Sequence[Plane]) -> dict[str, object]:
    """What a sidecar would say of the series, in the words of BIDS; nothing of the patient.

    Times [s] and flip angles [deg] are numbers, or lists where the planes differ.
    """
    plane = planes[0]
    names = {
        "Manufacturer": "Manufacturer",
        "ManufacturersModelName": "ManufacturerModelName",
        "MagneticFieldStrength": "MagneticFieldStrength",
        "SeriesNumber": "SeriesNumber",
        "SeriesDescription": "SeriesDescription",
        "ProtocolName": "ProtocolName",
        "SeriesInstanceUID": "SeriesInstanceUID",
        "SequenceName": "SequenceName",
        "PulseSequenceName": "PulseSequenceName",
    }
    facts = {ours: plane.values[key] for ours, key in names.items() if key in plane.values}
    for ours, keys in _TIMES.items():
        facts |= _numbers_of(planes, ours, keys, 1e-3)
    return facts | _numbers_of(planes, "FlipAngle", ("FlipAngle",), 1.0)


def _numbers_of(
    planes: Sequence[Plane], name: str, keys: Sequence[str], factor: float
) -> dict[str, object]:
    """A number of all planes, under its name; a list of the different ones if there are several."""
    for key in keys:
        values = (plane.values.get(key) for plane in planes)
        numbers = sorted({value for value in values if isinstance(value, int | float)})
        if numbers:
            scaled = [round(value * factor, 9) for value in numbers]
            if len(scaled) == 1:
                return {name: scaled[0]}
            return {name: scaled}
    return {}


def _one_space(planes: Sequence[Plane]) -> None:
    first = planes[0].values.get("FrameOfReferenceUID")
    for plane in planes:
        if plane.values.get("FrameOfReferenceUID") != first:
            raise InputError(
                f"{plane.name}: its frame of reference is not that of {planes[0].name}, expected "
                f"one for the series"
            )
