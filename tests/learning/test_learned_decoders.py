"""What the recurrent decoder is told of a sequence."""

import numpy as np
import pytest

pytest.importorskip("torch")

from mrftool.learning.networks.learned_decoders import train_columns
from mrftool.sequence import Pulses, PulseSequence


def test_the_decoder_is_told_of_the_pulses_that_are_observed() -> None:
    flips = np.deg2rad([5.0, 10.0, 20.0, 40.0])
    sequence = PulseSequence(
        name="dummies first",
        flip_angle=flips,
        rf_phase=np.zeros(4),
        te=np.array([2e-3, 3e-3, 4e-3, 5e-3]),
        tr=np.array([10e-3, 11e-3, 12e-3, 13e-3]),
        events=(Pulses(0, 2, acquire=False), Pulses(2, 4)),
    )
    columns = train_columns(sequence).numpy()
    assert len(columns) == len(sequence)
    expected = np.stack([flips[2:], [0.4, 0.5], [1.2, 1.3]], axis=1)
    np.testing.assert_allclose(columns, expected, rtol=1e-6)
