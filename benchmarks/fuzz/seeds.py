"""Good files of every format, small, made by mrftool and by the libraries of each format."""

import shutil
import struct
import zipfile
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

SEQUENCE = """mrftool_sequence: 1
name: tiny
flip_angle_deg: [5, 20, 40, 60, 35, 10]
rf_phase_deg: {rule: quadratic, increment: 50}
tr_ms: [12, 12.5, 13, 12, 12, 12]
te_ms: 2.5
inversion: {efficiency: 0.98, time_ms: 20}
spoiling: gradient
spoiler: {gradient_mt_per_m: [[5, 8], [0, 2]], duration_ms: [1, 2]}
slice_profile: {flip_factor: [0.6, 1, 0.6], weight: [0.25, 0.5, 0.25]}
"""
PULSEQ = """[VERSION]
major 1
minor 5
revision 1
[DEFINITIONS]
AdcRasterTime 1e-07
BlockDurationRaster 1e-05
FOV 0.25 0.25 0.005
GradientRasterTime 1e-05
RadiofrequencyRasterTime 1e-06
[BLOCKS]
1 60 1 0 0 0 0 0
2 60 0 1 0 0 0 0
3 110 0 2 0 0 1 1
4 60 0 1 0 0 0 2
5 300 0 0 0 3 0 0
6 60 2 0 0 0 0 0
7 60 0 1 0 0 0 0
8 110 0 2 0 0 1 1
9 60 0 1 0 0 0 2
10 300 0 0 0 3 0 0
[RF]
1 250 1 2 0 200 100 0 0 0 0 e
2 150 1 2 3 200 100 0 0 50 0 e
[GRADIENTS]
3 50000 0 0 4 0 0
[TRAP]
1 -500000 100 400 100 0
2 500000 100 900 100 0
[ADC]
1 90 10000 100 0 0 0 0 0
[EXTENSIONS]
1 1 1 0
2 2 1 0
extension LABELSET 1
1 1 LIN
extension ROTATIONS 2
1 1 0 0 0
[SHAPES]
shape_id 1
num_samples 400
1
0
0
397
shape_id 2
num_samples 400
0
0
398
shape_id 3
num_samples 400
1
1
398
shape_id 4
num_samples 4
0.1
0.9
0.9
0.1
"""
# Fingerprints of a train that starts before recovery are ambiguous here: `export` refuses a model.
TRAIN = "train: {repeats: 2, wait_ms: 100}\n"
MRD_HEADER = (
    '<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding><encodingLimits><repetition>'
    "<maximum>2</maximum></repetition></encodingLimits></encoding><sequenceParameters><TR>12</TR>"
    "<TE>2.5</TE><TI>20</TI><flipAngle_deg>10</flipAngle_deg><flipAngle_deg>20</flipAngle_deg>"
    "</sequenceParameters></ismrmrdHeader>"
)
TABLE = "flip_deg,rf_phase_deg,tr_ms,te_ms\n10,0,12,2.5\n20,180,12.5,2.5\n30,0,13,2.5\n"


def make_seeds(folder: Path) -> None:
    """Write all seeds into `folder`."""
    from fuzz.companions import make_companion_seeds
    from fuzz.kspace import make_kspace_seeds

    (folder / "tiny.yaml").write_text(SEQUENCE)
    (folder / "train.yaml").write_text(SEQUENCE + TRAIN)
    (folder / "tiny.seq").write_text(PULSEQ)
    (folder / "table.csv").write_text(TABLE)
    sequence = str(folder / "tiny.yaml")
    simulate = ["simulate", "--seq", sequence]
    export = ["export", "--seq", sequence, "--encoder", "none", "--allow-inaccurate"]
    scan = str(folder / "scan.nii")
    commands = [
        [*simulate, "--phantom", "brain", "--matrix", "8", "--snr", "40", "-o", scan],
        [*simulate, "--t1-ms", "100:1000:log8", "--t2-ms", "10:100:log6", "-o", f"{folder}/d.npz"],
        [*export, "-o", str(folder / "m.onnx")],
        ["quantify", scan, "--model", str(folder / "m.onnx"), "-o", str(folder / "maps")],
        ["evaluate", "maps", str(folder / "maps"), scan, "-o", str(folder / "errors")],
        ["match", scan, "--dictionary", f"{folder}/d.npz", "-o", str(folder / "matched")],
        *make_kspace_seeds(folder, SEQUENCE),
        *make_companion_seeds(folder),
    ]  # fmt: skip
    _run_all(commands)
    _make_volumes(folder)
    _make_arrays(folder)
    _make_dicom(folder)
    _warm_up(folder)


def _run_all(commands: list[list[str]]) -> None:
    from mrftool.cli.app import run

    for command in commands:
        if run(command) != 0:
            raise SystemExit(f"the seeds cannot be made: mrftool {' '.join(command)}")


def _warm_up(folder: Path) -> None:
    """Run the commands that make no seed, for the modules that they import."""
    from mrftool.cli.app import run

    options = ["--rf-phase-deg", "0", "--no-inversion", "--spoiling", "gradient"]
    for name in ("table.csv", "tiny.seq", "header.h5"):
        output = str(folder / f"{name}.yaml")
        run(["sequence", "import", str(folder / name), "-o", output, *options])
    for scan in ("dicom", "dicom.zip"):
        model = ["--model", str(folder / "m.onnx")]
        run(["quantify", str(folder / scan), *model, "-o", str(folder / f"{scan}-maps")])


def _make_volumes(folder: Path) -> None:
    scan = nibabel.load(folder / "scan.nii")
    image = np.asarray(scan.dataobj)
    np.save(folder / "scan.npy", image)
    ones = np.ones(image.shape[:3], np.float32)
    for name, values in (("mask", ones), ("b1", ones * np.float32(1.05))):
        nibabel.save(nibabel.Nifti1Image(values, scan.affine), folder / f"{name}.nii")


def _make_arrays(folder: Path) -> None:
    import h5py
    from scipy.io import savemat

    image = np.load(folder / "scan.npy")
    np.savez(folder / "scan.npz", scan=image, tr=12.0)
    savemat(folder / "scan.mat", {"mrf": {"scan": image, "name": "x"}}, do_compression=True)
    with h5py.File(folder / "scan73.mat", "w", userblock_size=512) as file:
        file["scan"] = abs(image).T
    sizes = " ".join(map(str, [*image.shape[:3], 1, 1, image.shape[3], *[1] * 10]))
    (folder / "scan.hdr").write_text(f"# Dimensions\n{sizes}\n")
    content = image.astype("<c8").tobytes(order="F")
    (folder / "scan.cfl").write_bytes(content)
    head = struct.pack("<8s9Q", b"rawarray", 0, 4, 8, len(content), 4, *image.shape)
    (folder / "scan.ra").write_bytes(head + content)
    with h5py.File(folder / "header.h5", "w") as file:
        text = np.array([MRD_HEADER], h5py.string_dtype())
        file.create_group("dataset").create_dataset("xml", data=text)


def _make_dicom(folder: Path) -> None:
    from dicom_factory import Scan, write_classic

    image = np.load(folder / "scan.npy")
    place = folder / "dicom"
    place.mkdir()

    def as_played(dataset: Any, z: int, t: int) -> None:
        dataset.EchoTime, dataset.FlipAngle = 2.5, 20

    write_classic(place, Scan(image, parts=("real", "imaginary"), change=as_played))
    with zipfile.ZipFile(folder / "dicom.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(place.iterdir()):
            archive.write(path, path.name)
    shutil.rmtree(folder / "maps" / "dicom", ignore_errors=True)
