"""The report of the study: Markdown with pictures, and all its numbers as JSON."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mrftool.evaluation.text_tables import TextTable, duration
from mrftool.formats.atomic import all_or_none
from mrftool.studies.jobs.machine import commit, machine
from mrftool.studies.paper.methods import METHODS, ROWS
from mrftool.studies.paper.plan import LAMBDAS, SHARES
from mrftool.studies.paper.results import Study
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
from mrftool.studies.report.words import CONDITIONS, READING, TABLES

REPORT, NUMBERS = "report.md", "report.json"
PICTURES = "paper"  # the folder that docs/paper.md finds its pictures in, too


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
    """All numbers: records and scores of every job, mean and spread over seeds of every row."""
    sets = {}
    for name, each in study.sets.items():
        sets[name] = {"voxels": len(each.tissue), "digest": each.digest}
    groups = dict.fromkeys(each.job["group"] for each in study.results)
    rows = [_row_facts(study, group, row) for group in groups for row in rows_of(study, group)]
    jobs = [
        {"job": dict(each.job), "record": dict(each.record), "scores": dict(each.scores)}
        for each in study.results
    ]
    return {
        "plan": dict(study.plan),
        "sets": sets,
        "rows": rows,
        "jobs": jobs,
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
        "## Methods",
        READING,
        _methods(study),
        _list(CONDITIONS),
    ]
    for group, (heading, text) in TABLES.items():
        parts += [f"## {heading}", text, main_table(study, group).markdown()]
        for name in sets_of(study):
            for table in (error_table, noise_table, bound_table):
                parts.append(table(study, group, name).markdown())
    for name in ("noise.png", "figure3.png", "figure4.png", "figure5.png"):
        parts.append(_picture(name, captions))
    parts += ["## Time and memory", cost_table(study).markdown()]
    parts += ["## What the decoder changes", _list(decoder_findings(study))]
    parts += _ablations(study, captions)
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def _ablations(study: Study, captions: dict[str, str]) -> list[str]:
    weights = [(f"lambda {w:g}", "ablation-lambda", f"blochnet-{w:g}") for w in LAMBDAS]
    shares = [
        (f"{title_of(method)}, {100 * share:g} %", *row_of_share(method, share))
        for share in (*SHARES, 1.0)
        for method in ("fc", "blochnet")
    ]
    ranges = [(title_of(method), "ablation-range", method) for method in ("fc", "blochnet")]
    rows = {
        "Weight lambda of the reconstruction loss (0: without the decoder)": weights,
        "Share of the grid that training sees": shares,
        "Trained below T1 2.5 s and T2 1 s; above: tissue with T1 from 2.5 to 5 s and T2 from 1 to"
        " 2 s": ranges,
    }
    tables = [ablation_table(study, title, lines).markdown() for title, lines in rows.items()]
    return [
        _list(ablation_findings(study)),
        *tables,
        _picture("lambda.png", captions),
        b1_table(study).markdown(),
    ]


def _origin(study: Study) -> str:
    """Command, code, machine and time, as records and plan state them."""
    records = [each.record for each in study.results]
    lines = [
        f"Written by `{study.plan['command']}` on {datetime.now(UTC):%Y-%m-%d}: {len(records)} of "
        f"{len(study.plan['jobs'])} jobs done, {_period(records)}.",
        _code_and_machines(records),
        "Every number below, and every sentence with a number, comes from the records and "
        "predictions of these jobs.",
    ]
    if study.plan.get("quick"):
        lines.insert(0, "**Quick form**: a tenth of the training, too little to rank methods.")
    return "\n".join(lines)


def _code_and_machines(records: Sequence[Mapping[str, Any]]) -> str:
    """Which code ran, on which machines."""
    commits = _distinct(str(record.get("commit")) for record in records) or commit()
    machines = _distinct(_machine_text(record.get("machine") or {}) for record in records)
    return f"Code: {commits}. Machine of the jobs: {machines or _machine_text(machine())}."


def _period(records: Sequence[Mapping[str, Any]]) -> str:
    """When the jobs began, and how long they computed."""
    spent = sum(sum((record.get("seconds") or {}).values()) for record in records)
    started = sorted(str(record["started"]) for record in records if record.get("started"))
    computing = f"{duration(spent)} of computing in all"
    if not started:
        return computing
    return f"the first begun {started[0]}, the last {started[-1]}, {computing}"


def _machine_text(facts: dict[str, Any]) -> str:
    texts = [str(facts.get("cpu", ""))]
    cores = facts.get("cores")
    if cores == 1:
        texts.append("1 core for each")
    elif cores:
        texts.append(f"{cores} cores for each")
    texts.append(str(facts.get("platform", "")))
    if facts.get("torch"):
        texts.append(f"torch {facts['torch']}")
    return ", ".join(text for text in texts if text)


def _missing(study: Study) -> str:
    if not study.missing:
        return ""
    names = ", ".join(dict.fromkeys(name.rpartition("-")[0] for name in study.missing))
    count = f"{len(study.missing)} jobs are not done"
    if len(study.missing) == 1:
        count = "1 job is not done"
    return f"**{count}: cells say missing, or rest on fewer seeds**: {names}."


def _methods(study: Study) -> str:
    """The settings of each row, from the requests of its jobs."""
    headings = ["", "encoder", "decoder", "lambda", "loss", "SNR of training"]
    headings += ["T1 [ms]", "T2 [ms]", "optimiser", "seeds"]
    rows = []
    for row in dict.fromkeys(row for rows in ROWS.values() for row in rows):
        results = study.of("table1", row) or study.of("table2", row)
        if results:
            settings = _settings_cells(results[0].job["train"])
            rows.append([METHODS[row].title, *settings, str(len(results))])
    return TextTable("**Settings**", headings, rows, n_words=5).markdown()


def _settings_cells(train: dict[str, Any]) -> list[str]:
    t1, t2 = (_range_text(train[key], 1e3) for key in ("t1_range", "t2_range"))
    if "encoder" not in train:
        return ["-", "-", "-", "-", "-", t1, t2, "-"]
    noise, weight = "none", "-"
    if train["snr_range"] is not None:
        noise = _range_text(train["snr_range"])
    if train["decoder"] != "none" and "weight" in train:
        weight = f"{train['weight']:g}"
    optimiser = f"{train['optimiser']}, {train['rate']:g}"
    return [train["encoder"], train["decoder"], weight, train["loss"], noise, t1, t2, optimiser]


def _range_text(ends: Sequence[float], factor: float = 1) -> str:
    return f"{factor * ends[0]:g} to {factor * ends[1]:g}"


def _row_facts(study: Study, group: str, row: str) -> dict[str, Any]:
    """Mean and spread of every score of a row."""
    results = study.of(group, row)
    tests: dict[str, dict[str, Any]] = {}
    for each in results:
        for key, scores in each.scores.items():
            for score in sorted(scores):
                cell = study.cell(group, row, key, score)
                if cell is not None:
                    tests.setdefault(key, {})[score] = asdict(cell)
    return {
        "group": group,
        "row": row,
        "title": title_of(row),
        "seeds": len(results),
        "tests": tests,
    }


def _picture(name: str, captions: dict[str, str]) -> str:
    if name not in captions:
        return ""
    return f"![{captions[name]}]({PICTURES}/{name})\n\n{captions[name]}"


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _distinct(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(text for text in texts if text))
