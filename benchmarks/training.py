"""What the Bloch decoder, and the table in its place, cost a training step: `make bench-train`.

One thread, processor time, steps in turn.
"""

import argparse
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import torch

from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.learning.batches import draw_batches
from mrftool.learning.checkpoint import TrainingRun
from mrftool.learning.config import TrainConfig
from mrftool.learning.step import Losses, take_step
from mrftool.learning.training import prepare_run, train

# On the defaults of `mrftool train`, and on the paper's grid with the paper's network.
DECODERS = ("none", "table", "bloch")
OURS = {"encoder": "compact"}
PAPER = {
    "encoder": "fc",
    "tissue": "grid",
    "loss": "log",
    "snr_range": None,
    "optimiser": "adam",
    "rate": 1e-3,
    "batch": 1000,
    "t1_range": (0.001, 5.0),
    "t2_range": (0.001, 2.0),
}


def seconds(run: TrainingRun, network: Losses, k: int) -> tuple[float, float]:
    """Processor time of drawing batch k, and of a step on it [s]."""
    start = time.process_time()
    parts = draw_batches(run.sources, run.config, run.spec.takes, k)
    drawn = time.process_time()
    take_step(run, network, parts, 1e-9)  # hardly any change, so that all steps are alike
    return drawn - start, time.process_time() - drawn


def compare(name: str, settings: dict, steps: int) -> float:
    """Print the costs without and with the decoder; ratio of whole steps, drawing included."""
    runs = {}
    for decoder in DECODERS:
        with tempfile.TemporaryDirectory() as folder:
            config = TrainConfig(decoder=decoder, **settings)
            runs[decoder] = prepare_run(
                [read_sequence("fisp")], config, Path(folder), torch.device("cpu")
            )
    networks = {decoder: Losses(run) for decoder, run in runs.items()}
    found = {decoder: [] for decoder in runs}
    for k in range(steps + 2):
        for decoder, run in runs.items():
            found[decoder].append(seconds(run, networks[decoder], k))
    for decoder, times in found.items():
        draw, step = (1e3 * statistics.median(column) for column in zip(*times[2:], strict=True))
        print(
            f"{name}, batch {runs[decoder].config.batch}, decoder {decoder}: draw {draw:.1f} ms, "
            f"step {step:.1f} ms"
        )
    ratios = [sum(b) / sum(a) for a, b in zip(found["none"][2:], found["bloch"][2:], strict=True)]
    network, table, bloch = (
        statistics.median(step for _, step in found[decoder][2:]) for decoder in DECODERS
    )
    print(f"{name}_physics_over_network: {bloch / network - 1:.2f}")
    print(f"{name}_table_physics_over_network: {table / network - 1:.2f}")
    return statistics.median(ratios)


def from_scratch(name: str, steps: int, rate: float, seed: int) -> None:
    """A new encoder on labels alone: time, and score (RMSE over bound without Gauss-Newton)."""
    start, processor = time.perf_counter(), time.process_time()
    config = TrainConfig(decoder="none", steps=steps, rate=rate, validate_every=steps, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        run = prepare_run([read_sequence(name)], config, Path(folder), torch.device("cpu"))
        scores = train(run, Path(folder), lambda step, losses: None)
    name = f"{name}_from_scratch_seed_{seed}"
    print(f"{name}_s: {time.perf_counter() - start:.1f}")
    print(f"{name}_processor_s: {time.process_time() - processor:.1f}")
    print(f"{name}_rmse_over_bound: {scores['score']:.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40, help="0: no comparison")
    parser.add_argument("--scratch-steps", type=int, default=2200, help="0: no training")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    if options.scratch_steps:
        for seed in options.seeds:
            from_scratch("delics", options.scratch_steps, 0.02, seed)
    if not options.steps:
        return
    compact = compare("compact", OURS, options.steps)
    paper = compare("fc", PAPER, options.steps)
    print(f"compact_bloch_over_none: {compact:.2f}")
    print(f"blochnet_over_fc: {paper:.2f}")


if __name__ == "__main__":
    main()
