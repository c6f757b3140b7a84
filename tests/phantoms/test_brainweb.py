import gzip
from pathlib import Path

import numpy as np
import pytest
from scipy.io import netcdf_file

from mrftool.errors import InputError, MissingExtraError
from mrftool.phantoms.brainweb import find_brainweb, read_brainweb
from mrftool.phantoms.phantom import to_tissue

SHAPE = (5, 7, 4)
TAGS = ("bck", "csf", "gry", "wht", "fat", "m+s", "skn", "skl", "gli", "mit")


def fractions(name: str) -> np.ndarray:
    """A share that differs from voxel to voxel; csf and grey matter sum to 1."""
    csf = (np.arange(140).reshape(SHAPE) % 52) * 5 / 255
    return {"csf": csf, "grey_matter": 1 - csf}.get(name, np.zeros(SHAPE))


def write_raw(path: Path, share: np.ndarray) -> Path:
    data = np.rint(share * 255).astype(np.uint8).tobytes(order="F")
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_minc1(path: Path, share: np.ndarray) -> Path:
    """MINC 1: NetCDF classic, dimensions z, y, x, bytes of which image-min and image-max give the
    real range.
    """
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    with netcdf_file(plain, "w") as f:
        for name, n, start in zip("zyx", SHAPE[::-1], (-72.0, -126.0, -90.0), strict=True):
            f.createDimension(f"{name}space", n)
            axis = f.createVariable(f"{name}space", "d", ())
            axis.start, axis.step, axis.spacing = start, 1.0, b"regular__"
        image = f.createVariable("image", "b", ("zspace", "yspace", "xspace"))
        image.signtype = b"unsigned"
        image.valid_range = np.array([0.0, 255.0])
        image[:] = np.rint(share.T * 255).astype(np.uint8).view(np.int8)
        for name, value in (("image-max", 1.0), ("image-min", 0.0)):
            f.createVariable(name, "d", ()).data[...] = value
    if plain != path:
        path.write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()
    return path


