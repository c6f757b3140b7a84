"""The readable engine against sycomore, an engine that others wrote."""

import dataclasses

import numpy as np
import pytest
from random_sequences import random_sequence, random_tissue

from mrftool.physics.dephasing import GAMMA
from mrftool.physics.epg import epg_signal
from mrftool.sequence import Inversion, PulseSequence, Spoiler, Train

sycomore = pytest.importorskip("sycomore", exc_type=ImportError)
pytestmark = pytest.mark.peers

TOLERANCE = 1e-9  # [m0]

# sycomore 1.3.2 and this project agree in the sense of rotation, precession and dephasing, so no
# sign is mapped. What is: sycomore inverts with a pulse, which leaves transverse magnetisation (so
# only one perfect inversion, from equilibrium, is compared); it leaves diffusion out where no
# gradient acts (so intervals without one get a gradient of 1e-12 cycles, which b-values do not feel
# but the switch does); it gives no slice profile; and its gyromagnetic ratio is another year's (so
# gradients are scaled to give the same wave vectors).


def sycomore_signal(sequence, t1, t2, b1=1.0, off_resonance=0.0, adc=0.0):
    from sycomore.units import Hz, T, deg, m, rad, s

    scale = GAMMA / sycomore.gamma.magnitude
    waveform = [(1.0, 1e-9)] if sequence.spoiler is None else None
    if waveform is None:
        waveform = list(
            zip(scale * sequence.spoiler.gradient, sequence.spoiler.duration, strict=True)
        )
    moment = sum(gradient * duration for gradient, duration in waveform)
    species = sycomore.Species(t1 * s, t2 * s, adc * m**2 / s, delta_omega=off_resonance * Hz)
    model = sycomore.epg.Regular(species, unit_gradient_area=abs(moment) * T / m * s)

    def interval(duration, gradient=None):
        if duration > 0:
            model.apply_time_interval(duration * s, (gradient or 1e-12 * moment / duration) * T / m)

    if sequence.train.inversion is not None:
        model.apply_pulse(180 * deg)
        interval(sequence.train.inversion.time)
    echoes = []
    for flip, phase, tr, te in zip(
        sequence.flip_angle, sequence.rf_phase, sequence.tr, sequence.te, strict=True
    ):
        model.apply_pulse(b1 * flip * rad, phase * rad)
        interval(te)
        echoes.append(model.echo * np.exp(-1j * phase))
        rest = tr - te
        if sequence.spoiling == "gradient":
            for gradient, duration in waveform:
                interval(duration, gradient)
                rest -= duration
        interval(rest)
    return np.array(echoes)


def _comparable(seed, **options):
    """A random sequence of the kind that both engines can play: one train, no slice profile."""
    sequence = random_sequence(seed, pulses=20, **options)
    inversion = sequence.train.inversion and Inversion(1.0, sequence.train.inversion.time)
    tr = np.maximum(sequence.tr, sequence.te + 1e-6)  # room for a spoiler that has no waveform
    return dataclasses.replace(sequence, tr=tr, slice_profile=None, events=Train(inversion).events)


@pytest.mark.parametrize("seed", range(16))
def test_random_sequences_agree_with_sycomore(seed):
    sequence, tissue = _comparable(seed), random_tissue(seed, voxels=2)
    tissue.pop("m0")
    expected = [
        sycomore_signal(sequence, **{key: column[v] for key, column in tissue.items()})
        for v in range(2)
    ]
    assert np.abs(epg_signal(sequence, **tissue) - expected).max() < TOLERANCE


@pytest.mark.parametrize("seed", range(8))
def test_diffusion_agrees_with_sycomore(seed):
    """Pieces of the waveform are whole spoiler cycles here: sycomore's orders are whole between
    pieces too.
    """
    rng = np.random.default_rng(seed)
    sequence, tissue = _comparable(seed), random_tissue(seed, voxels=2)
    tissue.pop("m0")
    room = float((sequence.tr - 0.5 * sequence.te).min())
    moment = rng.choice([-1, 1]) * 2 * np.pi / GAMMA / rng.choice([2e-4, 1e-3])
    duration = rng.dirichlet(np.full(3, 5.0)) * room
    spoiler = Spoiler(moment * np.array([2.0, 0.0, -1.0]) / duration, duration)
    sequence = dataclasses.replace(
        sequence, te=0.5 * sequence.te, spoiling="gradient", spoiler=spoiler
    )
    adc = rng.uniform(0.5e-9, 3e-9, 2)
    expected = [
        sycomore_signal(sequence, **{key: column[v] for key, column in tissue.items()}, adc=adc[v])
        for v in range(2)
    ]
    signal = epg_signal(sequence, **tissue, adc=adc)
    assert np.abs(signal - epg_signal(sequence, **tissue)).max() > 1e-4
    assert np.abs(signal - expected).max() < TOLERANCE


def test_rf_spoiling_agrees_with_sycomore():
    """The steady state under the quadratic phase of 117 degrees, which no short train reaches."""
    n = np.arange(200)
    phase = np.deg2rad(117.0) * n * (n + 1) / 2
    sequence = PulseSequence(np.full(200, 0.4), phase, np.full(200, 0.01), np.full(200, 0.004))
    signal = epg_signal(sequence, np.array([0.6]), np.array([0.2]))[0]
    assert np.abs(signal - sycomore_signal(sequence, 0.6, 0.2)).max() < TOLERANCE
