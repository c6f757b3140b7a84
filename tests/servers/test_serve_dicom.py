"""The DICOM node: who may send, what is kept, and that maps arrive once."""

import json
import shutil
import socket
import struct
import subprocess
import time

import pydicom
import pytest
from dicom_factory import write_classic, write_enhanced
from dicom_peers import (
    MR,
    SYNTAX,
    Archive,
    FakeWorker,
    Notes,
    fingerprint,
    running,
    send,
    wait_for,
    write_settings,
)
from front_door import command

from mrftool.errors import InputError
from mrftool.servers.dicom.association import RefusedError
from mrftool.servers.dicom.deliver import Courier
from mrftool.servers.dicom.durable import key_of, mark_sent, sent_names, write_durably
from mrftool.servers.dicom.settings import Destination, NodeSettings, Tls, read_settings
from mrftool.servers.dicom.storage import Arrival, Storage
from mrftool.servers.dicom.tls import client_context, server_context
from mrftool.servers.dicom.work import ChildCrashedError, Worker

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def archive():
    archive = Archive()
    yield archive
    archive.down()


@pytest.fixture
def settings(tmp_path, model, archive):
    return write_settings(tmp_path / "node.yaml", model, archive.port, quiet=0.3)


@pytest.fixture
def patient_settings(tmp_path, model, archive):
    return write_settings(tmp_path / "node.yaml", model, archive.port, quiet=3.0)


@pytest.fixture
def fake_work(monkeypatch):
    monkeypatch.setattr("mrftool.servers.dicom.node.Worker", FakeWorker)


def _journal(settings):
    return [json.loads(path.read_text()) for path in (settings.folder / "journal").glob("*.json")]


@pytest.mark.slow
def test_a_series_comes_back_as_maps_in_its_study(
    patient_settings, archive, short_sequence, tmp_path
):
    settings = patient_settings
    scan = fingerprint(short_sequence)
    paths = write_classic(tmp_path / "scan", scan)
    archive.up()
    with running(settings) as said:
        assert send(paths, settings.port) == [0] * len(paths)
        assert wait_for(lambda: any("are sent" in note for note in said.notes), 300)
    assert {study for study, _ in archive.images.values()} == {scan.study}
    assert any("T1" in name for _, name in archive.images.values())
    (entry,) = _journal(settings)
    assert (entry["state"], entry["images"]) == ("sent", len(paths))
    assert entry["files"] == len(archive.images)
    assert not list((settings.folder / "incoming").iterdir())


@pytest.mark.slow
def test_a_rule_can_allow_a_header_that_contradicts_the_model(
    tmp_path, model, archive, short_sequence
):
    rule = f"  - {{description: LENIENT, model: {model}, destinations: [archive], allow: [tr]}}"
    settings = write_settings(tmp_path / "node.yaml", model, archive.port, quiet=0.1, more=rule)
    storage = Storage(settings.folder)
    storage.open()
    for uid, description in (("1.1", "MRF"), ("1.2", "LENIENT")):

        def change(dataset, z, t, description=description):
            dataset.SeriesDescription, dataset.StationName = description, "MR1"
            dataset.RepetitionTime = 99.0

        scan = fingerprint(short_sequence, series=uid, change=change)
        for number, path in enumerate(write_classic(tmp_path / uid, scan)):
            storage.add_image(uid, f"{uid}.{number}", path.read_bytes())
    time.sleep(0.2)
    Worker(settings, storage, Notes()).step()
    assert [folder.name for folder in storage.waiting()] == [key_of("1.2")]
    reason = storage.entry(key_of("1.1"))["reason"]
    assert "RepetitionTime is 99 ms" in reason
    assert str(tmp_path) not in reason


@pytest.mark.slow
@pytest.mark.usefixtures("fake_work")
def test_maps_wait_for_a_destination_that_is_down(settings, archive, short_sequence, tmp_path):
    scans = [fingerprint(short_sequence) for _ in range(3)]
    for number, scan in enumerate(scans):
        paths = write_enhanced(tmp_path / str(number), scan)
        with running(settings):
            assert send(paths, settings.port) == [0]
            results = settings.folder / "results"
            assert wait_for(lambda: len(list(results.iterdir())) == number + 1)  # noqa: B023
    assert not archive.images
    archive.up()
    with running(settings):
        assert wait_for(lambda: len(_journal(settings)) == 3)
    assert sorted(study for study, _ in archive.images.values()) == sorted(
        scan.study for scan in scans
    )
    assert set(archive.times.values()) == {1}


