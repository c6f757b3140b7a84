"""The tables of the report, every cell from records and predictions."""

from collections.abc import Iterator, Sequence

from mrftool.evaluation.metrics import SHORTEST
from mrftool.evaluation.text_tables import TextTable
from mrftool.studies.paper.methods import METHODS, ROWS
from mrftool.studies.paper.plan import ABLATION_SNR, B1S
from mrftool.studies.paper.published import PUBLISHED
from mrftool.studies.paper.results import Study
from mrftool.studies.report.cells import MISSING, number, shown

SETS = ("phantom", "anatomical")
_SET_NAMES = {"anatomical": "anatomical maps"}
_ABLATION_SETS = (*SETS, "above")
_COSTS = """\
Means over seeds, for the time of training with its spread. Epoch: 160,200 signatures once. Peak memory: of the whole
job, its tests included. Where no time to prepare stands, inference includes it."""
_GRID = 160_200  # pairs of the paper's grid: one epoch


def title_of(row: str) -> str:
    """A row of the tables as printed."""
    return METHODS[row].title if row in METHODS else row


def rows_of(study: Study, group: str) -> list[str]:
    """Rows of a group, in the order of the plan."""
    if group in ROWS:
        return list(ROWS[group])
    return list(
        dict.fromkeys(each.job["method"] for each in study.results if each.job["group"] == group)
    )


def sets_of(study: Study, names: Sequence[str] = SETS) -> list[str]:
    """Sets of tissue that there are."""
    return [name for name in names if name in study.sets]


def main_table(study: Study, group: str) -> TextTable:
    """log10 MSE without noise beside what the paper printed; without voxels below 1 ms where a set
    has such.
    """
    headings, columns = [""], []
    for name in sets_of(study):
        headings += [f"{name}: published", name]
        columns += [("published", name), ("log10_mse", name)]
        if has_short(study, name):
            headings.append(f"{name} from 1 ms")
            columns.append(("log10_mse_tissue", name))
    rows = []
    for row in rows_of(study, group):
        cells = [_main_cell(study, group, row, score, name) for score, name in columns]
        rows.append([title_of(row), *cells])
    return TextTable("**log10 MSE, no noise**", headings, rows)


def error_table(study: Study, group: str, name: str) -> TextTable:
    """Errors as a physicist reads them, over voxels from 1 ms."""
    kinds = [
        (p, f"{p}_{kind}_{unit}")
        for p in ("t1", "t2")
        for unit in ("percent", "ms")
        for kind in ("median", "rmse")
    ]
    words = ["median [%]", "RMSE [%]", "median [ms]", "RMSE [ms]"]
    headings = ["", *(f"{p.upper()} {word}" for p in ("t1", "t2") for word in words)]
    rows = [
        [title_of(row), *(shown(study.cell(group, row, name, score)) for _, score in kinds)]
        for row in rows_of(study, group)
    ]
    return TextTable(f"**Errors on the {_SET_NAMES.get(name, name)}, no noise**", headings, rows)


def noise_table(study: Study, group: str, name: str) -> TextTable:
    """log10 MSE at each SNR, over voxels from 1 ms."""
    snrs = snrs_of(study, group)
    keys = [name, *(f"{name}_snr{snr:g}" for snr in snrs)]
    headings = ["", "no noise", *(f"SNR {snr:g}" for snr in snrs)]
    rows = [
        [title_of(row), *(shown(study.cell(group, row, key, "log10_mse_tissue")) for key in keys)]
        for row in rows_of(study, group)
    ]
    return TextTable(
        f"**log10 MSE on the {_SET_NAMES.get(name, name)}{_from(study, name)}, with noise**",
        headings,
        rows,
    )


def bound_table(study: Study, group: str, name: str) -> TextTable:
    """RMSE / Cramer-Rao bound at each SNR."""
    snrs = snrs_of(study, group)
    headings = ["", *(f"{p.upper()} SNR {snr:g}" for p in ("t1", "t2") for snr in snrs)]
    rows = [
        [
            title_of(row),
            *(
                shown(study.cell(group, row, f"{name}_snr{snr:g}", f"{p}_over_bound"))
                for p in ("t1", "t2")
                for snr in snrs
            ),
        ]
        for row in rows_of(study, group)
    ]
    counts = ", ".join(
        f"{count} at SNR {snr:g}" for snr, count in _bound_counts(study, group, name, snrs)
    )
    return TextTable(
        f"**RMSE / bound on the {_SET_NAMES.get(name, name)}** (voxels: {counts or 'none'})",
        headings,
        rows,
    )


