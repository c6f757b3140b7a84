"""From raw k-space to maps: time, memory, error over the bound, and whether error bars hold.

`make bench-recon` prints tables; BENCH_OPTIONS="--matrix 96 --only well speed" takes less time.
BART (Debian's package) is compared where it is installed. Times are seconds of all threads, so that
a busy machine does not change them, and wall clock beside.
"""

import argparse
import os
import resource
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mrftool.export.make import model_table
from mrftool.formats.arrays.bart import basis_array, cfl_contents, read_all_dimensions
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.grid import Placement
from mrftool.inference.coefficients import quantify_coefficients
from mrftool.phantoms.brain import brain_phantom
from mrftool.phantoms.phantom import to_tissue
from mrftool.physics.cramer_rao import cramer_rao
from mrftool.physics.noise import complex_noise
from mrftool.physics.simulate import simulate
from mrftool.quantities import Flag
from mrftool.reconstruction.reconstruct import Settings, reconstruct
from mrftool.reconstruction.simulated.raw_data import coarse_coils, sample_scene
from mrftool.reconstruction.simulated.scenes import phantom_scene, tissue_scene
from mrftool.reconstruction.simulated.trajectories import make_trajectory
from mrftool.reconstruction.temporal_basis import temporal_basis
from mrftool.scan.coefficients import CoefficientImages
from mrftool.scan.kspace import KSpace, Trajectory

RANGES = {"t1_range": (0.1, 4.5), "t2_range": (0.01, 2.0)}
SEQUENCE = "delics"
PURE = 0.999  # share of the protons of one class
SQUARE = 2**0.5


@dataclass(frozen=True)
class Case:
    """A scan: raw data without noise, and what the object is."""

    sequence: object
    kspace: KSpace
    coils: np.ndarray
    tissue: object
    mask: np.ndarray
    label: np.ndarray
    pure: np.ndarray
    classes: tuple

    def noise_sd(self, snr):
        """Of raw data whose frames of perfect encoding have this SNR."""
        level = np.sqrt(np.mean(abs(simulate(self.sequence, self.tissue).signal) ** 2))
        return level / snr * np.sqrt(self.n_inside)

    @property
    def n_inside(self):
        return self.kspace.trajectory.inside.sum(axis=1).mean()

    def noisy(self, sd, seed=1):
        noise = complex_noise(self.kspace.samples.shape, np.random.default_rng(seed))
        k = self.kspace
        samples = k.samples + np.float32(sd) * noise
        return KSpace(samples, k.trajectory, k.arm, k.repetition, k.matrix)

    def chosen(self, name):
        """Voxels of a class: all of grey matter, since folds leave few pure ones; pure white."""
        found = self.label == self.classes.index(name)
        return found & self.pure if name == "white_matter" else found


def well_posed(matrix, coils=8):
    """An object of one tissue in each pixel, and arms that cover the square.

    Its spectrum is periodic: samples beyond the square are as good as those inside, folded back.
    """
    sequence = read_sequence(SEQUENCE)
    phantom = brain_phantom((matrix, matrix, 1))
    tissue, grid, label = to_tissue(phantom, m0_phase=np.pi / 2)
    scene = tissue_scene(sequence, tissue, grid.mask[:, :, 0], n_coils=coils)
    arms, arm = make_trajectory("spiral48", matrix, len(sequence), samples=1100, coverage=SQUARE)
    folded = (arms.points + np.pi) % (2 * np.pi) - np.pi
    kspace = sample_scene(scene, Trajectory(folded, arms.sample_time), arm)
    pure = np.ones(len(label), bool)
    mask = grid.mask[:, :, 0]
    return Case(sequence, kspace, scene.coils, tissue, mask, label, pure, phantom.classes)


def realistic(matrix, coils=8, kind="spiral48", coverage=1.0):
    """An object on a grid twice as fine."""
    sequence = read_sequence(SEQUENCE)
    phantom = brain_phantom((2 * matrix, 2 * matrix, 1))
    scene, reference = phantom_scene(sequence, phantom, 2, n_coils=coils, m0_phase=np.pi / 2)
    samples = 800 if coverage == 1 else 1100
    arms, arm = make_trajectory(kind, matrix, len(sequence), samples=samples, coverage=coverage)
    kspace = sample_scene(scene, arms, arm)
    share = reference.class_share
    return Case(
        sequence, kspace, coarse_coils(scene.coils, 2), reference.tissue, reference.mask,
        share.argmax(axis=1), share.max(axis=1) > PURE, phantom.classes,
    )  # fmt: skip


