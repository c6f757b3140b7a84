"""The number of orders that is found by trial: never more than proven, and within the tolerance."""

import numpy as np
import pytest

from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.physics import kernel as native
from mrftool.physics.orders import trial, truncation
from mrftool.physics.simulate import signal_and_derivatives, simulate
from mrftool.sequence import PulseSequence, SelectivePulse, SliceProfile
from mrftool.tissue import Tissue

pytestmark = pytest.mark.skipif(
    not native.is_available(), reason="installed without the native kernel"
)
TOLERANCE = 1e-5


def tissue(n, seed=0, b1=(1.0, 1.0)):
    random = np.random.default_rng(seed)
    t1 = np.exp(random.uniform(np.log(0.05), np.log(6.0), n))
    t2 = np.minimum(t1, np.exp(random.uniform(np.log(0.005), np.log(2.5), n)))
    return Tissue(t1, t2, b1=random.uniform(*b1, n))


def refocusing_train(n=120):
    """Magnetisation stays transverse: the proven bound is nearly tight."""
    flips = np.full(n, np.pi)
    flips[0] = np.pi / 2
    return PulseSequence(flips, np.r_[np.pi / 2, np.zeros(n - 1)], np.full(n, 0.01), np.zeros(n))


def short_fisp(**options):
    train = read_sequence("fisp")
    columns = (getattr(train, name)[:150] for name in ("flip_angle", "rf_phase", "tr", "te"))
    return PulseSequence(*columns, train.events, **options)


PROFILE = SliceProfile(np.array([0.2, 1.0]), np.array([0.3, 0.7]))
SEQUENCES = {
    "delics": read_sequence("delics"),
    "liquid_phantom": read_sequence("liquid_phantom"),
    "refocusing": refocusing_train(),
    "profile": short_fisp(slice_profile=PROFILE),
    "pulse": short_fisp(slice_profile=SelectivePulse("sinc", 4.0, 2e-3, "hann", positions=4)),
}


@pytest.mark.parametrize("b1", [(1.0, 1.0), (0.5, 1.5)], ids=["one_b1", "b1"])
@pytest.mark.parametrize("name", SEQUENCES)
def test_fewer_orders_keep_the_tolerance(name, b1):
    sequence, voxels = SEQUENCES[name], tissue(trial.FEWEST_VOXELS, b1=b1)
    exact = simulate(sequence, voxels, n_states=2 * len(sequence)).signal
    error = np.linalg.norm(simulate(sequence, voxels).signal - exact, axis=1)
    assert (error / np.linalg.norm(exact, axis=1)).max() < 0.5 * TOLERANCE


@pytest.mark.parametrize("name", ["delics", "refocusing"])
def test_derivatives_of_fewer_orders_are_those_of_the_proven_number(name, monkeypatch):
    sequence, voxels = SEQUENCES[name], tissue(trial.FEWEST_VOXELS)
    signal, found = signal_and_derivatives(sequence, voxels)
    monkeypatch.setattr(trial, "FEWEST_VOXELS", len(voxels) + 1)
    _, proven = signal_and_derivatives(sequence, voxels)
    norm = np.linalg.norm(signal, axis=1)
    for slope, exact, times in zip(found, proven, (voxels.t1, voxels.t2), strict=True):
        error = np.linalg.norm(slope - exact, axis=1) * times / norm
        assert error.max() < TOLERANCE


def test_a_train_of_small_flips_needs_far_fewer_orders_than_proven():
    sequence, voxels = read_sequence("fisp"), tissue(200)
    level = np.full(len(voxels), truncation.TYPICAL_LEVEL)
    proven = truncation.n_states(sequence, voxels.t1, voxels.t2, tolerance=TOLERANCE)
    tried = trial.n_states(sequence, voxels, tolerance=TOLERANCE, level=level)
    assert (tried <= proven).all()
    assert tried.sum() < 0.6 * proven.sum()


def test_voxels_outside_the_grid_and_short_calls_are_not_covered():
    n = trial.FEWEST_VOXELS
    assert trial.covers(tissue(n), TOLERANCE)
    assert not trial.covers(tissue(n - 1), TOLERANCE)
    assert not trial.covers(tissue(n), 1e-6)
    assert not trial.covers(tissue(n, b1=(0.4, 0.4)), TOLERANCE)
    columns = {"t1": np.full(n, 1.0), "t2": np.full(n, 0.1)}
    for changes in ({"t1": 0.05}, {"t2": 5.0, "t1": 6.0}, {"t1": 20.0}, {"off_resonance": 1.0}):
        more = {name: np.full(n, value) for name, value in changes.items()}
        assert not trial.covers(Tissue(**(columns | more)), TOLERANCE)
