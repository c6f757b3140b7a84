"""A run of quantification as its report tells it: what was read, how, what came out, how long it
took.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mrftool.arrays import Range
from mrftool.inference.summary import summary
from mrftool.maps import Maps
from mrftool.series import Series

if TYPE_CHECKING:
    from mrftool.inference.session import Model
    from mrftool.matching.dictionary import MatchDictionary


@dataclass(frozen=True, eq=False)
class Method:
    """What turned fingerprints into maps: a model, or a dictionary.

    kind: "model" or "dictionary". file: its name. sha256: of its numbers.
    sequence: as plain numbers under the keys of a sequence file, or None if it is not known.
    t1_range, t2_range [s], b1_range [1]: what it covers. algorithm: how it finds the tissue.
    words: further facts, label and text, for a person. numbers: the same for programs, units in the
    keys.
    table_error: largest relative error of its table [1]. scores: what was measured against the
    exact engine.
    """

    kind: str
    name: str
    file: str
    sha256: str
    sequence_name: str
    sequence_id: str | None
    sequence: Mapping[str, Any] | None
    t1_range: Range
    t2_range: Range
    b1_range: Range | None = None
    algorithm: str = ""
    words: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[str, Any] = field(default_factory=dict)
    table_error: float = 0.0
    scores: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Run:
    """Facts of one run of a command.

    source: the scan, as it was named. kind: of its files, "NIfTI" or "DICOM". n_bytes: of the file,
    if it is one.
    files: where each map lies, relative to the report. options: what the user chose, by option.
    assumptions: sentences, one for each thing that no file says. started: date and time, ISO 8601.
    seconds: (wall clock, processor) of each stage [s]. versions: of the software.
    """

    command: str
    source: str
    kind: str
    series: Series
    maps: Maps
    method: Method
    files: Mapping[str, str]
    n_bytes: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()
    started: str = ""
    seconds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


def method_of(model: "Model") -> Method:
    """The method that a model is."""
    manifest = model.manifest
    plain = ("form", "n_time", "encoder", "polish", "rank", "table_error", "truncation", "versions")
    numbers = {key: getattr(manifest, key) for key in plain}
    words = summary(replace(manifest, scores={}))
    start = "coarse search" if manifest.encoder == "none" else "encoder network"
    polish = (
        f", {manifest.polish} Gauss-Newton steps on the tabulated signals"
        if manifest.polish
        else ""
    )
    return Method(
        kind="model",
        name=manifest.name,
        algorithm=start + polish,
        file=model.path.name,
        sha256=manifest.weights_sha256,
        sequence_name=manifest.sequence_name,
        sequence_id=manifest.sequence_id,
        sequence=manifest.sequence,
        t1_range=manifest.t1_range,
        t2_range=manifest.t2_range,
        b1_range=manifest.b1_range,
        words={
            key: text for key, text in words.items() if key not in ("name", "weights", "sequence")
        },
        numbers={**numbers, "grid": list(manifest.grid), "adc_m2_per_s": manifest.adc},
        table_error=manifest.table_error,
        scores=manifest.scores,
    )


def method_of_dictionary(dictionary: "MatchDictionary") -> Method:
    """The method that matching against a dictionary is."""
    source, rank = dictionary.source, dictionary.basis.rank
    ranges = {
        name: (float(column.min()), float(column.max()))
        for name, column in dictionary.columns().items()
    }
    return Method(
        kind="dictionary",
        name=source.name,
        algorithm=f"the entry with the largest inner product, of {len(source)}",
        file=source.name,
        sha256=dictionary.digest(),
        sequence_name=source.sequence_name,
        sequence_id=source.sequence_id,
        sequence=source.sequence,
        t1_range=ranges["t1"],
        t2_range=ranges["t2"],
        b1_range=ranges["b1"] if "b1" in dictionary.varying else None,
        words={
            "input": f"{dictionary.form} signals",
            "entries": f"{len(source)}",
            "compression": f"{rank} coefficients, error at most {dictionary.truncation:.1e}",
        },
        numbers={
            "form": dictionary.form,
            "n_time": source.n_time,
            "entries": len(source),
            "rank": rank,
            "truncation": dictionary.truncation,
        },
    )
