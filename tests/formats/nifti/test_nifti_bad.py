"""Files that cannot be read: one clean line for each, no warning, nothing left behind."""

import gzip
import os
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nifti_bytes import nifti, pack

from mrftool.errors import InputError, MrftoolError
from mrftool.formats.nifti import maps
from mrftool.formats.nifti.maps import read_volume
from mrftool.formats.nifti.read import open_series

IMAGE = np.random.default_rng(1).random((3, 4, 5, 6)).astype("f4")


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path, monkeypatch):
    """Files are inflated here; it must be empty afterwards."""
    place = tmp_path / "tmpdir"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    yield place
    assert list(place.iterdir()) == []


SCAN = SimpleNamespace(shape=(2, 2, 2))


def open_mask_like(path):
    return maps.open_mask(path, SCAN)


def open_b1_like(path):
    return maps.open_b1(path, SCAN)


def refused(path, content, match):
    path.write_bytes(content)
    with pytest.raises(InputError, match=match) as caught:
        list(open_series(path).blocks())
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"dim": [0] * 8}, "0 dimensions"),
        ({"dim": [8, *[1] * 7]}, "8 dimensions"),
        ({"dim": [-3, *[1] * 7]}, "-3 dimensions"),
        ({"dim": [4, 3, 0, 5, 6, 1, 1, 1]}, "dimension 2 has size 0"),
        ({"dim": [4, 3, 4, 5, -6, 1, 1, 1]}, "dimension 4 has size -6"),
        (
            {"dim": [4, 32767, 32767, 32767, 32767, 1, 1, 1]},
            r"is cut short, its header claims 4\d{18} bytes",
        ),
        ({"dim": [2, 3, 4, 1, 1, 1, 1, 1]}, "3 x 4 x 1 voxels at one time"),
        ({"dim": [6, 3, 4, 5, 2, 3, 1, 1]}, "dimensions 3 x 4 x 5 x 2 x 3"),
        ({"dim": [5, 3, 4, 5, 1, 6, 1, 1], "intent_code": 1007}, "intent 1007"),
        ({"datatype": 128}, "RGB"),
        ({"datatype": 2304}, "RGBA"),
        ({"datatype": 1536}, "128-bit"),
        ({"datatype": 2048}, "256-bit"),
        ({"datatype": 1}, "one bit"),
        ({"datatype": -9510}, "unknown type -9510"),
        ({"vox_offset": 4}, "begin at byte 4, expected a whole number of at least 352"),
        ({"vox_offset": -352}, "byte -352"),
        ({"vox_offset": 352.5}, "byte 352.5"),
        ({"vox_offset": 1e30}, "is cut short"),
        ({"vox_offset": float("nan")}, "byte nan"),
        ({"vox_offset": float("inf")}, "byte inf"),
        ({"scl_slope": 1.0, "scl_inter": float("nan")}, "scl_slope 1 and scl_inter nan"),
        ({"scl_slope": float("inf")}, "scl_slope inf"),
        ({"sizeof_hdr": 349}, "is no NIfTI file"),
        ({"magic": b"\0\0\0\0"}, "mark b''"),
        ({"magic": b"ni1\0"}, "of a .hdr/.img pair"),
        ({"srow": [0.0] * 12}, "singular"),
        ({"srow": [float("nan")] * 12}, "finite"),
        ({"srow": [float("inf")] * 12}, "finite"),
        ({"sform_code": 0, "pixdim": [1, 2, 2, 0, 1, 1, 1, 1]}, "singular"),
        ({"sform_code": 0, "qform_code": 1, "pixdim": [1, -2, 2, 2, 1, 1, 1, 1]}, "positive"),
        ({"sform_code": 0, "qform_code": 1, "quatern": [1, 1, 1]}, "place in space"),
        ({"sform_code": 77}, "codes"),
        ({"xyzt_units": 7}, "unit of length 7"),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_malformed_headers(tmp_path, fields, match, order):
    refused(tmp_path / "a.nii", nifti(IMAGE, order=order, **fields), match)


def test_all_faults_are_named_at_once(tmp_path):
    content = nifti(
        IMAGE, dim=[4, 3, 0, 5, -6, 1, 1, 1], datatype=128, scl_slope=float("inf"), vox_offset=3
    )
    refused(tmp_path / "a.nii", content, r"dimension 2.*dimension 4.*RGB.*scl_slope inf.*byte 3")


