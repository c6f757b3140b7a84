"""Sequences that cannot determine a parameter: it says so, and the other one is as good as if it
were known.
"""

from pathlib import Path

import numpy as np
import pytest

from mrftool.exporting.make import make_model
from mrftool.inference.session import Model, run
from mrftool.manifold.model_errors import probe_vectors
from mrftool.manifold.table import Form
from mrftool.manifold.tabulate import build_table
from mrftool.physics.noise import add_noise, level_of
from mrftool.physics.simulate import signal_and_derivatives, simulate
from mrftool.quantities import Flag
from mrftool.sequence import Inversion, PulseSequence, Train
from mrftool.tissue import Tissue

N, COUNT = 40, 1000
RANGES = {"t1_range": (0.1, 2.0), "t2_range": (0.01, 0.3)}


def recovery() -> PulseSequence:
    """An inversion and pulses so far apart that no transverse magnetisation is left: nothing but T1
    shows.
    """
    return PulseSequence(
        np.full(N, np.deg2rad(20)),
        np.zeros(N),
        np.full(N, 3.0),
        np.full(N, 5e-4),
        Train(Inversion(1, 0.02)).events,
    )


def echoes() -> PulseSequence:
    """Two echo times after full recovery: nothing but T2 shows."""
    flips, te = (np.tile(pair, N // 2) for pair in (np.deg2rad([10, 60]), [5e-3, 0.2]))
    return PulseSequence(flips, np.zeros(N), np.full(N, 60.0), te)


def slope_beside_m0(sequence: PulseSequence, name: str) -> float:
    """Norm of what a fingerprint's derivative by T1 or T2 has that a change of m0 does not."""
    signal, slopes = signal_and_derivatives(sequence, Tissue([0.9], [0.09]))
    unit, slope = signal[0] / np.linalg.norm(signal[0]), slopes[("t1", "t2").index(name), 0]
    return float(np.linalg.norm(slope - unit * (unit.conj() @ slope)))


@pytest.mark.parametrize("form", ["complex", "magnitude"])
@pytest.mark.parametrize(
    ("sequence", "seen", "lost"), [(recovery(), "t1", "t2"), (echoes(), "t2", "t1")]
)
def test_what_is_not_determined_leaves_the_rest_at_the_bound(
    sequence: PulseSequence, seen: str, lost: str, form: Form
) -> None:
    proto, manifest = make_model(sequence, **RANGES, form=form, check=False)
    model = Model(Path("model.onnx"), manifest, proto.SerializeToString())
    tissue = Tissue(np.full(COUNT, 0.9), np.full(COUNT, 0.09))
    signal = simulate(sequence, tissue).signal
    noise = level_of(signal) / 120  # errors are small enough for the theory of small errors
    noisy = add_noise(signal, noise, np.random.default_rng(5))
    found = run(model, np.abs(noisy) if form == "magnitude" else noisy)
    flags = {"t1": Flag.T1_UNDETERMINED, "t2": Flag.T2_UNDETERMINED}
    assert (found["flags"] & flags[lost] > 0).all()
    assert not (found["flags"] & flags[seen] > 0).any()
    assert np.mean(found["flags"] & Flag.MISFIT > 0) < 0.01
    bound = noise[0] / slope_beside_m0(sequence, seen)
    error, chance = found[seen] - getattr(tissue, seen), 4 / np.sqrt(2 * COUNT)
    assert np.sqrt(np.mean(error**2)) / bound == pytest.approx(1, abs=chance)
    assert np.std(error / found[f"sd_{seen}"]) == pytest.approx(1, abs=chance + 0.02)


@pytest.mark.parametrize("sequence", [recovery(), echoes()])
def test_probes_are_new_directions_even_where_there_are_few(sequence: PulseSequence) -> None:
    table = build_table(sequence, **RANGES)
    probes = probe_vectors(sequence, table)
    both = np.concatenate([table.basis.vectors, probes], axis=1)
    np.testing.assert_allclose(both.conj().T @ both, np.eye(both.shape[1]), atol=1e-12)
