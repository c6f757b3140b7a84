"""From simulated raw data to maps, through the front door."""

import json
import shutil

import h5py
import nibabel
import numpy as np
import pytest
from front_door import command, refuses, works

from mrftool.formats.arrays.bart import read_all_dimensions
from mrftool.phantoms.head import CLASSES

SIZE = 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("raw")
    works(
        "simulate", "--seq", "delics", "--kspace", place / "scan.mrd", "--matrix", SIZE,
        "--coils", 4, "--snr", 10, "--m0-phase", 40,
    )  # fmt: skip
    works("reconstruct", place / "scan.mrd", "-o", place / "recon", "--bart", "--replicas", 3)
    return place


def _image(path):
    return np.asanyarray(nibabel.load(path).dataobj)


@pytest.fixture(scope="module")
def maps(folder):
    """The folder of maps of the reconstruction."""
    works("quantify", folder / "recon", "-o", folder / "maps")
    return folder / "maps"


@pytest.mark.slow
def test_maps_of_a_reconstruction_are_those_of_the_phantom(folder, maps):
    share = _image(folder / "scan_truth_share.nii.gz")
    classes = _image(folder / "scan_truth_dseg.nii.gz")
    pure = (share > 0.95) & (classes == 1 + CLASSES.index("white_matter"))
    assert pure.sum() > 20
    for name in ("T1map", "T2map"):
        found = _image(maps / f"{name}.nii.gz")[pure]
        true = _image(folder / f"scan_truth_{name}.nii.gz")[pure]
        assert abs(np.median(found / true) - 1) < 0.1
    assert (_image(maps / "T1sd.nii.gz")[pure] > 0).all()


@pytest.mark.slow
def test_raw_data_quantify_to_the_same_maps_in_one_command(folder):
    works("quantify", folder / "scan.mrd", "-o", folder / "direct")
    works("reconstruct", folder / "scan.mrd", "-o", folder / "default")
    works("quantify", folder / "default", "-o", folder / "two_steps")
    direct, two_steps = (_image(folder / name / "T1map.nii.gz") for name in ("direct", "two_steps"))
    np.testing.assert_allclose(direct, two_steps, rtol=1e-3)


@pytest.mark.slow
def test_bart_files_give_the_same_maps_without_error_bars(folder, maps):
    outcome = works(
        "quantify", folder / "recon" / "coefficients.cfl",
        "--basis", folder / "recon" / "basis.cfl", "--seq", "delics", "-o", folder / "bart_maps",
    )  # fmt: skip
    assert "no standard deviations" in outcome.err
    assert not (folder / "bart_maps" / "T1sd.nii.gz").exists()
    mask = _image(folder / "recon" / "mask.nii.gz") > 0
    first = _image(maps / "T1map.nii.gz")[mask]
    second = _image(folder / "bart_maps" / "T1map.nii.gz")[mask]
    assert np.median(abs(second / first - 1)) < 0.03


def test_files_are_read_by_other_libraries(folder):
    images = nibabel.load(folder / "recon" / "coefficients.nii")
    basis = np.load(folder / "recon" / "basis.npy")
    covariance = nibabel.load(folder / "recon" / "covariance.nii")
    rank = basis.shape[1]
    assert images.shape == (SIZE, SIZE, 1, rank)
    assert images.get_data_dtype() == np.complex64
    assert covariance.shape == (SIZE, SIZE, 1, rank, rank)
    cfl = read_all_dimensions(folder / "recon" / "coefficients.cfl")
    np.testing.assert_array_equal(cfl.reshape(images.shape), np.asanyarray(images.dataobj))


def test_sidecar_tells_everything_that_was_used(folder):
    facts = json.loads((folder / "recon" / "coefficients.json").read_text())
    assert facts["iterations"] == 20
    assert facts["replicas"] == 3
    assert facts["trajectory_unit"] == "1/FOV"
    assert facts["is_prewhitened"] is True
    assert facts["slices"][0]["noise_sd"] == pytest.approx(1, rel=0.1)
    assert len(facts["slices"][0]["residuals"]) == 20


