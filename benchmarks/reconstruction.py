"""From raw k-space to maps: time, memory, error over the bound, and whether error bars hold.

`make bench-recon` prints lines of `name: value`, and the error bars as a table besides;
BENCH_OPTIONS="--matrix 96 --only well speed" takes less time. BART (Debian's package) is compared
where it is installed. Times are by the wall clock, and of all threads together (processor), which a
busy machine hardly changes.
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

from mrftool.exporting.make import model_table
from mrftool.formats.arrays.bart import basis_array, cfl_contents, read_all_dimensions
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.grid import Placement
from mrftool.inference.coefficients import quantify_coefficients
from mrftool.maps import Maps
from mrftool.phantoms.brain import brain_phantom
from mrftool.phantoms.phantom import to_tissue
from mrftool.physics.cramer_rao import cramer_rao
from mrftool.physics.noise import complex_noise
from mrftool.physics.simulate import simulate
from mrftool.quantities import Flag
from mrftool.reconstruction.conjugate_gradient import conjugate_gradient
from mrftool.reconstruction.joint import JointSettings
from mrftool.reconstruction.reconstruct import Settings, reconstruct, set_up
from mrftool.reconstruction.simulated.raw_data import coarse_coils, sample_scene
from mrftool.reconstruction.simulated.scenes import phantom_scene, tissue_scene
from mrftool.reconstruction.simulated.trajectories import make_trajectory
from mrftool.reconstruction.temporal_basis import temporal_basis
from mrftool.scan.coefficients import CoefficientImages
from mrftool.scan.kspace import KSpace, Trajectory
from mrftool.workflows.kspace.quantify_jointly import estimate_jointly

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


def say(name, value, unit=""):
    print(f"{name}: {value:.4g} {unit}".rstrip(), flush=True)


def cpu():
    """Processor time of this process and its children [s]."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


class Clock:
    """Seconds since it was made, by the wall clock and of all threads together."""

    def __init__(self):
        self.start = time.perf_counter(), cpu()

    def say(self, name):
        found = time.perf_counter() - self.start[0], cpu() - self.start[1]
        for kind, seconds in zip(("wall", "processor"), found, strict=True):
            say(f"{name}_{kind}", seconds, "s")
        return found


def speed(matrix):
    """Raw data to maps, then six replicas, then the same by BART."""
    case = realistic(matrix)
    kspace = case.noisy(case.noise_sd(5))
    clock = Clock()
    basis = temporal_basis(case.sequence, 5)
    found = reconstruct(kspace, basis, Settings(replicas=0))
    table = model_table(case.sequence, **RANGES)
    maps_of(case, found.images, basis, None, table)
    clock.say("raw_data_to_maps")
    clock = Clock()
    reconstruct(kspace, basis, Settings(replicas=6))
    clock.say("coefficients_with_six_replicas")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    say("peak_memory_with_simulation", peak, "GB")
    if shutil.which("bart"):
        against_bart(case, kspace, basis, table)


def against_bart(case, kspace, basis, table, iterations=20):
    """Coefficients of BART's pics of the same data, coils and iterations.

    Both set up the normal equations and solve them; ours without the noise level, which pics does
    not tell either.
    """
    clock = Clock()
    problem = set_up(kspace, basis, Settings(), coils=case.coils)
    ours = conjugate_gradient(problem.operator, problem.right_side, iterations).x
    own = clock.say(f"ours_{iterations}_iterations")
    clock = Clock()
    theirs = bart_pics(kspace, basis.vectors, case.coils, iterations)
    bart = clock.say(f"bart_{iterations}_iterations")
    say("times_faster_than_bart_wall", bart[0] / own[0])
    say("times_faster_than_bart_processor", bart[1] / own[1])
    theirs = theirs * (np.vdot(theirs, ours) / np.vdot(theirs, theirs))
    difference = np.linalg.norm(theirs - ours) / np.linalg.norm(ours)
    say("coefficients_from_bart_differ", 100 * difference, "%")
    first, second = (maps_of(case, x, basis, None, table) for x in (ours, theirs))
    for name in ("t1", "t2"):
        apart = np.median(abs(second[name] / first[name] - 1))
        say(f"{name}_from_bart_differs_median", 100 * apart, "%")


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
        label = f"rank{rank}_coils_{'found' if coils is None else 'given'}"
        say(f"{label}_noise_sd_over_actual", found.noise_sd / sd)
        for tissue in TISSUES:
            chosen = case.chosen(tissue)
            for key in ("t1", "t2"):
                bound = getattr(ideal, f"sd_{key}")[chosen]
                error = (maps[key] - getattr(case.tissue, key))[chosen] / bound
                say(f"{label}_{tissue}_{key}_rmse_over_bound", np.sqrt(np.mean(error**2)))
                say(f"{label}_{tissue}_{key}_robust_over_bound", np.median(abs(error)) / 0.6745)


