"""The report of the study: Markdown with pictures, and all its numbers as JSON."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mrftool.evaluation.text_tables import TextTable
from mrftool.formats.atomic import all_or_none
from mrftool.studies.jobs.machine import commit, machine
from mrftool.studies.paper.methods import METHODS, ROWS
from mrftool.studies.paper.plan import LAMBDAS, SHARES
from mrftool.studies.paper.results import Study
from mrftool.studies.report.cells import duration
from mrftool.studies.report.decoder_findings import (
    ablation_findings,
    decoder_findings,
    row_of_share,
)
from mrftool.studies.report.findings import in_short
from mrftool.studies.report.pictures import draw_all
from mrftool.studies.report.tables import (
    ablation_table,
    b1_table,
    bound_table,
    cost_table,
    error_table,
    main_table,
    noise_table,
    rows_of,
    sets_of,
    title_of,
)
from mrftool.studies.report.words import FAIR, READING, TABLES

REPORT, NUMBERS, PICTURES = (
    "report.md",
    "report.json",
    "paper",
)  # docs/paper.md finds its pictures in docs/paper/ too


def write_report(study: Study) -> list[Path]:
    """Write report.md, report.json and pictures into the folder of the study; the files written."""
    pictures = study.folder / PICTURES
    captions = draw_all(study, pictures)
    paths = [study.folder / REPORT, study.folder / NUMBERS]
    with all_or_none(paths) as (text, numbers):
        text.write_text(report_text(study, captions), "utf-8")
        numbers.write_text(
            json.dumps(report_facts(study), indent=1, allow_nan=False) + "\n", "utf-8"
        )
    return [*paths, *(pictures / name for name in captions)]


def report_facts(study: Study) -> dict[str, Any]:
    """All numbers: of every job its record and scores, and of every row mean and spread over seeds."""
    return {
        "plan": dict(study.plan),
        "sets": {
            name: {"voxels": len(each.tissue), "digest": each.digest}
            for name, each in study.sets.items()
        },
        "rows": [
            _row_facts(study, group, row)
            for group in _groups(study)
            for row in rows_of(study, group)
        ],
        "jobs": [
            {"job": dict(each.job), "record": dict(each.record), "scores": dict(each.scores)}
            for each in study.results
        ],
        "missing": list(study.missing),
    }


def report_text(study: Study, captions: dict[str, str]) -> str:
    """The report as Markdown. captions: of the pictures that there are."""
    parts = [
        "# The paper, whole and corrected",
        _origin(study),
        _missing(study),
        "## In short",
        _list(in_short(study)),
    ]
    parts += ["## Methods", READING, _methods(study), _list(FAIR)]
    for group, (heading, text) in TABLES.items():
        parts += [f"## {heading}", text, main_table(study, group).markdown()]
        for name in sets_of(study):
            parts += [
                table(study, group, name).markdown()
                for table in (error_table, noise_table, bound_table)
            ]
    parts += [
        _picture(name, captions)
        for name in ("noise.png", "figure3.png", "figure4.png", "figure5.png")
    ]
    parts += ["## Time and memory", cost_table(study).markdown()]
    parts += [
        "## What the decoder brings",
        _list(decoder_findings(study)),
        *_ablations(study, captions),
    ]
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def _ablations(study: Study, captions: dict[str, str]) -> Iterable[str]:
    rows: dict[str, list[tuple[str, str, str]]] = {
        "Weight lambda of the reconstruction loss (0 leaves the decoder out)": [
            (f"lambda {weight:g}", "ablation-lambda", f"blochnet-{weight:g}") for weight in LAMBDAS
        ],
        "Share of the grid that training sees": [
            (f"{title_of(method)}, {100 * share:g} %", *row_of_share(method, share))
            for share in (*SHARES, 1.0)
            for method in ("fc", "blochnet")
        ],
        "Trained below T1 2.5 s and T2 1 s; above: tissue with T1 from 2.5 to 5 s and T2 from 1 to 2 s": [
            (title_of(method), "ablation-range", method) for method in ("fc", "blochnet")
        ],
    }
    yield _list(ablation_findings(study))
    for title, lines in rows.items():
        yield ablation_table(study, title, lines).markdown()
    yield _picture("lambda.png", captions)
    yield b1_table(study).markdown()


def _origin(study: Study) -> str:
    """Command, code, machine and time, as records and plan say."""
    records = [each.record for each in study.results]
    commits = _distinct(str(record.get("commit")) for record in records) or commit()
    machines = _distinct(_machine_text(record.get("machine") or {}) for record in records)
    spent = sum(sum((record.get("seconds") or {}).values()) for record in records)
    started = sorted(str(record["started"]) for record in records if record.get("started"))
    when = f"the first begun {started[0]}, the last {started[-1]}, " if started else ""
    lines = [
        f"Written by `{study.plan['command']}` on {datetime.now(UTC):%Y-%m-%d}: {len(records)} of "
        f"{len(study.plan['jobs'])} jobs done, {when}{duration(spent)} of computing in all.",
        f"Code: {commits}. Machine of the jobs: {machines or _machine_text(machine())}.",
        "Every number below, and every sentence with a number, comes from the records and predictions of these jobs.",
    ]
    if study.plan.get("quick"):
        lines.insert(
            0, "**Quick form**: a tenth of the training. It shows that all works, not who wins."
        )
    return "\n".join(lines)


def _machine_text(facts: dict[str, Any]) -> str:
    cores = (
        f"{facts['cores']} core{'' if facts['cores'] == 1 else 's'} for each"
        if "cores" in facts
        else ""
    )
    torch = f"torch {facts['torch']}" if facts.get("torch") else ""
    return ", ".join(
        text
        for text in (str(facts.get("cpu", "")), cores, str(facts.get("platform", "")), torch)
        if text
    )


def _missing(study: Study) -> str:
    if not study.missing:
        return ""
    names = ", ".join(dict.fromkeys(name.rpartition("-")[0] for name in study.missing))
    what = (
        "1 job is not done"
        if len(study.missing) == 1
        else f"{len(study.missing)} jobs are not done"
    )
    return f"**{what}: cells say missing, or rest on fewer seeds**: {names}."


def _methods(study: Study) -> str:
    """What each row is, from what its jobs were asked to do."""
    headings = [
        "",
        "encoder",
        "decoder",
        "lambda",
        "loss",
        "SNR of training",
        "T1 [ms]",
        "T2 [ms]",
        "optimiser",
        "seeds",
    ]
    rows = []
    for row in dict.fromkeys(row for rows in ROWS.values() for row in rows):
        results = next((found for group in ROWS if (found := study.of(group, row))), [])
        if results:
            rows.append(
                [METHODS[row].title, *_method_cells(results[0].job["train"]), str(len(results))]
            )
    return TextTable("**Settings**", headings, rows, n_words=5).markdown()


def _method_cells(train: dict[str, Any]) -> list[str]:
    ranges = [
        " to ".join(f"{1e3 * end:g}" for end in train[key]) for key in ("t1_range", "t2_range")
    ]
    if "encoder" not in train:
        return ["-", "-", "-", "-", "-", *ranges, "-"]
    noise = (
        "none"
        if train["snr_range"] is None
        else " to ".join(f"{end:g}" for end in train["snr_range"])
    )
    weight = f"{train['weight']:g}" if train["decoder"] != "none" and "weight" in train else "-"
    optimiser = f"{train['optimiser']}, {train['rate']:g}"
    return [train["encoder"], train["decoder"], weight, train["loss"], noise, *ranges, optimiser]


def _row_facts(study: Study, group: str, row: str) -> dict[str, Any]:
    """Mean and spread of every score of a row."""
    results = study.of(group, row)
    keys = {
        key: sorted({score for each in results for score in each.scores[key]})
        for key in _keys(results)
    }
    cells = {
        key: {
            score: asdict(cell) for score in scores if (cell := study.cell(group, row, key, score))
        }
        for key, scores in keys.items()
    }
    return {
        "group": group,
        "row": row,
        "title": title_of(row),
        "seeds": len(results),
        "tests": cells,
    }


def _keys(results: Sequence[Any]) -> list[str]:
    return list(dict.fromkeys(key for each in results for key in each.scores))


def _groups(study: Study) -> list[str]:
    return list(dict.fromkeys(each.job["group"] for each in study.results))


def _picture(name: str, captions: dict[str, str]) -> str:
    return f"![{captions[name]}]({PICTURES}/{name})\n\n{captions[name]}" if name in captions else ""


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _distinct(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(text for text in texts if text))
