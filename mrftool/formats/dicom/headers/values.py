"""Values of a data set that pydicom parsed, in Python's own types; those of each frame where it has
several.
"""

import struct
from collections.abc import Iterator
from typing import Any

import pydicom
from pydicom.dataset import Dataset

from mrftool.formats.dicom.headers.keywords import (
    BLOCKS,
    EITHER_SIGN,
    GROUPS,
    LISTS,
    PRIVATE,
    Values,
    is_block_of,
)

_INTERCEPT = "RealWorldValueIntercept"
_CSA = (0x0029, 0x10, "SIEMENS CSA HEADER")  # Siemens' own header
_PHILIPS_FRAME = (0x2005, 0x140F)  # Philips writes the classic private elements of a frame in here
_SPATIAL = {
    0x00200032,
    0x00200037,
    0x00209056,
    0x00209057,
    0x00089208,
}  # not time: position, stack, component


def frames_of(dataset: Dataset) -> Iterator[Values]:
    """Values of each frame of an enhanced image; nothing for a classic one."""
    shared = dataset.get("SharedFunctionalGroupsSequence") or [Dataset()]
    common = _from_groups(shared[0])
    axes = [int(item.DimensionIndexPointer) for item in dataset.get("DimensionIndexSequence") or []]
    for item in dataset.get("PerFrameFunctionalGroupsSequence") or []:
        values = common | _from_groups(item)
        times = _times_of(values.pop("DimensionIndexValues", None), axes)
        if times:
            values["DimensionIndexValues"] = times
        yield values


def _times_of(index: Any, axes: list[int]) -> list[Any]:
    """The indices of a frame along the dimensions that are not spatial."""
    if not isinstance(index, list) or len(index) != len(axes):
        return []
    return [n for n, pointer in zip(index, axes, strict=True) if pointer not in _SPATIAL]


def _from_groups(item: Dataset) -> Values:
    values: Values = real_world_of(item)
    for name, keywords in GROUPS.items():
        group = item.get(name)
        if group:
            values |= flat(group[0], keywords)
    philips = item.get(_PHILIPS_FRAME)
    if philips is not None and philips.VR == "SQ" and len(philips.value):
        values |= private_of(philips.value[0])
    return values


def flat(dataset: Dataset, keywords: tuple[str, ...]) -> Values:
    """The attributes that are there and make sense."""
    found = ((keyword, _plain(dataset, keyword)) for keyword in keywords if keyword in dataset)
    good = (
        (keyword, value)
        for keyword, value in found
        if keyword in LISTS or not isinstance(value, list)
    )
    return {keyword: value for keyword, value in good if value is not None}


def _plain(dataset: Dataset, key: Any) -> Any:
    """A value in Python's own types; None if it is empty or does not convert."""
    try:
        value = dataset[key].value
    except Exception:  # an attribute that makes no sense counts as absent
        return None
    if value is None or value == "":
        return None
    if key in EITHER_SIGN:
        return _without_sign(value)
    if isinstance(value, pydicom.multival.MultiValue | list):
        return [_scalar(one) for one in value] or None
    return _scalar(value)


def _without_sign(value: Any) -> int | None:
    """16 bits as a number from 0; None for anything else."""
    if isinstance(value, bytes) and len(value) == 2:
        return int.from_bytes(value, "little")
    if isinstance(value, int):
        return value & 0xFFFF
    return None


def _scalar(value: Any) -> Any:
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    return str(value)


def private_of(dataset: Dataset) -> Values:
    """Private elements of vendors, under our names."""
    values: Values = {}
    for name, (group, low, creator, form) in PRIVATE.items():
        value = _private(dataset, group, low, creator)
        if isinstance(value, bytes) and len(value) == struct.calcsize(form):
            value = struct.unpack(form, value)[0]
        if isinstance(value, int | float):
            values[name] = _scalar(value)
    return values


def _private(dataset: Dataset, group: int, low: int, creator: str) -> Any:
    """The value of a private element, in whichever block its creator has; None if it is not
    there.
    """
    for block in BLOCKS:
        found = ""
        if (group, block) in dataset:
            found = str(dataset[group, block].value).strip()
        tag = (group, block << 8 | low)
        if tag in dataset and is_block_of(creator, found, group, block):
            return dataset[tag].value
    return None


def mosaic_of(dataset: Dataset, values: Values) -> Values:
    """How many tiles a Siemens mosaic has, and the direction across them; nothing for others."""
    data = _private(dataset, *_CSA)
    is_mosaic = values.get("MosaicTiles", 0) > 1 or "MOSAIC" in values.get("ImageType", ())
    if not is_mosaic or not isinstance(data, bytes):
        return {}
    found: Values = {"SliceNormal": _csa_numbers(data, "SliceNormalVector")}
    count = _csa_numbers(data, "NumberOfImagesInMosaic")
    if "MosaicTiles" not in values and count:
        found["MosaicTiles"] = int(count[0])
    return found


def real_world_of(dataset: Dataset) -> Values:
    """Each item of a Real World Value Mapping as [slope, intercept, unit]; the slope is None for a
    lookup table.
    """
    items = []
    for item in dataset.get("RealWorldValueMappingSequence") or []:
        slope, intercept = _plain(item, "RealWorldValueSlope"), _plain(item, _INTERCEPT) or 0.0
        unit = ""
        units = item.get("MeasurementUnitsCodeSequence")
        if units:
            unit = str(units[0].get("CodeValue", ""))
        items.append([slope, intercept, unit])
    if not items:
        return {}
    return {"RealWorld": items}


def _csa_numbers(data: bytes, wanted: str) -> list[float]:
    """The numbers of one tag of a Siemens CSA header in its second form (SV10); none if it is not
    there.

    After 16 bytes of head, each tag: name (64 bytes), multiplicity, VR (4 bytes), a number, item
    count, a mark;
    each item: four numbers, of which the second is its length, and its text, padded to four bytes.
    """
    if data[:4] != b"SV10" or len(data) < 16:
        return []
    (n_tags,) = struct.unpack_from("<I", data, 8)
    place = 16
    for _ in range(min(n_tags, 128)):
        name, _, _, _, n_items, _ = struct.unpack_from("<64si4siii", data, place)
        place += 84
        texts = []
        for _ in range(min(max(n_items, 0), 1024)):
            (_, length, _, _) = struct.unpack_from("<4i", data, place)
            texts.append(data[place + 16 : place + 16 + max(length, 0)])
            place += 16 + (max(length, 0) + 3) // 4 * 4
        if name.split(b"\0")[0].decode("latin-1") == wanted:
            return [float(text.split(b"\0")[0]) for text in texts if text.split(b"\0")[0].strip()]
    return []
