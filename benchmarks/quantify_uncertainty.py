"""Do the stated uncertainties hold? z scores and coverage of 95 % intervals on simulated scans.

Noise: white, real-only and autoregressive of order 1 (coefficient 0.5). Given values: a B1 map with
random errors of 3 %, and `b1` stated with as much. Run: python quantify_uncertainty.py [sequence].
"""

import sys
from pathlib import Path

import numpy as np

from mrftool.export.make import make_model
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.inference.assessment.uncertainty import assess_uncertainty
from mrftool.inference.quantify import quantify
from mrftool.inference.session import Model
from mrftool.physics.simulate import simulate
from mrftool.scan.series import series_from_array
from mrftool.tissue import Tissue

SHAPE, SNRS, B1_ERROR = (60, 50, 1), (10, 40, 200), 0.03
COUNT = 3000
RANGES = {"t1_range": (0.4, 3.0), "t2_range": (0.02, 0.4)}


def white(random, shape):
    """Complex noise of standard deviation 1 per channel."""
    return random.standard_normal((*shape, 2)).view(complex)[..., 0]


def coloured(random, shape):
    """The same, autoregressive over time."""
    noise = white(random, shape)
    for t in range(1, shape[1]):
        noise[:, t] = 0.5 * noise[:, t - 1] + np.sqrt(0.75) * noise[:, t]
    return noise


def model_of(sequence, **options):
    """A model without a network."""
    proto, manifest = make_model(sequence, check=False, **RANGES, **options)
    return Model(Path(f"{sequence.name}.onnx"), manifest, proto.SerializeToString())


def report(label, rows, model, tissue, stated, **given):
    """Quantify, assess, and print a line."""
    series = series_from_array(rows.reshape(*SHAPE, -1).astype(np.complex64))
    maps = quantify(series, model, **given)
    found = assess_uncertainty(series, maps, model, stated=stated, **given).maps
    parts = []
    for name in ("t1", "t2"):
        error = getattr(found, name).ravel() - getattr(tissue, name)
        z = error / found.extra[f"combined_{name}"].ravel()
        parts.append(f"{name.upper()} z sd {z.std():.3f}, {np.mean(abs(z) < 1.96):6.1%}")
    flagged = np.mean((found.flags & 2) > 0)
    print(f"{label:<28} {parts[0]}   {parts[1]}   misfit flagged {flagged:.1%}", flush=True)


def main():
    """All lines for one sequence."""
    sequence = read_sequence((sys.argv[1:] or ["fisp"])[0])
    random = np.random.default_rng(0)
    t1 = np.exp(random.uniform(np.log(0.6), np.log(2.0), COUNT))
    t2 = t1 * random.uniform(0.05, 0.1, COUNT)
    tissue = Tissue(t1, t2)
    clean, model = simulate(sequence, tissue).signal, model_of(sequence)
    level = np.sqrt((abs(clean) ** 2).mean())
    for snr in SNRS:
        sd = level / snr
        report(f"white, SNR {snr}", clean + sd * white(random, clean.shape), model, tissue, {})
        real = (1j * clean + sd * white(random, clean.shape)).real + 0j
        report(f"real-only, SNR {snr}", real, model, tissue, {})
        rows = clean + sd * coloured(random, clean.shape)
        report(f"coloured, SNR {snr}", rows, model, tissue, {})
    tissue = Tissue(t1, t2, b1=random.uniform(0.85, 1.15, COUNT))
    clean, model = simulate(sequence, tissue).signal, model_of(sequence, b1_range=(0.7, 1.3))
    for snr in SNRS:
        rows = clean + level / snr * white(random, clean.shape)
        b1 = tissue.b1 * (1 + B1_ERROR * random.standard_normal(COUNT))
        image = b1.reshape(SHAPE).astype(np.float32)
        report(f"B1 map off, SNR {snr}", rows, model, tissue, {"b1": B1_ERROR}, b1=image)


if __name__ == "__main__":
    main()
