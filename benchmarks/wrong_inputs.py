"""What is a user told of a wrong input? Scans of the brain phantom, each with one fault.

A row is "SILENT" where the status is "good" and the bias of T1 or T2 in white matter exceeds the
combined standard uncertainty there; the exit code is then 1.
Run: python wrong_inputs.py [SNR ...] [PART OF A NAME ...]. Models are kept in
$MRFTOOL_BENCH_MODELS.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import yaml
from trust_tools import command, load, model, models_folder, must, save, white_matter_bias

from mrftool.environment.shipped import find_file

MATRIX = 24
LOST = slice(300, 350)


def gain(signal, random):
    """A gain that changes by 10 % from frame to frame."""
    return signal * (1 + 0.1 * random.standard_normal(signal.shape[-1])).astype("f4")


def empty(signal, random):
    """50 frames are empty."""
    changed = signal.copy()
    changed[..., LOST] = 0
    return changed


def late(signal, random):
    """The first frame is lost, and the last one doubled."""
    return np.concatenate([signal[..., 1:], signal[..., -1:]], -1)


def early(signal, random):
    """A frame of before the train comes first; the last one is lost."""
    return np.concatenate([signal[..., :1], signal[..., :-1]], -1)


def lost_within(signal, random):
    """Frame 401 is lost, and the last one doubled."""
    return np.concatenate([signal[..., :400], signal[..., 401:], signal[..., -1:]], -1)


def swapped(signal, random):
    """Two frames are exchanged."""
    changed = signal.copy()
    changed[..., [200, 400]] = signal[..., [400, 200]]
    return changed


def drifting_phase(signal, random):
    """The phase drifts by 90 degrees over the scan."""
    return signal * np.exp(1j * np.linspace(0, np.pi / 2, signal.shape[-1])).astype("c8")


CHANGES = {
    "sound": lambda signal, random: signal,
    "first frame lost": late,
    "first frame lost, 50 empty": lambda signal, random: empty(late(signal, random), random),
    "a frame too early": early,
    "frame 401 lost, last one doubled": lost_within,
    "one frame lost": lambda signal, random: np.delete(signal, 100, -1),
    "gain +-10 %": gain,
    "50 empty frames": empty,
    "two frames swapped": swapped,
    "time reversed": lambda signal, random: signal[..., ::-1],
    "conjugated": lambda signal, random: signal.conj(),
    "real and imaginary exchanged": lambda signal, random: 1j * signal.conj(),
    "magnitudes": lambda signal, random: abs(signal),
    "imaginary part zero": lambda signal, random: signal.real + 0j,
    "offset of 5 %": lambda signal, random: signal + np.complex64(0.05 * abs(signal).max()),
    "decay of 20 %": lambda signal, random: signal * np.linspace(1, 0.8, signal.shape[-1]),
    "phase drifts by 90 deg": drifting_phase,
}
HEADERS = {
    "header: TR 17.5 ms": {"RepetitionTime": 0.0175},
    "header: TE 9 ms": {"EchoTime": 0.009},
    "header: TE in ms": {"EchoTime": 10.0},
    "header: TI 100 ms": {"InversionTime": 0.1},
    "header: flip angle 120 deg": {"FlipAngle": 120},
    "header: another sequence": {"SequenceName": "delics"},
}
SLICE_PROFILE = {  # of a Gaussian pulse
    "flip_factor": [1.0, 0.96, 0.85, 0.69, 0.52, 0.36, 0.22, 0.13, 0.07, 0.03],
    "weight": [0.1] * 10,
}
SCANNERS = {  # what the scanner did, as changes of the sequence's file
    "TE 5 ms": {"te_ms": 5},
    "TI 100 ms": {"inversion": {"efficiency": 1.0, "time_ms": 100}},
    "inversion 80 %": {"inversion": {"efficiency": 0.8, "time_ms": 0}},
    "no inversion": {"inversion": None},
    "RF phase quadratic, 117 deg": {"rf_phase_deg": {"rule": "quadratic", "increment": 117}},
    "slice profile left out": {"slice_profile": SLICE_PROFILE},
    "train of fisp_jiang, its TE": {"like": "fisp_jiang"},
    "another train, spline5": {"like": "spline5"},
    "flip angles 10 % larger": {"scale": 1.1},
    "TR 13 ms, header says so": {"tr_ms": 13},
}


OPTIONS = {
    "noise 6 times too large": {},
    "noise too large, profile left out": SCANNERS["slice profile left out"],
}
GIVEN = {  # B1 maps: what their numbers and their sidecar say of a B1 of 1.1
    "B1 20 % too large, no map": None,
    "B1 map 20 % too small": (0.8, {}),
    "B1 map in degrees": (60.0, {"Units": "degree"}),
    "B1 map: percent under fraction": (100.0, {"Units": "fraction"}),
    "B1 map: fraction under percent": (1.0, {"Units": "%"}),
    "B1 map of flip angles, no unit": (60.0, {}),
    "B1 map: 1/B1": (-1.0, {}),
}


def played(folder, changes):
    """File of the sequence that the scanner played."""
    source = find_file("sequences", changes.get("like", "fisp"), ".yaml")
    data = yaml.safe_load(Path(source).read_text())
    if "scale" in changes:
        data["flip_angle_deg"] = [angle * changes["scale"] for angle in data["flip_angle_deg"]]
    data |= {key: value for key, value in changes.items() if key not in ("like", "scale")}
    path = folder / "played.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in data.items() if value}))
    return path


class Scans:
    """Wrong scans of one SNR; each method writes one and returns the options of `quantify`."""

    def __init__(self, folder, models, snr):
        self.folder, self.models, self.snr = folder, models, snr
        self.random = np.random.default_rng(0)
        self.simulate("fisp")
        self.signal, self.affine = load(folder / "scan.nii")
        self.reference = [load(folder / f"scan_truth_{n}map.nii.gz")[0] for n in ("T1", "T2")]
        inside = self.reference[0] > 0
        self.noise_sd = np.sqrt((abs(self.signal[inside]) ** 2).mean()) / snr

    def simulate(self, sequence, *options, name="scan.nii"):
        """A scan of the brain phantom: its samples."""
        scan = self.folder / name
        size = ("--phantom", "brain", "--matrix", MATRIX, "--snr", self.snr)
        must("simulate", "--seq", sequence, *size, *options, "-o", scan)
        return load(scan)[0]

    def wrong(self, array, header=None):
        """The file that is quantified."""
        return save(self.folder / "wrong.nii", array, self.affine, header)

    def changed(self, name):
        """Frames that are not what the scanner measured."""
        return (self.wrong(CHANGES[name](self.signal, self.random)),)

    def header(self, name):
        """A header that contradicts the model."""
        return (self.wrong(self.signal, HEADERS[name]),)

    def scanner(self, name):
        """A scanner that did something else than the model assumes."""
        changes = SCANNERS[name]
        header, other = {}, name != "TR 13 ms, header says so"
        if other:
            signal = self.simulate(played(self.folder, changes), name="other.nii")
            return (self.wrong(signal, header),)
        changes = {"like": "cao", **changes}
        signal = self.simulate(played(self.folder, changes), name="other.nii")
        scan = self.wrong(signal, {"RepetitionTimeExcitation": 0.013})
        return scan, "--model", model(self.models, "cao")

    def option(self, name):
        """An option that contradicts the data."""
        signal = self.signal
        if OPTIONS[name]:
            signal = self.simulate(played(self.folder, OPTIONS[name]), name="other.nii")
        return self.wrong(signal), "--noise-sd", 6 * self.noise_sd

    def given(self, name):
        """A B1 map that is wrong, or none where there should be one."""
        true = save(self.folder / "true_b1.nii", 1.1 + 0 * self.reference[0], self.affine)
        if GIVEN[name] is None:
            save(true, 1.2 + 0 * self.reference[0], self.affine)
        maps = []
        for kind in ("T1", "T2"):
            maps += [f"--{kind.lower()}", self.folder / f"scan_truth_{kind}map.nii.gz"]
        scan = self.folder / "other.nii"
        must("simulate", "--seq", "fisp", *maps, "--b1", true, "--snr", self.snr, "-o", scan)
        scan = self.wrong(load(scan)[0])
        if GIVEN[name] is None:
            return (scan,)
        factor, header = GIVEN[name]
        image = 1.1 * factor + 0 * self.reference[0]
        if factor < 0:
            image = 1 / 1.1 + 0 * image
        path = model(self.models, "fisp_b1", "--b1", 0.7, 1.3, sequence="fisp")
        b1 = save(self.folder / "b1.nii", image, self.affine, header)
        return scan, "--model", path, "--b1", b1

    def several_coils(self, name):
        """Magnitudes of eight coils, combined as root of the sum of squares."""
        shares = np.sqrt(self.random.dirichlet(np.full(8, 5.0)))
        clean = self.simulate("fisp", "--snr", "inf", name="other.nii")
        parts = self.random.standard_normal((2, 8, *clean.shape)) * self.noise_sd
        coils = shares[:, None, None, None, None] * clean + parts[0] + 1j * parts[1]
        combined = np.sqrt((abs(coils) ** 2).sum(axis=0))
        combined[self.reference[0] == 0] = 0
        path = model(self.models, "fisp_magnitude", "--form", "magnitude", sequence="fisp")
        return self.wrong(combined), "--model", path


def refusals(scans):
    """Commands that are refused before there is any scan to quantify: name and command line."""
    t1 = scans.reference[0]
    out = ("-o", scans.folder / "no.nii")
    t2 = scans.folder / "scan_truth_T2map.nii.gz"
    for name, factor, header in (
        ("T1 map in ms, sidecar says s", 1e3, {"Units": "s"}),
        ("T1 map in us, no unit", 1e6, {}),
        ("T1 map of rates, sidecar says 1/s", -1, {"Units": "1/s"}),
    ):
        image = t1 * factor
        if factor < 0:
            image = np.divide(1, t1, where=t1 > 0, out=0 * t1)
        path = save(scans.folder / "t1.nii", image, scans.affine, header)
        yield name, ("simulate", "--seq", "fisp", "--t1", path, "--t2", t2, *out)
    adc = ("--adc", "0.7e-6")
    yield "--adc 0.7e-6", ("simulate", "--seq", "fisp", "--phantom", "brain", *adc, *out)
    export = ("export", "--seq", "liquid_phantom", "--encoder", "none", *adc)
    yield "--adc 0.7e-6 of a model", (*export, "-o", scans.folder / "no.onnx")
    units = scans.folder / "units.yaml"
    for name, changes in (
        ("sequence: TR of 0.012 in ms", {"tr_ms": 0.012, "te_ms": 0.002}),
        ("sequence: radians under degrees", {"scale": np.pi / 180}),
    ):
        units.write_text(played(scans.folder, changes).read_text())
        yield name, ("sequence", "check", units)


def main():
    """A line for each wrong input and SNR."""
    numbers = [float(text) for text in sys.argv[1:] if text.isdigit()]
    chosen = [text for text in sys.argv[1:] if not text.isdigit()] or [""]
    n_silent = 0
    for snr in numbers or [5.0, 20.0, 100.0]:
        with tempfile.TemporaryDirectory() as folder:
            for line in rows_at(snr, Path(folder), chosen):
                n_silent += "SILENT" in line
                print(line, flush=True)
    print(f"{n_silent} silent")
    raise SystemExit(int(n_silent > 0))


def rows_at(snr, folder, chosen):
    """All rows of one SNR."""
    scans = Scans(folder, models_folder(folder), snr)
    groups = (
        (CHANGES, scans.changed),
        (SCANNERS, scans.scanner),
        (GIVEN, scans.given),
        (("8 coils, root sum of squares",), scans.several_coils),
        (HEADERS, scans.header),
        (OPTIONS, scans.option),
    )
    rows = [(name, make) for names, make in groups for name in names]
    for name, make in rows:
        if any(part in name for part in chosen):
            maps = folder / "maps"
            code, said = command("quantify", *make(name), "-o", maps, "--overwrite")
            yield f"SNR {snr:<4g} {name:<34} {outcome(code, said, maps, scans.reference)}"
    for name, arguments in refusals(scans):
        if any(part in name for part in chosen):
            code, said = command(*arguments)
            yield f"SNR {snr:<4g} {name:<34} {told(code, said)}"


def told(code, said):
    """The last thing that was said."""
    lines = [line for line in said.splitlines() if line.startswith(("mrftool", " "))]
    if code:
        return f"refused ({code}): {' '.join(lines)[:150]}"
    return f"accepted: {lines[0][:130] if lines else ''}"


def outcome(code, said, folder, reference):
    """What happened, in words."""
    if code:
        return told(code, said)
    report = json.loads((folder / "report.json").read_text())
    bias = white_matter_bias(folder, *reference)
    parts = [f"{name} {size:+.1%} (u {combined:.1%})" for name, (size, combined) in bias.items()]
    is_biased = any(abs(size) > combined for size, combined in bias.values())
    status = report["status"]
    if is_biased and status == "good":
        status = "SILENT"
    warnings = [remark for remark in report["remarks"] if remark["level"] == "warning"]
    words = "; ".join(f"{remark['code']}: {remark['text']}" for remark in warnings)
    return f"{status}: {', '.join(parts)} {words[:250]}"


if __name__ == "__main__":
    main()
