"""Dictionaries to match against: read or simulated piece by piece, compressed, never held whole."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mrftool.arrays import Array, BoolArray, FloatArray, IndexArray, Progress
from mrftool.environment.threads import one_blas_thread, prefetched
from mrftool.errors import ArgumentError, CheckFailedError, InputError
from mrftool.formats.npz.dictionary import load_dictionary
from mrftool.formats.sequence.yaml_file import sequence_from_dict, sequence_to_dict
from mrftool.manifold.compression import Basis, compress, fit_basis
from mrftool.matching.clusters import Matcher, build_matcher
from mrftool.physics.simulate import simulate
from mrftool.scan.series import Form
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

TOLERANCE = (
    2e-3  # relative error of a compressed entry: adds a hundredth to the residual at SNR 100
)
_SAMPLE = 1024  # entries that the basis is fitted to
_N_ADDED = 64  # entries that are added to them where the basis does not hold
_SAMPLE_TOLERANCE = 0.7  # of the tolerance, so that the other entries keep it too
_ROUNDS = 5
_BLOCK_BYTES = 8 << 20


@dataclass(frozen=True, eq=False)
class Source:
    """Fingerprints of known tissue, to be had in pieces.

    rows: gives the fingerprints `(entry, time)` [m0] of entries at ascending indices.
    sequence: as plain numbers under the keys of a sequence file; it and its id are None where they
    are not known.
    """

    name: str
    tissue: Tissue
    n_time: int
    rows: Callable[[IndexArray], Array]
    sequence_id: str | None
    sequence_name: str
    sequence: dict[str, Any] | None = None

    def __len__(self) -> int:
        return len(self.tissue)

    def its_sequence(self) -> PulseSequence | None:
        """The sequence that made it; None where it is not known."""
        if self.sequence is None:
            return None
        return sequence_from_dict(self.sequence, self.name)

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """All entries in order: where they are, and their fingerprints."""
        size = max(1, _BLOCK_BYTES // (8 * self.n_time))
        for start in range(0, len(self), size):
            part = slice(start, min(start + size, len(self)))
            yield part, self.rows(np.arange(part.start, part.stop))


@dataclass(frozen=True, eq=False)
class MatchDictionary:
    """A dictionary as matching takes it.

    form: of the signals. norms: of the compressed entries `(entry,)`.
    truncation: largest relative error of a compressed entry, over all of them [1].
    """

    source: Source
    form: Form
    basis: Basis
    matcher: Matcher
    norms: FloatArray
    truncation: float

    def columns(self) -> dict[str, FloatArray]:
        """t1, t2 [s], b1 [1], adc [m2/s], off_resonance [Hz] and r2_prime [1/s] of the entries
        `(entry,)`.
        """
        return {
            name: getattr(self.source.tissue, name)
            for name in ("t1", "t2", "b1", "adc", "off_resonance", "r2_prime")
        }

    @property
    def varying(self) -> dict[str, FloatArray]:
        """Those of the columns that differ between the entries."""
        return {
            name: column for name, column in self.columns().items() if column.min() < column.max()
        }

    def at_end(self) -> BoolArray:
        """Whether an entry lies at either end of the range of a property that varies `(entry,)`."""
        ends = [
            (column == column.min()) | (column == column.max()) for column in self.varying.values()
        ]
        return np.any(ends, axis=0) if ends else np.zeros(len(self.source), bool)

    def digest(self) -> str:
        """SHA-256 of the compressed entries and their tissue."""
        found = hashlib.sha256(np.ascontiguousarray(self.matcher.entries).tobytes())
        for name in Tissue.columns():
            column = getattr(self.source.tissue, name)
            if name != "r2_prime" or column.any():  # as before there was R2'
                found.update(column.tobytes())
        return found.hexdigest()


def dictionary_from_file(path: str | Path) -> Source:
    """The dictionary in a .npz file, left there. Raises InputError if it is missing, damaged or
    none.
    """
    found = load_dictionary(path, mapped=True)
    signal, sequence = found.fingerprints.signal, found.sequence
    name = str((sequence or {}).get("name", "an unnamed sequence"))
    return Source(
        Path(path).name,
        found.tissue,
        signal.shape[1],
        lambda index: signal[index],
        found.fingerprints.sequence_id,
        name,
        sequence,
    )


def dictionary_from_sequence(
    sequence: PulseSequence, tissue: Tissue, *, threads: int | None = None
) -> Source:
    """The fingerprints of `tissue` under `sequence`, simulated when they are asked for."""
    return Source(
        f"{sequence.name}, simulated",
        tissue,
        len(sequence),
        lambda index: simulate(sequence, tissue[index], threads=threads).signal,
        sequence.sequence_id,
        sequence.name,
        sequence_to_dict(sequence),
    )


def compress_dictionary(
    source: Source,
    form: Form,
    *,
    tolerance: float = TOLERANCE,
    rank: int | None = None,
    progress: Progress | None = None,
) -> MatchDictionary:
    """Compress all entries, or their magnitudes, as `form` says, and sort them for the search.

    tolerance: largest relative error of an entry [1]. rank: number of coefficients instead,
    whatever the error.
    progress: called with the number of entries done since the last call.

    Raises InputError if an entry is zero or not finite, CheckFailedError if the tolerance cannot be
    kept, ArgumentError if an option is out of range.
    """
    if not 0 < tolerance < 1 or (rank is not None and not 1 <= rank <= source.n_time):
        raise ArgumentError(
            f"tolerance {tolerance:g}, rank {rank}, expected 0 to 1 and 1 to {source.n_time}"
        )
    members = _sample(source.tissue)
    with one_blas_thread():
        for _ in range(_ROUNDS):
            basis = _fit(source, form, members, tolerance, rank)
            coefficients, errors = _compressed(source, form, basis, progress)
            if rank is not None or errors.max() <= tolerance:
                norms = np.linalg.norm(coefficients, axis=1)
                return MatchDictionary(
                    source, form, basis, build_matcher(coefficients), norms, float(errors.max())
                )
            members, progress = np.union1d(members, np.argsort(errors)[-_N_ADDED:]), None
    raise CheckFailedError(
        f"{source.name}: compressed to {basis.rank} coefficients, the worst entry has an error "
        f"of {errors.max():.1e}, "
        f"expected {tolerance:.1e}",
        hint="choose a rank, or a larger tolerance",
        arguments=("rank", "tolerance"),
    )


def _sample(tissue: Tissue) -> IndexArray:
    """Entries by chance, as many for each factor in T1 and T2 whatever the grid, and those at the
    ends of the range.
    """
    share = (tissue.t1.min() / tissue.t1) * (tissue.t2.min() / tissue.t2)
    share = np.maximum(share, np.finfo(np.float64).tiny)
    count = min(_SAMPLE, len(tissue))
    chosen = np.random.default_rng(0).choice(
        len(tissue), count, replace=False, p=share / share.sum()
    )
    columns = (tissue.t1, tissue.t2, tissue.t2 / tissue.t1, tissue.b1)
    ends = [end(column) for column in columns for end in (np.argmin, np.argmax)]
    return np.union1d(chosen, ends)


def _fit(
    source: Source, form: Form, members: IndexArray, tolerance: float, rank: int | None
) -> Basis:
    signals, _ = _signals(source, source.rows(members), form)
    return (
        fit_basis(signals, 0.0, max_rank=rank)
        if rank
        else fit_basis(signals, _SAMPLE_TOLERANCE * tolerance)
    )


def _compressed(
    source: Source, form: Form, basis: Basis, progress: Progress | None
) -> tuple[Array, Array]:
    """Coefficients `(entry, rank)` of all entries, in float64, and what compression leaves out of
    each [1].
    """
    coefficients = np.empty(
        (len(source), basis.rank), np.float64 if basis.is_real else np.complex128
    )
    errors = np.empty(len(source))
    for part, block in prefetched(source.blocks()):
        signals, energy = _signals(source, block, form)
        found = compress(signals, basis)
        coefficients[part] = found.real if basis.is_real else found
        errors[part] = np.sqrt(np.maximum(1 - _energy(coefficients[part]) / energy, 0))
        if progress is not None:
            progress(len(block))
    return coefficients, errors


def _signals(source: Source, rows: Array, form: Form) -> tuple[Array, Array]:
    """Signals in double precision, since what compression leaves out is a small difference, and
    their energies.
    """
    signals = abs(rows) if form == "magnitude" else rows
    signals = signals.astype(np.result_type(signals, np.float64))
    energy = _energy(signals)
    if not (np.isfinite(energy) & (energy > 0)).all():
        raise InputError(
            f"{source.name}: an entry is zero or not finite, expected a signal in each"
        )
    return signals, energy


def _energy(rows: Array) -> Array:
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(np.linalg.norm(rows, axis=1) ** 2)
