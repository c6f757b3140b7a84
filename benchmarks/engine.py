"""The EPG engine beside others: agreement with the double-precision oracle first, then paired CPU
times.

Run by `make bench-engine`. Every ratio is the median of paired runs, ours and theirs in turn, in
CPU time of one process with one thread; so other load on the machine hurts both alike. The last
lines are `name: value`.
"""

import argparse
import ctypes
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import engine_peers as peers
import numpy as np

from mrftool.environment.shipped import shipped_files
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.physics import kernel as native
from mrftool.physics.epg import epg_signal
from mrftool.physics.orders import truncation
from mrftool.physics.simulate import signal_and_derivatives, simulate
from mrftool.sequence import Inversion, PulseSequence, Train
from mrftool.tissue import Tissue

HERE = Path(__file__).parent
VOXELS, LENGTH, TR = 1000, 1000, 0.012
TOLERANCE = 1e-5
LEAST_FLIP = np.deg2rad(1.0)  # one pulse of exactly 0 degrees makes torchsim twice as slow


def say(text=""):
    print(text, flush=True)


def trains():
    """The FISP train of Jiang 2015: constant TR, its own TR, and with quadratic RF phase. Its 40
    pulses of 0 degrees are of 1 degree here, but for "published".
    """
    published, tr = (getattr(read_sequence("fisp"), key)[:LENGTH] for key in ("flip_angle", "tr"))
    flips, zero = np.maximum(published, LEAST_FLIP), np.zeros(LENGTH)
    phase = np.deg2rad(np.cumsum(np.arange(LENGTH) * 117.0) % 360)
    constant = np.full(LENGTH, TR)
    return {
        "constant": PulseSequence(
            flips, zero, constant, zero, Train(Inversion()).events, name="constant TR"
        ),
        "variable": PulseSequence(
            flips, zero, tr, zero, Train(Inversion()).events, name="variable TR"
        ),
        "spoiled": PulseSequence(
            flips, phase, constant, zero, Train(Inversion()).events, name="RF-spoiled"
        ),
        "published": PulseSequence(
            published, zero, constant, zero, Train(Inversion()).events, name="with flips of 0"
        ),
    }


def tissues(n, seed=0, b1=False):
    """T1 0.1 to 4 s, T2 10 ms to 1 s, both log-uniform, T2 < T1."""
    rng = np.random.default_rng(seed)
    t1, t2 = (
        np.exp(rng.uniform(np.log(0.1), np.log(4), 4 * n)),
        np.exp(rng.uniform(np.log(0.01), 0, 4 * n)),
    )
    keep = np.flatnonzero(t2 < t1)[:n]
    return Tissue(t1[keep], t2[keep], b1=rng.uniform(0.5, 1.5, n) if b1 else 1.0)


def nrmse(found, expected):
    """Largest relative distance of a row, up to one constant phase of all."""
    turn = np.vdot(found, expected)
    found = found * (turn / abs(turn))
    return float(
        (np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)).max()
    )


def cpu(work):
    start = time.process_time()
    work()
    return time.process_time() - start


