"""Messages of MRD: as the ismrmrd library writes them, and never longer than they may be."""

import io
import socket
import struct

import ismrmrd
import numpy as np
import pytest
from mrd_scans import as_acquisition, image_head

from mrftool.errors import InputError
from mrftool.formats.mrd.image import MrdImage
from mrftool.servers.mrd.messages import Connection, Kind, Readout, Text

CLOSE = struct.pack("<H", Kind.CLOSE)


def _received(content, most=1 << 24):
    """The messages in a stream of bytes that ends."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(content)
        theirs.shutdown(socket.SHUT_WR)
        connection = Connection(ours, most)
        try:
            return list(connection.messages())
        finally:
            connection.close()


def _sent(send):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Connection(ours, 1)
        send(connection)
        connection.close()
        with theirs.makefile("rb") as stream:
            return stream.read()


def _acquisition():
    random = np.random.default_rng(0)
    samples = random.normal(size=(3, 20, 2)).astype(np.float32).view(np.complex64)[..., 0]
    points = random.normal(size=(20, 2)).astype(np.float32)
    acquisition = ismrmrd.Acquisition.from_array(samples, points)
    acquisition.idx.repetition = 7
    return acquisition


def _bytes_of(kind, item):
    stream = io.BytesIO()
    stream.write(struct.pack("<H", kind))
    item.serialize_into(stream.write)
    return stream.getvalue()


def test_a_readout_of_the_ismrmrd_library_is_understood_and_written_back():
    acquisition = _acquisition()
    content = _bytes_of(Kind.READOUT, acquisition)
    (readout,) = _received(content + CLOSE)
    assert isinstance(readout, Readout)
    assert readout.head["idx"]["repetition"][0] == 7
    found = as_acquisition(readout.head, readout.trajectory, readout.samples)
    np.testing.assert_array_equal(found.data, acquisition.data)
    np.testing.assert_array_equal(found.traj, acquisition.traj)
    assert _sent(lambda connection: connection.send_readout(readout)) == content


def test_an_image_of_the_ismrmrd_library_is_understood_and_written_back():
    values = np.arange(2 * 3 * 4, dtype=np.uint16).reshape(1, 2, 3, 4)
    image = ismrmrd.Image.from_array(values, transpose=False)
    image.meta = {"DataRole": "Image"}
    content = _bytes_of(Kind.IMAGE, image)
    (found,) = _received(content + CLOSE)
    assert isinstance(found, MrdImage)
    np.testing.assert_array_equal(found.values, values)
    assert "<value>Image</value>" in found.attributes
    assert _sent(lambda connection: connection.send_image(found)) == content


def test_texts_and_names_come_as_they_were_sent():
    def send(connection):
        connection.send_config_name("mrf")
        connection.send_text("<xml/>", Kind.HEADER)
        connection.send_text("a remark")
        connection.send_close()

    assert _received(_sent(send)) == [
        Text(Kind.CONFIG_NAME, "mrf"),
        Text(Kind.HEADER, "<xml/>"),
        Text(Kind.TEXT, "a remark"),
    ]


def test_waveforms_are_skipped():
    waveform = ismrmrd.Waveform.from_array(np.arange(30, dtype=np.uint32).reshape(3, 10))
    content = _bytes_of(Kind.WAVEFORM, waveform)
    assert _received(content + CLOSE) == []


def test_a_connection_that_ends_at_any_byte_is_an_error():
    content = _bytes_of(Kind.READOUT, _acquisition()) + struct.pack("<HI", 3, 4) + b"<x/>" + CLOSE
    assert len(_received(content)) == 2
    for stop in range(0, len(content), 7):
        with pytest.raises(InputError, match="the connection ended"):
            _received(content[:stop])


def _head(kind, head, **changes):
    head = head.copy()
    for name, value in changes.items():
        head[name] = value
    return struct.pack("<H", kind) + head.tobytes()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (struct.pack("<HI", Kind.HEADER, 0xFFFFFFFF), "4294967295 bytes"),
        (struct.pack("<H", 77), "a message of number 77"),
        (struct.pack("<HI", Kind.TEXT, 19_000_000), "more than 16777216 bytes in all"),
        (
            _head(Kind.IMAGE, image_head((60000, 60000), 0, 0)) + struct.pack("<Q", 0),
            "28800000000 bytes",
        ),
        (
            _head(Kind.IMAGE, image_head((9, 9), 0, 0)) + struct.pack("<Q", 1 << 63),
            "9223372036854775808 bytes",
        ),
        (
            _head(Kind.IMAGE, image_head((9, 9), 0, 0), data_type=9) + struct.pack("<Q", 0),
            "data type 9",
        ),
        (_head(Kind.IMAGE, image_head((9, 0), 0, 0)) + struct.pack("<Q", 0), "at least one"),
    ],
)
def test_lengths_are_refused_before_anything_is_allocated(content, said):
    with pytest.raises(InputError, match=said):
        _received(content + b"\0" * 64)


def test_silence_is_an_error():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0.05)
        connection = Connection(ours, 100)
        with pytest.raises(InputError, match="nothing came for too long"):
            list(connection.messages())
        connection.close()
