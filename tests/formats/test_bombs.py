"""No small file fills the memory: whatever it claims to hold, it is refused in one line."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from bombs import BOMBS
from front_door import PYTHON, Outcome, assert_refused, environment, save, works

from mrftool.environment.shipped import find_file
from mrftool.inference.model.manifest import read_manifest, weights_sha256, write_manifest

pytestmark = pytest.mark.slow

MOST_MEMORY = 2 << 20  # [KiB]
MOST_SECONDS = 30.0  # of processor time
MAT = ("five.mat", "chunks.mat")
ARRAYS = ("holes.npy", "arrays.npz", *MAT)
VOLUMES = ("image.nii.gz", "holes.nii", *ARRAYS)

# How a place reads a file, and which files are tried there. The words {scan}, {model}, ... are
# sound files of the folder; {file} is the one that is not.
PLACES: dict[str, tuple[str, tuple[str, ...]]] = {
    "scan": (
        "quantify {file} --model {model} --axes xyzt -o out",
        ("holes.cfl", *ARRAYS),
    ),
    "scan in NIfTI": ("quantify {file} --model {model} -o out", ("series.nii.gz", "holes.nii")),
    "DICOM": ("quantify {file} --model {model} -o out", ("pixels.dcm", "files.zip")),
    "MRD": ("quantify {file} --model {model} -o out", ("images.h5",)),
    "imaginary part": ("quantify {real} --model {model} --imag {file} -o out", ("image.nii.gz",)),
    "mask": ("quantify {scan} --model {model} --mask {file} -o out", VOLUMES),
    "B1 map": ("quantify {scan} --model {model} --b1 {file} -o out", ("image.nii.gz", "five.mat")),
    "sidecar": ("quantify {sidecar} --model {model} -o out", ("text.json",)),
    "basis": ("quantify {images} --basis {file} -o out", ("holes.cfl", "holes.npy", "five.mat")),
    "covariance": (
        "quantify {images} --basis {basis} --covariance {file} -o out",
        ("series.nii.gz", "arrays.npz", "chunks.mat"),
    ),
    "coefficients": (
        "quantify {file} --basis {basis} -o out",
        ("series.nii.gz", "holes.nii", "holes.cfl"),
    ),
    "noise covariance": (
        "quantify {scan} --model {model} --noise-covariance {file} -o out",
        ("holes.npy", "five.mat"),
    ),
    "model": ("quantify {scan} --model {file} -o out", ("constant.onnx", "text.onnx")),
    "dictionary": ("match {scan} --dictionary {file} -o out", ("arrays.npz", "text.json")),
    "mask of coefficients": ("quantify {images_with_mask} -o out", ("image.nii.gz",)),
    "RR intervals": (
        "simulate --seq {sequence} --rr {file} --phantom vials -o out",
        ("text.txt", "text.csv"),
    ),
    "sequence": ("sequence check {file}", ("text.yaml",)),
    "import": (
        "sequence import {file} -o out.yaml",
        ("text.seq", "text.csv", "images.h5", "five.mat"),
    ),
    "labels": ("evaluate rois {maps} {file} -o out", ("image.nii.gz", "holes.nii")),
    "report": ("evaluate maps {damaged_maps} {scan} -o out", ("text.json",)),
    "trajectory": (
        "reconstruct {raw} --trajectory {file} -o out",
        ("holes.npy", "text.seq", "five.mat"),
    ),
    "field map": ("reconstruct {raw} --b0 {file} -o out", ("image.nii.gz", "holes.nii")),
    "raw data": ("reconstruct {file} -o out", ("images.h5", "chunks.mat")),
}
CASES = [(place, name) for place, (_, names) in PLACES.items() for name in names]


@pytest.fixture(scope="module")
def bomb(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes a file of some name, once."""
    make_bomb = {**BOMBS, "constant.onnx": onnx_constant}
    folder = tmp_path_factory.mktemp("bombs")

    def make(name: str) -> Path:
        path = folder / name
        if not path.exists():
            make_bomb[name](path)
        return path

    return make


def onnx_constant(path: Path) -> None:
    """A model of ours that adds a constant of 4 GB, with a digest that is right."""
    proto = onnx.load(find_file("models", "fisp", ".onnx"))
    manifest = read_manifest(proto, "fisp")
    shape = onnx.numpy_helper.from_array(np.array([1 << 15, 1 << 15]), "huge_shape")
    proto.graph.initializer.append(shape)
    node = onnx.helper.make_node("ConstantOfShape", ["huge_shape"], ["huge"])
    proto.graph.node.insert(0, node)
    proto.graph.output.append(onnx.helper.make_tensor_value_info("huge", 1, None))
    write_manifest(proto, replace(manifest, weights_sha256=weights_sha256(proto)))
    onnx.save(proto, path)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, shelf: Path, model: Path) -> dict[str, Path]:
    """Files by the words that stand for them: sound ones, and folders with one that is not."""
    folder = tmp_path_factory.mktemp("sound")
    image = np.random.default_rng(1).normal(size=(6, 6, 1, 40)).astype(np.float32)
    found = {
        "model": model,
        "scan": shelf / "brain.nii.gz",
        "sequence": shelf / "short.yaml",
        "real": save(folder / "real.nii", image),
        "images": save(folder / "images.nii", image[..., :3].astype(np.complex64)),
        "basis": folder / "basis.npy",
        "raw": folder / "raw.mrd",
        "maps": folder / "maps",
        "sidecar": save(folder / "sidecar.nii", image.astype(np.complex64)),
        "damaged_maps": folder / "damaged_maps",
        "images_with_mask": folder / "recon",
    }
    np.save(found["basis"], np.eye(40, 3))
    works("simulate", "--seq", "delics", "--kspace", found["raw"], "--matrix", 16)
    works("quantify", found["scan"], "--model", model, "-o", found["maps"])
    shutil.copytree(found["maps"], found["damaged_maps"])
    BOMBS["text.json"](found["damaged_maps"] / "report.json")
    BOMBS["text.json"](folder / "sidecar.json")
    found["images_with_mask"].mkdir()
    shutil.copy(found["images"], found["images_with_mask"] / "coefficients.nii")
    shutil.copy(found["basis"], found["images_with_mask"])
    BOMBS["image.nii.gz"](found["images_with_mask"] / "mask.nii.gz")
    return found


@pytest.mark.parametrize(("place", "name"), CASES, ids=map("-".join, CASES))
def test_a_file_that_would_fill_the_memory_is_refused_in_one_line(
    tmp_path: Path, bomb: Callable[[str], Path], sound: dict[str, Path], place: str, name: str
) -> None:
    words = PLACES[place][0].split()
    command = [word.format(file=bomb(name), **sound) for word in words]
    code, said, kilobytes, seconds = _measured(command, tmp_path)
    assert code in (3, 4), said
    assert_refused(Outcome(code, "", said), code)
    assert kilobytes < MOST_MEMORY
    assert seconds < MOST_SECONDS
    assert list(tmp_path.iterdir()) == []


def _measured(command: list[str], folder: Path) -> tuple[int, str, int, float]:
    """Exit code, what was said, peak of the resident memory [KiB] and processor time [s]."""
    with tempfile.TemporaryFile("w+") as output:
        child = subprocess.Popen([*PYTHON, *command], cwd=folder, stderr=output, env=environment())
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read()
    return child.returncode, said, usage.ru_maxrss, usage.ru_utime + usage.ru_stime
