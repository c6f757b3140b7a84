"""ONNX files as untrusted input: what is parsed and checked is what runs, and nothing outside of
it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrftool.errors import InputError
from mrftool.formats.atomic import writing
from mrftool.formats.regular_file import read_regular

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 20  # version of ONNX's operators that models are written in
MAX_BYTES = 2_000_000_000  # what protobuf can hold
_STANDARD = {"", "ai.onnx"}
_EXTERNAL = 1  # TensorProto.EXTERNAL


def read_model(path: Path) -> tuple[bytes, "ModelProto"]:
    """The bytes of an ONNX file and what they say.

    Raises InputError if it is missing, is no ONNX, uses operators that are not ONNX's own or keeps
    numbers elsewhere.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    content = read_regular(Path(path), MAX_BYTES, "an .onnx model")
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError) as error:
        raise InputError(
            f"{path}: is no ONNX file or a damaged one, expected a model made by mrftool export"
        ) from error
    if not model.graph.node:
        raise InputError(f"{path}: holds no graph, expected a model made by mrftool export")
    check_self_contained(model, str(path))
    return content, model


def check_self_contained(model: "ModelProto", name: str) -> None:
    """Raises InputError if `model` keeps numbers in other files or uses operators that are not
    ONNX's own.
    """
    own = {function.domain for function in model.functions}
    foreign = {node.domain for node in _nodes(model)} - _STANDARD - own
    if foreign:
        raise InputError(
            f"{name}: uses operators of {min(foreign)!r}, expected standard ONNX operators only"
        )
    if any(
        tensor.data_location == _EXTERNAL or len(tensor.external_data) for tensor in _tensors(model)
    ):
        raise InputError(f"{name}: keeps its numbers in another file, expected all of them inside")


def _graphs(model: "ModelProto") -> Iterator[Any]:
    """The graph, and those inside its nodes and functions."""
    waiting: list[Any] = [model.graph, *model.functions]
    while waiting:
        graph = waiting.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                waiting.extend([attribute.g] if attribute.HasField("g") else [])
                waiting.extend(attribute.graphs)


def _nodes(model: "ModelProto") -> Iterator[Any]:
    for graph in _graphs(model):
        yield from graph.node


def _tensors(model: "ModelProto") -> Iterator[Any]:
    for graph in _graphs(model):
        yield from getattr(graph, "initializer", ())
        for sparse in getattr(graph, "sparse_initializer", ()):
            yield from (sparse.values, sparse.indices)
    for node in _nodes(model):
        for attribute in node.attribute:
            yield from attribute.tensors
            yield attribute.t
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)


def write_model(model: "ModelProto", path: Path) -> None:
    """Write `model` to a file, whole or not at all. Raises InputError if it cannot be written."""
    with writing(path) as part:
        part.write_bytes(model.SerializeToString())
