"""Maps to their destinations by C-STORE, again and again until all have arrived."""

import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mrftool.environment.reporter import Reporter
from mrftool.errors import InputError
from mrftool.servers.dicom.receive import client_context
from mrftool.servers.dicom.settings import Destination, NodeSettings
from mrftool.servers.dicom.storage import Storage, mark_sent, read_record, sent_names

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 300.0  # after a failed attempt [s]
_TIMEOUT = 30.0  # of the network and of an answer [s]
_SUCCESS = 0x0000
_WARNINGS = range(0xB000, 0xC000)  # stored, with remarks (PS3.4 B.2.3)
_VERIFICATION = "1.2.840.10008.1.1"
_SYNTAX = "1.2.840.10008.1.2.1"  # explicit VR little endian, in which maps are written


class Courier:
    """Sends what waits; after a failure, a destination rests for longer and longer."""

    def __init__(self, settings: NodeSettings, storage: Storage, reporter: Reporter) -> None:
        self._settings = settings
        self._storage = storage
        self._reporter = reporter
        self._pause = dict.fromkeys(settings.destinations, 0.0)
        self._next = dict.fromkeys(settings.destinations, 0.0)

    def step(self) -> None:
        """Try every map that waits once, and finish series of which all have arrived."""
        for folder in self._storage.waiting():
            record = read_record(folder)
            complete = [self._deliver(folder, name) for name in record["destinations"]]
            if all(complete):
                facts = {key: record[key] for key in ("series_uid", "images", "rule", "files")}
                self._storage.finish(folder.name, "sent", **facts)
                self._reporter.note(f"series {record['series_uid']}: its maps are sent")

    def _deliver(self, folder: Path, name: str) -> bool:
        """Send the maps of one series to one destination; whether it has all of them."""
        files = sorted((folder / "maps").rglob("*.dcm"))
        done = sent_names(folder, name)
        missing = {str(path.relative_to(folder)): path for path in files}
        missing = {file: path for file, path in missing.items() if file not in done}
        if not missing:
            return True
        destination = self._settings.destinations.get(name)
        if destination is None or time.monotonic() < self._next[name]:
            return False
        try:
            self._send(destination, folder, missing)
        except (OSError, InputError) as error:
            self._rest(name, str(error))
            return False
        self._pause[name] = 0.0
        return True

    def _send(self, destination: Destination, folder: Path, files: Mapping[str, Path]) -> None:
        """Send files, each marked as soon as it is acknowledged."""
        import pydicom

        datasets = {name: pydicom.dcmread(path) for name, path in files.items()}
        classes = sorted({str(dataset.SOPClassUID) for dataset in datasets.values()})
        with Association(destination, self._settings, classes) as association:
            for name, dataset in datasets.items():
                association.store(dataset)
                mark_sent(folder, destination.name, name)

    def _rest(self, name: str, reason: str) -> None:
        pause = min(max(2 * self._pause[name], _FIRST_PAUSE), _LONGEST_PAUSE)
        if self._pause[name] == 0.0:
            self._reporter.note(f"{name}: {reason}; it is tried again")
        self._pause[name] = pause
        self._next[name] = time.monotonic() + pause


class Association:
    """An association with a destination, for the storage of some classes."""

    def __init__(
        self, destination: Destination, settings: NodeSettings, classes: list[str]
    ) -> None:
        self._destination = destination
        self._settings = settings
        self._classes = classes
        self._association: Any = None

    def __enter__(self) -> "Association":
        """Open it. Raises InputError if the destination does not agree."""
        from pynetdicom import AE, evt

        ae = AE(ae_title=self._settings.ae_title)
        ae.connection_timeout = ae.network_timeout = _TIMEOUT
        ae.acse_timeout = ae.dimse_timeout = _TIMEOUT
        for name in self._classes:
            ae.add_requested_context(name, _SYNTAX)
        options: dict[str, Any] = {}
        if self._destination.tls:
            if self._settings.tls is None:
                raise InputError(f"{self._destination.name}: wants TLS, expected a tls section")
            options["tls_args"] = (client_context(self._settings.tls), self._destination.host)
        self._association = ae.associate(
            self._destination.host,
            self._destination.port,
            ae_title=self._destination.ae_title,
            evt_handlers=[(evt.EVT_CONN_OPEN, _without_delay)],
            **options,
        )
        if not self._association.is_established:
            raise InputError(f"{self._destination.name}: does not answer, or refuses")
        return self

    def __exit__(self, *_: object) -> None:
        """Release it."""
        if self._association.is_established:
            self._association.release()

    def store(self, dataset: Any) -> None:
        """Send an image. Raises InputError unless it is stored."""
        status = self._call(lambda: self._association.send_c_store(dataset))
        if status != _SUCCESS and status not in _WARNINGS:
            raise InputError(f"{self._destination.name}: refused an image (status {status:#06x})")

    def echo(self) -> None:
        """Ask for an answer. Raises InputError if there is none."""
        status = self._call(self._association.send_c_echo)
        if status != _SUCCESS:
            raise InputError(f"{self._destination.name}: status {status:#06x}, expected success")

    def _call(self, send: Any) -> int:
        """Status of an operation."""
        try:
            answer = send()
        except (RuntimeError, ValueError) as error:
            raise InputError(f"{self._destination.name}: {error}") from error
        if "Status" not in answer:
            raise InputError(f"{self._destination.name}: broke off")
        return int(answer.Status)


def check_destination(destination: Destination, settings: NodeSettings) -> None:
    """C-ECHO. Raises InputError unless the destination answers."""
    with Association(destination, settings, [_VERIFICATION]) as association:
        association.echo()


def _without_delay(event: Any) -> None:
    """Send small packets at once."""
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
