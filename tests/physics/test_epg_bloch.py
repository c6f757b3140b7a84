"""The readable engine against isochromats: other physics, the same numbers."""

import dataclasses

import numpy as np
import pytest
from bloch_oracle import bloch_signal
from random_sequences import GAMMA, random_sequence, random_tissue
from torrey_oracle import torrey_signal

from mrftool.errors import MismatchError, UsageError
from mrftool.physics.epg import epg_signal, exact_n_states
from mrftool.sequence import PulseSequence, Spoiler, Train

TOLERANCE = 1e-10  # [m0], in float64


def _of_voxel(tissue, voxel):
    return {key: column[voxel] for key, column in tissue.items()}


@pytest.mark.parametrize("seed", range(48))
def test_random_sequences_agree_with_isochromats(seed):
    sequence, tissue = random_sequence(seed, pulses=3 + seed // 4), random_tissue(seed, voxels=3)
    expected = [bloch_signal(sequence, **_of_voxel(tissue, v)) for v in range(3)]
    assert np.abs(epg_signal(sequence, **tissue) - expected).max() < TOLERANCE


@pytest.mark.parametrize("seed", range(12))
def test_random_diffusion_agrees_with_the_bloch_torrey_equation(seed):
    sequence, tissue = (
        random_sequence(seed, pulses=6, with_spoiler=True),
        random_tissue(seed, voxels=1),
    )
    adc = np.random.default_rng(seed).uniform(0.5e-9, 4e-9)
    voxel = _of_voxel(tissue, 0)
    m0 = voxel.pop("m0")
    expected = m0 * torrey_signal(sequence, adc=adc, **voxel)
    assert np.abs(epg_signal(sequence, **tissue, adc=adc)[0] - expected).max() < TOLERANCE


@pytest.mark.parametrize("seed", [0, 5])
def test_a_spoiler_on_two_axes_agrees_with_the_bloch_torrey_equation(seed):
    """A prewinder and a readout on one axis, and a spoiler on both. On one axis, neither the sum of
    the amplitudes nor
    their root sum of squares dephases like it."""
    sequence, tissue = (
        random_sequence(seed, pulses=3, with_spoiler=True),
        random_tissue(seed, voxels=1),
    )
    duration = np.array([0.2, 0.5, 0.3]) * 0.9 * float((sequence.tr - sequence.te).min())
    axes = 2 * np.pi / GAMMA / 3e-4 * np.array([[-0.5, 1.0, 0.5], [0.0, 0.0, 0.5]]) / duration
    events = Train(sequence.train.inversion).events
    sequence = dataclasses.replace(
        sequence, flip_angle=[1.2, 2.0, 0.9], events=events, spoiler=Spoiler(axes, duration)
    )
    voxel = _of_voxel(tissue, 0)
    m0 = voxel.pop("m0")
    expected = m0 * torrey_signal(sequence, adc=2e-9, **voxel)
    assert np.abs(epg_signal(sequence, **tissue, adc=2e-9)[0] - expected).max() < TOLERANCE
    for one_axis in (axes.sum(axis=0), np.hypot(*axes) * [-1, 1, 1]):
        other = dataclasses.replace(sequence, spoiler=Spoiler(one_axis, duration))
        assert np.abs(epg_signal(other, **tissue, adc=2e-9)[0] - expected).max() > 1e-4


def test_the_two_oracles_agree_without_diffusion():
    sequence = random_sequence(5, pulses=5, with_spoiler=True)
    expected = bloch_signal(sequence, 0.8, 0.07, b1=0.9, off_resonance=11.0)
    assert (
        np.abs(torrey_signal(sequence, 0.8, 0.07, 0.0, b1=0.9, off_resonance=11.0) - expected).max()
        < 1e-12
    )


def test_the_diffusion_oracle_has_converged():
    sequence = random_sequence(10, pulses=4, with_spoiler=True)
    coarse, fine = (torrey_signal(sequence, 0.8, 0.07, 3e-9, kicks=kicks) for kicks in (4, 8))
    assert np.abs(coarse - fine).max() < TOLERANCE / 10


def test_a_fingerprinting_train_agrees_with_isochromats(short_sequence):
    signal = epg_signal(short_sequence, np.array([0.8, 1.4, 0.3]), np.array([0.05, 0.11, 0.09]))
    expected = [
        bloch_signal(short_sequence, t1, t2) for t1, t2 in [(0.8, 0.05), (1.4, 0.11), (0.3, 0.09)]
    ]
    assert np.abs(signal - expected).max() < TOLERANCE


@pytest.mark.parametrize("pulses", [1, 2, 7, 8])
def test_exact_n_states_is_enough_and_no_more(pulses):
    """Large flip angles fill all orders: one order more changes nothing, one less is seen."""
    sequence = PulseSequence(
        np.full(pulses, 2.0), np.zeros(pulses), np.full(pulses, 0.01), np.zeros(pulses)
    )
    tissue = {"t1": np.array([3.0]), "t2": np.array([2.0])}
    n = exact_n_states(sequence)
    everything = epg_signal(sequence, **tissue, n_states=pulses + 2)
    assert np.abs(epg_signal(sequence, **tissue) - everything).max() < 1e-15
    assert np.array_equal(
        epg_signal(sequence, **tissue), epg_signal(sequence, **tissue, n_states=n)
    )
    if n > 1:
        assert np.abs(epg_signal(sequence, **tissue, n_states=n - 1) - everything).max() > 1e-3


def test_balanced_trains_need_one_order():
    assert exact_n_states(random_sequence(2)) == 1


def test_flip_angle_takes_the_place_of_the_sequences_own():
    sequence, tissue = random_sequence(0), random_tissue(0, voxels=2)
    doubled = dataclasses.replace(sequence, flip_angle=sequence.flip_angle * 0.5)
    signal = epg_signal(sequence, **tissue, flip_angle=doubled.flip_angle)
    assert np.array_equal(signal, epg_signal(doubled, **tissue))
    assert np.abs(signal - epg_signal(sequence, **tissue)).max() > 0.01


def test_numbers_stand_for_all_voxels():
    sequence, tissue = random_sequence(4, with_spoiler=True), random_tissue(4, voxels=2)
    two = {key: tissue[key] for key in ("t1", "t2")}
    numbers = {"b1": 0.8, "m0": 0.5 - 0.2j, "adc": 2e-9, "off_resonance": 9.0}
    columns = {key: np.full(2, value) for key, value in numbers.items()}
    scalars = {key: np.asarray(value)[()] for key, value in numbers.items()}
    expected = epg_signal(sequence, **two, **columns)
    assert np.array_equal(epg_signal(sequence, **two, **numbers), expected)
    assert np.array_equal(epg_signal(sequence, **two, **scalars), expected)


def test_diffusion_needs_a_spoiler_waveform():
    with pytest.raises(
        MismatchError, match=r"random 0 gives no spoiler waveform, expected one .* \(adc > 0\)"
    ):
        epg_signal(random_sequence(0), np.array([1.0]), np.array([0.1]), adc=1e-9)


def test_wrong_number_of_flip_angles():
    with pytest.raises(MismatchError, match="13 flip angles, expected 12 as in random 0"):
        epg_signal(random_sequence(0), np.array([1.0]), np.array([0.1]), flip_angle=np.zeros(13))


@pytest.mark.parametrize("n_states", [0, -3])
def test_wrong_number_of_states(n_states):
    with pytest.raises(UsageError, match=f"{n_states} states, expected at least 1"):
        epg_signal(random_sequence(0), np.array([1.0]), np.array([0.1]), n_states=n_states)
