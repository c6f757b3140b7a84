"""How far estimates of T1 and T2 are from the reference: for each tissue class and over all voxels.
NumPy only.

Bland-Altman numbers: J. M. Bland, D. G. Altman, Lancet 327:307 (1986). The logarithmic error is the
usual score of MRF networks; a few voxels of impossibly short T1 or T2 (fit failures) can decide it,
so it is given without them too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mrftool.arrays import BoolArray, FloatArray
from mrftool.errors import MismatchError
from mrftool.physics.calibration import calibration, is_determined, rmse_over_bound
from mrftool.tissue import Tissue

SHORTEST = 1e-3  # [s]: a reference T1 or T2 below this is a failed fit, not tissue


@dataclass(frozen=True)
class Score:
    """Errors of one parameter in one region; None where a number is not defined.

    Parameters
    ----------
    parameter, region
        "t1" or "t2"; "all" or the name of a tissue class.
    n, n_invalid
        Voxels that are scored, and further ones whose estimate is not positive and finite.
    reference_mean
        Mean of the reference [ms].
    bias, sd, rmse
        Mean, standard deviation and root mean square of estimate - reference [ms].
    bias_percent, error_percent
        Mean of the relative error and of its magnitude [%].
    log10_mse, log10_mse_tissue, n_tissue
        Mean squared difference of log10 [1]; the same over the n_tissue voxels whose reference T1
        and T2 are 1 ms or more.
    agreement_low, agreement_high, agreement_slope
        Bland-Altman limits, bias -+ 1.96 sd [ms], and slope of the difference against the mean of
        estimate and reference [1].
    coverage_1sd, coverage_2sd
        Share of voxels whose reference lies within one and two reported standard deviations of the
        estimate [1]: 0.683 and 0.954 if the deviations are right.
    coverage_2u
        The same of two combined uncertainties, which hold systematic errors too.
    z_mean, z_sd
        Mean and standard deviation of (estimate - reference) / reported deviation [1]: 0 and 1 if
        the deviations are right.
    n_bound, rmse_over_bound
        Root mean square of error / Cramer-Rao bound [1], over the n_bound voxels whose bound is
        known and below a fifth of the reference.

    """

    parameter: str
    region: str
    n: int
    n_invalid: int
    reference_mean: float | None = None
    bias: float | None = None
    sd: float | None = None
    rmse: float | None = None
    bias_percent: float | None = None
    error_percent: float | None = None
    log10_mse: float | None = None
    log10_mse_tissue: float | None = None
    n_tissue: int = 0
    agreement_low: float | None = None
    agreement_high: float | None = None
    agreement_slope: float | None = None
    coverage_1sd: float | None = None
    coverage_2sd: float | None = None
    coverage_2u: float | None = None
    z_mean: float | None = None
    z_sd: float | None = None
    n_bound: int = 0
    rmse_over_bound: float | None = None


@dataclass(frozen=True, eq=False)
class _Columns:
    """One parameter `(voxel,)` [s]: reference, estimate, reported deviation by noise and combined
    uncertainty, and Cramer-Rao bound.

    What is not known is NaN. is_tissue: voxels with T1 and T2 of SHORTEST or more.
    """

    reference: FloatArray
    estimate: FloatArray
    is_tissue: BoolArray
    sd: FloatArray
    uncertainty: FloatArray
    bound: FloatArray

    def __getitem__(self, mask: BoolArray) -> "_Columns":
        return _Columns(**{name: column[mask] for name, column in vars(self).items()})


def scores(
    reference: Tissue,
    estimate: Mapping[str, ArrayLike],
    *,
    labels: NDArray[np.integer] | None = None,
    classes: Sequence[str] = (),
    sd: Mapping[str, ArrayLike] | None = None,
    uncertainty: Mapping[str, ArrayLike] | None = None,
    bound: Mapping[str, ArrayLike] | None = None,
) -> list[Score]:
    """Scores of every parameter of `estimate`: over all voxels, then for each class that occurs.

    Parameters
    ----------
    reference
        Tissue that the estimates are compared with `(voxel,)`.
    estimate
        Estimates by parameter, "t1" and "t2", `(voxel,)` [s].
    labels, classes
        Index of the class of each voxel `(voxel,)`, and the names of the classes; a voxel with
        another index belongs to none.
    sd
        Standard deviations that the estimator reports `(voxel,)` [s].
    uncertainty
        Combined standard uncertainties that it reports `(voxel,)` [s].
    bound
        Cramer-Rao bounds `(voxel,)` [s], NaN where they are not known.

    Raises
    ------
    MismatchError
        If a column has another length than the reference.

    """
    n = len(reference)
    regions = [("all", np.ones(n, bool)), *_regions(labels, classes, n)]
    is_tissue = (reference.t1 >= SHORTEST) & (reference.t2 >= SHORTEST)
    result = []
    for key, values in estimate.items():
        columns = _Columns(
            getattr(reference, key),
            _column(key, values, n),
            is_tissue,
            _optional_column(f"sd_{key}", sd, key, n),
            _optional_column(f"uncertainty_{key}", uncertainty, key, n),
            _optional_column(f"bound of {key}", bound, key, n),
        )
        has_bound = bound is not None and key in bound
        result += [_score(key, name, columns[mask], has_bound) for name, mask in regions]
    return result


def log10_mse(
    reference: Tissue, estimate: Mapping[str, ArrayLike], *, shortest: float = 0.0
) -> float:
    """Mean squared difference of log10 over T1 and T2 together, as MRF papers score networks [1].

    Over the voxels whose reference T1 and T2 are `shortest` [s] or more and whose estimates are
    positive and finite; NaN if there is none.
    """
    true = np.stack([reference.t1, reference.t2])
    found = np.stack([_column(key, estimate[key], len(reference)) for key in ("t1", "t2")])
    used = (true >= shortest).all(axis=0) & _is_valid(found).all(axis=0)
    if not used.any():
        return float("nan")
    return float(np.mean((np.log10(found[:, used]) - np.log10(true[:, used])) ** 2))


def _is_valid(estimate: FloatArray) -> BoolArray:
    return np.asarray(np.isfinite(estimate) & (estimate > 0))


def _column(name: str, values: ArrayLike, n: int) -> FloatArray:
    column = np.asarray(values, np.float64)
    if column.shape != (n,):
        raise MismatchError(f"{name} has shape {column.shape}, expected ({n},) as the reference")
    return column


def _optional_column(
    name: str, columns: Mapping[str, ArrayLike] | None, key: str, n: int
) -> FloatArray:
    """The column of a parameter, NaN throughout where there is none."""
    if columns is None or key not in columns:
        return np.full(n, np.nan)
    return _column(name, columns[key], n)


def _regions(
    labels: NDArray[np.integer] | None, classes: Sequence[str], n: int
) -> Iterator[tuple[str, BoolArray]]:
    if labels is None:
        return
    if labels.shape != (n,):
        raise MismatchError(
            f"the labels have shape {labels.shape}, expected ({n},) as the reference"
        )
    for index, name in enumerate(classes):
        if (labels == index).any():
            yield name, labels == index


def _score(key: str, region: str, columns: _Columns, has_bound: bool) -> Score:
    valid = _is_valid(columns.estimate)
    n = int(valid.sum())
    if not n:
        return Score(key, region, 0, len(valid))
    part = columns[valid]
    calibrated = calibration(part.estimate - part.reference, part.sd)
    calibrated.pop("coverage_95", None)
    combined = calibration(part.estimate - part.reference, part.uncertainty)
    numbers: dict[str, Any] = {**_errors(part), **_log_errors(part), **_agreement(part)}
    numbers |= calibrated
    numbers["coverage_2u"] = combined.get("coverage_2sd")
    if has_bound:
        numbers |= _over_bound(part)
    return Score(key, region, n, len(valid) - n, **numbers)


def _errors(part: _Columns) -> dict[str, float]:
    error = part.estimate - part.reference
    return {
        "reference_mean": 1e3 * float(part.reference.mean()),
        "bias": 1e3 * float(error.mean()),
        "rmse": 1e3 * float(np.sqrt(np.mean(error**2))),
        "bias_percent": 100 * float(np.mean(error / part.reference)),
        "error_percent": 100 * float(np.mean(np.abs(error) / part.reference)),
    }


def _log_errors(part: _Columns) -> dict[str, float | int]:
    squares = (np.log10(part.estimate) - np.log10(part.reference)) ** 2
    numbers: dict[str, float | int] = {"log10_mse": float(squares.mean())}
    if part.is_tissue.any():
        numbers["log10_mse_tissue"] = float(squares[part.is_tissue].mean())
    return {**numbers, "n_tissue": int(part.is_tissue.sum())}


def _agreement(part: _Columns) -> dict[str, float]:
    """Spread of the errors and the Bland-Altman numbers; of a single voxel there are none."""
    error = part.estimate - part.reference
    if len(error) < 2:
        return {}
    bias, sd = float(error.mean()), float(error.std(ddof=1))
    numbers = {
        "sd": 1e3 * sd,
        "agreement_low": 1e3 * (bias - 1.96 * sd),
        "agreement_high": 1e3 * (bias + 1.96 * sd),
    }
    middle = (part.reference + part.estimate) / 2
    variance = float(middle.var())
    if variance > 0:
        numbers["agreement_slope"] = float(np.mean((middle - middle.mean()) * error)) / variance
    return numbers


def _over_bound(part: _Columns) -> dict[str, float | int]:
    used = is_determined(part.reference, part.bound)
    numbers: dict[str, float | int] = {"n_bound": int(used.sum())}
    if used.any():
        error = (part.estimate - part.reference)[used]
        numbers["rmse_over_bound"] = rmse_over_bound(error, part.bound[used])
    return numbers
