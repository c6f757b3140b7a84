"""The tables of the report, every cell from records and predictions."""

from collections.abc import Callable, Sequence

from mrftool.evaluation.metrics import SHORTEST
from mrftool.evaluation.text_tables import TextTable
from mrftool.studies.paper.methods import METHODS, ROWS
from mrftool.studies.paper.plan import ABLATION_SNR, B1S
from mrftool.studies.paper.published import PUBLISHED
from mrftool.studies.paper.results import Study
from mrftool.studies.report.cells import MISSING, number, shown

SETS = ("phantom", "anatomical")
_SET_NAMES = {"anatomical": "anatomical maps"}
_COSTS = """\
Means over seeds, for the time of training with its spread. Epoch: 160,200 signatures once. Peak
memory: of the whole job, its tests included. Where no time to prepare stands, inference includes
it."""
_GRID = 160_200  # pairs of the paper's grid: one epoch
_PAPER_EPOCHS = 26
_ERRORS = {
    f"{p}_{kind}_{unit}": f"{p.upper()} {words} [{sign}]"
    for p in ("t1", "t2")
    for unit, sign in (("percent", "%"), ("ms", "ms"))
    for kind, words in (("median", "median"), ("rmse", "RMSE"))
}


def title_of(row: str) -> str:
    """A row of the tables as printed."""
    if row in METHODS:
        return METHODS[row].title
    return row


def rows_of(study: Study, group: str) -> list[str]:
    """Rows of a group, in the order of the plan."""
    if group in ROWS:
        return list(ROWS[group])
    jobs = [each.job for each in study.results]
    return list(dict.fromkeys(job["method"] for job in jobs if job["group"] == group))


def sets_of(study: Study, names: Sequence[str] = SETS) -> list[str]:
    """Those sets of tissue that the study holds."""
    return [name for name in names if name in study.sets]


def snrs_of(study: Study, group: str) -> list[float]:
    """The SNRs that a group is tested at, from high to low."""
    snrs = set()
    for each in study.results:
        if each.job["group"] == group:
            snrs |= {test["snr"] for test in each.job["tests"]} - {None}
    return sorted(snrs, reverse=True)


def has_short(study: Study, name: str) -> bool:
    """Whether a set has voxels whose T1 or T2 is below 1 ms."""
    return bool((study.sets[name].reference < SHORTEST).any())


def signatures(study: Study, group: str, row: str) -> float | None:
    """Signatures that a row is trained with, repetitions included; None if it is not trained."""
    steps, batch = (study.recorded(group, row, key) for key in ("steps", "batch"))
    if steps is None or batch is None or not steps.mean:
        return None
    return steps.mean * batch.mean


def training_share(study: Study, group: str, row: str) -> float | None:
    """Signatures that a row is trained with, over those of the paper's training [1]."""
    count = signatures(study, group, row)
    if count is None:
        return None
    return count / (_PAPER_EPOCHS * _GRID)


def seconds_per_epoch(study: Study, group: str, row: str) -> float | None:
    """Processor time of training on 160,200 signatures once [s]; None if a row is not trained.

    The wall-clock time would depend on the jobs that run at the same time.
    """
    train = study.recorded(group, row, "cpu_seconds", "train")
    count = signatures(study, group, row)
    if train is None or count is None:
        return None
    return train.mean * _GRID / count


def main_table(study: Study, group: str) -> TextTable:
    """log10 MSE without noise beside the printed one, and each row's share of training.

    Sets with voxels below 1 ms have a further column without these.
    """
    columns: dict[str, Callable[[str], str]] = {}
    for name in sets_of(study):
        columns[f"{name}: published"] = _published(group, name)
        columns[name] = _score_of(study, group, name, "log10_mse")
        if has_short(study, name):
            columns[f"{name} from 1 ms"] = _score_of(study, group, name, "log10_mse_tissue")
    columns["training [%]"] = _training_percent(study, group)
    return _table(study, group, "log10 MSE, no noise", columns)


def error_table(study: Study, group: str, name: str) -> TextTable:
    """Errors in percent and ms, over voxels from 1 ms."""
    columns = {heading: _score_of(study, group, name, score) for score, heading in _ERRORS.items()}
    return _table(study, group, f"Errors on the {_in_words(name)}, no noise", columns)


def noise_table(study: Study, group: str, name: str) -> TextTable:
    """log10 MSE at each SNR, over voxels from 1 ms."""
    columns = {"no noise": _score_of(study, group, name, "log10_mse_tissue")}
    for snr in snrs_of(study, group):
        key = f"{name}_snr{snr:g}"
        columns[f"SNR {snr:g}"] = _score_of(study, group, key, "log10_mse_tissue")
    title = f"log10 MSE on the {_in_words(name)}"
    if has_short(study, name):
        title += ", from 1 ms"
    return _table(study, group, f"{title}, with noise", columns)