@pytest.mark.usefixtures("fake_work")
def test_a_series_that_is_sent_again_is_not_answered_again(
    settings, archive, short_sequence, tmp_path
):
    paths = write_enhanced(tmp_path / "scan", fingerprint(short_sequence))
    archive.up()
    with running(settings):
        send(paths, settings.port)
        assert wait_for(lambda: _journal(settings))
        assert send(paths, settings.port) == [0]
        assert not list((settings.folder / "incoming").iterdir())
    assert len(archive.images) == 1


@pytest.mark.usefixtures("fake_work")
def test_series_that_no_rule_means_are_ignored(settings, short_sequence, tmp_path):
    paths = write_enhanced(tmp_path / "scan", fingerprint(short_sequence, "localizer"))
    with running(settings):
        send(paths, settings.port)
        assert wait_for(lambda: _journal(settings))
    (entry,) = _journal(settings)
    assert entry["state"] == "ignored"
    assert not list((settings.folder / "incoming").iterdir())


@pytest.mark.usefixtures("fake_work")
def test_own_maps_are_never_taken_as_input(settings, short_sequence, tmp_path):
    scan = fingerprint(short_sequence, maker="mrftool")
    with running(settings):
        assert send(write_enhanced(tmp_path / "scan", scan), settings.port) == [0]
    assert not list((settings.folder / "incoming").iterdir())


@pytest.mark.parametrize(
    ("title", "called"),
    [("STRANGER", "MRFTOOL"), ("ELSEWHERE", "MRFTOOL"), ("SCANNER", "OTHER")],
)
@pytest.mark.usefixtures("fake_work")
def test_unknown_peers_are_refused(settings, short_sequence, tmp_path, title, called):
    paths = write_enhanced(tmp_path / "scan", fingerprint(short_sequence))
    with running(settings):
        assert send(paths, settings.port, title, called) is None
        assert send(paths, settings.port) == [0]


@pytest.mark.slow
@pytest.mark.usefixtures("fake_work")
def test_associations_that_send_too_much_are_aborted(tmp_path, model, archive, short_sequence):
    settings = write_settings(tmp_path / "node.yaml", model, archive.port, more="max_bytes: 100000")
    paths = write_classic(tmp_path / "scan", fingerprint(short_sequence))
    with running(settings) as said:
        assert send(paths * 4, settings.port) is None
        assert send(paths[:3], settings.port) == [0, 0, 0]
    assert any("aborted an association" in note for note in said.notes)


@pytest.mark.usefixtures("fake_work")
def test_images_under_way_are_bounded(tmp_path, model, archive, short_sequence):
    settings = write_settings(
        tmp_path / "node.yaml", model, archive.port, more="max_pending: 20000"
    )
    (large,) = write_enhanced(tmp_path / "large", fingerprint(short_sequence))
    small = write_classic(tmp_path / "small", fingerprint(short_sequence))
    assert large.stat().st_size > 20000 > 4 * small[0].stat().st_size
    with running(settings) as said:
        assert send([large], settings.port) is None
        assert send(small[:20], settings.port) == [0] * 20
    assert any("images under way" in note for note in said.notes)


@pytest.mark.parametrize("number", [1, 4])
@pytest.mark.usefixtures("fake_work")
def test_a_unit_of_four_gigabytes_is_refused_before_it_is_read(
    settings, short_sequence, tmp_path, number
):
    paths = write_enhanced(tmp_path / "scan", fingerprint(short_sequence))
    with running(settings):
        with socket.create_connection(("127.0.0.1", settings.port), timeout=20) as stranger:
            stranger.sendall(struct.pack(">BBL", number, 0, 0xFFFFFFFF))
            assert stranger.recv(100) in (b"", struct.pack(">BBLBBBB", 7, 0, 4, 0, 0, 2, 0))
        assert send(paths, settings.port) == [0]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate that signs itself, for all sides, and its key."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = [program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    subprocess.run([*command, *files], check=True, capture_output=True)
    return Tls(folder / "certificate.pem", folder / "key.pem", folder / "certificate.pem")


