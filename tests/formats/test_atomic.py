import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mrftool.errors import InputError
from mrftool.formats import leftovers
from mrftool.formats.atomic import all_or_none, writing


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_when_the_block_ends_well(tmp_path: Path) -> None:
    with writing(tmp_path / "a.nii.gz") as part:
        part.write_bytes(b"new")
        assert part.name.endswith("a.nii.gz")
        assert not (tmp_path / "a.nii.gz").exists()
    assert listed(tmp_path) == ["a.nii.gz"]
    assert (tmp_path / "a.nii.gz").read_bytes() == b"new"


@pytest.mark.parametrize("fault", [KeyboardInterrupt, ValueError, MemoryError])
def test_a_failure_leaves_the_old_file_alone(tmp_path: Path, fault: type[BaseException]) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(fault), writing(tmp_path / "a") as part:
        part.write_bytes(b"half")
        raise fault
    assert listed(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_no_space_names_the_file(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"a\.npz: cannot be written: No space left"),
        writing(tmp_path / "a.npz"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert listed(tmp_path) == []


def test_a_missing_folder_shows_before_the_work(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="No such file or directory"),
        writing(tmp_path / "none" / "a"),
    ):
        pytest.fail("the block must not run")


@pytest.mark.parametrize("target", ["folder", "pipe"])
def test_only_regular_files_are_replaced(tmp_path: Path, target: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="no regular file"), writing(tmp_path / target):
        pytest.fail("the block must not run")
    assert listed(tmp_path) == ["folder", "pipe"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    with writing(tmp_path / "link") as part:
        part.write_bytes(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_another_files_error_keeps_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), writing(tmp_path / "a"):
        (tmp_path / "source").read_bytes()
    assert listed(tmp_path) == []


def test_folders_made_for_a_failure_are_removed(tmp_path: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        all_or_none([tmp_path / "x" / "y" / "a"], make_folders=True),
    ):
        raise KeyboardInterrupt
    assert listed(tmp_path) == []
    with all_or_none([tmp_path / "x" / "y" / "a"], make_folders=True) as (part,):
        part.write_bytes(b"new")
    assert (tmp_path / "x" / "y" / "a").read_bytes() == b"new"


def test_when_the_last_rename_fails_the_first_is_undone(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("old", "fresh", "stuck")]
    paths[0].write_bytes(b"before")
    with pytest.raises(InputError, match="cannot be written"), all_or_none(paths) as parts:
        for part in parts:
            part.write_bytes(b"after")
        paths[2].mkdir()
        (paths[2] / "inside").touch()
        parts[2].unlink()
    assert listed(tmp_path) == ["old", "stuck"]
    assert paths[0].read_bytes() == b"before"


def test_the_same_file_twice_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="twice"),
        all_or_none([tmp_path / "a", tmp_path / "." / "a"]),
    ):
        pytest.fail("the block must not run")


KILLED = """
import os, signal, sys
from pathlib import Path
from mrftool.formats import atomic

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

where, folder = sys.argv[1], Path(sys.argv[2])
targets = [folder / name for name in sys.argv[3:]]
if where == "after the first is renamed":
    replaced = []
    replace = Path.replace
    def counting(self, target):
        if replaced and self.name.endswith(targets[1].name):
            die()
        replaced.append(target)
        return replace(self, target)
    Path.replace = counting
if where == "after all are renamed":
    Path.unlink = die
with atomic.all_or_none(targets, make_folders=True) as parts:
    for part in parts:
        part.write_text("new")
    if where == "while they are written":
        die()
"""


def left_by_the_killed(where: str, folder: Path, *names: str) -> dict[str, str]:
    """What stands in a folder soon after a process that writes there was killed."""
    command = [sys.executable, "-c", KILLED, where, str(folder), *names]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    deadline = time.monotonic() + 20
    while any(".part." in str(path) for path in folder.rglob("*")):
        assert time.monotonic() < deadline, sorted(folder.rglob("*"))
        time.sleep(0.01)
    time.sleep(0.05)
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in files}


@pytest.mark.parametrize("where", ["while they are written", "after the first is renamed"])
def test_a_killed_process_leaves_the_files_of_before(tmp_path: Path, where: str) -> None:
    (tmp_path / "a b").write_text("old")
    assert left_by_the_killed(where, tmp_path, "a b", "b/c", "b/'d") == {"a b": "old"}
    if where == "while they are written":
        assert listed(tmp_path) == ["a b"]
        assert left_by_the_killed(where, tmp_path, "a b") == {"a b": "old"}


def test_a_process_that_is_killed_at_its_end_leaves_the_new_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    found = left_by_the_killed("after all are renamed", tmp_path, "a", "b")
    assert found == {"a": "new", "b": "new"}


def test_without_a_shell_files_are_written_all_the_same(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(leftovers, "_SHELL", str(tmp_path / "none"))
    with writing(tmp_path / "a") as part:
        part.write_bytes(b"new")
    assert listed(tmp_path) == ["a"]
