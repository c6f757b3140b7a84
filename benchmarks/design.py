"""Designed trains against shipped ones: `make bench-design`.

Gradient against finite differences, time of a start, and errors of T1 and T2 after a simulated
reconstruction: digital head without and with partial volume, 48 spiral arms, 8 coils, the same
noise in the raw data for every sequence.
"""

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mrftool.arrays import FloatArray
from mrftool.design.adjoint import gradient, signals
from mrftool.design.arm_loss import ArmLoss, arm_of_repetition
from mrftool.design.limits import Limits
from mrftool.design.optimise import Problem, optimise
from mrftool.design.pulse_train import PulseTrain, design_tissue, sequence_of, train_of
from mrftool.environment.reporter import SilentReporter
from mrftool.exporting.make import model_table
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.grid import Placement
from mrftool.inference.coefficients import quantify_coefficients
from mrftool.phantoms.brain import brain_phantom
from mrftool.phantoms.phantom import to_tissue
from mrftool.physics.noise import complex_noise
from mrftool.physics.simulate import simulate
from mrftool.reconstruction.reconstruct import Settings, reconstruct
from mrftool.reconstruction.simulated.raw_data import coarse_coils, sample_scene
from mrftool.reconstruction.simulated.scenes import phantom_scene, tissue_scene
from mrftool.reconstruction.simulated.trajectories import make_trajectory
from mrftool.reconstruction.temporal_basis import temporal_basis
from mrftool.scan.coefficients import CoefficientImages
from mrftool.scan.kspace import KSpace
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

TISSUES = [(1.084, 0.069), (1.82, 0.099)]  # T1, T2 [s] of white and grey matter at 3 T
B1 = [0.85, 1.0, 1.1]
ARMS, N_PULSES, FACTOR, COILS = 48, 500, 2, 8
ITERATIONS = 40  # of the reconstruction: with 20, what has not converged hides the noise at SNR 5
PURE = 0.95  # least share of the protons of one class in a pixel that counts
T1_RANGE, T2_RANGE = (0.1, 4.5), (0.01, 2.0)
REGIONS = ("white_matter", "grey_matter")


@dataclass(frozen=True)
class Scan:
    """A sequence's raw data without noise, and what its reconstruction needs."""

    sequence: PulseSequence
    kspace: KSpace
    coils: np.ndarray
    tissue: Tissue
    mask: np.ndarray
    regions: dict[str, np.ndarray]


def start_of(name: str) -> PulseTrain:
    """A shipped train with flip angles inside the limits."""
    train = train_of(read_sequence(name))
    flip = np.clip(np.abs(train.flip_angle[:N_PULSES]), np.deg2rad(2), np.deg2rad(73))
    return PulseTrain(flip, train.tr[:N_PULSES], train.te[:N_PULSES], train.inversion_time)


def design(weight_t1: float, weight_t2: float, max_step: float, iterations: int) -> PulseSequence:
    """The best train from two starts, as `mrftool sequence optimise` finds it."""
    arm = arm_of_repetition(N_PULSES, ARMS, "golden")
    problem = Problem(
        design_tissue(TISSUES, B1, [1.0]),
        ArmLoss(arm, weight_t1, weight_t2),
        Limits(np.deg2rad(75), max_step=max_step),
    )
    starts = {name: start_of(name) for name in ("cao", "delics")}
    found = optimise(problem, starts, SilentReporter(), iterations=iterations)
    print(
        f"weights {weight_t1:g}/{weight_t2:g}: from {found.start}, loss {found.start_loss:.3f} to"
        f" {found.loss:.3f}, {found.evaluations} evaluations, slowest start {found.seconds:.1f} s"
    )
    return sequence_of(found.train, read_sequence("delics"), f"weights_{weight_t1:g}_{weight_t2:g}")


def check_gradient() -> None:
    """Largest relative difference from finite differences, over a sample of pulses."""
    train, tissue = start_of("delics"), design_tissue(TISSUES, B1, [1.0])
    loss = ArmLoss(arm_of_repetition(N_PULSES, ARMS, "golden"))

    def value(flip: FloatArray) -> float:
        return loss.value_and_weight(signals(replace(train, flip_angle=flip), tissue))[0]

    _, weight = loss.value_and_weight(signals(train, tissue))
    found = gradient(train, tissue, weight).flip_angle
    worst, step = 0.0, 1e-5
    for n in range(0, N_PULSES, 25):
        unit = step * np.eye(N_PULSES)[n]
        flip = train.flip_angle
        expected = (value(flip + unit) - value(flip - unit)) / (2 * step)
        worst = max(worst, abs(found[n] - expected) / abs(found).max())
    began = time.process_time()
    for _ in range(10):
        gradient(train, tissue, weight, with_times=False)
    milliseconds = 100 * (time.process_time() - began)
    print(f"gradient_against_finite_differences: {worst:.1e}; {milliseconds:.1f} ms of one thread")


