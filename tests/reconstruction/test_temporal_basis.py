"""Temporal bases against the full decomposition of the same fingerprints."""

import numpy as np
import pytest

from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.physics.simulate import simulate
from mrftool.reconstruction.temporal_basis import T1_RANGE, T2_RANGE, temporal_basis
from mrftool.tissue import Tissue


@pytest.mark.parametrize("name", ["liquid_phantom", "cao"])  # complex and real fingerprints
@pytest.mark.parametrize("rank", [5, 12])
def test_a_basis_is_that_of_a_full_decomposition(name: str, rank: int) -> None:
    sequence = read_sequence(name)
    basis = temporal_basis(sequence, rank)
    places = np.random.default_rng(0).uniform(*np.log([T1_RANGE, T2_RANGE]).T, (12000, 2))
    t1, t2 = np.exp(places[places[:, 1] <= places[:, 0]][:4000].T)
    units = simulate(sequence, Tissue(t1, t2)).signal.astype(np.complex128)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    _, values, rows = np.linalg.svd(units, full_matrices=False)
    explained = rows[:rank] @ basis.vectors.conj()
    np.testing.assert_allclose(np.linalg.svd(explained)[1], 1, atol=1e-9)
    left_out = np.sqrt(np.sum(values[rank:] ** 2) / np.sum(values**2))
    assert basis.left_out == pytest.approx(left_out, rel=1e-6)
    orthonormal = basis.vectors.conj().T @ basis.vectors
    np.testing.assert_allclose(orthonormal, np.eye(rank), atol=1e-12)
