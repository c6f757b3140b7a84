"""What a fit takes for granted (B1, inversion efficiency, TE and so on), and the derivative of the
signal by each of these values.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from mrftool.arrays import Array
from mrftool.errors import ArgumentError
from mrftool.physics.kernel import is_real
from mrftool.physics.simulate import Parameter, signal_and_derivatives
from mrftool.sequence import (
    Event,
    HardPulse,
    Invert,
    PulseSequence,
    SelectivePulse,
    SliceProfile,
    Wait,
)
from mrftool.tissue import Tissue

Scene = tuple[PulseSequence, Tissue]

TOLERANCE = 1e-6  # of the engine, as differences of signals are taken


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
        Standard uncertainty, that of the sequence or a typical one [unit].
    unit
        SI unit of the value; "1" for ratios.
    shown
        The uncertainty in words, with the unit that people use.
    """

    name: str
    label: str
    uncertainty: float = field(compare=False)
    unit: str
    shown: str = field(compare=False)


B1 = Influence("b1", "B1", 0.02, "1", "2 %")
EFFICIENCY = Influence("efficiency", "inversion efficiency", 0.03, "1", "3 %")
TI = Influence("ti", "TI", 1e-3, "s", "1 ms")
TE = Influence("te", "TE", 0.1e-3, "s", "0.1 ms")
ADC = Influence("adc", "ADC", 0.2e-9, "m2/s", "200 um2/s")
OFF_RESONANCE = Influence("off_resonance", "off-resonance", 10.0, "Hz", "10 Hz")
FLIP_EXPONENT = Influence("flip_exponent", "flip angle exponent", 0.01, "1", "0.01")
SLICE_PROFILE = Influence("slice_profile", "slice profile", 0.05, "1", "5 %")
INFLUENCES = (B1, EFFICIENCY, TI, TE, ADC, OFF_RESONANCE, FLIP_EXPONENT, SLICE_PROFILE)

_SHOWN_UNITS = {"1": (100.0, "%"), "s": (1e3, "ms"), "m2/s": (1e12, "um2/s"), "Hz": (1.0, "Hz")}


def influences_on(sequence: PulseSequence) -> tuple[Influence, ...]:
    """What a fit of this sequence takes for granted, as well as its file says that it is known."""
    there = {
        EFFICIENCY: bool(_inversions(sequence)),
        TI: bool(_inversion_times(sequence)),
        TE: _side_of_te(sequence) is not None,
        ADC: sequence.spoiler is not None,
        SLICE_PROFILE: sequence.slice_profile is not None,
    }
    return tuple(_as_stated(each, sequence) for each in INFLUENCES if there.get(each, True))


def _as_stated(influence: Influence, sequence: PulseSequence) -> Influence:
    """With the uncertainty that the sequence's file states, where it does."""
    size = sequence.uncertainty.get(influence.name)
    if size is None:
        return influence
    return replace(influence, uncertainty=size, shown=uncertainty_text(influence, size))


def influence_named(name: str) -> Influence:
    """The influence of this name. Raises ArgumentError for an unknown one."""
    for influence in INFLUENCES:
        if influence.name == name:
            return influence
    known = ", ".join(influence.name for influence in INFLUENCES)
    raise ArgumentError(f"no influence {name!r}, expected one of: {known}")


def uncertainty_text(influence: Influence, size: float) -> str:
    """A standard uncertainty in the unit that people use: `2 %`, `1 ms`. size: [SI unit]."""
    factor, unit = _SHOWN_UNITS[influence.unit]
    if influence == FLIP_EXPONENT:
        factor, unit = 1.0, ""
    return f"{factor * size:.3g} {unit}".rstrip()


