"""The Triton kernel against the native one: on CUDA, or interpreted where TRITON_INTERPRET=1."""

import os
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from random_sequences import random_sequence, random_tissue

torch = pytest.importorskip("torch")

from mrftool.learning.networks import device_engine  # noqa: E402
from mrftool.learning.networks.device_engine import (  # noqa: E402
    serves,
    simulate_on_device,
)
from mrftool.physics.simulate import signal_and_derivatives  # noqa: E402
from mrftool.sequence import Invert, Pulses, Saturate, T2Prep, Wait  # noqa: E402
from mrftool.tissue import Tissue  # noqa: E402

IS_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = torch.device("cpu" if IS_INTERPRETED else "cuda")
PREPARED = (
    *(Invert(0.9), Wait(0.02), Pulses(0, 10, acquire=False), T2Prep(0.03, 0, 0.95)),
    *(Pulses(10, 20), Saturate(0.5), Wait(0.1), Pulses(20, 24)),
)


def train() -> Any:
    """Of 24 pulses with phases of 0 and 180 degrees, three slice positions, and all times apart."""
    phases = np.pi * (np.arange(24) % 3 == 1)
    return replace(random_sequence(5, pulses=24), spoiling="gradient", rf_phase=phases)


def has_kernel() -> bool:
    return (IS_INTERPRETED or torch.cuda.is_available()) and serves(train(), DEVICE, 0.0)


@pytest.mark.gpu
@pytest.mark.skipif(not has_kernel(), reason="needs CUDA and Triton")
@pytest.mark.parametrize("events", [(Pulses(),), PREPARED])
@pytest.mark.parametrize("with_b1", [False, True])
def test_signal_and_derivatives_are_those_of_the_native_kernel(events: Any, with_b1: bool) -> None:
    sequence, columns = replace(train(), events=events), random_tissue(1, voxels=20)
    given = {"b1": columns["b1"]} if with_b1 else {}
    tissue = Tissue(columns["t1"], columns["t2"], **given)
    signal, slopes = signal_and_derivatives(
        sequence, tissue, with_respect_to=("t1", "t2"), tolerance=1e-9
    )
    tensors = [torch.tensor(columns[key], device=DEVICE) for key in ("t1", "t2", "b1")]
    found, derivatives = simulate_on_device(
        sequence, *tensors[:2], tensors[2] if with_b1 else None, orders=40, with_derivatives=True
    )
    np.testing.assert_allclose(found.cpu(), (1j * signal).real, atol=2e-6)
    alone, nothing = simulate_on_device(
        sequence, *tensors[:2], tensors[2] if with_b1 else None, orders=40, with_derivatives=False
    )
    assert len(nothing) == 0
    np.testing.assert_allclose(alone.cpu(), found.cpu(), atol=1e-6)
    for mine, theirs in zip(derivatives.cpu(), (1j * slopes).real, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5 * float(abs(theirs).max()))


def test_other_signals_are_left_to_the_readable_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Balanced, diffusing, binned, or with phases of any angle; and wherever there is no CUDA."""
    monkeypatch.setattr(device_engine, "find_spec", lambda _: object())  # as if Triton were there
    device = torch.device("cuda")
    assert serves(train(), device, 0.0)
    assert not serves(replace(train(), events=(Pulses(bin=4),)), device, 0.0)
    assert not serves(replace(train(), spoiling="none"), device, 0.0)
    assert not serves(replace(train(), rf_phase=np.arange(24.0)), device, 0.0)
    assert not serves(train(), device, 1e-9)
    assert IS_INTERPRETED or not serves(train(), torch.device("cpu"), 0.0)
