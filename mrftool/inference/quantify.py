"""Quantification: a fingerprint series through an exported model, block by block, into maps. No
torch, no engine.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from mrftool.arrays import BoolArray, Float32Array, FloatArray, Progress
from mrftool.environment.threads import chosen_threads, mapped, prefetched
from mrftool.errors import MismatchError
from mrftool.inference.assessment.sample import enough_voxels
from mrftool.inference.foreground import energy_of, without_air
from mrftool.inference.model.split import SplitModel
from mrftool.inference.native.checked import CheckedGraph
from mrftool.inference.scan import Columns, block_bytes, check_belongs, maps_of
from mrftool.inference.session import (
    COMPRESSED_BATCH,
    Model,
    check_given,
    native_rest,
    native_whole,
    run,
    run_compressed,
    split_of,
)
from mrftool.manifold.parameters import parameter_named
from mrftool.maps import Maps
from mrftool.scan.compressor import CompressingReader
from mrftool.scan.one_pass import BlockSums, compressed_in_one_pass
from mrftool.scan.series import Series, Voxels, c_order
from mrftool.scan.stream import StreamingReader, prepare, streaming_reader

_WORTH_TRANSLATION = 10_000  # voxels that take longer in ONNX Runtime than translating its graph
_PIECE_BYTES = 64 << 20  # of signals that a thread compresses at a time


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
    threads: by default one per processor. The result does not depend on it, up to rounding.
    progress: called with the number of voxels done since the last call.

    Raises MismatchError if the series does not belong to the model, or a given map to either.
    """
    images = {name: image for name, image in given.items() if image is not None}
    assumed = _check_match(series, model, images)
    energy = np.zeros(series.n_voxels)
    task = _Task(series, model, mask, images, noise_sd, chosen_threads(threads), hide_air, progress)
    if task.stream() is not None:
        progress = None  # the pass over the frames tells it

    def found() -> Iterator[tuple[Voxels, Columns]]:
        for voxels, own_energy, columns in _blocks(task):
            if own_energy is not None:
                energy[voxels] = own_energy
            yield voxels, columns

    assumptions = (*series.assumptions, *assumed)
    maps = maps_of(series, found(), assumptions=assumptions, progress=progress)
    if not hide_air or not task.n_voxels:
        return maps
    return without_air(maps, energy.reshape(series.shape), series.n_time, model.manifest.coils)


@dataclass(frozen=True, eq=False)
class _Task:
    """What `quantify` is asked for."""

    series: Series
    model: Model
    mask: BoolArray | None
    images: Mapping[str, Float32Array]
    noise_sd: float | None
    threads: int
    with_energy: bool
    progress: Progress | None = None

    def split(self) -> SplitModel | None:
        """The two parts of the model, if it has any."""
        return split_of(self.model.content)

    def stream(self) -> StreamingReader | None:
        """What reads the frames in one pass, if that suits series and model."""
        if self.split() is None:
            return None
        return streaming_reader(self.series)

    @property
    def n_voxels(self) -> int:
        """Voxels that are quantified."""
        if self.mask is None:
            return self.series.n_voxels
        return int(np.count_nonzero(self.mask))

    def native(self, split: SplitModel | None) -> CheckedGraph | None:
        """What follows compression, or all of a model that has no parts, in native code; None where
        that is not quicker for so many voxels.
        """
        if self.n_voxels < _WORTH_TRANSLATION:
            return None
        if split is None:
            return native_whole(self.model)
        return native_rest(split)

    def options(self, voxels: Voxels) -> dict[str, Any]:
        """What the model takes beside the signal of some voxels."""
        columns = {name: image.reshape(-1)[voxels] for name, image in self.images.items()}
        return {"noise_sd": self.noise_sd, **columns}


# Voxels, their energy where it is known or asked for, and what was found in them.
_Block = tuple[Voxels, FloatArray | None, Columns]
_Fit = Callable[[Voxels, Float32Array, Float32Array], _Block]  # of coefficients and energies


def _blocks(task: _Task) -> Iterator[_Block]:
    """All voxels, compressed where they are read if model and reader can do so."""
    split, reader, stream = task.split(), task.series.read, task.stream()
    if split is None:
        return _read_blocks(task, task.native(None))
    fit = partial(_fitted, task, split, task.native(split))
    if stream is not None:
        return _streamed_blocks(task, split, stream, fit)
    if not isinstance(reader, CompressingReader):
        return _read_blocks(task)
    work = partial(_compressed_block, split, reader, fit)
    return mapped(work, task.series.pieces(task.mask, _piece(task.series)), task.threads)


def _streamed_blocks(
    task: _Task, split: SplitModel, reader: StreamingReader, fit: _Fit
) -> Iterator[_Block]:
    """All voxels, after one pass over the frames."""
    blocks = compressed_in_one_pass(
        task.series,
        reader,
        split.compressor,
        task.mask,
        n_sampled=enough_voxels(task.series.n_time),
        threads=task.threads,
        progress=task.progress,
    )

    def work(block: BlockSums) -> _Block:
        return fit(block.positions, *block.sums.columns())

    return mapped(work, blocks, task.threads)


def _piece(series: Series) -> int:
    """Voxels that are compressed at a time."""
    batches = _PIECE_BYTES // (8 * series.n_time * COMPRESSED_BATCH)
    return COMPRESSED_BATCH * max(batches, 1)


def _compressed_block(
    split: SplitModel, reader: CompressingReader, fit: _Fit, positions: Voxels
) -> _Block:
    return fit(positions, *reader.compressed(positions, split.compressor))


def _fitted(
    task: _Task,
    split: SplitModel,
    native: CheckedGraph | None,
    positions: Voxels,
    coefficients: Float32Array,
    energy: Float32Array,
) -> _Block:
    """What the model finds in voxels at positions in file order."""
    voxels = c_order(positions, task.series.shape)
    options = task.options(voxels)
    columns = run_compressed(task.model, split, coefficients, energy, native=native, **options)
    return voxels, energy[:, 0].astype(np.float64), columns


def _read_blocks(task: _Task, native: CheckedGraph | None = None) -> Iterator[_Block]:
    """All voxels, computed from their signals."""
    blocks = task.series.blocks(task.mask, max_bytes=block_bytes(task.series))
    for voxels, signal in prefetched(blocks):
        options = task.options(voxels)
        columns = run(task.model, signal, threads=task.threads, native=native, **options)
        energy = None
        if task.with_energy:
            energy = energy_of(signal)
        yield voxels, energy, columns


def prepare_scan(series: Series, model: Model) -> None:
    """Inflate a compressed scan, unless its frames are read in one pass."""
    if split_of(model.content) is None or streaming_reader(series) is None:
        prepare(series)


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
