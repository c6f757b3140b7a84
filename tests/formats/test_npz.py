import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mrftool.errors import InputError
from mrftool.fingerprints import Fingerprints
from mrftool.formats.npz.dictionary import load_dictionary, save_dictionary, writing_dictionary
from mrftool.formats.npz.tissue import load_tissue_npz, save_tissue_npz
from mrftool.formats.sequence.yaml_file import sequence_from_dict, sequence_to_dict
from mrftool.grid import Grid
from mrftool.phantoms.brain import brain_phantom
from mrftool.phantoms.phantom import to_tissue
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue


def signals(n: int, n_time: int = 7) -> np.ndarray:
    rng = np.random.default_rng(n)
    return (rng.normal(size=(n, n_time)) + 1j * rng.normal(size=(n, n_time))).astype(np.complex64)


def tissue(n: int) -> Tissue:
    rng = np.random.default_rng(n)
    return Tissue(
        t1=rng.uniform(1, 4, n),
        t2=rng.uniform(0.01, 1, n),
        b1=rng.uniform(0.8, 1.2, n),
        m0=1j,
        adc=1e-9,
    )


def saved(path: Path, n: int = 9) -> Path:
    save_dictionary(path, Fingerprints(signals(n), "abc"), tissue(n), {"name": "x"})
    return path


def test_a_dictionary_comes_back_whole(tmp_path: Path, short_sequence: PulseSequence) -> None:
    path = tmp_path / "d.npz"
    fingerprints = Fingerprints(signals(9, 40), short_sequence.sequence_id)
    save_dictionary(path, fingerprints, tissue(9), sequence_to_dict(short_sequence))
    for mapped in (False, True):
        back = load_dictionary(path, mapped=mapped)
        np.testing.assert_array_equal(back.fingerprints.signal, fingerprints.signal)
        for key in Tissue.columns():
            np.testing.assert_array_equal(getattr(back.tissue, key), getattr(tissue(9), key))
        assert back.sequence is not None
        assert (
            sequence_from_dict(back.sequence).sequence_id
            == back.fingerprints.sequence_id
            == fingerprints.sequence_id
        )


def test_numpy_reads_it_without_pickle(tmp_path: Path) -> None:
    with np.load(saved(tmp_path / "d.npz"), allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["signal"], signals(9))
        np.testing.assert_array_equal(arrays["t1"], tissue(9).t1)
        assert str(arrays["sequence_id"]) == "abc"


def test_what_numpy_writes_is_read(tmp_path: Path) -> None:
    for write in (np.savez, np.savez_compressed):
        write(tmp_path / "d.npz", signal=np.asfortranarray(signals(3)), t1=[1.0, 2, 3], t2=[0.1, 0.2, 0.3],
              sequence_json="null", sequence_id="")  # fmt: skip
        for mapped in (False, True):
            back = load_dictionary(tmp_path / "d.npz", mapped=mapped)
            np.testing.assert_array_equal(back.fingerprints.signal, signals(3))
            assert back.sequence is None
            assert back.fingerprints.sequence_id is None


def test_blocks_make_the_same_bytes_as_the_whole(tmp_path: Path) -> None:
    saved(tmp_path / "whole.npz")
    with writing_dictionary(
        tmp_path / "blocks.npz", tissue(9), 7, {"name": "x"}, sequence_id="abc"
    ) as append:
        for start in range(0, 9, 4):
            append(signals(9)[start : start + 4])
    with (
        zipfile.ZipFile(tmp_path / "whole.npz") as a,
        zipfile.ZipFile(tmp_path / "blocks.npz") as b,
    ):
        assert a.namelist() == b.namelist()
        assert all(a.read(name) == b.read(name) for name in a.namelist())


