"""Several echoes of each pulse: errors of T1, T2, off-resonance and R2' against their bounds.

Run by `python benchmarks/echoes.py`. One row for each SNR and quantity: root mean square error over
the Cramer-Rao bound, median error, and how the errors spread over the standard deviations that the
fit states.
"""

import time

import numpy as np

from mrftool.inference.exact_fit import ExactFit
from mrftool.physics.cramer_rao import bound_of_signals
from mrftool.physics.noise import add_noise, level_of
from mrftool.physics.simulate import signal_and_derivatives, simulate
from mrftool.sequence import Invert, Pulses, PulseSequence, Wait
from mrftool.tissue import Tissue

PULSES, VOXELS = 400, 2000
NAMES = ("t1", "t2", "off_resonance", "r2_prime")


def sequence():
    """Lobes of flip angles; echoes at 2, 5 and 9 ms in a TR of 15 ms."""
    pulses = np.arange(PULSES)
    heights = np.repeat([50.0, 35.0, 45.0, 25.0], PULSES // 4)
    flips = np.deg2rad(5 + heights * np.abs(np.sin(np.pi * pulses / 100)))
    events = [Invert(0.98), Wait(0.02), Pulses()]
    return PulseSequence(flips, 0.0, 0.015, 0.002, events, later_echoes=[0.003, 0.007])


def tissue(random):
    t1 = np.exp(random.uniform(np.log(0.3), np.log(2.5), VOXELS))
    t2 = np.minimum(np.exp(random.uniform(np.log(0.03), np.log(0.3), VOXELS)), t1)
    m0 = np.exp(1j * random.uniform(0, 2 * np.pi, VOXELS))
    frequency, rate = random.uniform(-90, 90, VOXELS), random.uniform(5, 40, VOXELS)
    return Tissue(t1, t2, off_resonance=frequency, r2_prime=rate, m0=m0)


def bounds(played, scanned, noise):
    """Of `NAMES` `(voxel, parameter)`."""
    wanted = ("t1", "t2", "r2_prime")
    signal, slopes = signal_and_derivatives(played, scanned, with_respect_to=wanted)
    by_frequency = 2j * np.pi * played.observed_te * signal
    return bound_of_signals(
        signal, np.stack([slopes[0], slopes[1], by_frequency, slopes[2]]), noise
    )


def main():
    random, played = np.random.default_rng(0), sequence()
    scanned = tissue(random)
    signal = simulate(played, scanned).signal
    for snr in (10, 20, 50):
        noise = level_of(signal) / snr
        noisy = add_noise(signal, noise, random)
        start = time.process_time()
        found = ExactFit(played, threads=1).fit(noisy, {})
        spent = (time.process_time() - start) / VOXELS
        bound = bounds(played, scanned, noise)
        print(f"SNR {snr}, {1e3 * spent:.2f} ms of one processor a voxel")
        for k, name in enumerate(NAMES):
            error = found[name] - getattr(scanned, name)
            line = f"  {name}: RMSE / bound {np.sqrt(np.mean((error / bound[:, k]) ** 2)):.3f}"
            line += f", median error {np.median(error):.2g}"
            if f"sd_{name}" in found:
                line += f", z sd {np.std(error / found[f'sd_{name}']):.3f}"
            print(line, flush=True)


if __name__ == "__main__":
    main()
