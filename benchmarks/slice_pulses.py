"""What slice-selective pulses do to T1 and T2, what their simulation costs, and how exact it is.

    python benchmarks/slice_pulses.py [--sequence fisp] [--only bias positions speed]

bias: noise-free signals of a slice under a sinc pulse, quantified by models of other profiles.
positions: change of T1 and T2 by the number and the extent of simulated positions.
speed: processor time of one thread for each position, over that of the sequence without profile.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mrftool.exporting.make import make_model
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.inference.session import Model, run
from mrftool.physics.rf.slice_rotations import positions_of, spinors
from mrftool.physics.simulate import signal_and_derivatives, simulate
from mrftool.sequence import PulseSequence, SelectivePulse, SliceProfile
from mrftool.tissue import Tissue

PULSE = SelectivePulse("sinc", 4.0, 2e-3, "hann", positions=200, extent=6.0)
NAMES = ("white matter", "grey matter", "fat", "CSF")
TISSUE = Tissue(np.array([0.83, 1.33, 0.35, 4.0]), np.array([0.05, 0.09, 0.07, 1.8]))
QUADRATURE = Tissue(np.array([0.8, 1.4, 0.3, 2.5]), np.array([0.05, 0.1, 0.04, 0.3]))
PULSES = {
    "sinc, 4, hann": PULSE,
    "sinc, 8, hann": replace(PULSE, time_bandwidth=8.0),
    "sinc, 4, none": replace(PULSE, apodisation="none"),
    "gauss, 4": replace(PULSE, shape="gauss", apodisation="none"),
}


def main() -> None:
    """Print `name: value`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequence", default="fisp")
    parser.add_argument("--only", nargs="*", default=list(PARTS), choices=list(PARTS))
    options = parser.parse_args()
    sequence = read_sequence(options.sequence)
    for name in options.only:
        PARTS[name](sequence)


def factors_of(pulse: SelectivePulse, flip_angle: float) -> SliceProfile:
    """Flip factors of a pulse at one flip angle [rad], without phase."""
    _, beta = spinors(pulse, np.array([flip_angle]), positions_of(pulse))
    factors = 2 * np.arcsin(np.clip(abs(beta[0]), 0, 1)) / flip_angle
    return SliceProfile(factors, np.full(len(factors), 1 / len(factors)))


def print_bias(sequence: PulseSequence) -> None:
    """T1 and T2 of a slice by models of other profiles."""
    signal = simulate(replace(sequence, slice_profile=PULSE), TISSUE).signal
    usual = replace(PULSE, positions=40, extent=None)
    typical = float(np.sqrt((sequence.flip_angle**2).mean()))
    profiles = {
        "same pulse, 40 positions": usual,
        "no profile": None,
        "flip factors of small flips": factors_of(usual, 1e-3),
        "flip factors of the mean flip angle": factors_of(usual, typical),
        "time-bandwidth 8": replace(usual, time_bandwidth=8.0),
        "no window": replace(usual, apodisation="none"),
        "rephasing 5 % too weak": replace(usual, rephasing=0.95),
    }
    for name, profile in profiles.items():
        proto, manifest = make_model(replace(sequence, slice_profile=profile), check=False)
        model = Model("slice.onnx", manifest, proto.SerializeToString())  # type: ignore[arg-type]
        found = run(model, signal.astype(np.complex64))
        for place, tissue in enumerate(NAMES):
            t1 = found["t1"][place] / TISSUE.t1[place] - 1
            t2 = found["t2"][place] / TISSUE.t2[place] - 1
            print(f"bias, {name}, {tissue}: T1 {t1:+.2%}, T2 {t2:+.2%}")


def print_positions(sequence: PulseSequence) -> None:
    """Largest change of T1 and T2 by the choice of positions."""
    for name, pulse in PULSES.items():
        exact = replace(sequence, slice_profile=replace(pulse, positions=400, extent=12.0))
        for positions in (20, 40, 80):
            few = replace(pulse, positions=positions, extent=None)
            change = _change(replace(sequence, slice_profile=few), exact)
            print(f"positions, {name}, {positions}: T1 {change[0]:.2%}, T2 {change[1]:.2%}")


def _change(model: PulseSequence, exact: PulseSequence) -> NDArray[np.float64]:
    """Largest relative change of T1 and T2 over the tissues, to first order."""
    signal, slopes = signal_and_derivatives(model, QUADRATURE)
    difference = simulate(exact, QUADRATURE).signal - signal
    changes = []
    for place, (t1, t2) in enumerate(zip(QUADRATURE.t1, QUADRATURE.t2, strict=True)):
        columns = [signal[place], slopes[0, place] * t1, slopes[1, place] * t2]
        system = np.stack(columns, axis=1)
        system = np.concatenate([system.real, system.imag])
        wanted = np.concatenate([difference[place].real, difference[place].imag])
        changes.append(abs(np.linalg.lstsq(system, wanted, rcond=None)[0][1:]))
    return np.max(changes, axis=0)


def print_speed(sequence: PulseSequence) -> None:
    """Processor time for each position over that of the sequence without profile."""
    random, n = np.random.default_rng(0), 512
    t1 = np.exp(random.uniform(np.log(0.3), np.log(3.0), n))
    columns = {"t1": t1, "t2": t1 * random.uniform(0.03, 0.3, n)}
    kinds = {"one B1": {}, "a B1 for each voxel": {"b1": random.uniform(0.8, 1.2, n)}}
    flips = SliceProfile(np.linspace(0.05, 1, 20), np.full(20, 0.05))
    sliced = {"flip factors": flips, "pulse": replace(PULSE, positions=20, extent=None)}
    for kind, more in kinds.items():
        tissue = Tissue(**columns, **more)
        plain = _seconds(lambda tissue=tissue: simulate(sequence, tissue, threads=1))
        print(f"speed, {kind}, no profile: {1e3 * plain:.1f} ms")
        for name, profile in sliced.items():
            other = replace(sequence, slice_profile=profile)
            spent = _seconds(lambda other=other, tissue=tissue: simulate(other, tissue, threads=1))
            print(f"speed, {kind}, 20 positions by {name}: {spent / plain / 20:.2f} each")


def _seconds(work: Callable[[], object]) -> float:
    """Least processor time of five runs [s]."""
    times = []
    for _ in range(5):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


PARTS = {"bias": print_bias, "positions": print_positions, "speed": print_speed}


if __name__ == "__main__":
    main()
