"""An Orthanc of a test's own: free ports of the loopback interface, a folder of its own."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def is_installed():
    return shutil.which("Orthanc") is not None


class Orthanc:
    """Starts, ends and starts again with the same images; its name is checked each time."""

    def __init__(self, folder: Path, title: str, modalities=None):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.title = title
        self.name = f"mrftool-{uuid.uuid4().hex}"
        self.http_port, self.port = free_port(), free_port()
        self.process = None
        settings = {
            "Name": self.name,
            "HttpPort": self.http_port,
            "DicomPort": self.port,
            "DicomAet": title,
            "DicomAlwaysAllowStore": True,
            "DicomModalities": modalities or {},
            "OverwriteInstances": False,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "StorageDirectory": str(folder / "images"),
            "IndexDirectory": str(folder / "index"),
            "Plugins": [],
            "HttpThreadsCount": 4,
        }
        (folder / "orthanc.json").write_text(json.dumps(settings))

    def up(self):
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["Orthanc", str(self.folder / "orthanc.json")],
                stdout=log,
                stderr=log,
                env={**os.environ, "TCP_NODELAY": "1"},
            )
        for _ in range(300):
            try:
                name = self.get("/system")["Name"]
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
            else:
                if name != self.name:
                    raise RuntimeError(f"another server answers: {name}")
                return self
        raise RuntimeError("Orthanc does not answer")

    def down(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def read(self, path):
        with urllib.request.urlopen(self._url(path), timeout=60) as answer:
            return answer.read()

    def get(self, path):
        return json.loads(self.read(path))

    def post(self, path, data):
        if not isinstance(data, bytes):
            data = json.dumps(data).encode()
        request = urllib.request.Request(self._url(path), data=data, method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def _url(self, path):
        return f"http://127.0.0.1:{self.http_port}{path}"
