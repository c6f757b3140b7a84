"""The native kernel (native/epg.c): finding the library, and calling it on arrays. Needs no
compiler at run time.

The library is optional: where it is missing, or where the environment says
MRFTOOL_ENGINE=reference, `is_available` is False and the readable engine serves.
"""

import ctypes
import warnings
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev

from mrftool.arrays import Array, FloatArray, IndexArray
from mrftool.environment.native import WIDTHS, is_reference, native_library, widest_registers
from mrftool.environment.threads import usable_processors
from mrftool.physics.dephasing import at_rest, spoiled_integrals
from mrftool.physics.orders.truncation import shortest_tr
from mrftool.physics.rf.excitation import slice_positions
from mrftool.physics.rf.slice_rotations import SliceRotations, slice_rotations
from mrftool.sequence import Pulses, PulseSequence, SelectivePulse
from mrftool.tissue import Tissue

_VOXELS_IN_TASK = 256  # of one thread at a time: the last one to finish does not wait long

_FEW, _SMALL = 128, 150_000  # voxels, and pulses of all, that are done before threads are ready

_ARRAY = ctypes.c_void_p
DERIVATIVES = ("t1", "t2", "b1", "off_resonance")  # in the order of the kernel


class _Job(ctypes.Structure):
    """`job` of native/epg.c, field by field."""

    _fields_ = (
        *((key, ctypes.c_int64) for key in ("n_pulses", "n_echoes", "n_events")),
        *((key, _ARRAY) for key in ("flip", "phase", "sign", "tr", "te", "events")),
        *((key, ctypes.c_int32) for key in ("is_spoiled", "is_real", "is_diffusing")),
        ("step", ctypes.c_double),
        *((key, _ARRAY) for key in ("quiet", "tail_first", "tail_second", "cycles")),
        ("n_positions", ctypes.c_int64),
        *((key, _ARRAY) for key in ("flip_factor", "weight")),
        ("largest", ctypes.c_double),
        ("n_terms", ctypes.c_int64),
        ("series", _ARRAY),
        ("is_mirrored", ctypes.c_int32),
        *((key, ctypes.c_int64) for key in ("first", "last")),
        *((key, _ARRAY) for key in ("index", "n_states")),
        *((key, _ARRAY) for key in ("t1", "t2", "b1", "adc", "off_resonance", "m0")),
        ("tolerance", ctypes.c_double),
        *((key, _ARRAY) for key in ("level", "shortest")),
        *((key, ctypes.c_int32) for key in ("is_same_b1", "is_complex_out", "n_derivatives")),
        ("signal", _ARRAY),
        ("derivative", _ARRAY * len(DERIVATIVES)),
        ("norm", _ARRAY),
    )


def is_available() -> bool:
    """Whether the native kernel serves. Warns once where the library is missing."""
    return not is_reference() and _library() is not None


def widest() -> str:
    """The widest registers that both the library and this processor have, one of WIDTHS; "baseline"
    without library.
    """
    return widest_registers(_library(), "epg")


