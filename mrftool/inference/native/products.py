"""Nodes that sum: products with matrices, of each voxel's own rows, and along axes."""

from typing import TYPE_CHECKING

import numpy as np

from mrftool.arrays import Array
from mrftool.inference.native.instructions import (
    GROUP,
    LARGEST_TABLE,
    MOST_NEAR,
    MOST_ROWS,
    WIDEST,
    Code,
    Ids,
    Instruction,
)
from mrftool.inference.native.values import (
    Columns,
    TableRows,
    Translation,
    array,
    attributes,
    inner_axis,
    require,
)

if TYPE_CHECKING:
    from onnx import NodeProto


def gemm(own: Translation, node: "NodeProto") -> list[Columns]:
    """`a @ matrix + bias`."""
    options = attributes(node, alpha=1.0, beta=1.0, transA=0, transB=0)
    require(options["alpha"] == options["beta"] == 1.0 and options["transA"] == 0)
    value, matrix = own.operand(node, 0), own.constant(node, 1)
    require(value.ids.ndim == 1 and matrix.ndim == 2)
    if options["transB"]:
        matrix = matrix.T
    bias = np.zeros(matrix.shape[1], np.float32)
    if len(node.input) > 2:
        bias = own.constant(node, 2)
        require(bias.shape in (matrix.shape[1:], (1, *matrix.shape[1:])))
    return [_product(own, value, matrix, bias.ravel())]


def matmul(own: Translation, node: "NodeProto") -> list[Columns]:
    """Products with a constant matrix, with rows of a table, or of rows of each voxel."""
    attributes(node)
    value, other = own.operand(node, 0), own.known(node, 1)
    if isinstance(other, np.ndarray):
        require(other.ndim == 2)
        return [_product(own, value, other, np.zeros(other.shape[1], np.float32))]
    if isinstance(other, TableRows):
        return [_weighted_rows(own, value, other)]
    return [_pairs(own, value, own.operand(node, 1))]


def _product(own: Translation, value: Columns, matrix: Array, bias: Array) -> Columns:
    """The last axis times a matrix."""
    length, n = matrix.shape
    require(matrix.dtype == bias.dtype == np.float32)
    require(value.ids.ndim > 0 and value.ids.shape[-1] == length > 0 and n > 0)
    at, also = own.code.pooled(_packed(matrix)), own.code.pooled(_padded_bias(bias))
    found: list[int] = []
    for row in value.ids.reshape(-1, length).tolist():
        first = own.code.contiguous(tuple(row))
        instruction = Instruction("product", n, 0, ((first, 1),), length, at, also)
        found += own.code.once(instruction, packed_columns(n))[:n]
    return own.new(tuple(found), (*value.ids.shape[:-1], n))


def packed_columns(n: int) -> int:
    """Columns of a product as native code computes them."""
    return sum(_groups(n))


