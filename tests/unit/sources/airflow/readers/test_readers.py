"""What the readers make of decoded replies: state families, limits, histories, effects of an ended try."""

from __future__ import annotations

import logging
import math
import re
from typing import Any

import pytest

from exporter.config.dag_filter import DagFilter
from exporter.config.settings import AirflowSettings
from exporter.logs import get_extra_fields
from exporter.metrics.catalogue.api import dags, instance, pools, runs, tasks
from exporter.metrics.reading import Change
from exporter.sources.airflow.api.objects.backfills import Backfill
from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.api.objects.dags import Dag
from exporter.sources.airflow.api.objects.health import Component
from exporter.sources.airflow.api.objects.import_errors import BrokenFile
from exporter.sources.airflow.api.objects.jobs import Job
from exporter.sources.airflow.api.objects.pools import Pool
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.counting.changes import to_changes
from exporter.sources.airflow.counting.cursor import (
    CATCH_UP_SECONDS,
    OVERLAP,
    RECORD_RETENTION,
    Cursor,
    next_range,
    report_beginning,
)
from exporter.sources.airflow.counting.decision import EndedTry, TerminalState, TryOutcome, UnaccountedTry
from exporter.sources.airflow.executors import build_table, list_class_names, map_aliases, parse_executors
from exporter.sources.airflow.readers import history
from exporter.sources.airflow.readers.backfills import backfill_tables
from exporter.sources.airflow.readers.dags import dag_tables
from exporter.sources.airflow.readers.instance import (
    count_alive,
    health_tables,
    import_error_tables,
    limit_tables,
    read_limits,
)
from exporter.sources.airflow.readers.pools import pool_tables
from exporter.sources.airflow.readers.runs import hash_run_key, run_changes, update_histories
from exporter.sources.airflow.readers.runs import state_tables as run_tables
from exporter.sources.airflow.readers.tasks import state_tables as task_tables
from exporter.sources.airflow.shared import find_cleared

EVERYTHING = DagFilter(AirflowSettings())


def make_run(state: str = "success", **changes: Any) -> DagRun:
    fields: dict[str, Any] = {"run_type": "scheduled", "start_date": 110.0, "end_date": 150.0, "run_after": 100.0}
    return DagRun(dag_id="d", state=state, **({"run_id": "r"} | fields | changes))


def make_try(**changes: Any) -> TaskInstance:
    fields: dict[str, Any] = {
        "dag_id": "d", "task_id": "t", "run_id": "r", "state": "success", "try_number": 1, "pool": "p", "queue": "q",
        "scheduled_when": 100.0, "queued_when": 104.0, "start_date": 110.0, "end_date": 150.0, "pid": 1,
    }  # fmt: skip
    return TaskInstance(**(fields | changes))


class TestHealth:
    def test_a_part_that_is_null_is_absent_not_unhealthy(self) -> None:
        tables = health_tables(
            [Component(name="scheduler", status="unhealthy", heartbeat=5.0), Component(name="dag_processor")]
        )
        assert tables[instance.COMPONENT_HEALTHY] == {("scheduler",): 0}
        assert tables[instance.COMPONENT_LAST_HEARTBEAT] == {("scheduler",): 5.0}

    def test_dead_jobs_are_not_instances(self) -> None:
        jobs = [Job(job_type="SchedulerJob", heartbeat=moment) for moment in (990.0, 100.0, None)]
        assert count_alive([*jobs, Job(job_type="NewJob", heartbeat=999.0)], 1000.0) == {"scheduler": 1}

    def test_of_two_errors_of_a_file_the_newer_counts(self) -> None:
        files = [BrokenFile(file="a.py", timestamp=1.0), BrokenFile(file="a.py", timestamp=2.0)]
        tables = import_error_tables(files)
        assert tables[instance.IMPORT_ERRORS] == {(): 1}
        assert tables[instance.IMPORT_ERROR_TIMESTAMP] == {("", "a.py"): 2.0}