@pytest.mark.usefixtures("fake_work")
def test_with_tls_both_ways_are_encrypted(tmp_path, model, archive, short_sequence, certificate):
    more = "tls:\n" + "".join(
        f"  {name}: {getattr(certificate, name)}\n" for name in ("certificate", "key", "authority")
    )
    settings = write_settings(
        tmp_path / "node.yaml", model, archive.port, more=more, tls=", tls: true"
    )
    paths = write_enhanced(tmp_path / "scan", fingerprint(short_sequence))
    archive.up(server_context(certificate))
    silent = socket.socket()
    with running(settings), silent:
        silent.connect(("127.0.0.1", settings.port))  # and says nothing
        assert send(paths, settings.port) is None
        assert send(paths, settings.port, context=client_context(certificate)) == [0]
        assert wait_for(lambda: archive.images)


def test_a_series_whose_process_crashes_is_tried_three_times(
    settings, short_sequence, tmp_path, monkeypatch
):
    attempts = []

    class CrashingWorker(FakeWorker):
        def _run(self, images, folder, rule):
            attempts.append(images)
            raise ChildCrashedError("the process ended with -9")

    monkeypatch.setattr("mrftool.servers.dicom.node.Worker", CrashingWorker)
    monkeypatch.setattr("mrftool.servers.dicom.storage.RETRY_PAUSE", 0.1)
    paths = write_enhanced(tmp_path / "scan", fingerprint(short_sequence))
    with running(settings):
        send(paths, settings.port)
        assert wait_for(lambda: len(attempts) == 3)
        assert not wait_for(lambda: len(attempts) > 3, 1.0)
    (entry,) = _journal(settings)
    assert (entry["state"], entry["attempts"]) == ("failed", 3)
    assert entry["reason"] == "the process ended with -9"


def test_a_second_node_in_the_same_folder_is_refused(settings):
    with running(settings), pytest.raises(InputError, match="another node"), running(settings):
        pass


@pytest.mark.slow
def test_a_series_that_fails_says_why_and_is_tried_when_more_images_come(
    patient_settings, archive, short_sequence, tmp_path
):
    settings = patient_settings
    paths = write_classic(tmp_path / "scan", fingerprint(short_sequence))
    archive.up()
    with running(settings) as said:
        send(paths[:-2], settings.port)
        assert wait_for(lambda: _journal(settings), 300)
        assert _journal(settings)[0]["state"] == "failed"
        send(paths[-2:], settings.port)
        assert wait_for(lambda: any("are sent" in note for note in said.notes), 300)
    assert _journal(settings)[0]["state"] == "sent"


@pytest.mark.slow
def test_check_names_what_is_wrong(settings, archive, tmp_path):
    path = tmp_path / "node.yaml"
    outcome = command("serve", "dicom", path, "--check")
    assert outcome.code == 5
    assert "destination archive" in outcome.err
    archive.up()
    outcome = command("serve", "dicom", path, "--check")
    assert (outcome.code, outcome.err) == (0, "")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("mrftool_dicom_node: 1", "mrftool_dicom_node: 2", "schema number"),
        ("quiet_seconds: 1.0", "quiet: 1.0", "quiet is unknown"),
        ("destinations: [archive]", "destinations: [pacs]", "destinations pacs"),
        ("quiet_seconds: 1.0", "quiet_seconds: soon", "quiet_seconds is 'soon'"),
        ("ae_title: MRFTOOL", "ae_title: A TITLE THAT IS TOO LONG", "AE title"),
        ("peers:", "peers: {}\nothers:", "others is unknown"),
        ("SCANNER: 127.0.0.1", "SCANNER: scanner.local", "its address is 'scanner.local'"),
        ("SCANNER: 127.0.0.1", "SCANNER: 127.0.0.256", "its address is '127.0.0.256'"),
        ("quiet_seconds: 1.0", "max_pending: 0", "max_pending is 0"),
        ("rules:", "rules: !!python/name:os.system\nx:", "cannot be read"),
        ("station:", "stationname:", "stationname is unknown"),
        ("station:", "allow: [repetition], station:", "rule 1: allow repetition, expected tr"),
        ("station:", "allow: tr, station:", "allow is no list"),
        ("quiet_seconds: 1.0", "quiet_seconds: 1.0\nquiet_seconds: 900", "is in line 5 already"),
        ("quiet_seconds: 1.0", "quiet_seconds: &a 1.0\nport: *a", "aliases are not allowed"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path, model, before, after, said):
    write_settings(tmp_path / "node.yaml", model, 104)
    text = (tmp_path / "node.yaml").read_text()
    assert before in text
    (tmp_path / "node.yaml").write_text(text.replace(before, after))
    with pytest.raises(InputError, match=said):
        read_settings(tmp_path / "node.yaml")


