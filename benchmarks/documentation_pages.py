"""The built documentation in a real browser: `make docs`, then `make docs-browser`.

Every page is opened 1280 and 390 pixels wide, light and dark. Prints `name: value` lines, and exits
with 1 where a picture is missing, a page is wider than its window, a page asks for anything on
another machine, the browser complains, or the search finds nothing. Needs Debian's chromium and
chromium-driver.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from browser import Browser, open_browser

PAGES = Path(__file__).resolve().parents[1] / "docs" / "_build" / "html"
WIDTHS = (1280, 390)  # of the window [px]: a screen and a telephone
SCHEMES = ("light", "dark")
WORD = "covariance"  # stands on several pages

LOOK = """
const width = document.documentElement.clientWidth;
const missing = [...document.images].filter(image => !image.complete || !image.naturalWidth);
const background = getComputedStyle(document.body).backgroundColor;
return {
  missing: missing.map(image => image.src),
  excess: document.documentElement.scrollWidth - width,
  background: background,
};
"""


def main() -> int:
    """Open every page, tell what was seen, and return the exit code."""
    pages = sorted(PAGES.rglob("*.html"))
    if not pages:
        print(f"{PAGES}: no pages; run `make docs` first")
        return 2
    with tempfile.TemporaryDirectory() as folder, open_browser(Path(folder)) as browser:
        faults = [fault for page in pages for fault in faults_of(browser, page)]
        outside = [url for url in browser.requests() if not url.startswith(("file:", "data:"))]
        complaints = browser.console()
        found = pages_found(browser)
    for fault in faults + outside + complaints:
        print(fault)
    print(f"pages: {len(pages)}")
    print(f"views (widths and colour schemes): {len(pages) * len(WIDTHS) * len(SCHEMES)}")
    print(f"pages with missing pictures or too wide: {len(faults)}")
    print(f"requests to other machines: {len(outside)}")
    print(f"complaints of the browser: {len(complaints)}")
    print(f"pages that the search finds for '{WORD}': {found}")
    return int(bool(faults or outside or complaints or not found))


def faults_of(browser: Browser, page: Path) -> list[str]:
    """What is wrong with a page, a line each."""
    faults = []
    backgrounds = set()
    for width in WIDTHS:
        for scheme in SCHEMES:
            browser.open(page, width=width, scheme=scheme)
            seen: dict[str, Any] = browser.run(LOOK)
            backgrounds.add(seen["background"])
            if seen["missing"] or seen["excess"] > 0:
                faults.append(f"{page.relative_to(PAGES)}, {width} px, {scheme}: {seen}")
    if len(backgrounds) < len(SCHEMES):
        faults.append(f"{page.relative_to(PAGES)}: light and dark look the same")
    return faults


def pages_found(browser: Browser) -> int:
    """Number of pages that the search of the site lists for `WORD`."""
    browser.open(PAGES / "search.html")
    browser.run(f"location.href = 'search.html?q={WORD}'")
    for _ in range(50):
        time.sleep(0.2)
        listed = int(browser.run("return document.querySelectorAll('ul.search li').length"))
        if listed:
            return listed
    return 0


if __name__ == "__main__":
    sys.exit(main())
