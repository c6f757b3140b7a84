"""An error of a given value that all voxels share shows in the residual, below the noise of one."""

import dataclasses

import numpy as np
import pytest

from mrftool.arrays import Array
from mrftool.evaluation.given_values import SuspectedError, suspected_error
from mrftool.manifold.first_order import directions_of
from mrftool.manifold.influences import influences_on
from mrftool.physics.simulate import signal_and_derivatives, simulate
from mrftool.sequence import Event, Inversion, Invert, PulseSequence, Train, Wait
from mrftool.tissue import Tissue

N_VOXELS = 400


@pytest.fixture(scope="module")
def train() -> PulseSequence:
    """Lobes after an inversion: 200 repetitions."""
    time = np.arange(200)
    flip = np.deg2rad(5 + 45 * np.abs(np.sin(np.pi * time / 50)))
    columns = (flip, np.zeros(200), np.full(200, 0.012), np.full(200, 0.003))
    return PulseSequence(*columns, Train(Inversion(1.0, 0.02)).events)


def with_events(sequence: PulseSequence, **changes: float) -> PulseSequence:
    """Other times after the inversion, or another efficiency."""
    events: list[Event] = []
    for event in sequence.events:
        changed = event
        if isinstance(event, Wait) and "ti" in changes:
            changed = Wait(changes["ti"])
        if isinstance(event, Invert) and "efficiency" in changes:
            changed = Invert(changes["efficiency"])
        events.append(changed)
    return dataclasses.replace(sequence, events=events)


def residual_of(
    played: PulseSequence,
    assumed: PulseSequence,
    snr: float,
    b1: float = 1.0,
    form: str = "complex",
) -> tuple[Array, Array, np.ndarray, Tissue]:
    """Residual, M0, noise and fit of a least squares fit of T1, T2 and M0 to a noisy scan."""
    random = np.random.default_rng(0)
    t1, t2 = random.uniform(0.6, 2, N_VOXELS), random.uniform(0.04, 0.15, N_VOXELS)
    m0 = np.exp(2j * np.pi * random.random(N_VOXELS))
    signal = m0[:, None] * simulate(played, Tissue(t1, t2, b1=np.full(N_VOXELS, b1))).signal
    sd = np.sqrt(np.mean(np.abs(signal) ** 2)) / snr
    parts = random.standard_normal((2, *signal.shape)) * sd
    signal = signal + parts[0] + 1j * parts[1]
    if form == "magnitude":
        signal = np.abs(signal)
    for _ in range(6):
        t1, t2 = step(signal, assumed, t1, t2)
    tissue = Tissue(t1, t2)
    shape = simulate(assumed, tissue).signal
    if form == "magnitude":
        shape = np.abs(shape)
    m0 = (shape.conj() * signal).sum(1) / (np.abs(shape) ** 2).sum(1)
    return signal - m0[:, None] * shape, m0, np.full(N_VOXELS, sd), tissue


def step(signal: Array, assumed: PulseSequence, t1: np.ndarray, t2: np.ndarray):
    """A Gauss-Newton step of log T1 and log T2."""
    shape, slopes = signal_and_derivatives(assumed, Tissue(t1, t2))
    rows = np.stack([shape, slopes[0] * t1[:, None], slopes[1] * t2[:, None]]).astype(complex)
    if not np.iscomplexobj(signal):
        rows = (rows[0].conj() * rows).real / np.abs(rows[0])
    norm = np.linalg.norm(rows[0], axis=1, keepdims=True)
    unit = rows[0] / norm
    m0 = (unit.conj() * signal).sum(1, keepdims=True) / norm
    free = m0 * (rows[1:] - unit * (unit.conj() * rows[1:]).sum(2, keepdims=True))
    left = signal - m0 * rows[0]
    h = np.einsum("avt,bvt->vab", free.conj(), free).real
    g = np.einsum("avt,vt->va", free.conj(), left).real
    moved = np.clip(np.linalg.solve(h, g[..., None])[..., 0], -0.5, 0.5)
    return t1 * np.exp(moved[:, 0]), t2 * np.exp(moved[:, 1])


def names(found: SuspectedError) -> list[str]:
    return [each.name for each in (found.influence, *found.others)]


def suspected(
    train: PulseSequence, *fit, fitted: tuple[str, ...] = (), stated: dict[str, float] | None = None
) -> SuspectedError | None:
    residual, m0, sd, tissue = fit
    influences = [each for each in influences_on(train) if each.name not in fitted]
    form = "complex" if np.iscomplexobj(residual) else "magnitude"
    directions = directions_of(train, tissue, influences, form=form).in_single_precision()
    return suspected_error(residual, m0, sd, directions, influences, stated=stated)


@pytest.mark.parametrize("form", ["complex", "magnitude"])
@pytest.mark.parametrize(
    ("name", "size", "played"),
    [
        ("ti", 0.04, {"ti": 0.06}),
        ("efficiency", -0.15, {"efficiency": 0.85}),
        ("b1", 0.1, {"b1": 1.1}),
        ("b1", -0.1, {"b1": 0.9}),
    ],
)
def test_the_value_that_is_wrong_is_named_with_its_error(train, name, size, played, form) -> None:
    """At SNR 10 of a voxel, where its own residual shows nothing."""
    b1 = played.get("b1", 1.0)
    scan = residual_of(with_events(train, **played), train, snr=10, b1=b1, form=form)
    found = suspected(train, *scan)
    assert found is not None and name in names(found)
    assert found.sd < abs(found.size) / 6 and found.uncertainty == found.influence.uncertainty
    if found.influence.name == name:
        assert 0.5 < found.size / size < 1.5  # to first order


@pytest.mark.parametrize("form", ["complex", "magnitude"])
@pytest.mark.parametrize("snr", [20, 200])
def test_noise_alone_suspects_nothing(train, snr, form) -> None:
    assert suspected(train, *residual_of(train, train, snr=snr, form=form)) is None


def test_an_error_within_its_stated_uncertainty_is_no_suspect(train) -> None:
    scan = residual_of(train, train, snr=40, b1=1.1)
    assert "b1" in names(suspected(train, *scan, stated={"b1": 0.02}))
    others = {"flip_exponent": 1.0, "ti": 1.0, "efficiency": 1.0}
    assert suspected(train, *scan, stated={"b1": 0.1, **others}) is None
    assert suspected(train, *scan, stated=others, fitted=("b1",)) is None


def test_an_error_that_no_scan_can_have_is_no_suspect(train) -> None:
    residual, *fit = residual_of(train, train, snr=200, b1=1.1)
    assert suspected(train, residual, *fit).influence.name == "b1"
    assert suspected(train, 30 * residual, *fit) is None  # B1 off by 300 %
