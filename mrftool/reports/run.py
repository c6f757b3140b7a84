"""What a report is made from: a run of quantification, and the method that it used."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mrftool.arrays import Range
from mrftool.evaluation.residuals import FitResiduals
from mrftool.inference.assessment.background import Background
from mrftool.inference.model.summary import summary
from mrftool.manifold.parameters import parameter_named
from mrftool.maps import Maps
from mrftool.reports.budget import BudgetTable
from mrftool.scan.series import Series

if TYPE_CHECKING:
    from mrftool.inference.session import Model
    from mrftool.matching.dictionary import MatchDictionary


_STEPPED = ("t1", "t2", "b1")  # whose steps are told
_STATED_ELSEWHERE = ("name", "weights", "sequence")  # of the words of a model


@dataclass(frozen=True, eq=False)
class Method:
    """What turned fingerprints into maps: a model, or a dictionary.

    Parameters
    ----------
    kind
        "model" or "dictionary".
    name, file
        Its name, and the name of its file.
    sha256
        Of its numbers.
    sequence_name, sequence_id
        Of the sequence that it was made for; the id is None where it is not known.
    sequence
        The same under the keys of a sequence file, or None if it is not known.
    t1_range, t2_range
        What it covers [s].
    b1_range
        The same of B1 [1]; None where B1 is not an input or a result.
    algorithm
        How it finds the tissue.
    words
        Further facts for a person, label and text.
    numbers
        The same for programs, with units in the keys.
    table_error
        Largest relative error of its table [1].
    scores
        What was measured against the exact engine when it was made.
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
    """One run of a command that made maps.

    Parameters
    ----------
    command
        Its name.
    source
        The scan, as the user named it.
    kind
        Of its files, "NIfTI" or "DICOM".
    series, maps, method
        What was read, what came out, and how.
    files
        Where each map lies, relative to the report.
    n_bytes
        Size of the file, where the scan is one.
    options
        What the user chose, by option.
    assumptions
        Sentences, one for each thing that no file says.
    started
        Date and time, ISO 8601.
    seconds
        (wall clock, processor) of each stage [s].
    versions
        Of the software.
    residuals
        What the fit leaves of the scan, where it was looked at.
    budget
        The uncertainty budget of each tissue, where it is known.
    background
        Noise around what was scanned, of magnitudes.
    noise_sd
        Of the noise per channel, if the user gave it [scanner's unit].
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
    residuals: FitResiduals | None = None
    budget: BudgetTable | None = None
    background: Background | None = None
    noise_sd: float | None = None


@dataclass(frozen=True)
class Report:
    """html: the page, empty for none. contents: what report.json holds. warnings: sentences, empty
    if the run looks good.
    """

    html: str
    contents: Mapping[str, Any]
    warnings: tuple[str, ...]


def method_of(model: "Model") -> Method:
    """The method that a model is."""
    manifest = model.manifest
    plain = ("form", "n_time", "encoder", "polish", "rank", "table_error", "truncation", "versions")
    numbers = {key: getattr(manifest, key) for key in plain}
    words = summary(replace(manifest, scores={}))
    algorithm = "encoder network"
    if manifest.encoder == "none":
        algorithm = "coarse search"
    if manifest.polish:
        algorithm += f", {manifest.polish} Gauss-Newton steps on the tabulated signals"
    return Method(
        kind="model",
        name=manifest.name,
        algorithm=algorithm,
        file=model.path.name,
        sha256=manifest.weights_sha256,
        sequence_name=manifest.sequence_name,
        sequence_id=manifest.sequence_id,
        sequence=manifest.sequence,
        t1_range=manifest.ranges["t1"],
        t2_range=manifest.ranges["t2"],
        b1_range=manifest.ranges.get("b1"),
        words={label: text for label, text in words.items() if label not in _STATED_ELSEWHERE},
        numbers={
            **numbers,
            "grid": list(manifest.grid),
            "adc_m2_per_s": manifest.adc,
            "coils": manifest.coils,
        },
        table_error=manifest.table_error,
        scores=manifest.scores,
    )


def method_of_dictionary(dictionary: "MatchDictionary") -> Method:
    """The method that matching against a dictionary is."""
    source = dictionary.source
    columns = dictionary.columns()
    ranges = {name: (float(each.min()), float(each.max())) for name, each in columns.items()}
    b1_range = None
    if "b1" in dictionary.varying:
        b1_range = ranges["b1"]
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
        b1_range=b1_range,
        words=_words_of(dictionary),
        numbers={
            "form": dictionary.form,
            "n_time": source.n_time,
            "entries": len(source),
            "rank": dictionary.basis.rank,
            "truncation": dictionary.truncation,
        },
    )


def _words_of(dictionary: "MatchDictionary") -> dict[str, str]:
    rank, error = dictionary.basis.rank, dictionary.truncation
    words = {
        "input": f"{dictionary.form} signals",
        "entries": f"{len(dictionary.source)}",
        "compression": f"{rank} coefficients, error at most {error:.1e}",
    }
    steps = [
        f"{parameter_named(name).label} up to {100 * step:.2g} %"
        for name, step in _largest_steps(dictionary).items()
    ]
    if steps:
        words["steps"] = f"{', '.join(steps)}: matches are off by up to half of that"
    return words


def _largest_steps(dictionary: "MatchDictionary") -> dict[str, float]:
    """Largest relative distance of neighbouring values of T1 and T2, and of B1 if it varies [1]."""
    steps = {}
    for name, column in dictionary.varying.items():
        values = np.unique(column)
        if name in _STEPPED and values[0] > 0:
            steps[name] = float(np.max(values[1:] / values[:-1]) - 1)
    return steps
