"""Images from named peers: C-ECHO and C-STORE. Home of pynetdicom, with `association.py`."""

import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from mrftool.environment.reporter import Reporter
from mrftool.errors import InputError, MrftoolError
from mrftool.servers.dicom.settings import NodeSettings
from mrftool.servers.dicom.storage import Arrival, Storage
from mrftool.servers.dicom.tls import patient_server, server_context

OWN_MAKER = "mrftool"  # Manufacturer of the maps
_SUCCESS, _NO_RESOURCES, _NOT_UNDERSTOOD, _TOO_LATE = 0x0000, 0xA700, 0xC000, 0xC001
_STORED = ("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1")  # MR, enhanced MR
_SYNTAXES = (
    "1.2.840.10008.1.2.1",  # explicit VR little endian
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.4.70",  # JPEG lossless
    "1.2.840.10008.1.2.4.80",  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless
    "1.2.840.10008.1.2.5",  # RLE
)
_MOST_ASSOCIATIONS = 16
_MOST_CONNECTIONS = 64  # with those that have not asked for an association yet
_CHUNK = 1 << 16  # bytes that are taken from the system at a time
_LONGEST_UID = 64  # in a note (PS3.5 9)
_MOST_AT_ONCE = 1 << 20  # bytes of a protocol data unit; 16 KB are announced
_TIMEOUT = 60.0  # of the network, and between messages [s]
_REJECTED, _BY_USER, _CALLING_TITLE = 0x01, 0x01, 0x03  # PS3.8 9.3.4


class Receiver:
    """What a node does with each event of its associations."""

    def __init__(self, settings: NodeSettings, storage: Storage, reporter: Reporter) -> None:
        self._settings = settings
        self._storage = storage
        self._reporter = reporter
        self._counts: dict[Any, _Count] = {}

    def requested(self, event: Any) -> None:
        """Reject an association unless a named peer asks for it, from its address."""
        title = str(event.assoc.requestor.primitive.calling_ae_title).strip()
        address = event.assoc.requestor.address
        expected = self._settings.peers.get(title)
        if expected is None or expected not in ("", address):
            event.assoc.acse.send_reject(_REJECTED, _BY_USER, _CALLING_TITLE)
            event.assoc.kill()
            self.ended(event)
            self._reporter.note(f"rejected {title!r} at {address}: not among the peers")

    def data(self, event: Any) -> None:
        """Abort an association that sends more than it may."""
        count = self._counts.get(event.assoc)
        if count is None:
            return
        count.received += len(event.data)
        count.pending += len(event.data)
        pending = sum(each.pending for each in list(self._counts.values()))
        reason = ""
        if count.received > self._settings.most_bytes:
            reason = f"{count.received} bytes, expected at most max_bytes"
        elif pending > self._settings.most_pending:
            reason = f"{pending} bytes of images under way, expected at most max_pending"
        if reason:
            count.received = count.pending = 0
            self._reporter.note(f"aborted an association after {reason}")
            event.assoc.abort()

    def opened(self, event: Any) -> None:
        """Bound what is taken at once, and the wait for it: a length is a claim of the peer."""
        connection = event.assoc.dul.socket
        if len(self._counts) >= _MOST_CONNECTIONS:
            connection.socket.close()
            return
        connection.socket.settimeout(_TIMEOUT)
        self._counts[event.assoc] = _Count(connection.socket)

        def receive_bounded(size: int) -> bytearray:
            try:
                return _received(connection.socket, size)
            except OSError:
                self.ended(event)
                raise

        connection.recv = receive_bounded

    def ended(self, event: Any) -> None:
        """Forget an association. pynetdicom leaves its socket open where the peer closed first."""
        count = self._counts.pop(event.assoc, None)
        if count is not None:
            count.socket.close()

    def close(self) -> None:
        """Close the connections that nobody ended."""
        while self._counts:
            _, count = self._counts.popitem()
            count.socket.close()

    def stored(self, event: Any) -> int:
        """Keep an image; its status."""
        status = self._store(event)
        count = self._counts.get(event.assoc)
        if count is not None:
            count.pending = 0
        return status

    def _store(self, event: Any) -> int:
        try:
            content = event.encoded_dataset()
            series, image, maker = identity(content)
        except Exception as error:  # whatever pydicom raises of what came
            self._reporter.note(f"an image that cannot be read: {type(error).__name__}")
            return _NOT_UNDERSTOOD
        if maker == OWN_MAKER:
            return _SUCCESS
        try:
            arrival = self._storage.add_image(series, image, content)
        except (OSError, MrftoolError) as error:
            self._reporter.note(f"an image could not be kept: {error}")
            return _NO_RESOURCES
        if arrival is Arrival.LATE:
            self._reporter.note(f"series {series[:_LONGEST_UID]!r}: refused, {arrival.value}")
            return _TOO_LATE
        return _SUCCESS


