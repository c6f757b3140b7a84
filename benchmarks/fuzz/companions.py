"""Files that go with a scan, and settings: a changed file, and the command that reads it."""

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from fuzz.mutations import WORDS, change_bytes, change_text, change_tree, odd_value, one_of

_NODE = """mrftool_dicom_node: 1
ae_title: FUZZ
host: 127.0.0.1
port: 21112
folder: node
quiet_seconds: 5
peers: {SCANNER: 127.0.0.1}
destinations: {pacs: {ae_title: PACS, host: 127.0.0.1, port: 9}}
rules:
- {name: first, protocol: 'mrf*', model: fisp, destinations: [pacs]}
- {name: all, station: '*', model: fisp, destinations: [pacs]}
"""
_HEART = """mrftool_sequence: 2
name: heart
flip_angle_deg: {rule: lobes, peaks: [25], lengths: [20]}
tr_ms: 6
te_ms: 1.5
rr_ms: 900
events:
  - wait_until_trigger: {}
  - invert: {time_ms: 20}
  - pulses: {}
  - wait_until_trigger: {}
  - t2prep: {te_ms: 50}
  - pulses: {}
"""
_REGIONS = "region,t1_ms,t2_ms\n1,800,80\n2,1200,100\n"


def make_companion_seeds(folder: Path) -> list[list[str]]:
    """The commands that make the seeds of these files, with `tiny.yaml` in the folder."""
    (folder / "heart.yaml").write_text(_HEART)
    (folder / "node.yaml").write_text(_NODE)
    (folder / "regions.csv").write_text(_REGIONS)
    train = ["train", "--seq", str(folder / "tiny.yaml"), "-o", str(folder / "run")]
    small = ["--steps", "2", "--batch", "16", "--loss", "log", "--tissue", "random"]
    return [[*train, *small]]


def checkpoint(rng: np.random.Generator, seeds: Path, folder: Path) -> list[str]:
    """A checkpoint (safetensors): its numbers, or the JSON of its header and of the run."""
    content = (seeds / "run" / "best.safetensors").read_bytes()
    if rng.random() < 0.3:
        content = change_bytes(rng, content, 2000)
    else:
        content = _changed_checkpoint(rng, content)
    (folder / "c.safetensors").write_bytes(content)
    return ["export", "c.safetensors", "-o", "out/m.onnx", "--allow-inaccurate"]


def _changed_checkpoint(rng: np.random.Generator, content: bytes) -> bytes:
    (size,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + size])
    if rng.random() < 0.7:
        run = json.loads(header["__metadata__"]["run"])
        for _ in range(int(one_of(rng, (1, 3, 6)))):
            name = one_of(rng, list(run))
            run[name] = change_tree(rng, run[name])
        header["__metadata__"]["run"] = json.dumps(run)
    else:
        header = change_tree(rng, header)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + size :]


def manifest(rng: np.random.Generator, seeds: Path, folder: Path) -> list[str]:
    """What a model says of itself: its scores, its training, its ranges."""
    import onnx

    proto = onnx.load(str(seeds / "m.onnx"))
    entry = one_of(rng, proto.metadata_props)
    tree = json.loads(entry.value)
    for _ in range(int(one_of(rng, (1, 1, 3)))):
        name = one_of(rng, ("scores", "training", *tree))
        tree[name] = change_tree(rng, tree.get(name, {"median": 0.1}))
    entry.value = json.dumps(tree)
    onnx.save(proto, str(folder / "m.onnx"))
    shown: list[str] = one_of(rng, ([], ["--json"]))
    return ["model", "show", "m.onnx", *shown]


def heartbeats(rng: np.random.Generator, seeds: Path, folder: Path) -> list[str]:
    """RR intervals or trigger times (text)."""
    numbers = rng.uniform(600, 1200, 6)
    if rng.random() < 0.3:
        numbers = np.cumsum(numbers)
    separator = one_of(rng, ("\n", "\r\n", ",", " "))
    text = change_text(rng, separator.join(f"{number:.6g}" for number in numbers))
    path = folder / one_of(rng, ("rr.txt", "rr.csv", "rr"))
    path.write_bytes(text.encode("utf-8", "replace"))
    grid = ["--t1-ms", "500:500:1500", "--t2-ms", "40:40:120"]
    sequence = ["--seq", str(seeds / "heart.yaml"), "--rr", path.name]
    return ["simulate", *sequence, *grid, "-o", "out/d.npz"]


