"""Frames that are no independent images, given to `quantify`: do their error bars hold?

Raw data of a head (`reconstruction.py`) are gridded frame by frame, one arm each, or reconstructed
to 5 coefficient images that are expanded to frames. A line for each: robust spread of the error
over the standard deviation in white and in grey matter, with the model's own standard deviations
and with those that `quantify` writes, and what it says of the frames. Expanded frames are compared
with the same without noise, since truncation is no noise; gridded ones with the object.
Run: python undersampled_frames.py [MATRIX [SNR]].
"""

import sys
import tempfile

import numpy as np
from reconstruction import TISSUES, realistic
from trust_tools import model, models_folder

from mrftool.inference.assessment.uncertainty import assess_uncertainty
from mrftool.inference.quantify import quantify
from mrftool.inference.session import load_model
from mrftool.reconstruction.encoding.nufft import Nufft
from mrftool.reconstruction.reconstruct import Settings, reconstruct
from mrftool.reconstruction.temporal_basis import temporal_basis
from mrftool.scan.series import series_from_array

ORDERS = ("spiral48", "spiral48-in-order")
RANK = 5


def gridded(case, kspace):
    """Images `(x, y, time)` of the arm of each repetition, weighted by density."""
    points = kspace.trajectory.points
    radius = np.linalg.norm(points, axis=2)
    weights = radius * abs(np.gradient(radius, axis=1)) * kspace.trajectory.inside
    frames = np.zeros((*kspace.matrix, len(kspace.samples)), np.complex64)
    for arm in np.unique(kspace.arm):
        transform = Nufft(points[arm], kspace.matrix, len(case.coils))
        for t in np.flatnonzero(kspace.arm == arm):
            images = transform.adjoint(kspace.samples[t] * weights[arm].astype(np.float32))
            frames[:, :, t] = (case.coils.conj() * images).sum(axis=0)
    return frames / weights[0].sum()


def expanded(case, kspace, coils):
    """Coefficient images as frames `(x, y, time)`, and the coil maps that they were made with."""
    basis = temporal_basis(case.sequence, RANK)
    found = reconstruct(kspace, basis, Settings(replicas=0), coils=coils)
    return np.moveaxis(found.images, 0, -1) @ basis.vectors.T, found.coils


def assessed(case, frames, method):
    series = series_from_array(frames[:, :, None].astype(np.complex64))
    maps = quantify(series, method, mask=case.mask[:, :, None])
    return maps, assess_uncertainty(series, maps, method)


def spreads(case, maps, sd, reference):
    """Robust spread in each tissue, T1 and T2."""
    for tissue in TISSUES:
        chosen = case.label == case.classes.index(tissue)
        for name in ("t1", "t2"):
            error = getattr(maps, name)[case.mask[:, :, None]] - reference[name]
            z = error / sd[f"sd_{name}"][case.mask[:, :, None]]
            yield f"{np.nanmedian(abs(z[chosen])) / 0.6745:.2f}"


def main():
    matrix, snr = map(float, (sys.argv[1:] + ["192", "5"][len(sys.argv) - 1 :])[:2])
    with tempfile.TemporaryDirectory() as folder:
        method = load_model(model(models_folder(folder), "delics"))
    for order in ORDERS:
        case = realistic(int(matrix), kind=order)
        noisy = case.noisy(case.noise_sd(snr))
        truth = {"t1": case.tissue.t1, "t2": case.tissue.t2}
        rows = [("gridded", gridded(case, noisy), truth)]
        images, coils = expanded(case, noisy, None)
        clean, _ = assessed(case, expanded(case, case.kspace, coils)[0], method)
        without = {name: getattr(clean, name)[case.mask[:, :, None]] for name in truth}
        rows.append(("expanded", images, without))
        for kind, frames, reference in rows:
            maps, found = assessed(case, frames, method)
            before = " ".join(spreads(case, maps, maps, reference))
            after = " ".join(spreads(case, maps, found.maps, reference))
            print(f"{order} {kind}: model's own {before}, written {after}; {found.structure[:60]}")


if __name__ == "__main__":
    main()
