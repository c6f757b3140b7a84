"""What the nodes of a graph compute, as columns: one number of each voxel."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mrftool.arrays import Array, IndexArray
from mrftool.inference.native.instructions import Code, Ids, NotTranslatableError

if TYPE_CHECKING:
    from onnx import NodeProto

Kind = Literal["float", "bool", "int"]


@dataclass(frozen=True, eq=False)
class Columns:
    """A tensor whose first axis is voxels; `ids` has its other axes."""

    ids: IndexArray
    kind: Kind = "float"

    @property
    def flat(self) -> Ids:
        """All columns, in order."""
        return tuple(self.ids.ravel().tolist())


@dataclass(frozen=True, eq=False)
class TableRows:
    """Rows of a constant table that wait for their weights: `(voxel, near, column)`."""

    table: Array
    index: Columns


Known = Columns | TableRows | Array


@dataclass
class Translation:
    """A graph on its way into code: the values that are known by name."""

    code: Code = field(default_factory=Code)
    values: dict[str, Known] = field(default_factory=dict)

    def operand(self, node: "NodeProto", k: int, kind: Kind = "float") -> Columns:
        """Input k of a node, which native code computes."""
        value = columns(self.known(node, k))
        require(value.kind == kind)
        return value

    def constant(self, node: "NodeProto", k: int) -> Array:
        """Input k of a node, which does not depend on voxels."""
        return array(self.known(node, k))

    def known(self, node: "NodeProto", k: int) -> Known:
        """Input k of a node."""
        require(k < len(node.input) and node.input[k] in self.values)
        return self.values[node.input[k]]

    def numbers(self, node: "NodeProto", k: int) -> list[int]:
        """Input k of a node: whole numbers that are known, as of axes and lengths."""
        value = self.constant(node, k)
        require(value.dtype == np.int64 and value.ndim == 1)
        return [int(number) for number in value]

    def new(self, ids: Ids, shape: tuple[int, ...], kind: Kind = "float") -> Columns:
        """Columns in a shape."""
        return Columns(np.array(ids, np.intp).reshape(shape), kind)


def require(fits: bool) -> None:
    """Raises NotTranslatableError where something does not fit."""
    if not fits:
        raise NotTranslatableError


def columns(value: Known | None) -> Columns:
    """A value that native code computes."""
    if isinstance(value, Columns):
        return value
    raise NotTranslatableError


def array(value: Known | None) -> Array:
    """A value that does not depend on voxels."""
    if isinstance(value, np.ndarray):
        return value
    raise NotTranslatableError


def attributes(node: "NodeProto", **defaults: Any) -> dict[str, Any]:
    """The attributes of a node; it has no others than those with defaults."""
    from onnx import helper

    found = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    require(set(found) <= set(defaults))
    return defaults | found


def inner_axis(axis: int, value: Columns) -> int:
    """An axis of a tensor as one of its columns; it is not that of voxels."""
    n_axes = value.ids.ndim + 1
    require(-n_axes < axis < n_axes and axis != 0)
    return axis % n_axes - 1
