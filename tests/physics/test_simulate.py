"""The front door: its options, what it refuses, and that both engines stand behind it."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from bloch_oracle import bloch_signal
from random_sequences import random_sequence, random_tissue

from mrftool.errors import MismatchError, UsageError
from mrftool.physics import kernel as native
from mrftool.physics import simulate as front_door
from mrftool.physics.epg import epg_signal, exact_n_states
from mrftool.physics.orders.truncation import n_states, transverse_time
from mrftool.physics.simulate import (
    fill_real_signal,
    has_real_signal,
    signal_and_derivatives,
    simulate,
    simulate_blocks,
)
from mrftool.sequence import Inversion, PulseSequence, SliceProfile, Train
from mrftool.tissue import Tissue

needs_kernel = pytest.mark.skipif(
    not native.is_available(), reason="installed without the native kernel"
)


@pytest.fixture(params=["native", "reference"])
def engine(request, monkeypatch):
    """Both engines in turn."""
    if request.param == "reference":
        monkeypatch.setenv("MRFTOOL_ENGINE", "reference")
    elif not native.is_available():
        pytest.skip("installed without the native kernel")
    return request.param


@pytest.fixture
def tissue():
    return Tissue(
        np.array([0.8, 1.4, 0.3]),
        np.array([0.05, 0.11, 0.09]),
        b1=np.array([1.0, 0.8, 1.2]),
        m0=1 - 2j,
    )


def random_times(seed, n):
    rng = np.random.default_rng(seed)
    t1 = np.exp(rng.uniform(np.log(0.05), np.log(4.0), n))
    return t1, np.minimum(np.exp(rng.uniform(np.log(0.002), np.log(2.0), n)), t1)


def test_fingerprints_are_those_of_isochromats(engine, short_sequence, tissue):
    found = simulate(short_sequence, tissue)
    expected = [
        bloch_signal(short_sequence, tissue.t1[v], tissue.t2[v], b1=tissue.b1[v], m0=1 - 2j)
        for v in range(3)
    ]
    error = np.linalg.norm(found.signal - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert error.max() < 1e-5
    assert found.sequence_id == short_sequence.sequence_id


def test_blocks_are_the_whole_in_order(engine, short_sequence):
    tissue = Tissue(*random_times(0, 50))
    whole = simulate(short_sequence, tissue, n_states=6).signal
    blocks = list(simulate_blocks(short_sequence, tissue, block=16, n_states=6))
    assert [len(block) for block in blocks] == [16, 16, 16, 2]
    assert np.abs(np.concatenate(blocks) - whole).max() < 1e-6


def test_progress_counts_every_voxel(engine, short_sequence):
    reports = []
    simulate(short_sequence, Tissue(*random_times(0, 40)), progress=reports.append)
    assert sum(reports) == 40


def test_derivatives_come_in_the_order_asked(engine, short_sequence, tissue):
    signal, slopes = signal_and_derivatives(short_sequence, tissue, with_respect_to=("b1", "t1"))
    _, times = signal_and_derivatives(short_sequence, tissue, with_respect_to=("t1", "t2"))
    assert np.abs(slopes[1] - times[0]).max() < 1e-5
    step = 1e-3
    more = simulate(
        short_sequence, Tissue(tissue.t1, tissue.t2, tissue.b1 + step, tissue.m0)
    ).signal
    assert np.abs((more - signal) / step - slopes[0]).max() < 2e-2 * np.abs(slopes[0]).max()


def test_n_states_and_tolerance_matter(engine):
    n = 60
    sequence = PulseSequence(
        np.full(n, 0.9), np.zeros(n), np.full(n, 0.01), np.zeros(n), Train(Inversion()).events
    )
    tissue = Tissue(1.0, 0.1)
    exact = epg_signal(sequence, tissue.t1, tissue.t2)
    norm = np.linalg.norm(exact)
    errors = [
        np.linalg.norm(simulate(sequence, tissue, n_states=k).signal - exact) / norm
        for k in (2, 6, 30)
    ]
    assert errors[0] > 2 * errors[1] > 1e-3 > 1e-5 > errors[2]
    tissue = Tissue(1.0, 0.04)
    exact = epg_signal(sequence, tissue.t1, tissue.t2)
    norm = np.linalg.norm(exact)
    loose, tight = (
        np.linalg.norm(simulate(sequence, tissue, tolerance=x).signal - exact) for x in (0.9, 1e-5)
    )
    assert 0.9 * norm > loose > 3e-5 * norm
    assert tight < 1e-5 * norm


@pytest.mark.parametrize("tolerance", [1e-2, 1e-4])
@pytest.mark.parametrize("seed", range(12))
def test_no_cut_changes_more_than_the_bound_says(seed, tolerance):
    """In double precision, over trains of every kind, and flip angles small and large."""
    sequence = random_sequence(seed, pulses=30)
    columns = random_tissue(seed, voxels=6)
    exact = epg_signal(sequence, **columns)
    level = np.sqrt((np.abs(exact) ** 2).mean(1)) / np.abs(columns["m0"])
    orders = n_states(sequence, columns["t1"], columns["t2"], tolerance=tolerance, level=level)
    for v, order in enumerate(orders):
        voxel = {key: x[v : v + 1] for key, x in columns.items()}
        error = np.linalg.norm(epg_signal(sequence, **voxel, n_states=int(order)) - exact[v])
        assert error <= tolerance * np.linalg.norm(exact[v]) + 1e-12


def test_the_bound_is_felt_and_is_not_far_off():
    """Equal pulses reach high orders: with a fourth of the proven number of orders the tolerance is
    missed.
    """
    n = 200
    sequence = PulseSequence(
        np.full(n, 1.2), np.zeros(n), np.full(n, 0.01), np.zeros(n), Train(Inversion()).events
    )
    t1, t2 = np.array([2.0]), np.array([0.15])
    exact = epg_signal(sequence, t1, t2)
    level = np.sqrt((np.abs(exact) ** 2).mean(1))
    order = int(n_states(sequence, t1, t2, tolerance=1e-3, level=level)[0])
    assert order < exact_n_states(sequence)
    assert np.linalg.norm(
        epg_signal(sequence, t1, t2, n_states=order) - exact
    ) < 1e-3 * np.linalg.norm(exact)
    cut = epg_signal(sequence, t1, t2, n_states=order // 4)
    assert np.linalg.norm(cut - exact) > 1e-3 * np.linalg.norm(exact)


def test_more_is_kept_for_longer_t2_tighter_tolerance_weaker_signal_and_derivatives():
    n = 300
    sequence = PulseSequence(np.full(n, 0.9), np.zeros(n), np.full(n, 0.01), np.zeros(n))
    times = np.array([1.0]), np.array([0.08])
    base = n_states(sequence, *times, tolerance=1e-4)[0]
    assert n_states(sequence, times[0], 2 * times[1], tolerance=1e-4)[0] > base
    assert n_states(sequence, *times, tolerance=1e-6)[0] > base
    assert n_states(sequence, *times, tolerance=1e-4, level=1e-3)[0] > base
    assert n_states(sequence, *times, tolerance=1e-4, with_derivative=True)[0] > base
    slower = PulseSequence(np.full(n, 0.9), np.zeros(n), np.full(n, 0.02), np.zeros(n))
    assert n_states(slower, *times, tolerance=1e-4)[0] < base


def test_weak_fingerprints_are_run_again_with_more_orders(engine, monkeypatch):
    """Small flip angles give a signal far below the level that the first choice assumes."""
    n = 120
    flips = np.where(np.arange(n) == 0, 3.0, 0.002)
    sequence = PulseSequence(flips, np.zeros(n), np.full(n, 0.01), np.full(n, 0.005))
    tissue = Tissue(3.0, np.array([0.02, 0.5]))
    exact = epg_signal(sequence, tissue.t1, tissue.t2)
    used, run = [], front_door._run
    monkeypatch.setattr(front_door, "_run", lambda *task: used.append(task[2]) or run(*task))
    found, slopes = signal_and_derivatives(sequence, tissue, with_respect_to=("t2",))
    level = np.sqrt((np.abs(exact) ** 2).mean(1))
    options = {"tolerance": 1e-5, "with_derivative": True}
    assert used[0].tolist() == n_states(sequence, tissue.t1, tissue.t2, **options).tolist()
    assert (
        used[1].tolist()
        == n_states(sequence, tissue.t1, tissue.t2, level=level, **options)[:1].tolist()
    )
    assert (np.linalg.norm(found - exact, axis=1) < 1e-5 * np.linalg.norm(exact, axis=1)).all()
    step = 1e-6 * tissue.t2
    expected = (epg_signal(sequence, tissue.t1, tissue.t2 + step) - exact) / step[:, None]
    error = np.linalg.norm(slopes[0] - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert (error < 1e-4).all()


@pytest.mark.parametrize("with_derivative", [False, True])
@pytest.mark.parametrize("log_ratio", [2.0, 6.0, 16.0])
def test_the_time_of_the_bound_meets_it_and_hardly_more(log_ratio, with_derivative):
    """max(1, tau/T1) exp(-T/T2 + T/tau) at its best tau, found here by search; times e T/T2 for the
    derivative.
    """
    t1, t2 = random_times(1, 200)
    time = transverse_time(t1, t2, log_ratio, with_derivative=with_derivative)

    def log_bound(time):
        tau = t2 * np.geomspace(1, 1e5, 20_000)[:, None]
        best = (np.log(np.maximum(1, tau / t1)) + time / tau - time / t2).min(0)
        return best + (1 + np.log(time / t2) if with_derivative else 0)

    assert (log_bound(time) < -log_ratio + 1e-3).all()  # the search misses the best tau by that
    assert (log_bound(0.95 * time) > -log_ratio).all()


def test_the_orders_are_those_of_the_shortest_repetitions():
    """Twice K repetitions, the shortest of all trains, must last as long as the bound says, and no
    fewer.
    """
    rng = np.random.default_rng(0)
    tr = rng.uniform(0.005, 0.02, 80)
    sequence = PulseSequence(
        np.full(80, 0.5), np.zeros(80), tr, np.zeros(80), events=Train(repeats=2).events
    )
    t1, t2 = np.array([1.0, 2.0]), np.array([0.03, 0.05])
    orders = n_states(sequence, t1, t2, tolerance=1e-4, level=0.1)
    needed = transverse_time(t1, t2, np.log(2 * np.sqrt(2) / (1e-4 * 0.1)))
    shortest = np.sort(np.tile(tr, 2))
    for order, time in zip(orders, needed, strict=True):
        assert shortest[: 2 * order].sum() >= time > shortest[: 2 * order - 2].sum()
    profile = SliceProfile(np.array([1.0, 0.5]), np.array([1.5, -0.5]))
    sliced = dataclasses.replace(sequence, slice_profile=profile)
    assert (n_states(sliced, t1, t2, tolerance=2e-4, level=0.1) == orders).all()


@needs_kernel
def test_real_signal_needs_a_constant_phase(short_sequence, tissue):
    signal, slope = (np.empty((3, len(short_sequence)), np.float32) for _ in range(2))
    assert has_real_signal(short_sequence, tissue)
    fill_real_signal(short_sequence, tissue, signal, {"t2": slope})
    full, slopes = signal_and_derivatives(short_sequence, tissue, with_respect_to=("t2",))
    assert np.abs(full - -1j * (1 - 2j) * signal).max() < 1e-6
    assert np.abs(slopes[0] - -1j * (1 - 2j) * slope).max() < 1e-5
    turned = PulseSequence(
        short_sequence.flip_angle, np.linspace(0, 1, 40), short_sequence.tr, short_sequence.te
    )
    with pytest.raises(MismatchError, match="no constant phase"):
        fill_real_signal(turned, tissue, signal, {})
    with pytest.raises(MismatchError, match="contiguous float32"):
        fill_real_signal(short_sequence, tissue, signal[:, ::2], {})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": 0.0}, "tolerance"),
        ({"n_states": 0}, "0 states"),
        ({"threads": 0}, "0 threads"),
    ],
)
def test_impossible_options_are_refused(engine, short_sequence, tissue, options, message):
    with pytest.raises(UsageError, match=message):
        simulate(short_sequence, tissue, **options)


def test_diffusion_without_a_spoiler_is_refused(engine, short_sequence):
    with pytest.raises(MismatchError, match="spoiler waveform"):
        simulate(short_sequence, Tissue(1.0, 0.1, adc=1e-9))


def test_no_voxel_is_no_work(engine, short_sequence):
    assert simulate(short_sequence, Tissue(np.ones(2), np.ones(2))[:0]).signal.shape == (0, 40)


def test_without_the_library_the_readable_engine_serves_and_one_warning_says_so(
    short_sequence, tissue, monkeypatch
):
    expected = simulate(short_sequence, tissue).signal
    monkeypatch.delenv("MRFTOOL_ENGINE", raising=False)  # who asks for it hears no warning
    monkeypatch.setattr(native, "native_library", lambda *_: None)
    native._library.cache_clear()
    try:
        with pytest.warns(RuntimeWarning, match="without its native kernel") as warned:
            first = simulate(short_sequence, tissue).signal
            simulate(short_sequence, tissue)
        assert len(warned) == 1
    finally:
        native._library.cache_clear()
    assert np.abs(first - expected).max() < 1e-5


def test_a_simulation_imports_no_torch():
    code = (
        "import sys, numpy as np; from mrftool.physics.simulate import simulate; from "
        "mrftool.tissue import Tissue; "
        "from mrftool.sequence import PulseSequence as P; "
        "simulate(P([.5], [0], [.01], [0]), Tissue(1.0, 0.1)); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_orders_may_differ_between_voxels(short_sequence: PulseSequence) -> None:
    tissue = Tissue(np.full(128, 2.0), np.full(128, 1.0))
    orders = np.repeat([3, 40], 64)
    mixed, _ = signal_and_derivatives(short_sequence, tissue, n_states=orders)
    for count in (3, 40):
        alone, _ = signal_and_derivatives(short_sequence, tissue, n_states=count)
        np.testing.assert_allclose(
            mixed[orders == count], alone[orders == count], rtol=1e-6, atol=1e-7
        )
    assert abs(mixed[0] - mixed[-1]).max() > 1e-3
    with pytest.raises(UsageError, match="0 states"):
        signal_and_derivatives(short_sequence, tissue, n_states=np.repeat([3, 0], 64))
