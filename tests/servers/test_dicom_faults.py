"""What keeps a DICOM node from its work for a while loses nothing, and holds up no other series."""

import errno
import os
import re
import socket
import subprocess
import time

import pydicom
import pytest
from dicom_factory import write_enhanced
from dicom_peers import Archive, FakeWorker, Notes, fingerprint, running, send, write_settings

from mrftool.errors import InputError
from mrftool.servers.dicom import receive
from mrftool.servers.dicom.child import TEMPORARY, exit_code_of
from mrftool.servers.dicom.deliver import Courier
from mrftool.servers.dicom.durable import key_of, write_durably
from mrftool.servers.dicom.settings import Destination, NodeSettings, read_settings
from mrftool.servers.dicom.storage import Storage
from mrftool.servers.dicom.work import Worker

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
NO_ROOM = 0xA700


@pytest.fixture
def settings(tmp_path, model):
    return write_settings(tmp_path / "node.yaml", model, Archive().port, quiet=0.2)


@pytest.fixture
def storage(settings):
    storage = Storage(settings.folder)
    storage.open()
    return storage


def full_disk(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_a_failure_status_and_leaves_no_half_image(
    settings, short_sequence, tmp_path, monkeypatch
):
    paths = write_enhanced(tmp_path / "scan", fingerprint(short_sequence))
    monkeypatch.setattr("mrftool.servers.dicom.node.Worker", FakeWorker)
    with running(settings) as said:
        with monkeypatch.context() as during:
            during.setattr(os, "fsync", full_disk)
            assert send(paths, settings.port) == [NO_ROOM]
        assert not list(settings.folder.rglob("*.dcm*"))
        assert any("No space left" in note for note in said.notes)
        assert send(paths, settings.port) == [0]


def add_series(storage, short_sequence, folder, uid):
    (path,) = write_enhanced(folder / uid, fingerprint(short_sequence, series=uid))
    storage.add_image(uid, f"{uid}.1", path.read_bytes())


def test_a_series_that_cannot_be_worked_on_now_holds_up_no_other(
    settings, storage, short_sequence, tmp_path
):
    class Hindered(FakeWorker):
        is_hindered = True

        def _run(self, images, folder, rule):
            source = pydicom.dcmread(next(images.glob("*.dcm")))
            if self.is_hindered and source.SeriesInstanceUID == "1.1":
                full_disk()
            return super()._run(images, folder, rule)

    for uid in ("1.1", "1.2"):
        add_series(storage, short_sequence, tmp_path, uid)
    said = Notes()
    worker = Hindered(settings, storage, said)
    time.sleep(settings.quiet_seconds)
    worker.step()
    assert [folder.name for folder in storage.waiting()] == [key_of("1.2")]
    assert storage.entry(key_of("1.1")) is None
    worker.step()
    assert len([note for note in said.notes if "tried again" in note]) == 1
    worker.is_hindered = False
    time.sleep(1.0)
    worker.step()
    assert len(storage.waiting()) == 2


def test_a_process_without_disk_space_is_no_failed_series(
    settings, storage, short_sequence, tmp_path, monkeypatch
):
    def run(command, **options):
        return subprocess.CompletedProcess(command, TEMPORARY, b"maps: cannot be written", b"")

    add_series(storage, short_sequence, tmp_path, "1.1")
    monkeypatch.setattr(subprocess, "run", run)
    said = Notes()
    time.sleep(settings.quiet_seconds)
    Worker(settings, storage, said).step()
    assert storage.entry(key_of("1.1")) is None
    assert len(storage.images(key_of("1.1"))) == 1
    assert "cannot be written; it is tried again" in said.notes[0]


def test_the_exit_code_tells_a_full_disk_from_a_bad_series():
    def failing(error):
        try:
            try:
                raise error
            except OSError as cause:
                raise InputError("maps: cannot be written") from cause
        except InputError as shown:
            return exit_code_of(shown)

    assert failing(OSError(errno.ENOSPC, "full")) == TEMPORARY
    assert failing(FileNotFoundError(errno.ENOENT, "no model")) == InputError.exit_code
    assert exit_code_of(OSError(errno.EDQUOT, "over quota")) == TEMPORARY
    assert exit_code_of(OSError(errno.EACCES, "denied")) == 1


def test_maps_that_are_missing_on_the_disk_are_not_called_sent(tmp_path):
    storage = Storage(tmp_path)
    storage.open()
    maps = storage.work / "made" / "maps"
    maps.mkdir(parents=True)
    record = {"series_uid": "1.1", "images": 0, "rule": "", "used": [], "destinations": ["archive"]}
    assert storage.publish(key_of("1.1"), maps.parent, record | {"files": 2})
    archive = Destination("archive", "ARCHIVE", "127.0.0.1", 104)
    said = Notes()
    Courier(NodeSettings(tmp_path, (), {"archive": archive}, {}), storage, said).step()
    assert storage.entry(key_of("1.1")) is None
    assert len(storage.waiting()) == 1
    assert "0 maps, expected 2" in said.notes[0]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    write_durably(tmp_path / "file", b"old")
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_durably(tmp_path / "file", b"new")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_a_byte_now_and_then_is_silence_too(monkeypatch):
    monkeypatch.setattr(receive, "_TIMEOUT", 0.05)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"abc")
        assert receive._received(ours, 3) == b"abc"

        class Slow:
            def recv(self, size):
                time.sleep(0.03)
                return b"x"

        with pytest.raises(TimeoutError, match="of 100 bytes"):
            receive._received(Slow(), 100)


def test_connections_beyond_the_limit_are_closed(settings, monkeypatch):
    monkeypatch.setattr(receive, "_MOST_CONNECTIONS", 2)
    with running(settings):
        open_ones = [socket.create_connection(("127.0.0.1", settings.port)) for _ in range(2)]
        time.sleep(0.5)
        with socket.create_connection(("127.0.0.1", settings.port), timeout=10) as third:
            assert third.recv(1) == b""
        for peer in open_ones:
            peer.settimeout(0.3)
            with pytest.raises(TimeoutError):
                peer.recv(1)
            peer.close()


@pytest.mark.parametrize("host", ["\\0", "x" * 5000, "a..b", ""])
def test_a_host_that_no_resolver_takes_is_refused(tmp_path, model, host):
    with pytest.raises(InputError, match=r"host is .*, expected a"):
        write_settings(tmp_path / "node.yaml", model, 104, more=f'host: "{host}"')


def test_a_folder_that_no_system_can_name_is_refused(tmp_path, model):
    write_settings(tmp_path / "node.yaml", model, 104)
    text = (tmp_path / "node.yaml").read_text()
    named = re.sub(r"(?m)^folder: .*$", r'folder: "\\0"', text)
    (tmp_path / "node.yaml").write_text(named)
    with pytest.raises(InputError, match="without null characters"):
        read_settings(tmp_path / "node.yaml")
