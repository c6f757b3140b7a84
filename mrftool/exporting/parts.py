"""Whether a model gives the same in each of the ways in which it runs.

Readers compress signals frame by frame, and run the rest of the graph on the coefficients: native
code does, or ONNX Runtime. A model of magnitudes has no parts; native code runs all of it.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from mrftool.arrays import Array
from mrftool.errors import CheckFailedError
from mrftool.inference.native.comparison import excess_shares, rounded_otherwise
from mrftool.inference.session import (
    Model,
    native_rest,
    native_whole,
    run,
    run_compressed,
    split_of,
)
from mrftool.scan.compression import sums_of


def require_same_parts(model: Model, signal: Array, **given: Any) -> None:
    """Refuse a model that does not give the same in parts, or in native code, as its whole graph.

    Parameters
    ----------
    model
        A model.
    signal
        Fingerprints in noise `(voxel, time)`, complex64, or float32 for magnitudes [any unit].
    given
        The given parameters that the model takes, by name `(voxel,)`.

    Raises
    ------
    CheckFailedError
        If an estimate differs by more than rounding.
    """
    whole = run(model, signal, **given)

    def otherwise() -> dict[str, Array]:
        changed: dict[str, Any] = {
            name: rounded_otherwise(np.asarray(values)) for name, values in given.items()
        }
        return run(model, rounded_otherwise(signal), **changed)

    for way, found in _other_ways(model, signal, given):
        for name, share in excess_shares(found, whole, otherwise).items():
            raise CheckFailedError(
                f"{share:.0%} of the fingerprints give another {name.upper()} {way} than in the "
                "whole graph, expected the same to rounding"
            )


def _other_ways(
    model: Model, signal: Array, given: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Array]]]:
    """What the other ways to run a model give, with their names."""
    split = split_of(model.content)
    if split is None:
        native = native_whole(model, is_trusted=True)
        if native is not None:
            yield "in native code", run(model, signal, native=native, **given)
        return
    sums = sums_of(split.compressor, len(signal))
    sums.add(np.ascontiguousarray(signal.T), 0)
    columns = sums.columns()
    for native in (None, native_rest(split, is_trusted=True)):
        yield "when compressed", run_compressed(model, split, *columns, native=native, **given)
