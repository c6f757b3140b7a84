"""The graph of a model in two parts: the compression of signals, and all that follows.

Compression is a product with a matrix, which the reader of a scan can do frame by frame, faster
than a graph. What follows is the graph itself, without the nodes that compress.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mrftool.arrays import Array
from mrftool.scan.compressor import Compressor

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto


@dataclass(frozen=True, eq=False)
class SplitModel:
    """A model of complex signals whose graph reads them for compression alone.

    Parameters
    ----------
    compressor
        What its first nodes compute.
    rest
        The other nodes, an ONNX model.
    coefficients, energy
        Names of the inputs that take the place of the signal: `(voxel, column)`, `(voxel, 1)`.
    """

    compressor: Compressor
    rest: bytes
    coefficients: str
    energy: str


def split_model(content: bytes) -> SplitModel | None:
    """The parts of the model in `content`; None where its graph reads signals for more."""
    import onnx

    model = onnx.load_model_from_string(content)
    head = _head(model.graph)
    if head is None:
        return None
    _, product, _, energy = head
    matrix = _constant(model.graph, product.input[1])
    if matrix is None or matrix.ndim != 2 or len(matrix) % 2 or not np.isfinite(matrix).all():
        return None
    _cut(model.graph, head, matrix.shape[1])
    compressor = Compressor.from_matrix(matrix)
    return SplitModel(compressor, model.SerializeToString(), product.output[0], energy.output[0])


def _head(graph: "GraphProto") -> "tuple[NodeProto, ...] | None":
    """Reshape, MatMul, Mul and ReduceSum that make coefficients and energies of the signal."""
    first = _users(graph, "signal")
    if [node.op_type for node in first] != ["Reshape"]:
        return None
    second = _users(graph, first[0].output[0])
    if [node.op_type for node in second] != ["MatMul", "Mul"]:
        return None
    third = _users(graph, second[1].output[0])
    flat = first[0].output[0]
    if [node.op_type for node in third] != ["ReduceSum"] or list(second[1].input) != [flat, flat]:
        return None
    axes = _constant(graph, third[0].input[1])
    if axes is None or axes.tolist() != [-1] or second[0].input[0] != flat:
        return None
    return (*first, *second, *third)


def _users(graph: "GraphProto", name: str) -> "list[NodeProto]":
    return [node for node in graph.node if name in node.input]


def _constant(graph: "GraphProto", name: str) -> Array | None:
    from onnx import numpy_helper

    for tensor in graph.initializer:
        if tensor.name == name:
            return np.asarray(numpy_helper.to_array(tensor))
    return None


def _cut(graph: "GraphProto", head: "tuple[NodeProto, ...]", n_columns: int) -> None:
    """Take the head, its matrix and the signal out of a graph; what the head makes comes in."""
    from onnx import TensorProto, helper

    for node in head:
        graph.node.remove(node)
    matrix = head[1].input[1]
    if not _users(graph, matrix):
        graph.initializer.remove(next(each for each in graph.initializer if each.name == matrix))
    graph.input.remove(next(each for each in graph.input if each.name == "signal"))
    for node, width in ((head[1], n_columns), (head[3], 1)):
        shape: list[str | int | None] = ["voxel", width]
        graph.input.append(helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, shape))
