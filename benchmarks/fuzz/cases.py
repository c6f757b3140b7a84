"""For each format: a changed file, and the command that reads it."""

import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from fuzz import companions
from fuzz.kspace import coefficients, raw_data
from fuzz.mutations import WHOLE, change_bytes, change_text, change_tree, odd_value, one_of

Case = Callable[[np.random.Generator, Path, Path], list[str]]  # seeds, folder -> command
NIFTI_HEADER = 352


def sequence(rng: np.random.Generator, seeds: Path, folder: Path) -> list[str]:
    """An RF-sequence file (YAML)."""
    text = (seeds / rng.choice(["tiny.yaml", "train.yaml"])).read_text()
    if rng.random() < 0.6:
        changed = change_tree(rng, yaml.safe_load(text))
        text = yaml.safe_dump(changed, allow_unicode=True)
    else:
        text = change_text(rng, text)
    (folder / "s.yaml").write_text(text, encoding="utf-8", errors="surrogateescape")
    if rng.random() < 0.1:
        return ["sequence", "export", "s.yaml", "-o", "out/s.csv"]
    return ["sequence", "check", "s.yaml"]


def table(rng: np.random.Generator, seeds: Path, folder: Path) -> list[str]:
    """A table of another tool (CSV)."""
    text = change_text(rng, (seeds / "table.csv").read_text())
    if rng.random() < 0.2:
        text = text.replace(",", one_of(rng, (";", "\t", " ", ",,")))
    if rng.random() < 0.2:
        text = text.replace("\n", one_of(rng, ("\r", "\r\n", "\0")))
    return _import(folder / "t.csv", text.encode("utf-8", "replace"))


def pulseq(rng: np.random.Generator, seeds: Path, folder: Path) -> list[str]:
    """A Pulseq file."""
    lines = (seeds / "tiny.seq").read_text().splitlines()
    for _ in range(int(one_of(rng, (1, 1, 2, 5)))):
        place = int(rng.integers(len(lines)))
        kind = rng.integers(4)
        if kind == 0:
            del lines[place]
        elif kind == 1:
            lines[place] = one_of(rng, lines)
        elif kind == 2:
            words = lines[place].split() or [""]
            words[int(rng.integers(len(words)))] = str(odd_value(rng))
            lines[place] = " ".join(words)
        else:
            lines[place] = change_text(rng, lines[place])
    return _import(folder / "t.seq", "\n".join(lines).encode("utf-8", "replace"))


def mrd_header(rng: np.random.Generator, seeds: Path, folder: Path) -> list[str]:
    """The header of an MRD file, or its HDF5."""
    content = change_bytes(rng, (seeds / "header.h5").read_bytes(), 4000)
    return _import(folder / "t.h5", content)


def nifti(rng: np.random.Generator, seeds: Path, folder: Path) -> list[str]:
    """A scan in NIfTI, its header or its sidecar."""
    shutil.copy(seeds / "scan.json", folder / "scan.json")
    content = (seeds / "scan.nii").read_bytes()
    if rng.random() < 0.25:
        tree = change_tree(rng, json.loads((seeds / "scan.json").read_text()))
        (folder / "scan.json").write_text(json.dumps(tree))
    else:
        content = change_bytes(rng, content, NIFTI_HEADER)
    return _quantify(seeds, _compressed(rng, folder / "scan.nii", content))


def mask(rng: np.random.Generator, seeds: Path, folder: Path) -> list[str]:
    """A mask in NIfTI."""
    content = change_bytes(rng, (seeds / "mask.nii").read_bytes(), NIFTI_HEADER)
    path = _compressed(rng, folder / "mask.nii", content)
    return [*_quantify(seeds, seeds / "scan.nii"), "--mask", str(path)]


