"""Siemens' own header (CSA) in DICOM files: just enough of it to find a tag by name."""

import struct


def csa_numbers(data: bytes, wanted: str) -> list[float]:
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
