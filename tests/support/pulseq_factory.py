"""Small Pulseq files with known contents, written by pypulseq."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pp: Any = __import__("pytest").importorskip("pypulseq")

RF_DEAD = 100e-6


def system() -> Any:
    return pp.Opts(
        max_grad=40,
        grad_unit="mT/m",
        max_slew=150,
        slew_unit="T/m/s",
        rf_dead_time=RF_DEAD,
        adc_dead_time=10e-6,
    )


@dataclass
class Fisp:
    """A gradient-echo train. Times [s], angles [deg], moments [1/m]; `write` says where it put
    what.
    """

    flips: Sequence[float] = (10, 30, 60, 40, 20, 15)
    phases: Sequence[float] = (0, 0, 0, 0, 0, 0)
    receiver: Sequence[float] | None = None
    tr: Sequence[float] = (14e-3, 15e-3, 14e-3, 16e-3, 14e-3, 14e-3)
    te: float = 4e-3
    rf: str = "sinc"
    slice_offset: float = 0.0
    readout: str = "cartesian"
    spoil: float = 800.0
    inversion: str = "hypsec"
    ti: float = 21e-3
    trains: int = 1
    wait: float = 0.0
    noise: int = 0
    crusher: bool = True

    def write(self, path: Path, **options: Any) -> "Fisp":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._build().write(str(path), **options)
        return self

    def _build(self) -> Any:
        self.sys = system()
        self.seq = pp.Sequence(self.sys)
        self.seq.set_definition("FOV", [0.256, 0.256, 0.005])
        for _ in range(self.noise):
            self.seq.add_block(
                pp.make_adc(64, dwell=1e-5, delay=20e-6, system=self.sys), pp.make_delay(2e-3)
            )
        for train in range(self.trains):
            if train:
                self._delay(self.wait - 1e-3)
            self._invert()
            for n in range(len(self.flips)):
                self._repeat(n)
        return self.seq

    def _delay(self, time: float) -> None:
        self.seq.add_block(pp.make_delay(round(time / 1e-5) * 1e-5))

    def _excitation(self, flip: float, phase: float) -> tuple[Any, ...]:
        angle, turned = np.deg2rad(flip), np.deg2rad(phase)
        if self.rf == "block":
            pulse = pp.make_block_pulse(
                angle,
                duration=400e-6,
                delay=RF_DEAD,
                phase_offset=turned,
                system=self.sys,
                use="excitation",
            )
            return pulse, None, None
        pulse, gz, gzr = pp.make_sinc_pulse(
            angle, system=self.sys, duration=2e-3, slice_thickness=5e-3, apodization=0.5, time_bw_product=4,
            return_gz=True, use="excitation", delay=RF_DEAD, phase_offset=turned,
        )  # fmt: skip
        pulse.freq_offset = gz.amplitude * self.slice_offset
        pulse.phase_offset = turned - 2 * np.pi * pulse.freq_offset * pulse.center
        return pulse, gz, gzr

    def _invert(self) -> None:
        if self.inversion == "none":
            return
        if self.inversion == "hypsec":
            pulse = pp.make_adiabatic_pulse(
                "hypsec", adiabaticity=4, duration=10e-3, system=self.sys, delay=RF_DEAD
            )
        else:
            pulse = pp.make_block_pulse(
                np.pi, duration=1e-3, delay=RF_DEAD, system=self.sys, use="inversion"
            )
        self.seq.add_block(pulse)
        after = (
            pulse.shape_dur
            - pulse.center
            + (self.seq.block_durations[len(self.seq.block_durations)] - RF_DEAD - pulse.shape_dur)
        )
        crusher = pp.make_trapezoid("z", area=2000, duration=2e-3, system=self.sys)
        self.seq.add_block(crusher if self.crusher else pp.make_delay(2e-3))
        first = self._excitation(10, 0)[0]
        self._delay(self.ti - after - 2e-3 - (first.delay + first.center))

    def _repeat(self, n: int) -> None:
        pulse, gz, gzr = self._excitation(self.flips[n], self.phases[n])
        self.seq.add_block(*(event for event in (pulse, gz) if event is not None))
        begun = self.seq.block_durations[len(self.seq.block_durations)]
        centre = pulse.delay + pulse.center
        phase = np.deg2rad((self.receiver or self.phases)[n])
        used = begun - centre
        if gzr is not None:
            self.seq.add_block(gzr)
            used += pp.calc_duration(gzr)
        used += self._read(n, self.te - used, phase)
        rest = self.tr[n] - used - centre
        self._delay(rest)

    def _read(self, n: int, time: float, phase: float) -> float:
        """Readout whose k = 0 comes `time` after its beginning, balanced in plane, with a spoiler
        on z.
        """
        spoiler = (
            pp.make_trapezoid("z", area=self.spoil, duration=1.5e-3, system=self.sys)
            if self.spoil
            else None
        )
        begun = sum(self.seq.block_durations.values())
        getattr(self, "_" + self.readout)(n, time, phase)
        if spoiler is not None:
            self.seq.add_block(spoiler)
        elif self.rf == "sinc":
            gzr = self._excitation(10, 0)[2]
            first_half = pp.make_trapezoid(
                "z", area=gzr.area, duration=pp.calc_duration(gzr), system=self.sys
            )
            self.seq.add_block(first_half)
        return sum(self.seq.block_durations.values()) - begun

    def _cartesian(self, n: int, time: float, phase: float) -> None:
        gx = pp.make_trapezoid("x", flat_area=500, flat_time=1.28e-3, system=self.sys)
        pre = pp.make_trapezoid("x", area=-gx.area / 2, duration=600e-6, system=self.sys)
        adc = pp.make_adc(
            128, duration=1.28e-3, delay=gx.rise_time, phase_offset=phase, system=self.sys
        )
        self._delay(time - 600e-6 - gx.rise_time - 640e-6)
        self.seq.add_block(pre)
        self.seq.add_block(gx, adc)
        self.seq.add_block(pre)

    def _spiral(self, n: int, time: float, phase: float) -> None:
        """Outwards from k = 0 at the first sample, and back without being read; turned from one to
        the next.
        """
        t = np.arange(601) / 600
        k = 150 * np.sin(np.pi * t) ** 2 * np.exp(2j * np.pi * (4 * t + 0.381966 * n))
        g = np.diff(k) / 1e-5
        self._delay(time)
        waves = [
            pp.make_arbitrary_grad(channel, wave, system=self.sys, first=0, last=0)
            for channel, wave in (("x", g.real), ("y", g.imag))
        ]
        self.seq.add_block(
            *waves, pp.make_adc(300, dwell=1e-5, phase_offset=phase, system=self.sys)
        )