SCANS = {
    "circle": ({}, [(5, 5), (5, 2), (6, 5), (6, 2), (8, 5), (8, 2)]),
    "square": ({"coverage": SQUARE}, [(5, 5), (5, 2), (8, 5)]),
    "one_coil": ({"coils": 1}, [(5, 5), (5, 2)]),
    "in_order": ({"kind": "spiral48-in-order"}, [(5, 5), (5, 2)]),
}
TISSUES = ("white_matter", "grey_matter")


def bars(matrix):
    """Whether error bars hold: spread of (estimate - estimate without noise) / sd."""
    rows = []
    for title, (options, settings) in SCANS.items():
        case = realistic(matrix, **options)
        table = model_table(case.sequence, **RANGES)
        for rank, snr in settings:
            found = one_scan(case, rank, snr, table)
            for name, value in found.items():
                say(f"{title}_rank{rank}_snr{snr}_{name}", value)
            rows.append((f"{title.replace('_', ' ')} | {rank} | {snr}", found))
    names = [f"z_{tissue}_{key}" for tissue in TISSUES for key in ("t1", "t2")]
    every = [found[name] for _, found in rows for name in names]
    say("z_smallest", min(every))
    say("z_largest", max(every))
    say("flagged_percent_largest", max(found["flagged_percent"] for _, found in rows))
    print(f"\n| scan | rank | SNR | {' | '.join(names)} | flagged |\n|{'---|' * (4 + len(names))}")
    for label, found in rows:
        values = " | ".join(f"{found[name]:.3f}" for name in names)
        print(f"| {label} | {values} | {found['flagged_percent']:.1f} % |")


def one_scan(case, rank, snr, table):
    """Spread of z in each tissue, for noise alone; of the whole error over the combined
    uncertainty; and how many voxels of one tissue are flagged as misfits [%].
    """
    basis = temporal_basis(case.sequence, rank)
    sd = case.noise_sd(snr)
    found = reconstruct(case.noisy(sd), basis, Settings())
    settings = Settings(replicas=0)
    clean = reconstruct(case.kspace, basis, settings, coils=found.coils)
    maps = maps_of(case, found.images, basis, found.covariance, table)
    noiseless = maps_of(case, clean.images, basis, found.covariance, table)
    numbers = {"noise_sd_over_actual": found.noise_sd / sd}
    for tissue in TISSUES:
        chosen = case.label == case.classes.index(tissue)
        for key in ("t1", "t2"):
            z = (maps[key] - noiseless[key]) / maps[f"sd_{key}"]
            numbers[f"z_{tissue}_{key}"] = z[chosen].std()
            error = (maps[key] - getattr(case.tissue, key)) / maps[f"combined_{key}"]
            inner = error[chosen & case.pure]
            numbers[f"whole_error_{tissue}_{key}"] = np.median(abs(inner)) / 0.6745
    flags = maps["flags"][case.pure & (case.label >= 0)]
    numbers["flagged_percent"] = 100 * np.mean((flags & Flag.MISFIT) > 0)
    return numbers


def joint(matrix):
    """Joint estimates on the well-posed grid: RMSE over the bound of k-space, and spread of z.

    The bound: the inverse information of all voxels together, probed; the spread of
    (estimate - actual) / bound is at once the RMSE over the bound and that of z.
    """
    case = well_posed(matrix)
    sd = case.noise_sd(5)
    basis = temporal_basis(case.sequence, 10)
    table = model_table(case.sequence, **RANGES)
    problem = set_up(case.noisy(sd), basis, Settings(), coils=case.coils)
    images = {}
    for name in ("t1", "t2", "m0"):
        image = np.zeros((*case.mask.shape, 1), np.complex64 if name == "m0" else np.float32)
        image[case.mask] = getattr(case.tissue, name)[:, None]
        images[name] = image
    flags = np.where(case.mask, 0, int(Flag.MASKED)).astype(np.uint8)[:, :, None]
    start = Maps(1.1 * images["t1"], 0.9 * images["t2"], images["m0"], flags)
    settings = JointSettings(probes=16)
    clock = Clock()
    maps, _ = estimate_jointly(problem, basis.vectors, table, start, settings)
    clock.say("joint")
    for tissue in TISSUES:
        chosen = case.chosen(tissue)
        for key in ("t1", "t2"):
            found = getattr(maps, key)[:, :, 0][case.mask][chosen]
            actual = getattr(case.tissue, key)[chosen]
            bound = maps.extra[f"sd_{key}"][:, :, 0][case.mask][chosen]
            rmse = np.sqrt(np.mean((found / actual - 1) ** 2))
            say(
                f"joint_{tissue}_{key}_rmse_over_bound",
                rmse / np.sqrt(np.mean((bound / actual) ** 2)),
            )
            say(f"joint_{tissue}_{key}_z_sd", ((found - actual) / bound).std())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--matrix", type=int, default=192)
    parts = {"speed": speed, "well": well, "bars": bars, "joint": joint}
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
    arguments = parser.parse_args()
    for name in arguments.only:
        print(f"== {name}, {arguments.matrix} x {arguments.matrix}, {SEQUENCE}", flush=True)
        parts[name](arguments.matrix)


if __name__ == "__main__":
    main()