def node(rng: np.random.Generator, seeds: Path, folder: Path) -> list[str]:
    """Settings of a DICOM server with its rules (YAML)."""
    text = (seeds / "node.yaml").read_text()
    if rng.random() < 0.6:
        text = yaml.safe_dump(change_tree(rng, yaml.safe_load(text)), allow_unicode=True)
    else:
        text = change_text(rng, text)
    (folder / "node.yaml").write_text(text, encoding="utf-8", errors="surrogateescape")
    return ["serve", "dicom", "node.yaml", "--check"]


def trajectory(rng: np.random.Generator, seeds: Path, folder: Path) -> list[str]:
    """A trajectory of raw data (.npy)."""
    arms = rng.uniform(
        -0.5, 0.5, (int(one_of(rng, (1, 12, 48))), int(one_of(rng, (7, 800, 800))), 2)
    )
    _save_changed(rng, folder / "t.npy", arms)
    unit: list[str] = one_of(rng, ([], ["--trajectory-unit", "cycles/pixel"]))
    out = ["-o", "out/recon", "--rank", "3", "--replicas", "0"]
    return ["reconstruct", str(seeds / "raw.mrd"), "--trajectory", "t.npy", *unit, *out]


def noise_covariance(rng: np.random.Generator, seeds: Path, folder: Path) -> list[str]:
    """The covariance of a scan's noise over time (.npy)."""
    lags = 0.5 ** np.arange(6)
    values: Any = lags
    if rng.random() < 0.7:
        values = lags[abs(np.arange(6)[:, None] - np.arange(6))]
    _save_changed(rng, folder / "n.npy", values)
    scan = ["quantify", str(seeds / "scan.nii"), "--model", str(seeds / "m.onnx")]
    return [*scan, "--noise-covariance", "n.npy", "-o", "out/maps"]


def _save_changed(rng: np.random.Generator, path: Path, values: np.ndarray) -> None:
    """An array with odd numbers, of another type or shape, or with other bytes."""
    kind = rng.integers(5)
    if kind == 0:
        values.reshape(-1)[int(rng.integers(values.size))] = one_of(
            rng, (np.nan, np.inf, 1e300, -1)
        )
    elif kind == 1:
        values = values.astype(one_of(rng, ("f4", "c8", "i4", "U8", "?", "f2", "g")))
    elif kind == 2:
        values = one_of(rng, (values[:-1], values[..., :1], values[None], values[:0], values.T))
    elif kind == 3:
        values = np.array(one_of(rng, (0, 2.5, "text", np.nan, 1e30)))
    np.save(path, values)
    if kind == 4:
        path.write_bytes(change_bytes(rng, path.read_bytes(), 130))


def regions(rng: np.random.Generator, seeds: Path, folder: Path) -> list[str]:
    """Reference values of regions (CSV), and the image of the regions (NIfTI)."""
    text, labels = (seeds / "regions.csv").read_text(), (seeds / "mask.nii").read_bytes()
    if rng.random() < 0.7:
        text = change_text(rng, text)
    else:
        labels = change_bytes(rng, labels)
    (folder / "r.csv").write_bytes(text.encode("utf-8", "replace"))
    (folder / "labels.nii").write_bytes(labels)
    output = ["-o", "out/regions.json"]
    return ["evaluate", "rois", str(seeds / "maps"), "labels.nii", "--reference", "r.csv", *output]


def dicom_reference(rng: np.random.Generator, seeds: Path, folder: Path) -> list[str]:
    """The DICOM series that maps are written for, as of slices side by side (VFRAME) too."""
    import pydicom

    place = folder / "reference"
    shutil.copytree(seeds / "dicom", place)
    path = one_of(rng, sorted(place.iterdir()))
    if rng.random() < 0.4:
        path.write_bytes(change_bytes(rng, path.read_bytes(), 1500))
    else:
        dataset = pydicom.dcmread(path)
        words = ["DERIVED", "PRIMARY", one_of(rng, ("VFRAME", "MOSAIC", "M", *WORDS[:6]))]
        dataset.ImageType = words[: int(rng.integers(1, 4))]
        name = one_of(rng, ("PatientName", "StudyDate", "SeriesNumber", "PixelSpacing"))
        try:
            setattr(dataset, name, str(odd_value(rng))[:60])
            dataset.save_as(path)
        except Exception:  # pydicom does not write everything
            path.write_bytes(change_bytes(rng, path.read_bytes()))
    scan = ["quantify", str(seeds / "dicom"), "--model", str(seeds / "m.onnx")]
    return [*scan, "--dicom", "--dicom-reference", "reference", "-o", "out/maps"]
