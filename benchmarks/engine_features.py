"""What the engine's features cost beside a plain train: `make bench-stages`.

Processor time of one thread, the best of several in turn.
"""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.physics.simulate import simulate
from mrftool.sequence import PulseSequence, Spoiler
from mrftool.tissue import Tissue

N_VOXELS, N_FEW = 8000, 20
ROUNDS = 4
_SPOILER = Spoiler(np.array([40e-3, -5e-3]), np.array([1e-3, 0.5e-3]))


def best_times(works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Least processor time of each, all in turn [s]."""
    times = dict.fromkeys(works, float("inf"))
    for _ in range(ROUNDS):
        for name, work in works.items():
            start = time.process_time()
            work()
            times[name] = min(times[name], time.process_time() - start)
    return times


def tissue(n: int, adc: float = 0.0, off_resonance: float = 0.0) -> Tissue:
    """`n` voxels; up to off_resonance [Hz]."""
    random = np.random.default_rng(0)
    t1, shift = random.uniform(0.3, 2.0, n), off_resonance * random.uniform(-1, 1, n)
    return Tissue(t1, 0.08 * t1, adc=np.full(n, adc), off_resonance=shift)


def simulation(
    sequence: PulseSequence, n: int, adc: float = 0.0, off_resonance: float = 0.0
) -> Callable[[], object]:
    voxels = tissue(n, adc, off_resonance)
    return lambda: simulate(sequence, voxels, threads=1)


def with_one_tr(sequence: PulseSequence) -> PulseSequence:
    n = len(sequence)
    return replace(sequence, tr=np.full(n, 0.0135), te=np.full(n, 0.003))


def main() -> None:
    plain = read_sequence("fisp")
    spoiled, one_tr = replace(plain, spoiler=_SPOILER), with_one_tr(plain)
    times = best_times(
        {
            "plain": simulation(plain, N_VOXELS),
            "one_tr": simulation(one_tr, N_VOXELS),
            "adc0": simulation(spoiled, N_VOXELS),
            "adc": simulation(spoiled, N_VOXELS, 1e-9),
            "balanced": simulation(read_sequence("irbssfp"), N_VOXELS, off_resonance=40.0),
            "few": simulation(plain, N_FEW),
            "few_adc0": simulation(spoiled, N_FEW),
        }
    )
    rate = N_VOXELS * len(plain) / times["plain"]
    print(f"plain_mega_tissue_repetitions_per_s: {rate / 1e6:.0f}")
    print(f"variable_tr_over_constant: {times['plain'] / times['one_tr']:.2f}")
    print(f"spoiler_at_adc_0_over_plain: {times['adc0'] / times['plain']:.2f}")
    print(f"spoiler_at_adc_0_over_plain_{N_FEW}_voxels: {times['few_adc0'] / times['few']:.2f}")
    print(f"diffusion_over_plain: {times['adc'] / times['plain']:.2f}")
    print(f"balanced_off_resonance_over_plain: {times['balanced'] / times['plain']:.2f}")


if __name__ == "__main__":
    main()
