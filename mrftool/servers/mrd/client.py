"""A small client: sends an MRD file as a scanner does, and keeps the images that come back."""

import socket
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mrftool.environment.reporter import Reporter
from mrftool.errors import InputError
from mrftool.formats.atomic import writing
from mrftool.formats.coefficients.mrd import coefficient_stream
from mrftool.formats.coefficients.read import (
    is_coefficient_folder,
    open_coefficients,
    sequence_facts,
)
from mrftool.formats.mrd.append import growing_file, stored_images, stored_readouts
from mrftool.formats.mrd.image import MrdImage
from mrftool.formats.sequence.mrd.header import read_header_text
from mrftool.servers.mrd.messages import Connection, Kind, Readout, Text

_MOST_BYTES = 8 << 30


@dataclass(frozen=True, eq=False)
class Answer:
    """What a server sent: images and texts in order."""

    images: list[MrdImage]
    texts: list[str]


@contextmanager
def as_mrd(path: Path) -> Iterator[Path]:
    """An MRD file of a scan: the path itself, or what a folder of coefficient images becomes."""
    if not is_coefficient_folder(path):
        yield path
        return
    header, images = coefficient_stream(open_coefficients(path), sequence_facts(path))
    with tempfile.TemporaryDirectory(prefix="mrftool-") as folder:
        file = Path(folder) / "coefficients.mrd"
        with growing_file(file, header) as growing:
            for image in images:
                growing.add_image(image)
        yield file


def send_scan(
    path: Path,
    host: str,
    port: int,
    reporter: Reporter,
    *,
    config: str = "",
    silence: float = 3600.0,
) -> Answer:
    """Send the readouts and images of an MRD file; what the server sends back.

    Parameters
    ----------
    path
        MRD file.
    host, port
        Of the server.
    reporter
        Hears the texts of the server.
    config
        Name of the configuration.
    silence
        Longest pause of the server [s].

    Raises
    ------
    InputError
        If the file or the server cannot be reached, or the server breaks off.

    """
    header = read_header_text(path).decode("utf-8", "replace")
    try:
        sock = socket.create_connection((host, port), timeout=silence)
    except OSError as error:
        raise InputError(f"{host}:{port}: no server answers there: {error}") from error
    with sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(sock, _MOST_BYTES)
        faults: list[Exception] = []
        sender = threading.Thread(target=_send, args=(connection, config, header, path, faults))
        sender.start()
        answer = Answer([], [])
        try:
            for message in connection.messages():
                _take(message, answer, reporter)
        finally:
            _stop(sock, sender)
            connection.close()
    if faults:
        raise InputError(f"{path}: could not be sent: {faults[0]}") from faults[0]
    return answer


def _take(message: object, answer: Answer, reporter: Reporter) -> None:
    if isinstance(message, MrdImage):
        answer.images.append(message)
    elif isinstance(message, Text) and message.kind == Kind.TEXT:
        answer.texts.append(message.text)
        reporter.note(message.text)


def _send(
    connection: Connection, config: str, header: str, path: Path, faults: list[Exception]
) -> None:
    """Send everything, in the order of the protocol, while another thread reads."""
    try:
        connection.send_config_name(config)
        connection.send_text(header, Kind.HEADER)
        for readout in stored_readouts(path):
            connection.send_readout(Readout(*readout))
        for image in stored_images(path):
            connection.send_image(image)
        connection.send_close()
    except (BrokenPipeError, ConnectionResetError):
        return  # the server has said why
    except (OSError, InputError) as error:
        faults.append(error)


def _stop(sock: socket.socket, sender: threading.Thread) -> None:
    """End the sending, also where the server broke off."""
    sender.join(timeout=0.1)
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sender.join()


def write_answer(path: Path, source: Path, images: Iterable[MrdImage]) -> None:
    """Write the images that came back into an MRD file, whole or not at all."""
    header = read_header_text(source).decode("utf-8", "replace")
    with writing(path) as part, growing_file(part, header) as file:
        for image in images:
            file.add_image(image)
