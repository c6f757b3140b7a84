"""What the arithmetic of a model cannot beat: its operations at the rate at which the processor
multiplies matrices.
"""

import numpy as np
import onnx
import onnxruntime

SIZE = 1024  # of the square matrices
_ELEMENTWISE = {
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Sqrt",
    "Exp",
    "Log",
    "Max",
    "Min",
    "Neg",
    "Abs",
    "Less",
    "Greater",
    "Equal",
    "And",
    "Or",
    "Not",
    "Where",
    "IsNaN",
    "IsInf",
    "Cast",
}


def operations(model, voxels=16):
    """(in matrix products, others) that the graph needs for one voxel, from the sizes that its
    values really have.
    """
    proto = onnx.load_from_string(model.content)
    known = {x.name for x in proto.graph.output}
    names = [
        name for node in proto.graph.node for name in node.output if name and name not in known
    ]
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = _session(proto, onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL)
    feeds = {
        "signal": np.ones((voxels, model.n_time, 2), np.float32),
        "noise_sd": np.zeros(1, np.float32),
    }
    outputs = [x.name for x in session.get_outputs()]
    shapes = {x.name: tuple(x.dims) for x in proto.graph.initializer}
    shapes |= {
        name: np.shape(value)
        for name, value in zip(outputs, session.run(outputs, feeds), strict=True)
    }
    shapes |= {name: value.shape for name, value in feeds.items()}
    products = others = 0
    for node in proto.graph.node:
        taken, given = (
            np.prod(shapes[name], dtype=int) for name in (node.input[0], node.output[0])
        )
        if node.op_type in ("MatMul", "Gemm"):
            products += 2 * given * shapes[node.input[0]][-1]
        elif node.op_type.startswith(("Reduce", "Arg")):
            others += taken
        elif node.op_type in _ELEMENTWISE:
            others += given
    return products / voxels, others / voxels


def matrix_products():
    """Calls that multiply two matrices of SIZE, by library; one of them reaches the peak."""
    a = np.random.default_rng(0).standard_normal((SIZE, SIZE)).astype(np.float32)
    a_kind, c_kind = (
        onnx.helper.make_tensor_value_info(x, onnx.TensorProto.FLOAT, [SIZE, SIZE]) for x in "ac"
    )
    node = onnx.helper.make_node("MatMul", ["a", "b"], ["c"])
    graph = onnx.helper.make_graph(
        [node], "product", [a_kind], [c_kind], [onnx.numpy_helper.from_array(a, "b")]
    )
    proto = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10
    )
    session = _session(proto, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL)
    calls = {"numpy": lambda: a @ a, "onnxruntime": lambda: session.run(None, {"a": a})}
    try:
        import torch
    except ImportError:
        return calls
    torch.set_num_threads(1)
    tensor = torch.tensor(a)
    return calls | {"torch": lambda: tensor @ tensor}


def _session(proto, level):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = level
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
