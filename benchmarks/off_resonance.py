"""What off-resonance does to T1 and T2 of a balanced sequence, and what a fit of it leaves.

    python benchmarks/off_resonance.py [--voxels 200] [--snr 50]

For each off-resonance: tissue between white matter and blood, noise, and the median error of T2 of
three fits: by the sequence's model, which knows of no off-resonance; with the off-resonance given,
but 1 Hz off; and fitted from a map that is up to 4 Hz off.
"""

import argparse
import time

import numpy as np

from mrftool.exporting.make import make_model
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.inference.exact_fit import ExactFit
from mrftool.inference.session import Model, run
from mrftool.physics.noise import add_noise, level_of
from mrftool.physics.simulate import simulate
from mrftool.tissue import Tissue

FIELDS = (0.0, 1.0, 5.0, 20.0, 40.0)  # [Hz]
MAP_ERROR = 4.0  # at most [Hz]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voxels", type=int, default=200)
    parser.add_argument("--snr", type=float, default=50.0)
    options = parser.parse_args()
    sequence, random = read_sequence("irbssfp"), np.random.default_rng(0)
    proto, manifest = make_model(sequence, check=False)
    model = Model("irbssfp.onnx", manifest, proto.SerializeToString())  # type: ignore[arg-type]
    fitted = ExactFit(sequence, threads=1)
    given = ExactFit(sequence, threads=1, reach=1e-3)
    t1 = random.uniform(0.8, 1.8, options.voxels)
    t2 = np.exp(random.uniform(np.log(0.04), np.log(0.25), options.voxels))
    print("Hz | model | map 1 Hz off, taken as it is | map 4 Hz off, fitted: T2, mean T2, sd, z sd")
    for field in FIELDS:
        tissue = Tissue(t1, t2, off_resonance=np.full(len(t1), field))
        signal = simulate(sequence, tissue).signal
        noisy = add_noise(signal, level_of(signal) / options.snr, random)
        simple = run(model, noisy)["t2"] / t2 - 1
        wrong = given.fit(noisy, {"off_resonance": tissue.off_resonance + 1})["t2"] / t2 - 1
        start = tissue.off_resonance + random.uniform(-MAP_ERROR, MAP_ERROR, len(t1))
        begin = time.process_time()
        found = fitted.fit(noisy, {"off_resonance": start})
        seconds = time.process_time() - begin
        error, sd = found["t2"] / t2 - 1, found["sd_t2"] / t2
        print(
            f"{field:4.0f} | {np.median(simple):+7.1%} | {np.median(wrong):+7.1%} | "
            f"{np.median(error):+.2%}, {error.mean():+.2%}, {np.median(sd):.2%}, "
            f"{np.std(error / sd):.2f} ({1e3 * seconds / len(t1):.1f} ms a voxel)"
        )


if __name__ == "__main__":
    main()
