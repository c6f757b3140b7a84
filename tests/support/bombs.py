"""Small files that would fill the memory: of zeros, compressed, or of holes."""

import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import nibabel
import numpy as np

BYTES = 1 << 32  # what each file claims, or holds
_BLOCK = 1 << 24


@cache
def deflated_zeros(n_bytes: int = BYTES) -> bytes:
    """A raw deflate stream of zeros that can follow another one; it does not end."""
    stream = zlib.compressobj(1, zlib.DEFLATED, -15)
    block = stream.compress(bytes(_BLOCK)) + stream.flush(zlib.Z_FULL_FLUSH)
    return block * (n_bytes // _BLOCK)


def deflated(head: bytes) -> bytes:
    """A raw deflate stream of some bytes and then zeros."""
    stream = zlib.compressobj(1, zlib.DEFLATED, -15)
    start = stream.compress(head) + stream.flush(zlib.Z_FULL_FLUSH)
    return start + deflated_zeros() + b"\3\0"


def nifti_header(shape: tuple[int, ...], dtype: str) -> bytes:
    header = nibabel.Nifti1Header()
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    header["magic"], header["vox_offset"] = b"n+1", 352
    header.set_sform(np.eye(4), 1)
    return header.binaryblock + bytes(4)


def nii_gz(path: Path) -> None:
    """An image of 4 GB."""
    _gzip(path, nifti_header((1024, 1024, 1024), "<f4"))


def series_gz(path: Path) -> None:
    """A complex series of 5 GB."""
    _gzip(path, nifti_header((512, 512, 64, 40), "<c8"))


def _gzip(path: Path, head: bytes) -> None:
    path.write_bytes(b"\x1f\x8b\x08" + bytes(7) + deflated(head) + bytes(8))


def nii_holes(path: Path) -> None:
    """A complex series with holes."""
    _holes(path, nifti_header((512, 512, 512, 4), "<c8"))


def text_holes(path: Path) -> None:
    _holes(path, b"1\n")


def npy_holes(path: Path) -> None:
    """A matrix of (time, 3) with holes."""
    _holes(path, _npy_header((BYTES // 24, 3), "<f8"))


def cfl_holes(path: Path) -> None:
    path.with_suffix(".hdr").write_text("# Dimensions\n1024 1024 512 1 1 1 1\n")
    _holes(path, b"", BYTES)


def _holes(path: Path, head: bytes, size: int = BYTES + 4096) -> None:
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)


def _npy_header(shape: tuple[int, ...], descr: str) -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode()


def npz(path: Path) -> None:
    """Every array of a dictionary, of 4 GB."""
    header = _npy_header((1 << 26, 8), "<c8")
    names = ("t1", "t2", "signal", "sequence_id", "sequence_json")
    _zip(path, {f"{name}.npy": header for name in names})


def zip_of_dicom(path: Path) -> None:
    _zip(path, {f"{k}.dcm": bytes(128) + b"DICM" for k in range(3)})


def _zip(path: Path, members: dict[str, bytes]) -> None:
    """An archive whose members hold some bytes and then zeros; their checksums are not right."""
    content, directory = b"", b""
    for name, head in members.items():
        data = deflated(head)
        size = min(BYTES + len(head) - len(head), 2**32 - 2)
        numbers = struct.pack("<HHHHHIII", 20, 0, 8, 0, 33, 0, len(data), size)
        place = struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, len(content))
        directory += b"PK\1\2\24\0" + numbers + place + name.encode()
        content += b"PK\3\4" + numbers + struct.pack("<HH", len(name), 0) + name.encode() + data
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(content), 0)
    path.write_bytes(content + directory + b"PK\5\6" + end)


def mat_5(path: Path) -> None:
    """A compressed variable of 2**15 x 2**13 doubles, as `savemat` writes it."""
    n_bytes = 1 << 31
    flags = struct.pack("<II", 6, 8) + struct.pack("<II", 6, 0)
    sizes = struct.pack("<IIii", 5, 8, 1 << 15, 1 << 13)
    head = flags + sizes + struct.pack("<HH4s", 1, 1, b"x") + struct.pack("<II", 9, n_bytes)
    data = b"\x78\1" + deflated(struct.pack("<II", 14, len(head) + n_bytes) + head) + bytes(4)
    start = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<HH", 0x100, 0x4D49)
    path.write_bytes(start + struct.pack("<II", 15, len(data)) + data)


def mat_73(path: Path) -> None:
    """A variable of 4 GB in compressed chunks."""
    import h5py

    with h5py.File(path, "w", userblock_size=512) as file:
        _chunks(file, "x", (BYTES // _BLOCK, _BLOCK // 8), "<f8")


def mrd_images(path: Path) -> None:
    """An MRD file whose header is a text of 4 GB in compressed chunks."""
    import h5py

    with h5py.File(path, "w") as file:
        _chunks(file, "dataset/xml", (1,), f"S{_BLOCK}")
        _chunks(file, "dataset/image_1/data", (BYTES // _BLOCK, _BLOCK // 4), "<f4")
        _chunks(file, "dataset/image_1/header", (BYTES // _BLOCK, _BLOCK // 4), "<f4")


def _chunks(file: object, name: str, shape: tuple[int, ...], dtype: str) -> None:
    """A dataset of zeros, one compressed chunk a row."""
    chunk = zlib.compress(bytes(_BLOCK), 1)
    options = {"chunks": (1, *shape[1:]), "compression": "gzip"}
    data = file.create_dataset(name, shape, dtype, **options)  # type: ignore[attr-defined]
    for row in range(shape[0]):
        data.id.write_direct_chunk((row, *[0] * (len(shape) - 1)), chunk)


def deflated_dicom(path: Path) -> None:
    """A deflated data set with pixels of 4 GB."""
    import io

    import pydicom
    from dicom_factory import Scan, write_classic

    (source,) = write_classic(path.with_suffix(""), Scan(np.ones((8, 6, 1, 1), np.float32)))
    dataset = pydicom.dcmread(source)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    del dataset.PixelData
    stream = io.BytesIO()
    dataset.save_as(stream)
    content = stream.getvalue()
    length = 12 + 132 + int.from_bytes(content[140:144], "little")
    stream = io.BytesIO()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.save_as(stream)
    meta_length = 144 + int.from_bytes(stream.getvalue()[140:144], "little")
    pixels = struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OW", 0, BYTES - _BLOCK)
    path.write_bytes(stream.getvalue()[:meta_length] + deflated(content[length:] + pixels))
    source.unlink()


BOMBS: dict[str, Callable[[Path], None]] = {
    "image.nii.gz": nii_gz,
    "series.nii.gz": series_gz,
    "holes.nii": nii_holes,
    "holes.npy": npy_holes,
    "holes.cfl": cfl_holes,
    "arrays.npz": npz,
    "five.mat": mat_5,
    "chunks.mat": mat_73,
    "images.h5": mrd_images,
    "pixels.dcm": deflated_dicom,
    "files.zip": zip_of_dicom,
    **{f"text.{ending}": text_holes for ending in ("csv", "seq", "txt", "yaml", "json", "onnx")},
}
