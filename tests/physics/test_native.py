"""The native kernel against brute-force Bloch isochromats and against the readable engine in double
precision.
"""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from bloch_oracle import bloch_signal
from random_sequences import random_sequence, random_tissue

from mrftool.physics import fallback
from mrftool.physics import kernel as native
from mrftool.physics.epg import exact_n_states
from mrftool.sequence import Inversion, PulseSequence, Spoiler, Train
from mrftool.tissue import Tissue

pytestmark = pytest.mark.skipif(
    not native.is_available(), reason="installed without the native kernel"
)

NAMES = ("t1", "t2", "b1")
TOLERANCE = 1e-5  # of the norm of a fingerprint; single precision leaves about 2e-6


def widths():
    widest = native.widest() if native.is_available() else "baseline"
    return list(native.WIDTHS)[: native.WIDTHS[widest] + 1]


def run_native(sequence, tissue, n_states=None, names=NAMES, **options):
    orders = np.full(len(tissue), n_states or exact_n_states(sequence))
    signal = np.empty((len(tissue), len(sequence)), np.complex64)
    slopes = {name: np.empty_like(signal) for name in names}
    norm = native.run(native.Run(sequence, tissue, orders, **options), signal, slopes)
    return signal, slopes, norm


def run_readable(sequence, tissue, n_states=None, names=NAMES):
    orders = np.full(len(tissue), n_states or exact_n_states(sequence))
    signal = np.empty((len(tissue), len(sequence)), np.complex128)
    slopes = {name: np.empty_like(signal) for name in names}
    norm = fallback.run(sequence, tissue, orders, signal, slopes, None)
    return signal, slopes, norm


def worst(found, expected, scale):
    """Largest distance between rows, relative to `scale` `(voxel,)`."""
    return (np.linalg.norm(found - expected, axis=1) / scale).max()


def assert_same(sequence, tissue, n_states=None, **options):
    """Signal, derivatives and norm of both engines. Derivatives count relative to signal norm and
    parameter.
    """
    signal, slopes, norm = run_native(sequence, tissue, n_states, **options)
    expected, expected_slopes, expected_norm = run_readable(sequence, tissue, n_states)
    scale = np.maximum(np.linalg.norm(expected, axis=1), 1e-2 * np.abs(tissue.m0))
    assert worst(signal, expected, scale) < TOLERANCE
    assert (
        np.abs(
            norm / np.maximum(expected_norm, 1e-4) - expected_norm / np.maximum(expected_norm, 1e-4)
        ).max()
        < 1e-4
    )
    for name, slope in slopes.items():
        unit = np.maximum(
            scale, np.linalg.norm(expected_slopes[name], axis=1) * getattr(tissue, name)
        )
        assert worst(slope, expected_slopes[name], unit / getattr(tissue, name)) < 2 * TOLERANCE, (
            name
        )


def axial(sequence):
    """The same train with RF phases of 0 and 180 degrees only: the kernel's real path."""
    phase = 0.7 + np.pi * np.arange(len(sequence)) * (np.arange(len(sequence)) % 3)
    return dataclasses.replace(sequence, rf_phase=phase, spoiling="gradient")


@pytest.mark.parametrize("width", widths())
@pytest.mark.parametrize("seed", range(24))
def test_any_train_agrees_with_isochromats(seed, width):
    sequence = random_sequence(seed, pulses=1 + seed)
    columns = random_tissue(seed, voxels=3)
    found, _, _ = run_native(sequence, Tissue(**columns), names=(), width=width)
    expected = np.array(
        [bloch_signal(sequence, **{key: x[v] for key, x in columns.items()}) for v in range(3)]
    )
    assert worst(found, expected, np.maximum(np.linalg.norm(expected, axis=1), 1e-2)) < TOLERANCE


@pytest.mark.parametrize("seed", range(12))
def test_the_real_path_agrees_with_isochromats(seed):
    sequence = axial(random_sequence(seed, pulses=2 + seed))
    columns = {**random_tissue(seed, voxels=3), "off_resonance": np.zeros(3)}
    assert native.is_real(sequence, Tissue(**columns))
    found, _, _ = run_native(sequence, Tissue(**columns), names=())
    expected = np.array(
        [bloch_signal(sequence, **{key: x[v] for key, x in columns.items()}) for v in range(3)]
    )
    assert worst(found, expected, np.maximum(np.linalg.norm(expected, axis=1), 1e-2)) < TOLERANCE


@pytest.mark.parametrize("width", widths())
@pytest.mark.parametrize("n_states", [None, 1, 2, 5])
@pytest.mark.parametrize("seed", range(8))
def test_derivatives_and_cut_orders_agree_with_the_readable_engine(seed, n_states, width):
    sequence, tissue = (
        random_sequence(seed, pulses=20 + seed),
        Tissue(**random_tissue(seed, voxels=19)),
    )
    assert_same(sequence, tissue, n_states, width=width)


@pytest.mark.parametrize("n_states", [None, 1, 2, 3, 6])
@pytest.mark.parametrize("seed", range(8))
def test_the_real_path_has_the_same_derivatives(seed, n_states):
    sequence = axial(random_sequence(seed, pulses=20 + seed))
    tissue = Tissue(**{**random_tissue(seed, voxels=19), "off_resonance": 0.0})
    assert_same(sequence, tissue, n_states)


