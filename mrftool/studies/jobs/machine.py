"""Where the numbers of a study come from: the state of the code, and the machine."""

import os
import platform
import shutil
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

from mrftool.environment.threads import usable_processors

COMMIT_VARIABLE = "MRFTOOL_COMMIT"


@cache
def commit() -> str:
    """The commit of the checkout that runs, marked if files have changed since.

    Without a checkout, the version. The environment variable MRFTOOL_COMMIT overrules both, so that
    all jobs of a study state the same.
    """
    given = os.environ.get(COMMIT_VARIABLE)
    if given:
        return given
    root = Path(__file__).resolve().parents[3]
    head = None
    if (root / ".git").exists():
        head = _git(root, "rev-parse", "--short=12", "HEAD")
    if head is None:
        return f"version {metadata.version('mrftool')}"
    if _git(root, "status", "--porcelain", "--untracked-files=no"):
        return f"{head}, with changes"
    return head


def machine() -> dict[str, str | int]:
    """Processor, number of cores that may be used, and platform."""
    return {
        "cpu": _processor(),
        "cores": usable_processors(),
        "platform": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git(root: Path, *arguments: str) -> str | None:
    """Output of a git command; None if it fails or git is not installed."""
    git = shutil.which("git")
    if git is None:
        return None
    result = subprocess.run(  # noqa: S603
        [git, "-C", str(root), *arguments], capture_output=True, text=True, check=False
    )
    if result.returncode:
        return None
    return result.stdout.strip()
