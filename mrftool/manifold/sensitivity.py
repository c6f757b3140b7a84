"""How far T1 and T2 move when something that is given, and not fitted, is wrong.

B1, the efficiency of the inversion, TE and so on are taken for granted by a fit. An error of one of
them is an error of T1 and T2 that no residual shows, and its standard uncertainty a systematic part
of theirs (GUM, JCGM 100:2008, 4.3: type B).

With J the derivatives of the signal m by log T1 and log T2, from which M0 is projected out, and H =
Re J^H J, the estimates of least squares move by d = -H^-1 Re J^H dm/dp when the value of p that is
taken for granted rises: the first-order term of the implicit function theorem, at a small residual.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from mrftool.arrays import Array, BoolArray, FloatArray
from mrftool.errors import ArgumentError
from mrftool.physics.cramer_rao import Form
from mrftool.physics.simulate import signal_and_derivatives
from mrftool.sequence import Event, Invert, PulseSequence, SliceProfile, Wait
from mrftool.tissue import Tissue

Scene = tuple[PulseSequence, Tissue]

NEGLIGIBLE = 5e-4  # relative change of T1 and T2 that need not be shown [1]
_TOLERANCE = 1e-6  # of the engine, as differences of signals are taken
_LEAST_DETERMINANT = 1e-10  # of H, relative to the product of its diagonal


@dataclass(frozen=True)
class Influence:
    """Something that a fit takes for granted, and how well it is usually known.

    Parameters
    ----------
    name
        As options and files spell it.
    label
        In tables and pictures.
    uncertainty
        Typical standard uncertainty [unit].
    unit
        SI unit of the value; "1" for ratios.
    shown
        The uncertainty in words, with the unit that people use.
    """

    name: str
    label: str
    uncertainty: float
    unit: str
    shown: str


B1 = Influence("b1", "B1", 0.02, "1", "2 %")
EFFICIENCY = Influence("efficiency", "inversion efficiency", 0.03, "1", "3 %")
TI = Influence("ti", "TI", 1e-3, "s", "1 ms")
TE = Influence("te", "TE", 0.1e-3, "s", "0.1 ms")
ADC = Influence("adc", "ADC", 0.2e-9, "m2/s", "200 um2/s")
OFF_RESONANCE = Influence("off_resonance", "off-resonance", 10.0, "Hz", "10 Hz")
FLIP_EXPONENT = Influence("flip_exponent", "flip angle exponent", 0.01, "1", "0.01")
SLICE_PROFILE = Influence("slice_profile", "slice profile", 0.05, "1", "5 %")
INFLUENCES = (B1, EFFICIENCY, TI, TE, ADC, OFF_RESONANCE, FLIP_EXPONENT, SLICE_PROFILE)


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """How estimates follow the values that are taken for granted.

    Parameters
    ----------
    tissue
        The voxels.
    influences
        The values.
    slopes
        Derivatives of log T1 and log T2 by these values `(influence, voxel, 2)` [1 / unit]; NaN
        where the sequence does not determine T1 and T2.
    """

    tissue: Tissue
    influences: tuple[Influence, ...]
    slopes: FloatArray

    def shifts(self) -> FloatArray:
        """Relative change of T1 and T2 by one typical uncertainty of each value.

        Returns
        -------
        FloatArray
            `(influence, voxel, 2)` [1], with its sign.
        """
        sizes = np.array([influence.uncertainty for influence in self.influences])
        return np.asarray(self.slopes * sizes[:, None, None])

    def matters(self) -> BoolArray:
        """Which of the values move T1 or T2 of any voxel visibly `(influence,)`."""
        sizes = np.nan_to_num(np.abs(self.shifts()))
        return np.asarray((sizes >= NEGLIGIBLE).any(axis=(1, 2)))


def sensitivity(sequence: PulseSequence, tissue: Tissue, *, form: Form = "complex") -> Sensitivity:
    """Sensitivity of T1 and T2 to everything that a fit of this sequence takes for granted.

    Parameters
    ----------
    sequence
        What was played.
    tissue
        The voxels; their B1, ADC and off-resonance are the values that are taken for granted.
    form
        Of the signals that are fitted.
    """
    signal, slopes = signal_and_derivatives(
        sequence, tissue, with_respect_to=("t1", "t2", "b1"), tolerance=_TOLERANCE
    )
    by_log_time = slopes[:2] * np.stack([tissue.t1, tissue.t2])[:, :, None]
    influences = influences_on(sequence)
    rows = []
    for influence in influences:
        change = slopes[2]
        if influence != B1:
            change = signal_derivative(influence, sequence, tissue)
        rows.append(estimate_slope(signal, by_log_time, change, form=form))
    return Sensitivity(tissue, influences, np.stack(rows))


def influences_on(sequence: PulseSequence) -> tuple[Influence, ...]:
    """What a fit of this sequence takes for granted."""
    there = {
        EFFICIENCY: bool(_inversions(sequence)),
        TI: bool(_inversion_times(sequence)),
        ADC: sequence.spoiler is not None,
        SLICE_PROFILE: sequence.slice_profile is not None,
    }
    return tuple(each for each in INFLUENCES if there.get(each, True))


def estimate_slope(
    signal: Array, slopes: Array, change: Array, *, form: Form = "complex"
) -> FloatArray:
    """Derivatives `(voxel, 2)` of two fitted parameters by a value that is taken for granted.

    Parameters
    ----------
    signal
        `(voxel, time)`, complex.
    slopes
        Derivatives of the signal by the fitted parameters `(2, voxel, time)`.
    change
        Derivative of the signal by the given value `(voxel, time)`.
    form
        "complex" fits the signal with a complex M0, "magnitude" its modulus with a real one.

    Returns
    -------
    FloatArray
        Change of each fitted parameter per change of the value; NaN where the signal does not
        determine them.
    """
    rows: Array = np.stack([*slopes, change]).astype(np.complex128)
    signal = np.asarray(signal, np.complex128)
    if form == "magnitude":
        size = np.abs(signal)
        rows = (np.conj(signal) * rows).real / np.maximum(size, 1e-300)
        signal = size
    unit = signal / np.maximum(np.linalg.norm(signal, axis=1, keepdims=True), 1e-300)
    rows = rows - unit * (np.conj(unit) * rows).sum(axis=2, keepdims=True)
    first, second, given = rows
    return -_solved(
        _inner(first, first),
        _inner(first, second),
        _inner(second, second),
        np.stack([_inner(first, given), _inner(second, given)], axis=1),
    )


def _solved(aa: FloatArray, ab: FloatArray, bb: FloatArray, right: FloatArray) -> FloatArray:
    """Solutions `(voxel, 2)` of ((aa, ab), (ab, bb)) x = right; NaN where there is none."""
    determinant = aa * bb - ab**2
    determinant[determinant <= _LEAST_DETERMINANT * aa * bb] = np.nan
    first = bb * right[:, 0] - ab * right[:, 1]
    second = aa * right[:, 1] - ab * right[:, 0]
    return np.asarray(np.stack([first, second], axis=1) / determinant[:, None])


def _inner(a: Array, b: Array) -> FloatArray:
    """Real part of the inner product of each row."""
    return np.asarray((np.conj(a) * b).real.sum(axis=1))


def influence_named(name: str) -> Influence:
    """The influence of this name. Raises ArgumentError for an unknown one."""
    for influence in INFLUENCES:
        if influence.name == name:
            return influence
    known = ", ".join(influence.name for influence in INFLUENCES)
    raise ArgumentError(f"no influence {name!r}, expected one of: {known}")


def signal_derivative(influence: Influence, sequence: PulseSequence, tissue: Tissue) -> Array:
    """Derivative of the signal by a value that is taken for granted `(voxel, time)` [m0 / unit].

    A central difference, or a one-sided one of the same order at the end of what is possible. The
    signal is linear in the efficiency, and smooth over the steps of the others.
    """
    shift, step, side = _SHIFTS[influence], _STEPS[influence], _side(influence, sequence, tissue)

    def at(offset: float) -> Array:
        shifted = shift(sequence, tissue, offset * step)
        signal, _ = signal_and_derivatives(*shifted, with_respect_to=(), tolerance=_TOLERANCE)
        return signal.astype(np.complex128)

    if side == 0:
        return np.asarray((at(1) - at(-1)) / (2 * step))
    return np.asarray(side * (4 * at(side) - at(2 * side) - 3 * at(0)) / (2 * step))


def _side(influence: Influence, sequence: PulseSequence, tissue: Tissue) -> int:
    """Where the value can go: -1 down, 1 up, 0 both ways."""
    step = _STEPS[influence]
    if influence == EFFICIENCY:
        return -int(max(_inversions(sequence).values()) > 1 - step)
    lowest = np.inf
    if influence == ADC:
        lowest = tissue.adc.min()
    elif influence == TE:
        lowest = sequence.te.min()
    elif influence == TI:
        lowest = min(_inversion_times(sequence).values())
    return int(lowest < step)


def _inversions(sequence: PulseSequence) -> dict[int, float]:
    """Efficiency of each inversion, by its place among the events."""
    events = enumerate(sequence.events)
    return {place: event.efficiency for place, event in events if isinstance(event, Invert)}


def _inversion_times(sequence: PulseSequence) -> dict[int, float]:
    """Each waiting time after an inversion [s], by its place among the events."""
    pairs = enumerate(pairwise(sequence.events), start=1)
    return {
        place: wait.time
        for place, (before, wait) in pairs
        if isinstance(before, Invert) and isinstance(wait, Wait)
    }


def _with_events(sequence: PulseSequence, changed: Mapping[int, Event]) -> PulseSequence:
    events = [changed.get(place, event) for place, event in enumerate(sequence.events)]
    return replace(sequence, events=events)


def _with_b1(sequence: PulseSequence, tissue: Tissue, change: float) -> Scene:
    return sequence, replace(tissue, b1=tissue.b1 + change)


def _with_efficiency(sequence: PulseSequence, tissue: Tissue, change: float) -> Scene:
    inversions = _inversions(sequence).items()
    changed = {place: Invert(efficiency + change) for place, efficiency in inversions}
    return _with_events(sequence, changed), tissue


def _with_ti(sequence: PulseSequence, tissue: Tissue, change: float) -> Scene:
    times = _inversion_times(sequence).items()
    changed = {place: Wait(time + change) for place, time in times}
    return _with_events(sequence, changed), tissue


def _with_te(sequence: PulseSequence, tissue: Tissue, change: float) -> Scene:
    return replace(sequence, te=sequence.te + change), tissue


def _with_adc(sequence: PulseSequence, tissue: Tissue, change: float) -> Scene:
    return sequence, replace(tissue, adc=tissue.adc + change)


def _with_off_resonance(sequence: PulseSequence, tissue: Tissue, change: float) -> Scene:
    return sequence, replace(tissue, off_resonance=tissue.off_resonance + change)


def _with_flip_exponent(sequence: PulseSequence, tissue: Tissue, change: float) -> Scene:
    """Flip angles that follow the transmitter's amplitude with a power, equal at the largest."""
    largest = np.abs(sequence.flip_angle).max()
    if largest == 0:
        return sequence, tissue
    relative = np.abs(sequence.flip_angle) / largest
    flips = np.sign(sequence.flip_angle) * largest * relative ** (1 + change)
    return replace(sequence, flip_angle=flips), tissue