def test_a_restart_removes_unfinished_work_and_keeps_images(tmp_path):
    storage = Storage(tmp_path)
    storage.open()
    assert storage.add_image("1.2", "1.2.3", b"image") is Arrival.KEPT
    (storage.work / "half").mkdir()
    half = storage.incoming / key_of("1.2") / "half.dcm.part"
    half.write_bytes(b"im")
    storage.open()
    assert [path.read_bytes() for path in storage.images(key_of("1.2"))] == [b"image"]
    assert not half.exists()
    assert not list(storage.work.iterdir())
    storage.finish(key_of("1.2"), "sent", used=[key_of("1.2.3")])
    assert storage.add_image("1.2", "1.2.3", b"image") is Arrival.KNOWN
    assert storage.add_image("1.2", "1.2.4", b"image") is Arrival.LATE
    assert storage.images(key_of("1.2")) == []


def test_a_series_is_not_complete_because_the_node_did_not_listen(tmp_path):
    before = Storage(tmp_path)
    before.open()
    before.add_image("1.2", "1.2.3", b"image")
    time.sleep(0.3)
    assert before.complete_series(0.2) == [key_of("1.2")]
    storage = Storage(tmp_path)
    storage.open()
    assert storage.complete_series(0.2) == []
    time.sleep(0.3)
    assert storage.complete_series(0.2) == [key_of("1.2")]


def test_maps_do_not_appear_without_an_image_that_came_during_the_work(tmp_path):
    storage = Storage(tmp_path)
    storage.open()
    key = key_of("1.2")
    storage.add_image("1.2", "1.2.3", b"image")
    used = [path.stem for path in storage.images(key)]
    (storage.work / "made" / "maps").mkdir(parents=True)
    storage.add_image("1.2", "1.2.4", b"image")
    assert not storage.publish(key, storage.work / "made", {"used": used})
    used = [path.stem for path in storage.images(key)]
    assert storage.publish(key, storage.work / "made", {"used": used})
    assert storage.add_image("1.2", "1.2.5", b"image") is Arrival.LATE


def test_what_one_destination_refuses_does_not_hold_up_other_series(tmp_path, monkeypatch):
    sent = []

    class Refusing:
        def __init__(self, destination, settings, classes):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def store(self, dataset):
            if dataset.SeriesDescription == "unwanted":
                raise RefusedError("archive: refused an image")
            sent.append(str(dataset.SeriesDescription))

    monkeypatch.setattr("mrftool.servers.dicom.deliver.Association", Refusing)
    storage = Storage(tmp_path)
    storage.open()
    for series, description in (("1.1", "unwanted"), ("1.2", "wanted"), ("1.3", "damaged")):
        maps = storage.work / series / "maps"
        dataset = pydicom.Dataset()
        dataset.SeriesDescription, dataset.SOPClassUID = description, MR
        dataset.SOPInstanceUID = f"{series}.1"
        maps.mkdir(parents=True)
        pydicom.dcmwrite(maps / "T1.dcm", _with_meta(dataset), enforce_file_format=True)
        if description == "damaged":
            (maps / "T1.dcm").write_bytes(b"nothing of DICOM")
        record = {"series_uid": series, "images": 0, "rule": "", "files": 1, "used": []}
        assert storage.publish(key_of(series), maps.parent, record | {"destinations": ["archive"]})
    archive = Destination("archive", "ARCHIVE", "127.0.0.1", 104)
    settings = NodeSettings(tmp_path, (), {"archive": archive}, {})
    said = Notes()
    Courier(settings, storage, said).step()
    assert sent == ["wanted"]
    assert [folder.name for folder in storage.waiting()] != []
    assert len([note for note in said.notes if "tried again" in note]) == 2


def _with_meta(dataset):
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = SYNTAX
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def test_marks_of_sent_files_survive(tmp_path):
    mark_sent(tmp_path, "archive", "maps/a.dcm")
    mark_sent(tmp_path, "archive", "maps/b.dcm")
    assert sent_names(tmp_path, "archive") == {"maps/a.dcm", "maps/b.dcm"}
    assert sent_names(tmp_path, "other") == set()
    write_durably(tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"
