"""What the numbers say, in sentences made from them by rule: nothing here knows which method should win."""

from collections.abc import Iterator, Sequence

from mrftool.study.cells import compared, differs, duration, number, shown, times
from mrftool.study.plan import ABLATION_SNR, LAMBDAS, PAPERS, REMEDIES, ROWS, SHARES
from mrftool.study.published import PUBLISHED
from mrftool.study.results import Cell, Study
from mrftool.study.tables import has_short, rows_of, seconds_per_epoch, sets_of, snrs_of, title_of

SCORE = "log10_mse_tissue"
PAIRS = (  # with a decoder, and the same encoder without
    ("blochnet", "fc"),
    ("fc-fc", "fc"),
    ("rnn-rnn", "rnn"),
    ("blochnet-noise", "fc-noise"),
)
_TABLES = {"table1": "Table 1", "table2": "Table 2"}


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


def decoder_findings(study: Study) -> list[str]:
    """For each decoder: where it helps, where it does not, over all tests of both tables."""
    found = []
    for with_decoder, without in PAIRS:
        verdicts = list(_verdicts(study, with_decoder, without))
        if not verdicts:
            continue
        names = f"{title_of(with_decoder)} against {title_of(without)}"
        lists = {kind: [text for text, verdict in verdicts if verdict == kind] for kind in ("helps", "hurts", "open")}
        parts = [f"{len(lists['helps'])} of {len(verdicts)} tests have a lower error with the decoder"]
        if lists["hurts"]:
            parts.append(f"it does harm in {len(lists['hurts'])}: {'; '.join(lists['hurts'])}")
        if lists["open"]:
            parts.append(
                f"no difference beyond the spread over seeds in {len(lists['open'])}: {'; '.join(lists['open'])}"
            )
        found.append(f"{names}: {'. '.join(_capital(part) for part in parts)}.")
    return found


def ablation_findings(study: Study) -> list[str]:
    """What weight, number of samples and range of training do."""
    return [*_lambda(study), *_samples(study), *_range(study)]


def _winners(study: Study) -> Iterator[str]:
    for group, table in _TABLES.items():
        for name in sets_of(study):
            ranked = _ranked(study, group, name, PAPERS)
            if len(ranked) < 2:
                continue
            (first, best), (second, next_best) = ranked[:2]
            text = (
                f"{table}, {name}: of the paper's seven methods, {title_of(first)} has the lowest error, {shown(best)}"
            )
            text += f"; {title_of(second)} follows, {compared(next_best, best)}."
            every = _ranked(study, group, name, rows_of(study, group))
            if every[0][0] != first:
                text += f" Of all rows, {title_of(every[0][0])} has the lowest, {shown(every[0][1])}."
            printed = PUBLISHED[group, name]["blochnet"]
            if ours := study.cell(group, "blochnet", name, "log10_mse"):
                text += f" BlochNet: {shown(ours)}{_with_short(study, name)}, where the paper printed {printed:g}"
                text += (
                    f" ({times(*sorted((ours.mean, printed)))} {'lower' if ours.mean < printed else 'higher'} here)."
                )
            yield text


def _against_matching(study: Study) -> Iterator[str]:
    for group, table in _TABLES.items():
        for name in sets_of(study):
            ours, matching = (study.cell(group, row, name, SCORE) for row in ("blochnet", "matching"))
            if ours and matching:
                text = compared(ours, matching, "correct dictionary matching")
                numbers = f"{shown(ours)} and {shown(matching)}{_from_1_ms(study, name)}"
                yield f"{table}, {name}: the error of BlochNet is {text} ({numbers})."


def _decoders_in_short(study: Study) -> Iterator[str]:
    """One sentence for each decoder, over the tests without noise."""
    for with_decoder, without in PAIRS:
        parts = []
        for group, table in _TABLES.items():
            for name in sets_of(study):
                pair = _pair(study, group, with_decoder, without, name)
                if pair is not None:
                    parts.append(f"{compared(*pair)} ({table}, {name})")
        if parts:
            title = f"Decoder, no noise: the error of {title_of(with_decoder)} is"
            yield f"{title}, beside that of {title_of(without)}, {'; '.join(parts)}."


def _remedies(study: Study) -> Iterator[str]:
    for name in sets_of(study):
        ranked = _ranked(study, "table2", name, REMEDIES)
        unadapted = study.cell("table2", "blochnet", name, SCORE)
        if not ranked or unadapted is None:
            continue
        texts = [f"{title_of(row)} {shown(cell)} after {_effort(study, row)}" for row, cell in ranked]
        text = (
            f"A sequence that training has not seen, {name}: {', '.join(texts)}; BlochNet as trained {shown(unadapted)}"
        )
        yield f"{text}. {title_of(ranked[0][0])} wins."


