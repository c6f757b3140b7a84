"""What numbers of a scan are plausible, once for every file, header and option.

A number outside these ranges is possible and improbable: most likely it is given in another unit.
`unit_slip` says in which one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf, pi
from types import MappingProxyType


@dataclass(frozen=True)
class Plausible:
    """The plausible range of a quantity.

    Parameters
    ----------
    label
        Its name in messages.
    low, high
        Ends of the range [SI].
    shown, factor
        The unit of messages, and the number in it over the number in SI units.
    slips
        Units that it is mistaken for: the phrase, and the number read in SI units over the
        number that was meant.

    """

    label: str
    low: float
    high: float
    shown: str
    factor: float
    slips: Mapping[str, float]

    def holds(self, value: float) -> bool:
        """Whether `value` is plausible [SI]."""
        return self.low <= value <= self.high

    def text(self, value: float) -> str:
        """`value` [SI] as messages show it."""
        return f"{value * self.factor:.5g} {self.shown}".rstrip()


_TIMES = {
    "seconds taken for milliseconds": 1e-3,
    "milliseconds taken for seconds": 1e3,
    "microseconds taken for seconds": 1e6,
}
_ANGLES = {"radians taken for degrees": pi / 180, "degrees taken for radians": 180 / pi}
_DIFFUSIVITIES = {
    "mm2/s taken for m2/s": 1e6,
    "um2/ms taken for m2/s": 1e9,
    "mm2/ms taken for m2/s": 1e3,
}
_FRACTIONS = {"percent taken for a fraction": 100.0, "a fraction taken for percent": 0.01}

PLAUSIBLE: Mapping[str, Plausible] = MappingProxyType(
    {
        # Ultrashort echo times need a TR of about 1 ms.
        "tr": Plausible("TR", 0.5e-3, 5.0, "ms", 1e3, _TIMES),
        "te": Plausible("TE", 0.02e-3, 0.5, "ms", 1e3, _TIMES),
        "ti": Plausible("TI", 1e-3, 10.0, "ms", 1e3, _TIMES),
        # 300 down to 12 beats a minute
        "rr": Plausible("RR interval", 0.2, 5.0, "ms", 1e3, _TIMES),
        "t1": Plausible("T1", 10e-3, 10.0, "ms", 1e3, _TIMES),
        "t2": Plausible("T2", 1e-3, 5.0, "ms", 1e3, _TIMES),
        # Trains of smaller flip angles hardly encode T1 and T2.
        "flip_angle": Plausible("flip angle", pi / 72, pi, "deg", 180 / pi, _ANGLES),
        "b1": Plausible("B1", 0.1, 3.0, "", 1.0, _FRACTIONS),
        # Free water at body temperature has 3e-9 m2/s.
        "adc": Plausible("ADC", 1e-12, 10e-9, "m2/s", 1.0, _DIFFUSIVITIES),
        "field": Plausible("field strength", 0.005, 25.0, "T", 1.0, {"gauss for tesla": 1e4}),
    }
)


# The most that any tissue has, in memory's unit: what lies above was given in another one.
MOST = {"t1": 100.0, "t2": 100.0, "b1": 20.0, "adc": 1e-6}


def unit_slip(name: str, value: float, is_right: Callable[[float], bool]) -> str:
    """The mistake of units that explains `value`, in words; "" if none does.

    Parameters
    ----------
    name
        A key of `PLAUSIBLE`.
    value
        The number as it was read [SI].
    is_right
        Says whether a number [SI] is what was expected.

    """
    for phrase, factor in PLAUSIBLE[name].slips.items():
        if is_right(value / factor):
            return phrase
    return ""


def excess(name: str, value: float) -> str:
    """What was expected in place of `value` [SI], if no tissue has as much; "" otherwise."""
    if name not in MOST or not MOST[name] < value < inf:
        return ""
    plausible = PLAUSIBLE[name]
    text = f"{plausible.text(plausible.low)} to {plausible.text(plausible.high)}"
    slip = unit_slip(name, value, plausible.holds)
    if slip:
        text += f": {slip}?"
    return text


def doubt(name: str, value: float) -> str:
    """A sentence if `value` [SI] is implausible, and "" otherwise."""
    plausible = PLAUSIBLE[name]
    if plausible.holds(value):
        return ""
    low, high = plausible.text(plausible.low), plausible.text(plausible.high)
    text = f"{plausible.label} {plausible.text(value)}, plausible is {low} to {high}"
    slip = unit_slip(name, value, plausible.holds)
    if slip:
        text += f": {slip}?"
    return text