class TestLimits:
    def test_parallelism_holds_for_each_live_scheduler(self) -> None:
        assert limit_tables({"parallelism": 32}, 3)[instance.PARALLELISM_SLOTS] == {(): 96}

    def test_where_schedulers_cannot_be_counted_one_is_assumed(self) -> None:
        assert limit_tables({"parallelism": 32}, None)[instance.PARALLELISM_SLOTS] == {(): 32}

    def test_zero_parallelism_is_unlimited(self) -> None:
        assert limit_tables({"parallelism": 0}, 2)[instance.PARALLELISM_SLOTS] == {(): math.inf}

    def test_without_a_live_scheduler_nothing_can_run(self) -> None:
        assert limit_tables({"parallelism": 32}, 0)[instance.PARALLELISM_SLOTS] == {(): 0}

    @pytest.mark.parametrize(
        ("pool", "connections"),
        [
            ({"pool_size": "5", "max_overflow": "10"}, 15.0),
            ({"pool_size": "5", "max_overflow": "10", "pool_enabled": "True"}, 15.0),
            ({"pool_size": "5", "max_overflow": "10", "pool_enabled": "False"}, None),
            ({"pool_size": "5", "max_overflow": "-1"}, math.inf),
            ({"pool_size": "0", "max_overflow": "10"}, math.inf),
            ({"pool_size": "5"}, None),
        ],
    )
    def test_the_connections_of_a_process_are_its_pool_and_the_overflow(
        self, pool: dict[str, str], connections: float | None
    ) -> None:
        settings = {("database", f"sql_alchemy_{key}"): value for key, value in pool.items()}
        found = limit_tables(read_limits(settings), 1)[instance.DATABASE_CONNECTIONS]
        assert found == ({} if connections is None else {(): connections})

    def test_an_unknown_limit_is_absent(self) -> None:
        assert not any(limit_tables({}, 1).values())


class TestExecutors:
    """`[core] executor` as Airflow 2.10 to 3.3 write it."""

    @pytest.mark.parametrize(
        ("setting", "executors"),
        [
            ("", []),
            ("LocalExecutor", [("LocalExecutor", "", "true")]),
            ("CeleryExecutor, EdgeExecutor", [("CeleryExecutor", "", "true"), ("EdgeExecutor", "", "false")]),
            ("fast:LocalExecutor", [("LocalExecutor", "", "true")]),
            ("my.company.executors.LocalExecutor", [("LocalExecutor", "", "true")]),
            ("fast:my.FastExecutor,LocalExecutor", [("FastExecutor", "", "true"), ("LocalExecutor", "", "false")]),
            ("LocalExecutor;red=CeleryExecutor", [("LocalExecutor", "", "true"), ("CeleryExecutor", "red", "true")]),
            ("=LocalExecutor", [("LocalExecutor", "", "true")]),
        ],
    )
    def test_they_are_read_as_airflow_reads_them(self, setting: str, executors: list[tuple[str, str, str]]) -> None:
        assert build_table(parse_executors(setting)) == dict.fromkeys(executors, 1)

    def test_what_aliases_mean(self) -> None:
        setting = "quick:my.LocalExecutor,far:CeleryExecutor,KubernetesExecutor"
        assert map_aliases(parse_executors(setting)) == {"quick": "LocalExecutor", "far": "CeleryExecutor"}

    def test_the_default_ones_come_first(self) -> None:
        setting = "LocalExecutor,EdgeExecutor;red=CeleryExecutor"
        assert list_class_names(parse_executors(setting)) == ["LocalExecutor", "CeleryExecutor", "EdgeExecutor"]

    @pytest.mark.parametrize(("text", "limit"), [("16", 16), ("16,4", 16), ("many", None), ("", None)])
    def test_an_autoscaled_worker_has_its_upper_limit(self, text: str, limit: float | None) -> None:
        assert read_limits({("celery", "worker_concurrency"): text}).get("worker_concurrency") == limit

    @pytest.mark.parametrize(
        ("autoscale", "limit"), [("48,8", 48), ("8, 48", 48), ("48", 48), ("", 16), ("many,few", None)]
    )
    def test_where_workers_are_autoscaled_their_concurrency_is_ignored(self, autoscale: str, limit: int | None) -> None:
        config = {("celery", "worker_concurrency"): "16", ("celery", "worker_autoscale"): autoscale}
        assert read_limits(config).get("worker_concurrency") == limit

    def test_the_newer_place_of_an_option_comes_first(self) -> None:
        config = {("triggerer", "default_capacity"): "500", ("triggerer", "capacity"): "800"}
        assert read_limits(config) == {"triggerer_capacity": 800}


