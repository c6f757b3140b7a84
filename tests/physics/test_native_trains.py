"""The native kernel on whole trains: those that are shipped, and one of the kind of Ma 2013."""

import numpy as np
import pytest
from bloch_oracle import bloch_signal

from mrftool.environment.shipped import shipped_files
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.physics import kernel as native
from mrftool.physics.epg import epg_signal
from mrftool.physics.simulate import signal_and_derivatives, simulate
from mrftool.sequence import Inversion, PulseSequence, Spoiler, Train
from mrftool.tissue import Tissue

pytestmark = pytest.mark.skipif(
    not native.is_available(), reason="installed without the native kernel"
)

TRAINS = [path.name for path in shipped_files("sequences") if path.suffix == ".yaml"]


def random_tissue(n, seed):
    """T2 up to 1 s."""
    rng = np.random.default_rng(seed)
    t1 = np.exp(rng.uniform(np.log(0.1), np.log(4.0), n))
    t2 = np.minimum(np.exp(rng.uniform(np.log(0.01), np.log(1.0), n)), t1)
    return Tissue(t1, t2, b1=rng.uniform(0.5, 1.5, n))


@pytest.mark.parametrize("name", TRAINS)
def test_shipped_trains_are_exact_by_default(name):
    path = next(path for path in shipped_files("sequences") if path.name == name)
    sequence, tissue = read_sequence(str(path)), random_tissue(6, seed=1)
    exact = epg_signal(sequence, tissue.t1, tissue.t2, b1=tissue.b1)
    error = np.linalg.norm(simulate(sequence, tissue).signal - exact, axis=1) / np.linalg.norm(
        exact, axis=1
    )
    assert error.max() < 1e-5


def test_ten_thousand_random_tissues_are_exact_by_default():
    train = read_sequence("fisp")
    columns = (getattr(train, key)[:60] for key in ("flip_angle", "rf_phase", "tr", "te"))
    sequence, tissue = (
        PulseSequence(*columns, Train(Inversion()).events),
        random_tissue(10_000, seed=2),
    )
    found = simulate(sequence, tissue).signal
    exact = np.concatenate([epg_signal(sequence, t.t1, t.t2, b1=t.b1) for t in tissue.chunks(500)])
    assert (np.linalg.norm(found - exact, axis=1) / np.linalg.norm(exact, axis=1)).max() < 1e-5


@pytest.mark.parametrize("spread", [0.002, 0.02, 0.2])
def test_changing_tr_agrees_with_the_readable_engine(spread):
    """Small changes of TR go through series, larger ones through new exponentials."""
    random, n = np.random.default_rng(3), 200
    tr = 0.012 + spread * random.uniform(0, 1, n) ** 2
    flips = np.deg2rad(random.uniform(1, 70, n))
    sequence = PulseSequence(flips, np.zeros(n), tr, np.full(n, 0.003), Train(Inversion()).events)
    t2 = np.geomspace(0.002, 2.0, 16)
    t1 = np.tile([1.0, 1.5, 4.0, 20.0], 4) * t2
    found, slopes = signal_and_derivatives(sequence, Tissue(t1, t2), tolerance=1e-7)
    exact = epg_signal(sequence, t1, t2)
    norm = np.linalg.norm(exact, axis=1)
    assert (np.linalg.norm(found - exact, axis=1) / norm).max() < 1e-6
    step = 1e-4 * t2
    change = epg_signal(sequence, t1, t2 + step) - epg_signal(sequence, t1, t2 - step)
    error = np.linalg.norm(slopes[1] - change / (2 * step)[:, None], axis=1) * t2
    assert (error / norm).max() < 1e-5


def test_diffusion_with_a_changing_tr_agrees_with_the_readable_engine():
    """Decay of all orders, by recurrences from an interval of the shortest TR."""
    random, n = np.random.default_rng(4), 150
    spoiler = Spoiler(np.array([40e-3, -5e-3]), np.array([1e-3, 0.5e-3]))
    tr = random.uniform(0.011, 0.015, n)
    columns = (np.deg2rad(random.uniform(1, 70, n)), np.zeros(n), tr, np.full(n, 0.003))
    sequence = PulseSequence(*columns, Train(Inversion()).events, spoiler=spoiler)
    t1, adc = np.full(16, 3.0), np.geomspace(1e-11, 3e-9, 16)
    t2 = np.tile([0.05, 0.3, 1.0, 2.0], 4)
    found = simulate(sequence, Tissue(t1, t2, adc=adc), tolerance=1e-7).signal
    exact = epg_signal(sequence, t1, t2, adc=adc)
    error = np.linalg.norm(found - exact, axis=1) / np.linalg.norm(exact, axis=1)
    assert error.max() < 1e-6


@pytest.mark.data
def test_a_balanced_train_of_the_kind_of_ma_2013_agrees_with_bloch(data_dir):
    table = np.genfromtxt(
        data_dir / "sequences" / "bssfp_koma_MRFinput.csv", delimiter=",", skip_header=1
    )
    flips, phases = np.deg2rad(table[:, 1:3].T)
    sequence = PulseSequence(
        flips,
        phases,
        table[:, 3] / 1e3,
        table[:, 4] / 1e3,
        Train(Inversion()).events,
        spoiling="none",
    )
    voxels = [
        (1.0, 0.08, 0.0, 1.0),
        (0.8, 0.05, 37.5, 0.9),
        (2.5, 0.4, -61.0, 1.1),
        (0.3, 0.02, 11.0, 1.0),
    ]
    t1, t2, off, b1 = np.array(voxels).T
    found = simulate(sequence, Tissue(t1, t2, b1=b1, off_resonance=off)).signal
    for row, (one, two, hertz, field) in zip(found, voxels, strict=True):
        expected = bloch_signal(sequence, one, two, off_resonance=hertz, b1=field)
        assert np.linalg.norm(row - expected) < 1e-5 * np.linalg.norm(expected)


def test_alternating_phases_lose_no_precision():
    """A rounding of the axis at 180 degrees would add up from pulse to pulse."""
    sequence, tissue = read_sequence("irbssfp"), random_tissue(6, seed=1)
    exact = epg_signal(sequence, tissue.t1, tissue.t2, b1=tissue.b1)
    found = simulate(sequence, tissue).signal
    error = np.linalg.norm(found - exact, axis=1) / np.linalg.norm(exact, axis=1)
    assert error.max() < 2e-6
