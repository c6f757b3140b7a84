import os
from pathlib import Path

import numpy as np
import pytest

from mrftool.sequence import Inversion, PulseSequence


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data: $MRFTOOL_DATA, or ../shared/data beside the checkout."""
    root = Path(os.environ.get("MRFTOOL_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not root.is_dir():
        pytest.skip(f"no data folder at {root}: set MRFTOOL_DATA")
    return root


@pytest.fixture(scope="session")
def short_sequence() -> PulseSequence:
    """Forty pulses that tell T1 from T2: inversion, one lobe of flips, constant TR."""
    flips = np.deg2rad(5 + 55 * np.sin(np.pi * np.arange(40) / 40))
    return PulseSequence(flips, np.zeros(40), np.full(40, 0.012), np.full(40, 0.003), Inversion(1.0, 0.02), name="short")
