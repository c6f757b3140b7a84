"""Peers of a DICOM node in this process: a scanner that sends, an archive that keeps."""

import contextlib
import gc
import socket
import threading
import time

import numpy as np
import pydicom
from dicom_factory import Scan
from pydicom.uid import generate_uid
from pynetdicom import AE, evt

from mrftool.environment.reporter import SilentReporter
from mrftool.physics.simulate import simulate
from mrftool.servers.dicom import node
from mrftool.servers.dicom.settings import read_settings
from mrftool.servers.dicom.work import Worker
from mrftool.tissue import Tissue

MR = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED = "1.2.840.10008.5.1.4.1.1.4.1"
SYNTAX = "1.2.840.10008.1.2.1"
T1, T2 = np.meshgrid([0.5, 0.9, 1.4, 2.0], [0.05, 0.08, 0.11], indexing="ij")


def fingerprint(sequence, description="MRF", scale=1.0, **options):
    """A complex scan of known tissue, a series of its own."""
    signal = simulate(sequence, Tissue(T1.ravel(), T2.ravel())).signal.reshape(4, 3, 1, -1)

    def change(dataset, z, t):
        dataset.SeriesDescription = dataset.ProtocolName = description
        dataset.StationName = "MR1"

    options = {"parts": ("real", "imaginary"), "change": change} | options
    return Scan(scale * signal * np.exp(0.7j), **options)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def send(paths, port, title="SCANNER", called="MRFTOOL", context=None):
    """Send files; their status values, or None where the association is refused or ends."""
    ae = AE(ae_title=title)
    for name in (MR, ENHANCED):
        ae.add_requested_context(name, SYNTAX)
    tls = None if context is None else (context, "127.0.0.1")
    association = ae.associate("127.0.0.1", port, ae_title=called, tls_args=tls)
    if not association.is_established:
        del association
        gc.collect()  # pynetdicom leaves the socket open
        return None
    found = []
    for path in paths:
        answer = association.send_c_store(pydicom.dcmread(path))
        if "Status" not in answer:
            return None
        found.append(int(answer.Status))
    association.release()
    return found


class Archive:
    """A DICOM archive that can be down; `images` counts arrivals by UID."""

    def __init__(self):
        self.port = free_port()
        self.images = {}
        self.times = {}
        self._server = None

    def up(self, context=None):
        ae = AE(ae_title="ARCHIVE")
        ae.add_supported_context(MR)
        ae.add_supported_context("1.2.840.10008.1.1")
        handlers = [(evt.EVT_C_STORE, self._keep), (evt.EVT_C_ECHO, lambda event: 0)]
        self._server = ae.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=handlers, ssl_context=context
        )

    def down(self):
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def _keep(self, event):
        dataset = event.dataset
        uid = str(dataset.SOPInstanceUID)
        self.images[uid] = (str(dataset.StudyInstanceUID), str(dataset.SeriesDescription))
        self.times[uid] = self.times.get(uid, 0) + 1
        return 0


class FakeWorker(Worker):
    """Makes one small image instead of maps, in no time."""

    def _run(self, images, folder, rule):
        source = pydicom.dcmread(sorted(images.glob("*.dcm"))[0])
        folder.mkdir(parents=True)
        source.Manufacturer = "mrftool"
        source.SOPClassUID = source.file_meta.MediaStorageSOPClassUID = MR
        source.SOPInstanceUID = source.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        source.save_as(folder / "T1.dcm")
        return None


class MixedWorker(FakeWorker):
    """Real work where the rule is `real`."""

    def _run(self, images, folder, rule):
        if rule.name == "real":
            return Worker._run(self, images, folder, rule)
        return super()._run(images, folder, rule)


def serve_mixed(settings):
    """Run a node of this file of settings with `MixedWorker`, until this process ends."""
    node.Worker = MixedWorker
    node.serve(read_settings(settings), SilentReporter())


def real_rule(model):
    """The rule for `MixedWorker`, of series with the description REAL."""
    return f'  - {{name: real, description: "REAL", model: {model}, destinations: [archive]}}'


class Notes:
    """Keeps what a node says."""

    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


@contextlib.contextmanager
def running(settings):
    """A node in this process; gives what it says."""
    stop, ready, notes, faults = threading.Event(), threading.Event(), Notes(), []

    def run():
        try:
            node.serve(settings, notes, stop=stop, ready=lambda port: ready.set())
        except Exception as error:
            faults.append(error)
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait(20)
    try:
        if faults:
            raise faults[0]
        yield notes
    finally:
        stop.set()
        thread.join()


def write_settings(path, model, archive_port, **changes):
    """Settings of a node beside `path`, as text, and read."""
    facts = {"port": free_port(), "quiet": 1.0, "more": "", "tls": ""} | changes
    path.write_text(
        f"""mrftool_dicom_node: 1
ae_title: MRFTOOL
port: {facts["port"]}
folder: node
quiet_seconds: {facts["quiet"]}
peers:
  SCANNER: 127.0.0.1
  ELSEWHERE: 192.0.2.1
destinations:
  archive: {{ae_title: ARCHIVE, host: 127.0.0.1, port: {archive_port}{facts["tls"]}}}
rules:
  - {{description: "MRF*", station: "MR?", model: {model}, destinations: [archive]}}
{facts["more"]}
"""
    )
    return read_settings(path)


def wait_for(condition, seconds=60.0):
    """Whether a condition comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False