class TestDags:
    def test_every_state_is_told_even_at_zero(self) -> None:
        assert dag_tables([], 3)[dags.DAGS] == {("active",): 0, ("paused",): 0, ("stale",): 0}

    def test_a_stale_dag_is_counted_and_not_described(self) -> None:
        tables = dag_tables([Dag(dag_id="old", is_stale=True, is_paused=True, max_active_runs=1)], 3)
        assert tables[dags.DAGS][("stale",)] == 1
        assert not tables[dags.DAG_INFO]
        assert not tables[dags.DAG_MAX_ACTIVE_RUNS]

    @pytest.mark.parametrize(("major", "told"), [(2, dags.DAG_MAX_ACTIVE_TASKS), (3, dags.RUN_ACTIVE_TASKS_MAX)])
    def test_the_limit_on_tasks_is_told_as_the_release_enforces_it(self, major: int, told: object) -> None:
        tables = dag_tables([Dag(dag_id="d", max_active_tasks=4)], major)
        assert {family for family in tables if tables[family] == {("d",): 4}} == {told}

    def test_only_a_dag_that_airflow_pauses_for_failing_has_such_a_limit(self) -> None:
        found = [Dag(dag_id="d", max_consecutive_failed_dag_runs=3), Dag(dag_id="e", max_consecutive_failed_dag_runs=0)]
        tables = dag_tables([*found, Dag(dag_id="f")], 3)
        assert tables[dags.MAX_CONSECUTIVE_FAILED_RUNS] == {("d",): 3}

    def test_owners_and_tags_come_sorted(self) -> None:
        tables = dag_tables([Dag(dag_id="d", owners=("z", "a"), tags=("y", "b"))], 3)
        assert list(tables[dags.DAG_INFO]) == [("d", "a,z", "b,y", "", "", "")]

    @pytest.mark.parametrize(
        ("tags", "seconds"),
        [
            (("slo:6h",), 21600),
            (("critical", "slo: 1h30m"), 5400),
            (("slo:1d", "slo:2h"), 7200),
            (("slo:soon", "slo:2h"), 7200),
            (("slo:0s",), None),
            (("slo:soon",), None),
            (("slow:6h", "6h", "SLO"), None),
        ],
    )
    def test_the_objective_is_the_strictest_of_its_tags(self, tags: tuple[str, ...], seconds: float | None) -> None:
        told = dag_tables([Dag(dag_id="d", tags=tags)], 3)[dags.DAG_OBJECTIVE]
        assert told == ({} if seconds is None else {("d",): seconds})


class TestPools:
    def test_an_unlimited_pool_has_infinitely_many_slots(self) -> None:
        assert pool_tables([Pool(name="p", slots=-1)])[pools.SLOTS] == {("p",): math.inf}

    def test_deferred_tasks_occupy_only_where_the_pool_counts_them(self) -> None:
        tables = pool_tables(
            [Pool(name="a", deferred_slots=3), Pool(name="b", deferred_slots=3, include_deferred=True)]
        )
        assert ("a", "deferred") not in tables[pools.OCCUPIED]
        assert tables[pools.OCCUPIED][("b", "deferred")] == 3

    def test_waiting_tasks_occupy_nothing(self) -> None:
        tables = pool_tables([Pool(name="p", scheduled_slots=5)])
        assert tables[pools.WAITING] == {("p",): 5}
        assert sum(tables[pools.OCCUPIED].values()) == 0


class TestActiveTaskInstances:
    def test_are_counted_by_state_pool_and_queue_unknown_states_included(self) -> None:
        rows = [make_try(state=state) for state in ("running", "running", "dreaming")]
        assert task_tables(rows)[tasks.ACTIVE] == {("d", "p", "q", "running"): 2, ("d", "p", "q", "dreaming"): 1}

    def test_a_queued_retry_is_queued_since_it_was_queued_not_since_its_last_start(self) -> None:
        table = task_tables([make_try(state="queued", queued_when=900.0, start_date=110.0)])
        assert table[tasks.OLDEST_STATE_ENTRY] == {("d", "queued"): 900.0}

    def test_waiting_is_told_by_pool_with_its_priorities(self) -> None:
        rows = [
            make_try(state="scheduled", scheduled_when=moment, priority_weight=int(moment)) for moment in (7.0, 5.0)
        ]
        tables = task_tables(rows)
        assert tables[pools.OLDEST_WAITING] == {("p",): 5.0}
        assert tables[pools.WAITING_PRIORITY_MIN] == {("p",): 5}
        assert tables[pools.WAITING_PRIORITY_MAX] == {("p",): 7}

    def test_since_when_a_deferred_task_waits_is_not_told(self) -> None:
        assert not task_tables([make_try(state="deferred")])[tasks.OLDEST_STATE_ENTRY]


