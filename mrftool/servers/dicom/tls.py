"""TLS of a node, both ways, and a server that no peer can hold up."""

import ssl
from collections.abc import Callable
from typing import Any

from mrftool.errors import InputError
from mrftool.servers.dicom.settings import Tls


def patient_server(
    ae: Any,
    address: tuple[str, int],
    handlers: list[Any],
    context: ssl.SSLContext | None,
    timeout: float,
) -> Any:
    """A server of the application entity `ae` that can accept others while a peer is silent.

    pynetdicom's own shakes hands for TLS before it accepts the next peer, however long it takes.

    Parameters
    ----------
    ae
        Application entity of pynetdicom.
    address
        To listen at.
    handlers
        Of events.
    context
        Of TLS; None for connections without.
    timeout
        Of each peer's next byte [s].

    """
    from pynetdicom.transport import ThreadedAssociationServer

    class PatientServer(ThreadedAssociationServer):
        """Leaves the handshake to the thread of the association."""

        def get_request(self) -> Any:
            """The next connection."""
            listening: Any = self.socket
            peer, where = listening.accept()
            peer.settimeout(timeout)
            if context is not None:
                peer = context.wrap_socket(peer, server_side=True, do_handshake_on_connect=False)
            return peer, where

    return ae.make_server(
        address,
        ae_title=ae.ae_title,
        contexts=ae.supported_contexts,
        evt_handlers=handlers,
        server_class=PatientServer,
    )


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
