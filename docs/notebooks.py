"""What notebooks load as they start: a command that fails stops the page, and so the build."""

from pathlib import Path

# Errors that a page shows on purpose have the exit codes 2 to 6.
STARTUP = """
from IPython import get_ipython

shell = get_ipython()
run = shell.system


def run_checked(command):
    run(command)
    code = shell.user_ns["_exit_code"]
    if code not in (0, 2, 3, 4, 5, 6):
        raise RuntimeError(f"{command}: exit code {code}")


shell.system = run_checked
"""


def notebook_folder(folder: Path) -> Path:
    """A folder of IPython's settings (IPYTHONDIR), made anew where it is missing."""
    startup = folder / "profile_default" / "startup"
    startup.mkdir(parents=True, exist_ok=True)
    (startup / "commands.py").write_text(STARTUP, "utf-8")
    return folder
