"""T1, T2, M0 and off-resonance of balanced sequences, and these and R2' of several echoes: least
squares against the exact engine.

Fingerprints of balanced sequences turn with the off-resonance f of each voxel, the faster the
longer T2: no table over f is fine enough for all tissue, and no map of f is good enough to take f
for granted, as 1 Hz can move T2 by 7 %. So f is fitted too, from the map on. The engine itself is
fast where nothing spoils, as one order is all there is, and so it is asked at every step of every
voxel.

A short T2 at the right f resembles another T2 a few hertz away. Searches over coarse dictionaries
below, near and above the f of the map therefore start Gauss-Newton steps in log T1, log T2 and f,
and the best goes on; M0 is eliminated (see `coefficient_fit`). A step that does not lower the
residual is shortened.

Where each pulse has several echoes and gradients spoil, phases and sizes of the echoes tell
off-resonance and R2' apart from T1 and T2: the most similar entry for the first echoes, and what
the others have beside it, are the one start.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from mrftool.arrays import Array, FloatArray, Range
from mrftool.inference.coefficient_fit import TINY, energy, normal_equations
from mrftool.inference.common.echo_phases import (
    HIGHEST_R2_PRIME,
    off_resonance_of,
    r2_prime_of,
)
from mrftool.inference.scan import Columns
from mrftool.manifold.influences import influence_named, signal_derivative
from mrftool.physics.simulate import Parameter, signal_and_derivatives, simulate
from mrftool.quantities import Flag
from mrftool.sequence import PulseSequence
from mrftool.tissue import Tissue

UNDETERMINED = 0.5  # a relative standard deviation above this does not determine a value [1]
_GRID = 12  # values of T1, and of T2, of the dictionary
_KEPT = 400  # dictionaries, of about a megabyte each
_STARTS, _FIRST_STEPS, _STEPS = 3, 4, 20
# In log T1, log T2 [1], off-resonance [Hz] and R2' [1/s].
_LONGEST_STEP = np.array([0.5, 0.5, 1.0, 10.0])
_SMALLEST_STEP = np.array([1e-4, 1e-4, 1e-3, 1e-2])
_PARTS_OF_M0 = 2
_MARGIN = 0.25  # from the farthest off-resonance that is no farther than asked [Hz]
_SHORTER = 0.3  # factor on a step that raised the residual
_BEYOND = 1.5  # how far beyond its ranges a fit may go


@dataclass(frozen=True)
class ExactFit:
    """The estimator of one sequence.

    Parameters
    ----------
    sequence
        That made the scan.
    t1_range, t2_range
        Estimates outside are flagged [s].
    noise_sd
        Of the noise per channel, if it is known [scanner's unit].
    uncertainty
        Standard uncertainty of the values that are taken for granted, by name, see
        `mrftool.manifold.influences` [SI unit].
    reach
        How far the off-resonance may be from the map, or from what the echoes say at first [Hz].
    threads
        Of the engine, by default one per processor.
    """

    sequence: PulseSequence
    t1_range: Range = (0.1, 4.5)
    t2_range: Range = (0.01, 2.0)
    noise_sd: float | None = None
    uncertainty: Mapping[str, float] = field(default_factory=dict)
    reach: float = 6.0
    threads: int | None = None
    _kept: dict[tuple[float, float], Array] = field(default_factory=dict, repr=False)

    @property
    def has_echoes(self) -> bool:
        """Whether R2' is fitted too, and the off-resonance from any value on."""
        return self.sequence.tells_off_resonance

    @property
    def _n_fitted(self) -> int:
        """T1, T2, the off-resonance and perhaps R2'."""
        return 3 + self.has_echoes

    @cached_property
    def _limits(self) -> FloatArray:
        """Lowest and highest log T1 and log T2 `(2, 2)`."""
        return np.asarray(np.log(np.array([self.t1_range, self.t2_range]).T))

    def fit(self, signal: Array, known: Mapping[str, FloatArray]) -> Columns:
        """Maps of voxels.

        Parameters
        ----------
        signal
            `(voxel, time)`, complex [scanner's unit].
        known
            off_resonance [Hz], and perhaps b1 [1], by name `(voxel,)`; with several echoes,
            off_resonance may be left out where it is less than half a turn between echoes.

        Returns
        -------
        Columns
            t1, t2 and their standard uncertainties sd_, systematic_ and combined_ [s], m0, the
            off-resonance [Hz], with several echoes r2_prime and sd_r2_prime [1/s], the relative
            residual and its correlation from one echo to the next [1], and flags.
        """
        sound = np.asarray(np.isfinite(signal).all(axis=1))
        for column in known.values():
            sound &= np.isfinite(column)
        values = np.where(sound[:, None], signal, 0).astype(np.complex64)
        safe = {"b1": np.ones(len(values)), "off_resonance": np.zeros(len(values)), **known}
        safe = {name: np.where(sound, column, _NEUTRAL[name]) for name, column in safe.items()}
        place = self._fitted(values, safe)
        rows = self._rows(place, safe["b1"])
        _, spread, m0, residual = normal_equations(rows, values)
        columns = self._columns(place, spread, residual, energy(values))
        columns |= self._uncertainties(rows, place, columns, safe["b1"])
        flags = self._flags(place, columns, safe["off_resonance"], energy(values))
        columns = {name: np.where(sound, column, np.nan) for name, column in columns.items()}
        result: Columns = {name: column.astype(np.float32) for name, column in columns.items()}
        result["m0"] = np.where(sound, m0, np.nan).astype(np.complex64)
        result["flags"] = np.where(sound, flags, np.uint8(Flag.NON_FINITE))
        return result

    def _rows(self, place: FloatArray, b1: FloatArray) -> Array:
        """Signal of m0 = 1, and its derivatives by log T1, log T2 and the off-resonance
        `(voxel, 4, time)`.
        """
        tissue = _tissue_at(place, b1)
        names: tuple[Parameter, ...] = ("t1", "t2", "off_resonance")
        if self.has_echoes:
            names = ("t1", "t2", "off_resonance", "r2_prime")
        signal, slopes = signal_and_derivatives(
            self.sequence, tissue, with_respect_to=names, threads=self.threads
        )
        times = np.stack([tissue.t1, tissue.t2]).astype(np.float32)
        slopes[:2] *= times[:, :, None]
        return np.stack([signal, *slopes], axis=1)

    def _fitted(self, values: Array, known: Mapping[str, FloatArray]) -> FloatArray:
        """Places `(voxel, 3 or 4)` of least residual, from one start or several."""
        if self.has_echoes:
            start = self._start_from_echoes(values, known)
            return self._refined(values, {**known, "off_resonance": start[:, 2]}, start, _STEPS)[0]
        starts = self._starts(values, known)
        tried = [self._refined(values, known, start, _FIRST_STEPS) for start in starts]
        places = np.stack([place for place, _ in tried])
        best = np.argmin(np.stack([least for _, least in tried]), axis=0)
        chosen = places[best, np.arange(len(values))]
        return self._refined(values, known, chosen, _STEPS)[0]

    def _refined(
        self, values: Array, known: Mapping[str, FloatArray], start: FloatArray, steps: int
    ) -> tuple[FloatArray, FloatArray]:
        """Gauss-Newton steps from `start` `(voxel, 3 or 4)`: the best place, and its misfit."""
        longest, smallest = _LONGEST_STEP[: self._n_fitted], _SMALLEST_STEP[: self._n_fitted]
        low, high = self._ends(known["off_resonance"])
        best, place = start.copy(), np.clip(start, low, high)
        least, step = np.full(len(values), np.inf), np.zeros_like(start)
        moving = np.arange(len(values))
        for _ in range(steps):
            rows = self._rows(place[moving], known["b1"][moving])
            found, _, _, residual = normal_equations(rows, values[moving])
            misfit = energy(residual)
            is_better = misfit < least[moving]
            better = moving[is_better]
            best[better], least[better] = place[better], misfit[is_better]
            step[moving] *= _SHORTER
            step[better] = np.clip(found[is_better], -longest, longest)
            place = np.clip(best + step, low, high)
            moving = moving[(np.abs(step[moving]) > smallest).any(axis=1)]
            if not moving.size:
                break
        return best, least

    def _ends(self, off_resonance: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest place of each voxel `(voxel, 3 or 4)`."""
        low, high = self._limits
        beyond, count = np.log(_BEYOND), len(off_resonance)
        lowest = np.column_stack([np.tile(low - beyond, (count, 1)), off_resonance - self.reach])
        highest = np.column_stack([np.tile(high + beyond, (count, 1)), off_resonance + self.reach])
        if self.has_echoes:
            lowest = np.column_stack([lowest, np.zeros(count)])
            highest = np.column_stack([highest, np.full(count, HIGHEST_R2_PRIME)])
        return lowest, highest

    def _start_from_echoes(self, values: Array, known: Mapping[str, FloatArray]) -> FloatArray:
        """Places `(voxel, 4)`: the most similar entry for the first echoes, and what the others
        have beside it.
        """
        on_resonance = {**known, "off_resonance": np.zeros(len(values))}
        first = self._of_first_echoes
        echoes = values.reshape(len(values), -1, len(self.sequence.echoes))
        (start,) = first._starts(echoes[:, :, 0], on_resonance)
        tissue = _tissue_at(start, known["b1"])
        model = simulate(first.sequence, tissue, threads=self.threads).signal
        amplitudes = np.einsum("vp,vpe->ve", model.conj(), echoes)
        times = self.sequence.echoes
        start[:, 2] = off_resonance_of(amplitudes, times, known["off_resonance"])
        return np.column_stack([start, r2_prime_of(amplitudes, times, tissue.t2)])

    @cached_property
    def _of_first_echoes(self) -> "ExactFit":
        """The same for the first echoes alone, on resonance."""
        sequence = replace(self.sequence, later_echoes=np.zeros(0))
        return replace(self, sequence=sequence, reach=0.0, _kept={})

    def _starts(self, values: Array, known: Mapping[str, FloatArray]) -> FloatArray:
        """Places `(start, voxel, 3)`: the most similar entries of dictionaries at off-resonances
        below, near and above that of the map.
        """
        most = np.floor(self.reach)
        bands = np.array_split(np.arange(-most, most + 1), min(_STARTS, int(2 * most + 1)))
        starts = np.empty((len(bands), len(values), 3))
        hertz = np.rint(known["off_resonance"])
        tenths = np.maximum(np.rint(10 * known["b1"]), 1)
        for frequency, tenth in np.unique(np.stack([hertz, tenths], axis=1), axis=0):
            here = np.flatnonzero((hertz == frequency) & (tenths == tenth))
            for start, band in zip(starts, bands, strict=True):
                start[here] = self._most_similar(values[here], frequency + band, tenth / 10)
        return starts

    def _most_similar(self, values: Array, frequencies: FloatArray, b1: float) -> FloatArray:
        """Places `(voxel, 3)` of the most similar entries at these off-resonances [Hz]."""
        best, found = np.full(len(values), -1.0), np.empty((len(values), 3))
        for frequency in frequencies:
            likeness = abs(values @ self._atoms(frequency, b1))
            is_better = likeness.max(axis=1) > best
            best = np.maximum(best, likeness.max(axis=1))
            found[is_better, :2] = self._places[likeness.argmax(axis=1)[is_better]]
            found[is_better, 2] = frequency
        return found

    @cached_property
    def _places(self) -> FloatArray:
        """Log T1 and log T2 of the dictionary's entries `(entry, 2)`."""
        axes = [np.linspace(low, high, _GRID) for low, high in self._limits.T]
        places = np.stack([x.ravel() for x in np.meshgrid(*axes, indexing="ij")], axis=1)
        return np.asarray(places[places[:, 1] <= places[:, 0]])

    def _atoms(self, frequency: float, b1: float) -> Array:
        """Conjugates of the dictionary's fingerprints `(time, entry)` at an off-resonance [Hz] and
        a B1 [1]; those of last use are kept.
        """
        key = (float(frequency), float(b1))
        if key not in self._kept:
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            times = np.exp(self._places)
            same = {"off_resonance": np.full(len(times), frequency), "b1": np.full(len(times), b1)}
            tissue = Tissue.of_estimates(t1=times[:, 0], t2=times[:, 1], **same)
            atoms = simulate(self.sequence, tissue, threads=self.threads).signal
            atoms = atoms / np.maximum(np.linalg.norm(atoms, axis=1, keepdims=True), TINY)
            self._kept[key] = np.asarray(atoms.conj().T, np.complex64)
        return self._kept[key]

    def _columns(
        self, place: FloatArray, spread: FloatArray, residual: Array, total: FloatArray
    ) -> dict[str, FloatArray]:
        misfit = energy(residual)
        noise = np.sqrt(misfit / (2 * len(self.sequence) - self._n_fitted - _PARTS_OF_M0))
        if self.noise_sd is not None:
            noise = np.full(len(misfit), self.noise_sd)
        times = np.exp(place[:, :2]).T
        relative = np.sqrt(np.diagonal(spread, axis1=1, axis2=2))
        sd = times * relative[:, :2].T * noise
        products = (residual[:, 1:].conj() * residual[:, :-1]).real.sum(axis=1)
        columns = {
            "t1": times[0],
            "t2": times[1],
            "off_resonance": place[:, 2],
            "sd_t1": sd[0],
            "sd_t2": sd[1],
            "residual": np.sqrt(misfit / np.maximum(total, TINY)),
            "correlation": products / np.maximum(misfit, TINY),
        }
        if self.has_echoes:
            columns |= {"r2_prime": place[:, 3], "sd_r2_prime": relative[:, 3] * noise}
        return columns

    def _uncertainties(
        self, rows: Array, place: FloatArray, columns: Mapping[str, FloatArray], b1: FloatArray
    ) -> dict[str, FloatArray]:
        """Systematic and combined standard uncertainties [s], of the values taken for granted."""
        times, tissue = np.exp(place[:, :2]), _tissue_at(place, b1)
        signal, variance = rows[:, 0], np.zeros((len(place), 2))
        for name, size in self.uncertainty.items():
            change = signal_derivative(influence_named(name), self.sequence, tissue)
            slope, *_ = normal_equations(rows, signal + _without(change, signal))
            variance += (size * slope[:, :2]) ** 2
        systematic = np.sqrt(variance) * times
        found = {}
        for n, name in enumerate(("t1", "t2")):
            found[f"systematic_{name}"] = systematic[:, n]
            found[f"combined_{name}"] = np.hypot(columns[f"sd_{name}"], systematic[:, n])
        return found

    def _flags(
        self,
        place: FloatArray,
        columns: Mapping[str, FloatArray],
        off_resonance: FloatArray,
        total: FloatArray,
    ) -> Array:
        low, high = self._limits
        is_outside = ((place[:, :2] < low) | (place[:, :2] > high)).any(axis=1)
        if not self.has_echoes:
            is_outside |= np.abs(place[:, 2] - off_resonance) > self.reach - _MARGIN
        flags = is_outside * int(Flag.OUT_OF_RANGE)
        for name, flag in (("t1", Flag.T1_UNDETERMINED), ("t2", Flag.T2_UNDETERMINED)):
            is_wide = columns[f"sd_{name}"] > UNDETERMINED * columns[name]
            flags = flags + is_wide * int(flag)
        return np.asarray(np.where(total > 0, flags, int(Flag.MASKED)), np.uint8)


def _tissue_at(place: FloatArray, b1: FloatArray) -> Tissue:
    """Tissue of m0 = 1 at log T1, log T2, off-resonance [Hz] and perhaps R2' [1/s]."""
    times = np.exp(place[:, :2])
    columns = {"t1": times[:, 0], "t2": times[:, 1], "b1": b1, "off_resonance": place[:, 2]}
    if place.shape[1] > 3:
        columns["r2_prime"] = place[:, 3]
    return Tissue.of_estimates(**columns)


def _without(change: Array, signal: Array) -> Array:
    """The part of each row of `change` that no M0 explains: orthogonal to that of `signal`."""
    share = (signal.conj() * change).sum(axis=1) / np.maximum(energy(signal), TINY)
    return np.asarray(change - share[:, None] * signal, np.complex64)


_NEUTRAL = {"off_resonance": 0.0, "b1": 1.0}