def cost_table(study: Study) -> TextTable:
    """Time and memory of training and of inference, over all rows of the two tables."""
    headings = ["", "table", "parameters", "steps x batch", "prepare [s]", "train [s]", "CPU [s]"]
    headings += ["epoch [CPU s]", "peak memory [MB]", "inference [voxels/s]"]
    rows = []
    for group in ROWS:
        for row in rows_of(study, group):
            steps, batch = (study.recorded(group, row, key) for key in ("steps", "batch"))
            train = study.recorded(group, row, "seconds", "train")
            size = (
                "-"
                if steps is None or not steps.mean or batch is None
                else f"{steps.mean:.0f} x {batch.mean:.0f}"
            )
            epoch = seconds_per_epoch(study, group, row)
            cells = [
                _optional(study, group, row, "parameters"),
                size,
                _optional(study, group, row, "seconds", "prepare"),
                "-" if train is None else shown(train),
                _optional(study, group, row, "cpu_seconds", "train"),
                "-" if epoch is None else number(epoch),
                _optional(study, group, row, "peak_memory_mb"),
                _optional(study, group, row, "voxels_per_second"),
            ]
            rows.append([title_of(row), group.removeprefix("table"), *cells])
    return TextTable(
        _COSTS,
        headings,
        rows,
        n_words=1,
    )


def signatures(study: Study, group: str, row: str) -> float | None:
    """How many signatures a row learned from, each counted as often as it was seen; None where it
    was not trained.
    """
    steps, batch = (study.recorded(group, row, key) for key in ("steps", "batch"))
    return None if steps is None or batch is None or not steps.mean else steps.mean * batch.mean


def seconds_per_epoch(study: Study, group: str, row: str) -> float | None:
    """Processor time of training on 160,200 signatures once [s]; None for methods that are not
    trained.

    Of the wall clock's time, jobs beside this one take their share.
    """
    train, seen = study.recorded(group, row, "cpu_seconds", "train"), signatures(study, group, row)
    return None if train is None or seen is None else train.mean * _GRID / seen


def ablation_table(study: Study, title: str, rows: Sequence[tuple[str, str, str]]) -> TextTable:
    """log10 MSE from 1 ms of rows (text, group, row), without and with noise."""
    names = sets_of(
        study, _ABLATION_SETS if any(group == "ablation-range" for _, group, _ in rows) else SETS
    )
    snr = ABLATION_SNR
    keys = [(name, f"{name}_snr{snr:g}") for name in names]
    headings = ["", *(text for name in names for text in (name, f"{name}, SNR {snr:g}")), "steps"]
    lines = [
        [
            text,
            *(
                shown(study.cell(group, row, key, "log10_mse_tissue"))
                for pair in keys
                for key in pair
            ),
            _optional(study, group, row, "steps"),
        ]
        for text, group, row in rows
    ]
    return TextTable(f"**{title}**", headings, lines)


def b1_table(study: Study) -> TextTable:
    """Errors on the phantom where B1 is not what the methods take for granted."""
    keys = [("phantom", "B1 1"), *((f"phantom_b1_{b1:g}", f"B1 {b1:g}") for b1 in B1S)]
    scores = [
        ("log10_mse_tissue", "log10 MSE"),
        ("t1_median_percent", "T1 median [%]"),
        ("t2_median_percent", "T2 [%]"),
    ]
    headings = ["", *(f"{text}, {b1}" for _, text in scores for _, b1 in keys)]
    tried = [
        row
        for row in rows_of(study, "table1")
        if study.cell("table1", row, keys[1][0], "log10_mse")
    ]
    rows = [
        [
            title_of(row),
            *(
                shown(study.cell("table1", row, key, score))
                for score, _ in scores
                for key, _ in keys
            ),
        ]
        for row in tried
    ]
    return TextTable("**B1 that training has not seen, phantom, no noise**", headings, rows)


def snrs_of(study: Study, group: str) -> list[float]:
    """The SNRs that a group is tested at, from high to low."""
    found = {
        t["snr"] for each in study.results if each.job["group"] == group for t in each.job["tests"]
    }
    return sorted((snr for snr in found if snr is not None), reverse=True)


def _from(study: Study, name: str) -> str:
    return ", from 1 ms" if has_short(study, name) else ""


def has_short(study: Study, name: str) -> bool:
    """Whether a set has voxels whose T1 or T2 is below 1 ms."""
    return bool((study.sets[name].reference < SHORTEST).any())


def _main_cell(study: Study, group: str, row: str, score: str, name: str) -> str:
    if score == "published":
        value = PUBLISHED[group, name].get(row)
        return "" if value is None else f"{value:g}"
    return shown(study.cell(group, row, name, score))


def _optional(study: Study, group: str, row: str, *path: str) -> str:
    cell = study.recorded(group, row, *path)
    if cell is None:
        return "-" if study.of(group, row) else MISSING
    return number(cell.mean) if cell.mean < 1000 else f"{cell.mean:.0f}"


def _bound_counts(
    study: Study, group: str, name: str, snrs: Sequence[float]
) -> Iterator[tuple[float, int]]:
    for snr in snrs:
        counts = [
            study.cell(group, row, f"{name}_snr{snr:g}", "n_bound") for row in rows_of(study, group)
        ]
        known = [cell.mean for cell in counts if cell is not None]
        if known:
            yield snr, round(max(known))