def _effort(study: Study, row: str) -> str:
    parts = [study.recorded("table2", row, "seconds", key) for key in ("prepare", "train")]
    return duration(sum(part.mean for part in parts if part is not None))


def _noise(study: Study) -> Iterator[str]:
    for name in sets_of(study):
        for snr in snrs_of(study, "table1"):
            key = f"{name}_snr{snr:g}"
            found = [
                (row, [study.cell("table1", row, key, f"{p}_over_bound") for p in ("t1", "t2")])
                for row in ROWS["table1"]
            ]
            known = [(row, [cell.mean for cell in cells if cell]) for row, cells in found if all(cells)]
            if not known:
                continue
            row, ratios = min(known, key=lambda each: max(each[1]))
            worst, most = max(known, key=lambda each: max(each[1]))
            near, far = (f"{number(t1)} (T1) and {number(t2)} (T2)" for t1, t2 in (ratios, most))
            text = f"SNR {snr:g}, {name}: {title_of(row)} is closest to the Cramer-Rao bound, at {near} times the bound"
            yield f"{text}; {title_of(worst)} is farthest, at {far}."


def _cost(study: Study) -> Iterator[str]:
    for group, table in _TABLES.items():
        ours, plain = (seconds_per_epoch(study, group, row) for row in ("blochnet", "fc"))
        if ours and plain:
            yield (
                f"{table}: an epoch of 160,200 signatures costs BlochNet {duration(ours)} and FC {duration(plain)}: "
                f"{number(ours / plain)} times as much, the Bloch equations included."
            )


def _verdicts(study: Study, with_decoder: str, without: str) -> Iterator[tuple[str, str]]:
    """Each test, and "helps", "hurts" or "open"."""
    for group, table in _TABLES.items():
        for name in sets_of(study):
            for snr in (None, *snrs_of(study, group)):
                key, text = (name, "no noise") if snr is None else (f"{name}_snr{snr:g}", f"SNR {snr:g}")
                pair = _pair(study, group, with_decoder, without, key)
                if pair is not None:
                    clear = differs(*pair)
                    verdict = "open" if not clear else "helps" if pair[0].mean < pair[1].mean else "hurts"
                    yield f"{table}, {name}, {text} ({shown(pair[0])} and {shown(pair[1])})", verdict


def _lambda(study: Study) -> Iterator[str]:
    rows = {weight: f"blochnet-{weight:g}" for weight in LAMBDAS}
    for name in sets_of(study):
        cells = {w: cell for w, row in rows.items() if (cell := study.cell("ablation-lambda", row, name, SCORE))}
        if 0 not in cells or len(cells) < 2:
            continue
        best = min((w for w in cells if w), key=lambda weight: cells[weight].mean)
        text = f"Weight lambda, {name}: of the weights above 0, {best:g} has the lowest error, {shown(cells[best])}"
        yield f"{text}: {compared(cells[best], cells[0], 'lambda 0, which leaves the decoder out')}."


def _samples(study: Study) -> Iterator[str]:
    for name in sets_of(study):
        parts = []
        for share in (*SHARES, 1.0):
            group, tail = ("table1", "") if share == 1 else ("ablation-samples", f"-{share:g}")
            pair = _pair(study, group, f"blochnet{tail}", f"fc{tail}", name)
            if pair is not None:
                parts.append(f"{compared(*pair)} at {100 * share:g} %")
        if parts:
            yield f"Share of the grid, {name}: the error of BlochNet is, beside that of FC, {'; '.join(parts)}."


def _range(study: Study) -> Iterator[str]:
    for key, text in (("above", "no noise"), (f"above_snr{ABLATION_SNR}", f"SNR {ABLATION_SNR}")):
        pair = _pair(study, "ablation-range", "blochnet", "fc", key)
        if pair is not None:
            numbers = f"{shown(pair[0])} and {shown(pair[1])}"
            title = f"Tissue above the range of training, {text}"
            yield f"{title}: the error of BlochNet is {compared(*pair, 'FC')} ({numbers})."


def _pair(study: Study, group: str, one: str, other: str, key: str) -> tuple[Cell, Cell] | None:
    first, second = (study.cell(group, row, key, SCORE) for row in (one, other))
    return None if first is None or second is None else (first, second)


def _ranked(study: Study, group: str, key: str, rows: Sequence[str]) -> list[tuple[str, Cell]]:
    """Rows that are there, the lowest error first."""
    cells = ((row, study.cell(group, row, key, SCORE)) for row in rows)
    return sorted(((row, cell) for row, cell in cells if cell is not None), key=lambda each: each[1].mean)


def _from_1_ms(study: Study, name: str) -> str:
    return ", voxels from 1 ms" if has_short(study, name) else ""


def _with_short(study: Study, name: str) -> str:
    return " with all voxels" if has_short(study, name) else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
