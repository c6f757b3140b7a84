"""Whether both parts of a model, one after the other, give what the whole graph gives.

Readers compress signals frame by frame, and run the rest of the graph on the coefficients.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mrftool.arrays import Array, ComplexArray
from mrftool.errors import CheckFailedError
from mrftool.inference.session import Model, run, run_compressed, split_of
from mrftool.maps import is_fitted
from mrftool.scan.compression import sums_of

_OF_DEVIATION = 0.01  # largest difference of T1 and T2, over their standard deviation
_OF_M0 = 1e-3  # and of M0, relative
_SHARE = 0.01  # of voxels that may differ more: rounding decides between two minima there
_ROUNDING = 1e-7  # of single precision, relative
Estimates = Mapping[str, Array]


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
    found = run_compressed(model, split, *sums.columns(), **given)
    unequal = _unequal_shares(found, whole)
    if max(unequal.values()) <= _SHARE:
        return
    by_rounding = _unequal_shares(run(model, _rounded_otherwise(signal), **given), whole)
    limit = _SHARE + 2 * max(by_rounding.values())
    for name, share in unequal.items():
        if share > limit:
            raise CheckFailedError(
                f"{share:.0%} of the compressed fingerprints give another {name.upper()} "
                "than the whole graph, expected the same to rounding"
            )


def _unequal_shares(found: Estimates, whole: Estimates) -> dict[str, float]:
    """Share of the fingerprints whose estimates are not equal to rounding, by parameter."""
    fitted = is_fitted(whole["flags"])
    tolerances = {name: _OF_DEVIATION * whole[f"sd_{name}"] for name in ("t1", "t2")}
    tolerances["m0"] = _OF_M0 * np.abs(whole["m0"])
    shares = {}
    for name, tolerance in tolerances.items():
        is_determined = fitted & np.isfinite(tolerance)
        unequal = ~(np.abs(found[name] - whole[name]) <= tolerance)
        shares[name] = float(unequal[is_determined].sum() / max(is_determined.sum(), 1))
    return shares


def _rounded_otherwise(signal: ComplexArray) -> ComplexArray:
    """The signals with other rounding errors: a network that was hardly trained starts the fit so
    far away that they decide which minimum it finds.
    """
    errors = np.random.default_rng(0).uniform(-_ROUNDING, _ROUNDING, signal.shape)
    return np.asarray(signal * (1 + errors), np.complex64)
