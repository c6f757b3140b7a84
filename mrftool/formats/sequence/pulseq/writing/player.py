"""The blocks of a Pulseq file, through pypulseq."""

import math
import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from mrftool.environment.extras import install_hint
from mrftool.errors import InputError, MissingExtraError
from mrftool.formats.sequence.pulseq.writing.plan import Segment, Step
from mrftool.formats.sequence.pulseq.writing.scanner import Scanner
from mrftool.formats.sequence.pulseq.writing.slice_selection import SlicePulse, slice_pulse
from mrftool.physics.dephasing import GAMMA
from mrftool.sequence import PulseSequence, SelectivePulse

_DWELL = 10e-6  # [s]
_ROUNDING = 1e-9  # [s]
_TURN = 2 * np.pi


def pypulseq() -> Any:
    """The package pypulseq. Raises MissingExtraError without it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pypulseq as package
    except ImportError as error:
        raise MissingExtraError(
            "Pulseq files are written by pypulseq", hint=install_hint("pulseq")
        ) from error
    return package


@dataclass(eq=False)
class Player:
    """Adds the steps of a sequence to a pypulseq sequence.

    largest_shift: by which a pulse was moved onto the raster [s]. earliest: by how much a T2
    preparation was moved to make room for its crusher [s].
    """

    sequence: PulseSequence
    scanner: Scanner
    largest_shift: float = 0.0
    earliest: float = 0.0

    def __post_init__(self) -> None:
        self.pp, scanner = pypulseq(), self.scanner
        self.system = self.pp.Opts(
            max_grad=scanner.max_gradient * GAMMA / _TURN,
            max_slew=scanner.max_slew * GAMMA / _TURN,
            rf_dead_time=scanner.rf_dead_time,
            rf_ringdown_time=scanner.rf_ringdown_time,
            adc_dead_time=scanner.adc_dead_time,
            rf_raster_time=scanner.rf_raster,
            adc_raster_time=scanner.adc_raster,
            grad_raster_time=scanner.raster,
            block_duration_raster=scanner.raster,
        )
        self.file = self.pp.Sequence(self.system)

    def play(self, segment: Segment, *, after_trigger: bool, is_last: bool) -> None:
        """Add the blocks of one segment, behind its trigger if it has one."""
        now = 0.0
        if after_trigger:
            now = self.scanner.raster
            trigger = self.pp.make_trigger("physio1", duration=now, system=self.system)
            self.file.add_block(trigger)
        elif segment:
            now = min(0.0, self._round(segment[0].centre - self._lead(segment[0])))
        segment = self._with_room_for_crushers(segment)
        for place, step in enumerate(segment):
            begin = self._begin(step)
            if place == 0:
                self._wait(begin - now, step.name)
            now = self._play_pulse(step, begin)
            end = self._end(segment, place, now, is_last=is_last)
            self._follow(step, now, end)
            now = end

    def _end(self, segment: Segment, place: int, now: float, *, is_last: bool) -> float:
        """When what follows a pulse has to end: at the next pulse, or when it is done [s]."""
        step = segment[place]
        if place + 1 < len(segment):
            return self._begin(segment[place + 1])
        least = self._up(now + self._least_tail(step, now))
        if step.te is None:
            return least
        rest = step.tr - is_last * self._lead(step)
        return max(least, self._round(step.centre + rest))

    def _with_room_for_crushers(self, segment: Segment) -> Segment:
        """The segment with T2 preparations so early that their crushers fit after them."""
        moved = list(segment)
        for step, following in pairwise(segment):
            if not (step.crush and step.number):
                continue
            needed = self._duration(step) / 2 + self._up(self.scanner.rf_ringdown_time)
            needed += self._up(self.pp.calc_duration(self._crusher)) + self._lead(following)
            missing = self._up(needed - (following.centre - step.centre))
            if missing <= 0:
                continue
            self.earliest = max(self.earliest, missing)
            moved = [
                replace(each, centre=each.centre - missing * (each.number == step.number))
                for each in moved
            ]
        return moved

    def _lead(self, step: Step) -> float:
        """From the begin of a pulse's block to its centre [s]."""
        if self._slice is not None and step.te is not None:
            return float(self._slice.rf.delay) + self._duration(step) / 2
        return self._up(self.scanner.rf_dead_time) + self._duration(step) / 2

    @cached_property
    def _slice(self) -> SlicePulse | None:
        """A pulse of 0 degrees, if pulses of the train are selective: all have its gradients."""
        return self._selective(Step("pulse 0", 0.0, 0.0, 0.0, "excitation", te=0.0))

    def _selective(self, step: Step) -> SlicePulse | None:
        """The pulse with its gradients, if it is selective."""
        pulse = self.sequence.slice_profile
        if step.te is None or not isinstance(pulse, SelectivePulse):
            return None
        delay = self._up(self.scanner.rf_dead_time)
        return slice_pulse(self.pp, self.system, pulse, step, self.scanner, delay)

    def _begin(self, step: Step) -> float:
        exact = step.centre - self._lead(step)
        rounded = self._round(exact)
        self.largest_shift = max(self.largest_shift, abs(rounded - exact))
        return rounded

    def _duration(self, step: Step) -> float:
        """Of the pulse, an even number of rasters where it is a hard one [s]."""
        if step.te is not None and isinstance(self.sequence.slice_profile, SelectivePulse):
            return self.sequence.slice_profile.duration
        shortest = abs(step.flip) / (GAMMA * self.scanner.max_b1)
        even = 2 * self.scanner.raster
        return math.ceil(max(shortest, self.scanner.pulse_duration) / even - 1e-6) * even

    def _play_pulse(self, step: Step, begin: float) -> float:
        """Add the pulse; when its block ends [s]."""
        selective = self._selective(step)
        if selective is not None:
            length = self._up(self.pp.calc_duration(selective.rf, selective.gradient))
            self.file.add_block(selective.rf, selective.gradient, self.pp.make_delay(length))
            return begin + length
        duration = self._duration(step)
        delay = self._up(self.scanner.rf_dead_time)
        pulse = self.pp.make_block_pulse(
            step.positive_flip,
            duration=duration,
            delay=delay,
            phase_offset=step.phase_of_positive_flip,
            system=self.system,
            use=step.use,
        )
        length = self._up(delay + duration + self.scanner.rf_ringdown_time)
        self.file.add_block(pulse, self.pp.make_delay(length))
        return begin + length

    def _follow(self, step: Step, now: float, end: float) -> None:
        """Add what follows a pulse from `now` to `end` [s]."""
        if step.crush:
            self._wait_with([self._crusher], end - now, f"{step.name}: its crusher")
        elif step.te is None:
            self._wait(end - now, f"{step.name}: its next pulse")
        else:
            self._repetition(step, now, end)

    def _repetition(self, step: Step, now: float, end: float) -> None:
        """The readout from TE on, the rewinder and the spoiler."""
        assert step.te is not None  # noqa: S101  the caller chose it so
        first = step.centre + step.te - now  # sample [s]
        least = self.scanner.adc_dead_time + _DWELL / 2
        if self._slice is not None:
            least = max(least, self.pp.calc_duration(self._slice.rephaser))
        if first < least - _ROUNDING:
            shortest = (step.te + least - first) * 1e3
            raise InputError(
                f"{step.name}: TE {step.te * 1e3:g} ms is too short to be played, expected at "
                f"least {shortest:.4g} ms, or shorter pulses"
            )
        spoke, length = self._spoke(first)
        events = [spoke, self.pp.make_delay(length)]
        if self._slice is not None:
            events.append(self._slice.rephaser)
        if step.acquire:
            events.append(self._adc(step, first))
        room = end - now - length
        needed = self._spoiling_time()
        if room < needed - _ROUNDING:
            text = f"TR {step.tr * 1e3:g} ms, or the time to the next event, is too short"
            shortest = (step.tr + needed - room) * 1e3
            raise InputError(
                f"{step.name}: {text} to be played, expected at least {shortest:.4g} ms"
            )
        self.file.add_block(*events)
        self._wait_with(self._after_readout, room, step.name)

    def _adc(self, step: Step, first: float) -> Any:
        """Samples from `first` on, in phase with the pulse."""
        count = round(self.scanner.readout_duration / _DWELL)
        delay = round((first - _DWELL / 2) / self.scanner.rf_raster) * self.scanner.rf_raster
        phase = step.phase % _TURN
        return self.pp.make_adc(
            count, dwell=_DWELL, delay=delay, phase_offset=phase, system=self.system
        )

    def _spoke(self, first: float) -> tuple[Any, float]:
        """The readout gradient that begins with the first sample, and when it ends [s]."""
        duration = self._up(self.scanner.readout_duration)
        spoke = self._trapezoid("x", self._edge, duration=duration, delay=self._up(first))
        length = self.pp.calc_duration(spoke) + self._up(self.scanner.adc_dead_time)
        return spoke, self._up(length)

    @property
    def _edge(self) -> float:
        """Of k-space, for the size of a voxel [1/m]."""
        return 1 / (2 * self.scanner.voxel_size)

    @cached_property
    def _after_readout(self) -> list[Any]:
        """Rewinder and spoiler, and what balances the slice gradient."""
        gradients = [self._trapezoid("x", -self._edge)]
        moment = 0.0
        if self.sequence.spoiling == "gradient":
            moment += self._spoiler_moment
        if self._slice is not None:
            moment -= self._slice.left
        if moment != 0:
            gradients.append(self._trapezoid("z", moment))
        return gradients

    @property
    def _spoiler_moment(self) -> float:
        """Of each repetition [1/m]."""
        spoiler = self.sequence.spoiler
        if spoiler is None:
            return 1 / self.scanner.voxel_size
        return float(np.linalg.norm(spoiler.moment)) * GAMMA / _TURN

    @cached_property
    def _crusher(self) -> Any:
        return self._trapezoid("z", self.scanner.crusher_cycles / self.scanner.voxel_size)

    def _trapezoid(self, axis: str, area: float, **times: float) -> Any:
        """A gradient of some area [1/m]; its duration and delay [s] where they are given."""
        try:
            return self.pp.make_trapezoid(axis, area=area, system=self.system, **times)
        except (AssertionError, ValueError) as error:
            raise InputError(
                f"no gradient along {axis} reaches {abs(area):.4g} cycles/m: {error}"
            ) from error

    def _spoiling_time(self) -> float:
        return self._up(max(self.pp.calc_duration(each) for each in self._after_readout))

    def _least_tail(self, step: Step, now: float) -> float:
        """Time that what follows a pulse needs [s]."""
        if step.crush:
            return float(self.pp.calc_duration(self._crusher))
        if step.te is None:
            return 0.0
        return self._spoke(step.centre + step.te - now)[1] + self._spoiling_time()

    def _wait_with(self, gradients: list[Any], time: float, name: str) -> None:
        """Gradients, and nothing more until `time` [s] is over."""
        needed = self._up(max(self.pp.calc_duration(each) for each in gradients))
        if time < needed - _ROUNDING:
            raise InputError(
                f"{name} needs {needed * 1e3:.4g} ms to be played, expected no other event for so "
                f"long, but one comes after {max(time, 0) * 1e3:.4g} ms"
            )
        self.file.add_block(*gradients, self.pp.make_delay(self._round(time)))

    def _wait(self, time: float, name: str) -> None:
        if time < -_ROUNDING:
            raise InputError(
                f"{name} would begin {-time * 1e3:.4g} ms before what precedes it has ended, "
                "expected a longer time between them"
            )
        if time > _ROUNDING:
            self.file.add_block(self.pp.make_delay(self._round(time)))

    def _up(self, time: float) -> float:
        return math.ceil(time / self.scanner.raster - 1e-6) * self.scanner.raster

    def _round(self, time: float) -> float:
        return round(time / self.scanner.raster) * self.scanner.raster