@dataclass
class _Count:
    """Bytes that came in an association, and those of them that belong to no stored image yet."""

    socket: socket.socket
    received: int = 0
    pending: int = 0


def _received(peer: socket.socket, size: int) -> bytearray:
    """So many bytes, or fewer where the peer ends.

    Raises
    ------
    OSError
        If they are too many, or do not come in time: a byte a minute is silence too.

    """
    if size > _MOST_AT_ONCE:
        raise OSError(f"a unit of {size} bytes, expected at most {_MOST_AT_ONCE}")
    deadline = time.monotonic() + _TIMEOUT
    content = bytearray()
    while len(content) < size:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(content)} of {size} bytes came in {_TIMEOUT:g} s")
        part = peer.recv(min(size - len(content), _CHUNK))
        if not part:
            break
        content += part
    return content


def identity(content: bytes) -> tuple[str, str, str]:
    """UIDs of series and image, and maker, of a DICOM file. Raises InputError without UIDs."""
    import pydicom

    tags = ["SeriesInstanceUID", "SOPInstanceUID", "Manufacturer"]
    dataset = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True, specific_tags=tags)
    series, image = (str(dataset.get(tag, "")) for tag in tags[:2])
    if not series or not image:
        raise InputError("an image without SeriesInstanceUID or SOPInstanceUID")
    return series, image, str(dataset.get("Manufacturer", ""))


@contextmanager
def listening(settings: NodeSettings, storage: Storage, reporter: Reporter) -> Iterator[int]:
    """While open, images are taken; gives the port.

    Raises
    ------
    InputError
        If the address cannot be listened at.

    """
    from pynetdicom import AE, evt

    receiver = Receiver(settings, storage, reporter)
    ae = AE(ae_title=settings.ae_title)
    ae.add_supported_context("1.2.840.10008.1.1")  # verification
    for name in _STORED:
        ae.add_supported_context(name, list(_SYNTAXES))
    ae.require_called_aet = True
    ae.maximum_associations = _MOST_ASSOCIATIONS
    ae.network_timeout = ae.acse_timeout = ae.dimse_timeout = _TIMEOUT
    handlers: list[Any] = [
        (evt.EVT_CONN_OPEN, receiver.opened),
        (evt.EVT_REQUESTED, receiver.requested),
        (evt.EVT_DATA_RECV, receiver.data),
        (evt.EVT_CONN_CLOSE, receiver.ended),
        (evt.EVT_C_STORE, receiver.stored),
        (evt.EVT_C_ECHO, lambda event: _SUCCESS),
    ]
    context = None
    if settings.tls is not None:
        context = server_context(settings.tls)
    address = (settings.host, settings.port)
    try:
        server = patient_server(ae, address, handlers, context, _TIMEOUT)
    except OSError as error:
        raise InputError(
            f"{address[0]}:{address[1]}: {error.strerror}, expected a free port here"
        ) from error
    accepting = threading.Thread(target=server.serve_forever, daemon=True)
    accepting.start()
    try:
        yield int(server.server_address[1])
    finally:
        with suppress(OSError):
            server.shutdown()
        receiver.close()
