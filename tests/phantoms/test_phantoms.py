import numpy as np
import pytest

from mrftool.errors import InputError
from mrftool.phantoms.brain import brain_phantom
from mrftool.phantoms.geometry import Waves, ellipsoid, tube
from mrftool.phantoms.phantom import Phantom, to_tissue
from mrftool.phantoms.tissues import class_tissue
from mrftool.phantoms.vials import vials_phantom
from mrftool.tissue import Tissue

WATER = Tissue(t1=[4.0], t2=[1.0])


def two_classes(fractions: list[list[float]]) -> Phantom:
    """Voxels along x of watery (T1 4 s, T2 1 s, PD 1) and dense (T1 1 s, T2 40 ms, PD 0.5) stuff,
    and bone.
    """
    image = np.array(fractions, np.float32).reshape(-1, 1, 1, 3)
    tissue = Tissue(t1=[4.0, 1.0, 9.0], t2=[1.0, 0.04, 9.0], m0=[1.0, 0.5, 0.0])
    return Phantom(image, ("water", "dense", "bone"), tissue, np.eye(4))


def test_mixing_is_by_protons() -> None:
    phantom = two_classes([[1, 0, 0], [0.5, 0.5, 0], [0, 0.5, 0.5]])
    log, _, labels = to_tissue(phantom)
    linear, _, _ = to_tissue(phantom, mixing="linear")
    np.testing.assert_allclose(log.t1, [4.0, 4 ** (2 / 3), 1.0])
    np.testing.assert_allclose(log.t2, [1.0, 0.04 ** (1 / 3), 0.04])
    np.testing.assert_allclose(linear.t1, [4.0, (2 * 4 + 1) / 3, 1.0])
    np.testing.assert_allclose(log.m0, [1.0, 0.75, 0.25])
    assert labels.tolist() == [0, 0, 1]


def test_voxels_without_protons_are_left_out() -> None:
    phantom = two_classes([[1, 0, 0], [0, 0, 1], [0, 0.3, 0.7], [0, 0, 0]])
    assert to_tissue(phantom)[1].mask.ravel().tolist() == [True, False, True, False]
    assert to_tissue(phantom, min_m0=0.2)[1].n_voxels == 1
    assert phantom.grid.n_voxels == 2
    with pytest.raises(InputError, match="no voxel"):
        to_tissue(two_classes([[0, 0, 1]]))


def test_fields_are_smooth_bounded_and_seeded() -> None:
    phantom = brain_phantom((48, 48, 1))
    tissue, grid, _ = to_tissue(phantom, b1_spread=0.2, m0_phase=1.5)
    assert np.abs(tissue.b1 - 1).max() == pytest.approx(0.2)
    assert np.abs(np.angle(tissue.m0)).max() == pytest.approx(1.5)
    for field in (tissue.b1, np.angle(tissue.m0)):
        steps = np.diff(grid.to_image(field, fill=np.nan), axis=0)
        assert np.nanmax(np.abs(steps)) < np.ptp(field) / 8
    other = to_tissue(phantom, b1_spread=0.2, m0_phase=1.5, seed=1)[0]
    assert not np.allclose(other.b1, tissue.b1)
    assert not np.allclose(np.angle(other.m0), np.angle(tissue.m0))
    plain = to_tissue(phantom)[0]
    assert (plain.b1 == 1).all()
    assert (plain.m0.imag == 0).all()


@pytest.mark.parametrize("shape", [(16, 16, 1), (40, 64, 3), (64, 40, 1), (1, 1, 1)])
def test_brain_fractions_fill_each_voxel(shape: tuple[int, int, int]) -> None:
    phantom = brain_phantom(shape)
    assert phantom.fractions.shape == (*shape, len(phantom.classes))
    np.testing.assert_allclose(phantom.fractions.sum(axis=-1), 1, atol=1e-5)