def bound_table(study: Study, group: str, name: str) -> TextTable:
    """RMSE / Cramer-Rao bound at each SNR."""
    columns, counts = {}, []
    snrs = snrs_of(study, group)
    for parameter in ("t1", "t2"):
        for snr in snrs:
            score = _score_of(study, group, f"{name}_snr{snr:g}", f"{parameter}_over_bound")
            columns[f"{parameter.upper()} SNR {snr:g}"] = score
    for snr in snrs:
        count = _bound_count(study, group, f"{name}_snr{snr:g}")
        if count is not None:
            counts.append(f"{count} at SNR {snr:g}")
    table = _table(study, group, f"RMSE / bound on the {_in_words(name)}", columns)
    title = f"{table.title} (voxels: {', '.join(counts) or 'none'})"
    return TextTable(title, table.headings, table.rows)


def cost_table(study: Study) -> TextTable:
    """Time and memory of training and of inference, over all rows of the two tables."""
    headings = ["", "table", "parameters", "steps x batch", "prepare [s]", "train [s]", "CPU [s]"]
    headings += ["epoch [CPU s]", "peak memory [MB]", "inference [voxels/s]"]
    rows = [
        [title_of(row), group.removeprefix("table"), *_cost_cells(study, group, row)]
        for group in ROWS
        for row in rows_of(study, group)
    ]
    return TextTable(_COSTS, headings, rows)


def ablation_table(study: Study, title: str, rows: Sequence[tuple[str, str, str]]) -> TextTable:
    """log10 MSE from 1 ms of rows (text, group, row), without and with noise."""
    names = sets_of(study)
    if any(group == "ablation-range" for _, group, _ in rows):
        names = sets_of(study, (*SETS, "above"))
    keys = {}
    for name in names:
        keys[name] = name
        keys[f"{name}, SNR {ABLATION_SNR:g}"] = f"{name}_snr{ABLATION_SNR:g}"
    lines = []
    for text, group, row in rows:
        cells = [shown(study.cell(group, row, key, "log10_mse_tissue")) for key in keys.values()]
        lines.append([text, *cells, _recorded(study, group, row, "steps")])
    return TextTable(f"**{title}**", ["", *keys, "steps"], lines)


def b1_table(study: Study) -> TextTable:
    """Errors on the phantom if B1 is not the one that the methods assume."""
    keys = {"B1 1": "phantom"} | {f"B1 {b1:g}": f"phantom_b1_{b1:g}" for b1 in B1S}
    scores = {
        "log10 MSE": "log10_mse_tissue",
        "T1 median [%]": "t1_median_percent",
        "T2 [%]": "t2_median_percent",
    }
    columns = {}
    for text, score in scores.items():
        for b1, key in keys.items():
            columns[f"{text}, {b1}"] = _score_of(study, "table1", key, score)
    title = "B1 that training has not seen, phantom, no noise"
    table = _table(study, "table1", title, columns)
    tested = [row for row in table.rows if MISSING not in row[2:]]
    return TextTable(table.title, table.headings, tested)


def _table(
    study: Study, group: str, title: str, columns: dict[str, Callable[[str], str]]
) -> TextTable:
    """A line for each row of a group. columns: by heading, what gives the cell of a row."""
    rows = [
        [title_of(row), *(cell_of(row) for cell_of in columns.values())]
        for row in rows_of(study, group)
    ]
    return TextTable(f"**{title}**", ["", *columns], rows)


def _score_of(study: Study, group: str, key: str, score: str) -> Callable[[str], str]:
    return lambda row: shown(study.cell(group, row, key, score))


def _published(group: str, name: str) -> Callable[[str], str]:
    printed = PUBLISHED[group, name]

    def text(row: str) -> str:
        if row not in printed:
            return ""
        return f"{printed[row]:g}"

    return text


def _training_percent(study: Study, group: str) -> Callable[[str], str]:
    def percent(row: str) -> str:
        share = training_share(study, group, row)
        if share is None:
            return "-"
        return number(100 * share, 2)

    return percent


def _in_words(name: str) -> str:
    return _SET_NAMES.get(name, name)


def _cost_cells(study: Study, group: str, row: str) -> list[str]:
    steps, batch = (study.recorded(group, row, key) for key in ("steps", "batch"))
    train = study.recorded(group, row, "seconds", "train")
    epoch = seconds_per_epoch(study, group, row)
    size = training = per_epoch = "-"
    if steps is not None and steps.mean and batch is not None:
        size = f"{steps.mean:.0f} x {batch.mean:.0f}"
    if train is not None:
        training = shown(train)
    if epoch is not None:
        per_epoch = number(epoch)
    return [
        _recorded(study, group, row, "parameters"),
        size,
        _recorded(study, group, row, "seconds", "prepare"),
        training,
        _recorded(study, group, row, "cpu_seconds", "train"),
        per_epoch,
        _recorded(study, group, row, "peak_memory_mb"),
        _recorded(study, group, row, "voxels_per_second"),
    ]


def _recorded(study: Study, group: str, row: str, *path: str) -> str:
    """A number of the records; "-" if they do not hold it."""
    cell = study.recorded(group, row, *path)
    if cell is not None and cell.mean < 1000:
        return number(cell.mean)
    if cell is not None:
        return f"{cell.mean:.0f}"
    if study.of(group, row):
        return "-"
    return MISSING


def _bound_count(study: Study, group: str, key: str) -> int | None:
    """Largest number of voxels that a row is compared with the bound over."""
    cells = [study.cell(group, row, key, "n_bound") for row in rows_of(study, group)]
    counts = [cell.mean for cell in cells if cell is not None]
    if not counts:
        return None
    return round(max(counts))
