"""Quantification: a fingerprint series through an exported model, block by block, into maps. No
torch, no engine.
"""

from collections.abc import Iterator

from mrftool.arrays import BoolArray, Float32Array, Progress
from mrftool.errors import MismatchError
from mrftool.inference.scan import Columns, block_bytes, check_belongs, maps_of
from mrftool.inference.session import Model, run
from mrftool.maps import Maps
from mrftool.series import Series, Voxels
from mrftool.threads import ahead


def quantify(
    series: Series,
    model: Model,
    *,
    mask: BoolArray | None = None,
    b1: Float32Array | None = None,
    noise_sd: float | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Maps:
    """Maps of the voxels of `mask` `(x, y, z)` (all by default) of `series`.

    b1: actual / nominal flip angle `(x, y, z)` [1], for models that take it. noise_sd: standard
    deviation of the noise per channel [scanner's unit]; by default each voxel's own residual tells.
    threads: of the model's arithmetic, by default one per processor; one more reads. The result
    does not depend on it, up to rounding.
    progress: called with the number of voxels done since the last call.

    Raises MismatchError if the series does not belong to the model, or a B1 map to either.
    """
    assumed = _check_match(series, model, b1)

    def found() -> Iterator[tuple[Voxels, Columns]]:
        for voxels, signal in ahead(series.blocks(mask, max_bytes=block_bytes(series))):
            column = None if b1 is None else b1.reshape(-1)[voxels]
            yield voxels, run(model, signal, b1=column, noise_sd=noise_sd, threads=threads)

    return maps_of(series, found(), assumptions=(*series.assumptions, *assumed), progress=progress)


def _check_match(series: Series, model: Model, b1: Float32Array | None) -> list[str]:
    """Refuse what does not belong together; name what the files cannot tell."""
    assumed = check_belongs(
        series,
        "model",
        n_time=model.n_time,
        form=model.form,  # type: ignore[arg-type]
        sequence_id=model.sequence_id,
        sequence_name=model.manifest.sequence_name,
    )
    if model.takes_b1 and b1 is None:
        raise MismatchError("the model takes a B1 map, expected one", hint="pass --b1 FILE")
    if b1 is not None and not model.takes_b1:
        raise MismatchError(
            "the model takes no B1 map, expected none", hint="train and export with a B1 range"
        )
    if b1 is not None and b1.shape != series.shape:
        raise MismatchError(
            f"the B1 map has shape {b1.shape}, expected {series.shape} as {series.name}"
        )
    return assumed
