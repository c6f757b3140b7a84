"""Associations with destinations: C-STORE and C-ECHO out."""

import socket
from typing import Any

from mrftool.errors import InputError
from mrftool.servers.dicom.settings import Destination, NodeSettings
from mrftool.servers.dicom.tls import client_context

_TIMEOUT = 30.0  # of the network and of an answer [s]
_SUCCESS = 0x0000
_WARNINGS = range(0xB000, 0xC000)  # stored, with remarks (PS3.4 B.2.3)
_NO_RESOURCES = range(0xA700, 0xA800)
_VERIFICATION = "1.2.840.10008.1.1"
_SYNTAX = "1.2.840.10008.1.2.1"  # explicit VR little endian, in which maps are written


class RefusedError(InputError):
    """A destination that answers does not take this image."""


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
        """Send an image. Raises RefusedError if it is not wanted, InputError if all is lost."""
        status = self._call(lambda: self._association.send_c_store(dataset))
        if status in _NO_RESOURCES:
            raise InputError(f"{self._destination.name}: has no room (status {status:#06x})")
        if status != _SUCCESS and status not in _WARNINGS:
            raise RefusedError(f"{self._destination.name}: refused an image (status {status:#06x})")

    def echo(self) -> None:
        """Ask for an answer. Raises InputError if there is none."""
        status = self._call(self._association.send_c_echo)
        if status != _SUCCESS:
            raise InputError(f"{self._destination.name}: status {status:#06x}, expected success")

    def _call(self, send: Any) -> int:
        """Status of an operation."""
        try:
            answer = send()
        except RuntimeError as error:
            raise InputError(f"{self._destination.name}: {error}") from error
        except ValueError as error:
            raise RefusedError(f"{self._destination.name}: {error}") from error
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
