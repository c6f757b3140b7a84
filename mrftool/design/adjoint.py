"""Signals with their derivatives by log T1 and log T2, and the gradient of any loss by every pulse.

The native kernel is `native/epg_adjoint.c`, in a library of its own. If it is missing, or if the
environment says MRFTOOL_ENGINE=reference, the readable twin serves: the same numbers to rounding,
slower.
"""

import ctypes
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from mrftool.arrays import FloatArray, IndexArray
from mrftool.design import readable_adjoint
from mrftool.design.pulse_train import DesignTissue, PulseTrain
from mrftool.environment.native import library_in_use
from mrftool.errors import ArgumentError

_ACCURACY = 1e-12  # of the largest path through the orders that are left out [1]
_ARRAY = ctypes.c_void_p


class _Job(ctypes.Structure):
    """`job` of native/epg_adjoint.c, field by field."""

    _fields_ = (
        *((key, ctypes.c_int64) for key in ("n_pulses", "n_tissues", "first", "last")),
        *((key, _ARRAY) for key in ("flip", "tr", "te")),
        ("inversion_time", ctypes.c_double),
        ("is_inverted", ctypes.c_int32),
        *((key, _ARRAY) for key in ("n_states", "t1", "t2", "b1", "efficiency")),
        *((key, _ARRAY) for key in ("signal", "weight", "by_flip", "by_tr", "by_te")),
        ("by_inversion_time", _ARRAY),
    )


@dataclass(frozen=True, eq=False)
class Gradient:
    """Derivatives of a loss, summed over tissues.

    Parameters
    ----------
    flip_angle
        By each flip angle `(pulse,)` [1/rad].
    tr, te
        By each TR and TE `(pulse,)` [1/s].
    inversion_time
        By the inversion time [1/s].
    """

    flip_angle: FloatArray
    tr: FloatArray
    te: FloatArray
    inversion_time: float


def signals(train: PulseTrain, tissue: DesignTissue, *, threads: int = 1) -> FloatArray:
    """Signals and their derivatives by log T1 and log T2 `(3, tissue, pulse)`, for M0 = 1 [1].

    The complex signal is -i times these real numbers.
    """
    orders = needed_orders(train, tissue)
    library = _library()
    if library is None:
        return readable_adjoint.forward(train, tissue, int(orders.max()))[0]
    call = _Call(train, tissue, orders, None, with_times=False)
    call.run(library, threads)
    return call.signal


def gradient(
    train: PulseTrain,
    tissue: DesignTissue,
    weight: FloatArray,
    *,
    with_times: bool = True,
    threads: int = 1,
) -> Gradient:
    """Gradient of a loss.

    Parameters
    ----------
    train, tissue
        The pulses, and what they are played to.
    weight
        Derivatives of the loss by what `signals` returns `(3, tissue, pulse)`.
    with_times
        Whether the derivatives by TR and TE are needed; else they are 0.
    threads
        That share the tissues.

    Raises
    ------
    ArgumentError
        If `weight` has another shape.
    """
    expected = (3, len(tissue), len(train))
    if weight.shape != expected:
        raise ArgumentError(f"weights of shape {weight.shape}, expected {expected}")
    orders = needed_orders(train, tissue)
    library = _library()
    if library is None:
        _, history = readable_adjoint.forward(train, tissue, int(orders.max()))
        found = readable_adjoint.backward(train, tissue, history, weight)
    else:
        call = _Call(train, tissue, orders, weight, with_times=with_times)
        call.run(library, threads)
        found = call.gradient
    return Gradient(
        flip_angle=np.asarray(found["flip_angle"].sum(axis=0)),
        tr=np.asarray(found["tr"].sum(axis=0)),
        te=np.asarray(found["te"].sum(axis=0)),
        inversion_time=float(found["inversion_time"].sum()),
    )


def needed_orders(train: PulseTrain, tissue: DesignTissue) -> IndexArray:
    """Orders of the phase graph for each tissue `(tissue,)`.

    Of N pulses no order above (N - 1) / 2 is ever seen. An order k that is seen was transverse
    during 2 k repetitions, during which it decayed by exp(-2 k TR / T2).
    """
    exact = (len(train) - 1) // 2 + 1
    decaying = np.ceil(-np.log(_ACCURACY) * tissue.t2 / (2 * train.tr.min())) + 1
    return np.asarray(np.minimum(exact, decaying), np.int64)


class _Call:
    """The arrays of one call of the kernel."""

    def __init__(
        self,
        train: PulseTrain,
        tissue: DesignTissue,
        orders: IndexArray,
        weight: FloatArray | None,
        *,
        with_times: bool,
    ) -> None:
        shape = (len(tissue), len(train))
        self.signal = np.empty((3, *shape))
        self.gradient: dict[str, FloatArray] = {
            key: np.zeros(shape) for key in ("flip_angle", "tr", "te")
        }
        self.gradient["inversion_time"] = np.zeros(len(tissue))
        self._weight = weight
        self._with_times = with_times
        self._train = train
        self._inputs = {
            "flip": np.ascontiguousarray(train.flip_angle, np.float64),
            "tr": np.ascontiguousarray(train.tr, np.float64),
            "te": np.ascontiguousarray(train.te, np.float64),
            "n_states": np.ascontiguousarray(orders),
            "t1": np.ascontiguousarray(tissue.t1, np.float64),
            "t2": np.ascontiguousarray(tissue.t2, np.float64),
            "b1": np.ascontiguousarray(tissue.b1, np.float64),
            "efficiency": np.ascontiguousarray(tissue.efficiency, np.float64),
        }
        if weight is not None:
            self._inputs["weight"] = np.ascontiguousarray(weight, np.float64)

    def run(self, library: Any, threads: int) -> None:
        """Compute signals, and the gradient if there are weights."""
        edges = np.linspace(0, self.signal.shape[1], threads + 1).astype(int)
        jobs = [self._job(first, last) for first, last in pairwise(edges)]
        if len(jobs) == 1:
            codes = [self._done(library, jobs[0])]
        else:
            with ThreadPoolExecutor(threads) as pool:
                codes = list(pool.map(partial(self._done, library), jobs))
        if any(codes):
            raise MemoryError("not enough memory for the states of the pulse train")

    def _done(self, library: Any, job: _Job) -> int:
        """A method, so that a thread that Ctrl-C leaves behind keeps its arrays."""
        return int(library.epg_adjoint_run(ctypes.byref(job)))

    def _job(self, first: int, last: int) -> _Job:
        """The tissues `first` to `last` - 1."""
        time = self._train.inversion_time
        job = _Job(
            n_pulses=self.signal.shape[2],
            n_tissues=self.signal.shape[1],
            first=first,
            last=last,
            inversion_time=time or 0.0,
            is_inverted=time is not None,
        )
        arrays = {**self._inputs, "signal": self.signal}
        if self._weight is not None:
            arrays["by_flip"] = self.gradient["flip_angle"]
            arrays["by_inversion_time"] = self.gradient["inversion_time"]
        if self._weight is not None and self._with_times:
            arrays["by_tr"], arrays["by_te"] = self.gradient["tr"], self.gradient["te"]
        for key, array in arrays.items():
            setattr(job, key, array.ctypes.data)
        return job


def _library() -> ctypes.CDLL | None:
    return library_in_use("epg_adjoint", _Job)
