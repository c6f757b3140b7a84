"""Look at a fit: what it leaves of the scan, and what its estimates are uncertain by."""

from collections.abc import Mapping

from mrftool.arrays import Array
from mrftool.evaluation.residuals import FitResiduals, fit_residuals
from mrftool.inference.assessment.sample import SampledResiduals
from mrftool.manifold.first_order import Following
from mrftool.maps import Maps
from mrftool.reports.budget import BudgetTable, budget_table
from mrftool.reports.contents import read_plain_sequence
from mrftool.reports.run import Method
from mrftool.scan.series import Series


def look_at_fit(
    series: Series,
    maps: Maps,
    method: Method,
    given: Mapping[str, Array],
    stated: Mapping[str, float] | None = None,
    following: Following | None = None,
    sample: SampledResiduals | None = None,
) -> tuple[FitResiduals | None, BudgetTable | None]:
    """Residuals and uncertainty budget of a fit; None where the sequence of the method is unknown.

    Parameters
    ----------
    series
        The scan; one slice of it is read again.
    maps
        What was fitted.
    method
        The model or dictionary.
    given
        Images `(x, y, z)` of what the fit took as known, by name: b1 [1].
    stated
        Standard uncertainty of given values by name [SI unit]; by default typical ones.
    following
        How given values that were fitted follow errors of others.
    sample
        Voxels that were drawn before, with directions.
    """
    sequence = read_plain_sequence(method.sequence)
    if sequence is None:
        return None, None
    adc = float(method.numbers.get("adc_m2_per_s") or 0.0)
    field = (series.sidecar or {}).get("MagneticFieldStrength")
    if not isinstance(field, int | float):
        field = None
    budget = budget_table(
        maps,
        sequence,
        form=series.form,
        field=field,
        adc=adc,
        stated=stated,
        following=following,
    )
    if method.b1_range is not None and "b1" not in {*given, *maps.extra}:
        return None, budget
    values: dict[str, Array | float] = {"adc": adc, **given}
    coils = int(method.numbers.get("coils", 1))
    residuals = fit_residuals(series, maps, sequence, values, stated, coils=coils, sample=sample)
    return residuals, budget
