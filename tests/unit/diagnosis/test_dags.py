"""DAGs that are meant to run and do not: one reason each, with its object, evidence and what to change."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.diagnosis.findings import Observations, build_findings
from exporter.diagnosis.waits.assets import AssetState, ProducerRun
from exporter.diagnosis.waits.dags import AutoPause, Blocked, Schedules, explain_dags
from exporter.diagnosis.waits.waiting import Waiting
from exporter.sources.airflow.api.objects.dags import Dag
from tests.unit.diagnosis.rows import NOW, run, situation


def dag(**more: Any) -> Dag:
    fields: dict[str, Any] = {"dag_id": "orders", "schedule": "*/5 * * * *", "file": "orders.py", "max_active_runs": 1}
    return Dag(**(fields | {"next_run": NOW + 60, "last_parsed": NOW - 20} | more))


def explain(*dags: Dag, **more: Any) -> list[Blocked]:
    return list(explain_dags(Schedules(NOW, {one.dag_id: one for one in dags or (dag(),)}, **more)))


def reasons_of(found: list[Blocked]) -> list[tuple[str, str, str]]:
    return [(one.dag_id, one.reason.name, one.object) for one in found]


def test_a_dag_that_waits_for_its_next_run_is_not_blocked() -> None:
    assert explain() == []


@pytest.mark.parametrize(
    "change", [{"is_paused": True}, {"is_stale": True}, {"next_run": None}, {"next_run": NOW - 30}]
)
def test_a_dag_that_is_not_meant_to_run_now_is_not_blocked(change: dict[str, Any]) -> None:
    assert explain(dag(**change)) == []


def test_an_automatic_pause_is_told_apart_from_a_pause_by_a_user() -> None:
    paused = dag(is_paused=True)
    [found] = explain(paused, auto_paused={"orders": AutoPause(NOW - 60, 3)})
    assert (found.reason.name, found.object, found.since) == ("auto_paused", "orders", NOW - 60)
    assert found.facts[0] == "3 runs in a row failed"
    assert found.suggestion == "Fix what makes orders fail, then unpause it: the scheduler does not."


def test_an_inferred_pause_says_which_permission_would_make_it_certain() -> None:
    [found] = explain(dag(is_paused=True), auto_paused={"orders": AutoPause(None, 3)})
    assert "permission Audit Logs" in found.facts[1]


@pytest.mark.parametrize(
    ("change", "broken"),
    [({"has_import_errors": True}, frozenset()), ({"is_stale": True}, frozenset({("", "orders.py")}))],
)
def test_a_broken_file_is_the_reason_even_if_the_dag_became_stale(change: dict[str, Any], broken: Any) -> None:
    assert reasons_of(explain(dag(**change), broken_files=broken)) == [("orders", "file_broken", "orders.py")]


def test_a_broken_file_without_a_known_dag_is_named_unless_dags_are_hidden() -> None:
    broken = frozenset({("", "orders.py"), ("", "new.py")})
    found = explain(dag(), broken_files=broken)
    assert reasons_of(found) == [("orders", "file_broken", "orders.py"), ("", "file_broken", "new.py")]
    assert found[1].facts == ["import error in new.py, and Airflow knows no DAG of it"]
    given = situation()
    [finding] = build_findings(given, Waiting([], []), Observations(blocked=found[1:]))
    assert (finding.title, finding.dags) == ("1 DAG does not run (file new.py)", {})
    assert len(explain(dag(), broken_files=broken, complete=False)) == 1


def test_a_file_that_is_not_parsed_while_others_are() -> None:
    others = [dag(dag_id=f"d{number}", file=f"{number}.py") for number in range(3)]
    stale = dag(last_parsed=NOW - 3_600)
    assert reasons_of(explain(stale, *others)) == [("orders", "file_stale", "orders.py")]


def test_files_are_not_stale_if_none_is_parsed() -> None:
    assert explain(*[dag(dag_id=f"d{number}", last_parsed=NOW - 3_600) for number in range(3)]) == []


def test_a_run_that_is_due_and_held_up_by_no_limit_waits_for_the_scheduler() -> None:
    [found] = explain(dag(next_run=NOW - 200))
    assert (found.reason.name, found.object, found.since, found.escalated) == ("scheduler", "orders", NOW - 200, False)
    assert explain(dag(next_run=NOW - 700))[0].escalated


def test_a_dag_that_catches_up_waits_for_no_scheduler_between_two_runs() -> None:
    late = dag(next_run=NOW - 90_000)
    assert explain(late, freed={"orders": NOW - 5}) == []
    [found] = explain(late, freed={"orders": NOW - 300})
    assert (found.reason.name, found.facts, found.escalated) == ("scheduler", ["a run was due 25 h ago"], False)


def test_a_dag_that_catches_up_is_held_up_by_its_limit_with_a_value_to_try() -> None:
    known = {"periods": {"orders": 3_600.0}, "durations": {"orders": [20.0, 20.0]}}
    found = explain(dag(next_run=NOW - 9_000), runs=[run(start_date=NOW - 10)], **known)
    given = situation(runs=[run()], dags={"orders": dag()})
    [finding] = build_findings(given, Waiting([], []), Observations(blocked=found))
    assert finding.suggestion == (
        "Raise max_active_runs of orders from 1 to 2 (4 would take everything that waits now), or shorten its runs."
    )


def test_a_run_that_is_due_while_a_manual_run_holds_max_active_runs() -> None:
    holder = run(run_type="manual", start_date=NOW - 900)
    [found] = explain(dag(next_run=NOW - 200), runs=[holder], periods={"orders": 300.0})
    assert found.reason.name == "max_active_runs"
    assert found.facts == [
        "a run was due 10 min ago",
        "1 active runs, max_active_runs 1",
        "the oldest has been running for 15 min",
    ]


def test_backfill_runs_do_not_count_for_max_active_runs() -> None:
    [found] = explain(dag(next_run=NOW - 200), runs=[run(run_type="backfill")])
    assert found.reason.name == "scheduler"


def test_runs_that_take_longer_than_the_schedule_with_both_figures_and_a_value_to_try() -> None:
    [found] = explain(durations={"orders": [840.0, 800.0, 900.0]}, periods={"orders": 300.0}, skipped=lambda _: 4)
    assert (found.reason.name, found.object) == ("slower_than_schedule", "orders")
    assert found.facts == [
        "a run takes 14 min (median of the last 3), one is due every 5 min, max_active_runs 1",
        "4 intervals were skipped between the last runs",
    ]
    assert "raise max_active_runs from 1 to 3" in found.suggestion


def test_runs_that_overlap_may_take_longer_than_the_schedule() -> None:
    wide = dag(max_active_runs=4)
    assert explain(wide, durations={"orders": [840.0, 800.0]}, periods={"orders": 300.0}) == []


def test_the_first_run_that_is_still_running_is_slower_than_the_schedule_too() -> None:
    holder = run(start_date=NOW - 700)
    [found] = explain(dag(next_run=NOW - 400), runs=[holder], periods={"orders": 300.0})
    assert found.reason.name == "slower_than_schedule"
    assert "still running" in found.facts[0]


def test_airflow_2_does_not_say_when_the_next_run_is_due_while_the_limit_holds() -> None:
    holder = run(run_type="scheduled", run_after=NOW - 700, start_date=NOW - 250)
    known = {"periods": {"orders": 300.0}, "newest": {"orders": NOW - 700}}
    [found] = explain(dag(next_run=None), runs=[holder], **known)
    assert (found.reason.name, found.since) == ("max_active_runs", NOW - 250)


def test_without_catchup_airflow_3_names_a_next_run_that_is_never_past_while_the_limit_holds() -> None:
    holder = run(run_type="manual", start_date=NOW - 900)
    known = {"periods": {"orders": 60.0}, "newest": {"orders": NOW - 930}}
    [found] = explain(dag(next_run=NOW - 5), runs=[holder], **known)
    assert (found.reason.name, found.since) == ("max_active_runs", NOW - 870)


def test_a_run_that_holds_the_limit_for_longer_than_a_period_holds_up_another() -> None:
    holder = run(run_type="manual", start_date=NOW - 900)
    [found] = explain(dag(next_run=NOW + 5), runs=[holder], periods={"orders": 60.0})
    assert (found.reason.name, found.since) == ("max_active_runs", NOW - 840)


def test_a_dag_that_was_paused_for_long_is_not_late_before_its_next_run() -> None:
    known = {"periods": {"orders": 60.0}, "newest": {"orders": NOW - 9_000}}
    assert explain(dag(next_run=NOW + 20), **known) == []


def test_a_continuous_dag_is_always_at_its_limit() -> None:
    assert explain(dag(schedule="@continuous", next_run=NOW - 900), runs=[run()]) == []


CONSUMER = dag(schedule="Asset", next_run=None)
PRODUCER = dag(dag_id="producer", file="p.py")


def asset(**more: Any) -> AssetState:
    return AssetState(**({"name": "a", "consumers": ["orders"], "producers": [("producer", "make")]} | more))


def test_a_dag_that_waits_for_a_working_producer_is_not_blocked() -> None:
    assert explain(CONSUMER, PRODUCER, assets=[asset()]) == []


def test_an_asset_that_an_unknown_watcher_may_update_is_named_with_that_doubt() -> None:
    [found] = explain(CONSUMER, assets=[asset(producers=[], is_watched=None)])
    assert found.facts[-1] == "Airflow before 3.2 does not say whether an asset watcher updates it"
    assert found.suggestion.startswith("If no asset watcher updates a, correct it")


def test_a_paused_producer_is_named() -> None:
    [found] = explain(CONSUMER, dag(dag_id="producer", is_paused=True), assets=[asset()])
    assert (found.dag_id, found.reason.name, found.object) == ("orders", "asset", "a")
    assert found.suggestion == "Unpause the DAG producer."


def test_a_failed_producer_is_named_with_its_run() -> None:
    failed = {"producer": ProducerRun("r7", NOW - 500, NOW - 400)}
    [found] = explain(CONSUMER, PRODUCER, assets=[asset(last_event=NOW - 4_000)], producer_runs=failed)
    assert found.facts == ["its producer producer.make: run r7 failed at 1970-01-01 02:40 UTC"]
    assert found.since == NOW - 400


def test_a_run_that_failed_after_it_had_updated_the_asset_holds_nothing_up() -> None:
    failed = {"producer": ProducerRun("r7", NOW - 500, NOW - 400)}
    assert explain(CONSUMER, PRODUCER, assets=[asset(last_event=NOW - 450)], producer_runs=failed) == []


def test_a_dag_that_a_time_starts_too_does_not_wait_for_its_assets() -> None:
    both = dag(schedule="Asset or 0 6 * * *", next_run=NOW + 600)
    assert explain(both, dag(dag_id="producer", is_paused=True), assets=[asset()]) == []


def test_an_asset_that_nothing_updates() -> None:
    [found] = explain(CONSUMER, assets=[asset(producers=[])])
    assert "no task has it among its outlets" in found.facts[0]
    assert explain(CONSUMER, assets=[asset(producers=[], is_watched=True)]) == []
    assert explain(CONSUMER, assets=[asset(producers=[], last_event=NOW - 9_000)]) == []


def test_a_producer_that_is_gone_unless_a_filter_may_hide_it() -> None:
    [found] = explain(CONSUMER, assets=[asset()])
    assert "no longer there" in found.facts[0]
    assert explain(CONSUMER, assets=[asset()], complete=False) == []


def test_a_dag_with_several_assets_waits_only_if_another_was_updated_or_none_will_be() -> None:
    gone = asset(name="gone", producers=[])
    assert explain(CONSUMER, PRODUCER, assets=[asset(), gone]) == [], "it may run after either of them"
    queued = asset(has_queued=["orders"])
    assert reasons_of(explain(CONSUMER, PRODUCER, assets=[queued, gone])) == [("orders", "asset", "gone")]
    assert reasons_of(explain(CONSUMER, assets=[asset(name="b", producers=[]), gone])) == [("orders", "asset", "b")]


def test_a_consumer_that_runs_is_not_blocked() -> None:
    assert explain(CONSUMER, assets=[asset(producers=[])], runs=[run()]) == []
