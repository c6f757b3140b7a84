"""What errors of given values do to T1 and T2 of coefficient images (type B)."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mrftool.arrays import Array, Range
from mrftool.errors import ArgumentError
from mrftool.manifold.effects import build_effects
from mrftool.manifold.influences import Influence, influence_named, influences_on
from mrftool.manifold.parameters import FITTED, parameters_of
from mrftool.maps import Maps, has_estimate
from mrftool.sequence import PulseSequence


def default_uncertainties(sequence: PulseSequence) -> dict[str, float]:
    """Typical standard uncertainties of what a fit of this sequence takes for granted [SI unit]."""
    return {influence.name: influence.uncertainty for influence in influences_on(sequence)}


def stated_influences(
    stated: Mapping[str, float], sequence: PulseSequence
) -> tuple[Influence, ...]:
    """The given values whose uncertainties are stated [SI unit].

    Raises
    ------
    ArgumentError
        If an uncertainty is negative, or of something that the sequence does not have.
    """
    known = influences_on(sequence)
    influences = tuple(influence_named(name) for name in stated)
    for influence in influences:
        if influence not in known:
            raise ArgumentError(
                f"an uncertainty of the {influence.label}, which sequence {sequence.name} "
                "does not have"
            )
        if not 0 <= stated[influence.name] < np.inf:
            raise ArgumentError(
                f"uncertainty {stated[influence.name]:g} of the {influence.label}, "
                "expected 0 or more"
            )
    return influences


def with_given_values(
    maps: Maps,
    sequence: PulseSequence,
    ranges: Mapping[str, Range],
    stated: Mapping[str, float],
    *,
    adc: float = 0.0,
    given: Mapping[str, Array] | None = None,
) -> Maps:
    """Maps whose systematic and combined uncertainties hold those of given values too.

    They follow them as estimates from all frames would; weights by the covariance of coefficients
    change that little.

    Parameters
    ----------
    maps
        With standard deviations; as they are without.
    sequence, ranges
        That was fitted, and over what range each parameter, by name [SI unit].
    stated
        Standard uncertainty of each given value by name [SI unit].
    adc
        That the fit took [m2/s].
    given
        Maps of given parameters by name `(x, y, z)`: b1 [1].
    """
    influences = stated_influences(stated, sequence)
    if not influences or f"combined_{FITTED[0].name}" not in maps.extra:
        return maps
    estimated = np.flatnonzero(has_estimate(maps))
    images: dict[str, Array] = {each.name: getattr(maps, each.name) for each in FITTED}
    images |= dict(given or {})
    columns = {name: image.reshape(-1)[estimated] for name, image in images.items()}
    table = build_effects(sequence, parameters_of(ranges), ranges, influences, columns, adc=adc)
    slopes = table.at(columns).slopes
    sizes = np.array([stated[influence.name] for influence in influences])[:, None, None]
    relative = np.sqrt(np.square(sizes * slopes).sum(axis=0))
    extra = {name: image.copy() for name, image in maps.extra.items()}
    for k, parameter in enumerate(FITTED):
        own = columns[parameter.name] * relative[:, k]
        for part in ("systematic", "combined"):
            column = extra[f"{part}_{parameter.name}"].reshape(-1)
            column[estimated] = np.hypot(column[estimated], own)
    return replace(maps, extra=extra)
