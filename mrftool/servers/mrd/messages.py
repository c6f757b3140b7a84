"""Messages of the MRD streaming protocol over a socket, with every length checked before use.

A message is its number (u16, little-endian) and a body. Source: ismrmrd, doc/mrd_messages.md and
doc/mrd_streaming_protocol.md, https://github.com/ismrmrd/ismrmrd.
"""

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from mrftool.arrays import Array, Float32Array
from mrftool.errors import InputError
from mrftool.formats.mrd.image import MrdImage, data_type_of, image_head_type, shape_of

MOST_TEXT = 20_000_000  # bytes of a configuration, header, text or attributes
MOST_BODY = 256 << 20  # bytes of the samples of one readout, or of one image
_CONFIG_NAME_BYTES = 1024
_WAVEFORM_HEAD_BYTES, _WAVEFORM_SIZES = 40, 28  # length, and place of samples and channels
_BUFFER = 1 << 20


class Kind(IntEnum):
    """Numbers of the messages."""

    CONFIG_NAME = 1
    CONFIG_TEXT = 2
    HEADER = 3
    CLOSE = 4
    TEXT = 5
    READOUT = 1008
    IMAGE = 1022
    WAVEFORM = 1026


@dataclass(frozen=True)
class Text:
    """A message that is text: a configuration, the header, or a remark."""

    kind: Kind
    text: str


@dataclass(frozen=True, eq=False)
class Readout:
    """A readout: head of one record, trajectory and samples as they came."""

    head: Array
    trajectory: Float32Array
    samples: Float32Array

    @property
    def flags(self) -> int:
        """Bits of the head."""
        return int(self.head["flags"][0])


Message = Text | Readout | MrdImage


class Connection:
    """A socket that speaks MRD.

    Parameters
    ----------
    sock
        Connected. Its timeout is the longest silence of the other side.
    most_bytes
        That are taken from the other side in all.

    """

    def __init__(self, sock: socket.socket, most_bytes: int) -> None:
        from ismrmrd.hdf5 import acquisition_header_dtype

        self._stream: Any = sock.makefile("rb", buffering=_BUFFER)
        self._socket = sock
        self._left = self._most_bytes = most_bytes
        self._readout_head = np.dtype(acquisition_header_dtype)

    @property
    def received(self) -> int:
        """Bytes that came."""
        return self._most_bytes - self._left

    def messages(self) -> Iterator[Message]:
        """What the other side sends, until it says that it is done.

        Raises
        ------
        InputError
            If a message makes no sense, is too long, or the other side ends or falls silent.

        """
        while True:
            (number,) = struct.unpack("<H", self._read(2))
            if number == Kind.CLOSE:
                return
            if number not in set(Kind):
                raise InputError(f"a message of number {number}, expected one of {_numbers()}")
            message = self._message(Kind(number))
            if message is not None:
                yield message

    def _message(self, kind: Kind) -> Message | None:
        """The body of a message; None for a waveform, which is skipped."""
        if kind == Kind.READOUT:
            return self._readout()
        if kind == Kind.IMAGE:
            return self._image()
        if kind == Kind.WAVEFORM:
            self._skip_waveform()
            return None
        if kind == Kind.CONFIG_NAME:
            return Text(kind, _decoded(self._read(_CONFIG_NAME_BYTES)))
        (length,) = struct.unpack("<I", self._read(4))
        return Text(kind, _decoded(self._read(length, MOST_TEXT)))

    def _readout(self) -> Readout:
        head = self._head(self._readout_head)
        n_samples = int(head["number_of_samples"][0])
        n_points = n_samples * int(head["trajectory_dimensions"][0])
        n_values = 2 * n_samples * int(head["active_channels"][0])
        trajectory = self._read(4 * n_points, MOST_BODY)
        samples = self._read(4 * n_values, MOST_BODY)
        return Readout(
            head, np.frombuffer(trajectory, np.float32), np.frombuffer(samples, np.float32)
        )

    def _image(self) -> MrdImage:
        head = self._head(image_head_type())
        (length,) = struct.unpack("<Q", self._read(8))
        attributes = _decoded(self._read(length, MOST_TEXT))
        number_type, shape = data_type_of(head), shape_of(head)
        n_values = int(np.prod(shape, dtype=object))
        if not n_values:
            raise InputError(f"an image of {shape} pixels, expected at least one")
        body = self._read(n_values * number_type.itemsize, MOST_BODY)
        return MrdImage(head, attributes, np.frombuffer(body, number_type).reshape(shape))

    def _skip_waveform(self) -> None:
        head = self._read(_WAVEFORM_HEAD_BYTES)
        n_samples, n_channels = struct.unpack_from("<HH", head, _WAVEFORM_SIZES)
        self._read(4 * n_samples * n_channels, MOST_BODY)

    def _head(self, record: "np.dtype[Any]") -> Array:
        return np.frombuffer(self._read(record.itemsize), record)

    def _read(self, size: int, most: int = MOST_TEXT) -> bytearray:
        """Exactly `size` bytes."""
        if size > most:
            raise InputError(f"a message of {size} bytes, expected at most {most}")
        if size > self._left:
            raise InputError(f"more than {self._most_bytes} bytes in all, expected at most as many")
        self._left -= size
        body = bytearray(size)
        view, done = memoryview(body), 0
        while done < size:
            try:
                count = self._stream.readinto(view[done:])
            except TimeoutError as error:
                raise InputError("nothing came for too long, expected a close message") from error
            except OSError as error:
                raise InputError(f"the connection broke: {error.strerror}") from error
            if not count:
                raise InputError("the connection ended, expected a close message before")
            done += count
        return body

    def send_text(self, text: str, kind: Kind = Kind.TEXT) -> None:
        """Send a message that is text."""
        body = text.encode()
        self._socket.sendall(struct.pack("<HI", kind, len(body)) + body)

    def send_config_name(self, name: str) -> None:
        """Name the configuration that the other side is to use."""
        self._socket.sendall(struct.pack("<H1024s", Kind.CONFIG_NAME, name.encode()))

    def send_readout(self, readout: Readout) -> None:
        """Send a readout."""
        parts = [readout.head.tobytes(), readout.trajectory.tobytes(), readout.samples.tobytes()]
        self._socket.sendall(struct.pack("<H", Kind.READOUT) + b"".join(parts))

    def send_image(self, image: MrdImage) -> None:
        """Send an image."""
        attributes = image.attributes.encode()
        head = struct.pack("<H", Kind.IMAGE) + image.head.tobytes()
        length = struct.pack("<Q", len(attributes))
        self._socket.sendall(head + length + attributes + image.values.tobytes())

    def close(self) -> None:
        """Close the socket and what reads from it."""
        self._stream.close()
        self._socket.close()

    def send_close(self) -> None:
        """Say that nothing more will come."""
        self._socket.sendall(struct.pack("<H", Kind.CLOSE))


def _decoded(body: bytearray) -> str:
    """Text up to the first zero byte."""
    return bytes(body).split(b"\0", 1)[0].decode("utf-8", "replace")


def _numbers() -> str:
    return ", ".join(str(int(kind)) for kind in Kind)
