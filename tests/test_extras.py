"""Hints name packages that can be had, wherever mrftool came from."""

import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from mrftool.environment.extras import install_hint

ROOT = Path(__file__).parents[1]
PACKAGES = ["numpy>=1.26", "torch>=2.9; extra == 'train'", 'h5py>=3; extra == "recon"']


def test_a_hint_names_the_packages_of_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "requires", lambda _: PACKAGES)
    assert install_hint("train") == "pip install 'torch>=2.9'"
    assert install_hint("recon") == "pip install 'h5py>=3'"
    assert install_hint("none") == "install the extra none of mrftool, from where mrftool came"


def test_every_extra_that_a_message_names_exists() -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    source = "".join(path.read_text("utf-8") for path in (ROOT / "mrftool").rglob("*.py"))
    named = set(re.findall(r'install_hint\("(\w+)"\)', source))
    assert named >= {"recon", "import", "jpeg", "train"}
    assert named <= set(known["optional-dependencies"])


def test_the_guide_lists_every_extra_of_users() -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    listed = re.findall(
        r"^\| `(\w+)` \|", (ROOT / "docs/getting_started.md").read_text("utf-8"), re.M
    )
    assert set(listed) == set(known["optional-dependencies"]) - {"dev", "docs", "bench"}


def test_no_text_sends_users_to_a_package_index_for_mrftool() -> None:
    """It is not there, and a project of a similar name is."""
    words = r"pip install[^\n`]*[ '\"]mrftools?(\[|['\" `]|$)"
    found = subprocess.run(
        ["git", "grep", "-nIE", words, "--", "*.py", "*.md", "*.toml", ":!tests/test_extras.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == ""
