"""Headers of ISMRMRD (MRD) raw data as RF sequences. Home of ismrmrd and of h5py for headers.

The schema gives flipAngle_deg [deg], TR, TE and TI [ms] as lists, and neither RF phase nor
spoiling: S. J. Inati et al., Magn Reson Med 77:411 (2017), doi 10.1002/mrm.26089.
"""

from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.errors import InputError, MissingExtraError
from mrftool.formats.sequence.sources import Fault, Findings

MAX_HEADER = 20_000_000  # [bytes]
_INSTALL = "pip install 'mrftool[import]'"
_LONGEST_REASON = 120


def mrd_findings(path: Path) -> Findings:
    """What the header of an MRD file says.

    Raises
    ------
    InputError
        If the file has no readable header with sequence parameters.
    MissingExtraError
        Without the packages ismrmrd and h5py.
    """
    header = _parse_header(_header_text(path), path)
    protocol = header.sequenceParameters
    if protocol is None:
        raise InputError(
            f"{path}: the header has no sequenceParameters, expected flipAngle_deg, TR and TE there"
        )
    flips = np.array(protocol.flipAngle_deg, float)
    columns: dict[str, Any] = {}
    unknown: dict[str, Fault] = {}
    if len(flips) > 1:
        columns["flip_angle"] = np.deg2rad(flips)
    else:
        unknown["flip_angle"] = Fault(
            f"flipAngle_deg has {len(flips)} values, expected one for each repetition"
        )
    for key, values in (("tr", protocol.TR), ("te", protocol.TE)):
        if len(values) in (1, len(flips)):
            columns[key] = _seconds(values, len(flips))
        elif values:
            text = f"{key.upper()} has {len(values)} values, expected 1 or {len(flips)}"
            unknown[key] = Fault(text, (key,))
    columns |= _inversion(list(protocol.TI), unknown)
    notes = tuple(_notes(header, len(flips)))
    return Findings("ISMRMRD header", notes=notes, unknown=unknown, **columns)


def _seconds(milliseconds: list[float], n: int) -> FloatArray:
    return np.broadcast_to(np.array(milliseconds, float) * 1e-3, (n,))


def _header_text(path: Path) -> bytes:
    """The XML text of the header."""
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise MissingExtraError("MRD files need h5py", hint=_INSTALL) from error
    try:
        with h5py.File(path, "r") as file:
            text = _stored_text(file, path)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"{path}: cannot be read as HDF5: {_reason(error)}, expected ISMRMRD in HDF5"
        ) from error
    if len(text) > MAX_HEADER:
        raise InputError(f"{path}: a header of {len(text)} bytes, expected at most {MAX_HEADER}")
    return text


def _stored_text(file: Any, path: Path) -> bytes:
    """The dataset `xml` of the only group that has one."""
    groups = [group for group in file.values() if hasattr(group, "keys") and "xml" in group]
    if len(groups) != 1:
        raise InputError(f"{path}: {len(groups)} groups with a header, expected one")
    stored = groups[0]["xml"]
    if getattr(stored, "size", None) != 1:
        raise InputError(f"{path}: its header is not one text, expected ISMRMRD")
    text = stored[()]
    if stored.shape != ():
        text = text[0]
    if isinstance(text, bytes):
        return text
    return str(text).encode()


def _parse_header(text: bytes, path: Path) -> Any:
    """The header as an object of ismrmrd. Document types are refused: they can name other files."""
    try:
        from ismrmrd.xsd import ismrmrdHeader
        from xsdata.formats.dataclass.parsers import XmlParser
        from xsdata.formats.dataclass.parsers.config import ParserConfig
    except ModuleNotFoundError as error:
        raise MissingExtraError("MRD headers need ismrmrd", hint=_INSTALL) from error
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise InputError(f"{path}: its header declares a document type, expected plain XML")
    strict = ParserConfig(fail_on_unknown_properties=False, fail_on_converter_warnings=True)
    try:
        return XmlParser(config=strict).from_bytes(text, ismrmrdHeader)
    except Exception as error:  # parsers, converters and constructors each have their own
        raise InputError(
            f"{path}: its header cannot be read: {_reason(error)}, expected the ISMRMRD schema"
        ) from error


def _reason(error: Exception) -> str:
    """What a foreign library said, in one short line."""
    return " ".join(str(error).split())[:_LONGEST_REASON]


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


def _notes(header: Any, n: int) -> list[str]:
    notes = ["flip angles, TR, TE and TI are those of the header's sequenceParameters"]
    names = _user_parameters(header)
    if names:
        notes.append(f"user parameters that are not used: {', '.join(names)}")
    for encoding in header.encoding or []:
        limits = getattr(encoding, "encodingLimits", None)
        for kind in ("repetition", "contrast", "set"):
            limit = getattr(limits, kind, None)
            if limit is not None and limit.maximum and limit.maximum + 1 != n:
                count = limit.maximum + 1
                notes.append(f"the header counts {count} in {kind}, and has {n} flip angles")
    return notes


def _user_parameters(header: Any) -> list[str]:
    kinds = ("userParameterLong", "userParameterDouble", "userParameterString")
    groups = [getattr(header.userParameters, kind, None) or [] for kind in kinds]
    return [parameter.name for group in groups for parameter in group]
