"""Series read from files that were packed by hand: every legal flavour gives the same numbers."""

import gzip
import json

import numpy as np
import pytest
from nifti_bytes import AFFINE, nifti, pack

from mrftool.errors import InputError, MismatchError, UsageError
from mrftool.formats.nifti.read import open_series

RNG = np.random.default_rng(3)
SHAPE = (5, 4, 3, 70)
COMPLEX = (RNG.standard_normal(SHAPE) + 1j * RNG.standard_normal(SHAPE)).astype(np.complex64)
COUNTS = RNG.integers(0, 120, SHAPE)


def whole(series, **options):
    """The series as an array `(x, y, z, time)`."""
    dtype = np.complex64 if series.form == "complex" else np.float32
    out = np.full((series.n_voxels, series.n_time), np.nan, dtype)
    for voxels, signal in series.blocks(**options):
        assert signal.dtype == dtype and signal.flags.c_contiguous
        out[voxels] = signal
    return out.reshape(*series.shape, series.n_time)


def write(path, content):
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "A.NII"])
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["c8", "c16"])
def test_complex_numbers(tmp_path, name, version, order, dtype):
    path = write(tmp_path / name, nifti(COMPLEX.astype(dtype), order=order, version=version))
    series = open_series(path)
    assert (series.shape, series.n_time, series.form) == ((5, 4, 3), 70, "complex")
    assert series.assumptions == () and series.sidecar is None
    assert np.array_equal(series.affine, AFFINE)
    assert np.array_equal(whole(series), COMPLEX)
    assert np.array_equal(whole(series, max_bytes=8 * 70 * 7), COMPLEX)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
def test_magnitudes_with_a_scale(tmp_path, order, dtype):
    plain = open_series(write(tmp_path / "a.nii", nifti(COUNTS.astype(dtype), order=order)))
    assert np.array_equal(whole(plain), COUNTS)
    assert plain.form == "magnitude" and "taken as magnitudes" in plain.assumptions[0]
    content = nifti(COUNTS.astype(dtype), order=order, scl_slope=0.25, scl_inter=3.0)
    assert np.array_equal(whole(open_series(write(tmp_path / "b.nii", content))), COUNTS * 0.25 + 3)


def test_large_integers_are_scaled_before_they_are_rounded(tmp_path):
    stored = (COUNTS + 2**24 + 1).astype("i4")
    content = nifti(stored, scl_slope=1.0, scl_inter=-(2.0**24))
    assert np.array_equal(whole(open_series(write(tmp_path / "a.nii", content))), COUNTS + 1)


@pytest.mark.parametrize("slope", [0.0, np.nan])
def test_no_slope_is_no_scale(tmp_path, slope):
    content = nifti(COUNTS.astype("i2"), scl_slope=slope, scl_inter=7.0)
    assert np.array_equal(whole(open_series(write(tmp_path / "a.nii", content))), COUNTS)


def test_the_scale_of_complex_numbers_acts_on_both_parts(tmp_path):
    content = nifti(COMPLEX, scl_slope=2.0, scl_inter=1.0)
    assert np.allclose(
        whole(open_series(write(tmp_path / "a.nii", content))), 2 * COMPLEX + (1 + 1j), atol=1e-6
    )


@pytest.mark.parametrize("header_gz", ["", ".gz"])
@pytest.mark.parametrize("image_gz", ["", ".gz"])
def test_pairs_from_either_half(tmp_path, header_gz, image_gz):
    header, data = pack(COMPLEX, pair=True)
    hdr = write(tmp_path / f"a.hdr{header_gz}", header)
    img = write(tmp_path / f"a.img{image_gz}", data)
    assert np.array_equal(whole(open_series(hdr)), COMPLEX)
    assert np.array_equal(whole(open_series(img)), COMPLEX)


def test_extensions_and_a_pair_with_an_offset_are_tolerated(tmp_path):
    extension = np.array([32, 6], "<i4").tobytes() + b"a comment".ljust(24, b"\0")
    assert np.array_equal(
        whole(open_series(write(tmp_path / "a.nii", nifti(COMPLEX, extension=extension)))), COMPLEX
    )
    broken = np.array([2**30, 6], "<i4").tobytes().ljust(16, b"\0")
    assert np.array_equal(
        whole(open_series(write(tmp_path / "b.nii", nifti(COMPLEX, extension=broken)))), COMPLEX
    )
    header, data = pack(COMPLEX, pair=True, vox_offset=64)
    write(tmp_path / "c.hdr", header)
    assert np.array_equal(whole(open_series(write(tmp_path / "c.img", b"x" * 64 + data))), COMPLEX)


