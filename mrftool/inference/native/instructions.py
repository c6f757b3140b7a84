"""Instructions of native/graph.c, as they are written for numbered columns.

A column is one number of each voxel. An instruction writes a range of columns that no other writes;
`placement` finds room for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, takewhile

import numpy as np

from mrftool.arrays import Array

GROUP = 8  # columns of a product that are packed together, as in native/graph.c
WIDEST = 16  # floats to whole numbers of which rows of tables are padded
MOST_ROWS, MOST_NEAR = 4, 1024  # of a gathered product
LARGEST_TABLE = 1 << 24  # rows that a float can count
ELEMENTWISE = (
    *("add", "subtract", "multiply", "divide", "maximum", "minimum", "greater", "less"),
    *("and", "or", "not", "negate", "sqrt", "floor", "truncate", "exp", "sigmoid", "softplus"),
    *("relu", "is_nan", "is_inf", "copy", "where"),
)
OPERATIONS = (
    *ELEMENTWISE,
    *("product", "pairs", "gather", "sum", "argmax", "load", "spread", "store", "store_integer"),
)
_CODES = {name: code for code, name in enumerate(OPERATIONS)}
_MOST_COLUMNS = 1 << 20
Ids = tuple[int, ...]


class NotTranslatableError(Exception):
    """A graph that native code does not run."""


@dataclass(frozen=True)
class Instruction:
    """`instruction` of native/graph.c. `operands` are columns (first, step) or (first, 0)."""

    operation: str
    n: int = 1
    to: int = 0
    operands: tuple[tuple[int, int], ...] = ()
    length: int = 1
    at: int = 0
    also: int = 0
    rows: int = 0

    @property
    def writes(self) -> bool:
        """Whether it writes columns."""
        return not self.operation.startswith("store")

    def encoded(self, places: Sequence[int]) -> list[int]:
        """Its numbers, with columns at their places."""
        firsts, steps = [0, 0, 0], [0, 0, self.rows]
        for k, (first, step) in enumerate(self.operands):
            firsts[k] = places[first]
            if self.operation in ELEMENTWISE:
                steps[k] = step
        head = [_CODES[self.operation], self.n, places[self.to]]
        return [*head, *firsts, *steps, self.length, self.at, self.also]


@dataclass
class Code:
    """Instructions in the making."""

    instructions: list[Instruction] = field(default_factory=list)
    ranges: list[tuple[int, int]] = field(default_factory=list)
    constants: list[tuple[int, bytes]] = field(default_factory=list)
    pool: list[Array] = field(default_factory=list)
    lists: list[tuple[int, Ids]] = field(default_factory=list)
    n_columns: int = 0
    _n_pooled: int = 0
    _n_listed: int = 0
    _known: dict[tuple[object, ...], Ids] = field(default_factory=dict)

    def new_columns(self, count: int) -> Ids:
        """A range of columns; a gap after it keeps it apart from the next."""
        first = self.n_columns
        if first + count > _MOST_COLUMNS:
            raise NotTranslatableError
        self.ranges.append((first, count))
        self.n_columns += count + 1
        return tuple(range(first, first + count))

    def constant(self, numbers: Array) -> Ids:
        """Columns that hold the same for all voxels."""
        values = np.ascontiguousarray(numbers, np.float32).tobytes()
        key = ("constant", values)
        if key not in self._known:
            self._known[key] = self.new_columns(len(values) // 4)
            self.constants.append((self._known[key][0], values))
        return self._known[key]

    def pooled(self, numbers: Array) -> int:
        """Where numbers lie in the pool."""
        values = np.ascontiguousarray(numbers, np.float32).ravel()
        key = ("pool", values.tobytes())
        if key not in self._known:
            self._known[key] = (self._n_pooled,)
            self.pool.append(values)
            self._n_pooled += len(values)
        return self._known[key][0]

    def listed(self, columns: Ids) -> int:
        """Where columns lie in the lists."""
        start = self._n_listed
        self.lists.append((start, columns))
        self._n_listed += len(columns)
        return start

    def each(self, operation: str, *operands: Ids) -> Ids:
        """An operation on each of some columns; operands are equally many."""
        key = (operation, *operands)
        if key not in self._known:
            result = self.new_columns(len(operands[0]))
            for start, stop in _runs(operands):
                parts = tuple((ids[start], _step(ids, start, stop)) for ids in operands)
                self._put(operation, stop - start, result[start], parts)
            self._known[key] = result
        return self._known[key]

    def once(self, instruction: Instruction, count: int) -> Ids:
        """The `count` columns of an instruction that is no operation on each."""
        key = (instruction,)
        if key not in self._known:
            result = self.new_columns(count)
            self.instructions.append(replace(instruction, to=result[0]))
            self._known[key] = result
        return self._known[key]

    def contiguous(self, ids: Ids) -> int:
        """The first of the same columns side by side."""
        if all(two == one + 1 for one, two in pairwise(ids)):
            return ids[0]
        return self.each("copy", ids)[0]

    @property
    def row_length(self) -> int:
        """Numbers of a voxel that loads and gathered rows pass on side by side, at most."""
        lengths = [WIDEST]
        for instruction in self.instructions:
            if instruction.operation in ("load", "gather"):
                results = max(instruction.also, 1)
                lengths.append(results * (instruction.n + -instruction.n % WIDEST))
        return max(lengths)

    def _put(self, operation: str, n: int, to: int, operands: tuple[tuple[int, int], ...]) -> None:
        self.instructions.append(Instruction(operation, n, to, operands))


def _step(ids: Ids, start: int, stop: int) -> int:
    if stop - start == 1:
        return 0
    return ids[start + 1] - ids[start]


def _runs(operands: tuple[Ids, ...]) -> list[tuple[int, int]]:
    """Pieces in which each operand stays, or goes on by one column at a time."""
    n = len(operands[0])
    if n == 1 or all(_is_run(ids, n) for ids in operands):
        return [(0, n)]
    rows = list(zip(*operands, strict=True))
    steps = [_difference(*pair) for pair in pairwise(rows)]
    runs, start = [], 0
    while start < n:
        stop = start + _run_length(steps[start:])
        runs.append((start, stop))
        start = stop
    return runs


def _difference(one: Ids, other: Ids) -> Ids:
    return tuple(b - a for a, b in zip(one, other, strict=True))


def _run_length(steps: list[Ids]) -> int:
    """Columns before the first step that is another, or too long."""
    if not steps or not set(steps[0]) <= {0, 1}:
        return 1
    return 1 + len(list(takewhile(steps[0].__eq__, steps)))


def _is_run(ids: Ids, n: int) -> bool:
    first = ids[0]
    return ids in ((first,) * n, tuple(range(first, first + n)))
