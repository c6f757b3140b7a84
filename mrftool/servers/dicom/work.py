"""From a complete series to its maps: the rule, and the work in a process of its own."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mrftool.environment.child_process import python_command, python_environment
from mrftool.environment.reporter import Reporter
from mrftool.errors import InputError
from mrftool.servers.dicom.child import TEMPORARY
from mrftool.servers.dicom.settings import NodeSettings, Rule
from mrftool.servers.dicom.storage import MOST_ATTEMPTS, Storage
from mrftool.servers.rests import Rests

_CHILD = "mrftool.servers.dicom.child"
_ATTRIBUTES = ("StationName", "ProtocolName", "SeriesDescription", "SeriesInstanceUID")
_LONGEST_REASON = 500
_EXPLAINED = range(2, 7)  # exit codes of errors that another attempt would meet again


class ChildCrashedError(Exception):
    """The process of a series ended without a reason."""


class Worker:
    """Takes complete series one after the other."""

    def __init__(
        self,
        settings: NodeSettings,
        storage: Storage,
        reporter: Reporter,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._settings = settings
        self._storage = storage
        self._reporter = reporter
        self._is_stopping = is_stopping
        self._rests = Rests()

    def step(self) -> None:
        """Work on every series that is complete."""
        quiet = self._settings.quiet_seconds
        for key in self._storage.complete_series(quiet):
            if self._is_stopping():
                return
            if not self._rests.has(key) and self._storage.is_complete(key, quiet):
                self._attempt(key)

    def _attempt(self, key: str) -> None:
        """Take a series. What keeps us from it, as a full disk does, does not hold up others."""
        try:
            self.take(key)
        except Exception as error:
            if self._rests.begin(key):
                self._reporter.note(f"series {key}: {error}; it is tried again")
        else:
            self._rests.end(key)

    def take(self, key: str) -> None:
        """Make the maps of a series, or write down why there are none."""
        images = self._storage.images(key)
        if not images:
            return
        facts: dict[str, Any] = {"images": len(images)}
        try:
            attributes = attributes_of(images[0])
        except OSError:  # of the disk: it says nothing about the image
            raise
        except Exception as error:  # whatever pydicom raises of what came
            self._failed(key, facts, f"an image cannot be read: {type(error).__name__}")
            return
        facts["series_uid"] = attributes["SeriesInstanceUID"]
        rule = self._settings.rule_for(attributes)
        if rule is None:
            self._storage.finish(key, "ignored", **facts, reason="no rule means it")
            return
        facts["rule"] = rule.name
        try:
            reason = self._quantify(key, images, rule, facts)
        except ChildCrashedError as error:
            entry = self._storage.entry(key) or {}
            self._failed(key, facts, str(error), entry.get("attempts", 0) + 1)
            return
        if reason is not None:
            self._failed(key, facts, reason)

    def _failed(
        self, key: str, facts: dict[str, Any], reason: str, attempts: int = MOST_ATTEMPTS
    ) -> None:
        self._reporter.note(f"series {facts.get('series_uid', key)}: {reason}")
        self._storage.finish(key, "failed", **facts, reason=reason, attempts=attempts)

    def _quantify(
        self, key: str, images: list[Path], rule: Rule, facts: dict[str, Any]
    ) -> str | None:
        """Maps into the results; why not, if there are none."""
        work = Path(tempfile.mkdtemp(prefix="series-", dir=self._storage.work))
        try:
            made = work / "made"
            reason = self._run(_gathered(images, work / "images"), made / "maps", rule)
            files = [path for path in (made / "maps").rglob("*.dcm") if path.is_file()]
            if reason is None and not files:
                reason = "no DICOM maps were made"
            if reason is not None:
                return reason
            used = [path.stem for path in images]
            facts = facts | {"destinations": rule.destinations, "files": len(files), "used": used}
            if not self._storage.publish(key, made, facts):
                self._reporter.note(
                    f"series {facts['series_uid']}: more images came during the work, which is "
                    "done again"
                )
            return None
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _run(self, images: Path, folder: Path, rule: Rule) -> str | None:
        """Run the process that makes the maps; why it failed.

        A crash raises ChildCrashedError. A lack of something that may be there later raises
        InputError.
        """
        numbers = str(self._settings.most_memory), str(os.getpid())
        paths = str(images), str(folder), str(rule.model)
        command = python_command(_CHILD, *paths, *numbers, *rule.allow)
        try:
            run = subprocess.run(  # noqa: S603
                command,
                env=python_environment({"TMPDIR": str(images.parent)}),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=self._settings.seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"the work took more than {self._settings.seconds:g} s"
        if run.returncode == 0:
            return None
        said = run.stdout.decode("utf-8", "replace").strip().replace(f"{images.parent}/", "")
        said = said[:_LONGEST_REASON]
        if run.returncode == TEMPORARY:
            raise InputError(said)
        if run.returncode not in _EXPLAINED:
            raise ChildCrashedError(f"the process ended with {run.returncode}")
        return said


def _gathered(images: list[Path], folder: Path) -> Path:
    """A folder of exactly these images, whatever comes in meanwhile."""
    folder.mkdir()
    for path in images:
        try:
            (folder / path.name).hardlink_to(path)
        except OSError:  # the file system has no hard links
            shutil.copyfile(path, folder / path.name)
    return folder


def attributes_of(path: Path) -> dict[str, str]:
    """What rules look at, of one image."""
    import pydicom

    dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_ATTRIBUTES))
    return {name: str(dataset.get(name, "") or "") for name in _ATTRIBUTES}
