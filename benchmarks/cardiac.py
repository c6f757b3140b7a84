"""A cardiac scan of 750 pulses over 15 heartbeats: the model of its rhythm, and how good it is.

    python benchmarks/cardiac.py [--voxels 4000] [--snr 20]

The RR intervals are irregular, from a seed. Time is from the RR list to a verified model, made anew
and not taken from the cache. Then RMSE over the Cramer-Rao bound, and the standard deviation of the
error over its error bar (z), in myocardium and blood; and what a model of the mean rhythm costs.
"""

import argparse
import time

import numpy as np

from mrftool.design.precision import precision
from mrftool.exporting.make import make_model
from mrftool.formats.sequence.yaml_file import parse_sequence
from mrftool.inference.session import Model, run
from mrftool.physics.noise import add_noise, level_of
from mrftool.physics.simulate import simulate
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue
from mrftool.workflows.steps.mean_rhythm import bias

TISSUES = {"myocardium": (1.1, 0.045), "blood": (1.7, 0.25)}  # T1, T2 [s]
BEAT = """
    - wait_until_trigger: {{}}
    - wait: {{ms: {wait}}}{preparation}
    - pulses: {{first: {first}, count: 50}}"""
HEAD = """\
mrftool_sequence: 2
name: cardiac
flip_angle_deg: {{rule: lobes, peaks: [12.5, 18.75, 25], lengths: [50, 50, 50], minimum: 4}}
tr_ms: 5
te_ms: 1.5
rr_ms: {rr}
events:
- repeat:
    times: 3
    events:{beats}
"""
PREPARATIONS = (
    (130, "\n    - invert: {time_ms: 20}", 0),
    (150, "", 50),
    (120, "\n    - t2prep: {te_ms: 30}", 100),
    (100, "\n    - t2prep: {te_ms: 50}", 100),
    (70, "\n    - t2prep: {te_ms: 80}", 100),
)


def sequence_of(rr: list[float]) -> PulseSequence:
    """The sequence under RR intervals [ms]."""
    beats = "".join(
        BEAT.format(wait=wait, preparation=preparation, first=first)
        for wait, preparation, first in PREPARATIONS
    )
    return parse_sequence(HEAD.format(rr=rr, beats=beats))


def scores(model: Model, sequence: PulseSequence, voxels: int, snr: float) -> None:
    """Print RMSE over the bound and the spread of z for each tissue."""
    random = np.random.default_rng(1)
    for name, (t1, t2) in TISSUES.items():
        tissue = Tissue(np.full(voxels, t1), t2)
        signal = simulate(sequence, tissue).signal
        noise = level_of(signal) / snr
        found = run(model, add_noise(signal, noise, random).astype(np.complex64))
        bound = precision(sequence, tissue[:1], snr).relative[0]
        for key, value, relative in zip(("t1", "t2"), (t1, t2), bound, strict=True):
            error = found[key] - value
            rmse = float(np.sqrt(np.mean(error**2))) / (relative * value)
            z = float(np.std(error / found[f"sd_{key}"]))
            print(f"{name} {key}: RMSE / bound {rmse:.3f}, z sd {z:.3f}")


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voxels", type=int, default=4000)
    parser.add_argument("--snr", type=float, default=20.0)
    options = parser.parse_args()
    rr = np.random.default_rng(0).normal(950, 60, 14).round(1).tolist()
    make_model(sequence_of([1000.0] * 14))  # imports and caches of libraries
    begin, cpu = time.perf_counter(), time.process_time()
    sequence = sequence_of(rr)
    proto, manifest = make_model(sequence)
    wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
    print(f"{len(sequence)} frames: verified model in {wall:.2f} s, {cpu:.2f} s of processors")
    model = Model("cardiac.onnx", manifest, proto.SerializeToString())  # type: ignore[arg-type]
    scores(model, sequence, options.voxels, options.snr)
    mean = sequence_of([float(np.mean(rr))] * 14)
    for name, (t1, t2) in TISSUES.items():
        cost = 100 * bias(mean, sequence, t1, t2)
        print(
            f"{name}: a model of the mean rhythm errs by T1 {cost[0]:+.2f} %, T2 {cost[1]:+.2f} %"
        )


if __name__ == "__main__":
    main()