def _with_slice_profile(sequence: PulseSequence, tissue: Tissue, change: float) -> Scene:
    """A profile whose flip factors are taken to a power: above 1 for a slice with softer edges."""
    profile = sequence.slice_profile
    if profile is None:
        return sequence, tissue
    factors = np.asarray(profile.flip_factor) ** (1 + change)
    changed = SliceProfile(factors, profile.weight)
    return replace(sequence, slice_profile=changed), tissue


_SHIFTS: dict[Influence, Callable[[PulseSequence, Tissue, float], Scene]] = {
    B1: _with_b1,
    EFFICIENCY: _with_efficiency,
    TI: _with_ti,
    TE: _with_te,
    ADC: _with_adc,
    OFF_RESONANCE: _with_off_resonance,
    FLIP_EXPONENT: _with_flip_exponent,
    SLICE_PROFILE: _with_slice_profile,
}
_STEPS: dict[Influence, float] = {  # of the differences, in the unit of the value
    B1: 1e-3,
    EFFICIENCY: 0.1,
    TI: 1e-3,
    TE: 0.1e-3,
    ADC: 0.1e-9,
    OFF_RESONANCE: 1.0,
    FLIP_EXPONENT: 0.01,
    SLICE_PROFILE: 0.02,
}


def combined(shifts: Sequence[FloatArray] | FloatArray) -> FloatArray:
    """Root sum of squares over the first axis: independent contributions together."""
    return np.asarray(np.sqrt(np.sum(np.square(np.asarray(shifts)), axis=0)))
