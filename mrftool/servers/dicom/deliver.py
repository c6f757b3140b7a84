"""Maps to their destinations, again and again until all have arrived."""

from collections.abc import Callable, Mapping
from pathlib import Path

from mrftool.environment.reporter import Reporter
from mrftool.errors import MrftoolError
from mrftool.servers.dicom.association import Association, RefusedError
from mrftool.servers.dicom.durable import mark_sent, read_json, sent_names
from mrftool.servers.dicom.settings import Destination, NodeSettings
from mrftool.servers.dicom.storage import RECORD, Storage
from mrftool.servers.rests import Rests

_FACTS = ("series_uid", "images", "rule", "files", "used")  # of a result that the journal keeps


class Courier:
    """Sends what waits; after a failure, a destination rests for longer and longer.

    What a destination refuses rests by itself: it does not hold up the maps of other series.
    """

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
        self._said: set[str] = set()

    def step(self) -> None:
        """Try every map that waits once, and finish series of which all have arrived."""
        for folder in self._storage.waiting():
            if self._is_stopping():
                return
            if self._rests.has(folder.name):
                continue
            try:
                self._advance(folder)
            except Exception as error:  # a full disk, or a fault of ours: others are not held up
                self._rest(folder.name, f"{folder.name}: {type(error).__name__}: {error}")

    def _advance(self, folder: Path) -> None:
        """Try the maps of one series, and finish it if all have arrived."""
        record = read_json(folder / RECORD) or {}
        maps = sorted((folder / "maps").rglob("*.dcm"))
        if len(maps) != record.get("files"):
            self._say_once(f"{folder}: {len(maps)} maps, expected {record.get('files')}: not sent")
            return
        complete = [self._deliver(folder, maps, name) for name in record.get("destinations", ())]
        if complete and all(complete):
            facts = {key: record.get(key) for key in _FACTS}
            self._storage.finish(folder.name, "sent", **facts)
            self._rests.end(folder.name)
            self._reporter.note(f"series {facts['series_uid']}: its maps are sent")

    def _deliver(self, folder: Path, maps: list[Path], name: str) -> bool:
        """Send the maps of one series to one destination; whether it has all of them."""
        done = sent_names(folder, name)
        files = {str(path.relative_to(folder)): path for path in maps}
        missing = {file: path for file, path in files.items() if file not in done}
        if not missing:
            return True
        destination = self._settings.destinations.get(name)
        if destination is None:
            self._say_once(f"{name}: maps wait for it, but the settings name it no more")
            return False
        return self._send_unless_resting(destination, folder, missing)

    def _send_unless_resting(
        self, destination: Destination, folder: Path, files: Mapping[str, Path]
    ) -> bool:
        """Try to send files; whether all have arrived."""
        name = destination.name
        parcel = f"{name} {folder.name}"
        if self._rests.has(name) or self._rests.has(parcel):
            return False
        try:
            self._send(destination, folder, files)
        except RefusedError as error:
            self._rest(parcel, f"{error}")
        except (OSError, MrftoolError) as error:
            self._rest(name, f"{name}: {error}")
        except Exception as error:  # whatever pydicom raises of a damaged file
            self._rest(parcel, f"{name}: {type(error).__name__}: {error}")
        else:
            self._rests.end(name)
            self._rests.end(parcel)
            return True
        return False

    def _send(self, destination: Destination, folder: Path, files: Mapping[str, Path]) -> None:
        """Send files, each marked as soon as it is acknowledged. Raises RefusedError at the end if
        some are not wanted.
        """
        import pydicom

        datasets = {name: pydicom.dcmread(path) for name, path in files.items()}
        classes = sorted({str(dataset.SOPClassUID) for dataset in datasets.values()})
        with Association(destination, self._settings, classes) as association:
            refused = None
            for name, dataset in datasets.items():
                try:
                    association.store(dataset)
                except RefusedError as error:
                    refused = error
                else:
                    mark_sent(folder, destination.name, name)
        if refused is not None:
            raise refused

    def _rest(self, what: str, reason: str) -> None:
        if self._rests.begin(what):
            self._reporter.note(f"{reason}; it is tried again")

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._reporter.note(text)
