"""What the numbers say, in sentences that rules make from them, whichever method is better."""

from collections.abc import Iterator, Sequence

from mrftool.evaluation.text_tables import duration
from mrftool.studies.paper.methods import PAPERS, REMEDIES, ROWS
from mrftool.studies.paper.published import CAVEATS, PUBLISHED
from mrftool.studies.paper.results import Cell, Study
from mrftool.studies.report.cells import compared, number, shown
from mrftool.studies.report.tables import (
    has_short,
    rows_of,
    seconds_per_epoch,
    sets_of,
    signatures,
    snrs_of,
    title_of,
    training_share,
)

SCORE = "log10_mse_tissue"
PAIRS = (  # with a decoder, and the same encoder without
    ("blochnet", "fc"),
    ("fc-fc", "fc"),
    ("rnn-rnn", "rnn"),
    ("blochnet-noise", "fc-noise"),
)
TABLES = {"table1": "Table 1", "table2": "Table 2"}
Ratios = tuple[float, float]  # RMSE / bound of T1 and T2


def in_short(study: Study) -> list[str]:
    """The main findings, one sentence or two each."""
    return [
        *_winners(study),
        *_against_matching(study),
        *_decoders_in_short(study),
        *_remedies(study),
        *_noise(study),
        *_cost(study),
    ]


def pair_of(
    study: Study, group: str, one: str, other: str, key: str, score: str = SCORE
) -> tuple[Cell, Cell] | None:
    """Errors of two rows, if both are known."""
    first, second = study.cell(group, one, key, score), study.cell(group, other, key, score)
    if first is None or second is None:
        return None
    return first, second


def _winners(study: Study) -> Iterator[str]:
    for group, table in TABLES.items():
        for name in sets_of(study):
            ranked = _ranked(study, group, name, PAPERS)
            if len(ranked) < 2:
                continue
            (first, best), (second, next_best) = ranked[:2]
            text = (
                f"{table}, {name}{_from_1_ms(study, name)}: of the paper's seven methods,"
                f" {_title_with_share(study, group, first)} has the lowest error, {shown(best)};"
                f" {_title_with_share(study, group, second)} follows, {compared(next_best, best)}."
            )
            row, cell = _ranked(study, group, name, rows_of(study, group))[0]
            if row != first:
                title = _title_with_share(study, group, row)
                text += f" Of all rows, {title} has the lowest, {shown(cell)}."
            yield text + _published(study, group, name)


def _published(study: Study, group: str, name: str) -> str:
    """Our error of BlochNet beside the printed one, and why the two cannot be compared."""
    ours = study.cell(group, "blochnet", name, "log10_mse")
    if ours is None:
        return ""
    voxels = ""
    if has_short(study, name):
        voxels = " over all voxels"
    printed = PUBLISHED[group, name]["blochnet"]
    return f" BlochNet: {shown(ours)}{voxels}; the paper printed {printed:g}, {CAVEATS[name]}."


def _title_with_share(study: Study, group: str, row: str) -> str:
    """Title of a row with its share of the paper's training, if it is trained."""
    share = training_share(study, group, row)
    if share is None:
        return title_of(row)
    return f"{title_of(row)} ({number(100 * share, 2)} % of the paper's training)"


def _against_matching(study: Study) -> Iterator[str]:
    for group, table in TABLES.items():
        parts = []
        for text, name, score in _scored_sets(study):
            pair = pair_of(study, group, "blochnet", "matching", name, score)
            if pair is not None:
                parts.append(f"{compared(*pair)} ({text}: {shown(pair[0])} and {shown(pair[1])})")
        if parts:
            yield (
                f"{table}: compared with correct dictionary matching, the error of BlochNet is"
                f" {'; '.join(parts)}."
            )


def _scored_sets(study: Study) -> Iterator[tuple[str, str, str]]:
    """Text, name and score of every set, also with its voxels below 1 ms if it has such."""
    for name in sets_of(study):
        yield f"{name}{_from_1_ms(study, name)}", name, SCORE
        if has_short(study, name):
            yield f"{name}, all voxels", name, "log10_mse"


