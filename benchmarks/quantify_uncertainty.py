"""Do the stated uncertainties hold? z scores and coverage of 95 % intervals on simulated scans.

Noise: white (complex and magnitude), real-only, a channel of zeros, and autoregressive of order 1
(coefficient 0.5), whose covariance is estimated or given. Given values: B1 maps with errors of 3 %,
random in each voxel, or common to all voxels of each of many small scans; `b1` is stated with as
much. Tissue is random.
Run: python quantify_uncertainty.py [noise|b1] [sequence ...]; exit code 1 where a limit is missed.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.special import ndtri

from mrftool.exporting.make import make_model
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.inference.assessment.uncertainty import assess_uncertainty
from mrftool.inference.quantify import quantify
from mrftool.inference.session import Model
from mrftool.physics.simulate import simulate
from mrftool.quantities import Flag
from mrftool.scan.series import series_from_array
from mrftool.tissue import Tissue

SEQUENCES = ("fisp", "delics")
NOISE_SNRS, B1_SNRS, B1_ERROR = (3, 5, 10, 40, 200), (10, 40, 200), 0.03
COUNT, N_SCANS = 4000, 80
RANGES = {"t1_range": (0.4, 3.0), "t2_range": (0.02, 0.4)}
Z_SD, COVERAGE = (0.95, 1.05), (0.93, 0.97)  # that must be met


def white(random, shape):
    """Complex noise of standard deviation 1 per channel."""
    return random.standard_normal((*shape, 2)).view(complex)[..., 0]


def coloured(random, shape):
    """The same, autoregressive over time."""
    noise = white(random, shape)
    for t in range(1, shape[1]):
        noise[:, t] = 0.5 * noise[:, t - 1] + np.sqrt(0.75) * noise[:, t]
    return noise


NOISE = {  # what a scan shows of a fingerprint with white and with coloured noise
    "white": lambda signal, noise, coloured: signal + noise,
    "magnitude": lambda signal, noise, coloured: abs(signal + noise),
    "real-only": lambda signal, noise, coloured: (1j * (signal + noise)).real + 0j,
    "zero channel": lambda signal, noise, coloured: 1j * (signal + noise).imag,
    "coloured": lambda signal, noise, coloured: signal + coloured,
    "coloured magnitude": lambda signal, noise, coloured: abs(signal + coloured),
}


@dataclass(frozen=True)
class Row:
    """z scores of T1 and T2 of a scan, and the share of voxels that are flagged."""

    z: np.ndarray
    flagged: float

    @property
    def z_sd(self):
        """Of T1 and T2."""
        return self.z.std(axis=1)

    @property
    def coverage(self):
        """Of the 95 % intervals of T1 and T2."""
        return np.mean(abs(self.z) < 1.96, axis=1)

    def text(self):
        """For the table."""
        parts = [
            f"{name} z mean {z.mean():+.3f} sd {sd:.3f}, {share:6.1%}"
            for name, z, sd, share in zip(
                ("T1", "T2"), self.z, self.z_sd, self.coverage, strict=True
            )
        ]
        return f"{'   '.join(parts)}   misfit flagged {self.flagged:.1%}"


def model_of(sequence, **options):
    """A model without a network."""
    proto, manifest = make_model(sequence, check=False, **RANGES, **options)
    return Model(Path(f"{sequence.name}.onnx"), manifest, proto.SerializeToString())


def covariance_of(n_time):
    """That of `coloured`, relative to the variance `(time, time)`."""
    frames = np.arange(n_time)
    return 0.5 ** abs(frames[:, None] - frames)


def scored(rows, model, tissue, stated, covariance=None, **given):
    """Quantify and assess one scan."""
    shape = (len(rows), 1, 1)
    kind = np.complex64
    if not np.iscomplexobj(rows):
        kind = np.float32
    series = series_from_array(rows.reshape(*shape, -1).astype(kind))
    images = {name: values.reshape(shape).astype(np.float32) for name, values in given.items()}
    maps = quantify(series, model, **images)
    found = assess_uncertainty(
        series, maps, model, stated=stated, noise_covariance=covariance, **images
    ).maps
    z = []
    for name in ("t1", "t2"):
        error = getattr(found, name).ravel() - getattr(tissue, name)
        z.append(error / found.extra[f"combined_{name}"].ravel())
    return Row(np.array(z), float(np.mean((found.flags & int(Flag.MISFIT)) > 0)))


def random_tissue(random):
    """Tissue with T1 from 0.6 to 2 s, and T2 of 5 to 10 % of it."""
    t1 = np.exp(random.uniform(np.log(0.6), np.log(2.0), COUNT))
    return Tissue(t1, t1 * random.uniform(0.05, 0.1, COUNT))


def noise_rows(sequence, random):
    """Rows of all kinds of noise, by label."""
    tissue = random_tissue(random)
    clean = simulate(sequence, tissue).signal
    models = {form: model_of(sequence, form=form) for form in ("complex", "magnitude")}
    level = np.sqrt((abs(clean) ** 2).mean())
    for snr in NOISE_SNRS:
        sd = level / snr
        for name, shown in NOISE.items():
            noise = [sd * make(random, clean.shape) for make in (white, coloured)]
            rows = shown(clean, *noise)
            model = models["complex"]
            if not np.iscomplexobj(rows):
                model = models["magnitude"]
            yield f"{name}, SNR {snr}", scored(rows, model, tissue, {})
            if name.startswith("coloured"):
                known = covariance_of(len(sequence))
                yield f"{name}, known, SNR {snr}", scored(rows, model, tissue, {}, known)


def b1_rows(sequence, random):
    """Rows of B1 maps with errors, by label."""
    tissue = replace(random_tissue(random), b1=random.uniform(0.85, 1.15, COUNT))
    clean, model = simulate(sequence, tissue).signal, model_of(sequence, b1_range=(0.7, 1.3))
    level, stated = np.sqrt((abs(clean) ** 2).mean()), {"b1": B1_ERROR}
    quantiles = ndtri((np.arange(N_SCANS) + 0.5) / N_SCANS)  # of the errors of scans
    for snr in B1_SNRS:
        rows = clean + level / snr * white(random, clean.shape)
        b1 = tissue.b1 * (1 + B1_ERROR * random.standard_normal(COUNT))
        yield f"B1 error random, SNR {snr}", scored(rows, model, tissue, stated, b1=b1)
        parts = []
        for voxels, error in zip(np.split(np.arange(COUNT), N_SCANS), quantiles, strict=True):
            own = Tissue(tissue.t1[voxels], tissue.t2[voxels])
            b1 = tissue.b1[voxels] * (1 + B1_ERROR * error)
            parts.append(scored(rows[voxels], model, own, stated, b1=b1))
        flagged = float(np.mean([part.flagged for part in parts]))
        together = Row(np.concatenate([part.z for part in parts], axis=1), flagged)
        yield f"B1 error common, SNR {snr}", together


TABLES = {"noise": noise_rows, "b1": b1_rows}


def main():
    """A line for each scan, and then the extremes."""
    asked = [name for name in sys.argv[1:] if name not in TABLES] or SEQUENCES
    tables = [name for name in sys.argv[1:] if name in TABLES] or TABLES
    missed = False
    for table in tables:
        found = []
        for name in asked:
            for label, row in TABLES[table](read_sequence(name), np.random.default_rng(0)):
                print(f"{name}, {label:<28} {row.text()}", flush=True)
                found.append(row)
        missed |= out_of_limits(f"{table}: coverage of 95 % intervals", found, COVERAGE, "coverage")
        if table == "noise":
            missed |= out_of_limits("noise: z sd", found, Z_SD, "z_sd")
    return int(missed)


def out_of_limits(label, rows, limits, name):
    """Print the smallest and the largest value of all rows; whether one is out of limits."""
    values = np.concatenate([getattr(row, name) for row in rows])
    print(f"{label}, smallest: {values.min():.3f}\n{label}, largest: {values.max():.3f}")
    return bool(values.min() < limits[0] or values.max() > limits[1])


if __name__ == "__main__":
    sys.exit(main())
