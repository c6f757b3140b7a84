"""Nodes that only arrange: their results are the same columns in another order."""

from typing import TYPE_CHECKING

import numpy as np

from mrftool.inference.native.instructions import NotTranslatableError
from mrftool.inference.native.values import (
    Columns,
    Translation,
    attributes,
    columns,
    inner_axis,
    require,
)

if TYPE_CHECKING:
    from onnx import NodeProto


def identity(own: Translation, node: "NodeProto") -> list[Columns]:
    """The same."""
    attributes(node)
    return [columns(own.known(node, 0))]


def reshape(own: Translation, node: "NodeProto") -> list[Columns]:
    """Voxels stay the first axis; one value for all voxels has a first axis of length 1."""
    require(attributes(node, allowzero=0)["allowzero"] == 0)
    value, shape = columns(own.known(node, 0)), own.numbers(node, 1)
    is_spread = node.input[0] == "noise_sd"
    require(len(shape) > 0 and shape[0] == int(is_spread) and min(shape[1:], default=1) > 0)
    require(int(np.prod(shape[1:])) == value.ids.size)
    return [Columns(value.ids.reshape(shape[1:]), value.kind)]


def concat(own: Translation, node: "NodeProto") -> list[Columns]:
    """Side by side along an axis."""
    values = [columns(own.known(node, k)) for k in range(len(node.input))]
    axis = inner_axis(attributes(node, axis=0)["axis"], values[0])
    require(len({(value.kind, value.ids.ndim) for value in values}) == 1)
    try:
        ids = np.concatenate([value.ids for value in values], axis)
    except ValueError as error:
        raise NotTranslatableError from error
    return [Columns(ids, values[0].kind)]


def split(own: Translation, node: "NodeProto") -> list[Columns]:
    """Pieces along an axis."""
    value, lengths = columns(own.known(node, 0)), own.numbers(node, 1)
    axis = inner_axis(attributes(node, axis=0)["axis"], value)
    require(len(lengths) == len(node.output) and min(lengths) > 0)
    require(sum(lengths) == value.ids.shape[axis])
    pieces = np.split(value.ids, np.cumsum(lengths)[:-1], axis)
    return [Columns(ids, value.kind) for ids in pieces]


def cut(own: Translation, node: "NodeProto") -> list[Columns]:
    """A range along one axis."""
    value = columns(own.known(node, 0))
    parts = [own.numbers(node, k) for k in range(1, len(node.input))]
    require(len(parts) >= 3 and all(len(part) == 1 for part in parts))
    (start,), (stop,), (axis,), *steps = parts
    axis = inner_axis(axis, value)
    require(steps in ([], [[1]]) and 0 <= start < stop <= value.ids.shape[axis])
    return [Columns(value.ids.take(range(start, stop), axis), value.kind)]


def squeeze(own: Translation, node: "NodeProto") -> list[Columns]:
    """Without an axis of length 1."""
    value, axes = columns(own.known(node, 0)), own.numbers(node, 1)
    require(len(axes) == 1)
    axis = inner_axis(axes[0], value)
    require(value.ids.shape[axis] == 1)
    return [Columns(value.ids.squeeze(axis), value.kind)]


def unsqueeze(own: Translation, node: "NodeProto") -> list[Columns]:
    """With a new axis of length 1."""
    value, axes = columns(own.known(node, 0)), own.numbers(node, 1)
    require(len(axes) == 1 and 0 < axes[0] <= value.ids.ndim + 1)
    return [Columns(np.expand_dims(value.ids, axes[0] - 1), value.kind)]


def transpose(own: Translation, node: "NodeProto") -> list[Columns]:
    """Axes in another order; voxels stay first."""
    value, order = columns(own.known(node, 0)), attributes(node, perm=[])["perm"]
    require(sorted(order) == list(range(value.ids.ndim + 1)) and order[0] == 0)
    return [Columns(value.ids.transpose([axis - 1 for axis in order[1:]]), value.kind)]