def signal_derivative(influence: Influence, sequence: PulseSequence, tissue: Tissue) -> Array:
    """Derivative of the signal by a value that is taken for granted `(voxel, time)` [m0 / unit].

    Those by B1 and off-resonance come from the engine. Others are central differences, or one-sided
    ones of the same order at the end of what is possible: the signal is linear in the efficiency,
    and smooth over the steps of the others.
    """
    if influence == B1:
        return _of_engine("b1", sequence, tissue)
    if influence == OFF_RESONANCE:
        return _by_off_resonance(influence, sequence, tissue)
    shift, step, side = _SHIFTS[influence], _STEPS[influence], _side(influence, sequence, tissue)

    def at(offset: float) -> Array:
        return _signal(*shift(sequence, tissue, offset * step))

    if side == 0:
        return np.asarray((at(1) - at(-1)) / (2 * step))
    return np.asarray(side * (4 * at(side) - at(2 * side) - 3 * at(0)) / (2 * step))


def _by_off_resonance(influence: Influence, sequence: PulseSequence, tissue: Tissue) -> Array:
    """Derivative by off-resonance [m0 / Hz]; of balanced trains, the change per Hz by a value that
    is as far off as it may be.

    On resonance, the derivative of a balanced train moves neither T1 nor T2, since opposite values
    have mirrored signals, but 10 Hz move T2 by several per cent.
    """
    if sequence.spoiling == "none":
        size = max(influence.uncertainty, 1.0)
        below = _signal(*_with_off_resonance(sequence, tissue, -size))
        return np.asarray((_signal(sequence, tissue) - below) / size)
    if _is_mirrored(sequence, tissue):  # one signal tells what its mirror image is
        above = _signal(*_with_off_resonance(sequence, tissue, 1.0))
        return np.asarray(above.real, np.complex128)
    return _of_engine("off_resonance", sequence, tissue)


def _signal(sequence: PulseSequence, tissue: Tissue) -> Array:
    signal, _ = signal_and_derivatives(sequence, tissue, with_respect_to=(), tolerance=TOLERANCE)
    return signal.astype(np.complex128)


def _of_engine(name: Parameter, sequence: PulseSequence, tissue: Tissue) -> Array:
    """A derivative that the engine knows `(voxel, time)` [m0 / unit]."""
    _, slopes = signal_and_derivatives(
        sequence, tissue, with_respect_to=(name,), tolerance=TOLERANCE
    )
    return np.asarray(slopes[0].astype(np.complex128))


def signal_derivatives(
    influences: Sequence[Influence],
    sequence: PulseSequence,
    tissue: Tissue,
    signal: Array,
    known: Mapping[str, Array],
) -> list[Array]:
    """Derivatives of the signal by several values `(voxel, time)` each [m0 / unit].

    Those that follow from others take no run of the engine.

    Parameters
    ----------
    influences
        The values.
    sequence, tissue
        With the values as they are.
    signal
        Of this tissue, to `TOLERANCE` `(voxel, time)` [m0].
    known
        Derivatives at hand, by name `(voxel, time)` [m0 / unit].
    """
    found = dict(known)
    for influence in influences:
        if influence.name in found:
            continue
        change = _derived(influence, sequence, tissue, signal, found)
        if change is None:
            change = signal_derivative(influence, sequence, tissue)
        found[influence.name] = change
    return [found[influence.name] for influence in influences]


def _derived(
    influence: Influence,
    sequence: PulseSequence,
    tissue: Tissue,
    signal: Array,
    found: Mapping[str, Array],
) -> Array | None:
    """A derivative that follows from the signal and from others; None where it does not.

    Each echo decays and precesses for TE alone. One inversion at rest leaves the magnetisation
    z = 1 - (1 + efficiency) exp(-TI / T1), of which all signals are linear functions.
    """
    if influence == TE and not tissue.adc.any():
        rate = 2j * np.pi * tissue.off_resonance - 1 / tissue.t2 - tissue.r2_prime
        return np.asarray(rate[:, None] * signal)
    if influence == EFFICIENCY and _has_one_inversion(sequence):
        step = _STEPS[EFFICIENCY] * (_side(EFFICIENCY, sequence, tissue) or 1)
        changed = _signal(*_with_efficiency(sequence, tissue, step))
        return np.asarray((changed - signal) / step)
    if influence == TI and EFFICIENCY.name in found and _begins_with_inversion(sequence):
        (efficiency,) = _inversions(sequence).values()
        factor = -(1 + efficiency) / tissue.t1
        return np.asarray(factor[:, None] * found[EFFICIENCY.name])
    return None


