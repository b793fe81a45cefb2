"""The healthy hour: a busy Airflow at which nothing is wrong, through all that operators do to one, and nobody is told.

    HEALTHY=60m make e2e-alerts PYTEST_ARGS='-k healthy'

Everything is as shipped: no threshold, no `for`, no pause is changed. Leaves its report in .e2e/ (or $E2E_FOLDER).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from demo.preparation import Pool
from tests.e2e.alerts.overrides import parse_duration
from tests.e2e.alerts.stage import Plan, Stage, open_stage, programs_missing
from tests.e2e.alerts.telling import FOLDER, HERE, say
from tests.e2e.exactness.environment import wait_until

HEALTHY = parse_duration(os.environ.get("HEALTHY", "10m"))
GROUP_WAIT = 35.0
"""Seconds in which Alertmanager tells of what fired last."""
PLAN = Plan(
    version="3.3.2",
    port=18480,
    dags=HERE / "dags" / "healthy",
    pools={"counter": Pool(2, "two serve, many wait")},
    settings={"AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True"},
    exporter_flags=(),
    exporter_config="airflow: {}\n",
    change_rules=lambda rules: rules,
    change_routes=lambda config: config,
    seconds=None,
)


class Event(NamedTuple):
    """Something that an operator does, at a share of the time."""

    share: float
    what: str
    act: Callable[[Stage], object]


def unpause_all_but_catchup(stage: Stage) -> None:
    for dag_id in stage.console.dag_ids() - {"hourly", "daily"}:
        stage.console.pause(dag_id, False)


def backfill(stage: Stage) -> None:
    last = datetime.now(UTC) - timedelta(days=2)
    stage.console.pause("daily", False)
    stage.console.backfill("daily", f"{last - timedelta(days=5):%F}", f"{last:%F}")


def restart_exporter(stage: Stage) -> None:
    stage.exporter.stop()
    stage.exporter.start()
    stage.exporter.wait_ready()


def restart_scheduler(stage: Stage) -> None:
    stage.airflow.stop("scheduler")
    stage.airflow.start("scheduler")


def clear_run(stage: Stage) -> None:
    query = "select run_id from dag_run where dag_id = 'orders' and state = 'success' order by id limit 1"
    (row,) = stage.airflow.query(query)
    stage.console.clear("orders", row["run_id"], ["fetch", "load"])


def rename(stage: Stage) -> None:
    file = stage.dags / "renamed.py"
    file.write_text(file.read_text(encoding="utf-8").replace("old_name", "new_name"), encoding="utf-8")
    wait_until(lambda: "new_name" in stage.console.dag_ids(), 400, "the DAG's new name is known")
    stage.console.pause("new_name", False)


EVENTS = (
    Event(0.0, "busy DAGs start", unpause_all_but_catchup),
    Event(0.12, "a DAG is unpaused and catches up on two days", lambda stage: stage.console.pause("hourly", False)),
    Event(0.2, "six days are backfilled", backfill),
    Event(0.28, "the exporter restarts", restart_exporter),
    Event(0.36, "a run is cleared", clear_run),
    Event(0.42, "more than fits in: minutes of waiting", lambda stage: stage.console.trigger("rush")),
    Event(0.5, "a DAG is renamed", rename),
    Event(0.62, "the scheduler restarts", restart_scheduler),
    Event(0.72, "a DAG is paused", lambda stage: stage.console.pause("pausing", True)),
    Event(0.8, "the exporter restarts", restart_exporter),
)


def play(stage: Stage) -> list[str]:
    """All events in their time; what was done when."""
    began, log = time.monotonic(), []
    for event in EVENTS:
        time.sleep(max(0.0, began + event.share * HEALTHY - time.monotonic()))
        event.act(stage)
        log.append(f"  {time.monotonic() - began:5.0f} s  {event.what}")
        say(log[-1])
    time.sleep(max(0.0, began + HEALTHY - time.monotonic()))
    return log


def fired(stage: Stage, seconds: float) -> set[str]:
    """Alerts that fired at any time, whether somebody was told or not."""
    query = f'count by (alertname) (max_over_time(ALERTS{{alertstate="firing"}}[{seconds:.0f}s]))'
    return {series.label("alertname") for series in stage.prometheus.query(query)}


def pending(stage: Stage, seconds: float) -> set[str]:
    """Alerts whose condition held for some time, but not for long enough."""
    query = f'count by (alertname) (max_over_time(ALERTS{{alertstate="pending"}}[{seconds:.0f}s]))'
    return {series.label("alertname") for series in stage.prometheus.query(query)}


@pytest.mark.e2e
def test_nobody_is_told_of_a_healthy_airflow() -> None:
    assert programs_missing() == []
    folder = (FOLDER / "alerts-healthy").resolve()
    began = time.time()
    with open_stage(PLAN, folder, say) as stage:
        log = play(stage)
        time.sleep(GROUP_WAIT)
        seconds = time.time() - began
        told = {(notice.receiver, name) for notice in stage.inbox.notices() for name in notice.names()}
        alerts, nearly = fired(stage, seconds), pending(stage, seconds)
        tries = sum(stage.prometheus.query("sum(airflow_task_tries_total)").values())
        heartbeats = [notice for notice in stage.inbox.notices() if notice.receiver == "heartbeat"]
    report = [
        f"healthy for {HEALTHY:.0f} s, {tries:.0f} tries, {len(heartbeats)} heartbeats",
        *log,
        f"fired: {', '.join(sorted(alerts))}",
        f"held for a while, but not long enough to fire: {', '.join(sorted(nearly)) or 'nothing'}",
        f"told: {', '.join(sorted(f'{receiver} of {name}' for receiver, name in told))}",
    ]
    (FOLDER / "alerts-healthy.md").write_text("\n".join(report) + "\n", encoding="utf-8")
    say("\n".join(report))
    assert tries > HEALTHY / 20, "Airflow was not busy"
    assert len(heartbeats) >= HEALTHY / 120
    assert told == {("heartbeat", "Watchdog")}
    assert alerts == {"Watchdog"}
