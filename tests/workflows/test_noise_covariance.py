"""A covariance of the noise that the user gives makes the error bars."""

import json
import resource

import numpy as np
import pytest
from front_door import load, refuses, save, works

from mrftool.errors import InputError, MismatchError
from mrftool.formats.coefficients.noise_covariance import read_noise_covariance

N_TIME, MATRIX = 500, 24


def test_a_matrix_and_the_autocovariance_by_lag_are_the_same_noise(tmp_path):
    lags = 3 * 0.5 ** np.arange(4)
    np.save(tmp_path / "lags.npy", lags)
    matrix = read_noise_covariance(tmp_path / "lags.npy", 9)
    np.save(tmp_path / "matrix.npy", matrix)
    np.testing.assert_array_equal(read_noise_covariance(tmp_path / "matrix.npy", 9), matrix)
    np.testing.assert_allclose(matrix[2], [0.75, 1.5, 3, 1.5, 0.75, 0.375, 0, 0, 0])


@pytest.mark.parametrize(
    ("values", "kind", "says"),
    [
        (np.eye(8), MismatchError, "8 x 8 numbers, expected 9 x 9"),
        (np.ones(12), MismatchError, "12 lags, expected 1 to 9"),
        (np.eye(9) + np.diag(np.ones(8), 1), InputError, "not symmetric"),
        (np.array([1.0, 0.9]), InputError, "eigenvalue"),
        (np.array([0.0, 0.5]), InputError, "variance that is not positive"),
        (np.full((9, 9), np.nan), InputError, "finite real numbers"),
        (np.eye(9) + 0j, InputError, "finite real numbers"),
    ],
)
def test_what_no_noise_has_is_refused(values, kind, says, tmp_path):
    np.save(tmp_path / "noise.npy", values)
    with pytest.raises(kind, match=says):
        read_noise_covariance(tmp_path / "noise.npy", 9)


def test_a_matrix_of_gigabytes_is_refused_unread(tmp_path):
    with (tmp_path / "noise.npy").open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (1 << 14, 1 << 15)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + (1 << 32))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(MismatchError, match="16384 x 32768 numbers, expected 9 x 9"):
        read_noise_covariance(tmp_path / "noise.npy", 9)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + (100 << 10)


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """A scan whose noise is three times as strong in the first fifth of the frames."""
    folder = tmp_path_factory.mktemp("uneven")
    phantom = ("--phantom", "vials", "--matrix", MATRIX, "--snr", 1e6)
    works("simulate", "--seq", "delics", *phantom, "-o", folder / "clean.nii")
    clean, random = load(folder / "clean.nii"), np.random.default_rng(0)
    inside = np.abs(clean).max(axis=-1) > 0
    level = np.sqrt(np.mean(np.abs(clean[inside]) ** 2)) / 40
    sd = np.where(np.arange(N_TIME) < N_TIME // 5, 3.0, 1.0) * level
    noise = sd * random.standard_normal((*clean.shape, 2)).view(complex)[..., 0]
    save(folder / "scan.nii", (clean + noise * inside[..., None]).astype(np.complex64))
    np.save(folder / "noise.npy", np.diag(sd**2))
    np.save(folder / "relative.npy", np.diag(sd**2 / np.mean(sd**2)))
    return folder


def quantified(folder, name, *options):
    """z scores of T1 and T2 of a run."""
    out = folder / name
    model = ("--seq", "delics", "--uncertainty", "none")
    works("quantify", folder / "scan.nii", *model, "-o", out, *options)
    flags = load(out / "flags.nii.gz")
    z = []
    for parameter in ("T1", "T2"):
        error = load(out / f"{parameter}map.nii.gz") - load(
            folder / f"clean_truth_{parameter}map.nii.gz"
        )
        good = flags.astype(int) & 29 == 0
        z.append(error[good] / load(out / f"{parameter}sd.nii.gz")[good])
    return [float(np.sqrt(np.mean(np.square(each)))) for each in z]


@pytest.mark.slow
def test_error_bars_hold_with_the_covariance_of_uneven_noise(uneven):
    without = quantified(uneven, "without")
    for name in ("noise", "relative"):
        with_it = quantified(uneven, name, "--noise-covariance", uneven / f"{name}.npy")
        assert max(abs(np.log(with_it))) < 0.12
        assert max(abs(np.log(without))) > 0.2
    report = json.loads((uneven / "noise" / "report.json").read_text())
    assert "noise.npy" in report["options"]["noise-covariance"]


@pytest.mark.slow
def test_two_statements_of_the_level_are_refused(uneven):
    options = ("--noise-covariance", uneven / "noise.npy", "--noise-sd", 1, "-o", uneven / "two")
    refuses(2, "quantify", uneven / "scan.nii", "--seq", "delics", *options, says=("no other one",))