class TestChangesOfAnEndedTry:
    def counted(self, outcome: TryOutcome, **changes: Any) -> dict[str, float]:
        changed = to_changes(EndedTry(make_try(**changes), outcome), EVERYTHING)
        return {change.family.name.removeprefix("airflow_"): change.value for change in changed}

    def test_success_is_a_duration_and_no_failure(self) -> None:
        counted = self.counted(TryOutcome.SUCCESS)
        assert counted["task_duration_seconds"] == counted["task_run_seconds_total"] == 40.0
        assert "task_tries_failed_total" not in counted

    def test_a_retry_is_a_failed_try_too(self) -> None:
        counted = self.counted(TryOutcome.RETRIED)
        assert counted["task_retries_total"] == counted["task_tries_failed_total"] == 1
        assert counted["task_failed_seconds_total"] == 40.0
        assert "task_duration_seconds" not in counted

    def test_a_cleared_try_did_not_fail(self) -> None:
        counted = self.counted(TryOutcome.CLEARED)
        assert counted["task_tries_cleared_total"] == 1
        assert "task_tries_failed_total" not in counted

    def test_both_waits_are_observed(self) -> None:
        counted = self.counted(TryOutcome.SUCCESS)
        assert counted["task_queued_duration_seconds"] == counted["dag_queued_seconds_total"] == 6.0
        assert counted["task_scheduled_duration_seconds"] == counted["dag_scheduled_seconds_total"] == 4.0

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"queued_when": 120.0}, {("queued", "renewed"), ("scheduled", "renewed")}),
            ({"queued_when": None}, {("queued", "unknown"), ("scheduled", "unknown")}),
            ({"scheduled_when": None}, {("scheduled", "unknown")}),
            ({"scheduled_when": 105.0}, {("scheduled", "renewed")}),
        ],
    )
    def test_a_wait_that_is_unknown_is_counted_with_its_reason(
        self, changes: dict[str, Any], expected: set[tuple[str, str]]
    ) -> None:
        changed = list(to_changes(EndedTry(make_try(**changes), TryOutcome.SUCCESS), EVERYTHING))
        assert {change.labels for change in changed if change.family is tasks.WAIT_UNOBSERVABLE} == expected

    def test_a_terminal_state_is_one_change(self) -> None:
        assert list(to_changes(TerminalState(make_try(), "failed"), EVERYTHING)) == [
            Change(tasks.FINISHED, ("d", "t", "failed"))
        ]
        assert list(to_changes(TerminalState(make_try(), "removed"), EVERYTHING)) == [
            Change(tasks.NOT_RUN, ("d", "removed"))
        ]

    def test_a_deleted_try_counts_as_cleared_and_unaccounted(self) -> None:
        families = [change.family for change in to_changes(UnaccountedTry("d", "t", "deleted"), EVERYTHING)]
        assert families == [tasks.TRIES, tasks.TRIES_CLEARED, tasks.UNACCOUNTED]

    def test_without_task_labels_all_tasks_of_a_dag_share_a_series(self) -> None:
        dag_filter = DagFilter(AirflowSettings(task_labels=False))
        changed = list(to_changes(EndedTry(make_try(), TryOutcome.SUCCESS), dag_filter))
        assert ("d", "") in {change.labels for change in changed}
        assert not any("t" in change.labels for change in changed)
        assert tasks.DURATION not in {change.family for change in changed}

    def test_named_dags_have_a_histogram_for_each_task(self) -> None:
        dag_filter = DagFilter(AirflowSettings(task_histograms=re.compile("d")))
        assert Change(tasks.TASK_DURATION, ("d", "t"), 40.0) in list(
            to_changes(EndedTry(make_try(), TryOutcome.SUCCESS), dag_filter)
        )