@pytest.mark.parametrize("on_axis", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_diffusion_agrees_with_the_readable_engine(seed, on_axis):
    sequence = random_sequence(seed, pulses=17, with_spoiler=True)
    columns = random_tissue(seed, voxels=5)
    if on_axis:
        sequence, columns["off_resonance"] = axial(sequence), np.zeros(5)
    tissue = Tissue(**columns, adc=np.array([0.0, 1e-9, 2e-9, 3e-9, 0.5e-9]))
    assert_same(sequence, tissue)


def test_diffusion_with_one_te_and_changing_tr_agrees_with_the_readable_engine():
    """Decays are then products of those of the shortest interval and of the rest."""
    sequence = dataclasses.replace(random_sequence(3, pulses=30), spoiling="gradient")
    sequence = dataclasses.replace(
        sequence,
        te=np.full(30, float(sequence.te.min())),
        spoiler=Spoiler(np.array([30e-3]), np.array([0.5e-3])),
    )
    tissue = Tissue(**random_tissue(4, voxels=20) | {"adc": np.full(20, 3e-9)})
    assert_same(sequence, tissue)


def test_a_spoiler_on_two_axes_agrees_with_the_readable_engine():
    sequence = random_sequence(4, pulses=17, with_spoiler=True)
    axes = np.array([sequence.spoiler.gradient, 0.7 * sequence.spoiler.gradient[::-1]])
    two = dataclasses.replace(sequence, spoiler=Spoiler(axes, sequence.spoiler.duration))
    tissue = Tissue(**random_tissue(4, voxels=5), adc=2e-9)
    assert_same(two, tissue)
    assert np.abs(run_native(two, tissue)[0] - run_native(sequence, tissue)[0]).max() > 1e-3


def test_one_b1_for_all_agrees_too(short_sequence):
    assert_same(short_sequence, Tissue(np.array([0.8, 1.4]), np.array([0.05, 0.11]), b1=1.1))


def test_relaxation_that_leaves_nothing():
    """TR/T2 of 1000 and more: the kernel's scale may not overflow."""
    flips = np.array([0.4, 1.0, 2.0, 0.7, 1.1])
    tr = np.array([0.01, 50.0, 0.02, 30.0, 0.01])
    sequence = PulseSequence(
        flips, np.zeros(5), tr, np.full(5, 0.002), events=Train(repeats=2, wait=60.0).events
    )
    tissue = Tissue(np.array([1.0, 0.3, 4.0]), np.array([1e-3, 0.02, 3.0]))
    assert_same(sequence, tissue)
    assert_same(dataclasses.replace(sequence, rf_phase=np.arange(5.0) ** 2), tissue)


def test_long_trains_keep_their_precision():
    """A thousand equal pulses: rounding of the same sign would add up."""
    n = 1000
    sequence = PulseSequence(
        np.full(n, 0.1), np.zeros(n), np.full(n, 0.008), np.zeros(n), Train(Inversion()).events
    )
    tissue = Tissue(np.array([0.3, 1.0, 4.0, 10.0]), np.array([0.02, 0.1, 0.3, 0.05]))
    assert_same(sequence, tissue, n_states=30)


def test_threads_and_order_of_voxels_change_nothing(short_sequence):
    columns = random_tissue(3, voxels=1500)
    tissue = Tissue(**columns)
    one, _, _ = run_native(short_sequence, tissue, 8, (), threads=1)
    reports = []
    many = np.empty_like(one)
    task = native.Run(short_sequence, tissue, np.full(1500, 8), threads=3)
    native.run(task, many, {}, reports.append)
    assert np.array_equal(one, many)
    assert sum(reports) == 1500
    assert len(reports) > 1
    back, _, _ = run_native(short_sequence, tissue[::-1], 8, (), threads=1)
    assert np.abs(back[::-1] - one).max() < 1e-6


def test_real_numbers_are_the_same_signal_without_the_phase(short_sequence):
    tissue = Tissue(np.array([0.8, 1.4]), np.array([0.05, 0.11]), m0=2j)
    full, slopes, _ = run_native(short_sequence, tissue)
    signal = np.empty(full.shape, np.float32)
    real_slopes = {name: np.empty_like(signal) for name in NAMES}
    task = native.Run(short_sequence, tissue, np.full(2, 20), is_complex=False)
    native.run(task, signal, real_slopes)
    assert np.allclose(full, -1j * 2j * signal, rtol=0, atol=1e-6)
    for name in NAMES:
        assert np.allclose(slopes[name], -1j * 2j * real_slopes[name], rtol=1e-5, atol=1e-6)


INTERRUPTED = """
import threading
import time
import numpy as np
from mrftool.physics.simulate import simulate
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

start = threading.Thread.start

def start_and_be_interrupted(thread):
    start(thread)
    raise KeyboardInterrupt

n = 1000
train = PulseSequence(np.full(n, 0.5), np.zeros(n), np.full(n, 0.01), np.full(n, 0.002))
tissue = Tissue(np.linspace(0.1, 4, 6000), np.linspace(0.1, 1, 6000))
threading.Thread.start = start_and_be_interrupted
for _ in range(4):
    try:
        simulate(train, tissue, threads=2)
    except KeyboardInterrupt:
        print("interrupted")
    time.sleep(0.1)
"""


@pytest.mark.slow
def test_a_thread_that_an_interrupt_leaves_behind_keeps_its_arrays() -> None:
    """Ctrl-C while a thread is being started: its pool does not know it, and does not wait."""
    code = [sys.executable, "-c", INTERRUPTED]
    done = subprocess.run(code, check=False, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "interrupted\n" * 4), done.stderr
