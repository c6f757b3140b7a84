"""The EPG engine beside others: agreement with the double-precision oracle first, then paired CPU
times.

Run by `make bench-engine`. Every ratio is the median of paired runs, ours and theirs in turn, in
CPU time of one process with one thread; so other load on the machine hurts both alike. The last
lines are `name: value`.
"""

import argparse
import ctypes
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
from mrftool.physics import truncation
from mrftool.physics.epg import epg_signal
from mrftool.physics.simulate import signal_and_derivatives, simulate
from mrftool.sequence import Inversion, PulseSequence, Train
from mrftool.tissue import Tissue

HERE = Path(__file__).parent
VOXELS, LENGTH, TR = 1000, 1000, 0.012
TOLERANCE = 1e-5


def say(text=""):
    print(text, flush=True)


def trains():
    """The FISP train of Jiang 2015: constant TR, its own TR, and with quadratic RF phase."""
    flips, tr = (getattr(read_sequence("fisp"), key)[:LENGTH] for key in ("flip_angle", "tr"))
    zero = np.zeros(LENGTH)
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
    ours()
    pairs = [(cpu(theirs), min(cpu(ours) for _ in range(1))) for _ in range(runs)]
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


def speed(figures, runs):
    rows, tissue, play = [], tissues(VOXELS), trains()
    constant = play["constant"]

    def row(name, ours, theirs, key, n=runs):
        ratio, ours_ms, theirs_ms = paired(ours, theirs, n)
        rows.append(f"| {name} | {ours_ms:.2f} | {theirs_ms:.0f} | {ratio:.0f} |")
        say(rows[-1])
        if key:
            figures[key] = ratio

    say(
        "\n| work (1000 tissues x 1000 repetitions, one thread) | mrftool [ms] | peer [ms] | "
        "ratio |\n|---|---|---|---|"
    )
    few = tissue[:25]
    check = epg_signal(constant, few.t1, few.t2, n_states=20)
    for kind, key in (
        ("constant", "forward_k20"),
        ("variable", "variable_tr"),
        ("spoiled", "rf_spoiled"),
    ):
        sequence = play[kind]
        forward, _ = peers.torchsim(sequence, 20)
        assert nrmse(forward(few), epg_signal(sequence, few.t1, few.t2, n_states=20)) < 1e-4, kind
        work = lambda s=sequence: simulate(s, tissue, n_states=20, threads=1)  # noqa: E731
        row(
            f"forward, {sequence.name}, K = 20, torchsim",
            work,
            lambda f=forward: f(tissue),
            f"{key}_vs_torchsim",
        )
    forward, gradient = peers.torchsim(constant, 20)
    work = lambda: signal_and_derivatives(constant, tissue, n_states=20, threads=1)  # noqa: E731
    row(
        "forward + dT1, dT2, K = 20, torchsim",
        work,
        lambda: gradient(tissue),
        "gradient_vs_torchsim",
    )
    other, other_gradient = peers.mrpro(constant, 20)
    assert nrmse(other(few), check) < 1e-4
    row(
        "forward, K = 20, mrpro",
        lambda: simulate(constant, tissue, n_states=20, threads=1),
        lambda: other(tissue),
        "",
        3,
    )
    row("forward + dT1, dT2, K = 20, mrpro", work, lambda: other_gradient(tissue), "", 3)
    exact_speed(figures, row, constant, tissue, runs)