def test_a_mapped_signal_is_not_read_into_memory(tmp_path: Path) -> None:
    n, n_time = 40_000, 100  # 32 MB
    block = np.ones((4000, n_time), np.complex64)
    with writing_dictionary(
        tmp_path / "d.npz", Tissue(t1=np.ones(n), t2=np.full(n, 0.1)), n_time
    ) as append:
        for _ in range(n // len(block)):
            append(block)
    before = _anonymous_kb()
    back = load_dictionary(tmp_path / "d.npz", mapped=True)
    assert back.fingerprints.signal[-1, -1] == 1
    assert _anonymous_kb() - before < 16_000


def _anonymous_kb() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([4], "4 fingerprints, expected 9"),
        ([9, 1], "10 fingerprints, expected 9"),
        ([], "0 fingerprints"),
    ],
)
def test_blocks_that_do_not_add_up_leave_nothing(
    tmp_path: Path, blocks: list[int], message: str
) -> None:
    with (
        pytest.raises(InputError, match=message),
        writing_dictionary(tmp_path / "d.npz", tissue(9), 7) as append,
    ):
        for size in blocks:
            append(signals(size))
    assert list(tmp_path.iterdir()) == []
    with (
        pytest.raises(InputError, match=r"expected \(voxel, 7\)"),
        writing_dictionary(tmp_path / "d", tissue(9), 7) as a,
    ):
        a(signals(9, 8))
    assert list(tmp_path.iterdir()) == []


def _oversized(path: Path) -> None:
    """A member whose header claims far more than it holds."""
    header = b"{'descr': '<c8', 'fortran_order': False, 'shape': (1000000000000, 1000), }"
    member = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("signal.npy", member)
        archive.writestr("t1.npy", member)
        archive.writestr("t2.npy", member)


def _odd_header(path: Path) -> None:
    """A header that Python's own parser cannot finish."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("t1.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", 12) + b"{'descr': ((")


def _bomb(path: Path) -> None:
    """Compressed zeros, with a size in the directory that deflate cannot reach."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("t1.npy", bytes(1000))
    data = bytearray(path.read_bytes())
    directory = data.rindex(b"PK\x01\x02")
    data[directory + 24 : directory + 28] = struct.pack("<I", 2**32 - 2)
    path.write_bytes(bytes(data))


def _pickled(path: Path) -> None:
    class Trap:
        def __reduce__(self):  # pragma: no cover
            return (os.abort, ())

    with zipfile.ZipFile(path, "w") as archive:
        header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
        member = (
            b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + pickle.dumps(Trap())
        )
        archive.writestr("t1.npy", member)


def _plain(path: Path) -> None:
    with path.open("wb") as stream:
        np.save(stream, signals(2))


def _flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(signals(9).tobytes()) + 100] ^= 1
    path.write_bytes(bytes(data))


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)  # opening it would wait for a writer


HARMS = {
    "missing": (lambda path: path.unlink(), "No such file"),
    "empty": (lambda path: path.write_bytes(b""), "expected a readable .npz"),
    "text": (lambda path: path.write_text("hello"), "expected a readable .npz"),
    "truncated": (
        lambda path: path.write_bytes(path.read_bytes()[:500]),
        "expected a readable .npz",
    ),
    "no end": (lambda path: path.write_bytes(path.read_bytes()[:-30]), "expected a readable .npz"),
    "oversized": (_oversized, "bytes of data"),
    "odd header": (_odd_header, "damaged header"),
    "bomb": (_bomb, "claims 4294967294 bytes, expected at most"),
    "pipe": (_pipe, "is no regular file"),
    "folder": (lambda path: (path.unlink(), path.mkdir()), "is a folder"),
    "pickle": (_pickled, "no number or text"),
    "a plain npy": (_plain, "expected a readable .npz"),
    "flipped bit": (_flipped, "CRC"),  # of the signal, which the reader of tissue does not look at
}


