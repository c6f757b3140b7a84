"""Scans, masks and maps in the array files of BART, MATLAB, NumPy and snapMRF."""

import struct
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from mrftool.errors import ArgumentError, InputError, MismatchError
from mrftool.formats.arrays.array_file import read_array
from mrftool.formats.arrays.axes import arrange
from mrftool.formats.arrays.bart import read_all_dimensions
from mrftool.formats.nifti.maps import open_b1, open_mask
from mrftool.formats.open_scan import open_scan

SHAPE = (3, 4, 2, 5)  # x, y, z, time


def signals(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    rng = np.random.default_rng(len(shape))
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)


def save_cfl(path: Path, values: np.ndarray) -> None:
    sizes = " ".join(map(str, [*values.shape, *[1] * (16 - values.ndim)]))
    path.with_suffix(".hdr").write_text(f"# Dimensions\n{sizes}\n# Command\nphantom\n")
    path.write_bytes(values.astype("<c8").ravel(order="F").tobytes())


def save_mat5(path: Path, values: np.ndarray) -> None:
    from scipy.io import savemat

    savemat(path, {"scan": values, "tr": np.float64(12.0), "note": "text"}, do_compression=True)


def save_mat73(path: Path, values: np.ndarray) -> None:
    """HDF5 as MATLAB writes it: behind 512 bytes, axes reversed, complex numbers as pairs."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w", userblock_size=512) as file:
        pairs = np.empty(values.T.shape, [("real", "<f4"), ("imag", "<f4")])
        pairs["real"], pairs["imag"] = values.T.real, values.T.imag
        file.create_dataset("scan", data=pairs)
        file.create_dataset("tr", data=np.array([[12.0]]))
        file.create_group("#refs#").create_dataset("a", data=np.ones((9, 9, 9, 9, 9)))
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file".ljust(116) + bytes(8) + b"\x00\x02IM")


def save_npz(path: Path, values: np.ndarray) -> None:
    np.savez(path, scan=values, tr=12.0)


def save_ra(path: Path, values: np.ndarray) -> None:
    numbers = (0, 4, 8, values.nbytes, values.ndim, *values.shape)
    head = struct.pack(f"<8s5Q{values.ndim}Q", b"rawarray", *numbers)
    path.write_bytes(head + values.ravel(order="F").tobytes() + b"text after the data")


SAVE: dict[str, Callable[[Path, np.ndarray], None]] = {
    "a.cfl": save_cfl,
    "a5.mat": save_mat5,
    "a73.mat": save_mat73,
    "a.npy": np.save,
    "b.npy": lambda path, values: np.save(path, np.asfortranarray(values)),
    "a.npz": save_npz,
    "a.ra": save_ra,
}


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    affine = np.diag([2.0, 3, 4, 1])
    image = nibabel.Nifti1Image(np.zeros(SHAPE[:3], np.float32), affine)
    nibabel.save(image, tmp_path / "reference.nii")
    return tmp_path / "reference.nii"


@pytest.mark.slow
@pytest.mark.parametrize("name", SAVE)
def test_scans_of_every_format_are_read(tmp_path: Path, reference: Path, name: str) -> None:
    SAVE[name](tmp_path / name, signals())
    series = open_scan(tmp_path / name, axes="xyzt", like=reference)
    assert (series.shape, series.n_time, series.form) == (SHAPE[:3], 5, "complex")
    np.testing.assert_array_equal(np.diag(series.affine), [2, 3, 4, 1])
    image = np.zeros((24, 5), np.complex64)
    for voxels, signal in series.blocks(max_bytes=200):
        image[voxels] = signal
    np.testing.assert_allclose(image.reshape(SHAPE), signals(), rtol=1e-6)


@pytest.mark.parametrize("name", SAVE)
@pytest.mark.parametrize("part", [0, 3, 20, 0.5, 0.95])
def test_truncated_files_are_refused(tmp_path: Path, name: str, part: float) -> None:
    path = tmp_path / name
    SAVE[name](path, signals())
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content)) if part < 1 else int(part)])
    if name == "a.ra" and part == 0.95:
        path.write_bytes(content[: len(content) - 30])
    with pytest.raises(InputError, match=path.name):
        read_array(path)


@pytest.mark.parametrize(
    ("axes", "shape"),
    [("tzyx", (5, 2, 4, 3)), ("xyzti", (3, 4, 2, 5, 2)), ("1t1xyz", (1, 5, 1, 3, 4, 2))],
)
def test_axes_are_put_in_order(axes: str, shape: tuple[int, ...]) -> None:
    values = signals()
    letters = "".join(axis for axis in axes if axis in "xyzt")
    stored = values.transpose(["xyzt".index(axis) for axis in letters])
    if "i" in axes:
        stored = np.stack([values.real, values.imag], -1)
    np.testing.assert_array_equal(arrange(stored.reshape(shape), axes, "a"), values)


def test_axes_that_are_absent_have_one_voxel() -> None:
    assert arrange(np.zeros((5, 4, 3)), "tyx", "a").shape == (3, 4, 1, 5)
    assert arrange(np.zeros((7, 5)), "xt", "a").shape == (7, 1, 1, 5)


@pytest.mark.parametrize("axes", ["", "xyzz", "xyq", "xx"])
def test_letters_that_name_no_axes_are_refused(axes: str) -> None:
    with pytest.raises(ArgumentError, match="expected letters of"):
        arrange(np.zeros((2, 2, 2, 2)), axes, "a")


def test_sizes_that_do_not_go_with_the_axes_are_refused() -> None:
    for axes in ("xyz", "xyz1", "xyzi"):
        with pytest.raises(InputError, match="3 x 4 x 2 x 5"):
            arrange(np.zeros(SHAPE), axes, "a")


def test_what_the_format_does_not_say_must_be_said(tmp_path: Path, reference: Path) -> None:
    np.save(tmp_path / "a.npy", signals())
    with pytest.raises(InputError, match=r"which of its axes \(sizes 3 x 4 x 2 x 5\)") as caught:
        open_scan(tmp_path / "a.npy")
    assert caught.value.arguments == ("axes",)
    series = open_scan(tmp_path / "a.npy", axes="xyzt")
    assert "voxels of 1 mm are assumed" in series.assumptions[0]
    with pytest.raises(MismatchError, match="3 x 4 x 2 voxels, expected 5 x 4 x 2"):
        open_scan(tmp_path / "a.npy", axes="tyzx", like=reference)


def test_bart_says_its_axes_itself(tmp_path: Path) -> None:
    for time_axis in (5, 10):
        shape = [3, 4, 2] + [1] * 13
        shape[time_axis] = 5
        save_cfl(tmp_path / "a.cfl", signals().reshape(shape))
        series = open_scan(tmp_path / "a.cfl")
        assert (series.shape, series.n_time) == (SHAPE[:3], 5)
    save_cfl(tmp_path / "a.cfl", signals().reshape(3, 4, 2, 5))  # coils
    with pytest.raises(InputError, match="which of its axes"):
        open_scan(tmp_path / "a.cfl")


def test_real_numbers_are_magnitudes_unless_said_otherwise(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", abs(signals()))
    assert open_scan(tmp_path / "a.npy", axes="xyzt").form == "magnitude"
    np.save(tmp_path / "b.npy", signals().real)
    with pytest.raises(InputError, match="negative"):
        open_scan(tmp_path / "b.npy", axes="xyzt").read(np.arange(24))
    assert open_scan(tmp_path / "b.npy", axes="xyzt", form="real").form == "complex"
    np.save(tmp_path / "c.npy", signals())
    series = open_scan(tmp_path / "c.npy", axes="xyzt", form="magnitude")
    np.testing.assert_allclose(series.read(np.arange(3)), abs(signals()[:, 0, 0]), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("save", [save_mat5, save_npz])
def test_a_variable_is_chosen_by_name_or_as_the_only_image(tmp_path: Path, save) -> None:
    from scipy.io import savemat

    path = tmp_path / ("a.mat" if save is save_mat5 else "a.npz")
    save(path, signals())
    assert read_array(path).shape == read_array(path, "scan").shape == SHAPE
    assert read_array(path, "tr").size == 1
    with pytest.raises(InputError, match="no array 'scans', expected a choice") as caught:
        read_array(path, "scans")
    assert caught.value.arguments == ("variable",)
    several = {"a": signals(), "b": signals()}
    savemat(path, several) if path.suffix == ".mat" else np.savez(path, **several)
    with pytest.raises(InputError, match=r"several arrays, .*a \(3 x 4 x 2 x 5\), b \("):
        read_array(path)
    np.save(tmp_path / "a.npy", signals())
    with pytest.raises(ArgumentError, match="holds one array"):
        read_array(tmp_path / "a.npy", "scan")


@pytest.mark.slow
def test_fields_of_structures_have_names_with_points(tmp_path: Path) -> None:
    from scipy.io import savemat

    savemat(tmp_path / "a.mat", {"mrf": {"scan": signals(), "dict": {"t1": np.ones(4)}}})
    np.testing.assert_array_equal(read_array(tmp_path / "a.mat"), signals())
    np.testing.assert_array_equal(read_array(tmp_path / "a.mat", "mrf.dict.t1"), np.ones((1, 4)))


def test_masks_and_b1_maps_lie_on_the_voxels_of_the_scan(tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", signals((5, 2, 4, 3)))
    series = open_scan(tmp_path / "scan.npy", axes="tzyx")
    inside = np.zeros(SHAPE[:3], bool)
    inside[1, 2, 0] = True
    np.save(tmp_path / "mask.npy", inside.transpose(2, 1, 0))
    np.testing.assert_array_equal(open_mask(tmp_path / "mask.npy", series)[0], inside)
    np.save(tmp_path / "b1.npy", np.full((2, 4, 3), 1.1))
    b1, notes = open_b1(tmp_path / "b1.npy", series)
    assert b1.shape == SHAPE[:3] and "fraction" in " ".join(notes)
    np.save(tmp_path / "mask.npy", inside)
    with pytest.raises(MismatchError, match=r"3 x 4 x 2, expected 2 x 4 x 3 \(axes zyx\)"):
        open_mask(tmp_path / "mask.npy", series)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.npy", b"\x93NUMPY\x01\x00\x0c\x00{'descr': ((", "damaged header"),
        ("a.ra", b"rawarray" + struct.pack("<6Q", 0, 4, 8, 64, 1, 1 << 60), "claims"),
        ("a.ra", b"rawarray" + struct.pack("<6Q", 2, 4, 8, 8, 1, 1), "uncompressed"),
        ("a.ra", b"rawarray" + struct.pack("<6Q", 0, 3, 1, 1, 1, 1) + bytes(1), "of 1 bytes"),
        ("a.mat", b"MATLAB 5.0 MAT-file" + bytes(300), "a MATLAB file"),
        ("a.npz", b"PK\x05\x06" + bytes(18), "choice of one: none"),
    ],
)
def test_hostile_files_are_refused(
    tmp_path: Path, name: str, content: bytes, expected: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=expected):
        read_array(tmp_path / name)


def test_a_header_of_bart_that_is_damaged_is_refused(tmp_path: Path) -> None:
    save_cfl(tmp_path / "a.cfl", signals())
    for text in (
        "",
        "# Dimensions\n",
        "# Dimensions\n3 x 4\n",
        "# Dimensions\n-3 4\n",
        "3 4 2 5\n",
    ):
        (tmp_path / "a.hdr").write_text(text)
        with pytest.raises(InputError, match=r"a\.hdr: its sizes are not readable"):
            read_array(tmp_path / "a.cfl")
    (tmp_path / "a.hdr").unlink()
    with pytest.raises(InputError, match=r"a\.hdr: No such file"):
        read_array(tmp_path / "a.cfl")


def test_a_file_of_bart_longer_than_its_header_says_is_refused(tmp_path: Path) -> None:
    save_cfl(tmp_path / "a.cfl", signals())
    with (tmp_path / "a.cfl").open("ab") as file:
        file.write(bytes(8))
    with pytest.raises(InputError, match=r"a\.cfl: has \d+ bytes, expected \d+ as its \.hdr says"):
        read_array(tmp_path / "a.cfl")


def test_all_dimensions_of_bart_are_kept_where_they_are_asked_for(tmp_path: Path) -> None:
    save_cfl(tmp_path / "a.cfl", signals())
    shape = read_array(tmp_path / "a.cfl").shape
    assert read_all_dimensions(tmp_path / "a.cfl").shape == shape + (1,) * (16 - len(shape))


def test_axes_go_with_array_files_only(reference: Path) -> None:
    with pytest.raises(ArgumentError, match="go with array files"):
        open_scan(reference, axes="xyzt")
