"""From the graph of a model to instructions that native code runs.

Every kind of node that an exported model has is known here, with the attributes and shapes that it
has there. A graph with anything else is not translated: ONNX Runtime runs it.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mrftool.arrays import IndexArray
from mrftool.inference.native import products, shapes
from mrftool.inference.native.instructions import Code, Ids, Instruction, NotTranslatableError
from mrftool.inference.native.machine import Port
from mrftool.inference.native.values import (
    Columns,
    Kind,
    Known,
    Translation,
    array,
    attributes,
    columns,
    require,
)

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto, ValueInfoProto

_ARITHMETIC = {
    "Add": "add",
    "Sub": "subtract",
    "Mul": "multiply",
    "Div": "divide",
    "Max": "maximum",
    "Min": "minimum",
    "Neg": "negate",
    "Sqrt": "sqrt",
    "Floor": "floor",
    "Exp": "exp",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "Relu": "relu",
}
_COMPARISONS = {"Greater": "greater", "Less": "less", "IsNaN": "is_nan", "IsInf": "is_inf"}
_LOGIC = {"And": "and", "Or": "or", "Not": "not"}
# Operation, kind of its operands, and kind of its result, by kind of node.
_EACH: dict[str, tuple[str, Kind, Kind]] = {
    **{node: (name, "float", "float") for node, name in _ARITHMETIC.items()},
    **{node: (name, "float", "bool") for node, name in _COMPARISONS.items()},
    **{node: (name, "bool", "bool") for node, name in _LOGIC.items()},
}
# Kinds of node with two operands.
_TWO = frozenset({"Add", "Sub", "Mul", "Div", "Max", "Min", "Greater", "Less", "And", "Or"})


def translated(graph: "GraphProto", outputs: Sequence[str]) -> Code:
    """The code of a graph; its inputs are numbered in order, and so are `outputs`.

    Raises
    ------
    NotTranslatableError
        If native code does not run it.
    """
    from onnx import numpy_helper

    own = Translation()
    for tensor in graph.initializer:
        require(tensor.data_location == 0)
        own.values[tensor.name] = np.asarray(numpy_helper.to_array(tensor))
    for number, each in enumerate(graph.input):
        own.values[each.name] = _loaded(own, number, each)
    for node in graph.node:
        require(node.domain == "" and node.op_type in _NODES)
        results = _NODES[node.op_type](own, node)
        require(len(results) == len(node.output))
        own.values.update(zip(node.output, results, strict=True))
    for number, name in enumerate(outputs):
        _store(own, number, own.values.get(name))
    return own.code


def ports(graph: "GraphProto", outputs: Sequence[str]) -> tuple[list[Port], list[Port]]:
    """The inputs and outputs of a graph that was translated, as native code numbers them."""
    inputs = [Port(value.name, _shape(value)) for value in graph.input]
    known = {value.name: value for value in graph.output}
    found = []
    for name in outputs:
        dtype = {_FLOAT: np.float32, _INT32: np.int32}[known[name].type.tensor_type.elem_type]
        found.append(Port(name, _shape(known[name]), dtype))
    return inputs, found


def _shape(value: "ValueInfoProto") -> tuple[int, ...] | None:
    """Of an input or output for each voxel; None for a single number for all voxels."""
    sizes = [int(size.dim_value) for size in value.type.tensor_type.shape.dim]
    require(1 <= len(sizes) <= 2 and min(sizes[1:], default=1) > 0)
    if sizes == [1]:
        return None
    return tuple(sizes[1:])


def _loaded(own: Translation, number: int, value: "ValueInfoProto") -> Columns:
    """An input: `(voxel,)` or `(voxel, column)`, or a single number for all voxels."""
    require(value.type.tensor_type.elem_type == _FLOAT)
    shape = _shape(value)
    if shape is None:
        return own.new(own.code.once(Instruction("spread", at=number), 1), ())
    n = math.prod(shape)
    return own.new(own.code.once(Instruction("load", n, at=number), n), shape)


def _store(own: Translation, number: int, value: Known | None) -> None:
    found = columns(value)
    operation = {"float": "store", "int": "store_integer"}[found.kind]
    first, n = own.code.contiguous(found.flat), found.ids.size
    own.code.instructions.append(Instruction(operation, n, 0, ((first, 1),), at=number))


def _each(own: Translation, node: "NodeProto") -> list[Known]:
    """Operations on each number."""
    operation, kind, result = _EACH[node.op_type]
    if node.op_type == "IsInf":
        options = attributes(node, detect_negative=1, detect_positive=1)
        require(options["detect_negative"] == options["detect_positive"] == 1)
    else:
        attributes(node)
    require(len(node.input) == 1 + (node.op_type in _TWO))
    values = [own.known(node, k) for k in range(len(node.input))]
    if node.op_type == "Neg" and isinstance(values[0], np.ndarray):
        return [-values[0]]
    ids, shape = _broadcast(own, values, [kind] * len(values))
    return [own.new(own.code.each(operation, *ids), shape, result)]


def _where(own: Translation, node: "NodeProto") -> list[Known]:
    attributes(node)
    values = [own.known(node, k) for k in range(3)]
    ids, shape = _broadcast(own, values, ["bool", "float", "float"])
    return [own.new(own.code.each("where", *ids), shape)]


def _broadcast(
    own: Translation, values: Iterable[Known], kinds: Sequence[Kind]
) -> tuple[list[Ids], tuple[int, ...]]:
    """Columns of all operands in one shape; those of voxels have as many axes as each other."""
    values = list(values)
    own_axes = {value.ids.ndim for value in values if isinstance(value, Columns)}
    require(len(own_axes) == 1)
    n_axes = own_axes.pop()
    parts = [_operand(own, value, kind, n_axes) for value, kind in zip(values, kinds, strict=True)]
    shape = _common_shape(parts)
    return [_spread(part, shape) for part in parts], shape


def _common_shape(parts: list[IndexArray]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*{part.shape for part in parts})
    except ValueError as error:
        raise NotTranslatableError from error


def _spread(ids: IndexArray, shape: tuple[int, ...]) -> Ids:
    if ids.shape != shape:
        ids = np.broadcast_to(ids, shape)
    return tuple(ids.ravel().tolist())


def _operand(own: Translation, value: Known, kind: Kind, n_axes: int) -> IndexArray:
    """Columns of an operand beside tensors with `n_axes` axes after that of voxels."""
    if isinstance(value, Columns):
        require(value.kind == kind)
        return value.ids
    numbers = array(value)
    require(numbers.dtype == np.float32 and kind == "float")
    require(numbers.size > 0 and numbers.ndim <= n_axes + 1)
    if numbers.ndim == n_axes + 1:
        require(len(numbers) == 1)
        numbers = numbers[0]
    return np.asarray(own.code.constant(numbers), np.intp).reshape(numbers.shape)


def _cast(own: Translation, node: "NodeProto") -> list[Known]:
    """Truth values to 1 and 0; numbers to whole numbers and back."""
    to = attributes(node, to=0)["to"]
    value = columns(own.known(node, 0))
    if to == _FLOAT:
        return [Columns(value.ids, "float")]
    require(to in (_INT32, _INT64) and value.kind == "float")
    return [own.new(own.code.each("truncate", value.flat), value.ids.shape, "int")]


_FLOAT, _INT32, _INT64 = 1, 6, 7  # of onnx.TensorProto
_NODES: dict[str, Callable[[Translation, "NodeProto"], Sequence[Known]]] = {
    **dict.fromkeys(_EACH, _each),
    "Where": _where,
    "Cast": _cast,
    "Gemm": products.gemm,
    "MatMul": products.matmul,
    "Gather": products.gather,
    "ReduceSum": products.reduce_sum,
    "ArgMax": products.argmax,
    "Identity": shapes.identity,
    "Reshape": shapes.reshape,
    "Concat": shapes.concat,
    "Split": shapes.split,
    "Slice": shapes.cut,
    "Squeeze": shapes.squeeze,
    "Unsqueeze": shapes.unsqueeze,
    "Transpose": shapes.transpose,
}