def array_file(rng: np.random.Generator, seeds: Path, folder: Path) -> list[str]:
    """A scan of BART, MATLAB, NumPy or snapMRF."""
    name = one_of(rng, ("cfl", "mat", "npy", "npz", "ra", "scan73.mat"))
    source = seeds / one_of(rng, (f"scan.{name}",))
    if name == "scan73.mat":
        source = seeds / name
    content = source.read_bytes()
    if name == "cfl":
        header = change_text(rng, (seeds / "scan.hdr").read_text())
        (folder / "scan.hdr").write_text(header, errors="replace")
    else:
        content = change_bytes(rng, content, 300)
    path = folder / f"scan{source.suffix}"
    path.write_bytes(content)
    axes = one_of(rng, ("xyzt", "tzyx", "xyt", "xyzti"))
    return [*_quantify(seeds, path), "--axes", axes, "--like", str(seeds / "scan.nii")]


def dicom(rng: np.random.Generator, seeds: Path, folder: Path) -> list[str]:
    """A DICOM series with changed files."""
    place = folder / "dicom"
    shutil.copytree(seeds / "dicom", place)
    paths = sorted(place.iterdir())
    n = int(one_of(rng, (1, 1, len(paths))))
    for path in rng.choice(np.array(paths, object), n, replace=False):
        path.write_bytes(_change_dataset(rng, path))
    return _quantify(seeds, place)


def dicom_zip(rng: np.random.Generator, seeds: Path, folder: Path) -> list[str]:
    """A zip archive of DICOM."""
    content = (seeds / "dicom.zip").read_bytes()
    directory = content.index(b"PK\x01\x02")
    changed = bytearray(content)
    if rng.random() < 0.5:
        changed[directory:] = change_bytes(rng, content[directory:], 60)
    else:
        changed = bytearray(change_bytes(rng, content, 60))
    (folder / "s.zip").write_bytes(changed)
    return _quantify(seeds, folder / "s.zip")


def dictionary(rng: np.random.Generator, seeds: Path, folder: Path) -> list[str]:
    """A dictionary (.npz)."""
    path = folder / "d.npz"
    if rng.random() < 0.3:
        path.write_bytes(change_bytes(rng, (seeds / "d.npz").read_bytes()))
    else:
        with np.load(seeds / "d.npz") as arrays:
            content: dict[str, Any] = {name: arrays[name] for name in arrays.files}
        name = one_of(rng, list(content))
        content[name] = _odd_array(rng, content[name])
        np.savez(path, **content)
    return ["match", str(seeds / "scan.nii"), "--dictionary", str(path), "-o", "out/maps"]


def model(rng: np.random.Generator, seeds: Path, folder: Path) -> list[str]:
    """A model (ONNX)."""
    path = folder / "m.onnx"
    content = (seeds / "m.onnx").read_bytes()
    if rng.random() < 0.3:
        path.write_bytes(change_bytes(rng, content))
    else:
        path.write_bytes(_changed_graph(rng, content))
    if rng.random() < 0.3:
        return ["model", "show", str(path)]
    return ["quantify", str(seeds / "scan.nii"), "--model", str(path), "-o", "out/maps"]


def report(rng: np.random.Generator, seeds: Path, folder: Path) -> list[str]:
    """A report (JSON) beside its maps."""
    shutil.copytree(seeds / "maps", folder / "maps")
    path = folder / "maps" / "report.json"
    path.write_text(json.dumps(change_tree(rng, json.loads(path.read_text()))))
    return ["evaluate", "maps", "maps", str(seeds / "scan.nii"), "-o", "out/e"]


CASES: dict[str, Case] = {
    "yaml": sequence,
    "csv": table,
    "pulseq": pulseq,
    "mrd": mrd_header,
    "nifti": nifti,
    "mask": mask,
    "arrays": array_file,
    "dicom": dicom,
    "zip": dicom_zip,
    "npz": dictionary,
    "onnx": model,
    "report": report,
    "raw": raw_data,
    "coefficients": coefficients,
    "checkpoint": companions.checkpoint,
    "manifest": companions.manifest,
    "heartbeats": companions.heartbeats,
    "node": companions.node,
    "trajectory": companions.trajectory,
    "noise": companions.noise_covariance,
    "regions": companions.regions,
    "reference": companions.dicom_reference,
}


