"""Runs in which nothing is active: which task to ask about, and what Airflow's answer means."""

from __future__ import annotations

import pytest

from exporter.diagnosis import reasons
from exporter.diagnosis.findings import Observations, build_findings
from exporter.diagnosis.waits.stalled import (
    LONG_STALL_SECONDS,
    Stall,
    choose_next,
    choose_waiting_for_past,
    drop_waits_for_work,
    explain_past,
    explain_stall,
    find_predecessor,
    find_states,
    list_beside,
    list_stalled,
)
from exporter.diagnosis.waits.waiting import Waiting
from tests.unit.diagnosis.rows import NOW, run, situation, task


def test_only_running_runs_without_active_task_instances_stand_still() -> None:
    given = situation(task("running"), runs=[run(), run(run_id="r2"), run("queued", "r3")])
    assert [one.run_id for one in list_stalled(given)] == ["r2"]


def test_the_next_task_is_one_before_which_all_have_ended() -> None:
    upstream = {"a_report": frozenset({"z_load"}), "z_load": frozenset({"extract"})}
    assert choose_next(upstream, ["a_report", "z_load"]) == "z_load"
    assert choose_next({}, ["b", "a"]) == "a"
    assert choose_next(upstream, []) == ""


def test_what_airflow_answers_is_the_reason() -> None:
    assert explain_stall(run(), "t", (), ["Previous Dagrun State", "Trigger Rule"]).reason is reasons.PAST
    assert explain_stall(run(), "t", (), ["Trigger Rule"]).reason is reasons.TRIGGER_RULE
    missing = explain_stall(run(), "t", ["gone"], ["Trigger Rule"])
    assert (missing.reason, missing.task_id) == (reasons.UPSTREAM, "gone")
    assert explain_stall(run(), "t", (), []).reason is reasons.SCHEDULER


def test_the_run_before_is_the_newest_one_with_an_earlier_logical_date() -> None:
    runs = [run(run_id=f"r{day}", logical_date=float(day)) for day in (1, 2, 3)]
    found = find_predecessor(runs[2], [*runs, run(run_id="other", dag_id="x", logical_date=2.5), run(run_id="none")])
    assert found is runs[1]
    assert find_predecessor(runs[0], runs) is None


def test_a_run_that_waits_for_one_that_works_is_no_stall_but_one_behind_it_is() -> None:
    after_work = Stall(run(run_id="r2"), reasons.PAST, "t", "r1", "running")
    behind = Stall(run(run_id="r3"), reasons.PAST, "t", "r2", "running")
    assert drop_waits_for_work([after_work, behind]) == []
    after_failure = Stall(run(run_id="r2"), reasons.PAST, "t", "r1", "failed")
    assert drop_waits_for_work([after_failure, behind]) == [after_failure, behind]


def test_a_run_before_that_works_does_not_help_once_its_task_has_failed() -> None:
    lost = Stall(run(run_id="r2"), reasons.PAST, "t", "r1", "running", there="failed")
    downstream = Stall(
        run(run_id="r2"), reasons.PAST, "t", "r1", "running", there="success", blockers=[("u", "failed")]
    )
    works = Stall(run(run_id="r2"), reasons.PAST, "t", "r1", "running", there="success", blockers=[("u", "running")])
    assert drop_waits_for_work([lost, downstream, works]) == [lost, downstream]


def test_of_runs_that_go_on_those_count_whose_run_before_may_have_failed() -> None:
    rows = [task("running", dag_id=name, run_id=run_id) for name in "ab" for run_id in ("r1", "r2")]
    runs = [run(dag_id="a"), run(dag_id="a", run_id="r2"), run(dag_id="b"), run(dag_id="c")]
    given = situation(*rows, runs=runs)
    assert [(one.dag_id, one.run_id) for one in list_beside(given, lambda _: False)] == [("a", "r1"), ("a", "r2")]
    assert [one.dag_id for one in list_beside(given, lambda name: name == "b")] == ["a", "a", "b"]


