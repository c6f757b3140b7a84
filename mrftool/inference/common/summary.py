"""A fit of common values in words and numbers: what it found, what it gains and what it costs."""

from typing import Any

import numpy as np

from mrftool.arrays import BoolArray, Float32Array
from mrftool.inference.common.result import CommonFit, FittedValue
from mrftool.manifold.influences import B1, uncertainty_text
from mrftool.maps import Maps, with_signal


def found_text(value: FittedValue, b1: Float32Array | None, inside: BoolArray) -> str:
    """The value and its uncertainty in a sentence.

    Parameters
    ----------
    value
        That was fitted.
    b1
        Map after the fit `(x, y, z)` [1]; None where the model takes none.
    inside
        Voxels that are estimated `(x, y, z)`.
    """
    influence = value.unknown.influence
    parts = [f"noise {uncertainty_text(influence, value.noise_sd)}"]
    parts.append(f"other given values {uncertainty_text(influence, value.others_sd)}")
    found = f"changed by {value.mean:+.3f}"
    if influence == B1 and b1 is not None:
        field = b1[inside]
        found = f"{value.unknown.text}, {field.min():.3f} to {field.max():.3f}"
        if len(value.common) == 1:
            found = f"the map times {1 + value.common[0]:.3f}"
            if np.ptp(field) == 0:
                found = f"{field[0]:.3f} in all voxels"
    text = f"{influence.label} is fitted: {found}, standard uncertainty "
    text += f"{uncertainty_text(influence, value.uncertainty)} ({', '.join(parts)})"
    if value.spread > 0:
        text += f"; single voxels deviate by {uncertainty_text(influence, value.spread)}"
    return text


def gain_and_cost(fit: CommonFit, before: Maps, after: Maps) -> tuple[str, dict[str, Any]]:
    """What the fit changed, in a sentence and in numbers."""
    both = with_signal(before) & with_signal(after)
    changes = {}
    for name in ("t1", "t2"):
        ratio = getattr(after, name)[both] / getattr(before, name)[both]
        changes[name] = float(np.nanmedian(ratio) - 1)
    residuals = [float(np.nanmedian(maps.extra["residual"][both])) for maps in (before, after)]
    costs = np.zeros(2)
    for value in fit.values:
        costs = np.hypot(costs, value.moves * value.uncertainty)
    text = "fitting "
    text += " and ".join(value.unknown.influence.label for value in fit.values)
    text += f" changes T1 by {_percent(changes['t1'])} and T2 by {_percent(changes['t2'])} "
    text += f"(medians), takes the residual from {100 * residuals[0]:.2f} % to "
    text += f"{100 * residuals[1]:.2f} %, and its "
    text += f"uncertainty is {100 * costs[0]:.1f} % of T1 and {100 * costs[1]:.1f} % of T2"
    numbers: dict[str, Any] = {
        "residual_before": residuals[0],
        "residual_after": residuals[1],
        "t1_change": changes["t1"],
        "t2_change": changes["t2"],
        "t1_uncertainty": float(costs[0]),
        "t2_uncertainty": float(costs[1]),
    }
    for value in fit.values:
        numbers[value.unknown.influence.name] = {
            "fitted": value.unknown.text,
            "coefficients": value.common.tolist(),
            "mean_change": value.mean,
            "standard_uncertainty": value.uncertainty,
            "by_noise": value.noise_sd,
            "by_given_values": value.others_sd,
            "spread_of_voxels": value.spread,
        }
    return text, numbers


def _percent(change: float) -> str:
    return f"{100 * change:+.1f} %"