@pytest.mark.parametrize(
    ("load", "harm"),
    [(load, harm) for load in (load_dictionary, load_tissue_npz) for harm in HARMS][:-1],
)
def test_damaged_and_hostile_files_are_refused(tmp_path: Path, harm: str, load) -> None:
    path = saved(tmp_path / "d.npz")
    change, message = HARMS[harm]
    change(path)
    with pytest.raises(InputError) as error:
        load(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"t1": None}, "'t1' and 't2'"),
        ({"signal": None}, "has no array 'signal'"),
        ({"signal": signals(8)}, "not one fingerprint for each t1"),
        ({"t2": np.zeros(9)}, "tissue t2 is 0"),
        ({"t1": np.array(["a"] * 9)}, "no real numbers"),
        ({"sequence_json": "{"}, "expected a dictionary"),
        ({"sequence_json": "[" * 100_000}, "expected a dictionary"),
        ({"sequence_json": "[1]"}, "the sequence is a list"),
    ],
)
def test_a_dictionary_that_makes_no_sense_is_refused(
    tmp_path: Path, arrays: dict, message: str
) -> None:
    good = {
        "signal": signals(9),
        "t1": np.ones(9),
        "t2": np.ones(9),
        "sequence_json": "{}",
        "sequence_id": "",
    }
    np.savez(tmp_path / "d.npz", **{k: v for k, v in {**good, **arrays}.items() if v is not None})
    with pytest.raises(InputError) as error:
        load_dictionary(tmp_path / "d.npz")
    assert message in str(error.value)


def test_a_phantom_comes_back_whole(tmp_path: Path) -> None:
    phantom = brain_phantom((24, 20, 2))
    made, grid, labels = to_tissue(phantom, b1_spread=0.1, m0_phase=1.0)
    save_tissue_npz(tmp_path / "p.npz", made, grid, labels, phantom.classes)
    back = load_tissue_npz(tmp_path / "p.npz")
    for key in Tissue.columns():
        np.testing.assert_array_equal(getattr(back.tissue, key), getattr(made, key))
    np.testing.assert_array_equal(back.grid.mask, grid.mask)
    np.testing.assert_array_equal(back.grid.affine, grid.affine)
    np.testing.assert_array_equal(back.labels, labels)
    assert back.classes == phantom.classes
    assert back.assumptions == ()


def test_other_peoples_maps_are_in_milliseconds(tmp_path: Path) -> None:
    t1 = np.array([[0, 800.0, 1200.0], [900.0, np.nan, 4000.0]])
    np.savez(
        tmp_path / "p.npz", T1_ms=t1, T2_ms=np.where(t1 == 900, 0, 80.0), PD=np.full((2, 3), 7.0)
    )
    back = load_tissue_npz(tmp_path / "p.npz")
    np.testing.assert_allclose(back.tissue.t1, [0.8, 1.2, 4.0])
    np.testing.assert_allclose(back.tissue.t2, 0.08)
    np.testing.assert_allclose(back.tissue.m0, 7)
    assert back.grid.shape == (2, 3, 1)
    right_front = back.grid.affine @ [0, 0, 0, 1] - back.grid.affine @ [1, 2, 0, 1]
    assert (
        right_front[:2] > 0
    ).all()  # the first row and column lie in front and to the right of the last
    assert "no affine" in back.assumptions[0]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.ones(3)}, "has nothing, expected t1 and t2"),
        ({"t1": np.ones((2, 2))}, "has t1, expected t1 and t2"),
        (
            {"t1": np.full((2, 2), 800.0), "t2": np.full((2, 2), 80.0)},
            "reaches 800, expected seconds",
        ),
        (
            {"T1_ms": np.ones((2, 2)), "T2_ms": np.ones((2, 3))},
            "(2, 2) and (2, 3), expected the same",
        ),
        ({"T1_ms": np.ones(4), "T2_ms": np.ones(4)}, "two or three sizes"),
        ({"T1_ms": np.zeros((2, 2)), "T2_ms": np.ones((2, 2))}, "no voxel"),
        ({"t1": np.ones((2, 2)), "t2": np.ones((2, 2)), "b1": np.ones((3, 2))}, "shape"),
        ({"t1": np.ones((2, 2)), "t2": np.ones((2, 2)), "affine": np.zeros((4, 4))}, "affine"),
        ({"t1": np.ones((2, 2)) + 0j, "t2": np.ones((2, 2))}, "'t1' has the type complex128"),
        (
            {"t1": np.ones((2, 2)), "t2": np.ones((2, 2)), "labels": np.full((2, 2), 3)},
            "label 3, expected one of 0",
        ),
    ],
)
def test_tissue_that_makes_no_sense_is_refused(tmp_path: Path, arrays: dict, message: str) -> None:
    np.savez(tmp_path / "p.npz", **arrays)
    with pytest.raises(InputError) as error:
        load_tissue_npz(tmp_path / "p.npz")
    assert message in str(error.value)


