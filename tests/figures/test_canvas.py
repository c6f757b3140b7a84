"""The user's matplotlib settings and mrftool's pictures leave each other alone."""

import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

from mrftool.figures.canvas import picture, round_ticks

DRAW = """
import sys
import numpy as np
from mrftool.figures.scatter import scatter_figure
from mrftool.tissue import Tissue

t1 = np.linspace(0.1, 2, 16)
scatter_figure(Tissue(t1, t1 / 10), {"t1": t1}, sys.argv[1], title="scan_1 $x^2$")
import matplotlib
print(matplotlib.rcParams["font.size"], matplotlib.rcParams["text.usetex"])
print(matplotlib.rcParams._get("backend"))
"""


def drawn(path: Path, **environment: str) -> tuple[bytes, list[str]]:
    """The picture that a fresh process draws, and the settings of matplotlib after it."""
    inherited = {key: text for key, text in os.environ.items() if not key.startswith("MPL")}
    done = subprocess.run(
        [sys.executable, "-c", DRAW, str(path)],
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return path.read_bytes(), done.stdout.split()


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["TkAgg", "does-not-exist", "module://my.backend"])
def test_settings_of_the_user_change_no_picture(tmp_path: Path, backend: str) -> None:
    expected, _ = drawn(tmp_path / "plain.png")
    (tmp_path / "matplotlibrc").write_text(
        "text.usetex: True\nfont.size: 31\nfigure.dpi: 20\nsavefig.dpi: 300\nlines.linewidth: 9\n"
    )
    found, settings = drawn(tmp_path / "own.png", MPLCONFIGDIR=str(tmp_path), MPLBACKEND=backend)
    assert found == expected
    assert settings[:2] == ["31.0", "True"]
    if backend != "does-not-exist":
        assert settings[2].lower() == backend.lower()


def test_a_picture_changes_no_setting_of_others(tmp_path: Path) -> None:
    changed = {"font.size": 23.0, "text.usetex": True}
    with matplotlib.rc_context(changed):
        before = dict(matplotlib.rcParams)
        with picture(tmp_path / "a.png", 2, 2, title="a") as figure:
            figure.subplots().plot([1, 2])
            assert matplotlib.rcParams["font.size"] == 10
        assert dict(matplotlib.rcParams) == before
    with pytest.raises(ZeroDivisionError), picture(tmp_path / "b.png", 2, 2) as figure:
        figure.text(0, 0, str(1 / 0))
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(3.0, 60.0, (5, 10, 20, 50)), (1e-6, 1.0, tuple(10.0**k for k in range(-6, 1)))],
)
def test_ticks_of_logarithmic_axes_are_round(
    low: float, high: float, expected: tuple[float, ...]
) -> None:
    assert round_ticks(low, high) == pytest.approx(expected)