class TestRuns:
    def test_active_runs_are_counted_and_the_oldest_is_reported(self) -> None:
        active = [make_run("running", start_date=moment, run_after=moment - 10) for moment in (50.0, 40.0)]
        tables = run_tables([*active, make_run("queued", queued_at=45.0, start_date=None, run_after=None)])
        assert tables[runs.RUNS] == {("d", "scheduled", "running"): 2, ("d", "scheduled", "queued"): 1}
        assert tables[runs.OLDEST_STATE_ENTRY] == {("d", "running"): 40.0, ("d", "queued"): 45.0}
        assert tables[runs.OLDEST_UNFINISHED] == {("d",): 30.0}

    @pytest.mark.parametrize(
        ("run", "expected"),
        [
            ({"run_after": 100.0, "queued_at": 101.0, "start_date": 130.0}, 101.0),
            ({"run_after": 100.0, "queued_at": 101.0, "start_date": None}, 101.0),
            ({"run_after": 100.0, "queued_at": 5000.0, "start_date": 5001.0}, 5000.0),  # catching up
            ({"run_after": 100.0, "queued_at": 9000.0, "start_date": 130.0}, 9000.0),  # cleared
            ({"run_after": 100.0, "queued_at": 99.0, "start_date": 99.5}, 100.0),
            ({"run_after": 100.0, "queued_at": None, "start_date": 5001.0}, 5001.0),  # 2.x
            ({"run_after": 100.0, "queued_at": None, "start_date": None}, None),
            ({"run_after": None, "queued_at": 1.0, "start_date": 2.0}, None),
            ({"run_type": "manual", "run_after": 100.0, "queued_at": 101.0}, None),
        ],
    )
    def test_a_run_is_due_when_scheduled_or_when_created_or_cleared_after_that(
        self, run: dict[str, Any], expected: float | None
    ) -> None:
        told = run_tables([make_run("running", **run)])[runs.OLDEST_UNFINISHED_WANTED]
        assert told == ({} if expected is None else {("d",): expected})

    def test_of_several_unfinished_runs_the_one_due_first_counts(self) -> None:
        active = [make_run("running", run_after=moment, queued_at=moment) for moment in (30.0, 20.0, 40.0)]
        assert run_tables(active)[runs.OLDEST_UNFINISHED_WANTED] == {("d",): 20.0}

    def test_a_scheduled_success_has_a_duration_and_two_delays(self) -> None:
        changed = {
            change.family: change.value for change in run_changes(make_run(), EVERYTHING, again=False, count_from=0.0)
        }
        assert changed == {
            runs.FINISHED: 1, runs.DURATION: 40.0, runs.SCHEDULE_DELAY: 10.0, runs.SINCE_RUN_AFTER: 50.0,
        }  # fmt: skip

    def test_a_run_that_was_cleared_has_no_delays(self) -> None:
        changed = {change.family for change in run_changes(make_run(), EVERYTHING, again=True, count_from=0.0)}
        assert changed == {runs.FINISHED, runs.DURATION}

    def test_a_failed_run_has_no_duration(self) -> None:
        assert runs.DURATION not in {
            change.family for change in run_changes(make_run("failed"), EVERYTHING, again=False, count_from=0.0)
        }

    def test_a_manual_run_has_no_delays(self) -> None:
        changed = {
            change.family
            for change in run_changes(make_run(run_type="manual"), EVERYTHING, again=False, count_from=0.0)
        }
        assert changed == {runs.FINISHED, runs.DURATION}

    def test_a_run_queued_after_it_started_had_tasks_cleared(self) -> None:
        assert find_cleared([make_run("running", queued_at=120.0)]) == {("d", "r"): 120.0}
        assert not find_cleared([make_run("running", queued_at=90.0), make_run("queued", start_date=None)])


