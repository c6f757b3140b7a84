"""What the numbers say, in sentences made from them by rule: nothing here knows which method should
win.
"""

from collections.abc import Iterator, Sequence

from mrftool.studies.paper.methods import PAPERS, REMEDIES, ROWS
from mrftool.studies.paper.published import PUBLISHED
from mrftool.studies.paper.results import Cell, Study
from mrftool.studies.report.cells import compared, duration, number, shown, times
from mrftool.studies.report.tables import (
    has_short,
    rows_of,
    seconds_per_epoch,
    sets_of,
    signatures,
    snrs_of,
    title_of,
)

SCORE = "log10_mse_tissue"
PAIRS = (  # with a decoder, and the same encoder without
    ("blochnet", "fc"),
    ("fc-fc", "fc"),
    ("rnn-rnn", "rnn"),
    ("blochnet-noise", "fc-noise"),
)
TABLES = {"table1": "Table 1", "table2": "Table 2"}


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


def _winners(study: Study) -> Iterator[str]:
    for group, table in TABLES.items():
        for name in sets_of(study):
            ranked = _ranked(study, group, name, PAPERS)
            if len(ranked) < 2:
                continue
            (first, best), (second, next_best) = ranked[:2]
            text = f"{table}, {name}{_from_1_ms(study, name)}: of the paper's seven methods, {title_of(first)} has the"
            text += f" lowest error, {shown(best)}"
            text += f"; {title_of(second)} follows, {compared(next_best, best)}."
            every = _ranked(study, group, name, rows_of(study, group))
            if every[0][0] != first:
                text += (
                    f" Of all rows, {title_of(every[0][0])} has the lowest, {shown(every[0][1])}."
                )
            printed = PUBLISHED[group, name]["blochnet"]
            if ours := study.cell(group, "blochnet", name, "log10_mse"):
                text += f" BlochNet: {shown(ours)}{_with_short(study, name)}, where the paper printed {printed:g}"
                text += f": {times(ours.mean, printed)}."
            yield text


def _against_matching(study: Study) -> Iterator[str]:
    for group, table in TABLES.items():
        parts = []
        for name in sets_of(study):
            kinds = [(f"{name}{_from_1_ms(study, name)}", SCORE)]
            kinds += [(f"{name}, all voxels", "log10_mse")] if has_short(study, name) else []
            for text, score in kinds:
                pair = pair_of(study, group, "blochnet", "matching", name, score)
                if pair is not None:
                    parts.append(
                        f"{compared(*pair)} ({text}: {shown(pair[0])} and {shown(pair[1])})"
                    )
        if parts:
            yield f"{table}: beside that of correct dictionary matching, the error of BlochNet is {'; '.join(parts)}."


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
            title = f"Decoder, no noise: the error of {title_of(with_decoder)} is"
            text = f"{title}, beside that of {title_of(without)}, {'; '.join(parts)}."
            yield text + _unequal(study, with_decoder, without)


def _unequal(study: Study, one: str, other: str) -> str:
    """A warning where two rows learned from different numbers of signatures."""
    counts = {row: signatures(study, "table1", row) for row in (one, other)}
    if None in counts.values() or counts[one] == counts[other]:
        return ""
    texts = [
        f"{title_of(row)} learned from {count:,.0f} signatures" for row, count in counts.items()
    ]
    return f" No fair race: {', '.join(texts)}."


def _remedies(study: Study) -> Iterator[str]:
    for name in sets_of(study):
        ranked = _ranked(study, "table2", name, REMEDIES)
        unadapted = study.cell("table2", "blochnet", name, SCORE)
        if not ranked or unadapted is None:
            continue
        texts = [
            f"{title_of(row)} {shown(cell)} after {_effort(study, row)}" for row, cell in ranked
        ]
        text = f"A sequence that training has not seen, {name}: {', '.join(texts)}; BlochNet as trained {shown(unadapted)}"
        yield f"{text}. The lowest error: {title_of(ranked[0][0])}."


def _effort(study: Study, row: str) -> str:
    """Time until the first map; records that tell no time to prepare count it as part of
    predicting.
    """
    parts = [study.recorded("table2", row, "seconds", key) for key in ("prepare", "train")]
    if not any(parts):
        parts = [study.recorded("table2", row, "seconds", "predict")]
    return duration(sum(part.mean for part in parts if part is not None))


def _noise(study: Study) -> Iterator[str]:
    for name in sets_of(study):
        parts = []
        for snr in snrs_of(study, "table1"):
            ratios = _bound_ratios(study, f"{name}_snr{snr:g}")
            if len(ratios) > 1:
                near, far = (
                    choice(ratios, key=lambda row: max(ratios[row])) for choice in (min, max)
                )
                parts.append(
                    f"at SNR {snr:g} {_at_bound(near, ratios)}, and farthest {_at_bound(far, ratios)}"
                )
        if parts:
            yield f"Closest to the Cramer-Rao bound (Table 1, {name}; T1, T2): {'; '.join(parts)}."


def _bound_ratios(study: Study, key: str) -> dict[str, tuple[float, ...]]:
    """RMSE / bound of T1 and T2 of each row that is there."""
    cells = {
        row: [study.cell("table1", row, key, f"{p}_over_bound") for p in ("t1", "t2")]
        for row in ROWS["table1"]
    }
    return {
        row: tuple(cell.mean for cell in pair if cell) for row, pair in cells.items() if all(pair)
    }


def _at_bound(row: str, ratios: dict[str, tuple[float, ...]]) -> str:
    return f"{title_of(row)} with {' and '.join(number(ratio) for ratio in ratios[row])} times the bound"


def _cost(study: Study) -> Iterator[str]:
    parts = []
    for group, table in TABLES.items():
        ours, plain = (seconds_per_epoch(study, group, row) for row in ("blochnet", "fc"))
        if ours and plain:
            parts.append(
                f"{number(ours)} and {number(plain)} s, {number(ours / plain)} times as much ({table})"
            )
    if parts:
        yield (
            "An epoch of 160,200 signatures costs BlochNet, Bloch equations included, and FC "
            f"{'; '.join(parts)} of processor time."
        )


def pair_of(
    study: Study, group: str, one: str, other: str, key: str, score: str = SCORE
) -> tuple[Cell, Cell] | None:
    """Errors of two rows, if both are there."""
    first, second = (study.cell(group, row, key, score) for row in (one, other))
    return None if first is None or second is None else (first, second)


def _ranked(study: Study, group: str, key: str, rows: Sequence[str]) -> list[tuple[str, Cell]]:
    """Rows that are there, the lowest error first."""
    cells = ((row, study.cell(group, row, key, SCORE)) for row in rows)
    return sorted(
        ((row, cell) for row, cell in cells if cell is not None), key=lambda each: each[1].mean
    )


def _from_1_ms(study: Study, name: str) -> str:
    return " from 1 ms" if has_short(study, name) else ""


def _with_short(study: Study, name: str) -> str:
    return " with all voxels" if has_short(study, name) else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