def maps_of(case, images, basis, covariance, table):
    shaped = np.ascontiguousarray(np.moveaxis(images, 0, -1)[:, :, None])
    if covariance is not None:
        covariance = covariance[:, :, None]
    series = CoefficientImages(
        shaped, basis.vectors, Placement(np.eye(4)), covariance, case.mask[:, :, None]
    )
    maps = quantify_coefficients(series, table, **RANGES)
    columns = {name: image[:, :, 0][case.mask] for name, image in maps.images()}
    return columns


def cpu():
    """Processor time of this process and its children [s]."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


class Clock:
    def __init__(self):
        self.start = time.perf_counter(), cpu()

    def __str__(self):
        return f"{time.perf_counter() - self.start[0]:6.1f} s wall {cpu() - self.start[1]:6.1f} s"


def speed(matrix):
    """Raw data to maps, then six replicas, then the same by BART."""
    case = realistic(matrix)
    kspace = case.noisy(case.noise_sd(5))
    clock = Clock()
    basis = temporal_basis(case.sequence, 5)
    found = reconstruct(kspace, basis, Settings(replicas=0))
    table = model_table(case.sequence, **RANGES)
    maps_of(case, found.images, basis, None, table)
    print(f"raw data to maps                 {clock} processor")
    clock = Clock()
    reconstruct(kspace, basis, Settings(replicas=6))
    print(f"with six replicas, maps apart    {clock} processor")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"peak memory, simulation included {peak:6.2f} GB")
    if shutil.which("bart"):
        against_bart(case, kspace, basis, table)


def against_bart(case, kspace, basis, table, iterations=20):
    """Coefficients of BART's pics of the same data, coils and iterations."""
    settings = Settings(iterations=iterations, replicas=0)
    clock = Clock()
    ours = reconstruct(kspace, basis, settings, coils=case.coils).images
    print(f"ours, {iterations} iterations              {clock} processor")
    clock = Clock()
    theirs = bart_pics(kspace, basis.vectors, case.coils, iterations)
    print(f"BART pics -B, {iterations} iterations      {clock} processor")
    theirs = theirs * (np.vdot(theirs, ours) / np.vdot(theirs, theirs))
    difference = np.linalg.norm(theirs - ours) / np.linalg.norm(ours)
    print(f"coefficients differ by           {100 * difference:.3f} %")
    first, second = (maps_of(case, x, basis, None, table) for x in (ours, theirs))
    for name in ("t1", "t2"):
        apart = np.median(abs(second[name] / first[name] - 1))
        print(f"{name} maps of both differ by        {100 * apart:.3f} % (median)")


def bart_pics(kspace, basis, coils, iterations):
    """Coefficients `(K, x, y)` by BART."""
    n_x, n_y = kspace.matrix
    points = kspace.trajectory.points[kspace.arm] * [n_x, n_y] / (2 * np.pi)
    count, n_samples = points.shape[:2]
    trajectory = np.zeros((3, n_samples, 1, 1, 1, count), np.complex64)
    trajectory[:2, :, 0, 0, 0] = points.transpose(2, 1, 0)
    samples = kspace.samples.transpose(2, 1, 0).reshape(1, n_samples, 1, -1, 1, count)
    arrays = {
        "trajectory": trajectory,
        "samples": samples,
        "coils": coils.transpose(1, 2, 0)[:, :, None],
        "basis": basis_array(basis),
    }
    with tempfile.TemporaryDirectory() as scratch:
        for name, array in arrays.items():
            for path, content in cfl_contents(Path(scratch, f"{name}.cfl"), array).items():
                path.write_bytes(content)
        options = ("-w", "1", "-i", str(iterations), "-R", "Q:0.000001", "-B", "basis")
        line = ("bart", "pics", *options, "-t", "trajectory", "samples", "coils", "out")
        threads = os.environ.get("OMP_NUM_THREADS", "2")
        environment = {**os.environ, "OMP_NUM_THREADS": threads}
        subprocess.run(line, cwd=scratch, check=True, capture_output=True, env=environment)
        out = read_all_dimensions(Path(scratch, "out.cfl"))
    return np.moveaxis(out.reshape(n_x, n_y, -1), -1, 0)


