"""Maps in a DICOM archive: Orthanc stores them, gives them back as they were, and renders them."""

import io
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_factory import Scan, phantom, write_classic
from dicom_maps import PROVENANCE, by_place, some_maps
from PIL import Image

from mrftool.formats.dicom.read.series import open_dicom_series
from mrftool.formats.dicom.write.objects import write_dicom_maps

pytestmark = pytest.mark.node


@dataclass(frozen=True)
class Node:
    """A server of this test alone, on a free port of the loopback interface."""

    url: str

    def get(self, path: str, accept: str = "*/*") -> bytes:
        request = urllib.request.Request(f"{self.url}{path}", headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return bytes(answer.read())

    def post(self, path: str, data: bytes) -> Any:
        request = urllib.request.Request(f"{self.url}{path}", data=data, method="POST")
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    program = shutil.which("Orthanc")
    if program is None:
        pytest.skip("Orthanc is not installed (Debian's orthanc)")
    folder = tmp_path_factory.mktemp("orthanc")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    name = f"mrftool-{uuid.uuid4().hex}"
    settings = {
        **{
            "Name": name,
            "HttpPort": port,
            "DicomServerEnabled": False,
            "RemoteAccessAllowed": False,
        },
        **{"StorageDirectory": str(folder / "images"), "IndexDirectory": str(folder / "index")},
        **{"AuthenticationEnabled": False, "Plugins": [], "HttpThreadsCount": 2},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [program, str(folder / "orthanc.json")],
            stdout=log,
            stderr=log,
            env={**os.environ, "TCP_NODELAY": "1"},
        )
        try:
            found = Node(f"http://127.0.0.1:{port}")
            _wait_for(found, name, server)
            yield found
        finally:
            server.kill()
            server.wait()


def _wait_for(node: Node, name: str, server: "subprocess.Popen[bytes]") -> None:
    for _ in range(100):
        if server.poll() is not None:
            pytest.fail("Orthanc ended at once")
        try:
            answer = node.get("/system")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
        else:
            assert json.loads(answer)["Name"] == name
            return
    pytest.fail("Orthanc does not answer")


@pytest.mark.parametrize("chosen", ["mr", "parametric-map"])
def test_an_archive_stores_and_returns_maps(tmp_path: Path, node: Node, chosen: Any) -> None:
    paths = write_classic(tmp_path / "in", Scan(phantom((48, 40, 3, 2))))
    source = open_dicom_series(tmp_path / "in")
    maps = some_maps(source.shape)
    written = write_dicom_maps(
        tmp_path / "out", maps, source.placement, source, PROVENANCE, format=chosen
    )
    study = {node.post("/instances", path.read_bytes())["ParentStudy"] for path in paths}
    for entry in written:
        answers = [node.post("/instances", path.read_bytes()) for path in entry.paths]
        assert {answer["Status"] for answer in answers} == {"Success"}
        assert {answer["ParentStudy"] for answer in answers} == study
        assert len({answer["ParentSeries"] for answer in answers}) == 1
        files = []
        for answer in answers:
            files.append(tmp_path / f"{answer['ID']}.dcm")
            files[-1].write_bytes(node.get(f"/instances/{answer['ID']}/file"))
        image, unit = maps[entry.name]
        expected = abs(image) * (1000 if unit == "s" else 1)
        step = 1e-4 if entry.name in ("m0", "residual") else 1
        np.testing.assert_allclose(by_place(files, source.affine), expected, atol=0.501 * step)


def test_an_archive_renders_maps_in_their_window(tmp_path: Path, node: Node) -> None:
    write_classic(tmp_path / "in", Scan(phantom((48, 40, 3, 2))))
    source = open_dicom_series(tmp_path / "in")
    maps = some_maps(source.shape)
    for entry in write_dicom_maps(tmp_path / "out", maps, source.placement, source, PROVENANCE):
        for path in entry.paths:
            dataset = pydicom.dcmread(path)
            answer = node.post("/instances", path.read_bytes())
            shown = np.asarray(
                Image.open(io.BytesIO(node.get(f"/instances/{answer['ID']}/rendered", "image/png")))
            )
            values = dataset.pixel_array * float(dataset.RescaleSlope)
            width = max(float(dataset.WindowWidth), 1.0)  # Orthanc widens narrower ones to 1
            low = float(dataset.WindowCenter) - width / 2
            expected = np.clip((values - low) / width, 0, 1) * 255
            np.testing.assert_allclose(shown, expected, atol=3)
            assert shown.std() > 20
