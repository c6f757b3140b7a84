"""The slice-selective RF pulse of a sequence, by its name."""

from dataclasses import dataclass
from typing import Literal, get_args

Shape = Literal["sinc", "gauss"]
Apodisation = Literal["none", "hann", "hamming"]

# Depth a of the window 1 - a + a cos(2 pi t / duration), t from the middle of the pulse.
WINDOW_DEPTHS: dict[Apodisation, float] = {"none": 0.0, "hann": 0.5, "hamming": 0.46}
SHAPES: tuple[Shape, ...] = get_args(Shape)
APODISATIONS: tuple[Apodisation, ...] = get_args(Apodisation)
LARGEST_TIME_BANDWIDTH = 40.0  # files may say 32: errors are studied by larger ones
LARGEST_EXTENT = 20.0
MOST_POSITIONS = 1000


@dataclass(frozen=True)
class SelectivePulse:
    """A slice-selective pulse under a constant gradient, in place of a list of flip factors.

    Its Bloch equations say how each position of the slice turns. The waveform is real, symmetric
    in time and scales with the flip angle, so the profile depends on flip angle and B1. Slice
    thickness is bandwidth over gradient; a slice of that thickness that turned alike would give a
    signal of weight 1.

    Parameters
    ----------
    shape
        "sinc": sinc(bandwidth x time). "gauss": exp(-pi (bandwidth x time)^2).
    time_bandwidth
        Duration times bandwidth [1].
    duration
        From the first to the last moment of the waveform [s]. The signal doesn't depend on it.
    apodisation
        Window that multiplies the waveform.
    positions
        Equal parts of the slice that are simulated.
    extent
        What they cover, in slice thicknesses; by default 2 + 4 / time_bandwidth: the slice, its
        edges, and the side lobes, which T2 depends on [1].
    rephasing
        Moment of the gradient that rephases the slice, over half of that under the pulse [1].
    thickness
        Of the slice [m]. Only what a scanner plays depends on it.
    """

    shape: Shape
    time_bandwidth: float
    duration: float
    apodisation: Apodisation = "none"
    positions: int = 40
    extent: float | None = None
    rephasing: float = 1.0
    thickness: float | None = None

    @property
    def width(self) -> float:
        """What the positions cover, in slice thicknesses [1]."""
        if self.extent is not None:
            return self.extent
        return 2 + 4 / self.time_bandwidth

    @property
    def numbers(self) -> list[float]:
        """What the signal depends on, as numbers."""
        return [
            SHAPES.index(self.shape),
            self.time_bandwidth,
            APODISATIONS.index(self.apodisation),
            self.positions,
            self.width,
            self.rephasing,
        ]

    def faults(self) -> list[str]:
        """What is wrong with the pulse, and what was expected."""
        faults = []
        if self.shape not in SHAPES:
            faults.append(f"pulse {self.shape!r}, expected {' or '.join(SHAPES)}")
        if self.apodisation not in APODISATIONS:
            text = f"apodisation {self.apodisation!r}, expected {', '.join(APODISATIONS)}"
            faults.append(text)
        if not 1 <= self.positions <= MOST_POSITIONS:
            text = f"{self.positions} positions, expected 1 to {MOST_POSITIONS}"
            faults.append(text)
        return faults + self._range_faults()

    def _range_faults(self) -> list[str]:
        ranges = {
            "time_bandwidth": (self.time_bandwidth, 0.0, LARGEST_TIME_BANDWIDTH),
            "duration": (self.duration, 0.0, 0.1),
            "extent": (self.width, 0.0, LARGEST_EXTENT),
            "rephasing": (self.rephasing, -1e-12, 2.0),
        }
        if self.thickness is not None:
            ranges["thickness"] = (self.thickness, 0.0, 1.0)
        return [
            f"{name} {value:g}, expected more than {low:.0f} and at most {high:g}"
            for name, (value, low, high) in ranges.items()
            if not low < value <= high
        ]
