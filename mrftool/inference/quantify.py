"""Quantification: a fingerprint series through an exported model, block by block, into maps. No
torch, no engine.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mrftool.arrays import BoolArray, Float32Array, Progress
from mrftool.environment.threads import prefetched
from mrftool.errors import MismatchError
from mrftool.inference.foreground import energy_of, without_air
from mrftool.inference.scan import Columns, block_bytes, check_belongs, maps_of
from mrftool.inference.session import Model, check_given, run
from mrftool.manifold.parameters import parameter_named
from mrftool.maps import Maps
from mrftool.scan.series import Series, Voxels


def quantify(
    series: Series,
    model: Model,
    *,
    mask: BoolArray | None = None,
    hide_air: bool = False,
    noise_sd: float | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    **given: Float32Array | None,
) -> Maps:
    """Maps of the voxels of `mask` `(x, y, z)` (all by default) of `series`.

    hide_air: mask voxels that hold nothing but noise.
    given: maps of the parameters that the model takes, by name `(x, y, z)`: b1, actual / nominal
    flip angle [1]. noise_sd: standard
    deviation of the noise per channel [scanner's unit]; by default each voxel's own residual tells.
    threads: of the model's arithmetic, by default one per processor; one more reads. The result
    does not depend on it, up to rounding.
    progress: called with the number of voxels done since the last call.

    Raises MismatchError if the series does not belong to the model, or a given map to either.
    """
    images = {name: image for name, image in given.items() if image is not None}
    assumed = _check_match(series, model, images)
    energy = np.zeros(series.n_voxels)

    def found() -> Iterator[tuple[Voxels, Columns]]:
        for voxels, signal in prefetched(series.blocks(mask, max_bytes=block_bytes(series))):
            columns: dict[str, Any] = {
                name: image.reshape(-1)[voxels] for name, image in images.items()
            }
            if hide_air:
                energy[voxels] = energy_of(signal)
            yield voxels, run(model, signal, noise_sd=noise_sd, threads=threads, **columns)

    assumptions = (*series.assumptions, *assumed)
    maps = maps_of(series, found(), assumptions=assumptions, progress=progress)
    if not hide_air:
        return maps
    return without_air(maps, energy.reshape(series.shape), series.n_time, model.manifest.coils)


def check_model(series: Series, model: Model, *, form: str | None = None) -> list[str]:
    """Refuse a series that a model is not made for; name what the files cannot tell. form: of the
    signals, by default that of the model.

    Raises MismatchError.
    """
    return check_belongs(
        series,
        "model",
        n_time=model.n_time,
        form=form or model.form,  # type: ignore[arg-type]
        sequence_id=model.sequence_id,
        sequence_name=model.manifest.sequence_name,
        sequence=model.manifest.sequence,
    )


def _check_match(series: Series, model: Model, given: Mapping[str, Float32Array]) -> list[str]:
    """Refuse what does not belong together; name what the files cannot tell."""
    assumed = check_model(series, model)
    check_given(model.given, given)
    for name, image in given.items():
        if image.shape != series.shape:
            label = parameter_named(name).label
            raise MismatchError(
                f"the {label} map has shape {image.shape}, expected {series.shape} as {series.name}"
            )
    return assumed
