"""Quantification: a fingerprint series through an exported model, block by block, into maps. No torch, no engine."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrftool.errors import MismatchError
from mrftool.inference.session import Model, run
from mrftool.maps import Flag, Maps
from mrftool.series import Series

Progress = Callable[[int], None]
Image = NDArray[np.float32]


def quantify(
    series: Series,
    model: Model,
    *,
    mask: NDArray[np.bool_] | None = None,
    b1: Image | None = None,
    noise_sd: float | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Maps:
    """Maps of the voxels of `mask` `(x, y, z)` (all by default) of `series`.

    b1: actual / nominal flip angle `(x, y, z)` [1], for models that take it. noise_sd: standard deviation of the noise
    per channel [scanner's unit]; by default each voxel's own residual tells. threads: of the model's arithmetic.
    progress: called with the number of voxels done since the last call.

    Raises MismatchError if the series does not belong to the model, or a B1 map to either.
    """
    assumptions = (*series.assumptions, *_check_match(series, model, b1))
    inside = np.ones(series.shape, bool) if mask is None else mask
    images: dict[str, NDArray[Any]] = {}
    flags = np.full(series.n_voxels, int(Flag.MASKED), np.uint8)
    for voxels, signal in series.blocks(inside):
        column = None if b1 is None else b1.reshape(-1)[voxels]
        found = run(model, signal, b1=column, noise_sd=noise_sd, threads=threads)
        empty = ~signal.any(axis=1)
        flags[voxels] = np.where(empty, int(Flag.MASKED), found.pop("flags"))
        for name, values in found.items():
            column_of = images.setdefault(name, np.zeros(series.n_voxels, values.dtype))
            column_of[voxels] = np.where(empty, 0, values)
        if progress is not None:
            progress(len(voxels))
    return _as_maps(images, flags, series, assumptions)


def _as_maps(
    images: dict[str, NDArray[Any]], flags: NDArray[np.uint8], series: Series, assumptions: tuple[str, ...]
) -> Maps:
    shaped = {name: values.reshape(series.shape) for name, values in images.items()}
    zeros = np.zeros(series.shape, np.float32)
    return Maps(
        t1=shaped.pop("t1", zeros),
        t2=shaped.pop("t2", zeros),
        m0=shaped.pop("m0", zeros),
        flags=flags.reshape(series.shape),
        extra=shaped,
        assumptions=assumptions,
    )


def _check_match(series: Series, model: Model, b1: Image | None) -> list[str]:
    """Refuse what does not belong together; name what the files cannot tell."""
    if series.n_time != model.n_time:
        raise MismatchError(f"{series.name}: {series.n_time} time points, expected {model.n_time} as the model")
    if series.form != model.form:
        hint = "pass --form magnitude to use magnitudes of a complex series" if model.form == "magnitude" else None
        raise MismatchError(f"{series.name}: a {series.form} series, expected {model.form} as the model", hint=hint)
    if series.sequence_id is not None and series.sequence_id != model.sequence_id:
        raise MismatchError(
            f"{series.name}: made with sequence {series.sequence_id}, expected {model.sequence_id} as the model"
        )
    if model.takes_b1 and b1 is None:
        raise MismatchError("the model takes a B1 map, expected one", hint="pass --b1 FILE")
    if b1 is not None and not model.takes_b1:
        raise MismatchError("the model takes no B1 map, expected none", hint="train and export with a B1 range")
    if b1 is not None and b1.shape != series.shape:
        raise MismatchError(f"the B1 map has shape {b1.shape}, expected {series.shape} as {series.name}")
    if series.sequence_id is None:
        return [f"the series does not name its sequence; assumed to be {model.manifest.sequence_name} of the model"]
    return []