def test_a_folder_of_another_schema_is_refused(folder, tmp_path):
    shutil.copytree(folder / "recon", tmp_path / "recon")
    sidecar = tmp_path / "recon" / "coefficients.json"
    facts = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps(facts | {"schema": 7}))
    outcome = command("quantify", tmp_path / "recon", "-o", tmp_path / "maps")
    assert outcome.code == 3
    assert "schema 7, expected 1" in outcome.err
    assert not (tmp_path / "maps").exists()


def _damaged(folder, name, change):
    path = folder / name
    path.write_bytes((folder / "scan.mrd").read_bytes())
    with h5py.File(path, "r+") as file:
        change(file["dataset"])
    return path


def _put(data, key, rows, value):
    for row in rows:
        record = data[row]
        record[key] = value(record[key])
        data[row] = record


def _nan(values):
    values = values.copy()
    values[5] = np.nan
    return values


def _missing(group):
    data = group["data"]
    kept = np.delete(data[:], 40)
    data.resize(len(kept), axis=0)
    data[:] = kept


def _other_coils(group):
    head = group["data"][12]
    head["head"]["active_channels"] = 3
    group["data"][12] = head


DAMAGES = {
    "readouts of 3 and 4 coils": _other_coils,
    "no readout in 1 of 500 repetitions": _missing,
    "1 of 500 readouts have samples that are not finite": lambda group: _put(
        group["data"], "data", [30], _nan
    ),
    "numbers, expected": lambda group: _put(group["data"], "traj", [20], lambda v: v[:-2]),
    "may be in none of the known units": lambda group: (
        _put(group["data"], "traj", range(len(group["data"])), lambda v: v * 0.01),
        group["xml"].__setitem__(0, group["xml"][0].replace(b"trajectory_unit", b"other")),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("message", DAMAGES)
def test_bad_raw_data_are_refused_in_one_line(folder, message):
    path = _damaged(folder, "bad.mrd", DAMAGES[message])
    outcome = command("reconstruct", path, "-o", folder / "nothing", "--replicas", 0)
    assert outcome.code in (3, 4)
    lines = [line for line in outcome.err.splitlines() if "bad.mrd" in line]
    assert len(lines) == 1
    assert message in lines[0]
    assert not (folder / "nothing").exists()


def test_a_truncated_file_is_refused(folder):
    path = folder / "short.mrd"
    path.write_bytes((folder / "scan.mrd").read_bytes()[:200_000])
    outcome = command("reconstruct", path, "-o", folder / "nothing")
    assert outcome.code == 3
    assert "short.mrd" in outcome.err
    assert not (folder / "nothing").exists()


def test_raw_data_of_another_sequence_are_refused(folder):
    outcome = command("reconstruct", folder / "scan.mrd", "--seq", "fisp", "-o", folder / "nothing")
    assert outcome.code == 4
    assert "made with sequence" in outcome.err
    assert not (folder / "nothing").exists()


@pytest.mark.slow
def test_a_trajectory_of_another_length_is_refused(folder):
    np.save(folder / "other.npy", np.random.default_rng(0).uniform(-3, 3, (48, 100, 2)))
    outcome = command(
        "reconstruct", folder / "scan.mrd", "--trajectory", folder / "other.npy",
        "--trajectory-unit", "rad/pixel", "-o", folder / "nothing",
    )  # fmt: skip
    assert outcome.code == 4
    assert "a trajectory of 100 samples, expected 800" in outcome.err
    assert not (folder / "nothing").exists()


def test_frames_and_coefficients_have_their_own_options(folder):
    assert command("quantify", folder / "recon", "--noise-sd", 1).code == 2
    assert command("simulate", "--seq", "delics", "--coils", 4).code == 2


RAW_OPTIONS = [
    ("--coils", 3),
    ("--trajectory", "radial"),
    ("--fine", 1),
    ("--b0-hz", 30),
    ("--stack",),
    ("--snr", 5),
    ("--phantom", "vials"),
    ("--coverage", 0.8),
]


def _raw(path, *options):
    works(
        "simulate", "--seq", "delics", "--kspace", path, "--matrix", 16, "--slices", 2,
        "--coils", 2, *options,
    )  # fmt: skip
    with h5py.File(path) as file:
        return np.concatenate(list(file["dataset/data"].fields("data")[:40]))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return _raw(tmp_path_factory.mktemp("plain") / "scan.mrd")


@pytest.mark.slow
@pytest.mark.parametrize("options", RAW_OPTIONS, ids=lambda options: options[0])
def test_every_option_changes_the_raw_data(tmp_path, plain, options):
    changed = _raw(tmp_path / "scan.mrd", *options)
    assert changed.shape != plain.shape or not np.allclose(changed, plain, rtol=1e-3)


CHANGES = [
    ("--rank", 4),
    ("--iterations", 3),
    ("--replicas", 1),
    ("--seed", 5),
]


@pytest.mark.slow
@pytest.mark.parametrize("options", CHANGES, ids=lambda options: options[0])
def test_every_option_changes_the_reconstruction(folder, tmp_path, options):
    chosen = {"--replicas": 3} | dict([options])
    arguments = [text for pair in chosen.items() for text in pair]
    works("reconstruct", folder / "scan.mrd", "-o", tmp_path / "recon", *arguments)
    before, after = (_image(place / "recon" / "covariance.nii") for place in (folder, tmp_path))
    assert before.shape != after.shape or not np.allclose(before, after, rtol=1e-3)


@pytest.mark.slow
def test_coil_maps_that_hold_no_phase_are_noted_and_nan_is_refused(folder, tmp_path):
    given = nibabel.load(folder / "recon" / "coils.nii")
    coils, path = np.asanyarray(given.dataobj).copy(), tmp_path / "coils.nii"
    run = ("reconstruct", folder / "scan.mrd", "--coils", path, "-o", tmp_path / "recon")
    nibabel.save(nibabel.Nifti1Image(abs(coils), given.affine), path)
    assert "hold no phase" in works(*run, "--replicas", 0, "--iterations", 1).err
    assert "hold no phase" in (tmp_path / "recon" / "report.html").read_text()
    coils[SIZE // 2, 0, 0, 1] = np.nan
    nibabel.save(nibabel.Nifti1Image(coils, given.affine), path)
    refuses(3, *run, says=("coils.nii: has values that are not finite",))


def test_raw_data_without_trajectory_ask_for_one(folder, tmp_path):
    path = tmp_path / "bare.mrd"
    shutil.copy(folder / "scan.mrd", path)
    with h5py.File(path, "r+") as file:
        readouts = file["dataset/data"][:]
        readouts["head"]["trajectory_dimensions"] = 0
        readouts["traj"] = [np.zeros(0, np.float32)] * len(readouts)
        file["dataset/data"][:] = readouts
    refuses(
        3, "reconstruct", path, "-o", tmp_path / "recon",
        says=("holds no trajectory", "see --trajectory"),
    )  # fmt: skip


def test_a_trajectory_in_another_unit_asks_for_its_unit(folder, tmp_path):
    run = ("reconstruct", folder / "scan.mrd", "-o", tmp_path / "recon")
    refuses(3, *run, "--trajectory-unit", "rad/pixel", says=("see --trajectory-unit",))


@pytest.mark.slow
def test_coil_maps_may_be_given(folder, tmp_path):
    doubled = nibabel.load(folder / "recon" / "coils.nii")
    path = tmp_path / "coils.nii"
    nibabel.save(nibabel.Nifti1Image(2 * np.asanyarray(doubled.dataobj), doubled.affine), path)
    works(
        "reconstruct", folder / "scan.mrd", "--coils", path, "--replicas", 0,
        "-o", tmp_path / "recon",
    )  # fmt: skip
    before, after = (
        abs(_image(place / "recon" / "coefficients.nii")).sum() for place in (folder, tmp_path)
    )
    assert after < 0.9 * before


@pytest.mark.slow
def test_a_field_map_and_time_segments_act(folder, tmp_path):
    images = nibabel.load(folder / "recon" / "mask.nii.gz")
    field = np.full(images.shape, 40, np.float32) * np.linspace(0, 1, SIZE)[:, None, None]
    path = tmp_path / "field.nii"
    nibabel.save(nibabel.Nifti1Image(field.astype(np.float32), images.affine), path)
    found = []
    for count in (1, 3):
        works(
            "reconstruct", folder / "scan.mrd", "--b0", path, "--segments", count,
            "--replicas", 0, "-o", tmp_path / f"recon{count}",
        )  # fmt: skip
        found.append(_image(tmp_path / f"recon{count}" / "coefficients.nii"))
    assert not np.allclose(found[0], found[1], rtol=1e-2)


def test_a_sidecar_of_coefficients_is_compared_with_the_sequence(folder, tmp_path):
    shutil.copytree(folder / "recon", tmp_path / "recon")
    sidecar = tmp_path / "recon" / "coefficients.json"
    facts = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps({**facts, "RepetitionTime": 0.013}))
    maps = ("-o", tmp_path / "maps")
    says = ("RepetitionTime is 13 ms, the sequence has TR 12 ms", "allow tr")
    refuses(4, "quantify", tmp_path / "recon", *maps, says=says)
    assert not (tmp_path / "maps").exists()
    sidecar.write_text(json.dumps({**facts, "RepetitionTime": 0.012, "EchoTime": 0.0007}))
    assert "allowed" not in works("quantify", tmp_path / "recon", *maps).err


@pytest.mark.slow
def test_coefficient_images_are_matched_as_the_frames_that_they_stand_for(folder, tmp_path):
    recon, grid = (
        folder / "recon",
        ("--seq", "delics", "--t1-ms", "200:4000:log40", "--t2-ms", "20:1500:log40"),
    )
    works("match", recon, *grid, "-o", tmp_path / "maps")
    images = ("--basis", recon / "basis.npy", "--mask", recon / "mask.nii.gz")
    works(
        "match", recon / "coefficients.nii", *images, "--seq", "delics", *grid, "-o", tmp_path / "m"
    )
    first, second = (_image(tmp_path / name / "T1map.nii.gz") for name in ("maps", "m"))
    assert (first == second)[second > 0].all()
    works("quantify", recon, "-o", tmp_path / "fitted")
    fitted = _image(tmp_path / "fitted" / "T1map.nii.gz")
    inside = (first > 0) & (fitted > 0.3) & (fitted < 3)
    assert np.median(abs(first[inside] / fitted[inside] - 1)) < 0.05
    says = ("delics, not fisp_jiang",)
    refuses(
        4, "match", recon, "--seq", "fisp_jiang", *grid[2:], "-o", tmp_path / "other", says=says
    )
    refuses(3, "match", folder / "scan.mrd", "-o", tmp_path / "other", says=("reconstruct",))


@pytest.mark.slow
def test_the_header_of_raw_data_is_compared_with_the_sequence(folder, tmp_path):
    raw = shutil.copy(folder / "scan.mrd", tmp_path / "scan.mrd")
    with h5py.File(raw, "r+") as file:
        text = file["dataset/xml"][0].decode()
        start = text.index("<sequenceParameters>") + len("<sequenceParameters>")
        file["dataset/xml"][0] = text[:start] + "<TR>13</TR><TE>0.7</TE>" + text[start:]
    says = ("RepetitionTimeExcitation is 13 ms, the sequence has TR 12 ms", "allow tr")
    for name in ("quantify", "reconstruct"):
        refuses(4, name, raw, "-o", tmp_path / "maps", says=says)
    assert not (tmp_path / "maps").exists()
    works("reconstruct", raw, "--allow", "tr", "--replicas", 0, "-o", tmp_path / "recon")
    images = json.loads((tmp_path / "recon" / "coefficients.json").read_text())
    assert images["allowed"] == [images["assumptions"][-1]]
    assert images["allowed"][0].startswith("allowed (tr): RepetitionTimeExcitation is 13 ms")
    outcome = works("quantify", raw, "--allow", "tr", "-o", tmp_path / "maps")
    assert "allowed (tr): RepetitionTimeExcitation is 13 ms" in outcome.err
    facts = json.loads((tmp_path / "maps" / "T1map.json").read_text())["mrftool"]
    assert facts["allowed"][0].startswith("allowed (tr)")


@pytest.mark.slow
def test_covariance_of_a_file_gives_error_bars(folder, tmp_path):
    rank = np.load(folder / "recon" / "basis.npy").shape[1]
    widths = []
    for factor in (1, 4):
        path = tmp_path / f"covariance{factor}.npy"
        np.save(path, factor * 1e-4 * np.eye(rank))
        works(
            "quantify", folder / "recon" / "coefficients.nii",
            "--basis", folder / "recon" / "basis.npy", "--covariance", path, "--seq", "delics",
            "--mask", folder / "recon" / "mask.nii.gz", "-o", tmp_path / f"maps{factor}",
        )  # fmt: skip
        widths.append(_image(tmp_path / f"maps{factor}" / "T1sd.nii.gz"))
    assert np.median(widths[1][widths[0] > 0]) > 0


@pytest.mark.slow
def test_basis_is_written_for_others(tmp_path):
    works("export", "--seq", "delics", "--basis", tmp_path / "basis.npy")
    works("export", "--seq", "delics", "--basis", tmp_path / "basis.cfl", "--rank", 4)
    vectors = np.load(tmp_path / "basis.npy")
    bart = read_all_dimensions(tmp_path / "basis.cfl")
    assert bart.shape[5:7] == (500, 4)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(vectors.shape[1]), atol=1e-9)
    np.testing.assert_allclose(bart.reshape(500, 4), vectors[:, :4], atol=1e-6)
    wider = tmp_path / "wider.npy"
    works("export", "--seq", "delics", "--basis", wider, "--b1", 0.8, 1.2)
    assert not np.allclose(np.load(wider), vectors)
    assert command("export", "--seq", "delics", "--rank", 4).code == 2
    assert command("export", "--basis", tmp_path / "b.npy").code == 2


@pytest.mark.slow
def test_a_joint_estimate_is_refused_where_k_space_is_not_covered(folder, tmp_path):
    outcome = command("quantify", folder / "scan.mrd", "--joint", "-o", tmp_path / "nothing")
    assert outcome.code == 3
    assert "covers" in outcome.err
    assert not (tmp_path / "nothing").exists()
    outcome = command("quantify", folder / "recon", "--joint", "-o", tmp_path / "nothing")
    assert outcome.code == 2
    assert "needs raw data" in outcome.err


@pytest.mark.slow
def test_a_joint_estimate_of_raw_data_says_that_it_is_experimental(tmp_path):
    works(
        "simulate", "--seq", "delics", "--kspace", tmp_path / "scan.mrd", "--matrix", SIZE,
        "--coils", 4, "--snr", 10, "--coverage", 1.41,
    )  # fmt: skip
    outcome = works("quantify", tmp_path / "scan.mrd", "--joint", "-o", tmp_path / "joint")
    assert "experimental" in outcome.err
    works("quantify", tmp_path / "scan.mrd", "-o", tmp_path / "plain")
    joint, plain = (_image(tmp_path / name / "T1map.nii.gz") for name in ("joint", "plain"))
    assert not np.allclose(joint, plain, rtol=1e-3)
    assert np.median(abs(joint[plain > 0] / plain[plain > 0] - 1)) < 0.1
    assert (_image(tmp_path / "joint" / "T1sd.nii.gz")[plain > 0] > 0).mean() > 0.99


@pytest.mark.slow
def test_a_stated_uncertainty_widens_the_maps_of_coefficients(folder, tmp_path):
    found = {}
    for size in ("0%", "10%"):
        maps = tmp_path / size[:-1]
        works("quantify", folder / "recon", "--uncertainty", f"b1={size}", "-o", maps)
        names = ("T2uncertainty", "T2sd")
        found[size] = [_image(maps / f"{name}.nii.gz") for name in names]
    inside = found["0%"][1] > 0
    assert (found["0%"][1] == found["10%"][1]).all()
    assert np.median(found["10%"][0][inside] / found["0%"][0][inside]) > 1.5
    budget = json.loads((tmp_path / "10" / "report.json").read_text())["uncertainty"]
    assert not budget["assumed_is_typical"]
