"""The graph of a model as native code: what `native/graph.c` runs, and its library.

The library is of its own. Where it is missing, or where the environment says
MRFTOOL_ENGINE=reference, ONNX Runtime runs the graph.
"""

import ctypes
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mrftool.arrays import Array, Float32Array
from mrftool.environment.native import (
    WIDTHS,
    library_in_use,
    native_library,
    widest_registers,
)
from mrftool.inference.native.instructions import WIDEST, Code
from mrftool.inference.native.placement import places_of

_ALIGNMENT = 64  # bytes
_DONE = 0  # what graph_run returns
_PARTS = ("code", "pool", "lists", "constants", "inputs", "outputs", "columns")  # of a job
_POINTER_AND_SIZE = (("", ctypes.c_void_p), ("n_", ctypes.c_int64))


class _Ends(ctypes.Structure):
    """`input` and `output` of native/graph.c."""

    _fields_ = (("values", ctypes.c_void_p), ("width", ctypes.c_int64))


class _Job(ctypes.Structure):
    """`job` of native/graph.c, field by field."""

    _fields_ = (
        *((f"{n}{part}", kind) for part in _PARTS for n, kind in _POINTER_AND_SIZE),
        ("rows", ctypes.c_void_p),
        ("row_length", ctypes.c_int64),
        ("n_voxels", ctypes.c_int64),
    )


@dataclass(frozen=True)
class Port:
    """An input or output.

    Parameters
    ----------
    name
        In the graph.
    shape
        Of its numbers for each voxel; None for one number for all voxels.
    dtype
        Of its numbers.
    """

    name: str
    shape: tuple[int, ...] | None
    dtype: type = np.float32

    @property
    def width(self) -> int:
        """Numbers for each voxel; 0 for one number for all voxels."""
        if self.shape is None:
            return 0
        return math.prod(self.shape)

    def shape_of(self, n_voxels: int) -> tuple[int, ...]:
        """Of its array."""
        if self.shape is None:
            return (1,)
        return (n_voxels, *self.shape)


@dataclass(frozen=True, eq=False)
class NativeGraph:
    """A graph that native code runs.

    Parameters
    ----------
    code
        Encoded instructions `(instruction, number)`.
    pool, lists, constants
        What they refer to.
    n_columns, row_length
        Room that they need.
    inputs, outputs
        In the order of their numbers.
    """

    code: Array
    pool: Float32Array
    lists: Array
    constants: Float32Array
    n_columns: int
    row_length: int
    inputs: Sequence[Port]
    outputs: Sequence[Port]

    def run(self, feeds: Mapping[str, Array], n_voxels: int) -> list[Array] | None:
        """All outputs `(voxel, width)`, or `(voxel,)`; None where native code cannot compute them.

        Parameters
        ----------
        feeds
            The inputs by name, float32, `(voxel, width)`, `(voxel,)`, or `(1,)` for all voxels.
        n_voxels
            Voxels.
        """
        library = _library()
        if library is None:
            return None
        given = [self._fed(port, feeds[port.name], n_voxels) for port in self.inputs]
        found: list[Array] = [
            np.empty(port.shape_of(n_voxels), port.dtype) for port in self.outputs
        ]
        columns = _aligned(self.n_columns * library.graph_stride())
        rows = _aligned(WIDEST * self.row_length)
        inputs, outputs = _ends(given, self.inputs), _ends(found, self.outputs)
        job = _Job(
            *self._constant_parts(),
            *(ctypes.addressof(inputs), len(inputs)),
            *(ctypes.addressof(outputs), len(outputs)),
            *(columns.ctypes.data, self.n_columns),
            *(rows.ctypes.data, self.row_length, n_voxels),
        )
        if library.graph_run(ctypes.byref(job), WIDTHS[widest()]) != _DONE:
            return None
        return found

    def _constant_parts(self) -> list[int]:
        """Where they begin, and their lengths."""
        parts = (self.code, self.pool, self.lists, self.constants)
        return [number for part in parts for number in (part.ctypes.data, len(part))]

    def _fed(self, port: Port, values: Array, n_voxels: int) -> Float32Array:
        """An input as native code reads it, checked."""
        if values.dtype != np.float32 or values.shape != port.shape_of(n_voxels):
            raise ValueError(
                f"{port.name} is {values.dtype} {values.shape}, "
                f"expected float32 {port.shape_of(n_voxels)}"
            )
        return np.ascontiguousarray(values)


def _ends(arrays: Sequence[Array], ports: Sequence[Port]) -> "ctypes.Array[_Ends]":
    ends = (_Ends * len(ports))()
    for end, values, port in zip(ends, arrays, ports, strict=True):
        end.values, end.width = values.ctypes.data, port.width
    return ends


def native_graph(code: Code, inputs: Sequence[Port], outputs: Sequence[Port]) -> NativeGraph:
    """Native code with places for its columns."""
    places, n_columns = places_of(code)
    numbers = [instruction.encoded(places) for instruction in code.instructions]
    lists = [places[column] for _, columns in code.lists for column in columns]
    constants = np.frombuffer(b"".join(values for _, values in code.constants), np.float32)
    return NativeGraph(
        code=np.array(numbers, np.int32),
        pool=np.concatenate([*code.pool, np.zeros(1, np.float32)]),
        lists=np.array([*lists, 0], np.int32),
        constants=constants,
        n_columns=n_columns,
        row_length=code.row_length,
        inputs=inputs,
        outputs=outputs,
    )


def _aligned(count: int) -> Float32Array:
    """Uninitialised float32 numbers that begin where cache lines do."""
    extra = _ALIGNMENT // 4
    numbers = np.empty(count + extra, np.float32)
    start = -numbers.ctypes.data % _ALIGNMENT // 4
    return numbers[start : start + count]


def widest() -> str:
    """The widest registers that both the library and this processor have, one of WIDTHS."""
    return widest_registers(native_library("graph", _Job), "graph")


def is_available() -> bool:
    """Whether native code runs here."""
    return _library() is not None


def _library() -> ctypes.CDLL | None:
    return library_in_use("graph", _Job)
