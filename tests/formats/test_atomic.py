import errno
import os
from pathlib import Path

import pytest

from mrftool.errors import InputError
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
