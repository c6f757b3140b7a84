import shutil

import numpy as np
import pytest
from browser import Browser, open_browser
from report_page import a_method, a_run, good_maps

from mrftool.evaluation.residuals import AverageResidual, FitResiduals, VoxelFit
from mrftool.reports.budget import budget_table
from mrftool.reports.page import make_report

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")),
        reason="no browser: needs Debian's chromium and chromium-driver",
    ),
]
NAME = (
    "<script>document.title='run'</script>\"'><img src=http://127.0.0.1:9/x.png>\u202e"
    + "long" * 60
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory, short_sequence):
    """A report in which all that comes from outside is hostile."""
    method = a_method(short_sequence, name=NAME, file=NAME, words={NAME: NAME}, sequence_name=NAME)
    maps, time = good_maps((40, 36, 12)), np.arange(40.0)
    fit = VoxelFit((3, 4, 1), np.sin(time), np.sin(time + 0.1), 0.1)
    residuals = FitResiduals(1, AverageResidual(0.01 * np.sin(time) ** 2, 0.002, 300), (), fit, fit)
    run = a_run(
        maps,
        method,
        source=NAME,
        series={"name": NAME},
        assumptions=(NAME,),
        residuals=residuals,
        budget=budget_table(maps, short_sequence, form="complex"),
    )
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(make_report(run).html, "utf-8")
    return path


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_loads_alone_in_any_window(browser: Browser, page, width, scheme):
    browser.open(page, width=width, scheme=scheme)
    assert browser.console() == []
    assert [url for url in browser.requests() if not url.startswith("data:image/png")] == [
        page.as_uri()
    ]
    assert browser.run("return document.scripts.length") == 0
    assert browser.run("return document.title").startswith("<script>document.title='run'")
    assert browser.run("return document.documentElement.scrollWidth") == width
    assert (
        browser.run("return [...document.images].map(image => image.naturalWidth > 0)")
        == [True] * 7
    )
    red, green, blue = browser.run(
        "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    )
    assert (red + green + blue > 3 * 200) == (scheme == "light")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_two_curves_of_a_plot_differ_in_colour_as_their_legend_does(browser: Browser, page, scheme):
    browser.open(page, scheme=scheme)
    found = browser.run(
        """const colour = (root, part, key) => getComputedStyle(root.querySelector(part))[key];
        return [...document.querySelectorAll('.plot')].filter(e => e.querySelector('.legend')).map(e =>
          [colour(e, '.curve-1', 'stroke'), colour(e, '.line-1', 'backgroundColor'),
           colour(e, '.curve-2', 'stroke'), colour(e, '.line-2', 'backgroundColor')])"""
    )
    assert len(found) == 3
    for first, its_legend, second, other_legend in found:
        assert first == its_legend != second == other_legend


def test_no_text_leaves_its_place(browser: Browser, page):
    """Of all leaves with text, none is wider than the window, unless it scrolls in its own frame."""
    browser.open(page, width=400)
    wide = browser.run(
        """return [...document.body.querySelectorAll('*')].filter(e => !e.children.length && e.textContent.trim()
        && !e.closest('.wide') && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML)"""
    )
    assert wide == []


def test_letters_stand_out_from_their_ground(browser: Browser, page):
    """Contrast of at least 4.5, as WCAG 2 asks for (1.4.3), in light and dark."""
    for scheme in ("light", "dark"):
        browser.open(page, scheme=scheme)
        found = browser.run(
            """const parts = text => text.match(/[\\d.]+/g).map(Number);
            const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
            const light = c => { const [r, g, b] = c.map(v => linear(v / 255));
              return .2126 * r + .7152 * g + .0722 * b; };
            const ground = e => { for (; e; e = e.parentElement) { const c = parts(getComputedStyle(e).backgroundColor);
              if (c.length < 4 || c[3] > 0) return c.slice(0, 3); } return [255, 255, 255]; };
            return [...document.body.querySelectorAll('h1, h2, h3, p, li, td, th, figcaption, span')].map(e => {
              const [a, b] = [light(parts(getComputedStyle(e).color).slice(0, 3)), light(ground(e))];
              return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), e.className + e.textContent.slice(0, 20)]; })"""
        )
        assert len(found) > 50
        assert [text for contrast, text in found if contrast < 4.5] == []


def test_the_page_forbids_itself_to_load_anything(browser: Browser, page):
    browser.open(page)
    browser.console()
    browser.run(
        "document.body.insertAdjacentHTML('beforeend', '<img src=http://127.0.0.1:9/x.png "
        "onerror=alert(1)>')"
    )
    assert any("Content Security Policy" in message for message in browser.console())
    assert browser.run("return document.title").startswith("<script>")


def test_paper_is_white_and_nothing_is_cut_off(browser: Browser, page):
    browser.open(page, width=700, scheme="dark")
    browser.devtools("Emulation.setEmulatedMedia", media="print")
    assert (
        browser.run("return getComputedStyle(document.body).backgroundColor")
        == "rgb(255, 255, 255)"
    )
    assert browser.run("return document.documentElement.scrollWidth") == 700
    frames = browser.run(
        "return [...document.querySelectorAll('.wide')].map(e => e.scrollWidth - e.clientWidth)"
    )
    assert frames and max(frames) == 0
    browser.devtools("Emulation.setEmulatedMedia", media="")
