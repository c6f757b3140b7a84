"""The uncertainty budget of each tissue: noise, and what the fit takes for granted (GUM, JCGM 100).

Tissues are told apart by their T1 and T2 alone: the budget of "white matter" is that of the voxels
whose estimates lie near those of white matter.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mrftool.arrays import Array, BoolArray, FloatArray
from mrftool.evaluation.score_tables import in_words
from mrftool.manifold.first_order import Following
from mrftool.manifold.influences import Influence, uncertainty_text
from mrftool.manifold.sensitivity import NEGLIGIBLE, Sensitivity, sensitivity
from mrftool.maps import Maps, with_signal
from mrftool.phantoms.tissues import class_tissue
from mrftool.physics.cramer_rao import Form
from mrftool.quantities import quantity
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

_CLASSES = ("white_matter", "grey_matter", "csf", "fat")
_FIELDS = (1.5, 3.0)  # for which typical times are known [T]
_NEAR_T1, _NEAR_T2 = 0.3, 0.5  # largest distance in log T to the typical times of a tissue
_LEAST_VOXELS = 20  # of a tissue


@dataclass(frozen=True)
class Budget:
    """What T1 or T2 of a tissue is uncertain by.

    Parameters
    ----------
    tissue
        Its name.
    parameter
        "t1" or "t2".
    median
        Of the estimates [s].
    n_voxels
        Number of voxels.
    noise
        Median standard deviation by noise, relative to the estimate [1]; None where not known.
    given
        Relative standard uncertainty by each value that the fit takes for granted, by label [1].
    """

    tissue: str
    parameter: str
    median: float
    n_voxels: int
    noise: float | None
    given: Mapping[str, float]

    @property
    def systematic(self) -> float:
        """All given values together, relative [1]."""
        return float(np.sqrt(sum(part**2 for part in self.given.values())))

    @property
    def combined(self) -> float:
        """Noise and given values together, relative [1]."""
        return float(np.hypot(self.noise or 0.0, self.systematic))

    def text(self) -> str:
        """`T2 of white matter: 1.2 % noise, 3.1 % B1, 0.4 % inversion efficiency`."""
        parts = dict(sorted(self.given.items(), key=lambda item: -item[1]))
        if self.noise is not None:
            parts = {"noise": self.noise, **parts}
        visible = {label: size for label, size in parts.items() if not size < NEGLIGIBLE}
        shown = [f"{100 * size:.1f} % {label}" for label, size in visible.items()]
        return f"{quantity(self.parameter).caption} of {self.tissue}: {', '.join(shown)}"


@dataclass(frozen=True)
class BudgetTable:
    """The budgets of a scan.

    Parameters
    ----------
    budgets
        Of T1 and T2 of each tissue.
    assumed
        The standard uncertainty of each given value, in words, by its label.
    is_typical
        Whether these are typical uncertainties, which nobody stated for this scan.
    """

    budgets: tuple[Budget, ...]
    assumed: Mapping[str, str]
    is_typical: bool = True


def budget_table(
    maps: Maps,
    sequence: PulseSequence,
    *,
    form: Form,
    field: float | None = None,
    adc: float = 0.0,
    stated: Mapping[str, float] | None = None,
    following: Following | None = None,
) -> BudgetTable | None:
    """Budgets of the tissues that a scan shows, and of all its voxels; None without estimates.

    Parameters
    ----------
    maps
        Estimates, with their standard deviations by noise where these are known.
    sequence
        That they were fitted with.
    form
        Of the signals.
    field
        Field strength, where it is known [T].
    adc
        Diffusion coefficient that the fit takes for granted [m2/s].
    stated
        Standard uncertainty of given values by name, see `mrftool.manifold.influences` [SI unit];
        those left out have none. By default typical ones of all.
    following
        How given values that were fitted follow errors of others.
    """
    groups = _tissue_masks(maps, field)
    if not groups:
        return None
    t1, t2 = (_medians(image, groups) for image in (maps.t1, maps.t2))
    diffusion = np.zeros(len(groups))
    if sequence.spoiler is not None:
        diffusion += adc
    tissue = Tissue.of_estimates(t1=t1, t2=t2, adc=diffusion)
    found = sensitivity(sequence, tissue, form=form, following=following)
    parts = _parts(found, stated)
    budgets = []
    for voxel, (name, mask) in enumerate(groups.items()):
        for k, (parameter, median) in enumerate((("t1", t1[voxel]), ("t2", t2[voxel]))):
            given = {each.label: float(shifts[voxel, k]) for each, shifts in parts.items()}
            noise = _median_noise(maps, parameter, mask)
            budgets.append(Budget(name, parameter, float(median), int(mask.sum()), noise, given))
    assumed = {each.label: uncertainty_text(each, _uncertainty_of(each, stated)) for each in parts}
    return BudgetTable(tuple(budgets), assumed, stated is None)


def _parts(found: Sensitivity, stated: Mapping[str, float] | None) -> dict[Influence, FloatArray]:
    """Relative uncertainty `(tissue, 2)` by each given value, of those that matter [1]."""
    parts: dict[Influence, FloatArray] = {}
    for influence, slopes in zip(found.influences, found.slopes, strict=True):
        size = _uncertainty_of(influence, stated)
        if (np.nan_to_num(np.abs(slopes)) * size >= NEGLIGIBLE).any():
            parts[influence] = np.abs(slopes) * size
    return parts


def _uncertainty_of(influence: Influence, stated: Mapping[str, float] | None) -> float:
    if stated is None:
        return influence.uncertainty
    return stated.get(influence.name, 0.0)


def _medians(image: Array, groups: Mapping[str, BoolArray]) -> FloatArray:
    return np.array([np.median(image[mask]) for mask in groups.values()], np.float64)


def _median_noise(maps: Maps, parameter: str, mask: BoolArray) -> float | None:
    """Median of the relative standard deviation by noise [1]."""
    deviations = maps.extra.get(f"sd_{parameter}")
    if deviations is None:
        return None
    values = dict(maps.images())[parameter]
    return float(np.median(deviations[mask] / values[mask]))


def _tissue_masks(maps: Maps, field: float | None) -> dict[str, BoolArray]:
    """Voxels with signal of each tissue that occurs, then all of them `(x, y, z)`."""
    good = with_signal(maps) & (maps.t1 > 0) & (maps.t2 > 0)
    if not good.any():
        return {}
    nearest = min(_FIELDS, key=lambda known: abs(known - (field or _FIELDS[-1])))
    typical = class_tissue(_CLASSES, nearest)
    log_t1, log_t2 = (np.log(np.where(good, image, 1.0)) for image in (maps.t1, maps.t2))
    masks = {}
    for index, name in enumerate(_CLASSES):
        near = np.abs(log_t1 - np.log(typical.t1[index])) < _NEAR_T1
        near &= np.abs(log_t2 - np.log(typical.t2[index])) < _NEAR_T2
        if np.count_nonzero(good & near) >= _LEAST_VOXELS:
            masks[in_words(name)] = good & near
    return {**masks, "all voxels": good}