def test_the_task_that_may_wait_for_the_run_before_is_one_that_nothing_else_holds_up() -> None:
    upstream = {"c": ["a", "b"]}
    assert choose_waiting_for_past(["c"], upstream, {"a": "success", "b": "skipped", "c": None}) == "c"
    assert choose_waiting_for_past(["c"], upstream, {"a": "success", "b": "running", "c": None}) == ""
    assert choose_waiting_for_past(["c"], upstream, {"a": "success", "b": "success", "c": "running"}) == ""
    assert choose_waiting_for_past(["gone"], upstream, {}) == ""


def test_the_finding_names_task_run_and_what_to_do() -> None:
    stalls = [Stall(run(run_id="r2"), reasons.PAST, "load", "r1", "failed", since=NOW - 50)]
    [finding] = build_findings(situation(), Waiting([], []), Observations(stalls))
    assert finding.title == "1 run waits (task orders.load)"
    assert "the run before it, r1, is failed" in finding.list_evidence(NOW)
    assert finding.suggestion.startswith("Clear orders.load of run r1")


def explain(downstream: tuple[str, ...] = (), **states: str | None) -> Stall:
    """A run that waits for the one before it, whose task instances have these states."""
    stall = Stall(run(run_id="r2"), reasons.PAST, "load", "r1", "failed")
    return explain_past(stall, downstream, [task(state, name) for name, state in states.items()])  # type: ignore[arg-type]


def test_depends_on_past_names_the_state_of_the_task_in_the_run_before() -> None:
    stall = explain(extract="failed", load="upstream_failed")
    assert stall.list_facts()[-1] == "in that run task load is upstream_failed"
    assert stall.suggest().startswith("Clear orders.load of run r1 or mark it as success")


def test_wait_for_downstream_names_the_task_after_it_that_failed() -> None:
    stall = explain(("check", "report"), load="success", check="success", report="failed")
    assert stall.list_facts()[-1] == "after it in that run: report (failed)"
    assert stall.suggest() == (
        "Clear report of run r1 or mark it as success, or remove wait_for_downstream of orders.load."
    )


def test_a_task_that_is_new_in_the_dag_has_no_past() -> None:
    stall = explain(extract="success")
    assert stall.list_facts()[-1] == "in that run task load is missing"
    assert stall.suggest().startswith("Mark orders.load as success in run r2")


def test_a_trigger_rule_names_the_states_that_do_not_meet_it() -> None:
    rows = [
        task("success", "a"),
        task("skipped", "b"),
        task("success", "c", map_index=0),
        task("failed", "c", map_index=1),
    ]
    stall = Stall(run(), reasons.TRIGGER_RULE, "load", blockers=find_states({"a", "b", "c"}, rows))
    assert stall.list_facts()[-1] == "before load: a (success), b (skipped), c (failed)"


@pytest.mark.parametrize("check", ["Logical Date", "Execution Date"])
def test_a_check_of_airflow_that_is_no_reason_of_ours_is_named(check: str) -> None:
    stall = explain_stall(run(), "load", (), [check, "Task Instance State"])
    assert stall.list_facts()[-1] == f"task load does not pass Airflow's check {check}"
    assert "start_date and end_date" in stall.suggest()
    assert "this check" in explain_stall(run(), "load", (), ["Mapped dependencies have succeeded"]).suggest()


def test_a_run_that_only_the_scheduler_holds_up_becomes_something_to_look_at() -> None:
    for seconds, patience in ((60.0, "NORMAL"), (LONG_STALL_SECONDS + 1, "BUSY")):
        stalls = [Stall(run(), reasons.SCHEDULER, "load", since=NOW - seconds)]
        [finding] = build_findings(situation(), Waiting([], []), Observations(stalls))
        assert finding.patience.name == patience
