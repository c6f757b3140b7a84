"""Match a scan against a dictionary: maps of the most similar entries, a picture and a report."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from mrftool.environment.reporter import Reporter
from mrftool.formats.open_scan import open_volumes
from mrftool.formats.sequence.heartbeats import read_with_heartbeats
from mrftool.matching.dictionary import (
    Source,
    compress_dictionary,
    dictionary_from_file,
    dictionary_from_sequence,
)
from mrftool.matching.match import check_source, match_series
from mrftool.reports.run import method_of_dictionary
from mrftool.scan.stream import prepare
from mrftool.workflows.simulate import dictionary_tissue
from mrftool.workflows.steps.doubts import note_echoes
from mrftool.workflows.steps.header import require_agreement
from mrftool.workflows.steps.left_out import series_and_dictionary, skip_option
from mrftool.workflows.steps.outputs.dicom_output import DicomChoice, dicom_choice, dicom_output
from mrftool.workflows.steps.outputs.maps_run import MapsRun
from mrftool.workflows.steps.outputs.places import require_folder
from mrftool.workflows.steps.outputs.results import MapsResult, write_results
from mrftool.workflows.steps.outputs.run_record import RunIdentity, require_own_outputs
from mrftool.workflows.steps.scan import ScanFiles, mask_option
from mrftool.workflows.steps.stopwatch import Stopwatch


@dataclass(frozen=True)
class DictionaryChoice:
    """Which dictionary: one in a file, or one to simulate.

    Parameters
    ----------
    file : Path, optional
        A dictionary (.npz). With it, all other fields do nothing.
    sequence : str
        Sequence file, or the name of a shipped one.
    t1_ms, t2_ms, b1 : str, optional
        Values of T1 [ms], T2 [ms] and B1 [1], as `parse_values` reads them; by default the paper's
        160,200 pairs of T1 and T2.
    adc : float
        Diffusion coefficient [m2/s].
    rr : str, optional
        RR intervals of the scan [ms], as `read_heartbeats` reads them.

    """

    file: Path | None = None
    sequence: str = "fisp"
    t1_ms: str | None = None
    t2_ms: str | None = None
    b1: str | None = None
    adc: float = 0.0
    rr: str | None = None

    def load(self, threads: int | None) -> Source:
        """The dictionary, read or ready to be simulated."""
        if self.file is not None:
            return dictionary_from_file(self.file)
        tissue = dictionary_tissue(self.t1_ms, self.t2_ms, self.b1, self.adc)
        sequence = read_with_heartbeats(self.sequence, self.rr)
        return dictionary_from_sequence(sequence, tissue, threads=threads)

    def chosen(self) -> dict[str, object]:
        """What was chosen, for the report."""
        if self.file is not None:
            return {"dictionary": self.file}
        return {
            "seq": self.sequence,
            "rr": self.rr,
            "t1-ms": self.t1_ms,
            "t2-ms": self.t2_ms,
            "b1-grid": self.b1,
            "adc": self.adc or None,
        }


def match_scan(
    scan: ScanFiles,
    folder: Path,
    reporter: Reporter,
    *,
    dictionary: DictionaryChoice | None = None,
    tolerance: float = 2e-3,
    rank: int | None = None,
    mask: Path | None = None,
    hide_air: bool = True,
    skip: Collection[int] = (),
    dicom: DicomChoice | None = None,
    threads: int | None = None,
    allow: Iterable[str] = (),
    overwrite: bool = False,
    anonymous: bool = False,
) -> MapsResult:
    """Write maps of the dictionary entries that are most similar to each voxel of a scan.

    Parameters
    ----------
    scan : ScanFiles
        The scan.
    folder : Path
        Folder of the maps; it is made where it does not exist.
    reporter : Reporter
        Hears of progress and notes.
    dictionary : DictionaryChoice, optional
        By default the paper's tissues under the shipped FISP sequence.
    tolerance : float
        Largest error of each compressed entry that is allowed [1].
    rank : int, optional
        Number of coefficients to compress to instead.
    mask, hide_air, skip, dicom, threads, allow, overwrite, anonymous
        See `quantify_scan`.

    """
    require_folder(folder)
    choice, watch = dicom_choice(dicom, anonymous), Stopwatch()
    entries = dictionary or DictionaryChoice()
    chosen = {
        **entries.chosen(),
        "rank": rank,
        "mask": mask_option(mask, hide_air),
        "skip": skip_option(skip),
        **scan.chosen(),
        "tolerance": tolerance,
        **choice.chosen(),
    }
    identity = RunIdentity("match", scan.path, chosen, anonymous)
    require_own_outputs(folder, identity, overwrite=overwrite)
    with watch.stage("open the scan"):
        series = scan.open(reporter)
        study = dicom_output(series, choice, folder, reporter)
        inside, _, assumed = open_volumes(series, mask, {})
    source = entries.load(threads)
    assumed = (*assumed, *check_source(series, source, series.form))
    sequence = source.its_sequence()
    if sequence is not None:
        note_echoes(sequence, reporter)
    allowed = require_agreement(series, sequence, allow, reporter)
    sequence_id = source.sequence_id
    series, source = series_and_dictionary(series, source, skip)
    said = (*series.assumptions, *assumed)
    for sentence in said:
        reporter.note(sentence)
    with (
        watch.stage("compress the dictionary"),
        reporter.progress("compressing", len(source)) as progress,
    ):
        compressed = compress_dictionary(
            source, series.form, tolerance=tolerance, rank=rank, progress=progress
        )
    count = series.n_voxels
    if inside is not None:
        count = int(inside.sum())
    prepare(series)
    with watch.stage("read and match"), reporter.progress("matching", count) as progress:
        maps = match_series(
            series,
            compressed,
            mask=inside,
            hide_air=hide_air and mask is None,
            threads=threads,
            progress=progress,
        )
    for sentence in maps.assumptions:
        if sentence not in said:
            reporter.note(sentence)
    run = MapsRun(
        command="match",
        source=scan.path,
        series=series,
        maps=replace(maps, assumptions=(*maps.assumptions, *allowed)),
        allowed=allowed,
        skipped=tuple(sorted(skip)),
        sequence_id=sequence_id,
        method=method_of_dictionary(compressed),
        options={**chosen, "threads": threads},
        identity=identity,
        watch=watch,
    )
    return write_results(run, folder, reporter, dicom=study, overwrite=overwrite)
