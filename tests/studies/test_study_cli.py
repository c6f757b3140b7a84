"""`mrftool evaluate paper` through the front door."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from front_door import ROOT, command, refuses, untouched, works

from mrftool.studies.jobs import children
from mrftool.studies.paper import plan, sets
from mrftool.studies.paper import study as paper_study

JOBS = ("table1-matching-0", "table1-fc-0")


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A small head and no measured data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MRFTOOL_DATA", raising=False)
    monkeypatch.setattr(sets, "QUICK_MATRIX", (12, 12, 1))
    monkeypatch.setattr(sets, "_QUICK_ABOVE_VOXELS", 10)


@pytest.fixture
def _fake_jobs(_small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs that predict 0.5 s throughout; the plan has two of them."""
    monkeypatch.setattr(children, "MODULE", "study_fake_job")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), str(ROOT / "tests" / "support"))))
    make_plan = plan.make_plan

    def two_jobs(*given: Any, **options: Any) -> list[dict[str, Any]]:
        found = [dict(each) for each in make_plan(*given, **options) if each["name"] in JOBS]
        return [each | {"train": each["train"] | {"do": "predict"}} for each in found]

    monkeypatch.setattr(paper_study, "make_plan", two_jobs)


def test_without_torch_it_says_what_to_install_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(paper_study, "find_spec", lambda name: None)
    outcome = refuses(6, "evaluate", "paper", "-o", "study", says=("torch is not installed",))
    assert "hint: pip install 'torch>=" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_a_report_alone_runs_nothing_and_needs_a_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refuses(
        3, "evaluate", "paper", "--report-only", says=("plan.json", "expected the plan of a study")
    )
    refuses(2, "evaluate", "paper", "--report-only", "--quick", says=("--quick runs jobs",))
    refuses(2, "evaluate", "paper", "--jobs", 0, says=("--jobs 0",))
    refuses(3, "evaluate", "paper", "-o", __file__, says=("is not a folder",))


def test_data_that_is_named_must_be_there(
    _small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MRFTOOL_DATA", str(tmp_path / "nowhere"))
    refuses(3, "evaluate", "paper", "--quick", says=("hydra_anatomical_128.npz: no such file",))


@pytest.mark.slow
def test_a_study_is_run_reported_and_gone_on_with(_fake_jobs: None, tmp_path: Path) -> None:
    outcome = works("evaluate", "paper", "-o", "study", "--quick")
    assert "$MRFTOOL_DATA is not set" in outcome.err
    assert "table1-fc-0 took" in outcome.err and "2 of 2 jobs" in outcome.err
    assert (tmp_path / "study" / "report.md").exists() and "study/report.md" in outcome.out
    facts = json.loads((tmp_path / "study" / "report.json").read_text())
    assert [each["job"]["name"] for each in facts["jobs"]] == list(JOBS)
    again = works("evaluate", "paper", "-o", "study", "--quick")
    assert "took" not in again.err
    assert "--device" not in (tmp_path / "study" / "report.md").read_text()
    works("evaluate", "paper", "-o", "study", "--quick", "--device", "cpu")
    assert "--device cpu" in (tmp_path / "study" / "report.md").read_text()
    works("evaluate", "paper", "-o", "study", "--report-only")
    with untouched(tmp_path):
        refuses(2, "evaluate", "paper", "-o", "study", says=("study holds the quick form",))


@pytest.mark.slow
def test_a_failed_job_is_in_the_report_and_in_the_exit_code(
    _fake_jobs: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_plan = paper_study.make_plan

    def one_fails(*given: Any, **options: Any) -> list[Any]:
        found = make_plan(*given, **options)
        found[1]["train"]["do"] = "fail"  # type: ignore[index]
        return list(found)

    monkeypatch.setattr(paper_study, "make_plan", one_fails)
    outcome = command("evaluate", "paper", "-o", "study", "--quick")
    assert outcome.code == 5 and "1 of the jobs failed" in outcome.err
    name = next(
        name for name in JOBS if f"{name} failed: exit code 3: it does not converge" in outcome.err
    )
    assert f"1 job is not done: cells say missing, or rest on fewer seeds**: {name[:-2]}" in (
        tmp_path / "study" / "report.md"
    ).read_text("utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["table2-adapt-0", "table1-table-0"])
def test_real_jobs_train_adapt_and_predict(
    _small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    pytest.importorskip("torch")
    few = {
        key: plan.Effort(300, 32, each.rate, each.optimiser) for key, each in plan.EFFORT.items()
    }
    monkeypatch.setattr(plan, "EFFORT", few)
    monkeypatch.setattr(plan, "SNRS", (20,))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    works("evaluate", "paper", "-o", "study", "--quick", "--only", pattern)
    record = json.loads((tmp_path / "study" / "jobs" / pattern / "record.json").read_text())
    assert record["name"] == pattern and record["peak_memory_mb"] > 0
    facts = json.loads((tmp_path / "study" / "report.json").read_text())
    scores = next(each["scores"] for each in facts["jobs"] if each["job"]["name"] == pattern)
    assert scores["phantom"]["log10_mse"] < 3 and scores["phantom_snr20"]["n_invalid"] == 0