def _decoders_in_short(study: Study) -> Iterator[str]:
    """One sentence for each decoder, over the tests without noise."""
    for with_decoder, without in PAIRS:
        parts = []
        for group, table in TABLES.items():
            for name in sets_of(study):
                pair = pair_of(study, group, with_decoder, without, name)
                if pair is not None:
                    parts.append(f"{compared(*pair)} ({table}, {name})")
        if parts:
            titles = title_of(with_decoder), title_of(without)
            text = f"Decoder, no noise: compared with {titles[1]}, the error of {titles[0]} is"
            yield f"{text} {'; '.join(parts)}.{_unequal_training(study, with_decoder, without)}"


def _unequal_training(study: Study, one: str, other: str) -> str:
    """A warning if two rows are trained with different numbers of signatures."""
    first, second = (signatures(study, "table1", row) for row in (one, other))
    if first is None or second is None or first == second:
        return ""
    return (
        f" The trainings are unequal: {title_of(one)} had {first:,.0f} signatures,"
        f" {title_of(other)} {second:,.0f}."
    )


def _remedies(study: Study) -> Iterator[str]:
    for name in sets_of(study):
        ranked = _ranked(study, "table2", name, REMEDIES)
        unadapted = study.cell("table2", "blochnet", name, SCORE)
        if not ranked or unadapted is None:
            continue
        texts = [
            f"{_title_with_share(study, 'table2', row)} {shown(cell)} after {_effort(study, row)}"
            for row, cell in ranked
        ]
        yield (
            f"A sequence that training has not seen, {name}: {', '.join(texts)}; BlochNet as"
            f" trained {shown(unadapted)}. The lowest error: {title_of(ranked[0][0])}."
        )


def _effort(study: Study, row: str) -> str:
    """Time until the first map; without a time to prepare, that of predicting includes it."""
    phases = [study.recorded("table2", row, "seconds", key) for key in ("prepare", "train")]
    if not any(phases):
        phases = [study.recorded("table2", row, "seconds", "predict")]
    return duration(sum(phase.mean for phase in phases if phase is not None))


def _noise(study: Study) -> Iterator[str]:
    for name in sets_of(study):
        parts = []
        for snr in snrs_of(study, "table1"):
            ratios = _bound_ratios(study, f"{name}_snr{snr:g}")
            if len(ratios) > 1:
                ranked = sorted(ratios, key=lambda row, known=ratios: max(known[row]))  # type: ignore[misc]
                closest, farthest = ranked[0], ranked[-1]
                parts.append(
                    f"at SNR {snr:g} {_at_bound(study, closest, ratios)}, and farthest"
                    f" {_at_bound(study, farthest, ratios)}"
                )
        if parts:
            yield f"Closest to the Cramer-Rao bound (Table 1, {name}; T1, T2): {'; '.join(parts)}."


def _bound_ratios(study: Study, key: str) -> dict[str, Ratios]:
    """RMSE / bound of T1 and T2 of each row for which both are known."""
    ratios = {}
    for row in ROWS["table1"]:
        t1 = study.cell("table1", row, key, "t1_over_bound")
        t2 = study.cell("table1", row, key, "t2_over_bound")
        if t1 is not None and t2 is not None:
            ratios[row] = (t1.mean, t2.mean)
    return ratios


def _at_bound(study: Study, row: str, ratios: dict[str, Ratios]) -> str:
    t1, t2 = ratios[row]
    title = _title_with_share(study, "table1", row)
    return f"{title} with {number(t1)} and {number(t2)} times the bound"


def _cost(study: Study) -> Iterator[str]:
    parts = []
    for group, table in TABLES.items():
        ours, plain = (seconds_per_epoch(study, group, row) for row in ("blochnet", "fc"))
        if ours and plain:
            ratio = number(ours / plain)
            parts.append(f"{number(ours)} and {number(plain)} s, {ratio} times as much ({table})")
    if parts:
        yield (
            "An epoch of 160,200 signatures costs BlochNet, Bloch equations included, and FC"
            f" {'; '.join(parts)} of processor time."
        )


def _ranked(study: Study, group: str, key: str, rows: Sequence[str]) -> list[tuple[str, Cell]]:
    """Rows that are known, the lowest error first."""
    ranked = []
    for row in rows:
        cell = study.cell(group, row, key, SCORE)
        if cell is not None:
            ranked.append((row, cell))
    return sorted(ranked, key=lambda each: each[1].mean)


def _from_1_ms(study: Study, name: str) -> str:
    if has_short(study, name):
        return " from 1 ms"
    return ""
