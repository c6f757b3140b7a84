"""What does a fit of B1 gain, and do the stated uncertainties hold with it?

Scans of random tissue at an unknown B1: one factor, a smooth field that is no polynomial, or a map
that is off by a factor, at SNR 10 and 40. Then many small scans whose flip angles are wrong as the
stated uncertainty says, which the fit of B1 follows. Printed are the mean error of T2 without and
with the fit, and the coverage of combined 95 % intervals with it.
Run: python common_values.py [sequence or part of a row ...]; exit code 1 where a bias exceeds
1 %, or a coverage is not 93 to 97 %.
"""

import sys
from pathlib import Path

import numpy as np
from scipy.special import ndtri

from mrftool.environment.reporter import SilentReporter
from mrftool.exporting.make import make_model
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.inference.session import Model
from mrftool.manifold.influences import FLIP_EXPONENT, with_change
from mrftool.physics.simulate import simulate
from mrftool.scan.series import series_from_array
from mrftool.tissue import Tissue
from mrftool.workflows.common_values import CommonChoice
from mrftool.workflows.estimation import Estimation, estimated
from mrftool.workflows.steps.stopwatch import Stopwatch

SEQUENCES, SNRS = ("fisp", "delics"), (10, 40)
SIZE, N_SCANS, SMALL = 48, 40, 10
RANGES = {"t1_range": (0.3, 3.5), "t2_range": (0.02, 0.4), "b1_range": (0.6, 1.4)}
MOST_BIAS, COVERAGE = 0.01, (0.93, 0.97)


def field(size):
    """A smooth B1 field `(voxel,)`."""
    x, y = np.meshgrid(*2 * [np.linspace(-1, 1, size)], indexing="ij")
    return (0.8 + 0.35 * np.exp(-1.2 * ((x - 0.2) ** 2 + y**2))).ravel()


def tissue_of(random, size, b1):
    """Tissue with T1 from 0.6 to 2 s, and T2 of 5 to 10 % of it."""
    count = size * size
    t1 = np.exp(random.uniform(np.log(0.6), np.log(2.0), count))
    return Tissue(t1, t1 * random.uniform(0.05, 0.1, count), b1=np.broadcast_to(b1, count))


def scanned(sequence, tissue, snr, random):
    """The scan of a slice."""
    clean = simulate(sequence, tissue).signal
    sd = np.sqrt((abs(clean) ** 2).mean()) / snr
    rows = clean + sd * random.standard_normal((*clean.shape, 2)).view(complex)[..., 0]
    size = round(len(rows) ** 0.5)
    return series_from_array(rows.reshape(size, size, 1, -1).astype(np.complex64))


def fitted(series, model, choice, stated, images=None):
    """Maps with their uncertainty."""
    task = Estimation(series, model, images or {}, None, False, None, stated)
    return estimated(task, choice, Stopwatch(), SilentReporter())[1]


def z_scores(maps, tissue):
    """Errors of T1 and T2 over their combined uncertainty `(2, voxel)`."""
    found = [
        (getattr(maps, name).ravel() - getattr(tissue, name))
        / maps.extra[f"combined_{name}"].ravel()
        for name in ("t1", "t2")
    ]
    return np.array(found)


def told(label, z, without, bias):
    """Print the figures of a row; whether a limit is missed."""
    held = np.mean(abs(z) < 1.96, axis=1)
    if without is not None:
        print(f"{label}, T2 error without the fit: {100 * without:+.2f} %")
    print(f"{label}, T2 error with the fit: {100 * bias:+.2f} %")
    for name, share in zip(("T1", "T2"), held, strict=True):
        print(f"{label}, 95 % intervals of {name} hold: {100 * share:.1f} %", flush=True)
    return abs(bias) > MOST_BIAS or held.min() < COVERAGE[0] or held.max() > COVERAGE[1]


def mean_error(maps, tissue):
    """Of T2, relative."""
    return float(np.mean(maps.t2.ravel() / tissue.t2) - 1)


def unknown_b1(name, sequence, model, random):
    """Rows of scans whose B1 nobody knows, or knows but for a factor."""
    smooth = field(SIZE)
    image = (1.1 * smooth).reshape(SIZE, SIZE, 1).astype(np.float32)
    ones = np.ones_like(image)
    rows = {
        "factor 0.85": (0.85, "factor", ones),
        "smooth field": (smooth, "smooth", ones),
        "map 10 % too high": (smooth, "factor", image),
    }
    missed = False
    for snr in SNRS:
        for label, (b1, shape, known) in rows.items():
            if not is_asked(f"{label}, SNR {snr}"):
                continue
            tissue = tissue_of(random, SIZE, b1)
            series = scanned(sequence, tissue, snr, random)
            plain = fitted(series, model, CommonChoice(), {}, {"b1": known})
            maps = fitted(series, model, CommonChoice(shape), {}, {"b1": known})
            z, bias = z_scores(maps, tissue), mean_error(maps, tissue)
            missed |= told(f"{name}, {label}, SNR {snr}", z, mean_error(plain, tissue), bias)
    return missed


def wrong_flips(name, sequence, model, random):
    """Scans whose flip angles have errors of the size that is stated."""
    z, errors = [], []
    stated = {"flip_exponent": FLIP_EXPONENT.uncertainty}
    for quantile in ndtri((np.arange(N_SCANS) + 0.5) / N_SCANS):
        tissue = tissue_of(random, SMALL, 0.9)
        change = quantile * FLIP_EXPONENT.uncertainty
        wrong, _ = with_change(FLIP_EXPONENT, sequence, tissue, change)
        series = scanned(wrong, tissue, 40, random)
        ones = np.ones((SMALL, SMALL, 1), np.float32)
        maps = fitted(series, model, CommonChoice("factor"), stated, {"b1": ones})
        z.append(z_scores(maps, tissue))
        errors.append(mean_error(maps, tissue))
    label = f"{name}, flip angles wrong as stated, SNR 40"
    return told(label, np.concatenate(z, axis=1), None, float(np.mean(errors)))


def is_asked(row):
    """Whether a row is among those of the command line: all, if it names none."""
    parts = [part for part in sys.argv[1:] if part not in SEQUENCES]
    return any(part in row for part in parts or [""])


def main():
    """All rows of each sequence."""
    missed = False
    for name in [name for name in SEQUENCES if name in sys.argv[1:]] or SEQUENCES:
        sequence, random = read_sequence(name), np.random.default_rng(0)
        proto, manifest = make_model(sequence, check=False, **RANGES)
        model = Model(Path(f"{name}.onnx"), manifest, proto.SerializeToString())
        missed |= unknown_b1(name, sequence, model, random)
        if is_asked("flip angles"):
            missed |= wrong_flips(name, sequence, model, random)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
