"""What a model achieves against the exact engine, on tissue that it has never seen."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrftool.inference.manifest import Manifest
from mrftool.inference.session import Model, run
from mrftool.maps import Flag
from mrftool.physics.crlb import bound_of_signals
from mrftool.physics.noise import add_noise
from mrftool.physics.simulate import signal_and_derivatives
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

SNRS = (5.0, 20.0, 100.0)
DETERMINED = 0.2  # relative bound up to which an estimate is expected to behave as theory for small errors says
_NORMAL_95 = 1.959964

Floats = NDArray[np.float64]


def verify(
    content: bytes,
    manifest: Manifest,
    sequence: PulseSequence,
    *,
    voxels: int = 1000,
    snrs: tuple[float, ...] = SNRS,
    seed: int = 1,
) -> dict[str, Any]:
    """Scores of the ONNX model in `content`: a dict of plain numbers, with one entry `snr_<x>` for each of `snrs`.

    Noise-free: largest and root mean square relative error of T1 and T2. With noise, over the voxels whose bound is
    below a fifth of the value: `rmse_over_bound`, `z_mean`, `z_sd` (error / sd), `coverage_95` (share of errors within
    1.96 sd) and `determined` (share of such voxels); `misfit_flagged`: share of voxels flagged, all of them in vain.
    """
    random = np.random.default_rng(seed)
    tissue = random_tissue(manifest, voxels, random)
    signal, slopes = signal_and_derivatives(sequence, tissue)
    model = Model(Path("model in memory"), manifest, content)
    truth = np.stack([tissue.t1, tissue.t2], axis=1)
    rms = np.sqrt(np.mean(np.abs(signal).astype(np.float64) ** 2, axis=1))
    scores: dict[str, Any] = {"voxels": voxels, "noise_free": _noise_free(_run(model, signal, tissue), truth)}
    for snr in snrs:
        sd = rms / snr
        found = _run(model, add_noise(signal, sd, random), tissue)
        bound = bound_of_signals(signal, slopes, sd, form=model.manifest.form)  # type: ignore[arg-type]
        scores[f"snr_{snr:g}"] = _noisy(found, truth, bound)
    return scores


def random_tissue(manifest: Manifest, voxels: int, random: np.random.Generator) -> Tissue:
    """Log-uniform T1 and T2 <= T1, uniform B1, in the ranges of the model."""
    low, high = np.log(np.array([manifest.t1_range, manifest.t2_range])).T
    places = random.uniform(low, high, (40 * voxels, 2))
    t1, t2 = np.exp(places[places[:, 1] <= places[:, 0]][:voxels]).T
    b1 = random.uniform(*manifest.b1_range, len(t1)) if manifest.b1_range else np.ones(len(t1))
    return Tissue(t1, t2, b1=b1, adc=np.full(len(t1), manifest.adc))


def _run(model: Model, signal: NDArray[np.complex64], tissue: Tissue) -> dict[str, NDArray[Any]]:
    rows = signal if model.form == "complex" else np.abs(signal)
    return run(model, rows, b1=tissue.b1 if model.takes_b1 else None)


def _noise_free(found: dict[str, NDArray[Any]], truth: Floats) -> dict[str, float]:
    relative = np.stack([found["t1"], found["t2"]], axis=1) / truth - 1
    worst, mean = abs(relative).max(axis=0), np.sqrt((relative**2).mean(axis=0))
    return _numbers({"max_t1": worst[0], "max_t2": worst[1], "rms_t1": mean[0], "rms_t2": mean[1]})


def _noisy(found: dict[str, NDArray[Any]], truth: Floats, bound: Floats) -> dict[str, Any]:
    scores: dict[str, Any] = {"misfit_flagged": float(np.mean((found["flags"] & Flag.MISFIT) > 0))}
    for k, name in enumerate(("t1", "t2")):
        good = bound[:, k] < DETERMINED * truth[:, k]
        if not good.any():
            scores[name] = {"determined": 0.0}
            continue
        error, sd = (found[name] - truth[:, k])[good], found[f"sd_{name}"][good]
        z = error / sd
        scores[name] = _numbers(
            {
                "rmse_over_bound": np.sqrt(np.mean((error / bound[good, k]) ** 2)),
                "z_mean": z.mean(),
                "z_sd": z.std(),
                "coverage_95": np.mean(abs(z) < _NORMAL_95),
                "determined": good.mean(),
            }
        )
    return scores


def _numbers(scores: dict[str, Any]) -> dict[str, float]:
    return {key: float(f"{value:.4g}") for key, value in scores.items()}
