"""Training and the EPG kernel on a CUDA device, beside its host: `make bench-gpu`.

Prints wall-clock times of whole steps, the share that the decoder takes, how far the device's
losses are from the host's, and the rate of the kernel in tissue-repetitions per second with 32
orders.
"""

import argparse
import statistics
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from training import DECODERS, OURS, PAPER

from mrftool.environment.threads import usable_processors
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.learning.batches import draw_batches
from mrftool.learning.checkpoint import TrainingRun
from mrftool.learning.config import TrainConfig
from mrftool.learning.networks.device_engine import Tiling, serves, simulate_on_device
from mrftool.learning.step import Losses, take_step
from mrftool.learning.training import prepare_run, train
from mrftool.physics.simulate import simulate
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

SETTINGS = {
    "compact": OURS,
    "compact_4096": OURS | {"batch": 4096},
    "fc": PAPER,
}
ORDERS = 32
TILINGS = [Tiling(voxels, warps) for voxels in (4, 8, 16) for warps in (1, 2)]


def new_run(settings: dict, device: torch.device) -> TrainingRun:
    with tempfile.TemporaryDirectory() as folder:
        config = TrainConfig(**settings)
        return prepare_run([read_sequence("fisp")], config, Path(folder), device)


def step_times(run: TrainingRun, steps: int) -> tuple[float, dict[str, float]]:
    """Median wall-clock time of a step on a batch that is on the device [s], and first losses."""
    device = next(run.encoder.parameters()).device
    network, times, first = Losses(run), [], {}
    drawn = draw_batches(run.sources, run.config, run.spec.takes, 0)
    parts = [part.to(device) for part in drawn]
    for k in range(steps + 3):
        _wait_for(device)
        start = time.perf_counter()
        losses = take_step(run, network, parts, 1e-9)
        _wait_for(device)
        times.append(time.perf_counter() - start)
        if k == 0:
            first = losses.read()
    return statistics.median(times[3:]), first


def compare_devices(name: str, devices: list[torch.device], steps: int) -> None:
    found = {}
    for device in devices:
        for decoder in DECODERS:
            run = new_run(SETTINGS[name] | {"decoder": decoder}, device)
            n_steps = steps
            if device.type == "cpu":
                n_steps = min(steps, 5)
            found[device.type, decoder] = seconds, _ = step_times(run, n_steps)
            print(f"{name}_{decoder}_step_{device.type}_ms: {1e3 * seconds:.3f}", flush=True)
        network = found[device.type, "none"][0]
        for decoder in DECODERS[1:]:
            share = found[device.type, decoder][0] / network - 1
            print(f"{name}_{decoder}_physics_over_network_{device.type}: {share:.2f}")
    if len(devices) < 2:
        return
    for decoder in DECODERS:
        host, other = (found[device.type, decoder][1] for device in devices)
        apart = max(abs(other[key] / host[key] - 1) for key in host)
        print(f"{name}_{decoder}_loss_cuda_over_cpu_minus_1: {apart:.1e}")
        ratio = found["cpu", decoder][0] / found["cuda", decoder][0]
        print(f"{name}_{decoder}_cpu_over_cuda: {ratio:.1f}", flush=True)


def whole_training(name: str, decoder: str, device: torch.device, steps: int) -> None:
    """Wall-clock time of steps with the drawing of their batches, and of the last score."""
    settings = SETTINGS[name] | {"decoder": decoder, "steps": steps, "validate_every": steps}
    run = new_run(settings, device)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        scores = train(run, Path(folder), lambda step, losses: None)
    seconds = time.perf_counter() - start
    print(f"{name}_{decoder}_training_{device.type}_ms_per_step: {1e3 * seconds / steps:.3f}")
    print(f"{name}_{decoder}_training_{device.type}_score: {scores['score']:.3f}", flush=True)


def kernel_error(sequence: PulseSequence, device: torch.device) -> None:
    """Largest error of the kernel with all orders that count, relative to each fingerprint."""
    random = np.random.default_rng(0)
    t1 = np.exp(random.uniform(np.log(0.1), np.log(4.0), 500))
    t2 = t1 * np.exp(random.uniform(np.log(0.05), 0, 500))
    exact = simulate(sequence, Tissue(t1, t2), tolerance=1e-6).signal
    columns = [torch.tensor(x, dtype=torch.float32, device=device) for x in (t1, t2)]
    found, _ = simulate_on_device(sequence, *columns, None, orders=500, with_derivatives=False)
    x = (1j * exact).real
    error = np.linalg.norm(found.cpu().numpy() - x, axis=1) / np.linalg.norm(x, axis=1)
    print(f"kernel_error_{sequence.name}_500_orders: {error.max():.1e}", flush=True)


def kernel_rates(
    sequence: PulseSequence, device: torch.device, n_voxels: int, *, with_derivatives: bool
) -> None:
    """Tissue-repetitions per second with 32 orders, for several layouts of the work."""
    random = torch.Generator().manual_seed(0)
    t1 = (0.1 + 3 * torch.rand(n_voxels, generator=random)).to(device)
    t2 = t1 * (0.05 + 0.5 * torch.rand(n_voxels, generator=random)).to(device)
    label = sequence.name + "_derivatives" * with_derivatives
    rates = {}
    for tiling in TILINGS:
        times = []
        for _ in range(4):
            _wait_for(device)
            start = time.perf_counter()
            simulate_on_device(
                sequence,
                *(t1, t2, None),
                orders=ORDERS,
                with_derivatives=with_derivatives,
                tiling=tiling,
            )
            _wait_for(device)
            times.append(time.perf_counter() - start)
        rates[tiling] = n_voxels * len(sequence) / min(times[1:])
        print(f"# {label} {tiling}: {rates[tiling] / 1e9:.2f} G tissue-repetitions/s", flush=True)
    best = max(rates, key=lambda tiling: rates[tiling])
    print(f"kernel_{label}_giga_tissue_repetitions_per_s: {rates[best] / 1e9:.2f}", flush=True)


def constant(sequence: PulseSequence) -> PulseSequence:
    """The same train with one TR and one TE, as the figure to compare with has it."""
    n = len(sequence)
    return replace(sequence, tr=np.full(n, 0.012), te=np.full(n, 0.003), name="fisp_one_tr")


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _devices() -> list[torch.device]:
    if torch.cuda.is_available():
        return [torch.device("cpu"), torch.device("cuda")]
    return [torch.device("cpu")]


def measure_kernel(device: torch.device, n_voxels: int) -> None:
    sequence = read_sequence("fisp")
    if not serves(sequence, device, 0.0):
        print("# no CUDA device with Triton: no rate of the kernel")
        return
    kernel_error(sequence, device)
    for each in (constant(sequence), sequence):
        for with_derivatives in (False, True):
            kernel_rates(each, device, n_voxels, with_derivatives=with_derivatives)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--voxels", type=int, default=1 << 19)
    parser.add_argument("--training-steps", type=int, default=500)
    parser.add_argument("--names", nargs="*", default=list(SETTINGS))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    devices = _devices()
    print(f"processors: {usable_processors()}")
    if len(devices) > 1:
        print(f"device: {torch.cuda.get_device_name()}, torch {torch.__version__}")
    measure_kernel(devices[-1], options.voxels)
    for name in options.names:
        compare_devices(name, devices, options.steps)
    for name in options.names:
        for decoder in ("table", "bloch"):
            whole_training(name, decoder, devices[-1], options.training_steps)


if __name__ == "__main__":
    main()
