from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from readable_figure import require_readable, require_readable_page

from mrftool.errors import InputError, MismatchError
from mrftool.figures import canvas
from mrftool.figures.curves import sequence_figure, training_figure
from mrftool.figures.scatter import scatter_figure
from mrftool.figures.sequences.diagram import diagram_figure
from mrftool.formats.sequence.yaml_file import parse_sequence, sequence_summary
from mrftool.maps import Maps
from mrftool.pages import drawing
from mrftool.pages.colours import GREY, coloured, lipari, log_processed, navia
from mrftool.pages.maps import error_figure, overview_figure
from mrftool.pages.page import MapPage
from mrftool.pages.styles import style_of
from mrftool.pages.views import chosen_slices, montage, montage_columns, view_of
from mrftool.phantoms.brain import brain_phantom
from mrftool.phantoms.phantom import to_tissue
from mrftool.quantities import Flag
from mrftool.sequence import Inversion, PulseSequence, Train
from mrftool.tissue import Tissue

SHAPES = [(16, 16, 1), (256, 256, 1), (24, 40, 3), (16, 16, 30)]


def maps_of(
    shape: tuple[int, int, int], *, extra: bool = True
) -> tuple[Maps, np.ndarray, dict[str, np.ndarray]]:
    """Maps of the digital head with a NaN voxel in the middle, its affine, and the truth."""
    tissue, grid, _ = to_tissue(brain_phantom(shape))
    truth = {key: grid.to_image(getattr(tissue, key)) for key in ("t1", "t2")}
    t1 = truth["t1"].astype(np.float32)
    t1[shape[0] // 2, shape[1] // 2, 0] = np.nan
    flags = np.where(grid.mask, 0, Flag.MASKED).astype(np.uint8)
    flags[np.isnan(t1)] = Flag.NON_FINITE
    flags[truth["t1"] > 3] |= np.uint8(Flag.OUT_OF_RANGE | Flag.T2_UNDETERMINED)
    more = (
        {"sd_t1": 0.02 * t1, "sd_t2": 0.05 * t1, "residual": np.full(shape, 0.1, np.float32)}
        if extra
        else {}
    )
    m0 = grid.to_image(tissue.m0).astype(np.complex64)
    return Maps(t1, truth["t2"].astype(np.float32), m0, flags, more), grid.affine, truth


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that would have been saved."""
    kept: list[Figure] = []
    monkeypatch.setattr(canvas, "save_figure", lambda figure, path: kept.append(figure))
    return kept


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> list[MapPage]:
    """The pages of maps that would have been saved."""
    kept: list[MapPage] = []
    monkeypatch.setattr(drawing, "save_page", lambda page, path: kept.append(page))
    return kept


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "extra"), [(SHAPES[0], False), *((shape, True) for shape in SHAPES[1:])]
)
def test_overview_is_readable_at_any_size(
    pages: list[MapPage], shape: tuple[int, int, int], extra: bool
) -> None:
    maps, affine, _ = maps_of(shape, extra=extra)
    overview_figure(maps, affine, "x.png", title="scan.nii.gz")
    require_readable_page(pages[0])
    titles = [panel.title for panel in pages[0].panels]
    assert titles[:3] == ["T1 [ms]", "T2 [ms]", "|M0| [scanner's unit]"]
    assert len(titles) == (7 if extra else 4)


@pytest.mark.parametrize("shape", [(900, 1, 1), (1, 900, 1), (1, 1, 1)])
def test_maps_of_any_proportions_fill_a_page_of_bounded_size(
    tmp_path: Path, shape: tuple[int, int, int]
) -> None:
    image = np.linspace(0.1, 2, 900, dtype=np.float32)[: np.prod(shape)].reshape(shape)
    maps = Maps(image, image / 10, image, np.zeros(shape, np.uint8))
    overview_figure(maps, None, tmp_path / "a.png", title="lone \udcff surrogate")
    with Image.open(tmp_path / "a.png") as found:
        assert 100 < found.height < 4000 and 1000 < found.width < 4000


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES[1::2])
def test_error_maps_are_readable_at_any_size(
    pages: list[MapPage], shape: tuple[int, int, int]
) -> None:
    maps, affine, truth = maps_of(shape)
    error_figure(truth, {"t1": maps.t1, "t2": maps.t2}, affine, "x.png", title="SNR 20")
    require_readable_page(pages[0])
    assert pages[0].panels[2].title == "error of T1 [%]"


def bars(page: MapPage) -> dict[str, tuple[float, float]]:
    """Limits of the colour bar of each map."""
    return {panel.title: panel.scale.window for panel in page.panels if panel.scale is not None}


def test_windows_do_not_depend_on_the_scan(pages: list[MapPage]) -> None:
    maps, affine, _ = maps_of((16, 16, 1))
    hot = Maps(
        2 * maps.t1, 2 * maps.t2, 2 * maps.m0, maps.flags, {k: 2 * v for k, v in maps.extra.items()}
    )
    for each in (maps, hot):
        overview_figure(each, affine, "x.png")
    first, second = map(bars, pages)
    assert first["T1 [ms]"] == (0, 3000)
    assert first["T2 [ms]"] == (0, 300)
    changed = {title for title in first if first[title] != second[title]}
    fitted = {f"standard deviation of {name} [ms]" for name in ("T1", "T2")}
    assert changed == {"|M0| [scanner's unit]"} | fitted


@pytest.mark.parametrize(
    ("largest", "end"), [(0.0149, 15), (0.0151, 20), (0.5, 500), (3e-6, 3e-3), (0.0, 1000)]
)
def test_scales_of_standard_deviations_end_at_a_round_number(largest: float, end: float) -> None:
    """The colours are spent on what the map holds: noise of 3 us is seen as well as 0.5 s."""
    image = np.full((10, 10, 1), largest)
    assert style_of("sd_t1", image).window == pytest.approx((0, end))


def test_what_is_not_a_number_is_grey_and_what_is_masked_is_black(pages: list[MapPage]) -> None:
    maps, affine, _ = maps_of((16, 16, 1))
    overview_figure(maps, affine, "x.png")
    picture = pages[0].panels[0].picture
    masked = np.flip((maps.flags[:, :, 0] == Flag.MASKED).T, (0, 1))
    assert (picture[masked] == 0).all()
    grey = np.isclose(picture, GREY).all(axis=-1)
    np.testing.assert_array_equal(grey, np.flip(np.isnan(maps.t1[:, :, 0]).T, (0, 1)))


def test_errors_are_relative_to_the_truth(pages: list[MapPage]) -> None:
    truth = np.array([[[1.0], [1.0]], [[1.0], [0.0]]])
    found = np.array([[[1.0], [1.3]], [[0.7], [5.0]]])
    error_figure({"t1": truth}, {"t1": found}, np.eye(4), "x.png")
    picture = np.flip(pages[0].panels[2].picture, (0, 1)).swapaxes(0, 1)
    red, blue = picture[0, 1], picture[1, 0]  # +30 % and -30 %, both beyond the window
    assert red[0] > 0.5 > red[2]
    assert blue[2] > 0.5 > blue[0]
    assert np.ptp(picture[0, 0]) < 0.05  # no error: grey of the middle
    assert (picture[1, 1] == 0).all()  # no truth: black
    with pytest.raises(MismatchError, match="expected"):
        error_figure({"t1": truth}, {"t1": found[:1]}, np.eye(4), "x.png")


@pytest.mark.slow
def test_every_figure_is_a_png_or_not_there(tmp_path: Path, short_sequence: PulseSequence) -> None:
    maps, affine, truth = maps_of((16, 16, 2))
    mask = truth["t1"] > 0
    tissue = Tissue(t1=truth["t1"][mask], t2=truth["t2"][mask])
    columns = {"t1": maps.t1[mask], "t2": maps.t2[mask]}
    draw = {
        "overview": lambda path: overview_figure(maps, affine, path),
        "error": lambda path: error_figure(truth, {"t1": maps.t1, "t2": maps.t2}, affine, path),
        "scatter": lambda path: scatter_figure(tissue, columns, path),
        "sequence": lambda path: sequence_figure(short_sequence, path),
        "curve": lambda path: training_figure([{"step": 1, "loss": 2.0}], path),
    }
    for name, make in draw.items():
        make(tmp_path / f"{name}.png")
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert picture.format == "PNG"
            assert len(np.unique(np.asarray(picture.convert("L")))) > 20
        with pytest.raises(InputError, match="cannot be written"):
            make(tmp_path / "none" / f"{name}.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"{name}.png" for name in draw
    )


def test_scatter_shows_each_class_once_and_no_invalid_estimate(drawn: list[Figure]) -> None:
    truth = Tissue(t1=np.linspace(0.3, 4, 50), t2=np.linspace(0.03, 2, 50))
    labels = np.repeat([0, 1, 4], [20, 20, 10])
    t1 = np.where(np.arange(50) < 5, np.nan, truth.t1)
    names = ("csf", "grey_matter", "fat", "skull", "lesion")
    scatter_figure(
        truth, {"t1": t1, "t2": truth.t2}, "x.png", labels=labels, classes=names, title="SNR 20"
    )
    require_readable(drawn[0])
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == [
        "CSF",
        "grey matter",
        "lesion",
    ]
    points = np.concatenate([line.get_xydata() for line in drawn[0].axes[0].lines[:3]])
    np.testing.assert_allclose(points, np.stack([1e3 * truth.t1, 1e3 * truth.t1], axis=1)[5:])


def test_sequence_figure_is_in_degrees_and_milliseconds(
    drawn: list[Figure], short_sequence: PulseSequence
) -> None:
    phases = np.deg2rad(117.0 * np.arange(40))
    train = PulseSequence(
        short_sequence.flip_angle,
        phases,
        short_sequence.tr,
        short_sequence.te,
        Train(Inversion(0.9, 0.02), 3, 1.5).events,
        name="odd",
    )
    sequence_figure(train, "x.png")
    require_readable(drawn[0])
    flips, rf, times = drawn[0].axes
    assert flips.lines[0].get_ydata().max() == pytest.approx(60)
    np.testing.assert_allclose(
        rf.lines[0].get_ydata(), np.mod(117.0 * np.arange(40), 360), atol=1e-6
    )
    np.testing.assert_allclose(times.lines[0].get_ydata(), 12)
    np.testing.assert_allclose(times.lines[1].get_ydata(), 3)
    assert "inversion efficiency 0.9, TI 20 ms, 3 trains 1.5 s apart" in drawn[0].get_suptitle()


def test_curve_has_gaps_where_nothing_was_measured(drawn: list[Figure]) -> None:
    rows = [{"step": s, "loss": 10.0 ** -(s / 100), "embedding": -1.0} for s in range(0, 500, 100)]
    rows[2] |= {"score": 1.2, "rmse_over_bound_snr10": float("nan")}
    training_figure(rows, "x.png")
    require_readable(drawn[0])
    losses, validation = drawn[0].axes
    assert losses.get_yscale() == "linear"  # a negative loss has no logarithm
    assert [line.get_xdata().tolist() for line in validation.lines] == [[200], []]
    training_figure([{"step": row["step"], "loss": row["loss"]} for row in rows], "x.png")
    assert drawn[1].axes[0].get_yscale() == "log"
    training_figure([], "x.png")


@pytest.mark.parametrize(
    ("affine", "marks", "aspect"),
    [
        (np.diag([2.0, 2, 5, 1]), "RLAP", 1),
        (np.diag([-2.0, -1, 5, 1]), "RLAP", 0.5),
        (
            np.array([[0, 0, 3.0, 0], [-1, 0, 0, 0], [0, -2, 0, 0], [0, 0, 0, 1]]),
            "APSI",
            2,
        ),  # sagittal, as scanned
        (
            np.array([[1.0, 0, 0, 0], [0, 0, -3, 0], [0, 2, 0, 0], [0, 0, 0, 1]]),
            "RLSI",
            2,
        ),  # coronal
        (
            np.array([[0.8, 0.6, 0, 0], [-0.6, 0.8, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]]),
            "RLAP",
            1,
        ),  # oblique
    ],
)
def test_views_follow_the_affine(affine: np.ndarray, marks: str, aspect: float) -> None:
    """The brightest corner of a ramp along each axis lands where its mark says."""
    view = view_of(affine)
    assert view.left + view.right + view.top + view.bottom == marks
    assert view.aspect == pytest.approx(aspect)
    index = np.stack(np.meshgrid(range(4), range(5), range(3), indexing="ij"), axis=-1)
    place = index @ affine[:3, :3].T
    pages = view.planes(place)
    towards = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
    ends = {
        "left": pages[:, :, 0],
        "right": pages[:, :, -1],
        "top": pages[:, 0],
        "bottom": pages[:, -1],
    }
    for (edge, values), mark in zip(ends.items(), marks, strict=True):
        axis, sign = towards[mark]
        best = (sign * pages[..., axis]).max()
        assert (sign * values[..., axis]).max() == pytest.approx(best), edge
    assert len(pages) == 3
    through = view.axes[0]
    assert (np.diff(pages[:, 0, 0, np.argmax(np.abs(affine[:3, through]))]) > 0).all()


def test_montage_puts_slices_in_reading_order() -> None:
    pages = np.arange(5)[:, None, None, None] * np.ones((5, 2, 3, 1))
    picture = montage(pages, 3)[..., 0]
    assert picture.shape == (4, 9)
    np.testing.assert_array_equal(picture[::2, ::3], [[0, 1, 2], [3, 4, 0]])
    assert montage_columns(12, 1.0, 1.0) in (3, 4)
    assert montage_columns(1, 1.0, 1.0) == 1
    assert montage_columns(4, 1.0, 4.0) == 1
    np.testing.assert_array_equal(chosen_slices(3, 12), [0, 1, 2])
    np.testing.assert_array_equal(chosen_slices(30, 3), [5, 15, 25])


@pytest.mark.parametrize(
    ("table", "facts"),  # rows 5, 100 and 200 of the published tables
    [
        (
            lipari(),
            [
                (0.018987, 0.1, 0.184274),
                (0.490149, 0.375002, 0.443038),
                (0.904539, 0.6459, 0.483509),
            ],
        ),
        (
            navia(),
            [
                (0.017336, 0.098133, 0.188743),
                (0.19127, 0.482238, 0.54113),
                (0.613718, 0.804596, 0.445574),
            ],
        ),
    ],
)
def test_colours_are_the_published_ones(table: np.ndarray, facts: list) -> None:
    np.testing.assert_allclose(table[[5, 100, 200]], facts, atol=1 / 255)


def test_log_processed_colours_brighten_without_a_jump() -> None:
    for table in (lipari(), navia()):
        processed = log_processed(table)
        assert (processed[0] == 0).all()
        np.testing.assert_allclose(processed[-1], table[-1])
        lightness = processed[1:] @ [0.2126, 0.7152, 0.0722]
        assert (np.diff(lightness) > -2e-3).all()
        assert np.abs(np.diff(processed[1:], axis=0)).max() < 0.05
        middle = round(255 / np.e)  # where the linear part ends: half way through the colours
        np.testing.assert_allclose(processed[middle], (table[127] + table[128]) / 2, atol=0.01)


def test_coloured_clips_and_marks() -> None:
    table = np.repeat(np.arange(256)[:, None] / 255, 3, axis=1)
    image = np.array([[-5.0, 0.0, 150.0, 300.0, 9e9, np.inf, np.nan]])
    picture = coloured(image, table, (0, 300), np.zeros(image.shape, bool))[0]
    np.testing.assert_allclose(picture[:, 0], [0, 0, 128 / 255, 1, 1, 1, GREY[0]])
    assert (coloured(image, table, (0, 300), np.ones(image.shape, bool)) == 0).all()


DIAGRAM = """\
mrftool_sequence: 2
name: prepared
flip_angle_deg: {rule: lobes, peaks: [25, 60], lengths: [20, 20]}
tr_ms: 10
te_ms: 2
rr_ms: 600
events:
  - wait_until_trigger: {}
  - pulses: {flip_angle_deg: 5, repetitions: 10, acquire: false}
  - invert: {efficiency: 0.95, time_ms: 21}
  - pulses: {count: 20}
  - wait_until_trigger: {}
  - saturate: {time_ms: 10}
  - t2prep: {te_ms: 40}
  - pulses: {first: 20, bin: 5}
"""


def test_the_summary_tells_the_times_of_preparations() -> None:
    summary = sequence_summary(parse_sequence(DIAGRAM))
    assert (summary["TI"], summary["T2 preparation TE"]) == ("21 ms", "40 ms")


def test_the_diagram_shows_every_event_at_its_time(drawn: list[Figure]) -> None:
    diagram_figure(parse_sequence(DIAGRAM), "x.png")
    require_readable(drawn[0])
    assert drawn[0].get_suptitle() == "prepared: 40 pulses, 10 dummy pulses, 24 frames in 0.85 s"
    pulses, frames, close = drawn[0].axes
    x_of = {line.get_label(): line for line in pulses.lines}
    starts = sorted({round(float(line.get_xdata()[0]), 6) for line in x_of.values()})
    assert starts == [0.0, 0.1, 0.6]  # axis and first trigger, inversion, second trigger
    stems = [round(float(s[0, 0]), 6) for c in pulses.collections for s in c.get_segments()]
    expected = [*np.arange(10) * 0.01, *(0.121 + np.arange(20) * 0.01)]
    np.testing.assert_allclose(stems, [*expected, *(0.65 + np.arange(20) * 0.01)], atol=1e-6)
    assert [text.get_text() for text in frames.texts] == ["1-20", "21-24"]
    labels = [text.get_text() for text in pulses.get_legend().get_texts()]
    kinds = ["dummy pulse", "pulse", "inversion", "saturation", "T2 preparation", "trigger"]
    assert labels == [*kinds, "wait"]
    assert close.get_xlim()[0] < 0.121 < close.get_xlim()[1] < 0.17
