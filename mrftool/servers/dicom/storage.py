"""What a node keeps on disk: images that came in, maps that wait, and the journal.

    incoming/SERIES/IMAGE.dcm      images, as they came
    results/SERIES/maps/           maps of a series that wait for their destinations
    results/SERIES/record.json     what they were made of
    results/SERIES/sent_NAME       names of the files that destination NAME has acknowledged
    journal/SERIES.json            how a series ended: sent, ignored or failed
    work/                          unfinished work; nothing there outlives a restart

SERIES and IMAGE are digests of the UIDs. Each step appears by one rename, after its content is on
the disk: whenever the process dies, a restart sees what was finished, and does the rest.
"""

import fcntl
import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Any

from mrftool.errors import InputError
from mrftool.servers.dicom.durable import (
    PART,
    key_of,
    make_folder,
    read_json,
    rename_durably,
    sync_folder,
    sync_folder_and_files,
    write_durably,
)

SCHEMA = 1
RECORD = "record.json"
MOST_ATTEMPTS = 3  # at a series whose process crashes
RETRY_PAUSE = 30.0  # before such a series is tried again [s]
_IMAGE = ".dcm"


class Arrival(Enum):
    """What becomes of an image that came."""

    KEPT = "kept"
    KNOWN = "not needed: the maps of its series are made with it, or are not wanted"
    LATE = "too late: the maps of its series are made without it"


class Storage:
    """The folder of a node.

    Parameters
    ----------
    folder
        Of one node at a time.

    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.incoming = folder / "incoming"
        self.results = folder / "results"
        self.journal = folder / "journal"
        self.work = folder / "work"
        self._opened = time.monotonic()
        self._heard: dict[str, float] = {}
        self._lock = threading.Lock()  # an image is kept, or maps appear, not both at a time

    def open(self) -> None:
        """Make the folders, and remove unfinished work and what finished series left.

        Time in which no node listened is no time without images: it counts from now.
        """
        shutil.rmtree(self.work, ignore_errors=True)
        for place in (self.folder, self.incoming, self.results, self.journal, self.work):
            make_folder(place)
            sync_folder(place)  # a node that was killed may not have come to it
        for part in [*self.journal.glob(f"*{PART}"), *self.incoming.glob(f"*/*{PART}")]:
            part.unlink()
        for key in {path.name for path in [*self.incoming.iterdir(), *self.results.iterdir()]}:
            if self.is_final(key):
                self.clear(key)
        self._opened = time.monotonic()

    def add_image(self, series_uid: str, image_uid: str, content: bytes) -> Arrival:
        """Keep an image, unless the maps of its series are made.

        When this returns, an image that is kept is on the disk.
        """
        key, image = key_of(series_uid), key_of(image_uid)
        with self._lock:
            done = self._arrival_after_maps(key, image)
            if done is not None:
                return done
            make_folder(self.incoming / key)
            write_durably(self.incoming / key / f"{image}{_IMAGE}", content)
            self._heard[key] = time.monotonic()
        return Arrival.KEPT

    def _arrival_after_maps(self, key: str, image: str) -> Arrival | None:
        """What an image is to a series whose maps are made; None if they are not."""
        facts = self.entry(key)
        if facts is None or facts.get("state") == "failed":
            facts = read_json(self.results / key / RECORD)
        if facts is None:
            return None
        used = facts.get("used")
        if used is None or image in used:
            return Arrival.KNOWN
        return Arrival.LATE

    def complete_series(self, quiet: float) -> list[str]:
        """Series without maps to which no image was added for `quiet` seconds, oldest first.

        Parameters
        ----------
        quiet
            Time without images [s].

        """
        keys = [folder.name for folder in self.incoming.iterdir()]
        complete = [key for key in keys if self.is_complete(key, quiet)]
        return sorted(complete, key=self._last_heard)

    def is_complete(self, key: str, quiet: float) -> bool:
        """Whether there is something to do for a series, and its last image came `quiet` seconds
        ago.
        """
        if time.monotonic() - self._last_heard(key) < quiet:
            return False
        return not (self.results / key).exists() and self._is_news(key)

    def _last_heard(self, key: str) -> float:
        """When the last image came, or the node began to listen [s]."""
        return self._heard.get(key, self._opened)

    def images(self, key: str) -> list[Path]:
        """Images of a series."""
        return sorted((self.incoming / key).glob(f"*{_IMAGE}"))

    def _is_news(self, key: str) -> bool:
        """Whether a series is new, or images came since it failed, or its process crashed."""
        entry = self.entry(key)
        if entry is None:
            return True
        if entry.get("state") != "failed":
            return False
        ended = float(entry.get("time", 0.0))
        images = self.images(key)
        if len(images) != entry.get("images") or _newest(images) > ended:
            return True
        is_due = time.time() - ended >= RETRY_PAUSE
        return is_due and int(entry.get("attempts", MOST_ATTEMPTS)) < MOST_ATTEMPTS

    def waiting(self) -> list[Path]:
        """Folders of maps that wait, oldest first."""
        folders = [folder for folder in self.results.iterdir() if (folder / RECORD).exists()]
        return sorted(folders, key=lambda folder: folder.stat().st_mtime)

    def publish(self, key: str, made: Path, record: dict[str, Any]) -> bool:
        """The folder `made` becomes the result of a series, with what is known of it.

        False, and nothing is done, if other images are there than those that the record names as
        used.
        """
        write_durably(made / RECORD, json.dumps(record).encode())
        sync_folder_and_files(made)
        with self._lock:
            if [path.stem for path in self.images(key)] != record["used"]:
                return False
            rename_durably(made, self.results / key)
        return True

    def finish(self, key: str, state: str, **facts: Any) -> None:
        """Write how a series ended. All but what failed is cleared away."""
        content = {"mrftool_journal": SCHEMA, "state": state, "time": time.time(), **facts}
        with self._lock:
            write_durably(self.journal / f"{key}.json", json.dumps(content).encode())
            if state != "failed":
                self.clear(key)

    def entry(self, key: str) -> dict[str, Any] | None:
        """How a series ended, or None."""
        return read_json(self.journal / f"{key}.json")

    def is_final(self, key: str) -> bool:
        """Whether nothing more is to be done for a series."""
        entry = self.entry(key)
        return entry is not None and entry.get("state") != "failed"

    def clear(self, key: str) -> None:
        """Remove images and maps of a series."""
        shutil.rmtree(self.incoming / key, ignore_errors=True)
        shutil.rmtree(self.results / key, ignore_errors=True)
        self._heard.pop(key, None)

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


def _newest(paths: list[Path]) -> float:
    """When the last of some files was written [s since 1970]."""
    times = [0.0]
    for path in paths:
        with suppress(OSError):
            times.append(path.stat().st_mtime)
    return max(times)
