"""Writing an ONNX graph as if it were NumPy: `a @ b + 1` adds the nodes and gives the value that
they compute.
"""

from dataclasses import dataclass, field
from typing import Any, Union

import numpy as np
from numpy.typing import ArrayLike
from onnx import NodeProto, TensorProto, helper, numpy_helper

from mrftool.arrays import Array

Operand = Union["Value", float]

FLOAT, INT32, INT64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64


@dataclass
class Tape:
    """Nodes and constants in the making; it fills up as values are computed with each other."""

    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[str, TensorProto] = field(default_factory=dict)
    _known: dict[tuple[Any, ...], "Value"] = field(default_factory=dict)

    def input(self, name: str) -> "Value":
        """A value that comes from outside, or from a node that was put on the tape by hand."""
        return Value(self, name)

    def constant(self, array: ArrayLike, dtype: type = np.float32, name: str = "") -> "Value":
        """A constant; the same number twice is stored once."""
        numbers: Array = np.asarray(array, dtype)
        key = (numbers.dtype.str, numbers.shape, numbers.tobytes())
        if key not in self._known:
            name = name or f"constant_{len(self.constants)}"
            self.constants[name] = numpy_helper.from_array(
                np.ascontiguousarray(numbers).reshape(numbers.shape), name
            )
            self._known[key] = Value(self, name)
        return self._known[key]

    def indices(self, *numbers: int) -> "Value":
        """A vector of int64: axes, shapes, positions."""
        return self.constant(np.array(numbers), np.int64)

    def op(self, kind: str, *inputs: Operand, output: str = "", **attributes: Any) -> "Value":
        """The one output of a standard operator; plain numbers become float32 constants `(1, 1)`,
        the fastest kind.
        """
        values = [x if isinstance(x, Value) else self.constant([[x]]) for x in inputs]
        name = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [v.name for v in values], [name], **attributes))
        return Value(self, name)


@dataclass(frozen=True)
class Value:
    """A tensor that the graph will compute."""

    tape: Tape
    name: str

    def __add__(self, other: Operand) -> "Value":
        return self.tape.op("Add", self, other)

    def __sub__(self, other: Operand) -> "Value":
        return self.tape.op("Sub", self, other)

    def __rsub__(self, other: Operand) -> "Value":
        return self.tape.op("Sub", other, self)

    def __mul__(self, other: Operand) -> "Value":
        return self.tape.op("Mul", self, other)

    def __truediv__(self, other: Operand) -> "Value":
        return self.tape.op("Div", self, other)

    def __rtruediv__(self, other: Operand) -> "Value":
        return self.tape.op("Div", other, self)

    def __neg__(self) -> "Value":
        return self.tape.op("Neg", self)

    def __matmul__(self, other: "Value") -> "Value":
        return self.tape.op("MatMul", self, other)

    def __gt__(self, other: Operand) -> "Value":
        return self.tape.op("Greater", self, other)

    def __lt__(self, other: Operand) -> "Value":
        return self.tape.op("Less", self, other)

    def __or__(self, other: "Value") -> "Value":
        return self.tape.op("Or", self, other)

    def __and__(self, other: "Value") -> "Value":
        return self.tape.op("And", self, other)

    def __invert__(self) -> "Value":
        return self.tape.op("Not", self)

    def cut(self, axis: int, start: int, stop: int) -> "Value":
        """Elements `start` to `stop` (excluded) along `axis`."""
        at = self.tape.indices
        return self.tape.op("Slice", self, at(start), at(stop), at(axis))

    def split(self, axis: int, lengths: list[int]) -> list["Value"]:
        """Pieces of these lengths along `axis`, in order."""
        names = [f"split_{len(self.tape.nodes)}_{k}" for k in range(len(lengths))]
        inputs = [self.name, self.tape.indices(*lengths).name]
        self.tape.nodes.append(helper.make_node("Split", inputs, names, axis=axis))
        return [Value(self.tape, name) for name in names]

    def reshape(self, *shape: int) -> "Value":
        """0 keeps a length (of voxels); the others are given, so that no voxels is a legal number
        of them.
        """
        return self.tape.op("Reshape", self, self.tape.indices(*shape))

    def to(self, dtype: int) -> "Value":
        """The same numbers in another type."""
        return self.tape.op("Cast", self, to=dtype)

    def swap(self) -> "Value":
        """`(voxel, a, b)` to `(voxel, b, a)`."""
        return self.tape.op("Transpose", self, perm=[0, 2, 1])


def row_sum(x: Value) -> Value:
    """Sum along the last axis, which becomes 1."""
    return x.tape.op("ReduceSum", x, x.tape.indices(-1), keepdims=1)


def concat(values: list[Value], axis: int) -> Value:
    """Values side by side along `axis`."""
    return values[0].tape.op("Concat", *values, axis=axis)


def sqrt(x: Value) -> Value:
    """Square root."""
    return x.tape.op("Sqrt", x)


def exp(x: Value) -> Value:
    """Exponential."""
    return x.tape.op("Exp", x)


def where(condition: Value, yes: Operand, no: Operand) -> Value:
    """`yes` where `condition`, else `no`."""
    return condition.tape.op("Where", condition, yes, no)


def maximum(x: Value, y: Operand) -> Value:
    """The larger of both; NaN stays."""
    return x.tape.op("Max", x, y)


def minimum(x: Value, y: Operand) -> Value:
    """The smaller of both; NaN stays."""
    return x.tape.op("Min", x, y)


def clip(x: Value, low: float, high: float) -> Value:
    """`x` held between two numbers."""
    return minimum(maximum(x, low), high)


def to_array(tensor: TensorProto) -> Array:
    """The numbers of a stored tensor."""
    return np.asarray(numpy_helper.to_array(tensor))
