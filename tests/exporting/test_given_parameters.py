"""Splines in the graph over the axes of several given parameters."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
from onnx import helper

from mrftool.exporting.graph.ops import FLOAT, Tape
from mrftool.exporting.graph.spline import spline_of
from mrftool.inference.model.onnx_file import OPSET
from mrftool.manifold.bspline import Axis
from mrftool.manifold.compression import Basis
from mrftool.manifold.parameters import B1, T1, T2
from mrftool.manifold.table import SignalTable, evaluate_derivatives

OFF_RESONANCE = replace(B1, name="off_resonance", label="off-resonance", unit="Hz", default=0.0)
AXES = (Axis(-2.0, 0.5, 6), Axis(-4.0, 0.4, 5), Axis(0.8, 0.1, 5), Axis(-20.0, 10.0, 7))


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("given", [(), (B1,), (B1, OFF_RESONANCE)])
def test_the_graph_evaluates_the_table(given, is_complex) -> None:
    random = np.random.default_rng(0)
    axes = AXES[: 2 + len(given)]
    shape = [*(axis.size + 2 for axis in axes), 3]
    coefficients = random.standard_normal(shape)
    if is_complex:
        coefficients = coefficients + 1j * random.standard_normal(shape)
    basis = Basis(np.eye(9, 3), not is_complex, 1.0, 0.0, 1.0)
    table = SignalTable(axes, coefficients, basis, "complex", 0.0, 0.0, "", None, (T1, T2, *given))
    low, high = np.array(table.limits).T
    points = random.uniform(low, high, (50, len(axes)))

    tape = Tape()
    values = tape.input("given") if given else None
    rows = spline_of(tape, table, values).rows(tape.input("place"))
    tape.op("Identity", rows, output="rows")
    names = ["place", "given"][: 1 + bool(given)]
    inputs = [helper.make_tensor_value_info(name, FLOAT, None) for name in names]
    outputs = [helper.make_tensor_value_info("rows", FLOAT, None)]
    graph = helper.make_graph(tape.nodes, "g", inputs, outputs, list(tape.constants.values()))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    starts, steps = np.array([(axis.start, axis.step) for axis in axes[:2]]).T
    feeds = {"place": (points[:, :2] - starts) / steps, "given": points[:, 2:]}
    found = session.run(None, {name: feeds[name].astype(np.float32) for name in names})[0]

    expected = evaluate_derivatives(table, points)
    expected[:, 1:] *= steps[:, None]
    if is_complex:
        expected = np.concatenate([expected.real, expected.imag], axis=-1)
    np.testing.assert_allclose(found, expected, atol=2e-4 * abs(expected).max())
