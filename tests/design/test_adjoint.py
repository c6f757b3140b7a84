"""Signals, derivatives and gradients of a train: the kernel, its readable twin, and other
physics.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mrftool.design import adjoint
from mrftool.design.adjoint import gradient, needed_orders, signals
from mrftool.design.pulse_train import (
    DesignTissue,
    PulseTrain,
    design_tissue,
    sequence_of,
    train_of,
)
from mrftool.errors import ArgumentError
from mrftool.formats.sequence.yaml_file import read_sequence
from mrftool.physics.epg import epg_signal
from mrftool.physics.simulate import signal_and_derivatives
from mrftool.sequence import Inversion, PulseSequence, Train
from mrftool.tissue import Tissue

TISSUE = design_tissue([(1.0, 0.08), (0.4, 0.2)], [0.85, 1.1], [0.9, 1.0])


def random_train(n: int, *, inverted: bool = True) -> PulseTrain:
    rng = np.random.default_rng(1)
    flip = np.deg2rad(rng.uniform(-20, 80, n))
    te = rng.uniform(1e-3, 6e-3, n)
    return PulseTrain(flip, te + rng.uniform(3e-3, 9e-3, n), te, 0.02 if inverted else None)


def random_weight(train: PulseTrain, tissue: DesignTissue) -> np.ndarray:
    return np.random.default_rng(2).normal(size=(3, len(tissue), len(train)))


@pytest.fixture(params=["native", "reference"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "reference":
        monkeypatch.setenv("MRFTOOL_ENGINE", "reference")
    elif adjoint._library() is None:
        pytest.skip("no native kernel")
    return str(request.param)


@pytest.mark.parametrize("inverted", [True, False])
def test_signals_are_those_of_the_readable_engine(engine: str, inverted: bool) -> None:
    train = random_train(25, inverted=inverted)
    found = signals(train, TISSUE)
    for k in range(len(TISSUE)):
        inversion = Inversion(float(TISSUE.efficiency[k]), 0.02) if inverted else None
        sequence = PulseSequence(
            train.flip_angle, np.zeros(25), train.tr, train.te, events=Train(inversion).events
        )
        one = TISSUE.t1[k : k + 1], TISSUE.t2[k : k + 1]
        expected = epg_signal(sequence, *one, b1=TISSUE.b1[k : k + 1])[0]
        np.testing.assert_allclose(-1j * found[0, k], expected, atol=1e-13)


def test_derivatives_are_those_of_the_simulation(engine: str) -> None:
    train = random_train(40)
    sequence = PulseSequence(
        train.flip_angle,
        np.zeros(40),
        train.tr,
        train.te,
        events=Train(Inversion(0.9, 0.02)).events,
    )
    found = signals(train, TISSUE)[1:]
    use = TISSUE.efficiency == 0.9
    tissue = Tissue(TISSUE.t1[use], TISSUE.t2[use], b1=TISSUE.b1[use])
    _, slopes = signal_and_derivatives(sequence, tissue)
    expected = (1j * slopes).real * np.stack([tissue.t1, tissue.t2])[..., None]
    np.testing.assert_allclose(found[:, use], expected, atol=2e-6)


def loss_of(train: PulseTrain, weight: np.ndarray) -> float:
    return float((signals(train, TISSUE) * weight).sum())


@pytest.mark.parametrize("key", ["flip_angle", "tr", "te"])
def test_the_gradient_is_that_of_finite_differences(engine: str, key: str) -> None:
    train = random_train(18)
    weight = random_weight(train, TISSUE)
    found = getattr(gradient(train, TISSUE, weight), key)
    step = 1e-6
    expected = np.empty(18)
    for n, unit in enumerate(np.eye(18)):
        ends = [
            loss_of(replace(train, **{key: getattr(train, key) + sign * step * unit}), weight)
            for sign in (1, -1)
        ]
        expected[n] = (ends[0] - ends[1]) / (2 * step)
    np.testing.assert_allclose(found, expected, atol=1e-7 * abs(expected).max())


def test_the_gradient_by_the_inversion_time_is_that_of_finite_differences(engine: str) -> None:
    train = random_train(18)
    weight = random_weight(train, TISSUE)
    found = gradient(train, TISSUE, weight).inversion_time
    ends = [loss_of(replace(train, inversion_time=0.02 + h), weight) for h in (1e-6, -1e-6)]
    assert found == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6)
    without = replace(train, inversion_time=None)
    assert gradient(without, TISSUE, weight).inversion_time == 0


def test_the_gradient_by_flip_angles_is_that_of_autograd_through_the_engine(engine: str) -> None:
    torch = pytest.importorskip("torch")
    train = random_train(16)
    tissue = design_tissue([(1.0, 0.08), (0.4, 0.2)], [0.9], [0.95])
    weight = random_weight(train, tissue)
    sequence = PulseSequence(
        train.flip_angle,
        np.zeros(16),
        train.tr,
        train.te,
        events=Train(Inversion(0.95, 0.02)).events,
    )
    flip = torch.tensor(train.flip_angle, requires_grad=True)
    logs = torch.tensor(np.log([tissue.t1, tissue.t2]))

    def signal(log_times: Any) -> Any:
        t1, t2 = log_times.exp()
        b1 = torch.tensor(tissue.b1)
        return (1j * epg_signal(sequence, t1, t2, b1=b1, flip_angle=flip)).real

    rows = [signal(logs)]
    for k in range(2):
        direction = torch.zeros_like(logs)
        direction[k] = 1
        rows.append(torch.autograd.functional.jvp(signal, logs, direction, create_graph=True)[1])
    loss = sum((row * torch.tensor(w)).sum() for row, w in zip(rows, weight, strict=True))
    (expected,) = torch.autograd.grad(loss, flip)
    found = gradient(train, tissue, weight).flip_angle
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-9 * abs(expected.numpy()).max())


@pytest.mark.skipif(adjoint._library() is None, reason="no native kernel")
@pytest.mark.parametrize("n", [1, 2, 3, 30, 61])
def test_the_kernel_and_its_readable_twin_agree(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    train = random_train(n)
    weight = random_weight(train, TISSUE)
    native = gradient(train, TISSUE, weight, threads=3)
    native_signals = signals(train, TISSUE, threads=3)
    monkeypatch.setenv("MRFTOOL_ENGINE", "reference")
    readable = gradient(train, TISSUE, weight)
    np.testing.assert_allclose(native_signals, signals(train, TISSUE), atol=1e-14)
    for key in ("flip_angle", "tr", "te"):
        expected = getattr(readable, key)
        scale = abs(expected).max() + 1e-300
        np.testing.assert_allclose(getattr(native, key), expected, atol=1e-12 * scale)
    assert native.inversion_time == pytest.approx(readable.inversion_time, rel=1e-11)


def test_times_that_are_not_asked_for_have_no_gradient() -> None:
    train = random_train(12)
    found = gradient(train, TISSUE, random_weight(train, TISSUE), with_times=False)
    whole = gradient(train, TISSUE, random_weight(train, TISSUE))
    np.testing.assert_array_equal(found.flip_angle, whole.flip_angle)
    if adjoint._library() is not None:
        assert not found.tr.any()
        assert not found.te.any()


def test_left_out_orders_change_nothing_that_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    train = PulseTrain(
        np.deg2rad(np.linspace(5, 70, 300)), np.full(300, 0.012), np.full(300, 0.002), 0.02
    )
    tissue = design_tissue([(1.0, 0.05)], [1.0], [1.0])
    assert needed_orders(train, tissue)[0] < 80
    weight = random_weight(train, tissue)
    found = gradient(train, tissue, weight)
    monkeypatch.setattr(adjoint, "_ACCURACY", 1e-300)
    assert needed_orders(train, tissue)[0] == 150
    whole = gradient(train, tissue, weight)
    np.testing.assert_allclose(
        found.flip_angle, whole.flip_angle, atol=1e-9 * abs(whole.flip_angle).max()
    )


def test_weights_of_another_shape_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"weights of shape \(3, 1, 5\), expected \(3, 8, 5\)"):
        gradient(random_train(5), TISSUE, np.zeros((3, 1, 5)))


def test_a_sequence_is_a_train_and_back() -> None:
    for name in ("delics", "fisp"):
        sequence = read_sequence(name)
        assert sequence_of(train_of(sequence), sequence, name) == sequence
    n = 6
    phases = np.deg2rad([0, 180, 0, 180, 180, 0])
    flip = np.deg2rad(np.arange(10, 10 + n))
    alternating = PulseSequence(flip, phases, np.full(n, 0.01), np.full(n, 0.002))
    train = train_of(alternating)
    assert (np.sign(train.flip_angle) == [1, -1, 1, -1, -1, 1]).all()
    tissue = design_tissue([(0.8, 0.1)], [1.0], [1.0])
    signal = epg_signal(alternating, tissue.t1, tissue.t2)[0]
    np.testing.assert_allclose(
        signals(train, tissue)[0, 0] * np.sign(train.flip_angle), (1j * signal).real, atol=1e-14
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"rf_phase": np.deg2rad([0, 90, 0])}, "RF phases other than 0 and 180"),
        ({"spoiling": "none"}, "is balanced"),
        ({"events": Train(repeats=2).events}, "is not one train of pulses"),
    ],
)
def test_a_sequence_that_cannot_be_designed_is_refused(
    change: dict[str, Any], expected: str
) -> None:
    plain = PulseSequence(np.ones(3), np.zeros(3), np.full(3, 0.01), np.full(3, 0.002))
    with pytest.raises(ArgumentError, match=expected):
        train_of(replace(plain, **change))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (([], [1.0], [1.0]), "at least one tissue"),
        (([(0.1, 0.2)], [1.0], [1.0]), "0 < T2 <= T1"),
        (([(1.0, 0.2)], [5.0], [1.0]), "B1 5"),
        (([(1.0, 0.2)], [1.0], [1.5]), "inversion efficiency 1.5"),
    ],
)
def test_impossible_tissues_are_refused(given: Any, expected: str) -> None:
    with pytest.raises(ArgumentError, match=expected):
        design_tissue(*given)