def _begins_with_inversion(sequence: PulseSequence) -> bool:
    """Whether the one TI follows the one inversion, which is played at rest."""
    times = len(_inversion_times(sequence))
    begins = isinstance(sequence.events[0], Invert) and isinstance(sequence.events[1], Wait)
    return begins and times == 1 and len(_inversions(sequence)) == 1


def _has_one_inversion(sequence: PulseSequence) -> bool:
    """Whether signals are linear in the efficiency: one inversion is played, and only once."""
    return sum(isinstance(event, Invert) for event in sequence.program) == 1


def _is_mirrored(sequence: PulseSequence, tissue: Tissue) -> bool:
    """Whether signals at opposite off-resonances f are S(-f) = -conj(S(f))."""
    has_real_m0 = not np.any(np.imag(tissue.m0))
    return has_real_m0 and is_real(sequence, tissue)


def with_change(
    influence: Influence, sequence: PulseSequence, tissue: Tissue, change: float
) -> Scene:
    """Sequence and tissue with another value of what is taken for granted.

    Parameters
    ----------
    influence
        The value, any but B1.
    sequence, tissue
        With the value as it is.
    change
        Of the value [unit of the value].
    """
    return _SHIFTS[influence](sequence, tissue, change)


def _side(influence: Influence, sequence: PulseSequence, tissue: Tissue) -> int:
    """Where the value can go: -1 down, 1 up, 0 both ways."""
    step = _STEPS[influence]
    if influence == EFFICIENCY:
        return -int(max(_inversions(sequence).values()) > 1 - step)
    lowest = np.inf
    if influence == ADC:
        lowest = tissue.adc.min()
    elif influence == TE:
        return _side_of_te(sequence) or 0
    elif influence == TI:
        lowest = min(_inversion_times(sequence).values())
    return int(lowest < step)


def _side_of_te(sequence: PulseSequence) -> int | None:
    """Where all TEs can go within their TR, as `_side`; None for nowhere."""
    step = _STEPS[TE]
    below, above = float(sequence.te.min()), float((sequence.tr - sequence.spoiler_start).min())
    if min(below, above) >= step:
        return 0
    if max(below, above) < 2 * step:
        return None
    return int(np.sign(above - below))


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
        if isinstance(before, (Invert, HardPulse)) and isinstance(wait, Wait)
    }


def _with_events(sequence: PulseSequence, changed: Mapping[int, Event]) -> PulseSequence:
    events = [changed.get(place, event) for place, event in enumerate(sequence.events)]
    return replace(sequence, events=events)


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
    """A profile whose flip factors are taken to a power: above 1 for a slice with softer edges. Or
    a pulse of a smaller time-bandwidth product, over as many slice thicknesses.
    """
    profile = sequence.slice_profile
    if profile is None:
        return sequence, tissue
    if isinstance(profile, SelectivePulse):
        product = profile.time_bandwidth * (1 - change)
        softer = replace(profile, time_bandwidth=product, extent=profile.width)
        return replace(sequence, slice_profile=softer), tissue
    factors = np.asarray(profile.flip_factor) ** (1 + change)
    changed = SliceProfile(factors, profile.weight)
    return replace(sequence, slice_profile=changed), tissue


_SHIFTS: dict[Influence, Callable[[PulseSequence, Tissue, float], Scene]] = {
    EFFICIENCY: _with_efficiency,
    TI: _with_ti,
    TE: _with_te,
    ADC: _with_adc,
    OFF_RESONANCE: _with_off_resonance,
    FLIP_EXPONENT: _with_flip_exponent,
    SLICE_PROFILE: _with_slice_profile,
}
_STEPS: dict[Influence, float] = {  # of the differences, in the unit of the value
    EFFICIENCY: 0.1,
    TI: 1e-3,
    TE: 0.1e-3,
    ADC: 0.1e-9,
    FLIP_EXPONENT: 0.01,
    SLICE_PROFILE: 0.02,
}
