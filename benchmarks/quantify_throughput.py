"""How many voxels per second: our model and our matching, beside dictionary matching as others do
it, and two limits.

Run by `make bench-quantify`. FISP, 1000 repetitions, 100,000 entries, SNR 20. The contenders take
turns in rounds, in one thread; processor times are medians over the rounds, ratios medians of the
ratios within a round, so that other load on the machine hurts all alike. With a file, one thread
reads while others compute: wall-clock time, the best of the rounds, since other load only adds to
it; and the processor time of each thread: where both have a processor to themselves, the busier one
sets the pace. The last lines are `name: value`.

The other matchers have it easy. Their entries and voxels are real numbers, as if the phase of every
voxel were known: a quarter of the arithmetic. At rank 10 their voxels, and those of our matching,
are compressed beforehand. Our model gets complex voxels of any phase in full length.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import quantify_limits as limits
import quantify_peers as peers
from quantify_scene import RANK, make_scene, noisy, tissues

from mrftool.environment.shipped import shipped_file
from mrftool.environment.threads import one_blas_thread, usable_processors
from mrftool.exporting.make import make_model
from mrftool.formats.nifti.read import open_series
from mrftool.formats.nifti.write import write_series
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.grid import Placement
from mrftool.inference.quantify import quantify
from mrftool.inference.session import BATCH, Model, load_model, run
from mrftool.matching.clusters import build_matcher
from mrftool.matching.nearest import match
from mrftool.scan.series import c_order

SHAPE = (64, 64, 8)


def the_models(sequence):
    """{name: model}: the shipped one, if there is one, and one that searches its table instead of
    asking a network.
    """
    proto, manifest = make_model(sequence, check=False)
    models = {"quantify, no encoder": Model(Path("fisp.onnx"), manifest, proto.SerializeToString())}
    path = shipped_file("models", "fisp.onnx")
    return models if path is None else {"quantify": load_model(path)} | models


def matchers(scene, few):
    """{name: (call, voxels)}: the slowest gets `few` voxels."""
    full, small = (scene.entries, scene.turned), (scene.small, scene.small_turned)
    tree = build_matcher(scene.small.astype(float))
    found = {"match": (lambda: match(tree, scene.many)[0], len(scene.many))}
    for label, make in (("BLAS", peers.blas), ("torchsim", peers.torchsim), ("mrpro", peers.mrpro)):
        try:
            found[f"{label}, full length"] = (make(full[0], full[1][:few]), few)
            found[f"{label}, rank {RANK}"] = (
                make(small[0], small[1][: 16 * few]),
                min(16 * few, len(small[1])),
            )
        except ImportError as error:
            say(f"left out: {error}")
    found[f"BLAS, rank {RANK}, tiles in cache"] = (
        peers.blas(*small, tile=(512, 512)),
        len(small[1]),
    )
    if f"torchsim, rank {RANK}" in found:
        found[f"torchsim, rank {RANK}, groups"] = (
            peers.torchsim(*small, groups=280),
            len(small[1]),
        )
    return found


def write_scan(sequence, folder):
    signal = noisy(sequence, tissues(4096, 3))
    blocks = (
        (c_order(np.arange(k, k + 4096), SHAPE), signal)
        for k in range(0, int(np.prod(SHAPE)), 4096)
    )
    (path,) = write_series(
        Path(folder, "scan.nii"), SHAPE, Placement(np.eye(4)), len(sequence), blocks
    )
    return open_series(path)


def on_file(series, models):
    """{name: (call, voxels)}: what reads a file, alone and with each model."""

    def read():
        for _ in series.blocks():
            pass

    calls = {"read": read} | {
        f"read and {name}, {words}": partial(quantify, series, model, threads=count)
        for name, model in models.items()
        for words, count in (("1 thread", 1), ("all threads", usable_processors()))
    }
    return {name: (call, series.n_voxels) for name, call in calls.items()}


def of_each_thread(series, model, rounds):
    """Seconds of processor time per voxel `(round, 2)` of the thread that reads and of the one that
    computes.
    """
    spent = [0.0]

    def read(positions):
        start = time.thread_time()
        signal = series.read(positions)
        spent[0] += time.thread_time() - start
        return signal

    def both():
        start, spent[0] = time.process_time(), 0.0
        quantify(replace(series, read=read), model, threads=1)
        return spent[0], time.process_time() - start - spent[0]

    return np.array([both() for _ in range(rounds)]) / series.n_voxels


def measured(contenders, rounds):
    """Seconds per voxel `(round, 2)` of each contender, of processor and wall clock, after one call
    to warm up.
    """
    times = {name: [] for name in contenders}
    for call, _ in contenders.values():
        call()
    for _ in range(rounds):
        for name, (call, voxels) in contenders.items():
            cpu, wall = time.process_time(), time.perf_counter()
            call()
            times[name].append(
                ((time.process_time() - cpu) / voxels, (time.perf_counter() - wall) / voxels)
            )
    return {name: np.array(values) for name, values in times.items()}


def rates(cpu, file):
    """The table on stdout, and the figures that follow from it. cpu `(round,)`, file `(round, 2)`
    by contender.
    """
    per_cpu = {name: 1 / np.median(times) for name, times in cpu.items()}
    per_cpu |= {name: 1 / np.median(times[:, 0]) for name, times in file.items()}
    per_wall = {name: 1 / times[:, 1].min() for name, times in file.items()}
    say(f"\n{'voxels per second of':44s} {'processor':>12s} {'wall clock':>12s}")
    for name, value in per_cpu.items():
        say(f"{name:44s} {value:12.0f}" + (f" {per_wall[name]:12.0f}" if name in per_wall else ""))
    figures = {f"{key(name)}_voxels_per_cpu_s": value for name, value in per_cpu.items()}
    figures |= {f"{key(name)}_voxels_per_s": value for name, value in per_wall.items()}
    ours = [name for name in cpu if name.startswith("quantify")]
    others = [name for name in cpu if name not in (*ours, "match")]
    figures |= {
        f"{key(us)}_over_{key(name)}": np.median(cpu[name] / cpu[us])
        for us in ours
        for name in others
    }
    figures |= {
        f"match_over_{key(name)}": np.median(cpu[name] / cpu["match"])
        for name in others
        if "rank" in name
    }
    return figures | {"match_cpu_s_per_100000_voxels": 1e5 * np.median(cpu["match"])}


def shares(name, model, peak, times, file, threads):
    """What a model reaches of the matrix peak [flop/s], and with a file of the slower of that and
    reading.

    times `(round,)`: of the model. file: see `rates`. threads: see `of_each_thread`.
    """
    operations = limits.operations(model)
    limit = peak / sum(operations)
    reading, computing = np.median(threads, axis=0)
    figures = {
        "graph_kflop_per_voxel": sum(operations) / 1e3,
        "of_which_products": operations[0] / 1e3,
        "arithmetic_limit_voxels_per_s": limit,
        "share_of_arithmetic_limit": 1 / np.median(times) / limit,
        "reading_thread_cpu_us_per_voxel": 1e6 * reading,
        "computing_thread_cpu_us_per_voxel": 1e6 * computing,
        "share_of_slower_limit_by_the_busier_thread": 1
        / np.median(threads.max(axis=1))
        / min(1 / reading, limit),
    }
    for words, count in (("1 thread", 1), ("all threads", usable_processors())):
        read, both = (1 / file[what][:, 1].min() for what in ("read", f"read and {name}, {words}"))
        figures[f"share_of_slower_limit_{key(words)}"] = both / min(read, count * limit)
    return {f"{key(name)}_{what}": value for what, value in figures.items()}


def accuracy(scene, models, contenders):
    """Indices against a float64 search over the compressed entries; errors of T1 and T2."""
    say("\nshare of indices that a float64 search over all compressed entries gives")
    exact, figures = scene.small.astype(float), {}
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    for name, (call, _) in contenders.items():
        if name == "match" or "rank" in name:
            index = call()[:1000]
            voxels = (scene.many if name == "match" else scene.small_turned)[: len(index)].astype(
                complex
            )
            share = np.mean(index == abs(voxels @ exact.T).argmax(axis=1))
            say(f"{name:44s} {share:12.4f}")
            figures[f"{key(name)}_index_equal"] = share
    found = {name: run(model, scene.signal[:4096], threads=1) for name, model in models.items()}
    pairs = {name: (maps["t1"], maps["t2"]) for name, maps in found.items()}
    for name in ("BLAS, full length", f"BLAS, rank {RANK}"):
        index = contenders[name][0]()
        pairs[name] = (scene.grid.t1[index], scene.grid.t2[index])
    say(f"\n{'root mean square error [%]':44s} {'T1':>12s} {'T2':>12s}")
    for name, pair in pairs.items():
        true = (scene.truth.t1, scene.truth.t2)
        both = [
            100 * np.sqrt(np.mean((x / y[: len(x)] - 1) ** 2))
            for x, y in zip(pair, true, strict=True)
        ]
        say(f"{name:44s} {both[0]:12.2f} {both[1]:12.2f}")
        figures |= {
            f"{key(name)}_{t}_rmse_percent": value
            for t, value in zip(("t1", "t2"), both, strict=True)
        }
    return figures


def sweep(model, signal, rounds):
    """Voxels per second for batch sizes and threads."""
    threads, batches = sorted({1, 2, usable_processors()}), [2**k for k in range(6, 13)]
    cases = {
        (b, t): (partial(run, model, signal, batch=b, threads=t), len(signal))
        for b in batches
        for t in threads
    }
    times = measured(cases, rounds)
    for k, what in enumerate(("processor", "wall clock")):
        say(f"\nvoxels per second of {what}, best of the rounds; threads {threads}")
        for batch in batches:
            say(
                f"batch {batch:5d}"
                + "".join(f"{1 / times[batch, t][:, k].min():12.0f}" for t in threads)
            )


def key(name):
    return name.lower().replace(", ", "_").replace(" ", "_")


def say(text=""):
    print(text, flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--few", type=int, default=256, help="voxels of the slowest contender")
    parser.add_argument("--sweep", action="store_true", help="batch sizes and threads too")
    parser.add_argument("--folder", default="/var/tmp", help="for a scan of 262 MB")
    options = parser.parse_args()
    sequence = read_sequence("fisp")
    models = the_models(sequence)
    for name, model in models.items():
        say(
            f"{name}: {model.manifest.name}, rank {model.manifest.rank}; batches of "
            f"{BATCH['complex']}"
        )
    with one_blas_thread(), tempfile.TemporaryDirectory(dir=options.folder) as folder:
        scene = make_scene(sequence)
        runs = {
            name: (partial(run, model, scene.signal, threads=1), len(scene.signal))
            for name, model in models.items()
        }
        contenders = runs | matchers(scene, options.few)
        products = {name: (call, 1) for name, call in limits.matrix_products().items()}
        cpu = {
            name: times[:, 0]
            for name, times in measured(contenders | products, options.rounds).items()
        }
        peak = 2 * limits.SIZE**3 / min(np.median(cpu.pop(name)) for name in products)
        series = write_scan(sequence, folder)
        file = measured(on_file(series, models), 3 * options.rounds)
        figures = rates(cpu, file) | {"matrix_peak_gflops": peak / 1e9}
        for name, model in models.items():
            threads = of_each_thread(series, model, options.rounds)
            figures |= shares(name, model, peak, cpu[name], file, threads)
        figures |= accuracy(scene, models, contenders)
        if options.sweep:
            sweep(next(iter(models.values())), scene.signal, options.rounds)
    say()
    for name, value in figures.items():
        say(f"{name}: {value:.4g}")


if __name__ == "__main__":
    main()