def held(key):
    """A line of the process's memory [MB]."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))


def peak_memory(engine, n_states):
    """Memory [MB] that one forward run takes at most, the result included; in a process that ran a
    few before.
    """
    sequence, tissue = trains()["constant"], tissues(VOXELS)
    work = (
        peers.torchsim(sequence, n_states)[0]
        if engine == "torchsim"
        else lambda t: simulate(sequence, t, threads=1)
    )
    work(tissue[:5])
    before = held("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    work(tissue)
    return held("VmHWM") - before


def peak_memory_apart(engine, n_states):
    """`peak_memory` in a process of its own."""
    command = [sys.executable, __file__, "--memory", engine, str(n_states)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def paired(ours, theirs, runs):
    """Median ratio theirs / ours, and both median times [ms]."""
    ours(), theirs()
    pairs = [(cpu(theirs), cpu(ours)) for _ in range(runs)]
    theirs_ms, ours_ms = (1e3 * float(np.median(column)) for column in zip(*pairs, strict=True))
    return float(np.median([a / b for a, b in pairs])), ours_ms, theirs_ms


def states_for(measured, exact, ladder):
    """First number of states on the ladder whose result agrees with `exact` at every tissue."""
    return next(k for k in ladder if nrmse(measured(k), exact) < TOLERANCE)


def equal_accuracy(sequence, tissue):
    """The loosest tolerance on a ladder that still gives TOLERANCE at every tissue, by measurement.

    Against the kernel with all orders, which `accuracy` compares with the oracle.
    """
    exact = simulate(sequence, tissue, n_states=len(sequence)).signal.astype(np.complex128)
    ladder = 10.0 ** -np.arange(0.1, 5.2, 0.1)
    return next(
        t
        for t in ladder
        if nrmse(simulate(sequence, tissue, tolerance=t).signal, exact) < TOLERANCE
    )


def accuracy(figures):
    """A random set and every shipped train against the readable engine in double precision, no
    order cut off.
    """
    worst = 0.0
    files = [path for path in shipped_files("sequences") if path.suffix == ".yaml"]
    for sequence in [*trains().values(), *(read_sequence(str(path)) for path in files)]:
        tissue = tissues(12, seed=1, b1=True)
        found = simulate(sequence, tissue).signal
        error = nrmse(found, epg_signal(sequence, tissue.t1, tissue.t2, b1=tissue.b1))
        say(
            f"  {sequence.name:16s} {len(sequence):5d} repetitions, {len(tissue)} tissues: NRMSE "
            f"{error:.1e}"
        )
        worst = max(worst, error)
    sequence = read_sequence("fisp")
    short = PulseSequence(
        *(getattr(sequence, k)[:300] for k in ("flip_angle", "rf_phase", "tr", "te")),
        Train(Inversion()).events,
    )
    tissue = tissues(10_000, seed=2, b1=True)
    exact = np.concatenate([epg_signal(short, t.t1, t.t2, b1=t.b1) for t in tissue.chunks(100)])
    error = nrmse(simulate(short, tissue).signal, exact)
    say(f"  first 300 of fisp, 10,000 random T1, T2, B1: NRMSE {error:.1e}")
    figures["max_nrmse"] = max(worst, error)


class Table:
    """Rows of paired times, printed as they come and kept as figures."""

    def __init__(self, figures, runs):
        self.figures, self.runs = figures, runs
        say(
            "\n| work (1000 tissues x 1000 repetitions, one thread) | mrftool [ms] | peer [ms] | "
            "ratio |\n|---|---|---|---|"
        )

    def row(self, name, key, ours, theirs, runs=None):
        """Time both in turn."""
        self.add(name, key, *paired(ours, theirs, runs or self.runs))

    def add(self, name, key, ratio, ours_ms, theirs_ms):
        say(f"| {name} | {ours_ms:.2f} | {theirs_ms:.0f} | {ratio:.0f} |")
        self.figures[f"{key}_ms"] = ours_ms
        self.figures[f"{key}_peer_ms"] = theirs_ms
        self.figures[f"{key}_ratio"] = ratio


def speed(figures, runs):
    table, tissue, play = Table(figures, runs), tissues(VOXELS), trains()
    for kind in ("constant", "variable", "spoiled", "published"):
        forward_speed(table, kind, play[kind], tissue)
    gradient_speed(table, play["constant"], tissue)
    exact_speed(table, play["constant"], tissue)


def forward_speed(table, kind, sequence, tissue):
    """20 orders, beside torchsim."""
    few = tissue[:25]
    forward, _ = peers.torchsim(sequence, 20)
    assert nrmse(forward(few), epg_signal(sequence, few.t1, few.t2, n_states=20)) < 1e-4, kind
    table.row(
        f"forward, {sequence.name}, K = 20, torchsim",
        f"forward_k20_{kind}_torchsim",
        lambda: simulate(sequence, tissue, n_states=20, threads=1),
        lambda: forward(tissue),
    )


def gradient_speed(table, sequence, tissue):
    """Derivatives by T1 and T2 with 20 orders, beside torchsim, and all by mrpro."""
    few = tissue[:25]
    gradient = peers.torchsim(sequence, 20)[1]
    other, other_gradient = peers.mrpro(sequence, 20)
    assert nrmse(other(few), epg_signal(sequence, few.t1, few.t2, n_states=20)) < 1e-4
    plain = lambda: simulate(sequence, tissue, n_states=20, threads=1)  # noqa: E731
    ours = lambda: signal_and_derivatives(sequence, tissue, n_states=20, threads=1)  # noqa: E731
    name = "forward + dT1, dT2, K = 20"
    table.row(f"{name}, torchsim", "gradient_k20_torchsim", ours, lambda: gradient(tissue))
    table.row("forward, K = 20, mrpro", "forward_k20_mrpro", plain, lambda: other(tissue), 3)
    table.row(f"{name}, mrpro", "gradient_k20_mrpro", ours, lambda: other_gradient(tissue), 3)


def exact_speed(table, sequence, tissue):
    """The same accuracy at every tissue, T2 up to 1 s; how many orders torchsim needs is found by
    measurement.
    """
    hard = tissue[np.argsort(tissue.t2)[::-40]]
    exact = epg_signal(sequence, hard.t1, hard.t2)
    needed = states_for(lambda k: peers.torchsim(sequence, k)[0](hard), exact, range(160, 520, 32))
    loose = equal_accuracy(sequence, tissue)
    table.figures["torchsim_states_for_1e-5"] = needed
    table.figures["mrftool_tolerance_for_1e-5"] = loose
    forward, _ = peers.torchsim(sequence, needed)
    default = lambda: simulate(sequence, tissue, threads=1)  # noqa: E731
    same = lambda: simulate(sequence, tissue, tolerance=loose, threads=1)  # noqa: E731
    theirs = lambda: forward(tissue)  # noqa: E731
    table.row("forward, default accuracy, torchsim", "forward_default_torchsim", default, theirs)
    table.row("forward, 1e-5 by measurement, torchsim", "forward_exact_torchsim", same, theirs)
    ours = 1e3 * float(np.median([cpu(same) for _ in range(table.runs)]))
    one_at_a_time(table, sequence, tissue, loose, ours)
    for engine in ("mrftool", "torchsim"):
        table.figures[f"peak_memory_{engine}_mb"] = peak_memory_apart(engine, needed)


def one_at_a_time(table, sequence, tissue, tolerance, ours):
    """Some tissues by sycomore and by a loop in numpy, scaled to all."""
    pruned, some = peers.sycomore(sequence, 1e-6), tissue[:40]
    assert nrmse(pruned(some), epg_signal(sequence, some.t1, some.t2)) < 1e-3
    scaled(table, "sycomore, pruned at 1e-6", "sycomore", pruned, some, ours)
    orders = truncation.n_states(sequence, tissue.t1, tissue.t2, tolerance=tolerance)
    pick = np.arange(0, len(tissue), 50)
    loop = peers.python_loop(sequence, orders[pick])
    scaled(table, "one tissue at a time in numpy", "python_loop", loop, tissue[pick], ours)


def scaled(table, name, key, work, some, ours):
    theirs = 1e3 * cpu(lambda: work(some)) * VOXELS / len(some)
    row = f"forward, 1e-5 by measurement, {name} ({len(some)} tissues scaled)"
    table.add(row, f"forward_exact_{key}", theirs / ours, ours, theirs)


def peaks():
    """Instructions per second that this processor can do: multiply-adds alone, and the kernel's
    mix; lanes.
    """
    flags = (
        ["-mavx512f"]
        if native.widest() == "avx512"
        else ["-mavx2", "-mfma"]
        if native.widest() == "avx2"
        else []
    )
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "peak.so"
        command = [
            "cc",
            "-O2",
            "-ffp-contract=fast",
            *flags,
            "-shared",
            "-fPIC",
            "-o",
            library,
            HERE / "peak.c",
        ]
        subprocess.run(command, check=True)
        loaded = ctypes.CDLL(str(library))
        loaded.peak.restype = ctypes.c_double
        return *(max(loaded.peak(mix) for _ in range(5)) for mix in (0, 1)), loaded.lanes()


def roofline(figures):
    """Share of the peak at K = 100: seven instructions per order, repetition and register of
    tissues.
    """
    sequence, tissue, k = trains()["constant"], tissues(VOXELS), 100
    fma, mix, lanes = peaks()
    orders = np.minimum(np.minimum(np.arange(LENGTH) + 1, LENGTH - np.arange(LENGTH)), k).sum()
    signal = np.empty((VOXELS, LENGTH), np.float32)
    task = native.Run(sequence, tissue, np.full(VOXELS, k), is_complex=False, threads=1)
    rates = [
        7 * orders * -(-VOXELS // lanes) / cpu(lambda: native.run(task, signal, {}))
        for _ in range(15)
    ]
    figures["lanes"] = lanes
    figures["peak_multiply_adds_g_per_s"] = fma / 1e9
    figures["peak_mix_g_per_s"] = mix / 1e9
    figures["kernel_k100_g_per_s"] = float(np.median(rates)) / 1e9
    figures["roofline_fraction_k100"] = float(np.median(rates)) / mix


def threads(figures):
    """How evenly two threads share the work: CPU time of one thread over that of the busier of two.

    On a quiet machine that is the speed-up; the wall times, which other load spoils, are printed
    beside it.
    """
    sequence, tissue = trains()["constant"], tissues(8000)
    signal = np.empty((len(tissue), LENGTH), np.complex64)
    orders = truncation.n_states(sequence, tissue.t1, tissue.t2, tolerance=TOLERANCE)
    ratios, walls = [], {1: np.inf, 2: np.inf}
    for _ in range(7):
        busiest = {}
        for n in (1, 2):
            start = time.perf_counter()
            busiest[n] = max(
                thread_times(
                    lambda n=n: native.run(
                        native.Run(sequence, tissue, orders, threads=n), signal, {}
                    )
                )
            )
            walls[n] = min(walls[n], time.perf_counter() - start)
        ratios.append(busiest[1] / busiest[2])
    figures["two_threads_speedup"] = float(np.median(ratios))
    figures["two_threads_speedup_by_the_wall_clock"] = walls[1] / walls[2]


def thread_times(work):
    """CPU time [s] that each thread spent in the kernel while `work` ran."""
    spent, library = {}, native._library()
    call = library.epg_run

    def timed(job, width):
        start = time.thread_time()
        code = call(job, width)
        me = threading.get_ident()
        spent[me] = spent.get(me, 0.0) + time.thread_time() - start
        return code

    library.epg_run = timed
    try:
        work()
    finally:
        library.epg_run = call
    return list(spent.values())


def dictionary(figures):
    """`mrftool simulate` of the paper's dictionary, and of a grid ten times larger (a tenth of the
    train).
    """
    with tempfile.TemporaryDirectory() as folder:
        paper = simulated(Path(folder) / "paper.npz", ["--seq", "fisp"])
        short = Path(folder) / "short.yaml"
        flips = ", ".join(
            f"{flip:.3f}" for flip in np.rad2deg(read_sequence("fisp").flip_angle[:100])
        )
        short.write_text(
            f"mrftool_sequence: 1\nname: short\ntr_ms: 12\nte_ms: 3\nflip_angle_deg: [{flips}]\n"
        )
        grid = ["--seq", str(short), "--t1-ms", "1:1:4000", "--t2-ms", "1:4.9:2000"]
        large = simulated(Path(folder) / "large.npz", grid)
    for name, found in (("160200_x_1000", paper), ("1300000_x_100", large)):
        for key, value in found.items():
            figures[f"dictionary_{name}_{key}"] = value


def simulated(path, options):
    """What the command takes in a small process of its own."""
    code = (
        "import json, resource, subprocess, sys, time; start = time.perf_counter(); "
        "subprocess.run(sys.argv[1:], check=True, "
        "stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL); used = "
        "resource.getrusage(resource.RUSAGE_CHILDREN); print(json.dumps({"
        "'wall_s': time.perf_counter() - start, 'processor_s': used.ru_utime + used.ru_stime, "
        "'memory_mb': used.ru_maxrss / 1024}))"
    )
    program = Path(sys.executable).parent / "mrftool"
    command = [sys.executable, "-c", code, program, "simulate", "-o", path, *options]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(report) | {"file_mb": path.stat().st_size / 1e6}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument(
        "--memory", nargs=2, metavar=("ENGINE", "STATES"), help="print only the memory of one run"
    )
    parser.add_argument("--no-dictionary", action="store_true", help="without `mrftool simulate`")
    options = parser.parse_args()
    if options.memory:
        print(peak_memory(options.memory[0], int(options.memory[1])))
        return
    runs = options.runs
    figures = {}
    say("agreement with the readable engine in double precision, no order cut off:")
    accuracy(figures)
    speed(figures, runs)
    roofline(figures)
    threads(figures)
    if not options.no_dictionary:
        dictionary(figures)
    say()
    for name, value in figures.items():
        say(f"{name}: {value:.3g}")


if __name__ == "__main__":
    main()
