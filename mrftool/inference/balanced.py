"""Maps of a scan whose off-resonance is fitted, block by block: with a balanced sequence and a map
of it, or with several echoes of each pulse.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from mrftool.arrays import Array, BoolArray, Float32Array, Progress
from mrftool.environment.threads import prefetched
from mrftool.errors import MismatchError
from mrftool.inference.exact_fit import ExactFit
from mrftool.inference.scan import Columns, block_bytes, check_belongs, maps_of
from mrftool.manifold.parameters import B1
from mrftool.maps import Maps, has_estimate
from mrftool.quantities import Flag
from mrftool.scan.series import Series, Voxels

_AT_A_TIME = 256  # voxels whose signals stay in the processor's cache
_LIMIT = 4.0  # standard deviations of a correlation of white noise: 3e-5 of voxels exceed it
_ROUNDING = 1e-3  # a smaller relative residual is no misfit [1]


def quantify_balanced(
    series: Series,
    estimator: ExactFit,
    off_resonance: Float32Array | None = None,
    *,
    b1: Float32Array | None = None,
    mask: BoolArray | None = None,
    progress: Progress | None = None,
) -> Maps:
    """Maps of the voxels of `mask` `(x, y, z)` (all by default).

    Parameters
    ----------
    series
        The scan.
    estimator
        Of its sequence.
    off_resonance
        `(x, y, z)` [Hz]; with several echoes by default 0, from which it is less than half a turn
        between two echoes.
    b1
        Actual over nominal flip angle `(x, y, z)` [1]; by default 1.
    mask
        Voxels that count.
    progress
        Called with the number of voxels done since the last call.

    Raises
    ------
    MismatchError
        If the sequence spoils by gradients and has one echo of each pulse, or scan, sequence and
        maps do not belong together.
    """
    sequence = estimator.sequence
    if sequence.spoiling != "none" and not estimator.has_echoes:
        raise MismatchError(
            f"sequence {sequence.name} is spoiled by gradients, where off-resonance hardly changes "
            "T1 and T2, expected a balanced sequence beside a map of it, or several echoes"
        )
    if off_resonance is None:
        if not estimator.has_echoes:
            raise MismatchError(f"no off-resonance, expected a map of it for {sequence.name}")
        off_resonance = np.zeros(series.shape, np.float32)
    assumed = check_belongs(
        series,
        "sequence",
        n_time=len(sequence),
        form="complex",
        sequence_id=sequence.sequence_id,
        sequence_name=sequence.name,
    )
    images = {"off_resonance": off_resonance}
    if b1 is not None:
        images["b1"] = b1
    for name, image in images.items():
        if image.shape != series.shape:
            label = {"b1": B1.label}.get(name, "off-resonance")
            raise MismatchError(
                f"the {label} map has shape {image.shape}, expected {series.shape} as {series.name}"
            )
    correlation = np.zeros(series.n_voxels, np.float32)
    found = _found(series, estimator, images, mask, correlation)
    assumptions = (*series.assumptions, *assumed)
    maps = maps_of(series, found, assumptions=assumptions, progress=progress)
    is_misfit = _is_misfit(maps, correlation.reshape(series.shape))
    return replace(maps, flags=maps.flags | np.where(is_misfit, np.uint8(Flag.MISFIT), 0))


def _found(
    series: Series,
    estimator: ExactFit,
    images: Mapping[str, Float32Array],
    mask: BoolArray | None,
    correlation: Float32Array,
) -> Iterator[tuple[Voxels, Columns]]:
    """Fits, block by block; the correlation of each residual goes into `correlation` `(voxel,)`."""
    field = images["off_resonance"].reshape(-1)
    for voxels, signal in prefetched(series.blocks(mask, max_bytes=block_bytes(series))):
        order = np.argsort(field[voxels])  # voxels of similar fields share dictionaries
        for start in range(0, len(voxels), _AT_A_TIME):
            part = order[start : start + _AT_A_TIME]
            own = voxels[part]
            known = {
                name: image.reshape(-1)[own].astype(np.float64) for name, image in images.items()
            }
            columns = estimator.fit(signal[part], known)
            correlation[own] = columns.pop("correlation")
            yield own, columns


def _is_misfit(maps: Maps, correlation: Array) -> BoolArray:
    """Voxels whose residual is more alike from one echo to the next than that of the others.

    The correlation of white noise has the variance 1 / (2 n), by which its median over the scan is
    taken for that of the noise.
    """
    usable = has_estimate(maps)
    if not usable.any():
        return usable
    noise = float(np.median(correlation[usable]))
    spread = 1.4826 * float(np.median(np.abs(correlation[usable] - noise)))  # of a normal one
    is_large = correlation > noise + _LIMIT * spread
    return np.asarray(usable & is_large & (maps.extra["residual"] > _ROUNDING))
