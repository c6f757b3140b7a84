"""One session with a scanner: data in, maps out."""

import json
from contextlib import ExitStack
from pathlib import Path

from mrftool.arrays import Array
from mrftool.environment.reporter import SilentReporter
from mrftool.errors import InputError
from mrftool.formats.mrd.append import GrowingFile, growing_file
from mrftool.formats.mrd.image import MrdImage
from mrftool.formats.mrd.map_images import map_images
from mrftool.formats.sequence.mrd.header import parse_header
from mrftool.grid import Placement
from mrftool.maps import Maps
from mrftool.servers.mrd.messages import Connection, Kind, Message, Readout, Text
from mrftool.servers.mrd.service import Service

_LAST_IN_MEASUREMENT = 1 << 24
_NOT_IMAGING = sum(1 << (bit - 1) for bit in (19, 20, 23, 24, 26, 27, 28, 29))
_SEQUENCE = "mrftool_sequence"


class PeerReporter(SilentReporter):
    """Tells the other side what is assumed and noticed."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def note(self, text: str) -> None:
        """Send a sentence."""
        self._connection.send_text(text)


class Session:
    """What has come until now: configuration, header, and the file of the measurement."""

    def __init__(self, connection: Connection, service: Service, folder: Path) -> None:
        self._connection = connection
        self._service = service
        self._folder = folder
        self._config = ""
        self._header: str | None = None
        self._file: GrowingFile | None = None
        self._open = ExitStack()
        self._source: Array | None = None
        self._measurements = 0

    def run(self) -> None:
        """Take messages until the other side closes; quantify every measurement."""
        with self._open:
            for message in self._connection.messages():
                self._take(message)
            if self._source is not None:
                self._finish()
        if not self._measurements:
            raise InputError("no data came before the close message, expected readouts or images")

    def _take(self, message: Message) -> None:
        if isinstance(message, Text):
            self._take_text(message)
        elif isinstance(message, MrdImage):
            self._growing().add_image(message)
            if self._source is None:
                self._source = message.head
        else:
            self._take_readout(message)

    def _take_text(self, message: Text) -> None:
        if message.kind == Kind.CONFIG_NAME:
            self._config = message.text
        elif message.kind == Kind.CONFIG_TEXT:
            self._config = _named_config(message.text) or self._config
        elif message.kind == Kind.HEADER:
            if self._header is not None:
                raise InputError("a second header, expected one in a session")
            self._header = message.text

    def _take_readout(self, readout: Readout) -> None:
        self._growing().add_readout(readout.head, readout.trajectory, readout.samples)
        if readout.flags & _NOT_IMAGING:
            return
        if self._source is None:
            self._source = readout.head
        if readout.flags & _LAST_IN_MEASUREMENT:
            self._finish()

    def _growing(self) -> GrowingFile:
        """The file of the measurement that is coming in."""
        if self._header is None:
            raise InputError("data before the header, expected the header first")
        if self._file is None:
            self._check_known(self._header)
            self._file = self._open.enter_context(growing_file(self._path(), self._header))
        return self._file

    def _check_known(self, header: str) -> None:
        """Refuse a session early whose sequence cannot be known."""
        texts = _user_texts(header)
        if _SEQUENCE in texts or self._config in self._service.configs:
            return
        known = ", ".join(self._service.configs) or "none"
        raise InputError(
            f"configuration {self._config!r} is unknown and the header holds no {_SEQUENCE}, "
            f"expected one of the configurations: {known}"
        )

    def _path(self) -> Path:
        return self._folder / f"scan_{self._measurements + 1}.mrd"

    def _finish(self) -> None:
        """Quantify the measurement, send its maps, and be ready for the next."""
        from mrftool.servers.mrd.quantification import Work, quantify_incoming

        path, source = self._path(), self._source
        header = self._header or ""
        self._open.close()
        self._open = ExitStack()
        self._file, self._source = None, None
        self._measurements += 1
        work = Work(
            path,
            path.with_suffix(""),
            self._service.configs.get(self._config),
            _SEQUENCE in _user_texts(header),
            self._service.threads,
            self._service.allow,
        )
        maps, placement = quantify_incoming(work, PeerReporter(self._connection))
        if source is not None:
            self._send(maps, placement, source)

    def _send(self, maps: Maps, placement: Placement, source: Array) -> None:
        for image in map_images(maps, placement, source):
            self._connection.send_image(image)


def _named_config(text: str) -> str | None:
    """Name of the configuration in a configuration's text: JSON as OpenRecon sends, or a name."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return text.strip() or None
    if not isinstance(content, dict):
        return None
    parameters = content.get("parameters", content)
    if not isinstance(parameters, dict):
        return None
    for key in ("mrfconfig", "config", "customconfig"):
        if isinstance(parameters.get(key), str) and parameters[key]:
            return str(parameters[key])
    return None


def _user_texts(header: str) -> dict[str, str]:
    """User parameters of a header that are texts, by name."""
    root = parse_header(header.encode(), Path("header"))
    found = root.findall("userParameters/userParameterString")
    return {item.findtext("name", ""): item.findtext("value", "") for item in found}