def test_brain_is_anatomy_not_noise() -> None:
    phantom = brain_phantom((128, 128, 1))
    share = dict(zip(phantom.classes, np.moveaxis(phantom.fractions[:, :, 0], -1, 0), strict=True))
    area = {
        name: float(image.sum()) * np.prod(phantom.grid.voxel_size[:2])
        for name, image in share.items()
    }
    assert share["background"][[0, -1]].min() > 0.99
    assert 0.7 < area["grey_matter"] / area["white_matter"] < 1.8  # axial level of the ventricles
    assert 90 < area["lesion"] < 600  # mm2
    assert 0.1 < area["csf"] / (area["grey_matter"] + area["white_matter"] + area["csf"]) < 0.4
    middle = [name for name, image in share.items() if image[64, :].max() > 0.5]
    assert {"csf", "skull", "fat", "muscle_skin"} <= set(middle)
    brain = share["grey_matter"] + share["white_matter"]
    assert abs(brain[:64].sum() / brain[64:].sum() - 1) < 0.1  # two hemispheres alike


def test_each_ray_from_the_middle_crosses_brain_csf_skull_scalp_air_in_order() -> None:
    phantom = brain_phantom((128, 128, 1))
    dominant = phantom.fractions[:, :, 0].argmax(axis=-1)
    inside = {"grey_matter", "white_matter", "csf", "lesion"}
    for angle in np.linspace(0, 2 * np.pi, 24, endpoint=False):
        steps = np.arange(0, 63)
        x, y = (np.rint(64 + c * steps).astype(int) for c in (np.cos(angle), np.sin(angle)))
        ray = [phantom.classes[i] for i in dominant[x, y]]
        brain = max(i for i, name in enumerate(ray) if name in inside)
        last = [
            len(ray) - 1 - ray[::-1].index(layer)
            for layer in ("skull", "muscle_skin", "background")
        ]
        assert [brain, *last] == sorted([brain, *last])
        assert set(ray[brain + 1 : last[0] + 1]) == {"skull"}


def test_partial_volume_does_not_depend_on_the_matrix() -> None:
    fine, coarse = brain_phantom((128, 128, 2)), brain_phantom((32, 32, 2))
    pooled = fine.fractions.reshape(32, 4, 32, 4, 2, -1).mean(axis=(1, 3))
    for index, name in enumerate(fine.classes):
        a, b = pooled[..., index], coarse.fractions[..., index]
        assert abs(a.sum() / b.sum() - 1) < 0.03, name
        assert np.abs(a - b).mean() < 0.01, name


def test_seed_and_thickness_and_field_change_the_head() -> None:
    first = brain_phantom((48, 48, 1))
    assert np.array_equal(first.fractions, brain_phantom((48, 48, 1), seed=0).fractions)
    assert np.abs(first.fractions - brain_phantom((48, 48, 1), seed=1).fractions).max() > 0.5
    assert (
        np.abs(first.fractions - brain_phantom((48, 48, 1), slice_thickness=1.0).fractions).max()
        > 0.1
    )
    assert brain_phantom((4, 4, 1), b0=1.5).tissue.t1[3] == 0.5
    assert first.tissue.t1[3] == 1.084


@pytest.mark.slow
def test_affine_centres_the_stack_and_scales_with_the_matrix() -> None:
    grid = brain_phantom((32, 64, 4)).grid
    np.testing.assert_allclose(grid.voxel_size, [5.5, 5.5, 5.0])
    np.testing.assert_allclose(grid.affine @ [15.5, 31.5, 1.5, 1], [0, -2, 8, 1])
    assert brain_phantom((4, 4, 100)).grid.voxel_size[2] == 1.5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: brain_phantom((0, 8, 1)), "three sizes"),
        (lambda: brain_phantom((8, 8, 1), slice_thickness=-1), "slice thickness -1 mm"),
        (lambda: brain_phantom((8, 8, 1), b0=7), "field strength 7 T, expected one of 1.5, 3 T"),
        (lambda: class_tissue(["cheese"], 3.0), "'cheese', expected one of"),
        (lambda: vials_phantom((8, 8, 1), plate="T9"), "plate 'T9'"),
        (lambda: two_classes([[1.5, 0, 0]]), "outside 0 to 1"),
        (lambda: two_classes([[np.nan, 0, 0]]), "outside 0 to 1"),
        (
            lambda: Phantom(np.zeros((2, 2, 1, 2)), ("a",), Tissue(t1=[1.0], t2=[1.0]), np.eye(4)),
            "expected (x, y, z, 1",
        ),
        (
            lambda: Phantom(
                np.zeros((2, 2, 1, 1)), ("a",), Tissue(t1=[1.0], t2=[1.0]), np.zeros((4, 4))
            ),
            "affine",
        ),
        (lambda: to_tissue(brain_phantom((8, 8, 1)), mixing="cubic"), "mixing 'cubic'"),
    ],
)
def test_bad_input_is_named(make, message: str) -> None:
    with pytest.raises(InputError) as error:
        make()
    assert message in str(error.value)


