"""Dictionary matching of a fingerprint series: the best entry of every voxel, block by block, into
maps. No torch.
"""

from collections.abc import Iterator

import numpy as np

from mrftool.arrays import Array, BoolArray, Progress
from mrftool.environment.threads import chosen_threads, one_blas_thread, prefetched
from mrftool.inference.foreground import energy_of, without_air
from mrftool.inference.scan import Columns, block_bytes, check_belongs, maps_of
from mrftool.manifold.compression import Basis
from mrftool.maps import Maps
from mrftool.matching.dictionary import MatchDictionary, Source
from mrftool.matching.nearest import match
from mrftool.quantities import Flag
from mrftool.scan.series import Form, Series, Voxels

BATCH = 1 << 17  # voxels that are matched at a time: 20 MB of coefficients


def match_series(
    series: Series,
    dictionary: MatchDictionary,
    *,
    mask: BoolArray | None = None,
    hide_air: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Maps:
    """Maps of the voxels of `mask` `(x, y, z)` (all by default) of `series`: the tissue of the most
    similar entries.

    m0 is the factor that brings the entry closest to the fingerprint, <entry, fingerprint> /
    |entry|^2, times the m0 of the entry; the residual is what it leaves of the whole fingerprint.
    Where the entries differ in B1, ADC or off- resonance, these are maps too. Flags: entries at
    either end of the dictionary's range (the voxel may lie outside), empty voxels, and those that
    are not finite.
    hide_air: mask voxels that hold nothing but noise.
    threads: of the search, by default one per processor; one more reads. The result
    does not depend on it, up to rounding.
    progress: called with the number of voxels done since the last call.

    Raises MismatchError if series and dictionary do not belong together.
    """
    assumed = check_source(series, dictionary.source, dictionary.form)
    count = chosen_threads(threads)
    energies = np.zeros(series.n_voxels)

    def found() -> Iterator[tuple[Voxels, Columns]]:
        for voxels, coefficients, energy in prefetched(_batches(series, mask, dictionary.basis)):
            energies[voxels] = energy
            yield voxels, _columns(dictionary, coefficients, energy, count)

    assumptions = (*series.assumptions, *assumed)
    with one_blas_thread():
        maps = maps_of(series, found(), assumptions=assumptions, progress=progress)
    if not hide_air:
        return maps
    return without_air(maps, energies.reshape(series.shape), series.n_time)


def check_source(series: Series, source: Source, form: Form) -> list[str]:
    """Refuse a series that does not belong to a dictionary in this form; say what no file tells.

    Raises MismatchError.
    """
    return check_belongs(
        series,
        "dictionary",
        n_time=source.n_time,
        form=form,
        sequence_id=source.sequence_id,
        sequence_name=source.sequence_name,
        sequence=source.sequence,
    )


def _batches(
    series: Series, mask: BoolArray | None, basis: Basis
) -> Iterator[tuple[Voxels, Array, Array]]:
    """Voxels, their coefficients `(voxel, rank)` and their energy `(voxel,)`, gathered from several
    blocks.
    """
    held: list[tuple[Voxels, Array, Array]] = []
    vectors = basis.vectors.conj().astype(np.complex64 if series.form == "complex" else np.float32)
    for voxels, signal in series.blocks(mask, max_bytes=block_bytes(series)):
        held.append((voxels, _product(signal, vectors), energy_of(signal)))
        if sum(len(part) for part, *_ in held) >= BATCH:
            yield _joined(held)
            held = []
    if held:
        yield _joined(held)


def _joined(held: list[tuple[Voxels, Array, Array]]) -> tuple[Voxels, Array, Array]:
    voxels, coefficients, energy = (np.concatenate(parts) for parts in zip(*held, strict=True))
    return voxels, coefficients, energy


def _product(signal: Array, vectors: Array) -> Array:
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(signal @ vectors)


def _columns(
    dictionary: MatchDictionary, coefficients: Array, energy: Array, threads: int
) -> Columns:
    index, product = match(dictionary.matcher, coefficients, threads=threads)
    bad = ~np.isfinite(energy)
    none = (index < 0) | (energy <= 0) | bad
    tissue = dictionary.source.tissue
    columns = {"t1": tissue.t1, "t2": tissue.t2} | dictionary.varying
    found = {
        name: np.where(none, np.nan, column[index]).astype(np.float32)
        for name, column in columns.items()
    }
    size = product / dictionary.norms[index]
    if dictionary.form == "complex":
        found["m0"] = np.where(none, np.nan, size * tissue.m0[index]).astype(np.complex64)
    else:
        found["m0"] = np.where(none, np.nan, size * abs(tissue.m0[index])).astype(np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):
        left = np.maximum(1 - abs(product) ** 2 / energy, 0)
    found["residual"] = np.where(none, np.nan, np.sqrt(left)).astype(np.float32)
    flags = np.where(dictionary.at_end()[index], int(Flag.OUT_OF_RANGE), 0)
    flags = np.where(none, np.where(bad, int(Flag.NON_FINITE), int(Flag.MASKED)), flags)
    return found | {"flags": flags.astype(np.uint8)}