def _import(path: Path, content: bytes) -> list[str]:
    path.write_bytes(content)
    given = ["--rf-phase-deg", "0", "--no-inversion", "--spoiling", "gradient"]
    return ["sequence", "import", str(path), "-o", "out/s.yaml", *given]


def _quantify(seeds: Path, scan: Path) -> list[str]:
    return ["quantify", str(scan), "--model", str(seeds / "m.onnx"), "-o", "out/maps"]


def _compressed(rng: np.random.Generator, path: Path, content: bytes) -> Path:
    """Write a file as it is, or compressed and perhaps damaged then."""
    if rng.random() < 0.6:
        path.write_bytes(content)
        return path
    packed = gzip.compress(content)
    if rng.random() < 0.3:
        packed = change_bytes(rng, packed)
    place = path.with_suffix(".nii.gz")
    place.write_bytes(packed)
    return place


def _change_dataset(rng: np.random.Generator, path: Path) -> bytes:
    """Bytes of the file changed, or one of its elements removed or given another value."""
    import io

    import pydicom

    content = path.read_bytes()
    if rng.random() < 0.5:
        return content[:132] + change_bytes(rng, content[132:], 1500)
    dataset = pydicom.dcmread(path)
    element = one_of(rng, list(dataset))
    try:
        if rng.random() < 0.4:
            del dataset[element.tag]
        elif element.VR in ("US", "UL", "SS"):
            dataset[element.tag].value = int(one_of(rng, WHOLE)) % 65536
        else:
            dataset[element.tag].value = str(odd_value(rng))[:60]
        stream = io.BytesIO()
        dataset.save_as(stream)
    except Exception:  # pydicom does not write everything
        return change_bytes(rng, content)
    return stream.getvalue()


def _odd_array(rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
    kind = rng.integers(6)
    if kind == 0:
        return values[..., :-1] if values.ndim else values
    if kind == 1 and values.dtype.kind in "iufc":
        return values.astype(one_of(rng, ("f4", "f8", "c8", "i4", "U8")))
    if kind == 2:
        return np.array(one_of(rng, (0, 2.5, "text", "{", "[1]", np.nan)))
    if kind == 3 and values.dtype.kind in "fc":
        flat = values.copy().reshape(-1)
        flat[int(rng.integers(len(flat)))] = one_of(rng, (np.nan, np.inf, -1.0, 1e30))
        return flat.reshape(values.shape)
    return values.reshape(-1)[None]


def _changed_graph(rng: np.random.Generator, content: bytes) -> bytes:
    """A node, a tensor or the manifest changed; with a digest that fits again."""
    import onnx

    from mrftool.inference.model.manifest import read_manifest, weights_sha256, write_manifest

    proto = onnx.load_model_from_string(content)
    manifest = read_manifest(proto, "seed")
    kind = rng.integers(5)
    node = one_of(rng, proto.graph.node)
    if kind == 0:
        node.op_type = one_of(rng, ("Add", "MatMul", "Loop", "If", "Expand", "Reshape", "Nothing"))
    elif kind == 1 and node.input:
        node.input[0] = one_of(rng, [*node.input, *one_of(rng, proto.graph.node).output])
    elif kind == 2:
        tensor = one_of(rng, proto.graph.initializer)
        tensor.raw_data = change_bytes(rng, tensor.raw_data)
    elif kind == 3:
        tensor = one_of(rng, proto.graph.initializer)
        tensor.dims[:] = [int(one_of(rng, WHOLE[:9]))] * int(rng.integers(4))
    else:
        entry = one_of(rng, proto.metadata_props)
        entry.value = json.dumps(change_tree(rng, json.loads(entry.value)))
        return proto.SerializeToString()
    try:
        write_manifest(proto, replace(manifest, weights_sha256=weights_sha256(proto)))
    except Exception:  # the change is too large for the library itself
        return change_bytes(rng, content)
    return proto.SerializeToString()
