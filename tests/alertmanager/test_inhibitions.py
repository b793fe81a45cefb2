"""What follows from something else is held back by a real Alertmanager, and nothing else is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest

from tests.alertmanager.alerts import SETTLED, make_alert, notices_of, wait_for
from tests.alertmanager.server import Alertmanager, Inbox

CRITICAL = {"severity": "critical"}
WARNING = {"severity": "warning"}
EXPORTER_ABSENT = make_alert("AirflowExporterAbsent", **CRITICAL, component="exporter")
DATABASE = make_alert("AirflowMetadatabaseUnhealthy", **CRITICAL, component="metadatabase")
API_SERVER = make_alert("AirflowApiServerUnreachable", **CRITICAL, component="api_server", source="airflow")
API_DOWN = make_alert("AirflowSourceDown", **WARNING, component="exporter", source="airflow")
STATSD_DOWN = make_alert("AirflowSourceDown", **WARNING, component="exporter", source="statsd")
HOST_DOWN = make_alert("AirflowSourceDown", **WARNING, component="exporter", source="host", instance="worker-1")
SCHEDULER = make_alert("AirflowSchedulerHeartbeatOld", **CRITICAL, component="scheduler")
NO_PROGRESS = make_alert("AirflowNoProgress", **CRITICAL, component="executor")
FAILURES = make_alert("AirflowTaskFailureRatioHigh", **CRITICAL, component="task")
TRIGGERER = make_alert("AirflowTriggererHeartbeatOld", **WARNING, component="triggerer")
DAG_PROCESSOR = make_alert("AirflowDagProcessorHeartbeatOld", **WARNING, component="dag_processor")
LATE = make_alert("AirflowCriticalDagLate", **CRITICAL, component="dag", dag_id="sales")
IN_A_ROW = make_alert("AirflowDagRunsFailingInARow", **WARNING, component="dag", dag_id="sales")
POOL = make_alert("AirflowTasksWaitingForPool", **WARNING, component="pool", pool="narrow")
PARALLELISM = make_alert("AirflowTasksWaitingForParallelism", **WARNING, component="executor")
WORKER = make_alert("AirflowTasksWaitingForWorker", **WARNING, component="worker", queue="gpu", reason="not_started")
WORKERS_FULL = make_alert("AirflowTasksWaitingForWorker", **WARNING, component="worker", reason="workers_full")
CANNOT_START = make_alert("AirflowTasksCannotStart", **WARNING, component="pool", reason="pool_missing", object="gone")
RUNS = make_alert("AirflowDagRunsWaitingForLimit", **WARNING, component="dag", dag_id="sales", reason="max_active_runs")
BLOCKED = make_alert("AirflowDagBlocked", **WARNING, component="dag", dag_id="sales", reason="asset")
BEHIND = make_alert("AirflowDagBehindSchedule", **WARNING, component="dag", dag_id="sales", reason="max_active_runs")
LATER = make_alert("AirflowDagLate", **WARNING, component="dag", dag_id="sales")
HANGS = make_alert("AirflowTaskSuspicious", **WARNING, component="task", dag_id="sales", reason="hangs")
STUCK = make_alert("AirflowDagRunStuck", **WARNING, component="dag", dag_id="sales")
STUCK_ELSEWHERE = make_alert("AirflowDagRunStuck", **WARNING, component="dag", dag_id="stock")
NOT_CREATED = make_alert("AirflowDagRunNotCreated", **WARNING, component="scheduler", dag_id="sales")
BLOCKS = make_alert("AirflowDatabaseBlocksScheduler", **CRITICAL, component="metadatabase", table="dag_run")
SECTION_SLOW = make_alert("AirflowDatabaseCriticalSectionSlow", **WARNING, component="metadatabase")
LOOP_SLOW = make_alert("AirflowSchedulerLoopSlow", **WARNING, component="scheduler")
IMPORT_ERRORS = make_alert("AirflowImportErrors", **WARNING, component="dag_processor")
TRIGGERER_FULL = make_alert("AirflowTriggererFull", **WARNING, component="triggerer")
STALE = make_alert("AirflowDataStale", **WARNING, component="exporter", source="airflow", reader="dags")
MEMORY = make_alert("AirflowHostMemoryHigh", **WARNING, component="host", instance="worker-1")
ELSEWHERE = make_alert("AirflowHostMemoryHigh", **WARNING, component="host", instance="worker-2")

HELD_BACK = [
    (EXPORTER_ABSENT, [SCHEDULER, LATE, IN_A_ROW, POOL, API_DOWN]),
    (DATABASE, [SCHEDULER, API_SERVER, TRIGGERER, LATE, API_DOWN, NO_PROGRESS]),
    (API_SERVER, [API_DOWN, LATE, IN_A_ROW, POOL, NO_PROGRESS, FAILURES, TRIGGERER, IMPORT_ERRORS]),
    (API_DOWN, [IN_A_ROW, POOL, TRIGGERER, IMPORT_ERRORS, NOT_CREATED, STALE]),
    (STATSD_DOWN, [LOOP_SLOW]),
    (HOST_DOWN, [MEMORY]),
    (SCHEDULER, [LATE, POOL, NO_PROGRESS, NOT_CREATED, LOOP_SLOW, PARALLELISM]),
    (BLOCKS, [SECTION_SLOW, LOOP_SLOW]),
    (SECTION_SLOW, [LOOP_SLOW]),
    (NO_PROGRESS, [LATE, LATER, STUCK, WORKER]),
    (PARALLELISM, [LATER, STUCK]),
    (RUNS, [LATER, STUCK, BEHIND]),
    (BLOCKED, [LATER, NOT_CREATED]),
    (HANGS, [LATER, STUCK]),
    (FAILURES, [IN_A_ROW]),
    (TRIGGERER, [TRIGGERER_FULL]),
    (DAG_PROCESSOR, [IMPORT_ERRORS]),
]
TOLD = [
    (EXPORTER_ABSENT, [MEMORY]),
    (DATABASE, [MEMORY]),
    (API_SERVER, [SCHEDULER, MEMORY]),
    (API_DOWN, [SCHEDULER, MEMORY]),
    (API_DOWN, [LATE]),
    (STATSD_DOWN, [IN_A_ROW, STALE]),
    (HOST_DOWN, [ELSEWHERE, IN_A_ROW]),
    (SCHEDULER, [TRIGGERER, DAG_PROCESSOR, MEMORY]),
    (NO_PROGRESS, [IN_A_ROW, MEMORY, POOL]),
    (NO_PROGRESS, [WORKERS_FULL]),
    (POOL, [LATE, LATER, STUCK_ELSEWHERE, NOT_CREATED]),
    (WORKERS_FULL, [LATER, STUCK]),
    (CANNOT_START, [LATER, STUCK]),
    (RUNS, [STUCK_ELSEWHERE, LATE]),
    (BLOCKED, [STUCK_ELSEWHERE]),
    (HANGS, [STUCK_ELSEWHERE, LATE]),
    (FAILURES, [LATE, POOL]),
]


def states(manager: Alertmanager) -> dict[str, str]:
    return {alert["labels"]["alertname"]: alert["status"]["state"] for alert in manager.alerts()}


def name_of(alert: Mapping[str, Any]) -> str:
    return str(alert["labels"]["alertname"])


def settle(manager: Alertmanager, alerts: list[dict[str, Any]]) -> dict[str, str]:
    """The states of these alerts once Alertmanager has decided on each."""
    manager.post(alerts)
    wait_for(lambda: len(states(manager)) == len(alerts) and "unprocessed" not in states(manager).values())
    return states(manager)


@pytest.mark.parametrize(("cause", "effects"), HELD_BACK)
def test_what_follows_is_held_back(manager: Alertmanager, cause: dict[str, Any], effects: list[dict[str, Any]]) -> None:
    found = settle(manager, [cause, *effects])
    assert found == {name_of(cause): "active"} | {name_of(effect): "suppressed" for effect in effects}


@pytest.mark.parametrize(("cause", "others"), TOLD)
def test_what_does_not_follow_is_told(
    manager: Alertmanager, cause: dict[str, Any], others: list[dict[str, Any]]
) -> None:
    found = settle(manager, [cause, *others])
    assert set(found.values()) == {"active"}


@pytest.mark.parametrize(("cause", "effects"), HELD_BACK)
def test_another_airflow_is_not_held_back(
    manager: Alertmanager, cause: dict[str, Any], effects: list[dict[str, Any]]
) -> None:
    elsewhere = {**cause, "labels": {**cause["labels"], "airflow": "staging"}}
    found = settle(manager, [elsewhere, *effects])
    assert found[name_of(cause)] == "active"
    assert [found[name_of(effect)] for effect in effects if effect is not STALE].count("active") >= 1


OTHER_TEAMS = [
    {"labels": {"alertname": "NodeDown", "instance": "worker-1", **CRITICAL, "component": "host"}},
    {"labels": {"alertname": "KubeSchedulerDown", **WARNING, "component": "scheduler"}},
    {"labels": {"alertname": "QueueFull", **WARNING, "component": "worker"}},
]


@pytest.mark.parametrize("cause", [EXPORTER_ABSENT, DATABASE, API_SERVER, API_DOWN, HOST_DOWN, SCHEDULER], ids=name_of)
def test_without_a_label_airflow_alerts_of_other_teams_are_not_held_back(
    manager: Alertmanager, cause: dict[str, Any]
) -> None:
    nameless = {**cause, "labels": {name: text for name, text in cause["labels"].items() if name != "airflow"}}
    assert set(settle(manager, [nameless, *OTHER_TEAMS]).values()) == {"active"}


def test_what_is_held_back_is_not_sent(manager: Alertmanager, inbox: Inbox) -> None:
    manager.post([SCHEDULER, LATE, POOL])
    wait_for(lambda: notices_of(inbox, name_of(SCHEDULER)))
    time.sleep(SETTLED)
    assert {name for notice in inbox.notices() for name in notice.names()} == {name_of(SCHEDULER)}
