"""What `mrftool simulate` is asked to simulate, and the options that go with it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import typer

from mrftool.cli.options import given, refuse
from mrftool.errors import ArgumentError

# Options that make a difference to each kind of source; all others do to every one.
_OPTIONS = {
    "a dictionary": {"t1_ms", "t2_ms", "b1_grid", "adc"},
    "a phantom": {"phantom", "matrix", "slices", "b1_spread", "m0_phase", "adc", "form"},
    "a phantom file": {"phantom", "adc", "form"},
    "BrainWeb": {"brainweb", "slices", "b1_spread", "m0_phase", "adc", "form"},
    "tissue maps": {"t1", "t2", "m0", "b1", "mask", "adc", "form"},
}


@dataclass(frozen=True)
class Sources:
    """Where the tissue comes from, as the user said it: one of a phantom, BrainWeb and maps, or
    nothing.
    """

    seq: str
    phantom: str | None
    brainweb: Path | None
    t1: Path | None
    t2: Path | None
    m0: Path | None
    b1: Path | None
    mask: Path | None

    @property
    def kind(self) -> str:
        """Of what is simulated."""
        if self.phantom is not None:
            return "a phantom" if self.phantom in ("brain", "vials") else "a phantom file"
        if self.brainweb is not None:
            return "BrainWeb"
        return "a dictionary" if self.t1 is None and self.t2 is None else "tissue maps"

    def check(self, context: typer.Context) -> None:
        """Raises ArgumentError for sources that exclude each other, and for options that do nothing to
        this one.
        """
        named = [
            source
            for source in (self.phantom, self.brainweb, self.t1 or self.t2)
            if source is not None
        ]
        if len(named) > 1 or (self.t1 is None) != (self.t2 is None):
            raise ArgumentError("expected one of --phantom, --brainweb, or --t1 with --t2")
        for name in sorted(set().union(*_OPTIONS.values()) - _OPTIONS[self.kind]):
            places = " or ".join(kind for kind, options in _OPTIONS.items() if name in options)
            refuse(context, [name], f"does nothing for {self.kind}, expected it with {places}")
        if given(context, "tolerance"):
            refuse(context, ["n_states"], "replaces --tolerance, expected one of the two")

    def files(self) -> Iterator[Path]:
        """Files that are read."""
        yield Path(self.seq)
        yield from (
            (Path(self.phantom),)
            if self.phantom is not None and self.kind == "a phantom file"
            else ()
        )
        yield from (
            path for path in (self.t1, self.t2, self.m0, self.b1, self.mask) if path is not None
        )


@dataclass(frozen=True)
class Fields:
    """What a phantom lacks: size `(x, y, z)`, b1_spread [1], m0_phase [deg], adc [m2/s] (None: its
    own), and a seed.
    """

    size: tuple[int, int, int]
    b1_spread: float
    m0_phase: float
    adc: float | None
    seed: int
