"""What the kernel cuts off on the way: the rule of `truncation`, and that the tolerance is kept."""

import numpy as np
import pytest
from cut_oracle import cut_signal
from random_sequences import random_sequence, random_tissue

from mrftool.physics import kernel as native
from mrftool.physics.epg import epg_signal, exact_n_states
from mrftool.physics.simulate import simulate
from mrftool.sequence import Inversion, PulseSequence, Train
from mrftool.tissue import Tissue

pytestmark = pytest.mark.skipif(
    not native.is_available(), reason="installed without the native kernel"
)

N = 200


def long_train(kind):
    rng = np.random.default_rng(3)
    phase = np.deg2rad(np.cumsum(np.arange(N) * 117.0) % 360) if kind == "complex" else np.zeros(N)
    tr = rng.uniform(0.008, 0.016, N)
    return PulseSequence(
        rng.uniform(0.1, 1.2, N), phase, tr, 0.3 * tr, Train(Inversion(0.9, 0.02)).events
    )


def run(sequence, tissue, cut):
    signal = np.empty((len(tissue), N), np.complex64)
    orders = np.full(len(tissue), exact_n_states(sequence))
    native.run(native.Run(sequence, tissue, orders, cut=cut), signal, {})
    return signal


@pytest.mark.parametrize("tolerance", [0.02, 0.2, 0.6])
@pytest.mark.parametrize("t2", [0.05, 0.15, 0.6])
@pytest.mark.parametrize("kind", ["real", "complex"])
def test_the_kernel_cuts_what_the_rule_says(kind, t2, tolerance):
    sequence, tissue, level = long_train(kind), Tissue(1.2, t2), 0.03
    found = run(sequence, tissue, native.Cut(tolerance, np.array([level])))[0]
    expected, orders = cut_signal(sequence, 1.2, t2, tolerance, level)
    exact = epg_signal(sequence, tissue.t1, tissue.t2)[0]
    norm = np.linalg.norm(exact)
    assert np.linalg.norm(found - expected) < 2e-6 * norm
    assert min(orders[3:-3]) < exact_n_states(sequence) - 16
    assert np.linalg.norm(expected - exact) < tolerance * norm


def test_a_cut_is_felt_and_its_level_matters():
    sequence, tissue = long_train("real"), Tissue(1.2, 0.15)
    exact = epg_signal(sequence, tissue.t1, tissue.t2)
    errors = [
        np.linalg.norm(run(sequence, tissue, cut) - exact) / np.linalg.norm(exact)
        for cut in (None, native.Cut(0.6, np.array([0.03])), native.Cut(0.6, np.array([1.0])))
    ]
    assert errors[0] < 2e-6
    assert errors[1] > 1e-5
    assert errors[2] > 2 * errors[1]


@pytest.mark.parametrize("tolerance", [0.1, 1e-3])
@pytest.mark.parametrize("seed", range(16))
def test_no_fingerprint_changes_more_than_the_tolerance(seed, tolerance):
    """Trains of every kind, tissues together in one group: waiting, slices, diffusion,
    precession.
    """
    sequence = random_sequence(seed, pulses=70, with_spoiler=bool(seed & 8))
    columns = random_tissue(seed, voxels=6)
    if sequence.spoiler is not None:
        columns["adc"] = np.full(6, 1e-9)
    exact = epg_signal(sequence, **columns)
    error = np.linalg.norm(
        simulate(sequence, Tissue(**columns), tolerance=tolerance).signal - exact, axis=1
    )
    assert (error < (tolerance + 1e-5) * np.linalg.norm(exact, axis=1)).all()


@pytest.mark.parametrize("tolerance", [0.3, 1e-3])
def test_weak_fingerprints_are_run_again_with_smaller_cuts(tolerance):
    flips = np.where(np.arange(N) == 0, 3.0, 0.004)
    sequence = PulseSequence(flips, np.zeros(N), np.full(N, 0.01), np.full(N, 0.005))
    tissue = Tissue(3.0, np.array([0.05, 0.5]))
    exact = epg_signal(sequence, tissue.t1, tissue.t2)
    error = np.linalg.norm(simulate(sequence, tissue, tolerance=tolerance).signal - exact, axis=1)
    assert (error < tolerance * np.linalg.norm(exact, axis=1)).all()
