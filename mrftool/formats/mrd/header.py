"""What the header of an MRD file says of a raw-data scan, and headers for files of our own.

Source: S. J. Inati et al., Magn Reson Med 77:411 (2017), doi 10.1002/mrm.26089. Home of ismrmrd.
"""

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args
from xml.etree.ElementTree import Element

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.environment.extras import install_hint
from mrftool.errors import InputError, MissingExtraError
from mrftool.formats.json_text import fault_in_words
from mrftool.formats.sequence.mrd.header import parse_header, read_header_text

Unit = Literal["1/FOV", "1/m", "cycles/pixel", "rad/pixel"]

_MOST_PIXELS = 4096
_LARGEST_FIELD = 1e5  # [mm]
_PREFIX = "mrftool_"  # of the user parameters that are ours
_READ = ("sequence", "sequence_id", "trajectory_unit")  # those with a meaning of their own here


@dataclass(frozen=True, eq=False)
class RawHeader:
    """Facts of a scan.

    matrix: of the image `(x, y, z)`; z > 1 for three-dimensional encoding. field_of_view: its edges
    [mm]. n_slices: separate slices.
    sequence: what `sequence_to_dict` made of it, where mrftool wrote the file; sequence_id: its
    digest. flip_angle: of each repetition [rad], where the header lists them. unit: of the
    trajectory, where mrftool wrote the file. protocol: what the header states of TR, TE and TI [s]
    and flip angles [deg], under the names of BIDS. others: more texts of ours, by name.
    """

    matrix: tuple[int, int, int]
    field_of_view: tuple[float, float, float]
    n_slices: int = 1
    sequence: Mapping[str, Any] | None = None
    sequence_id: str | None = None
    flip_angle: FloatArray | None = None
    unit: Unit | None = None
    protocol: Mapping[str, list[float]] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)


def read_raw_header(path: Path) -> RawHeader:
    """The header of the MRD file `path`.

    Raises
    ------
    InputError
        If there is none, or it names no image.
    MissingExtraError
        Without ismrmrd or h5py.
    """
    header = parse_header(read_header_text(path), path)
    space = header.find("encoding/reconSpace")
    if space is None:
        raise InputError(f"{path}: its header has no encoding, expected one with an image size")
    ours = _user_parameters(header)
    return RawHeader(
        _matrix(space, path),
        _field_of_view(space, path),
        _n_slices(header, path),
        _sequence(ours.get("sequence"), path),
        ours.get("sequence_id"),
        _flip_angles(header),
        _unit(ours.get("trajectory_unit"), path),
        protocol_of(header),
        {name: value for name, value in ours.items() if name not in _READ},
    )


def _matrix(space: Element, path: Path) -> tuple[int, int, int]:
    x, y, z = (int(_number(space, f"matrixSize/{axis}", path)) for axis in "xyz")
    if not all(1 <= n <= _MOST_PIXELS for n in (x, y, z)):
        raise InputError(f"{path}: an image of {(x, y, z)} pixels, expected 1 to {_MOST_PIXELS}")
    return x, y, z


def _field_of_view(space: Element, path: Path) -> tuple[float, float, float]:
    """Edges of the image [mm]."""
    x, y, z = (_number(space, f"fieldOfView_mm/{axis}", path) for axis in "xyz")
    if not all(0 < edge < _LARGEST_FIELD for edge in (x, y, z)):
        raise InputError(f"{path}: a field of view of {(x, y, z)} mm, expected positive lengths")
    return x, y, z


def _n_slices(header: Element, path: Path) -> int:
    if header.find("encoding/encodingLimits/slice") is None:
        return 1
    n_slices = int(_number(header, "encoding/encodingLimits/slice/maximum", path)) + 1
    if not 1 <= n_slices <= _MOST_PIXELS:
        raise InputError(f"{path}: {n_slices} slices, expected 1 to {_MOST_PIXELS}")
    return n_slices


