"""Headers of ISMRMRD (MRD) raw data as RF sequences. Home of ismrmrd, with h5py to find the header.

The schema gives flipAngle_deg [deg], TR, TE and TI [ms] as lists, and neither RF phase nor
spoiling: S. J. Inati et al., Magn Reson Med 77:411 (2017), doi 10.1002/mrm.26089.
"""

from pathlib import Path
from typing import Any

import numpy as np

from mrftool.errors import InputError, MissingExtraError
from mrftool.formats.sequence.completion import Findings

MAX_HEADER = 20_000_000  # [bytes]


def mrd_findings(path: Path) -> Findings:
    """What an MRD header says. Raises InputError if there is none, MissingExtraError without
    ismrmrd.
    """
    header = _parse(_header_text(path), path)
    protocol = header.sequenceParameters
    if protocol is None:
        raise InputError(
            f"{path}: the header has no sequenceParameters, expected flipAngle_deg, TR and TE there"
        )
    flips = np.array(protocol.flipAngle_deg, float)
    unknown: dict[str, str] = {}
    columns: dict[str, Any] = {}
    if len(flips) > 1:
        columns["flip_angle"] = np.deg2rad(flips)
    else:
        unknown["flip_angle"] = (
            f"flipAngle_deg has {len(flips)} values, expected one for each repetition"
        )
    for key, values in (("tr", protocol.TR), ("te", protocol.TE)):
        if len(values) in (1, len(flips)):
            columns[key] = np.broadcast_to(np.array(values, float) * 1e-3, flips.shape)
        elif values:
            unknown[key] = (
                f"{key.upper()} has {len(values)} values, expected 1 or {len(flips)}; else give --{key}-ms"
            )
    inversion = _inversion(list(protocol.TI), unknown)
    return Findings(
        "ISMRMRD header",
        notes=tuple(_notes(header, len(flips))),
        unknown=unknown,
        **columns,
        **inversion,
    )


def _header_text(path: Path) -> bytes:
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "MRD files need h5py", hint="pip install 'mrftool[import]'"
        ) from error
    try:
        with h5py.File(path, "r") as file:
            groups = [
                key
                for key, group in file.items()
                if isinstance(group, h5py.Group) and "xml" in group
            ]
            if len(groups) != 1:
                raise InputError(f"{path}: {len(groups)} groups with a header, expected one")
            stored = file[groups[0]]["xml"]
            if not isinstance(stored, h5py.Dataset) or stored.size != 1:
                raise InputError(f"{path}: its header is not one text, expected ISMRMRD")
            text = stored[()] if stored.shape == () else stored[0]
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            f"{path}: cannot be read as HDF5: {reason}, expected ISMRMRD in HDF5"
        ) from error
    encoded = text if isinstance(text, bytes) else str(text).encode()
    if len(encoded) > MAX_HEADER:
        raise InputError(f"{path}: a header of {len(encoded)} bytes, expected at most {MAX_HEADER}")
    return encoded


def _parse(text: bytes, path: Path) -> Any:
    """The header as ismrmrd's schema has it. Document types are refused: they may refer to other
    files.
    """
    try:
        from ismrmrd.xsd import ismrmrdHeader
        from xsdata.formats.dataclass.parsers import XmlParser
        from xsdata.formats.dataclass.parsers.config import ParserConfig
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "MRD headers need ismrmrd", hint="pip install 'mrftool[import]'"
        ) from error
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise InputError(f"{path}: its header declares a document type, expected plain XML")
    try:
        return XmlParser(
            config=ParserConfig(fail_on_unknown_properties=False, fail_on_converter_warnings=True)
        ).from_bytes(text, ismrmrdHeader)
    except Exception as error:  # parsers, converters and constructors each have their own
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            f"{path}: its header cannot be read: {reason}, expected the ISMRMRD schema"
        ) from error


def _inversion(times: list[float], unknown: dict[str, str]) -> dict[str, Any]:
    """An inversion, if the header has one TI above 0. Several, or 0, may mean anything."""
    positive = [time for time in times if time > 0]
    if len(times) == 1 and positive:
        return {"has_inversion": True, "inversion_time": positive[0] * 1e-3}
    if times:
        shown = ", ".join(f"{time:g}" for time in times[:5])
        unknown["inversion"] = (
            f"TI is {shown} ms; expected --no-inversion, or --ti-ms and --inversion-efficiency"
        )
    return {}


def _notes(header: Any, n: int) -> list[str]:
    notes = ["flip angles, TR, TE and TI are those of the header's sequenceParameters"]
    kinds = ("userParameterLong", "userParameterDouble", "userParameterString")
    groups = [getattr(header.userParameters, kind, None) or [] for kind in kinds]
    names = [parameter.name for group in groups for parameter in group]
    if names:
        notes.append(f"user parameters that are not used: {', '.join(names)}")
    for encoding in header.encoding or []:
        limits = getattr(encoding, "encodingLimits", None)
        for kind in ("repetition", "contrast", "set"):
            limit = getattr(limits, kind, None)
            if limit is not None and limit.maximum and limit.maximum + 1 != n:
                notes.append(
                    f"the header counts {limit.maximum + 1} in {kind}, and has {n} flip angles"
                )
    return notes
