"""The decoder's signal and gradient against the readable engine under autograd, in double
precision.
"""

import dataclasses

import numpy as np
import pytest
from random_sequences import random_sequence, random_tissue

torch = pytest.importorskip("torch")

from mrftool.formats.sequence.yaml_file import read_sequence  # noqa: E402
from mrftool.learning.networks.bloch_decoder import decode, truncation_note  # noqa: E402
from mrftool.manifold.compression import fit_basis  # noqa: E402
from mrftool.physics.epg import epg_signal  # noqa: E402
from mrftool.physics.simulate import signal_and_derivatives  # noqa: E402
from mrftool.sequence import PulseSequence  # noqa: E402
from mrftool.tissue import Tissue  # noqa: E402


def trains():
    turned = dataclasses.replace(random_sequence(5, pulses=24), spoiling="gradient")
    return {
        "real": dataclasses.replace(turned, rf_phase=np.zeros(24)),
        "complex": turned,
        "balanced": dataclasses.replace(turned, spoiling="none"),
    }


def leaves(dtype):
    columns = random_tissue(1, voxels=20)
    return [
        torch.tensor(columns[key], dtype=dtype, requires_grad=True) for key in ("t1", "t2", "b1")
    ]


def gradients(signal, inputs):
    """Of a loss that feels both parts of every echo."""
    weight = torch.linspace(-1, 1, signal.numel()).reshape(signal.shape).to(signal.real.dtype)
    loss = (
        (signal.real * weight).sum()
        + (signal.imag * weight.cos()).sum()
        + signal.abs().square().sum()
    )
    return torch.autograd.grad(loss, inputs)


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("train", ["real", "complex", "balanced"])
def test_signal_and_gradient_are_those_of_the_readable_engine(train, engine, monkeypatch):
    if engine == "reference":
        monkeypatch.setenv("MRFTOOL_ENGINE", "reference")
    sequence = trains()[train]
    t1, t2, b1 = leaves(torch.float32)
    found = decode(sequence, t1, t2, b1=b1)
    exact = leaves(torch.float64)
    expected = epg_signal(sequence, exact[0], exact[1], b1=exact[2])
    assert (found - expected).abs().max() < 1e-4
    for mine, theirs in zip(
        gradients(found, (t1, t2, b1)), gradients(expected, exact), strict=True
    ):
        assert torch.allclose(
            mine.double(), theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max())
        )


def test_b1_may_be_left_out_and_needs_no_gradient(short_sequence):
    t1, t2, _ = leaves(torch.float32)
    found = decode(short_sequence, t1, t2)
    assert torch.equal(found, decode(short_sequence, t1, t2, b1=torch.ones(20)))
    assert not torch.equal(found, decode(short_sequence, t1, t2, b1=torch.full((20,), 0.9)))
    assert all(torch.isfinite(g).all() for g in gradients(found, (t1, t2)))


def test_without_gradients_the_signal_is_the_same(short_sequence):
    t1, t2, _ = leaves(torch.float32)
    with torch.no_grad():
        plain = decode(short_sequence, t1, t2)
    assert not plain.requires_grad
    assert (plain - decode(short_sequence, t1, t2)).abs().max() < 1e-5


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("train", ["real", "complex", "balanced"])
def test_compressing_at_once_is_compressing_afterwards(train, engine, monkeypatch):
    """Signal and gradient in the compressed space, for real and complex manifolds."""
    if engine == "reference":
        monkeypatch.setenv("MRFTOOL_ENGINE", "reference")
    sequence, inputs = trains()[train], leaves(torch.float32)
    t1, t2, b1 = inputs
    whole = decode(sequence, t1, t2, b1=b1)
    basis = fit_basis(whole.detach().numpy(), 1e-6)
    assert basis.is_real == (train == "real")
    expected = whole @ torch.from_numpy(basis.vectors.conj()).to(whole.dtype)
    found = decode(sequence, t1, t2, b1=b1, basis=basis)
    assert found.is_complex() != basis.is_real
    expected = expected.real if basis.is_real else expected
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    found, expected = found.to(torch.complex64), expected.to(torch.complex64)
    for ours, theirs in zip(gradients(found, inputs), gradients(expected, inputs), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()))


@pytest.mark.slow
def test_orders_found_by_trial_leave_what_is_said_of_them():
    """On the paper's longest T2, and below 1 s."""
    sequence = read_sequence("fisp")
    t1, t2 = np.array([4.9, 2.5, 2.0, 1.2, 0.9]), np.array([1.99, 1.99, 0.99, 0.9, 0.5])
    exact, slopes = signal_and_derivatives(sequence, Tissue(t1, t2), tolerance=1e-6)
    times = [torch.tensor(x, dtype=torch.float32, requires_grad=True) for x in (t1, t2)]
    signal = decode(sequence, *times)
    error = np.linalg.norm(signal.detach().numpy() - exact, axis=1) / np.linalg.norm(exact, axis=1)
    assert error[:2].max() < 5e-4 and error[2:].max() < 3e-5
    (by_t2,) = torch.autograd.grad(signal.imag.sum(), times[1])
    true = slopes[1].imag.sum(axis=1)
    assert (abs(by_t2.numpy() / true - 1) < 0.02).all()


def test_a_cap_of_the_orders_is_told() -> None:
    n = 1000
    flips = np.full(n, np.deg2rad(30.0))
    sequence = PulseSequence(flips, np.zeros(n), np.full(n, 0.01), np.full(n, 0.002), name="long")
    note = truncation_note(sequence, longest_t1=4.0, longest_t2=2.0)
    assert note is not None
    assert "long keeps 160 orders of the phase graph, where T2 = 2 s may need 500" in note
    assert truncation_note(sequence, longest_t1=2.0, longest_t2=0.1) is None
    balanced = dataclasses.replace(sequence, spoiling="none")
    assert truncation_note(balanced, longest_t1=4.0, longest_t2=2.0) is None
