"""What the benchmarks of trust share: commands run in this process, and files of changed scans."""

import contextlib
import io
import json
import os
from pathlib import Path

import nibabel
import numpy as np

from mrftool.cli.app import run


def command(*arguments):
    """Exit code and what was said."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = run([str(argument) for argument in arguments])
    return code, said.getvalue()


def must(*arguments):
    """Run a command that has to succeed."""
    code, said = command(*arguments)
    if code:
        raise SystemExit(f"{' '.join(map(str, arguments))}\n{said}")


def models_folder(other):
    """Where models are kept: $MRFTOOL_BENCH_MODELS, or `other`."""
    return Path(os.environ.get("MRFTOOL_BENCH_MODELS", other))


def model(folder, name, *options, sequence=None):
    """A model without a network; made where `folder` does not hold it yet."""
    path = folder / f"{name}.onnx"
    if not path.exists():
        source = sequence or name
        must("export", "--seq", source, "--encoder", "none", *options, "-o", path)
    return path


def load(path):
    """Samples and affine of a NIfTI file."""
    image = nibabel.load(path)
    return np.asarray(image.dataobj), image.affine


def save(path, array, affine, header=None):
    """A NIfTI file in single precision, with a sidecar that holds `header`."""
    kind = "f4"
    if np.iscomplexobj(array):
        kind = "c8"
    image = nibabel.Nifti1Image(array.astype(kind), affine)
    image.header.set_xyzt_units("mm", "sec")
    nibabel.save(image, path)
    Path(str(path)[:-4] + ".json").write_text(json.dumps(header or {}))
    return path


def verdict(folder):
    """Status of a report, and the codes of its warnings."""
    report = json.loads((folder / "report.json").read_text())
    codes = [remark["code"] for remark in report["remarks"] if remark["level"] == "warning"]
    return report["status"], codes


def white_matter_bias(folder, t1, t2):
    """Relative bias and combined standard uncertainty of T1 and T2 in white matter.

    t1, t2: what is true, images `(x, y, z)` [s].
    """
    from mrftool.phantoms.tissues import class_tissue

    typical = class_tissue(("white_matter",), 3.0)
    inside = (abs(t1 / typical.t1[0] - 1) < 0.1) & (abs(t2 / typical.t2[0] - 1) < 0.2)
    assert inside.any(), "the phantom shows no white matter"
    found = {}
    for name, image in (("T1", t1), ("T2", t2)):
        estimate = load(folder / f"{name}map.nii.gz")[0][inside]
        combined = load(folder / f"{name}uncertainty.nii.gz")[0][inside]
        scale = np.median(image[inside])
        bias = np.nanmedian(estimate - image[inside]) / scale
        found[name] = (float(bias), float(np.nanmedian(combined) / scale))
    return found