class TestHistory:
    def test_failures_in_a_row_end_with_a_success(self) -> None:
        failed = [make_run("failed", end_date=float(moment)) for moment in (1, 2, 3)]
        assert update_histories({}, failed)["d"].consecutive_failed == 3
        assert update_histories({}, [*failed, make_run(end_date=4.0)])["d"].consecutive_failed == 0

    def test_a_run_that_is_cleared_and_fails_again_is_one_failed_run(self) -> None:
        first = update_histories({}, [make_run("failed", end_date=1.0)])
        again = make_run("failed", end_date=2.0)
        assert update_histories(first, [again], {hash_run_key(again)})["d"].consecutive_failed == 1
        between = update_histories(first, [make_run(run_id="other", end_date=1.5)])
        assert update_histories(between, [again], {hash_run_key(again)})["d"].consecutive_failed == 1

    def test_a_run_that_was_asked_for_before_it_was_counted_counts_once(self) -> None:
        run = make_run("failed", end_date=9.0)
        asked = {"d": history.compute_history([make_run("failed", run_id="older", end_date=8.0), run])}
        assert update_histories(asked, [run])["d"].consecutive_failed == 2

    def test_an_old_run_that_ends_late_in_the_list_does_not_hide_a_newer_one(self) -> None:
        newest = history.compute_history([make_run("failed", end_date=9.0), make_run("success", end_date=5.0)])
        assert (newest.last_state, newest.last_end, newest.last_success) == ("failed", 9.0, 5.0)
        assert newest.consecutive_failed == 1

    def test_backfills_say_nothing_of_how_a_dag_fares(self) -> None:
        assert history.compute_history([make_run("failed", run_type="backfill")]) == history.DagHistory(asked=True)

    def test_what_is_not_known_is_absent_never_zero(self) -> None:
        tables = history.history_tables({"d": history.DagHistory()}, None)
        assert not any(tables.values())

    def test_failures_in_a_row_are_told_once_earlier_runs_are_known(self) -> None:
        updated = update_histories({}, [make_run("failed")])
        assert not history.history_tables(updated, None)[dags.CONSECUTIVE_FAILED_RUNS]
        asked = {"d": history.compute_history([make_run("failed")])}
        assert history.history_tables(asked, None)[dags.CONSECUTIVE_FAILED_RUNS] == {("d",): 1}

    def test_a_dag_that_is_gone_is_gone_here(self) -> None:
        assert not any(history.history_tables({"d": history.compute_history([make_run()])}, {}).values())


class TestBackfills:
    def test_limits_of_a_dags_backfills_add_up_completed_ones_do_not_count(self) -> None:
        tables = backfill_tables([
            Backfill(id=1, dag_id="d", max_active_runs=2, created_at=9.0),
            Backfill(id=2, dag_id="d", max_active_runs=3, created_at=7.0),
            Backfill(id=3, dag_id="d", max_active_runs=5, created_at=1.0, completed_at=2.0),
        ])  # fmt: skip
        assert tables[runs.BACKFILL_MAX_ACTIVE_RUNS] == {("d",): 5}
        assert tables[runs.BACKFILL_OLDEST_START] == {("d",): 7.0}


class TestCursorRange:
    def test_the_first_poll_begins_now(self) -> None:
        span = next_range(None, 1000.0)
        assert span.first
        assert span.count_from == 1000.0
        assert span.after == Cursor(1000.0, 1000.0)

    def test_a_poll_overlaps_the_last_complete_one(self) -> None:
        span = next_range(Cursor(1000.0, 0.0), 1030.0)
        assert (span.since, span.until) == (1000.0 - OVERLAP, None)
        assert span.after.complete == 1030.0

    def test_after_an_outage_slices_are_read_one_by_one(self) -> None:
        span = next_range(Cursor(1000.0, 0.0), 1000.0 + 6 * CATCH_UP_SECONDS)
        assert span.until == span.after.complete == 1000.0 + CATCH_UP_SECONDS

    def test_a_clock_set_back_reads_from_there(self) -> None:
        span = next_range(Cursor(5000.0, 0.0), 1000.0)
        assert span.since == 1000.0 - OVERLAP
        assert span.after.complete == 1000.0

    def test_nothing_unknown_counts_that_ended_before_counting_began_or_before_the_oldest_record(self) -> None:
        assert next_range(Cursor(1000.0, 900.0), 1030.0).count_from == 900.0
        late = 10 * RECORD_RETENTION
        assert next_range(Cursor(late, 900.0), late + 30.0).count_from == late - OVERLAP - RECORD_RETENTION

    def test_when_counting_began_is_logged_once(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO):
            report_beginning("runs", next_range(None, 1796086072.25))
            report_beginning("runs", next_range(Cursor(1796086072.25, 1796086072.25), 1796086077.0))
        assert [get_extra_fields(record) for record in caplog.records] == [
            {"since": "2026-12-01T00:47:52.250000+00:00"}
        ]


class TestScope:
    def test_a_dag_is_read_if_its_whole_id_is_included_and_not_excluded(self) -> None:
        dag_filter = DagFilter(AirflowSettings(include_dags=re.compile("etl_.*"), exclude_dags=re.compile("etl_test")))
        assert [dag for dag in ("etl_a", "my_etl_a", "etl_test", "etl_test2") if dag_filter.includes(dag)] == [
            "etl_a",
            "etl_test2",
        ]
