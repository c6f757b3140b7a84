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

SHORTEST = 1e-3  # [s]: reference with T1 or T2 below this is a failed fit, not tissue


@dataclass(frozen=True)
class Score:
    """Errors of one parameter in one region, over `n` voxels; times in ms, None where there is
    nothing to say.

    n_invalid: further voxels, whose estimate is no positive finite number. reference_mean: [ms].
    bias, sd: mean and standard deviation of estimate - reference; rmse: their root mean square [ms].
    bias_percent: mean of the relative error. error_percent: mean of its magnitude.
    log10_mse: mean squared difference of log10 [1]; log10_mse_tissue: over the n_tissue voxels
    whose true T1 and T2 are 1 ms or more.
    agreement_low, agreement_high: Bland-Altman limits, bias -+ 1.96 sd [ms]. agreement_slope: of
    the difference against the mean of estimate and reference [1].
    coverage_1sd, coverage_2sd: share of voxels whose reference lies within one and two reported
    standard deviations (0.683 and 0.954 if the deviations are right). z_mean, z_sd: of (estimate -
    reference) / deviation (0 and 1).
    rmse_over_bound: root mean square of error / Cramer-Rao bound [1], over the n_bound voxels whose
    bound is known and below a fifth of the reference.
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
    z_mean: float | None = None
    z_sd: float | None = None
    n_bound: int = 0
    rmse_over_bound: float | None = None


@dataclass(frozen=True, eq=False)
class _Columns:
    """One parameter in all voxels: reference, estimate, and, where known, reported deviation and bound
    [s].
    """

    reference: FloatArray
    found: FloatArray
    is_tissue: BoolArray
    sd: FloatArray | None
    bound: FloatArray | None

    def __getitem__(self, mask: BoolArray) -> "_Columns":
        sd, bound = (None if column is None else column[mask] for column in (self.sd, self.bound))
        return _Columns(self.reference[mask], self.found[mask], self.is_tissue[mask], sd, bound)


def scores(
    reference: Tissue,
    estimate: Mapping[str, ArrayLike],
    *,
    labels: NDArray[np.integer] | None = None,
    classes: Sequence[str] = (),
    sd: Mapping[str, ArrayLike] | None = None,
    bound: Mapping[str, ArrayLike] | None = None,
) -> list[Score]:
    """Scores of every parameter of `estimate`, "t1" and "t2": over all voxels, then for each class
    that occurs.

    estimate, sd, bound: columns `(voxel,)` [s]: estimates, the standard deviations as the estimator
    reports them, and the smallest ones that the data allow (NaN where they are not known).
    labels: index into `classes` for each voxel; others than these are in no class.

    Raises MismatchError if a column has another length than the reference.
    """
    regions = [("all", np.ones(len(reference), bool)), *_regions(labels, classes, len(reference))]
    is_tissue = (reference.t1 >= SHORTEST) & (reference.t2 >= SHORTEST)
    result = []
    for key, values in estimate.items():
        found = _column(key, values, len(reference))
        about = (
            _optional(f"{kind}{key}", known, key, len(reference))
            for kind, known in (("sd_", sd), ("bound of ", bound))
        )
        columns = _Columns(getattr(reference, key), found, is_tissue, *about)
        result += [_score(key, name, columns[mask]) for name, mask in regions]
    return result


def log10_mse(
    reference: Tissue, estimate: Mapping[str, ArrayLike], *, shortest: float = 0.0
) -> float:
    """Mean squared difference of log10 over T1 and T2 together, as MRF papers score networks [1].

    Over the voxels whose true T1 and T2 are `shortest` [s] or more and whose estimates are positive
    and finite.
    """
    true = np.stack([reference.t1, reference.t2])
    found = np.stack([_column(key, estimate[key], len(reference)) for key in ("t1", "t2")])
    use = (true >= shortest).all(axis=0) & (np.isfinite(found) & (found > 0)).all(axis=0)
    return (
        float(np.mean((np.log10(found[:, use]) - np.log10(true[:, use])) ** 2))
        if use.any()
        else float("nan")
    )


def _column(key: str, values: ArrayLike, n: int) -> FloatArray:
    column = np.asarray(values, np.float64)
    if column.shape != (n,):
        raise MismatchError(f"{key} has shape {column.shape}, expected ({n},) as the reference")
    return column


def _optional(
    text: str, columns: Mapping[str, ArrayLike] | None, key: str, n: int
) -> FloatArray | None:
    return None if columns is None or key not in columns else _column(text, columns[key], n)


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


def _score(key: str, region: str, all_voxels: _Columns) -> Score:
    valid = np.isfinite(all_voxels.found) & (all_voxels.found > 0)
    n = int(valid.sum())
    if not n:
        return Score(key, region, 0, len(valid))
    part = all_voxels[valid]
    reference, found, is_tissue = part.reference, part.found, part.is_tissue
    error = found - reference
    bias, spread = float(error.mean()), float(error.std(ddof=1)) if n > 1 else None
    log_error = (np.log10(found) - np.log10(reference)) ** 2
    agreement: dict[str, Any] = {} if spread is None else _agreement(reference, found, bias, spread)
    return Score(
        parameter=key,
        region=region,
        n=n,
        n_invalid=len(valid) - n,
        reference_mean=1e3 * float(reference.mean()),
        bias=1e3 * bias,
        sd=None if spread is None else 1e3 * spread,
        rmse=1e3 * float(np.sqrt(np.mean(error**2))),
        bias_percent=100 * float(np.mean(error / reference)),
        error_percent=100 * float(np.mean(np.abs(error) / reference)),
        log10_mse=float(log_error.mean()),
        log10_mse_tissue=float(log_error[is_tissue].mean()) if is_tissue.any() else None,
        n_tissue=int(is_tissue.sum()),
        **agreement,
        **_honesty(error, part),
    )


def _agreement(
    reference: FloatArray, found: FloatArray, bias: float, spread: float
) -> dict[str, Any]:
    middle = (reference + found) / 2
    variance = float(middle.var())
    covariance = float(np.mean((middle - middle.mean()) * (found - reference - bias)))
    return {
        "agreement_low": 1e3 * (bias - 1.96 * spread),
        "agreement_high": 1e3 * (bias + 1.96 * spread),
        "agreement_slope": covariance / variance if variance > 0 else None,
    }


def _honesty(error: FloatArray, part: _Columns) -> dict[str, Any]:
    """Errors against the deviations reported, and against the bound."""
    found: dict[str, Any] = {} if part.sd is None else calibration(error, part.sd)
    found.pop("coverage_95", None)
    if part.bound is not None:
        use = is_determined(part.reference, part.bound)
        found["n_bound"] = int(use.sum())
        found["rmse_over_bound"] = (
            rmse_over_bound(error[use], part.bound[use]) if use.any() else None
        )
    return found
