"""The k-space trajectory of Pulseq files. Oracle: pypulseq's own `calculate_kspace`."""

import warnings

import numpy as np
import pytest
from pulseq_factory import RF_DEAD, Fisp, pp, system

from mrftool.errors import InputError
from mrftool.formats.sequence.pulseq.kspace import read_kspace


def _write(sequence, path, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sequence.write(str(path), **options)


def _of_pypulseq(path):
    """Points `(sample, 3)` of all readouts [1/m]."""
    sequence = pp.Sequence()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sequence.read(str(path))
        return np.asarray(sequence.calculate_kspace()[0]).T


@pytest.mark.parametrize("v141_compat", [False, True])
@pytest.mark.parametrize("readout", ["cartesian", "spiral"])
def test_points_are_those_of_pypulseq(tmp_path, readout, v141_compat):
    path = tmp_path / "train.seq"
    Fisp(readout=readout, noise=0).write(path, v141_compat=v141_compat)
    found = read_kspace(path)
    assert found.shape[0] == 6
    expected = _of_pypulseq(path).reshape(found.shape)
    assert abs(expected[..., :2]).max() > 50
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_noise_readouts_before_the_first_pulse_are_left_out(tmp_path):
    Fisp(noise=2, readout="spiral").write(tmp_path / "train.seq")
    Fisp(noise=0, readout="spiral").write(tmp_path / "same.seq")
    same = read_kspace(tmp_path / "same.seq")
    np.testing.assert_allclose(read_kspace(tmp_path / "train.seq"), same, atol=1e-6)


def _spin_echo(samples):
    """Spokes before and after a refocusing pulse."""
    limits = system()
    sequence = pp.Sequence(limits)
    shape = {"duration": 1e-3, "delay": RF_DEAD, "system": limits}
    excite = pp.make_block_pulse(np.pi / 2, use="excitation", **shape)
    refocus = pp.make_block_pulse(np.pi, use="refocusing", **shape)
    for count in samples:
        spoke = pp.make_trapezoid("x", flat_area=300, flat_time=2e-3, system=limits)
        other = pp.make_trapezoid("y", flat_area=-170, flat_time=2e-3, system=limits)
        adc = pp.make_adc(count, duration=2e-3, delay=spoke.rise_time, system=limits)
        for events in ((excite,), (spoke, other, adc), (refocus,), (spoke, other, adc)):
            sequence.add_block(*events)
    return sequence


def test_a_refocusing_pulse_turns_k_round(tmp_path):
    _write(_spin_echo([64, 64]), tmp_path / "echo.seq")
    found = read_kspace(tmp_path / "echo.seq")
    assert found[1, 0, 0] < -200
    expected = _of_pypulseq(tmp_path / "echo.seq").reshape(found.shape)
    np.testing.assert_allclose(found, expected, atol=0.5)


def test_readouts_of_several_lengths_are_refused(tmp_path):
    _write(_spin_echo([64, 80]), tmp_path / "uneven.seq")
    with pytest.raises(InputError, match="readouts of 64, 80 samples, expected as many in all"):
        read_kspace(tmp_path / "uneven.seq")
