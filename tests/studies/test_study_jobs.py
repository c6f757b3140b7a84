"""The study's jobs as processes: what is done stays done, what changed is done anew, what fails is
said.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from front_door import ROOT
from study_factory import job, make_set

from mrftool.errors import UsageError
from mrftool.studies.jobs import children, runner
from mrftool.studies.jobs.machine import COMMIT_VARIABLE, commit, machine
from mrftool.studies.jobs.records import JOB, RECORD, job_folder, write_job
from mrftool.studies.jobs.runner import State, run_jobs
from mrftool.studies.paper.methods import METHODS, ROWS
from mrftool.studies.paper.plan import LAMBDAS, ONCE, choose, make_plan
from mrftool.studies.paper.sets import load_sets


@pytest.fixture(autouse=True)
def _fake_jobs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(children, "MODULE", "study_fake_job")
    monkeypatch.setattr(runner, "_POLL_INTERVAL", 0.02)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), str(ROOT / "tests" / "support"))))
    for name in ("phantom", "anatomical"):
        make_set(tmp_path, name)


def run(output: Path, *jobs: dict[str, Any], at_once: int = 1) -> State:
    return run_jobs(output, jobs, at_once=at_once, watch=lambda state: None)


def runs(output: Path) -> list[str]:
    """Names of the jobs that ran, in order."""
    path = output / "runs.txt"
    return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []


def doing(what: str, seed: int, **changes: Any) -> dict[str, Any]:
    asked = job("table1", "fc", seed, **changes)
    return asked | {"train": asked["train"] | {"do": what}}


def test_a_job_that_is_done_is_not_run_again(tmp_path: Path) -> None:
    first = run(tmp_path, doing("work", 0), doing("work", 1))
    assert list(first.seconds) == ["table1-fc-0", "table1-fc-1"] and not first.failed
    again = run(tmp_path, doing("work", 0), doing("work", 1), doing("work", 2))
    assert [each["name"] for each in again.done_before] == ["table1-fc-0", "table1-fc-1"]
    assert runs(tmp_path) == ["table1-fc-0", "table1-fc-1", "table1-fc-2"]


def test_a_job_that_changed_is_run_anew_in_an_empty_folder(tmp_path: Path) -> None:
    run(tmp_path, doing("work", 0))
    changed = doing("work", 0)
    changed["train"]["steps"] = 200
    run(tmp_path, changed)
    assert (tmp_path / "runs.txt").read_text().splitlines() == [
        f"table1-fc-0 {[JOB, 'log.txt']}"
    ] * 2


def test_a_job_that_was_cut_off_finds_what_it_left(tmp_path: Path) -> None:
    run(tmp_path, doing("work", 0))
    (job_folder(tmp_path, "table1-fc-0") / RECORD).unlink()
    run(tmp_path, doing("work", 0))
    assert "checkpoint" in (tmp_path / "runs.txt").read_text().splitlines()[1]


def test_a_failed_job_is_said_and_the_others_go_on(tmp_path: Path) -> None:
    adapted = job("table1", "adapt", start="table1-fc-0")
    state = run(tmp_path, doing("fail", 0), doing("work", 1), adapted)
    assert state.failed == {
        "table1-fc-0": "exit code 3: it does not converge",
        "table1-adapt-0": "it starts from table1-fc-0, which failed",
    }
    assert list(state.seconds) == ["table1-fc-1"] and state.n_ended == 3
    assert "it does not converge" in (job_folder(tmp_path, "table1-fc-0") / "log.txt").read_text()
    again = run(tmp_path, doing("fail", 0))
    assert list(again.failed) == ["table1-fc-0"]  # tried again


def test_a_job_waits_for_the_one_that_it_begins_from(tmp_path: Path) -> None:
    adapted = job("table1", "adapt", start="table1-fc-0")
    state = run(tmp_path, adapted, doing("work", 0), at_once=2)
    assert not state.failed and runs(tmp_path) == ["table1-fc-0", "table1-adapt-0"]


def test_so_many_jobs_run_at_a_time_and_share_the_processors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, threads, devices = [], [], []
    start = children.subprocess.Popen

    def watched(*arguments: Any, **options: Any) -> Any:
        if "env" in options:  # not a watcher of files
            threads.append(int(options["env"]["OMP_NUM_THREADS"]))
            devices.append(arguments[0][-1])
        return start(*arguments, **options)

    monkeypatch.setattr(children.subprocess, "Popen", watched)
    monkeypatch.setattr(children, "usable_processors", lambda: 6)
    jobs = [doing("work", seed) for seed in range(4)]

    def watch(state: Any) -> None:
        running.append(len(state.since))

    run_jobs(tmp_path, jobs, at_once=3, watch=watch, device="cpu")
    assert max(running) == 3 and threads == [2, 2, 2, 2] and devices == ["cpu"] * 4
    assert len(runs(tmp_path)) == 4


def test_whoever_stops_the_study_stops_its_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []
    start = children.subprocess.Popen

    def remembered(*arguments: Any, **options: Any) -> Any:
        process = start(*arguments, **options)
        if "env" in options:  # not a watcher of files
            started.append(process)
        return process

    monkeypatch.setattr(children.subprocess, "Popen", remembered)

    def interrupt(state: State) -> None:
        if runs(tmp_path):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_jobs(tmp_path, [doing("hang", 0), doing("work", 1)], at_once=1, watch=interrupt)
    assert len(started) == 1 and started[0].poll() is not None
    assert runs(tmp_path) == ["table1-fc-0"]


def test_the_time_left_is_that_of_jobs_of_the_same_kind() -> None:
    jobs = [job("table1", "fc", seed) for seed in range(4)]
    other = job("table1", "matching", kind="match")
    state = State([*jobs, other], at_once=2, waiting=[jobs[2], other])
    assert state.seconds_left() is None
    state.seconds |= {"table1-fc-0": 10.0, "table1-fc-1": 30.0}
    assert state.seconds_left() == pytest.approx(
        (20 + 20) / 2
    )  # the other one is unknown: taken as all
    state.seconds["table1-matching-0"] = 2.0
    assert state.seconds_left() == pytest.approx((20 + 2) / 2)
    state.since["table1-fc-3"] = time.monotonic() - 5
    assert state.seconds_left() == pytest.approx((20 + 2 + 15) / 2, abs=0.5)


def test_writing_the_same_job_changes_nothing(tmp_path: Path) -> None:
    asked = job("table1", "fc")
    write_job(tmp_path / "a", asked)
    (tmp_path / "a" / "more").touch()
    write_job(tmp_path / "a", json.loads(json.dumps(asked)))
    assert (tmp_path / "a" / "more").exists()
    write_job(tmp_path / "a", asked | {"seed": 1})
    assert [path.name for path in (tmp_path / "a").iterdir()] == [JOB]


def test_the_plan_holds_every_row_for_every_seed(tmp_path: Path) -> None:
    make_set(tmp_path, "above", [[3.0, 1.5], [4.0, 1.2]])
    jobs = make_plan(load_sets(tmp_path), quick=False, seeds=3)
    names = [each["name"] for each in jobs]
    assert len(set(names)) == len(names)
    for group, rows in ROWS.items():
        for row in rows:
            count = 1 if METHODS[row].kind in ("match", "table") or row in ONCE else 3
            assert sum((each["group"], each["method"]) == (group, row) for each in jobs) == count
    by_name = {each["name"]: each for each in jobs}
    assert by_name["table2-blochnet-1"]["sequences"] == ["spline5", "spline11noisy"]
    adapted = by_name["table2-adapt-1"]
    assert (adapted["start"], adapted["sequences"]) == ("table2-blochnet-1", ["fisp"])
    assert names.index(adapted["start"]) < names.index(adapted["name"])
    assert by_name["table2-adapt-unlabelled-0"]["train"]["labels"] is False
    for weight in LAMBDAS:
        assert by_name[f"ablation-lambda-blochnet-{weight:g}-0"]["train"]["weight"] == weight
    assert by_name["ablation-samples-fc-0.1-0"]["train"]["share"] == 0.1
    assert by_name["ablation-range-fc-0"]["train"]["t1_range"] == [0.001, 2.5]
    keys = [test["key"] for test in by_name["table1-fc-0"]["tests"]]
    assert {"phantom", "anatomical_snr5", "phantom_b1_0.9"} <= set(keys) and "above" not in keys
    assert "above" in [test["key"] for test in by_name["ablation-range-fc-0"]["tests"]]


def test_other_tissue_or_another_beginning_makes_another_job(tmp_path: Path) -> None:
    make_set(tmp_path, "above", [[3.0, 1.5], [4.0, 1.2]])
    before = {each["name"]: each for each in make_plan(load_sets(tmp_path), quick=False, seeds=1)}
    quick = {each["name"]: each for each in make_plan(load_sets(tmp_path), quick=True, seeds=1)}
    assert quick["table1-fc-0"]["train"]["steps"] == before["table1-fc-0"]["train"]["steps"] // 10
    assert quick["table2-adapt-0"]["start_digest"] != before["table2-adapt-0"]["start_digest"]
    make_set(tmp_path, "phantom", [[1.0, 0.1], [2.0, 0.06]])
    after = {each["name"]: each for each in make_plan(load_sets(tmp_path), quick=False, seeds=1)}
    assert after["table1-matching-0"] != before["table1-matching-0"]


def test_a_pattern_chooses_jobs_and_those_that_they_begin_from(tmp_path: Path) -> None:
    make_set(tmp_path, "above", [[3.0, 1.5], [4.0, 1.2]])
    jobs = make_plan(load_sets(tmp_path), quick=False, seeds=1)
    chosen = [each["name"] for each in choose(jobs, "*-adapt-0")]
    assert chosen == ["table2-blochnet-0", "table2-adapt-0"]
    assert choose(jobs, None) == jobs
    with pytest.raises(UsageError, match="no job matches 'none'"):
        choose(jobs, "none")


def test_the_commit_is_the_one_given_or_that_of_the_checkout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commit.cache_clear()
    monkeypatch.setenv(COMMIT_VARIABLE, "0123456789ab")
    assert commit() == "0123456789ab"
    monkeypatch.delenv(COMMIT_VARIABLE)
    commit.cache_clear()
    assert commit().startswith("version") or len(commit().split(",")[0]) == 12
    commit.cache_clear()
    assert machine()["cores"] >= 1  # type: ignore[operator]
