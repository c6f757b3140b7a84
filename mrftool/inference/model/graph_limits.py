"""What the graph of a model may compute: our own operators, on tensors of bounded size.

A graph of standard operators can still fill the memory (a constant of many gigabytes) or never end
(a loop). The graphs of `mrftool.exporting` have no loops, and the size of every tensor follows from
the number of voxels.
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mrftool.errors import InputError

if TYPE_CHECKING:
    from onnx import ModelProto

Shape = list[int | None]

VOXELS = 64  # for which sizes are found
MAX_NODES = 50_000
MAX_ROUNDS = 20  # of finding sizes
MAX_TENSOR = 1 << 25  # elements of one tensor
MAX_TOTAL = 1 << 28  # elements of all tensors together
_NAMES = """
    Abs Add And ArgMax Cast Concat Constant Conv Div Equal Exp Expand Floor GRU Gather Gemm Greater
    GreaterOrEqual Identity IsInf IsNaN Less LessOrEqual Log MatMul Max MaxPool Min Mul Neg Not Or
    Pad Pow ReduceMax ReduceMean ReduceSum Relu Reshape Shape Sigmoid Slice Softmax Softplus Split
    Sqrt Squeeze Sub Tanh Transpose Unsqueeze Where
"""
OPERATORS = frozenset(_NAMES.split())


def require_bounded(model: "ModelProto", name: str) -> None:
    """Check operators and sizes before anything is computed.

    Raises
    ------
    InputError
        If the graph has another operator, a loop or a branch, or a tensor whose size is too large
        or does not follow from the number of voxels.
    """
    nodes = model.graph.node
    if len(nodes) > MAX_NODES or len(model.functions) > 0:
        raise InputError(
            f"{name}: has {len(nodes)} operators and {len(model.functions)} functions, expected at "
            f"most {MAX_NODES} operators and no functions"
        )
    for node in nodes:
        has_graph = any(a.HasField("g") or len(a.graphs) for a in node.attribute)
        if node.op_type not in OPERATORS or has_graph:
            raise InputError(
                f"{name}: has the operator {node.op_type[:40]!r}, expected those of a model made "
                "by mrftool export"
            )
    _require_small(model, name)


def _require_small(model: "ModelProto", name: str) -> None:
    total = 0
    for tensor, shape in _shapes(model, name):
        size = math.prod(_length(length) for length in shape)
        total += size
        if size > MAX_TENSOR or total > MAX_TOTAL:
            shown = " x ".join(str(length or "?") for length in shape) or "unknown size"
            raise InputError(
                f"{name}: its tensor {tensor[:40]!r} is {shown} for {VOXELS} voxels, expected at "
                f"most {MAX_TENSOR} numbers in one and {MAX_TOTAL} in all"
            )


def _length(length: int | None) -> int:
    """A length, or more than any tensor may have where it is unknown."""
    if length is None:
        return MAX_TENSOR + 1
    return length


def _shapes(model: "ModelProto", name: str) -> Iterator[tuple[str, Shape]]:
    """Names and shapes of everything that the graph computes; [None] where a shape is unknown."""
    copy = _without_shapes(model)
    for _ in range(MAX_ROUNDS):
        inferred = _inferred(copy, name)
        known = {value.name: value for value in (*inferred.value_info, *inferred.output)}
        completed = _complete_reshapes(inferred, known)
        if not completed:
            break
        copy.graph.value_info.extend(completed)
    for node in inferred.node:
        for output in filter(None, node.output):
            yield output, _shape(known.get(output))


def _without_shapes(model: "ModelProto") -> "ModelProto":
    """A copy for VOXELS voxels, without the sizes that the file states: they may be wrong."""
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    for value in copy.graph.output:
        value.type.tensor_type.ClearField("shape")
    for value in copy.graph.input:
        for length in value.type.tensor_type.shape.dim:
            if not length.HasField("dim_value"):
                length.dim_value = VOXELS
    return copy


def _inferred(model: "ModelProto", name: str) -> Any:
    """The graph with the shapes that ONNX can infer."""
    import onnx

    try:
        return onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except Exception as error:  # it raises classes of several kinds
        reason = str(error).strip().partition("\n")[0][:120]
        raise InputError(f"{name}: its graph is damaged: {reason}, expected a model") from error


def _complete_reshapes(graph: Any, known: dict[str, Any]) -> list[Any]:
    """Outputs of Reshape of which one length was unknown, as their size is that of their input."""
    sizes = _known_sizes(graph, known)
    completed = []
    for node in graph.node:
        value = known.get(node.output[0])
        if node.op_type != "Reshape" or value is None:
            continue
        if _complete(value, sizes.get(node.input[0], 0)):
            completed.append(value)
    return completed


def _known_sizes(graph: Any, known: dict[str, Any]) -> dict[str, int]:
    """Number of elements of each tensor whose shape is known."""
    sizes = {tensor.name: math.prod(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *known.values()):
        shape = _shape(value)
        if None not in shape:
            sizes[value.name] = _product_of_known(shape)
    return sizes


def _complete(value: Any, size: int) -> bool:
    """Fill in the one unknown length of a tensor of `size` elements, if it has one that fits."""
    shape = _shape(value)
    if len(shape) < 2 or shape.count(None) != 1:
        return False
    others = _product_of_known(shape)
    if not (others and size) or size % others:
        return False
    value.type.tensor_type.shape.dim[shape.index(None)].dim_value = size // others
    return True


def _product_of_known(shape: Shape) -> int:
    return math.prod(length for length in shape if length is not None)


def _shape(value: Any) -> Shape:
    if value is None or not value.type.tensor_type.HasField("shape"):
        return [None]
    shape: Shape = []
    for length in value.type.tensor_type.shape.dim:
        shape.append(None)
        if length.HasField("dim_value") and length.dim_value >= 0:
            shape[-1] = length.dim_value
    return shape