@pytest.mark.data
def test_the_papers_anatomical_maps(data_dir: Path) -> None:
    """7,499 voxels, 139 of them with T1 or T2 below 1 ms."""
    back = load_tissue_npz(data_dir / "brain_maps" / "hydra_anatomical_128.npz")
    assert back.grid.n_voxels == 7499
    assert ((back.tissue.t1 < 1e-3) | (back.tissue.t2 < 1e-3)).sum() == 139
    assert np.median(back.tissue.t1) == pytest.approx(0.921, abs=5e-4)
    assert np.median(back.tissue.t2) == pytest.approx(0.071, abs=5e-4)


def test_a_grid_without_labels(tmp_path: Path) -> None:
    grid = Grid(np.eye(3, dtype=bool)[:, :, None], np.eye(4))
    save_tissue_npz(tmp_path / "p.npz", Tissue(t1=[1.0, 2, 3], t2=[0.1, 0.2, 0.3]), grid)
    back = load_tissue_npz(tmp_path / "p.npz")
    assert back.labels is None
    np.testing.assert_array_equal(back.tissue.t1, [1, 2, 3])


def _with_array(path: Path, key: str, values: np.ndarray) -> None:
    with np.load(path) as arrays:
        kept = {name: arrays[name] for name in arrays.files if name != key}
    np.savez(path, **kept, **{key: values})


@pytest.mark.parametrize("number", [np.array(2), np.array([0]), np.array("1"), np.arange(2)])
def test_files_of_another_schema_are_refused(tmp_path: Path, number: np.ndarray) -> None:
    path = saved(tmp_path / "d.npz")
    with np.load(path) as arrays:
        assert arrays["mrftool_dictionary"] == 1
    _with_array(path, "mrftool_dictionary", number)
    with pytest.raises(InputError, match="schema"):
        load_dictionary(path)
    grid = Grid(np.ones((2, 2, 1), bool), np.eye(4))
    save_tissue_npz(tmp_path / "p.npz", Tissue(t1=np.ones(4), t2=np.ones(4)), grid)
    _with_array(tmp_path / "p.npz", "mrftool_tissue", number)
    with pytest.raises(InputError, match="schema"):
        load_tissue_npz(tmp_path / "p.npz")


@pytest.mark.parametrize("shape", [(), (1, 2)])
def test_names_of_classes_are_a_list(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path, grid = tmp_path / "p.npz", Grid(np.ones((2, 2, 1), bool), np.eye(4))
    save_tissue_npz(path, Tissue(t1=np.ones(4), t2=np.ones(4)), grid)
    _with_array(path, "classes", np.full(shape, "white matter"))
    with pytest.raises(InputError, match=r"p\.npz: classes have the shape .*, expected a list"):
        load_tissue_npz(path)


def test_files_without_a_schema_number_count_as_schema_1(tmp_path: Path) -> None:
    path = saved(tmp_path / "d.npz")
    with np.load(path) as arrays:
        kept = {name: arrays[name] for name in arrays.files if name != "mrftool_dictionary"}
    np.savez(path, **kept)
    np.testing.assert_array_equal(load_dictionary(path).fingerprints.signal, signals(9))