def exact_speed(figures, row, sequence, tissue, runs):
    """The same accuracy at every tissue, T2 up to 1 s; how many orders each engine needs is found
    by measurement.
    """
    hard = tissue[np.argsort(tissue.t2)[::-40]]
    exact = epg_signal(sequence, hard.t1, hard.t2)
    needed = states_for(lambda k: peers.torchsim(sequence, k)[0](hard), exact, range(160, 520, 32))
    loose = equal_accuracy(sequence, tissue)
    say(
        f"(1e-5 by measurement: torchsim with {needed} states, mrftool with a tolerance of "
        f"{loose:.0e}; else by proof)"
    )
    forward, _ = peers.torchsim(sequence, needed)
    same = lambda: simulate(sequence, tissue, tolerance=loose, threads=1)  # noqa: E731
    row(
        "forward, 1e-5 measured, torchsim",
        same,
        lambda: forward(tissue),
        "forward_exact_vs_torchsim",
    )
    proven = lambda: simulate(sequence, tissue, threads=1)  # noqa: E731
    row(
        "forward, 1e-5 proven, torchsim",
        proven,
        lambda: forward(tissue),
        "forward_proven_vs_torchsim",
    )
    pruned = peers.sycomore(sequence, 1e-6)
    some = tissue[:40]
    assert nrmse(pruned(some), epg_signal(sequence, some.t1, some.t2)) < 1e-3
    ours = 1e3 * float(np.median([cpu(same) for _ in range(runs)]))
    theirs = 1e3 * cpu(lambda: pruned(some)) * len(tissue) / len(some)
    say(
        f"| forward, 1e-5 measured, sycomore (pruned at 1e-6, {len(some)} tissues scaled) "
        f"| {ours:.2f} | {theirs:.0f} | {theirs / ours:.0f} |"
    )
    mine, other = (peak_memory_apart(engine, needed) for engine in ("mrftool", "torchsim"))
    say(
        f"(peak memory of one such run: mrftool {mine:.0f} MB, torchsim {other:.0f} MB; the "
        f"result takes 8 MB)"
    )
    orders = truncation.n_states(sequence, tissue.t1, tissue.t2, tolerance=loose)
    pick = np.arange(0, len(tissue), 50)
    loop = peers.python_loop(sequence, orders[pick])
    theirs = 1e3 * cpu(lambda: loop(tissue[pick])) * len(tissue) / len(pick)
    figures["forward_exact_vs_python_loop"] = theirs / ours
    say(
        f"| forward, same tolerance, one tissue at a time in numpy ({len(pick)} tissues scaled) "
        f"| {ours:.2f} | {theirs:.0f} | {theirs / ours:.0f} |"
    )


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
    figures["roofline_fraction_k100"] = float(np.median(rates)) / mix
    say(
        f"\npeak of one thread, {lanes} lanes each: {fma / 1e9:.2f} G multiply-adds/s, "
        f"{mix / 1e9:.2f} G/s of the mix"
    )
    say(
        f"kernel at K = 100: {np.median(rates) / 1e9:.2f} G/s, {np.median(rates) / fma:.2f} of "
        f"the multiply-add peak"
    )


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
    say(
        f"\n8000 tissues, 1e-5 proven: {walls[1]:.3f} s with one thread, {walls[2]:.3f} s with "
        f"two (wall, best)"
    )


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


def dictionary():
    """`mrftool simulate` of the paper's dictionary, and of a grid ten times larger (a tenth of the
    train).
    """
    with tempfile.TemporaryDirectory() as folder:
        simulated(
            Path(folder) / "paper.npz",
            ["--seq", "fisp"],
            "the paper's dictionary: 160,200 tissues x 1000",
        )
        short = Path(folder) / "short.yaml"
        flips = ", ".join(
            f"{flip:.3f}" for flip in np.rad2deg(read_sequence("fisp").flip_angle[:100])
        )
        short.write_text(
            f"mrftool_sequence: 1\nname: short\ntr_ms: 12\nte_ms: 3\nflip_angle_deg: [{flips}]\n"
        )
        grid = ["--seq", str(short), "--t1-ms", "1:1:4000", "--t2-ms", "1:4.9:2000"]
        simulated(Path(folder) / "large.npz", grid, "1.3 million tissues x 100")


def simulated(path, options, what):
    """Run the command in a small process of its own, which reports time and peak memory."""
    code = (
        "import resource, subprocess, sys, time; start = time.perf_counter(); "
        "subprocess.run(sys.argv[1:], check=True, "
        "stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL); used = "
        "resource.getrusage(resource.RUSAGE_CHILDREN); "
        "print(f'{time.perf_counter() - start:.1f} s wall, {used.ru_utime + used.ru_stime:.1f} s "
        "CPU, "
        "{used.ru_maxrss / 1024:.0f} MB at most')"
    )
    command = [
        sys.executable,
        "-c",
        code,
        Path(sys.executable).parent / "mrftool",
        "simulate",
        "-o",
        path,
        *options,
    ]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    say(f"{what}: {report}, file of {path.stat().st_size / 1e6:.0f} MB")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument(
        "--memory", nargs=2, metavar=("ENGINE", "STATES"), help="print only the memory of one run"
    )
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
    say()
    dictionary()
    say()
    for name, value in figures.items():
        say(f"{name}: {value:.2e}" if name == "max_nrmse" else f"{name}: {value:.2f}")


if __name__ == "__main__":
    main()