@cache
def _library() -> ctypes.CDLL | None:
    library = native_library("epg", _Job)
    if library is None:
        warnings.warn(
            "mrftool was installed without its native kernel: the readable engine serves, some "
            "hundred times slower",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    library.epg_run.argtypes = (ctypes.POINTER(_Job), ctypes.c_int)
    return library


_MOST_NUMBERS = 4  # of one event
_EVENT = np.dtype(  # `event` of native/epg.c, field by field
    [
        ("code", np.int32),
        ("acquire", np.int32),
        ("first", np.int64),
        ("stop", np.int64),
        ("number", np.float64, _MOST_NUMBERS),
    ]
)


@dataclass(frozen=True)
class Run:
    """What the kernel computes, for all voxels of `tissue`.

    n_states: orders to keep `(voxel,)`.
    is_complex: complex64 results [m0]; else float32 results that lack the factor -i m0 (see
    `is_real`).
    threads: one per usable processor if None. width: of the registers, one of WIDTHS; by default
    the widest.
    cut: what may be cut off on the way, without derivatives; by default nothing.
    """

    sequence: PulseSequence
    tissue: Tissue
    n_states: IndexArray
    is_complex: bool = True
    threads: int | None = None
    width: str | None = None
    cut: "Cut | None" = None


@dataclass(frozen=True)
class Cut:
    """How much may be cut off on the way; see points 4 and 5 of `truncation`.

    tolerance: what all cuts together may change, relative to the root mean square of a fingerprint
    [1].
    level: that root mean square at least, for m0 = 1, `(voxel,)` [1].
    """

    tolerance: float
    level: FloatArray


def is_real(sequence: PulseSequence, tissue: Tissue) -> bool:
    """Whether the signal is -i m0 times real numbers: see `stays_real`, and all on resonance."""
    return stays_real(sequence) and not tissue.off_resonance.any()


def stays_real(sequence: PulseSequence) -> bool:
    """Whether signals on resonance are -i m0 times real numbers: all RF phases 180 degrees apart,
    spoiled, and no preparation that turns magnetisation out of the plane.
    """
    turns = _half_turns(sequence)
    on_axis = bool((np.abs(turns - np.rint(turns)) < 1e-12 * (1 + np.abs(turns))).all())
    return (
        on_axis
        and sequence.spoiling == "gradient"
        and sequence.receiver_phase is None
        and all(event.keeps_signals_real for event in sequence.program)
    )


def receiver_signs(sequence: PulseSequence) -> FloatArray:
    """1, or -1 where the RF phase is 180 degrees from the first `(pulse,)` [1]."""
    return np.where(np.rint(_half_turns(sequence)) % 2 == 1, -1.0, 1.0)


def _half_turns(sequence: PulseSequence) -> FloatArray:
    """RF phases relative to the first, in units of 180 degrees."""
    return np.asarray((sequence.rf_phase - sequence.rf_phase[0]) / np.pi)


def run(
    task: Run,
    signal: Array,
    derivatives: Mapping[str, Array],
    progress: Callable[[int], None] | None = None,
) -> FloatArray:
    """Fill `signal` and `derivatives`, each `(voxel, time)` contiguous; return sum |signal|^2 /
    |m0|^2 `(voxel,)` [1].

    derivatives: some of t1 [m0/s], t2 [m0/s], b1 [m0], off_resonance [m0/Hz].
    """
    library = _library()
    if library is None:
        raise ImportError("the native kernel is missing")
    norm = np.empty(len(task.tissue))
    job, kept = _job(task, signal, derivatives, norm)
    width = WIDTHS[task.width or widest()]
    threads = task.threads or usable_processors()
    parts = _parts(job, len(task.tissue), threads)

    def work(part: _Job, _: list[Any] = kept) -> int:  # Ctrl-C can leave a thread behind
        if library.epg_run(ctypes.byref(part), width):
            raise MemoryError("no memory for the states of the EPG kernel")
        return int(part.last - part.first)

    with closing(_work_done(work, parts, threads)) as finished:
        for n_voxels in finished:
            if progress is not None:
                progress(n_voxels)
    if task.sequence.slice_profile is None:
        return norm
    return power_of(task, signal)


def _work_done(
    work: Callable[[_Job], int], parts: list[_Job], threads: int
) -> Generator[int, None, None]:
    """Number of voxels of each part, as the threads finish them."""
    if len(parts) == 1:
        yield work(parts[0])
        return
    pool = ThreadPoolExecutor(threads)
    try:
        for done in as_completed([pool.submit(work, part) for part in parts]):
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C nothing more begins


def power_of(task: Run, signal: Array) -> FloatArray:
    """Sum over time of |signal|^2 / |m0|^2 where the kernel, which sees one position of the slice
    at a time, can't.
    """
    power: FloatArray = np.einsum("vt,vt->v", signal, signal.conj(), dtype=np.complex128).real
    if not task.is_complex:
        return power
    size = np.abs(task.tissue.m0) ** 2
    return np.asarray(np.divide(power, size, out=np.zeros_like(power), where=size > 0))


def _parts(job: _Job, n_voxels: int, threads: int) -> list[_Job]:
    """The job in pieces for the threads, the costly ones first."""
    size = n_voxels
    work = n_voxels * job.n_pulses * job.n_positions
    if threads > 1 and max(work / _SMALL, n_voxels / _FEW) > 1:
        size = min(_VOXELS_IN_TASK, -(-n_voxels // (16 * threads)) * 16)
    parts = []
    for first in range(0, n_voxels, size):
        part = _Job.from_buffer_copy(job)
        part.first, part.last = first, min(first + size, n_voxels)
        parts.append(part)
    return parts[::-1]


def _job(
    task: Run, signal: Array, derivatives: Mapping[str, Array], norm: FloatArray
) -> tuple[_Job, list[Any]]:
    """The kernel's job, and the arrays that it points into."""
    sequence, tissue = task.sequence, task.tissue
    real = is_real(sequence, tissue) and "off_resonance" not in derivatives
    arrays = _sequence_arrays(sequence, real) | _tissue_arrays(tissue)
    arrays["norm"] = norm
    if sequence.spoiler_cycles is not None:
        arrays["cycles"] = np.ascontiguousarray(sequence.cycles)
    arrays["n_states"] = np.ascontiguousarray(task.n_states, np.int64)
    arrays["index"] = np.lexsort((tissue.t2, arrays["n_states"])).astype(np.int64)
    arrays["signal"] = signal
    job = _Job(
        n_pulses=len(sequence.flip_angle),
        n_echoes=len(sequence),
        n_events=len(sequence.program),
        is_spoiled=sequence.spoiling == "gradient",
        is_real=real,
        is_diffusing=bool(tissue.adc.any()),
        n_positions=len(arrays["weight"]),
        is_same_b1=bool((tissue.b1 == tissue.b1[0]).all()),
        is_complex_out=task.is_complex,
        n_derivatives=_n_derivatives(derivatives),
        last=len(tissue),
    )
    if task.cut is not None and not derivatives:
        _set_cut(job, arrays, task.cut, sequence)
    if isinstance(sequence.slice_profile, SelectivePulse):
        _set_selective(job, arrays, task, sequence.slice_profile)
    rest = at_rest(sequence)
    if rest is not None:
        job.step = rest.step
    _point_into(job, arrays, derivatives)
    return job, [*arrays.values(), *derivatives.values()]


def _set_selective(job: _Job, arrays: dict[str, Any], task: Run, pulse: SelectivePulse) -> None:
    """What a selective pulse does, in place of flip factors."""
    largest = float(np.abs(task.sequence.flip_angle).max() * task.tissue.b1.max())
    rotations = slice_rotations(pulse, largest, is_mirrored=bool(job.is_real))
    arrays |= _selective_arrays(rotations, task.sequence)
    job.largest, job.n_terms = rotations.largest, rotations.alpha.shape[1]
    job.n_positions, job.is_mirrored = len(rotations.weight), job.is_real


def _set_cut(job: _Job, arrays: dict[str, Any], cut: Cut, sequence: PulseSequence) -> None:
    """What may be cut off on the way."""
    arrays["level"] = np.ascontiguousarray(cut.level, np.float64)
    arrays["shortest"] = np.cumsum([0.0, *shortest_tr(sequence, int(arrays["n_states"].max()))])
    job.tolerance = cut.tolerance / float(np.abs(arrays["weight"]).sum())


def _sequence_arrays(sequence: PulseSequence, real: bool) -> dict[str, Any]:
    """What the kernel reads of a sequence, by field of the job."""
    sign = np.ones(len(sequence.rf_phase))
    if real:
        sign = receiver_signs(sequence)
    factors, weights = np.array(slice_positions(sequence)).T
    columns = {
        "flip": sequence.flip_angle * sign,
        "phase": sequence.rf_phase,
        "sign": sign,
        "tr": sequence.tr,
        "te": sequence.te,
        "quiet": sequence.spoiler_start,
        "flip_factor": factors,
        "weight": weights,
        **_dephasing(sequence),
    }
    return _contiguous(columns) | {"events": _event_table(sequence)}


def _selective_arrays(rotations: SliceRotations, sequence: PulseSequence) -> dict[str, Any]:
    """What the kernel reads of a selective pulse, by field of the job.

    Its Chebyshev series of alpha, beta / amplitude and their slopes, real and imaginary parts
    `(position, 8, term)`. All its pulses have two parts to a state, and phases of their own.
    """
    values = [rotations.alpha, rotations.beta]
    slopes = [np.pad(chebyshev.chebder(each, axis=1), ((0, 0), (0, 1))) for each in values]
    rows = [part for each in values + slopes for part in (each.real, each.imag)]
    columns = {
        "flip": sequence.flip_angle,
        "sign": np.ones(len(sequence.flip_angle)),
        "flip_factor": np.ones(len(rotations.weight)),
        "weight": rotations.weight,
        "series": np.stack(rows, axis=1),
    }
    return _contiguous(columns)


def _tissue_arrays(tissue: Tissue) -> dict[str, Any]:
    """What the kernel reads of a tissue, by field of the job."""
    names = ("t1", "t2", "b1", "adc", "off_resonance")
    columns = {name: getattr(tissue, name) for name in names}
    return _contiguous(columns | {"m0": tissue.m0.view(np.float64)})


def _contiguous(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {key: np.ascontiguousarray(column, np.float64) for key, column in columns.items()}


def _n_derivatives(derivatives: Mapping[str, Array]) -> int:
    """How many the kernel computes: those by T1 and T2 together, and all up to the last one."""
    wanted = [place for place, name in enumerate(DERIVATIVES, 1) if name in derivatives]
    if not wanted:
        return 0
    return max(2, *wanted)


def _point_into(job: _Job, arrays: Mapping[str, Any], derivatives: Mapping[str, Array]) -> None:
    for key, array in arrays.items():
        setattr(job, key, array.ctypes.data)
    for row, key in enumerate(DERIVATIVES):
        if key in derivatives:
            job.derivative[row] = derivatives[key].ctypes.data


def _event_table(sequence: PulseSequence) -> Array:
    """The events as the kernel reads them."""
    table = np.zeros(len(sequence.program), _EVENT)
    for row, event in zip(table, sequence.program, strict=True):
        row["code"] = event.code
        if isinstance(event, Pulses):
            row["acquire"], row["first"], row["stop"] = event.acquire, event.first, event.stop or 0
        else:
            row["number"][: len(event.numbers)] = event.numbers
    return table


def _dephasing(sequence: PulseSequence) -> dict[str, Any]:
    """Integrals of the wave vector over each interval from echo to pulse `(time,)`; see
    `dephasing.Dephasing`.
    """
    if sequence.spoiler is None:
        nothing = np.zeros(len(sequence.tr))
        return {"tail_first": nothing, "tail_second": nothing}
    tails = sequence.tr - sequence.spoiler_start
    _, first, second = spoiled_integrals(sequence.spoiler, tails)
    return {
        "tail_first": sequence.cycles * first,
        "tail_second": sequence.cycles**2 * second,
    }
