import os
import signal
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from front_door import works

from mrftool.exporting.make import make_model
from mrftool.formats.sequence.yaml_file import sequence_to_dict
from mrftool.inference.model.onnx_file import write_model
from mrftool.sequence import Inversion, PulseSequence, Train

os.environ.setdefault(
    "OMP_WAIT_POLICY", "PASSIVE"
)  # before torch: threads that spin hold up the others


@pytest.fixture(scope="session", autouse=True)
def interrupts_are_heard() -> None:
    """A shell's background job, as a test run may be, starts with SIGINT ignored, and its children
    too.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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
    zeros, tr, te = np.zeros(40), np.full(40, 0.012), np.full(40, 0.003)
    return PulseSequence(flips, zeros, tr, te, Train(Inversion(1.0, 0.02)).events, name="short")


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory, short_sequence: PulseSequence) -> Path:
    """A folder with `short.yaml`, and `brain.nii.gz`, a noise-free complex scan with it, its truth
    beside it.
    """
    folder = tmp_path_factory.mktemp("shelf")
    (folder / "short.yaml").write_text(yaml.safe_dump(sequence_to_dict(short_sequence)))
    scan = ("--phantom", "brain", "--matrix", 24, "-o", folder / "brain.nii.gz")
    works("simulate", "--seq", folder / "short.yaml", *scan)
    return folder


@pytest.fixture(scope="session")
def make_onnx(
    tmp_path_factory: pytest.TempPathFactory, short_sequence: PulseSequence
) -> Callable[..., Path]:
    """Makes models of the short sequence without a network, each once in a session."""

    @cache
    def make(**options: Any) -> Path:
        path = tmp_path_factory.mktemp("model") / "short.onnx"
        model, _ = make_model(short_sequence, tolerance=1e-3, check=False, **options)
        write_model(model, path)
        return path

    return make


@pytest.fixture(scope="session")
def model(make_onnx: Callable[..., Path]) -> Path:
    """A model of the short sequence for complex scans."""
    return make_onnx()
