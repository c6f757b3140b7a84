"""Graphs that would fill the memory or never end are refused before anything is computed."""

from itertools import pairwise

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mrftool.environment.shipped import find_file
from mrftool.errors import InputError
from mrftool.inference.model.graph_limits import require_bounded
from mrftool.inference.session import load_model


def model(nodes: list[onnx.NodeProto], **constants: np.ndarray) -> onnx.ModelProto:
    """Nodes that take `signal` (voxel, 4) and `limit`, and make `y`."""
    graph = helper.make_graph(
        nodes,
        "test",
        [
            helper.make_tensor_value_info("signal", TensorProto.FLOAT, ["voxel", 4]),
            helper.make_tensor_value_info("limit", TensorProto.INT64, [1]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values, key) for key, values in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


def doubled(times: int) -> list[onnx.NodeProto]:
    names = ["signal", *(f"x{i}" for i in range(1, times)), "y"]
    return [helper.make_node("Concat", [a, a], [b], axis=0) for a, b in pairwise(names)]


def endless_loop() -> onnx.NodeProto:
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("go_on", TensorProto.BOOL, [])],
    )
    return helper.make_node("Loop", ["", "go"], [], body=body)


HUGE = np.array([40_000, 40_000], np.int64)
BAD = {
    "a constant of gigabytes": (
        [helper.make_node("ConstantOfShape", ["shape"], ["y"])],
        {"shape": HUGE},
        "ConstantOfShape",
    ),
    "an expanded row": (
        [helper.make_node("Expand", ["one", "shape"], ["y"])],
        {"shape": HUGE, "one": np.ones((1, 1), np.float32)},
        "40000 x 40000 for 64 voxels",
    ),
    "doubled forty times": (doubled(40), {}, "for 64 voxels"),
    "an outer product": (
        [helper.make_node("MatMul", ["column", "row"], ["y"])],
        {"column": np.ones((30_000, 1), np.float32), "row": np.ones((1, 30_000), np.float32)},
        "30000 x 30000",
    ),
    "a size that the data decide": (
        [helper.make_node("Expand", ["one", "limit"], ["y"])],
        {"one": np.ones(1, np.float32)},
        "is ? for 64 voxels",
    ),
    "an endless loop": ([endless_loop()], {"go": np.array(True)}, "'Loop'"),
    "a shape that contradicts itself": (
        [helper.make_node("MatMul", ["signal", "row"], ["y"])],
        {"row": np.ones((3, 2), np.float32)},
        "expected",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_graphs_without_bounds_are_refused(name: str) -> None:
    nodes, constants, expected = BAD[name]
    with pytest.raises(InputError) as caught:
        require_bounded(model(nodes, **constants), "bad.onnx")
    assert str(caught.value).startswith("bad.onnx: ") and expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_graphs_of_ours_are_taken() -> None:
    small = model(
        [helper.make_node("MatMul", ["signal", "row"], ["y"])], row=np.ones((4, 2), np.float32)
    )
    require_bounded(small, "good.onnx")
    load_model(find_file("models", "fisp", ".onnx"))


def test_sizes_that_the_file_states_are_not_believed() -> None:
    bomb = model(doubled(40))
    bomb.graph.value_info.extend(
        helper.make_tensor_value_info(f"x{i}", TensorProto.FLOAT, [1, 4]) for i in range(1, 40)
    )
    with pytest.raises(InputError, match="for 64 voxels"):
        require_bounded(bomb, "bad.onnx")
