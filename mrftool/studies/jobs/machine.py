"""Where and from what the numbers come: the state of the code, and the machine."""

import os
import platform
import shutil
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

from mrftool.threads import usable_processors

COMMIT_VARIABLE = "MRFTOOL_COMMIT"


@cache
def commit() -> str:
    """The commit of the checkout that runs, marked where files have changed since; without a
    checkout, the version.

    The environment variable MRFTOOL_COMMIT, where it is set, overrules both: so all jobs of a study
    say the same.
    """
    given = os.environ.get(COMMIT_VARIABLE)
    if given:
        return given
    root = Path(__file__).resolve().parents[3]
    head = _git(root, "rev-parse", "--short=12", "HEAD") if (root / ".git").exists() else None
    if head is None:
        return f"version {metadata.version('mrftool')}"
    return (
        f"{head}, with changes"
        if _git(root, "status", "--porcelain", "--untracked-files=no")
        else head
    )


def machine() -> dict[str, str | int]:
    """Processor, its cores that may be used, and the platform."""
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
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _git(root: Path, *arguments: str) -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    found = subprocess.run(  # noqa: S603
        [git, "-C", str(root), *arguments], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() if found.returncode == 0 else None
