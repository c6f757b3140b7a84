"""The MRD server as processes: one a session, none harms the next."""

import socket
import struct
import subprocess
import sys
import time

import pytest
from front_door import works
from mrd_scans import write_raw_scan

from mrftool.environment.reporter import SilentReporter
from mrftool.errors import InputError
from mrftool.servers.mrd.client import send_scan
from mrftool.servers.mrd.messages import Kind

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path):
    """A server of its own process; gives its port and the list of its remarks."""
    command = [sys.executable, "-m", "mrftool", "serve", "mrd", "--port", "0"]
    options = ["--threads", "1", "--max-seconds", "60", "--silence", "20"]
    with subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True) as process:
        line = process.stderr.readline()
        yield int(line.split()[-1]), process
        process.terminate()
        assert process.wait(timeout=10) != 0


@pytest.fixture(scope="module")
def raw(tmp_path_factory, short_sequence):
    return write_raw_scan(tmp_path_factory.mktemp("raw") / "scan.mrd", short_sequence)


def test_the_next_is_served_after_clients_that_die(server, raw, tmp_path):
    port, _ = server
    content = struct.pack("<H1024s", Kind.CONFIG_NAME, b"mrf") + b"\3\0\xff\xff\xff\x7f"
    for stop in (0, 1, 500, len(content)):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(content[:stop])
    answer = send_scan(raw, "127.0.0.1", port, SilentReporter())
    assert len(answer.images) == 5


def test_a_client_is_told_why_its_session_failed(server):
    port, process = server
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(struct.pack("<H", 99))
        assert b"a message of number 99" in client.makefile("rb").read()
    assert "a message of number 99" in process.stderr.readline()


def test_the_command_sends_a_scan_and_keeps_the_maps(server, raw, tmp_path):
    port, _ = server
    printed = works("send", raw, "--port", port, "-o", tmp_path / "maps.mrd")
    assert "series 101" in printed.out
    assert (tmp_path / "maps.mrd").stat().st_size > 1000


def test_no_server_is_an_error(raw):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(InputError, match="no server answers"):
        send_scan(raw, "127.0.0.1", port, SilentReporter())


def test_the_process_of_a_session_ends_with_its_client(server):
    port, process = server
    client = socket.create_connection(("127.0.0.1", port))
    deadline = time.monotonic() + 20
    while not _children(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(_children(process.pid)) == 1
    client.close()
    while _children(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _children(process.pid)


def _children(pid):
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return found.stdout.split()