def write_minc2(path: Path, share: np.ndarray) -> Path:
    """MINC 2: the same in HDF5."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as f:
        for name, n, start in zip("xyz", SHAPE, (-90.0, -126.0, -72.0), strict=True):
            axis = f.create_dataset(f"minc-2.0/dimensions/{name}space", data=0)
            axis.attrs.update(
                {
                    "length": np.uint32(n),
                    "start": start,
                    "step": 1.0,
                    "spacing": np.bytes_("regular__"),
                }
            )
        image = f.create_dataset(
            "minc-2.0/image/0/image", data=np.rint(share.T * 255).astype(np.uint8)
        )
        image.attrs.update(
            {"dimorder": np.bytes_("zspace,yspace,xspace"), "valid_range": np.array([0.0, 255.0])}
        )
        f.create_dataset("minc-2.0/image/0/image-max", data=1.0)
        f.create_dataset("minc-2.0/image/0/image-min", data=0.0)
    return path


WRITERS = {"rawb": write_raw, "rawb.gz": write_raw, "mnc": write_minc1, "mnc.gz": write_minc1}


def model(folder: Path, suffix: str = "rawb", write=write_raw) -> Path:
    names = {"csf": "csf", "gry": "grey_matter"}
    for tag in TAGS:
        write(folder / f"phantom_1.0mm_normal_{tag}.{suffix}", fractions(names.get(tag, tag)))
    return folder


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_gives_the_same_fractions(tmp_path: Path, suffix: str) -> None:
    files = find_brainweb(model(tmp_path, suffix, WRITERS[suffix]))
    phantom = read_brainweb(files, shape=SHAPE)
    assert set(files) == set(phantom.classes)
    for name in ("csf", "grey_matter"):
        np.testing.assert_allclose(
            phantom.fractions[..., phantom.classes.index(name)], fractions(name), atol=1e-6
        )
    np.testing.assert_allclose(phantom.affine[:3, 3], (-90, -126, -72))


def test_minc2(tmp_path: Path) -> None:
    path = write_minc2(tmp_path / "csf.mnc", fractions("csf"))
    np.testing.assert_allclose(
        read_brainweb({"csf": path}, shape=SHAPE).fractions[..., 0], fractions("csf"), atol=1e-6
    )


def test_minc2_without_h5py_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_minc2(tmp_path / "csf.mnc", fractions("csf"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="needs the package h5py") as error:
        read_brainweb({"csf": path}, shape=SHAPE)
    assert error.value.hint == "pip install h5py"


def test_slices_are_cut_and_keep_their_place(tmp_path: Path) -> None:
    files = find_brainweb(model(tmp_path))
    whole = read_brainweb(files, shape=SHAPE)
    part = read_brainweb(files, shape=SHAPE, slices=slice(1, 4, 2))
    np.testing.assert_array_equal(part.fractions, whole.fractions[:, :, 1:4:2])
    np.testing.assert_allclose(part.affine @ [0, 0, 1, 1], whole.affine @ [0, 0, 3, 1])


def test_tissue_values_are_those_of_brainweb(tmp_path: Path) -> None:
    csf = write_raw(tmp_path / "csf.rawb", np.ones(SHAPE))
    tissue = to_tissue(read_brainweb({"csf": csf}, shape=SHAPE))[0]
    assert (tissue.t1[0], tissue.t2[0]) == (pytest.approx(2.569), pytest.approx(0.329))
    assert read_brainweb({"csf": csf}, shape=SHAPE, b0=3.0).tissue.t1[0] == pytest.approx(4.309)


def test_missing_and_double_classes_are_named(tmp_path: Path) -> None:
    model(tmp_path)
    (tmp_path / "phantom_1.0mm_normal_fat.rawb").unlink()
    with pytest.raises(InputError, match=r"no file for class fat \(\*_fat\)"):
        find_brainweb(tmp_path)
    write_raw(tmp_path / "other_csf.raw", fractions("csf"))
    with pytest.raises(InputError, match="expected one file for class csf"):
        find_brainweb(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        find_brainweb(tmp_path / "none")


def short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def long(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


@pytest.mark.parametrize(
    ("suffix", "harm", "message"),
    [
        ("rawb", short, "139 bytes, expected 140 for 5 x 7 x 4 voxels"),
        ("rawb", long, "more than 140 bytes, expected 140"),
        ("rawb.gz", short, "expected a readable BrainWeb volume"),
        (
            "rawb.gz",
            lambda path: path.write_bytes(b"not gzip"),
            "expected a readable BrainWeb volume",
        ),
        (
            "rawb.gz",
            lambda path: path.write_bytes(path.read_bytes()[:12] + bytes(30)),
            "expected a readable",
        ),
        (
            "mnc",
            lambda path: path.write_bytes(path.read_bytes()[:300]),
            "expected a whole MINC file",
        ),
        (
            "mnc",
            lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(50)),
            "expected a whole MINC file",
        ),
        ("mnc", lambda path: path.unlink(), "No such file"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, suffix: str, harm, message: str) -> None:
    path = WRITERS[suffix](tmp_path / f"csf.{suffix}", fractions("csf"))
    harm(path)
    with pytest.raises(InputError) as error:
        read_brainweb({"csf": path}, shape=SHAPE)
    assert message in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("share", "options", "message"),
    [
        (fractions("csf"), {"shape": (5, 7, 5)}, "(5, 7, 4) voxels, expected (5, 7, 5)"),
        (fractions("csf"), {"slices": slice(9, 12)}, "slices 9 to 12 of 4"),
        (np.zeros(SHAPE), {}, "all tissue fractions are 0"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(
    tmp_path: Path, share, options: dict, message: str
) -> None:
    path = write_minc1(tmp_path / "csf.mnc", share)
    with pytest.raises(InputError) as error:
        read_brainweb({"csf": path}, **{"shape": SHAPE, **options})
    assert message in str(error.value)