def _groups(n: int) -> list[int]:
    """Columns that are packed together: GROUP, and a power of 2 for the last."""
    rest = n % GROUP
    last = [1 << (rest - 1).bit_length()] if rest else []
    return [GROUP] * (n // GROUP) + last


def _packed(matrix: Array) -> Array:
    """As `do_product` reads a matrix, group by group `(length, columns of the group)`."""
    length, n = matrix.shape
    filled = np.zeros((length, packed_columns(n)), np.float32)
    filled[:, :n] = matrix
    ends = np.cumsum(_groups(n))
    return np.concatenate([part.ravel() for part in np.split(filled, ends[:-1], axis=1)])


def _padded_bias(bias: Array) -> Array:
    return np.pad(bias, (0, packed_columns(len(bias)) - len(bias)))


def _weighted_rows(own: Translation, weights: Columns, rows: TableRows) -> Columns:
    """Sums of rows of a table `(result, column)`; weights: `(result, near)`."""
    near = rows.index.ids.size
    require(weights.ids.ndim == 2 and weights.ids.shape[1] == near <= MOST_NEAR)
    require(len(weights.ids) <= MOST_ROWS and rows.table.ndim == 2)
    n = rows.table.shape[1]
    operands = (
        (own.code.contiguous(rows.index.flat), 1),
        (own.code.contiguous(weights.flat), 1),
    )
    also = len(weights.ids)
    instruction = _gather(own.code, rows.table, operands, near, also)
    return own.new(own.code.once(instruction, also * n), (also, n))


def _gather(
    code: Code, table: Array, operands: tuple[tuple[int, int], ...], length: int, also: int
) -> Instruction:
    """Of rows of a table `(row, column)`, which are padded in the pool."""
    n_rows, n = table.shape
    require(table.dtype == np.float32 and 0 < n_rows <= LARGEST_TABLE and n > 0)
    at = code.pooled(np.pad(table, ((0, 0), (0, -n % WIDEST))))
    return Instruction("gather", n, 0, operands, length, at, also, n_rows)


def _pairs(own: Translation, one: Columns, other: Columns) -> Columns:
    """Inner products `(row, other)` of `one` `(row, length)` and `other` `(length, other)`."""
    require(one.ids.ndim == other.ids.ndim == 2 and one.ids.shape[1] == len(other.ids))
    rows = [own.code.contiguous(tuple(row)) for row in one.ids.tolist()]
    others = [own.code.contiguous(tuple(row)) for row in other.ids.T.tolist()]
    shape = (len(rows), len(others))
    at = own.code.listed((*rows, *others))
    instruction = Instruction("pairs", len(rows), length=len(other.ids), at=at, also=len(others))
    return own.new(own.code.once(instruction, len(rows) * len(others)), shape)


def gather(own: Translation, node: "NodeProto") -> list[Columns | TableRows]:
    """Rows of a constant table, one or several of each voxel; or chosen columns."""
    axis = attributes(node, axis=0)["axis"]
    table = own.known(node, 0)
    if isinstance(table, Columns):
        return [_chosen(own, node, table, axis)]
    index = own.operand(node, 1, "int")
    table = array(table)
    require(table.ndim >= 2 and axis == 0)
    if index.ids.ndim == 1:
        return [TableRows(table, index)]
    require(index.ids.ndim == 0)
    flat = table.reshape(len(table), -1)
    instruction = _gather(own.code, flat, ((index.flat[0], 1),), 1, 0)
    return [own.new(own.code.once(instruction, flat.shape[1]), table.shape[1:])]


def _chosen(own: Translation, node: "NodeProto", value: Columns, axis: int) -> Columns:
    index = own.constant(node, 1)
    axis = inner_axis(axis, value)
    require(index.dtype == np.int64 and index.ndim <= 1)
    require(bool(((index >= 0) & (index < value.ids.shape[axis])).all()))
    return Columns(value.ids.take(index, axis), value.kind)


def reduce_sum(own: Translation, node: "NodeProto") -> list[Columns]:
    """Sums along the last axis."""
    keeps = attributes(node, keepdims=1)["keepdims"]
    value, axes = own.operand(node, 0), own.numbers(node, 1)
    require(len(axes) == 1 and inner_axis(axes[0], value) == value.ids.ndim - 1)
    *outer, length = value.ids.shape
    first = own.code.contiguous(value.flat)
    n = value.ids.size // length
    found = own.code.once(Instruction("sum", n, 0, ((first, 1),), length), n)
    return [own.new(found, (*outer, 1) if keeps else tuple(outer))]


def argmax(own: Translation, node: "NodeProto") -> list[Columns]:
    """Which column is the largest."""
    options = attributes(node, axis=0, keepdims=1, select_last_index=0)
    value = own.operand(node, 0)
    require(options == {"axis": 1, "keepdims": 0, "select_last_index": 0})
    require(value.ids.ndim == 1)
    first: Ids = (own.code.contiguous(value.flat),)
    found = own.code.once(Instruction("argmax", 1, 0, ((first[0], 1),), value.ids.size), 1)
    return [own.new(found, (), "int")]