def well(matrix):
    """Error over the bound of perfect encoding, and the noise level, on the well-posed grid."""
    case = well_posed(matrix)
    sd = case.noise_sd(5)
    kspace = case.noisy(sd)
    table = model_table(case.sequence, **RANGES)
    ideal = cramer_rao(case.sequence, case.tissue, noise_sd=sd / np.sqrt(case.n_inside))
    for rank, coils in ((5, case.coils), (5, None), (8, case.coils)):
        basis = temporal_basis(case.sequence, rank)
        found = reconstruct(kspace, basis, Settings(iterations=25, replicas=0), coils=coils)
        maps = maps_of(case, found.images, basis, None, table)
        for name in ("white_matter", "grey_matter"):
            chosen = case.chosen(name)
            ratios = []
            for key in ("t1", "t2"):
                bound = getattr(ideal, f"sd_{key}")[chosen]
                error = (maps[key] - getattr(case.tissue, key))[chosen] / bound
                ratios += [np.sqrt(np.mean(error**2)), np.median(abs(error)) / 0.6745]
            print(
                f"rank {rank} coils {'found' if coils is None else 'given'} {name:12}"
                f" RMSE/bound T1 {ratios[0]:.3f} T2 {ratios[2]:.3f}"
                f" robust {ratios[1]:.3f} {ratios[3]:.3f}"
                f" noise sd {found.noise_sd / sd:.4f}"
            )


SCANS = {
    "circle": {},
    "square": {"coverage": SQUARE},
    "one coil": {"coils": 1},
    "arms in order": {"kind": "spiral48-in-order"},
}


def bars(matrix):
    """Whether error bars hold: spread of (estimate - reference) / sd, for noise alone and in
    all.
    """
    for title, options in SCANS.items():
        case = realistic(matrix, **options)
        table = model_table(case.sequence, **RANGES)
        settings = [(5, 5), (5, 2)]
        if title == "circle":
            settings += [(6, 5), (8, 5)]
        for rank, snr in settings:
            print(title, f"rank {rank} SNR {snr}", end=" ")
            one_row(case, rank, snr, table)


def one_row(case, rank, snr, table):
    basis = temporal_basis(case.sequence, rank)
    sd = case.noise_sd(snr)
    found = reconstruct(case.noisy(sd), basis, Settings())
    settings = Settings(replicas=0)
    clean = reconstruct(case.kspace, basis, settings, coils=found.coils)
    maps = maps_of(case, found.images, basis, found.covariance, table)
    reference = maps_of(case, clean.images, basis, found.covariance, table)
    print(f"noise sd {found.noise_sd / sd:.3f}", end=" ")
    for name in ("white_matter", "grey_matter"):
        chosen = case.chosen(name)
        spreads = []
        for key in ("t1", "t2"):
            error = (maps[key] - reference[key]) / maps[f"sd_{key}"]
            whole = (maps[key] - getattr(case.tissue, key)) / maps[f"sd_{key}"]
            inner = chosen & case.pure
            robust = np.median(abs(whole[inner] - np.median(whole[inner]))) / 0.6745
            spreads += [error[chosen].std(), robust]
        flagged = np.mean((maps["flags"][chosen & case.pure] & Flag.MISFIT) > 0)
        print(
            f"| {name[:5]} z of noise {spreads[0]:.3f} {spreads[2]:.3f}"
            f" whole {spreads[1]:.3f} {spreads[3]:.3f} flagged {100 * flagged:.1f} %",
            end=" ",
        )
    print(flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--matrix", type=int, default=192)
    parts = {"speed": speed, "well": well, "bars": bars}
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
    arguments = parser.parse_args()
    for name in arguments.only:
        print(f"== {name}: {arguments.matrix} x {arguments.matrix}, {SEQUENCE}", flush=True)
        parts[name](arguments.matrix)


if __name__ == "__main__":
    main()
