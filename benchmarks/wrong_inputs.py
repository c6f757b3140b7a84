"""What is a user told of a wrong input? Scans of the brain phantom, each with one fault.

A row is "silent" where the status is "good" and the bias of T1 or T2 in white matter exceeds the
combined standard uncertainty there. Run: python wrong_inputs.py [SNR ...].
"""

import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path

import nibabel
import numpy as np

from mrftool.cli.app import run
from mrftool.phantoms.tissues import class_tissue

WHITE_MATTER = "white_matter"  # of mrftool.phantoms.tissues


def gain(signal, random):
    """A gain that changes by 10 % from frame to frame."""
    return signal * (1 + 0.1 * random.standard_normal(signal.shape[-1])).astype("f4")


def zero_frames(signal, random):
    """50 frames are empty."""
    changed = signal.copy()
    changed[..., 300:350] = 0
    return changed


def swapped(signal, random):
    """Two frames are exchanged."""
    changed = signal.copy()
    changed[..., [200, 400]] = signal[..., [400, 200]]
    return changed


CHANGES = {
    "sound": lambda signal, random: signal,
    "first frame lost": lambda signal, random: np.concatenate(
        [signal[..., 1:], signal[..., -1:]], -1
    ),
    "gain +-10 %": gain,
    "50 empty frames": zero_frames,
    "one frame lost": lambda signal, random: np.delete(signal, 100, -1),
    "two frames swapped": swapped,
    "time reversed": lambda signal, random: signal[..., ::-1],
    "conjugated": lambda signal, random: signal.conj(),
    "real and imaginary exchanged": lambda signal, random: 1j * signal.conj(),
    "magnitudes": lambda signal, random: abs(signal),
    "imaginary part zero": lambda signal, random: signal.real + 0j,
    "offset of 5 %": lambda signal, random: signal + np.complex64(0.05 * abs(signal).max()),
    "decay of 20 %": lambda signal, random: signal * np.linspace(1, 0.8, signal.shape[-1]),
}
HEADERS = {
    "TR 17.5 ms": {"RepetitionTime": 0.0175},
    "TE 9 ms": {"EchoTime": 0.009},
    "TE in ms": {"EchoTime": 2.0},
    "TI 100 ms": {"InversionTime": 0.1},
    "flip angle 120 deg": {"FlipAngle": 120},
    "another sequence": {"SequenceName": "delics"},
}
OPTIONS = {"noise 6 times too large": 6.0}


def command(*arguments):
    """Exit code and what was said."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = run([str(argument) for argument in arguments])
    return code, said.getvalue()


def main():
    """A line for each wrong input and SNR."""
    for snr in [float(text) for text in sys.argv[1:]] or [5.0, 20.0, 100.0]:
        with tempfile.TemporaryDirectory() as folder:
            rows_at(snr, Path(folder))


def rows_at(snr, folder):
    """All rows of one SNR."""
    scan = folder / "scan.nii"
    command(
        "simulate", "--seq", "fisp", "--phantom", "brain", "--matrix", 24, "--snr", snr, "-o", scan
    )
    image = nibabel.load(scan)
    signal, random = np.asarray(image.dataobj), np.random.default_rng(0)
    reference = [
        nibabel.load(folder / f"scan_truth_{n}map.nii.gz").get_fdata() for n in ("T1", "T2")
    ]
    level = np.sqrt((abs(signal[reference[0] > 0]) ** 2).mean())
    for name in (*CHANGES, *HEADERS, *OPTIONS):
        changed = CHANGES.get(name, CHANGES["sound"])(signal, random)
        kind = "f4"
        if np.iscomplexobj(changed):
            kind = "c8"
        path = folder / "wrong.nii"
        nibabel.save(nibabel.Nifti1Image(changed.astype(kind), image.affine), path)
        (folder / "wrong.json").write_text(json.dumps(HEADERS.get(name, {})))
        extra = ()
        if name in OPTIONS:
            extra = ("--noise-sd", OPTIONS[name] * level / snr)
        code, said = command("quantify", path, "-o", folder / "maps", "--overwrite", *extra)
        print(
            f"SNR {snr:<4g} {name:<29} {outcome(code, said, folder / 'maps', reference)}",
            flush=True,
        )


def outcome(code, said, folder, reference):
    """What happened, in words."""
    if code:
        return f"refused ({code}): {said.splitlines()[-2][:110]}"
    report = json.loads((folder / "report.json").read_text())
    typical = class_tissue((WHITE_MATTER,), 3.0)
    inside = abs(reference[0] / typical.t1[0] - 1) < 0.1
    inside &= abs(reference[1] / typical.t2[0] - 1) < 0.2
    assert inside.any(), "the phantom shows no white matter"
    parts, silent = [], False
    for name, image in zip(("T1", "T2"), reference, strict=True):
        found = nibabel.load(folder / f"{name}map.nii.gz").get_fdata()[inside]
        combined = nibabel.load(folder / f"{name}uncertainty.nii.gz").get_fdata()[inside]
        bias = np.median(found - image[inside])
        silent |= bool(abs(bias) > np.median(combined))
        share = np.median(image[inside])
        parts.append(f"{name} {bias / share:+.1%} (u {np.median(combined) / share:.1%})")
    verdict = report["status"]
    if silent and verdict == "good":
        verdict = "SILENT"
    codes = [remark["code"] for remark in report["remarks"] if remark["level"] == "warning"]
    return f"{verdict}: {', '.join(parts)} {' '.join(codes)}"


if __name__ == "__main__":
    main()
