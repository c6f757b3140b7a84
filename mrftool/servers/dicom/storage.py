"""What a node keeps on disk: images that came in, maps that wait, and the journal.

    incoming/SERIES/IMAGE.dcm      images, as they came
    results/SERIES/maps/           maps of a series that wait for their destinations
    results/SERIES/sent_NAME       names of the files that destination NAME has acknowledged
    journal/SERIES.json            how a series ended: sent, ignored or failed
    work/                          unfinished work; nothing there outlives a restart

SERIES and IMAGE are digests of the UIDs. Each step appears by one rename, after its content is on
the disk: whenever the process dies, a restart sees what was finished, and does the rest.
"""

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mrftool.errors import InputError

SCHEMA = 1
RECORD = "record.json"
MOST_ATTEMPTS = 3  # at a series whose process crashes
RETRY_PAUSE = 30.0  # before such a series is tried again [s]
_PART = ".part"


@dataclass(frozen=True)
class Storage:
    """The folder of a node."""

    folder: Path

    @property
    def incoming(self) -> Path:
        """Images of series that are not done."""
        return self.folder / "incoming"

    @property
    def results(self) -> Path:
        """Maps that wait."""
        return self.folder / "results"

    @property
    def journal(self) -> Path:
        """How series ended."""
        return self.folder / "journal"

    @property
    def work(self) -> Path:
        """Unfinished work."""
        return self.folder / "work"

    def open(self) -> None:
        """Make the folders, and remove unfinished work and what finished series left."""
        shutil.rmtree(self.work, ignore_errors=True)
        for place in (self.incoming, self.results, self.journal, self.work):
            place.mkdir(parents=True, exist_ok=True)
        for key in {path.name for path in [*self.incoming.iterdir(), *self.results.iterdir()]}:
            if self.is_final(key):
                self.clear(key)

    def add_image(self, series_uid: str, image_uid: str, content: bytes) -> bool:
        """Keep an image; False if its series is done and the image is not needed.

        When this returns, the image is on the disk.
        """
        key = key_of(series_uid)
        if self.is_final(key):
            return False
        folder = self.incoming / key
        folder.mkdir(exist_ok=True)
        write_durably(folder / f"{key_of(image_uid)}.dcm", content)
        return True

    def complete_series(self, quiet: float) -> list[str]:
        """Series without maps to which no image was added for `quiet` seconds, oldest first.

        Parameters
        ----------
        quiet
            Time without images [s].

        """
        now = time.time()
        ages = {}
        for folder in self.incoming.iterdir():
            if (self.results / folder.name).exists():
                continue
            newest = _newest(folder)
            if now - newest >= quiet and self._is_news(folder):
                ages[folder.name] = newest
        return sorted(ages, key=lambda key: ages[key])

    def images(self, key: str) -> list[Path]:
        """Images of a series."""
        return sorted((self.incoming / key).glob("*.dcm"))

    def _is_news(self, folder: Path) -> bool:
        """Whether a series is new, has images that it had not when it failed, or crashed."""
        entry = self.entry(folder.name)
        if entry is None or entry.get("images") != len(self.images(folder.name)):
            return True
        is_due = time.time() - float(entry.get("time", 0.0)) >= RETRY_PAUSE
        return is_due and int(entry.get("attempts", MOST_ATTEMPTS)) < MOST_ATTEMPTS

    def waiting(self) -> list[Path]:
        """Folders of maps that wait, oldest first."""
        folders = [folder for folder in self.results.iterdir() if (folder / RECORD).exists()]
        return sorted(folders, key=lambda folder: folder.stat().st_mtime)

    def publish(self, key: str, work: Path, record: dict[str, Any]) -> None:
        """Maps in `work` become the result of a series, with what is known of them."""
        write_durably(work / RECORD, json.dumps(record).encode())
        _sync_tree(work)
        work.rename(self.results / key)
        _sync_folder(self.results)

    def finish(self, key: str, state: str, **facts: Any) -> None:
        """Write how a series ended. All but what failed is cleared away."""
        content = {"mrftool_journal": SCHEMA, "state": state, "time": time.time(), **facts}
        write_durably(self.journal / f"{key}.json", json.dumps(content).encode())
        if state != "failed":
            self.clear(key)

    def entry(self, key: str) -> dict[str, Any] | None:
        """How a series ended, or None."""
        try:
            content = json.loads((self.journal / f"{key}.json").read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return content if isinstance(content, dict) else None

    def is_final(self, key: str) -> bool:
        """Whether nothing more is to be done for a series."""
        entry = self.entry(key)
        return entry is not None and entry.get("state") != "failed"

    def clear(self, key: str) -> None:
        """Remove images and maps of a series."""
        shutil.rmtree(self.incoming / key, ignore_errors=True)
        shutil.rmtree(self.results / key, ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """While open, no other node uses the folder. Raises InputError if one does."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise InputError(f"{self.folder}: another node uses it, expected none") from error
            yield


def sent_names(folder: Path, destination: str) -> set[str]:
    """Names of the files in a result that a destination has acknowledged."""
    try:
        text = _sent_file(folder, destination).read_text("utf-8")
    except OSError:
        return set()
    return {line for line in text.splitlines(keepends=False) if line.endswith(".dcm")}


def mark_sent(folder: Path, destination: str, name: str) -> None:
    """Remember that a destination has acknowledged a file."""
    with _sent_file(folder, destination).open("a", encoding="utf-8") as file:
        file.write(f"{name}\n")
        file.flush()
        os.fsync(file.fileno())


def read_record(folder: Path) -> dict[str, Any]:
    """What is known of a result."""
    content = json.loads((folder / RECORD).read_text("utf-8"))
    return dict(content)


def key_of(uid: str) -> str:
    """Digest of a UID, which is a safe name of a file whatever it holds."""
    return hashlib.sha256(uid.encode()).hexdigest()[:40]


def write_durably(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all; it is on the disk when this returns."""
    part = path.with_name(path.name + _PART)
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    _sync_folder(path.parent)


def _sent_file(folder: Path, destination: str) -> Path:
    return folder / f"sent_{key_of(destination)}"


def _newest(folder: Path) -> float:
    """When the last image came [s since 1970]."""
    times = [folder.stat().st_mtime]
    for path in folder.iterdir():
        with suppress(OSError):
            times.append(path.stat().st_mtime)
    return max(times)


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _sync_tree(folder: Path) -> None:
    """Bring all files of a folder to the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
