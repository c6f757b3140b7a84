"""The readable engine under autograd, and in single precision."""

import dataclasses

import numpy as np
import pytest
from random_sequences import random_sequence, random_tissue

from mrftool.physics.epg import epg_signal
from mrftool.sequence import SliceProfile

torch = pytest.importorskip("torch")

SEEDS = {
    "inversion, repeats, spoiler": (5, True),
    "inversion, spoiler": (1, True),
    "balanced": (3, False),
}


def _case(key):
    seed, with_spoiler = SEEDS[key]
    sequence = random_sequence(seed, pulses=4, with_spoiler=with_spoiler)
    sequence = dataclasses.replace(sequence, slice_profile=SliceProfile([1.0, 0.4], [0.7, 0.3]))
    columns = random_tissue(seed, voxels=2)
    if with_spoiler:
        columns["adc"] = np.array([1e-9, 3e-9])
    return sequence, columns | {"flip_angle": sequence.flip_angle + 0.1}


# In these units every parameter is of order 1, as a numerical derivative with a step of 1e-6 needs.
UNITS = {
    "t1": 1.0,
    "t2": 0.1,
    "b1": 1.0,
    "m0": 1.0,
    "off_resonance": 10.0,
    "adc": 1e-9,
    "flip_angle": 1.0,
}


@pytest.mark.parametrize(
    ("name", "case"),
    [(name, case) for name in UNITS for case in SEEDS if SEEDS[case][1] or name != "adc"],
)
def test_derivative_with_respect_to(name, case):
    sequence, columns = _case(case)
    columns = {key: torch.tensor(value) for key, value in columns.items()}

    def signal(parameter):
        return epg_signal(sequence, **(columns | {name: parameter * UNITS[name]}))

    parameter = (columns[name] / UNITS[name]).requires_grad_()
    assert torch.autograd.gradcheck(signal, parameter)
    signal(parameter).abs().sum().backward()
    assert parameter.grad.abs().min() > 1e-6


@pytest.mark.parametrize("case", SEEDS)
def test_torch_gives_the_numbers_of_numpy(case):
    sequence, columns = _case(case)
    signal = epg_signal(sequence, **{key: torch.tensor(value) for key, value in columns.items()})
    assert np.abs(signal.numpy() - epg_signal(sequence, **columns)).max() < 1e-14


@pytest.mark.parametrize("library", [np.asarray, torch.tensor], ids=["numpy", "torch"])
@pytest.mark.parametrize("case", SEEDS)
def test_single_precision_in_single_precision_out(case, library):
    """t1 and t2 alone set the precision; rounding stays near its unit, 6e-8, over four to twelve
    pulses.
    """
    sequence, columns = _case(case)
    single = {key: library(columns[key].astype(np.float32)) for key in ("t1", "t2")}
    signal = epg_signal(sequence, **columns | single)
    assert str(signal.dtype).endswith("complex64")
    double = {key: np.asarray(column, np.float64) for key, column in single.items()}
    assert np.abs(np.asarray(signal) - epg_signal(sequence, **columns | double)).max() < 3e-7


def test_single_precision_over_a_thousand_pulses():
    sequence = random_sequence(0, pulses=1000)
    t1, t2 = np.array([0.3, 1.2, 3.0], np.float32), np.array([0.05, 0.1, 1.5], np.float32)
    single = epg_signal(sequence, t1, t2, n_states=50)
    double = epg_signal(sequence, t1.astype(np.float64), t2.astype(np.float64), n_states=50)
    assert single.dtype == np.complex64
    assert np.abs(single - double).max() < 1e-6
