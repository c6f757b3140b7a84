"""The XML header in an ISMRMRD file (HDF5), printed by a process of its own. Home of h5py for
headers.

HDF5 is a large format: damaged files can keep its library busy for ever.
"""

from pathlib import Path
from typing import Any

from mrftool.formats.apart import answer

MAX_HEADER = 20_000_000  # [bytes]


def header_text(path: Path) -> bytes:
    """The XML text of the header. Raises whatever h5py raises."""
    import h5py

    with h5py.File(path, "r") as file:
        text = _stored_text(file)
    if len(text) > MAX_HEADER:
        raise ValueError(f"a header of {len(text)} bytes, which is more than {MAX_HEADER}")
    return text


def _stored_text(file: Any) -> bytes:
    """The dataset `xml` of the only group that has one."""
    groups = [group for group in file.values() if hasattr(group, "keys") and "xml" in group]
    if len(groups) != 1:
        raise ValueError(f"{len(groups)} groups with a header")
    stored = groups[0]["xml"]
    if getattr(stored, "size", None) != 1:
        raise ValueError("its header is not one text")
    text = stored[()]
    if stored.shape != ():
        text = text.reshape(-1)[0]
    if isinstance(text, bytes):
        return text
    return str(text).encode()


if __name__ == "__main__":
    answer(header_text)