def test_what_is_no_file(tmp_path):
    for path, match in {
        tmp_path / "missing.nii": "no such file",
        tmp_path: "is a folder",
        "a\0b.nii": "no such file",
        tmp_path / ("x" * 300 + ".nii"): "cannot be read|no such file",
    }.items():
        with pytest.raises(InputError, match=match):
            open_series(path)
    os.mkfifo(tmp_path / "pipe.nii")
    with pytest.raises(InputError, match="no regular file"):
        open_series(tmp_path / "pipe.nii")


def test_an_unreadable_file(tmp_path, monkeypatch):
    path = tmp_path / "a.nii"
    path.write_bytes(nifti(IMAGE))
    path.chmod(0)
    if os.access(path, os.R_OK):  # root may read all: let the system say no in its place
        monkeypatch.setattr(
            "pathlib.Path.open",
            lambda self, *_: (_ for _ in ()).throw(PermissionError(13, "denied")),
        )
    with pytest.raises(InputError, match=r"a\.nii: cannot be read"):
        open_series(path)


def test_wrong_names(tmp_path):
    content = nifti(IMAGE)
    refused(tmp_path / "a.nii.gz", content, "is not gzip-compressed")
    refused(
        tmp_path / "a.nii",
        gzip.compress(content),
        "is gzip-compressed, expected the name to end in .gz",
    )
    refused(tmp_path / "a.mgz", content, "is not named like a NIfTI file")
    refused(tmp_path / "a", content, "is not named like a NIfTI file")
    refused(tmp_path / "b.hdr", content[:348], "other half is missing, expected b.img")
    refused(tmp_path / "c.img", content[352:], "other half is missing, expected c.hdr")
    (tmp_path / "d.img").write_bytes(content[352:])
    refused(tmp_path / "d.hdr", content[:348], r"mark b'n\+1' \(of a single file\)")


@pytest.mark.parametrize("keep", [0, 1, 3, 100, 347, 351, 400, -1])
def test_cut_short(tmp_path, keep):
    content = nifti(IMAGE)
    refused(tmp_path / "a.nii", content[:keep], "is no NIfTI file|is cut short")
    refused(tmp_path / "b.nii.gz", gzip.compress(content[:keep]), "is no NIfTI file|is cut short")


def test_compressed_data_cut_short_or_damaged(tmp_path):
    content = gzip.compress(nifti(IMAGE), mtime=0)
    for keep in (2, 9, 15, len(content) // 2, -9, -8, -1):
        refused(tmp_path / "a.nii.gz", content[:keep], "is cut short|is damaged|is no NIfTI")
    for at in (len(content) // 2, -8, -3):  # data, checksum, length
        damaged = bytearray(content)
        damaged[at] ^= 0x55
        refused(tmp_path / "a.nii.gz", bytes(damaged), "is damaged|is cut short")
    refused(tmp_path / "a.nii.gz", content + b"garbage", "is damaged|is cut short")


def test_files_made_of_several_gzip_members_are_whole(tmp_path):
    content = nifti(IMAGE)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(content[:500]) + gzip.compress(content[500:]))
    ((_, signal),) = open_series(tmp_path / "a.nii.gz").blocks()
    assert np.array_equal(signal, IMAGE.reshape(-1, 6, order="F"))


def test_a_bomb_is_not_inflated(tmp_path):
    header, _ = pack(IMAGE)
    refused(
        tmp_path / "more.nii.gz",
        gzip.compress(header + bytes(200 << 20), 1),
        "holds more than the 1792 bytes",
    )
    header, _ = pack(IMAGE, dim=[4, 30000, 30000, 1000, 1000, 1, 1, 1])
    refused(
        tmp_path / "claim.nii.gz",
        gzip.compress(header + bytes(1 << 20)),
        "is cut short, its header claims 36",
    )


@pytest.mark.parametrize("read", [read_volume, open_mask_like, open_b1_like])
def test_a_volume_of_far_more_voxels_than_memory_holds_is_refused(tmp_path, read):
    header, _ = pack(np.zeros((2, 2, 2), "u1"), dim=[3, 1024, 1024, 65, 1, 1, 1, 1])
    with (tmp_path / "m.nii").open("wb") as sparse:
        sparse.write(header)
        sparse.truncate(len(header) + 1024 * 1024 * 65)
    (tmp_path / "m.nii.gz").write_bytes(gzip.compress(header + bytes(1024 * 1024 * 65), 1))
    for name in ("m.nii", "m.nii.gz"):
        with pytest.raises(InputError, match="1024 x 1024 x 65 voxels, expected at most 67108864"):
            read(tmp_path / name)


def test_a_mask_of_as_many_voxels_as_the_scan_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(maps, "MOST_VOXELS", 7)
    (tmp_path / "m.nii").write_bytes(nifti(np.ones((2, 2, 2), "u1")))
    assert read_volume(tmp_path / "m.nii", SCAN)[1].all()
    with pytest.raises(InputError, match="2 x 2 x 2 voxels, expected at most 7 in all"):
        read_volume(tmp_path / "m.nii")


def test_no_space_to_inflate(tmp_path, monkeypatch):
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(nifti(IMAGE)))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(InputError, match=r"GB free, expected .* to decompress") as caught:
        open_series(tmp_path / "a.nii.gz")
    assert "TMPDIR" in (caught.value.hint or "")


