"""Whether both parts of a model, one after the other, give what the whole graph gives.

Readers compress signals frame by frame, and run the rest of the graph on the coefficients: native
code does, or ONNX Runtime.
"""

from typing import Any

import numpy as np

from mrftool.arrays import Array, ComplexArray
from mrftool.errors import CheckFailedError
from mrftool.inference.native.comparison import excess_shares, rounded_otherwise
from mrftool.inference.session import Model, native_rest, run, run_compressed, split_of
from mrftool.scan.compression import sums_of


def require_same_parts(model: Model, signal: ComplexArray, **given: Any) -> None:
    """Refuse a model whose parts do not give what the whole graph gives.

    Parameters
    ----------
    model
        A model; one of magnitudes has no parts.
    signal
        Fingerprints in noise `(voxel, time)` complex64 [any unit].
    given
        The given parameters that the model takes, by name `(voxel,)`.

    Raises
    ------
    CheckFailedError
        If an estimate differs by more than rounding.
    """
    split = split_of(model.content)
    if split is None:
        return
    whole = run(model, signal, **given)
    sums = sums_of(split.compressor, len(signal))
    sums.add(np.ascontiguousarray(signal.T), 0)
    columns = sums.columns()

    def otherwise() -> dict[str, Array]:
        changed: dict[str, Any] = {
            name: rounded_otherwise(np.asarray(values)) for name, values in given.items()
        }
        return run(model, rounded_otherwise(signal), **changed)

    for native in (None, native_rest(split, is_trusted=True)):
        found = run_compressed(model, split, *columns, native=native, **given)
        for name, share in excess_shares(found, whole, otherwise).items():
            raise CheckFailedError(
                f"{share:.0%} of the compressed fingerprints give another {name.upper()} "
                "than the whole graph, expected the same to rounding"
            )
