"""Replies of both API versions become what the readers use, and nothing that a newer Airflow sends breaks a page."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api import version
from exporter.sources.airflow.api.objects import (
    backfills,
    config,
    dag_runs,
    dag_warnings,
    dags,
    health,
    import_errors,
    jobs,
    pools,
    task_instances,
)
from exporter.sources.airflow.api.objects.backfills import Backfill
from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.api.objects.dags import Dag
from exporter.sources.airflow.api.objects.health import Component
from exporter.sources.airflow.api.objects.import_errors import BrokenFile
from exporter.sources.airflow.api.objects.jobs import Job
from exporter.sources.airflow.api.objects.pools import Pool
from exporter.sources.airflow.api.objects.task_instances import TaskInstance

FIELDS = [field.encode_name for field in msgspec.structs.fields(task_instances.TaskInstanceRow)]
RECORDED = Path(__file__).parents[4] / "data" / "api"


def recorded(release: str, name: str) -> bytes:
    return (RECORDED / release / f"{name}.json").read_bytes()


def page(key: str, *rows: object, **envelope: object) -> bytes:
    return json.dumps({key: rows, "total_entries": len(rows), **envelope}).encode()


def row(**fields: object) -> dict[str, object]:
    return {"dag_id": "d", "task_id": "t", "dag_run_id": "r", **fields}


def only(body: bytes) -> TaskInstance:
    found = task_instances.ROWS.decode(body)
    assert len(found.rows) == 1
    return found.rows[0]


# ---- recorded replies -----------------------------------------------------------------------------


def test_a_task_instance_of_v2() -> None:
    found = task_instances.ROWS.decode(recorded("v2-3.3.2", "task_instances_cursor_page1"))
    assert found.rows[0] == TaskInstance(
        dag_id="sensors_demo",
        task_id="wait_reschedule",
        run_id="scheduled__2026-11-23T08:33:00+00:00",
        uuid="01a2078a-403e-7238-805a-cc17abe3b68b",
        state="success",
        try_number=1,
        start_date=1795422831.585161,
        end_date=1795422838.338491,
        duration=6.75333,
        queued_when=1795422830.939914,
        scheduled_when=1795422830.812153,
        pool="default_pool",
        queue="default",
        priority_weight=2,
        operator="PythonSensor",
        hostname="vm",
        pid=31109,
    )
    assert (found.keyset, bool(found.cursor), found.lost) == (True, True, 0)


def test_a_task_instance_of_v1_that_is_queued_for_its_last_try() -> None:
    found = task_instances.ROWS.decode(recorded("v1-2.11.2", "task_instances_running_queued"))
    assert found.rows[0] == TaskInstance(
        dag_id="failing.errors.demo",
        task_id="flaky",
        run_id="scheduled__2026-11-23T08:48:00+00:00",
        state="queued",
        try_number=4,
        max_tries=3,
        start_date=1795423847.307192,
        end_date=1795423847.596356,
        duration=0.289164,
        queued_when=1795423874.554745,
        pool="default_pool",
        queue="default",
        priority_weight=1,
        operator="_PythonDecoratedOperator",
        hostname="vm",
        pid=29424,
        logical_date=1795423680.0,
    )
    assert (found.keyset, found.cursor) == (False, None)


def test_a_mapped_try_has_its_index_and_no_uuid() -> None:
    for release in ("v1-2.11.2", "v2-3.3.2"):
        found = only(recorded(release, "mapped_tries"))
        assert (found.task_id, found.map_index, found.uuid, found.state) == ("extract.pull", 1, None, "success")


def test_every_try_of_a_task_that_failed_again_and_again() -> None:
    for release in ("v1-2.11.2", "v2-3.3.2"):
        found = task_instances.ROWS.decode(recorded(release, "tries_connection_error"))
        assert [one.try_number for one in found.rows] == [1, 2, 3]
        assert {one.state for one in found.rows} == {"failed"}


def test_a_run_of_v1_may_start_when_its_interval_is_over() -> None:
    found = dag_runs.LIST.rows.decode(recorded("v1-2.11.2", "dag_runs_running"))
    assert found.rows[0] == DagRun(
        dag_id="failing.errors.demo",
        run_id="scheduled__2026-11-23T08:48:00+00:00",
        run_type="scheduled",
        state="running",
        start_date=1795423800.114334,
        run_after=1795423800.0,
        logical_date=1795423680.0,
        data_interval_end=1795423800.0,
    )


def test_a_run_of_v1_made_by_hand_may_start_at_once() -> None:
    reply = page(
        "dag_runs",
        {
            "dag_id": "d",
            "dag_run_id": "manual__1",
            "run_type": "manual",
            "execution_date": "2026-11-23T08:48:30+00:00",
            "data_interval_end": "2026-11-23T00:00:00+00:00",
        },
    )
    (run,) = dag_runs.LIST.rows.decode(reply).rows
    assert run.run_after == run.logical_date == 1795423710.0


def test_a_run_of_v2_says_when_it_may_start() -> None:
    found = dag_runs.LIST.rows.decode(recorded("v2-3.3.2", "dag_runs_running"))
    (run,) = found.rows
    assert (run.queued_at, run.run_after) == (1795423173.138831, 1795423171.940396)
    assert found.keyset


def test_a_dag_of_v1() -> None:
    by_id = {dag.dag_id: dag for dag in dags.LIST.rows.decode(recorded("v1-2.11.2", "dags")).rows}
    assert by_id["asset_mail"] == Dag(
        dag_id="asset_mail",
        owners=("airflow",),
        tags=("assets",),
        schedule="Dataset",
        file="<lab>/dags/assets_demo.py",
        max_active_runs=16,
        max_active_tasks=16,
        max_consecutive_failed_dag_runs=0,
        last_parsed=1795423860.006691,
    )


def test_a_dag_of_v2() -> None:
    by_id = {dag.dag_id: dag for dag in dags.LIST.rows.decode(recorded("v2-3.3.2", "dags")).rows}
    found = by_id["asset_mail"]
    assert (found.bundle, found.file, found.schedule) == ("dags-folder", "assets_demo.py", "Asset")
    assert found.last_parse_duration == pytest.approx(0.163316857)


@pytest.mark.parametrize(
    ("fields", "schedule"),
    [
        ({"schedule_interval": {"__type": "CronExpression", "value": "@daily"}}, "@daily"),
        (
            {"schedule_interval": {"__type": "TimeDelta", "seconds": 60}, "timetable_description": "Every minute"},
            "Every minute",
        ),
        ({"schedule_interval": {"__type": "TimeDelta", "days": 1, "seconds": 60}}, "1 day, 0:01:00"),
        ({"schedule_interval": None, "timetable_description": None}, ""),
        ({"timetable_summary": "0 0 * * *", "timetable_description": "At 00:00"}, "0 0 * * *"),
    ],
)
def test_the_schedule_of_a_dag_as_text(fields: dict[str, object], schedule: str) -> None:
    (dag,) = dags.LIST.rows.decode(page("dags", {"dag_id": "d", **fields})).rows
    assert dag.schedule == schedule


@pytest.mark.parametrize(
    ("fields", "stale"),
    [({"is_active": False}, True), ({"is_active": True}, False), ({"is_stale": True}, True), ({}, False)],
)
def test_what_v1_calls_inactive_is_stale(fields: dict[str, object], *, stale: bool) -> None:
    (dag,) = dags.LIST.rows.decode(page("dags", {"dag_id": "d", **fields})).rows
    assert dag.is_stale is stale


def test_pools_of_both_versions() -> None:
    for release in ("v1-2.11.2", "v2-3.3.2"):
        by_name = {pool.name: pool for pool in pools.LIST.rows.decode(recorded(release, "pools")).rows}
        assert by_name["io_intensive"] == Pool(name="io_intensive", slots=5, include_deferred=True)


def test_jobs_import_errors_and_backfills() -> None:
    assert jobs.LIST.rows.decode(recorded("v2-3.3.2", "jobs")).rows[1] == Job(
        id=2, job_type="SchedulerJob", state="running", hostname="vm", heartbeat=1795423183.510009
    )
    assert import_errors.LIST.rows.decode(recorded("v2-3.3.2", "import_errors")).rows[0] == BrokenFile(
        file="broken_dag.py", bundle="dags-folder", timestamp=1795423175.062311
    )
    reply = page("backfills", {"id": 3, "dag_id": "d", "max_active_runs": 2, "created_at": "2026-11-23T08:00:00Z"})
    assert backfills.LIST.rows.decode(reply).rows == [
        Backfill(id=3, dag_id="d", max_active_runs=2, created_at=1795420800.0)
    ]


def test_a_warning_about_a_dag() -> None:
    reply = page("dag_warnings", {"dag_id": "d", "warning_type": "non-existent pool", "message": "secret"})
    (warning,) = dag_warnings.LIST.rows.decode(reply).rows
    assert (warning.dag_id, warning.warning_type) == ("d", "non-existent pool")


def test_health_parts_that_do_not_run_have_no_status() -> None:
    parts = {part.name: part for part in health.decode_health(recorded("v1-2.11.2", "health"))}
    assert parts["scheduler"] == Component(name="scheduler", status="healthy", heartbeat=1795423869.535798)
    assert parts["dag_processor"] == Component(name="dag_processor")
    assert parts["metadatabase"] == Component(name="metadatabase", status="healthy")


def test_configuration_by_section_and_key() -> None:
    for release in ("v1-2.11.2", "v2-3.3.2"):
        assert config.decode_config(recorded(release, "config_metrics"))["metrics", "statsd_on"] == "True"


def test_configuration_values_with_their_source_or_none() -> None:
    reply = {"sections": [{"name": "core", "options": [{"key": "a", "value": ["1", "env var"]}, {"key": "b"}]}]}
    assert config.decode_config(json.dumps(reply).encode()) == {("core", "a"): "1", ("core", "b"): ""}


def test_versions() -> None:
    assert version.decode_version(recorded("v2-3.3.2", "version")) == "3.3.2"
    assert version.decode_version(recorded("v1-2.11.2", "version")) == "2.11.2"
    for stranger in (b"<html>", b"[]", b'{"version": 3}', b"", b"\xff"):
        assert version.decode_version(stranger) is None


# ---- times ----------------------------------------------------------------------------------------

MOMENTS = st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2100, 1, 1))  # noqa: DTZ001
OFFSETS = st.integers(min_value=-14 * 60, max_value=14 * 60)


@given(moment=MOMENTS, offset=OFFSETS)
def test_times_are_exact_to_the_microsecond_whatever_their_offset(moment: datetime, offset: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))
    found = only(page("task_instances", row(start_date=aware.isoformat()))).start_date
    assert found is not None
    assert datetime.fromtimestamp(found, UTC) == aware


@given(moment=MOMENTS)
def test_a_time_without_an_offset_is_utc(moment: datetime) -> None:
    naive = only(page("task_instances", row(start_date=moment.isoformat())))
    zulu = only(page("task_instances", row(start_date=f"{moment.isoformat()}Z")))
    assert naive.start_date == zulu.start_date == moment.replace(tzinfo=UTC).timestamp()


# ---- tolerance ------------------------------------------------------------------------------------


def test_unknown_fields_and_states_are_no_obstacle() -> None:
    found = only(page("task_instances", row(state="hibernating", new_in_four={"deep": [1, {"x": None}]})))
    assert found.state == "hibernating"


def test_null_stands_for_the_default() -> None:
    empty = dict.fromkeys(FIELDS)
    assert only(page("task_instances", {**empty, **row()})) == TaskInstance(dag_id="d", task_id="t", run_id="r")


@pytest.mark.parametrize(
    ("broken", "left"),
    [
        ({"start_date": "yesterday"}, {"start_date": None}),
        ({"try_number": "3"}, {"try_number": 3}),
        ({"try_number": "many"}, {"try_number": 0}),
        ({"duration": "1.5"}, {"duration": 1.5}),
        ({"hostname": {"name": "x"}}, {"hostname": ""}),
        ({"pid": [1]}, {"pid": None}),
        ({"priority_weight": 10**400, "try_number": -(10**20)}, {"priority_weight": 0, "try_number": 0}),
    ],
)
def test_a_field_that_makes_no_sense_is_left_out(broken: dict[str, object], left: dict[str, object]) -> None:
    found = task_instances.ROWS.decode(page("task_instances", row(**broken), row(task_id="next", pid=7)))
    assert {name: getattr(found.rows[0], name) for name in left} == left
    assert (found.rows[1].task_id, found.rows[1].pid, found.lost) == ("next", 7, 0)


@pytest.mark.parametrize("broken", [{"dag_id": "d"}, "text", None, 7, {**row(), "dag_run_id": None}])
def test_only_a_row_without_its_ids_is_lost_and_counted(broken: object) -> None:
    found = task_instances.ROWS.decode(page("task_instances", broken, row()))
    assert [one.task_id for one in found.rows] == ["t"]
    assert (found.lost, found.total) == (1, 2)


def test_what_the_python_of_the_server_prints_but_json_forbids() -> None:
    body = page("task_instances", row(pid=5, rendered_fields={"ratio": float("nan")}))
    assert b"NaN" in body
    assert only(body).pid == 5


def test_broken_utf8_in_a_field_that_nobody_reads() -> None:
    body = b'{"task_instances": [{"dag_id": "d", "task_id": "t", "dag_run_id": "r", "note": "\xff"}]}'
    assert only(body).task_id == "t"


def test_half_a_surrogate_pair_in_an_id_leaves_text_that_can_be_encoded() -> None:
    found = only(page("task_instances", row(task_id="a\ud800b", pid=7)))
    assert (found.task_id, found.pid) == ("a?b", 7)


def test_a_cursor_survives_lenient_decoding() -> None:
    body = page("task_instances", row(pid="x"), next_cursor="abc")
    found = task_instances.ROWS.decode(body)
    assert (found.cursor, found.keyset) == ("abc", True)


def test_an_empty_cursor_ends_a_walk() -> None:
    assert task_instances.ROWS.decode(page("task_instances", next_cursor=None)).keyset
    assert not task_instances.ROWS.decode(page("task_instances")).keyset


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"7", b"{}", b'{"task_instances": null}', b'{"task_instances": 7}', b'{"task_inst']
)
def test_what_is_no_page_is_a_bad_reply(body: bytes) -> None:
    with pytest.raises(ReaderError) as caught:
        task_instances.ROWS.decode(body)
    assert caught.value.reason == "bad_reply"


@pytest.mark.parametrize("body", [b"<html>", b'{"sections": 3}'])
def test_a_configuration_that_cannot_be_read(body: bytes) -> None:
    with pytest.raises(ReaderError) as caught:
        config.decode_config(body)
    assert caught.value.reason == "bad_reply"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(fields=st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_whatever_a_row_holds_its_neighbours_come(fields: dict[str, object]) -> None:
    found = task_instances.ROWS.decode(page("task_instances", fields, row(pid=7)))
    assert found.rows[-1] == TaskInstance(dag_id="d", task_id="t", run_id="r", pid=7)
    assert len(found.rows) + found.lost == 2


def test_a_full_page_decodes_in_well_under_two_milliseconds() -> None:
    body = recorded("v2-3.3.2", "task_instances_wildcard")
    assert len(task_instances.ROWS.decode(body).rows) == 100

    def measure() -> float:
        began = time.thread_time()
        task_instances.ROWS.decode(body)
        return time.thread_time() - began

    assert min(measure() for _ in range(20)) < 0.002