def test_no_folder_to_inflate_to(tmp_path, monkeypatch):
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(nifti(IMAGE)))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "gone"))
    with pytest.raises(InputError, match="gone: cannot be written to decompress"):
        open_series(tmp_path / "a.nii.gz")


@pytest.mark.slow
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    changes=st.lists(st.tuples(st.integers(0, 359), st.integers(0, 255)), min_size=1, max_size=6),
    compressed=st.booleans(),
    order=st.sampled_from("<>"),
    version=st.sampled_from([1, 2]),
)
def test_any_damage_is_read_or_refused(tmp_path, changes, compressed, order, version):
    content = bytearray(nifti(IMAGE, order=order, version=version))
    packed = bytearray(gzip.compress(bytes(content))) if compressed else content
    for at, value in changes:
        packed[at] = value
    path = tmp_path / ("a.nii.gz" if compressed else "a.nii")
    path.write_bytes(packed)
    try:
        for _, signal in open_series(path).blocks():
            assert signal.ndim == 2
    except MrftoolError as error:
        assert str(path) in str(error)


REFUSED = {
    "5D_small.nii": "1 x 2 x 3 x 1 x 3 values",
    "5D_zeros.nii.gz": "256 x 256 x 170 x 1 x 3 values",
    "not-nifti.nii": "is no NIfTI file",
    "crash-1.nii": "is no NIfTI file",
    "crash-ed7d46344d7efb3b9f0c374d66d2e02f66cc447d.nii": "is no NIfTI file",
    "crash-08123ef33416bd6f0c5fa63d44b681b8581d62a0": "is not named like",
    "crash-98aa054390f8d3f932f190dc22ef62c6ff2d6619": "is not named like",
    "crash-d03c6346fe83a026738f6b8cd2a9335a3f8cb158": "is not named like",
    "README.md": "is not named like",
    "avg152T1_LR_nifti.hdr.gz": "other half is missing",
    "complex32.nii": "holds complex numbers",
    "complex64.nii": "holds complex numbers",
    "3D.nii": "RGB colours",
    "4D.nii": "colours",
}


@pytest.mark.data
def test_every_odd_file_is_read_as_nibabel_reads_it_or_refused(data_dir, capfd):
    read = set()
    for path in sorted(p for p in (data_dir / "nifti").rglob("*") if p.is_file()):
        if path.name in REFUSED:
            with pytest.raises(InputError, match=REFUSED[path.name]) as caught:
                read_volume(path)
            assert "\n" not in str(caught.value) and str(path) in str(caught.value)
            continue
        _, image = read_volume(path)
        read.add(path.name)
        if not path.name.startswith(
            "minimal2"
        ):  # a pair of which one is compressed: nibabel does not find the other
            expected = np.asanyarray(nibabel.load(path).dataobj).astype("f4")
            assert np.array_equal(np.squeeze(image), np.squeeze(expected))
    assert len(read) >= 30
    assert capfd.readouterr() == ("", "")