def test_a_mask_in_any_pattern_reads_its_voxels(tmp_path):
    path = write(tmp_path / "a.nii", nifti(COMPLEX))
    for share in (0.05, 0.5, 0.95):
        mask = RNG.random((5, 4, 3)) < share
        read = whole(open_series(path), mask=mask, max_bytes=8 * 70 * 6)
        assert np.array_equal(read[mask], COMPLEX[mask]) and np.isnan(read[~mask]).all()


def test_real_and_imaginary_part_in_two_files(tmp_path):
    real = write(tmp_path / "re.nii", nifti(COMPLEX.real.copy()))
    imag = write(tmp_path / "im.nii.gz", nifti(COMPLEX.imag.astype("f8"), order=">"))
    assert np.array_equal(whole(open_series(real, imag=imag)), COMPLEX)
    assert np.allclose(whole(open_series(real, imag=imag, form="magnitude")), np.abs(COMPLEX))


def test_real_and_imaginary_part_in_a_fifth_dimension(tmp_path):
    parts = np.stack([COMPLEX.real, COMPLEX.imag], axis=-1)
    series = open_series(write(tmp_path / "a.nii", nifti(parts)))
    assert np.array_equal(whole(series), COMPLEX)
    assert "real and imaginary part" in series.assumptions[0]


@pytest.mark.parametrize("shape", [(5, 4, 3, 70, 1, 1), (5, 4, 3, 1, 70)])
def test_singletons(tmp_path, shape):
    series = open_series(write(tmp_path / "a.nii", nifti(COMPLEX.reshape(shape, order="F"))))
    assert np.array_equal(whole(series), COMPLEX)
    assert len(series.assumptions) == (1 if len(shape) == 5 else 0)


@pytest.mark.parametrize(
    ("encode", "said"),
    [
        (lambda angle: angle.astype("f4"), "radians"),
        (lambda angle: np.mod(angle, 2 * np.pi).astype("f8"), "radians"),
        (lambda angle: np.rint(angle / np.pi * 2047 + 2048).astype("u2"), "0..4095"),
        (lambda angle: np.rint(angle / np.pi * 4095).astype("i2"), "-4096..4095"),
    ],
)
def test_magnitude_and_phase(tmp_path, encode, said):
    magnitude = write(tmp_path / "mag.nii", nifti(np.abs(COMPLEX)))
    phase = write(tmp_path / "ph.nii", nifti(encode(np.angle(COMPLEX))))
    series = open_series(magnitude, phase=phase)
    assert series.form == "complex" and said in " ".join(series.assumptions)
    assert np.abs(whole(series) - COMPLEX).max() < 2e-3 * np.abs(COMPLEX).max()


@pytest.mark.parametrize("scale", [180 / np.pi, 1000, 1 / np.pi, 0.3])
@pytest.mark.parametrize("dtype", ["f4", "i2"])
def test_a_phase_in_another_unit_is_refused_unless_named(tmp_path, scale, dtype):
    magnitude = write(tmp_path / "mag.nii", nifti(np.abs(COMPLEX)))
    phase = write(tmp_path / "ph.nii", nifti((np.angle(COMPLEX) * scale).astype(dtype)))
    with pytest.raises(InputError, match="its phase spans"):
        open_series(magnitude, phase=phase)
    (tmp_path / "ph.json").write_text('{"Units": "rad"}')
    assert open_series(magnitude, phase=phase).form == "complex"


def test_a_phase_that_leaves_its_range_later_is_refused(tmp_path):
    angle = np.angle(COMPLEX)
    angle[0, 0, 0, 1] = 40.0
    magnitude = write(tmp_path / "mag.nii", nifti(np.abs(COMPLEX)))
    series = open_series(magnitude, phase=write(tmp_path / "ph.nii", nifti(angle)))
    with pytest.raises(InputError, match=r"ph.nii: has a phase of 40"):
        whole(series)


def test_forms(tmp_path):
    path = write(tmp_path / "a.nii", nifti(COMPLEX))
    real = write(tmp_path / "re.nii", nifti(COMPLEX.real.copy()))
    positive = write(tmp_path / "mag.nii", nifti(np.abs(COMPLEX)))
    assert np.allclose(whole(open_series(path, form="magnitude")), np.abs(COMPLEX))
    assert np.array_equal(whole(open_series(real, form="real")), COMPLEX.real)
    assert open_series(positive, form="magnitude").assumptions == ()
    with pytest.raises(InputError, match="holds real numbers, expected complex"):
        open_series(real, form="complex")
    with pytest.raises(InputError, match="holds complex numbers, expected real"):
        open_series(path, form="real")


