"""What the graph of a model may compute: our own operators, on tensors of bounded size.

A graph of standard operators can still fill the memory (a constant of many gigabytes) or never end
(a loop). The graphs of `mrftool.export` have no loops, and the size of every tensor follows from
the number of voxels.
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mrftool.errors import InputError

if TYPE_CHECKING:
    from onnx import ModelProto

VOXELS = 64  # for which sizes are found
MAX_NODES = 50_000
MAX_TENSOR = 1 << 25  # elements of one tensor
MAX_TOTAL = 1 << 28  # elements of all tensors together
OPERATORS = frozenset(
    """
    Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast Ceil Clip Concat Constant Conv
    Cos Div Dropout Einsum Elu Equal Erf Exp Expand Flatten Floor GRU Gather GatherElements
    GatherND Gelu Gemm GlobalAveragePool Greater GreaterOrEqual HardSigmoid Identity IsInf IsNaN
    LSTM LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax MatMul Max MaxPool Min Mod
    Mul Neg Not Or Pad Pow RNN Range Reciprocal ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
    ReduceSumSquare Relu Reshape Round ScatterElements ScatterND Shape Sigmoid Sign Sin Slice
    Softmax Softplus Split Sqrt Squeeze Sub Sum Tanh Tile TopK Transpose Unsqueeze Where
    """.split()
)


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
                f"{name}: has the operator {node.op_type[:40]!r}, expected those of a model made by "
                "mrftool export"
            )
    _require_small(model, name)


def _require_small(model: "ModelProto", name: str) -> None:
    total = 0
    for tensor, shape in _shapes(model, name):
        size = MAX_TENSOR + 1
        if None not in shape:
            size = math.prod(shape)
        total += size
        if size > MAX_TENSOR or total > MAX_TOTAL:
            shown = " x ".join(str(length or "?") for length in shape) or "unknown size"
            raise InputError(
                f"{name}: its tensor {tensor[:40]!r} is {shown} for {VOXELS} voxels, expected at most "
                f"{MAX_TENSOR} numbers in one and {MAX_TOTAL} in all"
            )


def _shapes(model: "ModelProto", name: str) -> Iterator[tuple[str, list[Any]]]:
    """Names and shapes of everything that the graph computes; [None] where a shape is unknown."""
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]  # what the file says of sizes is not believed
    for value in copy.graph.output:
        value.type.tensor_type.ClearField("shape")
    for value in copy.graph.input:
        for length in value.type.tensor_type.shape.dim:
            if not length.HasField("dim_value"):
                length.dim_value = VOXELS
    try:
        inferred = onnx.shape_inference.infer_shapes(copy, data_prop=True).graph
    except Exception as error:  # it raises classes of several kinds
        reason = str(error).strip().partition("\n")[0][:120]
        raise InputError(f"{name}: its graph is damaged: {reason}, expected a model") from error
    known = {value.name: value for value in (*inferred.value_info, *inferred.output)}
    for node in inferred.node:
        for output in filter(None, node.output):
            yield output, _shape(known.get(output))


def _shape(value: Any) -> list[Any]:
    if value is None or not value.type.tensor_type.HasField("shape"):
        return [None]
    shape: list[Any] = []
    for length in value.type.tensor_type.shape.dim:
        shape.append(None)
        if length.HasField("dim_value") and length.dim_value >= 0:
            shape[-1] = length.dim_value
    return shape
