"""Encoders inside the graph: what they are fed, and which are refused."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from mrftool.errors import InputError, MismatchError
from mrftool.exporting.make import make_model, model_table
from mrftool.inference.session import Model, run
from mrftool.manifold.compression import features, real_fingerprints
from mrftool.manifold.table import SignalTable
from mrftool.physics.simulate import simulate
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

RANGES: dict[str, Any] = {"t1_range": (0.2, 3.0), "t2_range": (0.02, 0.5)}
TISSUE = Tissue([0.5, 0.9, 1.6], [0.05, 0.08, 0.2], b1=[0.9, 1.0, 1.1], m0=[1j, -2, 3])


def linear(name: str, weights: np.ndarray, opset: int = 20, domain: str = "") -> onnx.ModelProto:
    """An encoder: rows @ weights + (log 1 s, log 0.1)."""
    nodes = [helper.make_node("Gemm", [name, "weights", "bias"], ["logs"], domain=domain)]
    constants = [numpy_helper.from_array(weights.astype(np.float32), "weights")]
    constants.append(numpy_helper.from_array(np.log([1, 0.1]).astype(np.float32), "bias"))
    inputs = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["voxel", len(weights)])]
    outputs = [helper.make_tensor_value_info("logs", onnx.TensorProto.FLOAT, ["voxel", 2])]
    graph = helper.make_graph(nodes, "encoder", inputs, outputs, constants)
    imports = [helper.make_opsetid("", opset)] + (
        [helper.make_opsetid(domain, 1)] if domain else []
    )
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def columns(table: SignalTable, takes: str, signal: np.ndarray) -> np.ndarray:
    of_form = np.abs(signal) if table.form == "magnitude" else signal
    rows = (features if takes == "features" else real_fingerprints)(of_form, table.feature_basis)
    return np.c_[rows, TISSUE.b1] if table.given else rows


@pytest.mark.slow
@pytest.mark.parametrize("takes", ["features", "fingerprint"])
@pytest.mark.parametrize("form", ["complex", "magnitude"])
@pytest.mark.parametrize("b1_range", [None, (0.8, 1.2)])
@pytest.mark.parametrize("opset", [17, 20])
def test_an_encoder_sees_what_it_was_trained_on(
    short_sequence: PulseSequence,
    takes: str,
    form: str,
    b1_range: tuple[float, float] | None,
    opset: int,
) -> None:
    """Without polish, T1 and T2 are what the encoder says of the rows that NumPy makes."""
    options: dict[str, Any] = {**RANGES, "b1_range": b1_range, "form": form}
    table = model_table(short_sequence, tolerance=1e-3, **options)
    signal = simulate(short_sequence, TISSUE).signal
    rows = columns(table, takes, signal)
    weights = np.random.default_rng(0).uniform(-0.3, 0.3, (rows.shape[1], 2))
    model, manifest = make_model(
        short_sequence,
        encoder=linear(takes, weights, opset),
        polish=0,
        table=table,
        check=False,
        **options,
    )
    assert manifest.encoder == takes
    loaded = Model(Path("model.onnx"), manifest, model.SerializeToString())
    given = np.abs(signal) if form == "magnitude" else signal
    found = run(loaded, given, b1=TISSUE.b1 if b1_range else None)
    log_t1, log_ratio = (rows @ weights + np.log([1, 0.1])).T
    np.testing.assert_allclose(np.log(found["t1"]), log_t1, atol=1e-5)
    np.testing.assert_allclose(np.log(found["t2"]), log_t1 + log_ratio, atol=1e-5)


def test_polish_mends_what_the_encoder_says(short_sequence: PulseSequence) -> None:
    table = model_table(short_sequence, **RANGES)
    signal = simulate(short_sequence, TISSUE).signal
    rows = features(signal, table.feature_basis)
    guess = np.log(np.stack([TISSUE.t1 * 1.1, TISSUE.t2 / TISSUE.t1], axis=1)) - np.log([1, 0.1])
    weights = np.linalg.lstsq(rows, guess, rcond=None)[0]
    seen = {}
    for polish in (0, 1, 3):
        model, manifest = make_model(
            short_sequence,
            encoder=linear("features", weights),
            polish=polish,
            table=table,
            check=False,
            **RANGES,
        )
        loaded = Model(Path("model.onnx"), manifest, model.SerializeToString())
        seen[polish] = abs(
            run(loaded, simulate(short_sequence, Tissue(TISSUE.t1, TISSUE.t2)).signal)["t1"]
            / TISSUE.t1
            - 1
        )
    assert (seen[0] > 0.05).any()
    assert seen[1].max() < seen[0].max() / 2
    assert seen[3].max() < 1e-3


def test_an_encoder_that_does_not_fit_is_refused(short_sequence: PulseSequence) -> None:
    table = model_table(short_sequence, tolerance=1e-3, **RANGES)
    width = 2 * table.rank

    def make(encoder: onnx.ModelProto) -> None:
        make_model(short_sequence, encoder=encoder, table=table, check=False, **RANGES)

    with pytest.raises(InputError, match=f"{width + 1} columns, expected {width} for this"):
        make(linear("features", np.zeros((width + 1, 2))))
    with pytest.raises(InputError, match=r"inputs \['pixels'\], expected one"):
        make(linear("pixels", np.zeros((width, 2))))
    with pytest.raises(InputError, match=r"'ai.example'"):
        make(linear("features", np.zeros((width, 2)), domain="ai.example"))
    outside = linear("features", np.zeros((width, 2)))
    onnx.external_data_helper.set_external_data(outside.graph.initializer[0], "weights.bin")
    with pytest.raises(InputError, match="another file"):
        make(outside)
    two = linear("features", np.zeros((width, 2)))
    two.graph.output.append(two.graph.output[0])
    with pytest.raises(InputError, match="one output"):
        make(two)


def test_a_table_of_something_else_is_refused(short_sequence: PulseSequence) -> None:
    table = model_table(short_sequence, tolerance=1e-3, **RANGES)
    with pytest.raises(MismatchError, match="the table is not one of"):
        make_model(short_sequence, table=table, form="magnitude", check=False, **RANGES)