def header_xml(header: RawHeader, larmor_hz: int = 123_200_000) -> str:
    """The XML of a header.

    Parameters
    ----------
    header : RawHeader
        What the file shall say of the scan.
    larmor_hz : int
        Frequency of protons in the magnet [Hz].
    """
    xsd = _schema()
    conditions = xsd.experimentalConditionsType(H1resonanceFrequency_Hz=larmor_hz)
    strings = [
        xsd.userParameterStringType(name=f"{_PREFIX}{name}", value=value)
        for name, value in _our_texts(header).items()
    ]
    content = xsd.ismrmrdHeader(
        experimentalConditions=conditions,
        encoding=[_encoding(header, xsd)],
        userParameters=xsd.userParametersType(userParameterString=strings),
    )
    if header.flip_angle is not None:
        degrees = np.rad2deg(header.flip_angle).tolist()
        content.sequenceParameters = xsd.sequenceParametersType(flipAngle_deg=degrees)
    return str(xsd.ToXML(content))


def _encoding(header: RawHeader, xsd: Any) -> Any:
    """Size, slices and trajectory."""
    space = xsd.encodingSpaceType(
        matrixSize=xsd.matrixSizeType(**_along_axes(header.matrix)),
        fieldOfView_mm=xsd.fieldOfViewMm(**_along_axes(header.field_of_view)),
    )
    limits = xsd.encodingLimitsType(
        slice=xsd.limitType(minimum=0, maximum=header.n_slices - 1, center=header.n_slices // 2)
    )
    return xsd.encodingType(
        encodedSpace=space,
        reconSpace=space,
        encodingLimits=limits,
        trajectory=xsd.trajectoryType.SPIRAL,
    )


def _our_texts(header: RawHeader) -> dict[str, str]:
    """User parameters of ours, by name without prefix."""
    texts = dict(header.others)
    if header.sequence is not None:
        texts["sequence"] = json.dumps(header.sequence)
    if header.sequence_id is not None:
        texts["sequence_id"] = header.sequence_id
    if header.unit is not None:
        texts["trajectory_unit"] = header.unit
    return texts


def _along_axes(values: tuple[float, ...]) -> dict[str, float]:
    return dict(zip("xyz", values, strict=True))


def _schema() -> Any:
    try:
        from ismrmrd import xsd
    except ModuleNotFoundError as error:
        raise MissingExtraError("MRD raw data need ismrmrd", hint=install_hint("recon")) from error
    return xsd


def _number(element: Element, path: str, name: Path) -> float:
    """A finite number that the header must have."""
    text = element.findtext(path, "")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{name}: {path} is {text!r} in its header, expected a number")
    return value


def _user_parameters(header: Element) -> dict[str, str]:
    """Texts that mrftool left in a header, by name without prefix."""
    texts = header.findall("userParameters/userParameterString")
    named = {text.findtext("name", ""): text.findtext("value", "") for text in texts}
    return {
        name.removeprefix(_PREFIX): value
        for name, value in named.items()
        if name.startswith(_PREFIX)
    }


def _sequence(text: str | None, path: Path) -> Mapping[str, Any] | None:
    if text is None:
        return None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        fault = fault_in_words(error)
        raise InputError(f"{path}: the sequence in its header is no JSON: {fault}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: the sequence in its header is no JSON object")
    return content


def _unit(text: str | None, path: Path) -> Unit | None:
    if text is None:
        return None
    for unit in get_args(Unit):
        if text == unit:
            return unit  # type: ignore[no-any-return]
    raise InputError(
        f"{path}: a trajectory in {text!r}, expected one of {', '.join(get_args(Unit))}"
    )


_PROTOCOL = {  # element, its name in BIDS, and its unit in that of BIDS
    "TR": ("RepetitionTimeExcitation", 1e-3),
    "TE": ("EchoTime", 1e-3),
    "TI": ("InversionTime", 1e-3),
    "flipAngle_deg": ("FlipAngle", 1.0),
}


def protocol_of(header: Element) -> dict[str, list[float]]:
    """What a header states of TR, TE and TI [s] and flip angles [deg], under the names of BIDS.

    Texts that are no numbers state nothing.
    """
    found: dict[str, list[float]] = {}
    for element, (name, factor) in _PROTOCOL.items():
        values = []
        for item in header.findall(f"sequenceParameters/{element}"):
            with suppress(ValueError):
                values.append(float(item.text or "") * factor)
        if values:
            found[name] = values
    return found


def _flip_angles(header: Element) -> FloatArray | None:
    listed = [item.text or "" for item in header.findall("sequenceParameters/flipAngle_deg")]
    try:
        degrees = np.array([float(text) for text in listed])
    except ValueError:
        return None
    if len(degrees) < 2:
        return None
    return np.asarray(np.deg2rad(degrees))
