"""The graph fits any number of parameters: here B1 beside T1 and T2."""

from dataclasses import replace

import numpy as np
import onnxruntime

from mrftool.exporting.graph.assemble import assemble
from mrftool.manifold.parameters import B1, T1, T2
from mrftool.manifold.tabulate import build_table
from mrftool.physics.cramer_rao import bound_of_signals
from mrftool.physics.noise import add_noise
from mrftool.physics.simulate import signal_and_derivatives
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

RANGES = {"t1": (0.5, 1.5), "t2": (0.04, 0.2), "b1": (0.8, 1.2)}


def test_three_parameters_are_fitted_at_their_bound(short_sequence: PulseSequence) -> None:
    flips = 0.2 + 0.9 * np.sin(np.arange(40) / 6) ** 2
    sequence = replace(short_sequence, flip_angle=flips)
    keywords = {f"{name}_range": limits for name, limits in RANGES.items()}
    table = build_table(sequence, **keywords, tolerance=2e-3)
    fitted = replace(table, parameters=(T1, T2, replace(B1, fitted=True, largest_step=0.1)))
    model = assemble(fitted, np.zeros((40, 0), complex), RANGES, polish_steps=6)
    session = onnxruntime.InferenceSession(model.SerializeToString())

    count = 400
    tissue = Tissue(np.full(count, 0.9), np.full(count, 0.09), b1=0.97)
    names = ("t1", "t2", "b1")
    signal, slopes = signal_and_derivatives(sequence, tissue, with_respect_to=names)
    noise = np.full(count, 2e-4)
    noisy = add_noise(signal, noise, np.random.default_rng(0)).astype(np.complex64)
    rows = noisy.view(np.float32).reshape(count, 40, 2)
    outputs = [output.name for output in session.get_outputs()]
    assert outputs == ["t1", "t2", "b1", "m0", "residual", "sd_t1", "sd_t2", "sd_b1", "flags"]
    values = session.run(None, {"signal": rows, "noise_sd": noise[:1].astype(np.float32)})
    found = dict(zip(outputs, values, strict=True))

    bound = bound_of_signals(signal, slopes, noise)[0]
    for name, expected in zip(names, bound, strict=True):
        error = found[name] - getattr(tissue, name)
        np.testing.assert_allclose(np.median(found[f"sd_{name}"]), expected, rtol=0.05)
        assert abs(error.mean()) < 5 * expected / np.sqrt(count) + 0.2 * expected
        assert 0.85 < error.std() / expected < 1.15
