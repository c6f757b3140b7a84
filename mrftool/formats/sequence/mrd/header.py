"""Headers of ISMRMRD (MRD) raw data as RF sequences.

The schema gives flipAngle_deg [deg], TR, TE and TI [ms] as lists, and neither RF phase nor
spoiling: S. J. Inati et al., Magn Reson Med 77:411 (2017), doi 10.1002/mrm.26089. Only these
elements are read: whether the rest follows the schema does not matter here.
"""

import importlib.util
import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.environment.extras import install_hint
from mrftool.errors import InputError, MissingExtraError
from mrftool.formats.apart import one_line, read_apart
from mrftool.formats.sequence.sources import Fault, Findings

MAX_VALUES = 1_000_000  # of one list
_READER = "mrftool.formats.sequence.mrd.text"
_LISTS = ("flipAngle_deg", "TR", "TE", "TI")


def mrd_findings(path: Path) -> Findings:
    """What the header of an MRD file says.

    Raises
    ------
    InputError
        If the file has no readable header with sequence parameters.
    MissingExtraError
        Without the package h5py.
    """
    header = parse_header(read_header_text(path), path)
    protocol = header.find("sequenceParameters")
    if protocol is None:
        raise InputError(
            f"{path}: the header has no sequenceParameters, expected flipAngle_deg, TR and TE there"
        )
    lists = {name: _numbers(protocol, name, path) for name in _LISTS}
    flips = np.array(lists["flipAngle_deg"], float)
    columns: dict[str, Any] = {}
    unknown: dict[str, Fault] = {}
    if len(flips) > 1:
        columns["flip_angle"] = np.deg2rad(flips)
    else:
        unknown["flip_angle"] = Fault(
            f"flipAngle_deg has {len(flips)} values, expected one for each repetition"
        )
    for key, values in (("tr", lists["TR"]), ("te", lists["TE"])):
        if len(values) in (1, len(flips)):
            columns[key] = _seconds(values, len(flips))
        elif values:
            text = f"{key.upper()} has {len(values)} values, expected 1 or {len(flips)}"
            unknown[key] = Fault(text, (key,))
    columns |= _inversion(lists["TI"], unknown)
    notes = tuple(_notes(header, len(flips)))
    return Findings("ISMRMRD header", notes=notes, unknown=unknown, **columns)


def _seconds(milliseconds: list[float], n: int) -> FloatArray:
    return np.broadcast_to(np.array(milliseconds, float) * 1e-3, (n,))


def read_header_text(path: Path) -> bytes:
    """The XML text of the header."""
    if importlib.util.find_spec("h5py") is None:
        raise MissingExtraError("MRD files need h5py", hint=install_hint("import"))
    return read_apart(_READER, path, "an ISMRMRD file in HDF5 with one header")


def parse_header(text: bytes, path: Path) -> ElementTree.Element:
    """The header's elements, without namespaces. Document types could name other files."""
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise InputError(f"{path}: its header declares a document type, expected plain XML")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  no entities, as no document type
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError(
            f"{path}: its header cannot be read: {one_line(error)}, expected the ISMRMRD schema"
        ) from error
    for element in root.iter():
        element.tag = str(element.tag).rpartition("}")[2]
    return root


def _numbers(protocol: ElementTree.Element, name: str, path: Path) -> list[float]:
    """The finite numbers of all elements of a name."""
    texts = [(element.text or "").strip() for element in protocol.findall(name)]
    if len(texts) > MAX_VALUES:
        raise InputError(f"{path}: {len(texts)} values of {name}, expected at most {MAX_VALUES}")
    try:
        values = [float(text) for text in texts]
    except ValueError as error:
        raise InputError(
            f"{path}: its header cannot be read: {name}: {one_line(error)}, expected numbers"
        ) from error
    if not all(math.isfinite(value) for value in values):
        raise InputError(f"{path}: {name} is not finite in its header, expected finite numbers")
    return values


def _inversion(times: list[float], unknown: dict[str, Fault]) -> dict[str, Any]:
    """An inversion, if the header has one TI above 0. Several, or 0, may mean anything."""
    if len(times) == 1 and times[0] > 0:
        return {"has_inversion": True, "inversion_time": times[0] * 1e-3}
    if times:
        shown = ", ".join(f"{time:g}" for time in times[:5])
        unknown["inversion"] = Fault(
            f"TI is {shown} ms, expected one above 0 with the pulse's efficiency, or no inversion",
            ("inversion",),
        )
    return {}


def _notes(header: ElementTree.Element, n: int) -> list[str]:
    notes = ["flip angles, TR, TE and TI are those of the header's sequenceParameters"]
    names = [
        name.text or ""
        for parameters in header.findall("userParameters")
        for name in parameters.findall("*/name")
    ]
    if names:
        notes.append(f"user parameters that are not used: {', '.join(names)}")
    for limits in header.findall("encoding/encodingLimits"):
        for kind in ("repetition", "contrast", "set"):
            count = _count(limits.findtext(f"{kind}/maximum", ""))
            if count not in (1, n):
                notes.append(f"the header counts {count} in {kind}, and has {n} flip angles")
    return notes


def _count(maximum: str) -> int:
    """Number of items whose largest index is `maximum`; 1 where the text is no index."""
    if not maximum.strip().isdecimal() or len(maximum) > 12:
        return 1
    return int(maximum) + 1