def scan(sequence: PulseSequence, matrix: int, objects: str) -> Scan:
    """Raw data of one slice of the head, without noise.

    objects: "pixels", one tissue in each, or "head", several points in each: partial volume.
    """
    trajectory, arm = make_trajectory("spiral48", matrix, len(sequence), coverage=2**0.5)
    if objects == "pixels":
        phantom = brain_phantom((matrix, matrix, 1))
        tissue, grid, labels = to_tissue(phantom, m0_phase=1.0)
        scene = tissue_scene(sequence, tissue, grid.mask[:, :, 0], n_coils=COILS)
        regions = {name: labels == phantom.classes.index(name) for name in REGIONS}
        kspace = sample_scene(scene, trajectory, arm)
        return Scan(sequence, kspace, scene.coils, tissue, grid.mask[:, :, 0], regions)
    fine = matrix * FACTOR
    phantom = brain_phantom((fine, fine, 1))
    scene, reference = phantom_scene(sequence, phantom, FACTOR, n_coils=COILS, m0_phase=1.0)
    kspace = sample_scene(scene, trajectory, arm)
    shares = {name: reference.class_share[:, phantom.classes.index(name)] for name in REGIONS}
    regions = {name: share >= PURE for name, share in shares.items()}
    coils = coarse_coils(scene.coils, FACTOR)
    return Scan(sequence, kspace, coils, reference.tissue, reference.mask, regions)


def noise_level(made: Scan, snr: float) -> float:
    """Of each channel of the raw data, as in `mrftool simulate --kspace`."""
    signal = simulate(made.sequence, made.tissue, tolerance=1e-3).signal
    n_samples = made.kspace.trajectory.inside.sum(axis=1).mean()
    return float(np.sqrt(np.mean(abs(signal) ** 2)) / snr * np.sqrt(n_samples))


def logarithms(made: Scan, noise_sd: float, seed: int = 0) -> FloatArray:
    """Log of T1 and T2 over their values `(2, voxel)`, after reconstruction and fit."""
    kspace = made.kspace
    noise = complex_noise(kspace.samples.shape, np.random.default_rng(seed))
    samples = kspace.samples + np.float32(noise_sd) * noise
    noisy = KSpace(samples, kspace.trajectory, kspace.arm, kspace.repetition, kspace.matrix)
    basis = temporal_basis(made.sequence)
    found = reconstruct(noisy, basis, Settings(iterations=ITERATIONS, replicas=0), coils=made.coils)
    images = np.moveaxis(found.images, 0, -1)[:, :, None]
    mask = made.mask
    series = CoefficientImages(images, basis.vectors, Placement(np.eye(4)), mask=mask[:, :, None])
    table = model_table(made.sequence, t1_range=T1_RANGE, t2_range=T2_RANGE)
    maps = quantify_coefficients(series, table, t1_range=T1_RANGE, t2_range=T2_RANGE)
    rows = []
    for key in ("t1", "t2"):
        estimate = np.asarray(getattr(maps, key), np.float64)[:, :, 0][mask]
        rows.append(np.log(estimate / getattr(made.tissue, key)))
    return np.stack(rows)


def rmse(logs: FloatArray, region: np.ndarray) -> FloatArray:
    """Of T1 and T2 in a region [%]."""
    return 100 * np.sqrt(np.mean(logs[:, region] ** 2, axis=1))


def show(scans: list[Scan], objects: str, draws: int) -> None:
    """Errors of every sequence, and their ratios to those of the first.

    The whole error; that of noise alone, about what is found without noise; and the rest, from
    neighbours that leak into a pixel.
    """
    clean = [logarithms(made, 0.0) for made in scans]
    for snr in (2.0, 5.0):
        noise_sd = noise_level(scans[0], snr)
        base: dict[tuple[str, str], FloatArray] = {}
        for made, still in zip(scans, clean, strict=True):
            found = [logarithms(made, noise_sd, seed) for seed in range(draws)]
            for name, region in made.regions.items():
                whole = np.mean([rmse(draw, region) for draw in found], axis=0)
                noise = np.mean([rmse(draw - still, region) for draw in found], axis=0)
                for part, value in (
                    ("whole", whole),
                    ("noise", noise),
                    ("rest", rmse(still, region)),
                ):
                    ratio = value / base.setdefault((name, part), value)
                    print(
                        f"{objects} SNR {snr:g} {made.sequence.name} {name} {part}: RMSE T1"
                        f" {value[0]:.2f} %, T2 {value[1]:.2f} %; ratio_to_delics T1 {ratio[0]:.3f}"
                        f" T2 {ratio[1]:.3f}",
                        flush=True,
                    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--matrix", type=int, default=192)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--max-step", type=float, default=4.0)
    parser.add_argument("--weights", nargs="*", default=["1/1", "30/1"], help="t1/t2")
    parser.add_argument("--objects", nargs="*", default=["pixels", "head"])
    parser.add_argument(
        "--sequence", type=Path, nargs="*", default=[], help="further trains (YAML)"
    )
    options = parser.parse_args()
    check_gradient()
    sequences = [read_sequence("delics")]
    for text in options.weights:
        t1, t2 = map(float, text.split("/"))
        sequences.append(design(t1, t2, np.deg2rad(options.max_step), options.iterations))
    sequences += [read_sequence(str(path)) for path in options.sequence]
    for objects in options.objects:
        scans = [scan(sequence, options.matrix, objects) for sequence in sequences]
        show(scans, objects, options.draws)


if __name__ == "__main__":
    main()
