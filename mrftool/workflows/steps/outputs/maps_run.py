"""One run that makes maps: from a scan, by a method; and what each map says of its origin."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mrftool.arrays import Float32Array
from mrftool.formats.bids import Provenance
from mrftool.inference.assessment.sample import SampledResiduals
from mrftool.manifold.first_order import Following
from mrftool.maps import Maps
from mrftool.reports.run import Method
from mrftool.scan.series import Series
from mrftool.workflows.steps.outputs.run_record import RunIdentity
from mrftool.workflows.steps.stopwatch import Stopwatch


@dataclass(frozen=True, eq=False)
class MapsRun:
    """One run: from a scan, by a method, to maps.

    Parameters
    ----------
    command : str
        Its name in the report.
    source : Path
        The scan as it was named.
    series : Series
        The scan.
    maps : Maps
        What came out.
    method : Method
        The model or dictionary that made the maps.
    given : dict
        Images `(x, y, z)` of what the method took as known, by name: b1 [1].
    stated : dict, optional
        Standard uncertainty of what the method took as known, by name [SI unit]; None for typical
        ones.
    following : dict, optional
        How given values that were fitted follow errors of others, by name.
    noise_sd : float, optional
        Standard deviation of the noise per channel, if the caller gave it [the scan's unit].
    allowed : tuple of str
        Contradictions of the header that the caller let stand.
    skipped : tuple of int
        Indices of frames of the scan that were left out, from 0.
    sequence_id : str, optional
        Of the whole scan, where frames were left out.
    options : dict
        What the caller chose, by name; None where the default was taken.
    identity : RunIdentity, optional
        What makes it the same run when it is repeated; by default its command, source and options.
    watch : Stopwatch
        Of the stages until now.
    kind : str, optional
        Of the files of the scan; by default that of `source`.
    sample : SampledResiduals, optional
        Voxels with their residuals and directions, where the noise was told from such.
    files : tuple of Path, optional
        The files that it was made from; by default those that `source` and `options` name.

    """

    command: str
    source: Path
    series: Series
    maps: Maps
    method: Method
    given: dict[str, Float32Array] = field(default_factory=dict)
    stated: Mapping[str, float] | None = None
    following: Following | None = None
    noise_sd: float | None = None
    allowed: tuple[str, ...] = ()
    skipped: tuple[int, ...] = ()
    sequence_id: str | None = None
    options: dict[str, object] = field(default_factory=dict)
    identity: RunIdentity | None = None
    watch: Stopwatch = field(default_factory=Stopwatch)
    kind: str | None = None
    files: tuple[Path, ...] | None = None
    sample: SampledResiduals | None = None

    def whose(self) -> RunIdentity:
        """What makes it the same run when it is repeated."""
        return self.identity or RunIdentity(self.command, self.source, self.options)

    def inputs(self) -> list[Path]:
        """The files that it was made from, which no output may replace."""
        if self.files is not None:
            return list(self.files)
        return [self.source, *(each for each in self.options.values() if isinstance(each, Path))]

    def provenance(self) -> Provenance:
        """What each map says of its origin."""
        method = self.method
        details = _details(method)
        if self.allowed:
            details["allowed"] = list(self.allowed)
        if self.series.sequence_id is None:
            name = method.sequence_name or "that of the dictionary"
            details["assumed"] = [f"the scan does not name its sequence; assumed to be {name}"]
        if self.skipped or "fitted" in method.numbers:
            details["sequence_id"] = self.sequence_id
        if self.skipped:
            details["skipped_frames"] = [index + 1 for index in self.skipped]
        return Provenance(
            sources=(self.source.name,),
            algorithm=f"MR fingerprinting, {method.kind} {method.name}: {method.algorithm}",
            pulse_sequence=f"{method.sequence_name}, {self.series.n_time} repetitions",
            details=details,
        )


def _details(method: Method) -> dict[str, Any]:
    """Facts of the method for a sidecar."""
    details = {
        method.kind: method.name,
        f"{method.kind}_sha256": method.sha256,
        "sequence": method.sequence_name,
        "sequence_id": method.sequence_id,
        "t1_range_ms": _in_ms(method.t1_range),
        "t2_range_ms": _in_ms(method.t2_range),
    }
    if "adc_m2_per_s" in method.numbers:
        details["adc_m2_per_s"] = method.numbers["adc_m2_per_s"]
    if method.numbers.get("coils", 1) > 1:
        details["coils"] = method.numbers["coils"]
    if "fitted" in method.numbers:
        details["fitted"] = method.numbers["fitted"]
    return details


def _in_ms(seconds: tuple[float, float]) -> list[float]:
    return [round(value * 1e3, 6) for value in seconds]
