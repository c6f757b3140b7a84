import base64
import io

import numpy as np
import pytest
from PIL import Image

from mrftool.formats.png import png_bytes, rgb_png_bytes
from mrftool.pages.colours import GREY
from mrftool.pages.styles import style_of, ticks
from mrftool.pages.views import orientation, view_of
from mrftool.quantities import FLAGS, UNFLAGGED, Flag
from mrftool.reports.parts.pictures import bars, curve, flag_picture, gradient, map_picture

RAS = np.diag([2.0, 2.0, 5.0, 1.0])


def pixels(picture) -> np.ndarray:
    content = base64.b64decode(picture.uri.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")) / 255


def test_png_is_read_back_by_another_library():
    random = np.random.default_rng(0)
    indices, palette = random.integers(0, 256, (13, 7)).astype(np.uint8), random.random((256, 3))
    found = np.asarray(Image.open(io.BytesIO(png_bytes(indices, palette))).convert("RGB"))
    assert np.array_equal(found, np.rint(255 * palette[indices]))


def test_a_png_of_many_colours_holds_every_pixel() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 5, 3)).astype(np.uint8)
    found = np.asarray(Image.open(io.BytesIO(rgb_png_bytes(pixels))))
    np.testing.assert_array_equal(found, pixels)


def test_a_map_has_the_colours_of_its_scale():
    image = np.linspace(0, 4, 60, dtype=np.float32).reshape(60, 1, 1)  # s; the window ends at 3 s
    shown = pixels(map_picture(image, np.zeros(image.shape, bool), view_of(RAS), style_of("t1")))[
        0, ::-1
    ]
    table = style_of("t1").table
    expected = table[np.minimum(image.ravel() / 3 * 256, 255).astype(int)]
    steps = np.abs(np.diff(table, axis=0)).max() + 1 / 255
    assert np.abs(shown - expected).max() <= 2 * steps
    assert np.allclose(shown[-15:], table[-1], atol=1 / 255)


def test_masked_is_black_and_nan_is_grey_even_where_pixels_are_means():
    for shape in ((20, 20, 1), (800, 800, 1)):
        image, masked = np.full(shape, 1.5, np.float32), np.zeros(shape, bool)
        masked[: shape[0] // 2] = True
        image[-1, -1] = np.nan
        picture = map_picture(image, masked, view_of(RAS), style_of("t1"))
        shown = pixels(picture)
        assert picture.reduced == (1 if shape[0] == 20 else 2)
        assert np.array_equal(
            shown[-1, -1], [0, 0, 0]
        )  # low x is the patient's left, shown on the right
        assert np.allclose(shown[0, 0], GREY, atol=1 / 255)
        half = shown.shape[1] // 2
        assert not shown[:, half + 1 :].any() and shown[:, : half - 1].all()


def test_reduced_pictures_show_means_and_lose_no_complaint():
    image = np.zeros((1200, 1200, 1), np.float32)
    image[::3] = 3.0
    picture = map_picture(image, np.zeros(image.shape, bool), view_of(RAS), style_of("t1"))
    assert picture.reduced == 3 and (picture.width, picture.height) == (400, 400)
    table = style_of("t1").table
    assert np.abs(pixels(picture) - table[85]).max() < 4 * np.abs(np.diff(table, axis=0)).max()
    flags = np.full(image.shape, Flag.MASKED, np.uint8)
    flags[600:] = 0
    flags[700, 700] = Flag.MISFIT
    shown = pixels(flag_picture(flags, view_of(RAS)))
    misfit = FLAGS[Flag.MISFIT].colour
    assert np.isclose(shown, misfit, atol=1 / 255).all(axis=2).sum() == 1
    assert np.isclose(shown, UNFLAGGED.colour, atol=1 / 255).all(axis=2).sum() == 200 * 400 - 1


def test_the_gravest_flag_is_shown_and_empty_places_are_black():
    flags = np.zeros((4, 4, 5), np.uint8)  # five slices leave a place of the montage empty
    flags[0] = Flag.T2_UNDETERMINED | Flag.OUT_OF_RANGE
    shown = pixels(flag_picture(flags, view_of(RAS))).reshape(-1, 3)
    colours = {each.label: each.colour for each in FLAGS.values()}
    count = {
        name: np.isclose(shown, colour, atol=1 / 255).all(axis=1).sum()
        for name, colour in colours.items()
    }
    assert count["out of range"] == 20 and count["T2 undetermined"] == 0
    assert count["masked"] == len(shown) - 80


def test_a_page_lies_as_a_radiologist_expects():
    image = np.zeros((6, 4, 1), np.float32)
    image[-1, -1] = 3.0  # right and front
    shown = pixels(map_picture(image, image == 0, view_of(RAS), style_of("t1")))
    assert shown[0, 0].any() and not shown[1:].any() and not shown[:, 1:].any()


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        (np.eye(3), ("RAS", 0.0)),
        (np.diag([-2, 3, -1]), ("LAI", 0.0)),
        (np.eye(3)[[2, 0, 1]], ("ASR", 0.0)),
        (
            [[1, 0, 0], [0, np.cos(0.3), -np.sin(0.3)], [0, np.sin(0.3), np.cos(0.3)]],
            ("RAS", np.rad2deg(0.3)),
        ),
    ],
)
def test_orientation_agrees_with_nibabel(axes, expected):
    from nibabel.orientations import aff2axcodes

    affine = np.eye(4)
    affine[:3, :3] = axes
    codes, oblique = orientation(affine)
    assert (codes, oblique) == (expected[0], pytest.approx(expected[1], abs=1e-6))
    assert tuple(codes) == aff2axcodes(affine)


def test_curves_and_bars_fill_their_box():
    assert bars([0, 2, 1]) == "M0 100V100H333.33V0H666.67V50H1000V100Z"
    assert bars([0, 0]) == "M0 100V100H500V100H1000V100Z"
    assert curve([0, 5, 10], 0, 10) == "M166.67 100L500 50L833.33 0"


@pytest.mark.parametrize(
    ("low", "high"), [(0, 3000), (0, 0.2), (-20, 20), (0, 1.23e-5), (1, 500), (0, 1e9)]
)
def test_ticks_are_round_and_inside(low, high):
    found = ticks(low, high)
    assert 2 <= len(found) <= 6
    assert min(found) >= low - 1e-9 * high and max(found) <= high * (1 + 1e-9)
    assert all(len(f"{tick:g}".replace("-", "").replace(".", "").strip("0")) <= 6 for tick in found)
    assert "-0" not in [f"{tick:g}" for tick in found]


def test_the_colour_bar_ends_as_the_table_does():
    table = np.linspace(0, 1, 256)[:, None].repeat(3, axis=1)
    assert gradient(table).startswith("linear-gradient(to right,#000000,")
    assert gradient(table).endswith(",#ffffff)")


@pytest.mark.parametrize("ends", [(0.0, 5e-324), (0.0, np.inf), (0.0, np.nan), (1.0, 1.0)])
def test_ends_that_no_float_tells_apart_have_no_ticks(ends):
    assert ticks(*ends) == []