def test_relaxation_is_possible() -> None:
    for b0 in (1.5, 3.0):
        for phantom in (brain_phantom((32, 32, 2), b0=b0), vials_phantom((32, 32, 1), b0=b0)):
            tissue = to_tissue(phantom)[0]
            assert (tissue.t2 <= tissue.t1).all()


@pytest.mark.parametrize(
    ("plate", "b0", "first", "last"), [("T1", 3.0, 1.989, 0.021719), ("T2", 1.5, 2.736, 0.08333)]
)
def test_vials_hold_the_reference_values(plate: str, b0: float, first: float, last: float) -> None:
    phantom = vials_phantom((120, 120, 2), plate=plate, b0=b0)
    tissue, grid, labels = to_tissue(phantom, min_m0=0.99)
    tubes = [tissue.t1[labels == n] for n in range(14)]
    assert all(np.ptp(t1) < 1e-12 for t1 in tubes)
    assert (tubes[0][0], tubes[-1][0]) == (pytest.approx(first), pytest.approx(last))
    area = phantom.fractions[:, :, 0].sum(axis=(0, 1)) * np.prod(grid.voxel_size[:2])
    np.testing.assert_allclose(area, np.pi * 7.5**2, rtol=0.01)
    assert phantom.classes[0] == f"{plate}-1"


@pytest.mark.data
def test_vials_agree_with_the_nist_table(data_dir) -> None:
    """The same values, read from another project's table of the publication."""
    text = (data_dir / "nist" / "openmrf_nist_references.m").read_text()
    for plate, salt in (("T1", "NiCl2"), ("T2", "MnCl2")):
        for b0 in (1.5, 3.0):
            part = text.split(f"case '{b0}T_{salt}'")[1]
            for name in ("t1", "t2"):
                listed = part.split(f"{name.upper()} = [")[1].split("]")[0]
                values = np.array([float(word) for word in listed.split()])[::-1] / 1e3
                tissue = vials_phantom((4, 4, 1), plate=plate, b0=b0).tissue
                np.testing.assert_allclose(getattr(tissue, name), values)


def test_fold_distance_is_exact_for_one_wave() -> None:
    wave = Waves(
        np.array([[0.5, 0, 0]], np.float32), np.array([[-np.pi / 2]], np.float32)
    )  # zero at x = 0
    points = np.zeros((3, 7), np.float32)
    points[0] = np.linspace(-3, 3, 7)
    upwards = np.tile(np.array([[0], [0], [1]], np.float32), 7)
    np.testing.assert_allclose(wave.to_fold(points, upwards), np.abs(points[0]), atol=1e-5)


def test_distances_are_signed_millimetres() -> None:
    points = np.array([[0, 0, 0], [12, 0, 0], [0, 21, 0]], np.float32).T
    np.testing.assert_allclose(ellipsoid(points, (0, 0, 0), (10, 10, 10))[1:], [2, 11], rtol=1e-4)
    assert ellipsoid(points, (0, 1, 0), (10, 20, 30))[0] < 0
    np.testing.assert_allclose(tube(points, [(0, 0, 0, 2), (0, 20, 0, 4)]), [-2, 10, -3], atol=1e-5)