def test_negative_numbers_are_no_magnitudes(tmp_path):
    with pytest.raises(InputError, match="negative number") as caught:
        open_series(write(tmp_path / "re.nii", nifti(COMPLEX.real.copy())))
    assert "form 'real'" in (caught.value.hint or "")
    late = np.abs(COMPLEX)
    late[0, 0, 0, 1] = -1
    series = open_series(write(tmp_path / "late.nii", nifti(late)))
    with pytest.raises(InputError, match="negative number -1"):
        whole(series)


def test_nan_and_infinity_pass(tmp_path):
    values = np.abs(COMPLEX).astype("f8")
    values[1, 2, 0, 5], values[0, 0, 0, 0], values[2, 2, 2, 2] = np.nan, 1e300, np.inf
    read = whole(open_series(write(tmp_path / "a.nii", nifti(values))))
    assert np.isnan(read[1, 2, 0, 5]) and np.isinf(read[0, 0, 0, 0]) and np.isinf(read[2, 2, 2, 2])


def test_options_and_files_that_do_not_go_together(tmp_path):
    path = write(tmp_path / "a.nii", nifti(COMPLEX))
    real = write(tmp_path / "re.nii", nifti(np.abs(COMPLEX)))
    with pytest.raises(UsageError, match="both given"):
        open_series(real, imag=real, phase=real)
    with pytest.raises(UsageError, match="form 'real'"):
        open_series(real, imag=real, form="real")
    with pytest.raises(UsageError, match="needs no phase"):
        open_series(real, phase=real, form="magnitude")
    with pytest.raises(InputError, match="holds complex numbers"):
        open_series(path, imag=real)
    with pytest.raises(InputError, match="holds complex numbers"):
        open_series(real, imag=path)
    for name, content in {
        "voxels": nifti(np.abs(COMPLEX)[:4]),
        "times": nifti(np.abs(COMPLEX)[..., :60]),
        "place": nifti(np.abs(COMPLEX), srow=(2.0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0)),
    }.items():
        with pytest.raises(MismatchError, match=f"{name}.nii"):
            open_series(real, imag=write(tmp_path / f"{name}.nii", content))


def test_the_sidecar_is_read_and_names_the_sequence(tmp_path):
    path = write(tmp_path / "a.nii.gz", nifti(COMPLEX))
    (tmp_path / "a.json").write_text(json.dumps({"sequence_id": "abc", "EchoTime": 0.01}))
    series = open_series(path)
    assert series.sequence_id == "abc" and series.sidecar == {
        "sequence_id": "abc",
        "EchoTime": 0.01,
    }
    for text in ("[1]", "{", "{" * 100_000, '{"a": "\udcff"}'):
        (tmp_path / "a.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(InputError, match=r"a\.json"):
            open_series(path)


@pytest.mark.parametrize(
    ("fields", "affine", "said"),
    [
        ({"sform_code": 0, "qform_code": 1, "qoffset": [7, 8, 9], "quatern": [0, 0, 1]},
         [[-2, 0, 0, 7], [0, -2.5, 0, 8], [0, 0, 3, 9]], 0),
        ({"sform_code": 0, "qform_code": 1, "pixdim": [-1, 2, 2.5, 3, 1, 1, 1, 1]},
         [[2, 0, 0, 0], [0, 2.5, 0, 0], [0, 0, -3, 0]], 0),
        ({"sform_code": 0, "qform_code": 2, "pixdim": [0, 2, 2.5, 3, 1, 1, 1, 1]},
         [[2, 0, 0, 0], [0, 2.5, 0, 0], [0, 0, 3, 0]], 0),
        ({"sform_code": 0}, [[2, 0, 0, 0], [0, 2.5, 0, 0], [0, 0, 3, 0]], 1),
        ({"xyzt_units": 1}, AFFINE[:3] * 1000, 1),
        ({"xyzt_units": 0}, AFFINE[:3], 1),
    ],
)  # fmt: skip
def test_where_the_image_lies(tmp_path, fields, affine, said):
    series = open_series(write(tmp_path / "a.nii", nifti(COMPLEX, **fields)))
    assert np.allclose(series.affine, [*np.asarray(affine).tolist(), [0, 0, 0, 1]])
    assert len(series.assumptions) == said
