"""Images from named peers: C-ECHO and C-STORE. Home of pynetdicom, with `deliver.py`."""

import io
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from mrftool.environment.reporter import Reporter
from mrftool.errors import InputError
from mrftool.servers.dicom.settings import NodeSettings, Tls
from mrftool.servers.dicom.storage import Storage

OWN_MAKER = "mrftool"  # Manufacturer of the maps
_SUCCESS, _NO_RESOURCES, _NOT_UNDERSTOOD = 0x0000, 0xA700, 0xC000
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
_TIMEOUT = 60.0  # of the network, and between messages [s]
_REJECTED, _BY_USER, _CALLING_TITLE = 0x01, 0x01, 0x03  # PS3.8 9.3.4


class Receiver:
    """What a node does with each event of its associations."""

    def __init__(self, settings: NodeSettings, storage: Storage, reporter: Reporter) -> None:
        self._settings = settings
        self._storage = storage
        self._reporter = reporter
        self._received: dict[Any, int] = {}

    def requested(self, event: Any) -> None:
        """Reject an association unless a named peer asks for it, from its address."""
        title = str(event.assoc.requestor.primitive.calling_ae_title).strip()
        address = event.assoc.requestor.address
        expected = self._settings.peers.get(title)
        if expected is None or expected not in ("", address):
            event.assoc.acse.send_reject(_REJECTED, _BY_USER, _CALLING_TITLE)
            event.assoc.kill()
            self._reporter.note(f"rejected {title!r} at {address}: not among the peers")

    def data(self, event: Any) -> None:
        """Abort an association that sends more than it may."""
        count = self._received.get(event.assoc, 0) + len(event.data)
        self._received[event.assoc] = count
        if count > self._settings.most_bytes:
            self._reporter.note(f"aborted an association after {count} bytes")
            event.assoc.abort()

    def ended(self, event: Any) -> None:
        """Forget an association."""
        self._received.pop(event.assoc, None)

    def stored(self, event: Any) -> int:
        """Keep an image; its status."""
        try:
            content = event.encoded_dataset()
            series, image, maker = identity(content)
        except Exception as error:  # whatever pydicom raises of what came
            self._reporter.note(f"an image that cannot be read: {type(error).__name__}")
            return _NOT_UNDERSTOOD
        if maker == OWN_MAKER:
            return _SUCCESS
        try:
            self._storage.add_image(series, image, content)
        except OSError as error:
            self._reporter.note(f"an image could not be kept: {error.strerror}")
            return _NO_RESOURCES
        return _SUCCESS


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
        server = ae.start_server(address, block=False, evt_handlers=handlers, ssl_context=context)
    except OSError as error:
        raise InputError(
            f"{address[0]}:{address[1]}: {error.strerror}, expected a free port here"
        ) from error
    if server is None:
        raise InputError("the server did not start")
    try:
        yield int(server.server_address[1])
    finally:
        with suppress(OSError):
            server.shutdown()


def server_context(tls: Tls) -> ssl.SSLContext:
    """For connections that come in: both sides show a certificate.

    Raises
    ------
    InputError
        If a file is no certificate or key.

    """
    return _with_files(tls, lambda: ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))


def client_context(tls: Tls) -> ssl.SSLContext:
    """For connections that go out."""
    return _with_files(tls, lambda: ssl.create_default_context(ssl.Purpose.SERVER_AUTH))


def _with_files(tls: Tls, make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    context = make()
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(cafile=tls.authority)
        context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"tls: {error}, expected a certificate and its key in PEM") from error
    return context
