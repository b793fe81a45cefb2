"""The diagnosis as tables: what waits and why, what does not run, what looks wrong, and what fails."""

from __future__ import annotations

from copy import copy

from grafana.boards.kit import link
from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.draw import Stat
from grafana.boards.kit.link import Link, cell
from grafana.boards.kit.panel import ANY_IS_BAD, ANY_IS_NOTEWORTHY, GREEN, NO_API, NO_HOST, ORANGE, RED
from grafana.boards.kit.promql import API_READ, age, of_selected_dags, one, or_zero, pick, total
from grafana.boards.kit.table import Column, Key, Table
from grafana.boards.rows.failures import DAG, DIAGNOSIS, FAILED, failures_table

SETTING = f"topk by(reason) (1, max by(reason, setting) ({one('airflow_reason_info', patience='~never|busy')}))"
"""The reasons that an operator can do something about, with what to change."""
REASON = Key("Reason", [Link("What it means", "${runbooks}/Reasons.md#" + cell("Reason"), new_tab=True)], 150)
OBJECT_LINKS = [link.board("airflow-concurrency", "Concurrency and pools")]
WAITING = "airflow_object:waiting_task_instances:max"
NOTHING_WAITS = "nothing waits for a limit"


def with_setting(expression: str) -> str:
    """Series by reason and object, with the setting that changes the reason; without reasons of normal work."""
    return f"max by(reason, object) ({expression}) * on(reason) group_left(setting) {SETTING}"


def count_waiting(patience: str) -> str:
    """Task instances that wait for reasons of this patience; 0 while Airflow is read."""
    names = f"max by(reason) ({one('airflow_reason_info', patience=patience)})"
    return or_zero(f"sum({pick(WAITING)} and on(reason) {names})", API_READ)


NEVER = (
    Stat(
        "Cannot start",
        "Task instances that never start with the present settings: a missing pool, a pool that is too small, a queue"
        " without a worker, a paused DAG. Source: API.",
        count_waiting("never"),
    )
    .unit("none")
    .thresholds(ANY_IS_BAD)
    .links(DIAGNOSIS)
    .no_value(NO_API)
)
BUSY = (
    Stat(
        "Wait for a limit",
        "Task instances that wait for a limit that is in use: a pool, parallelism, max_active_tasks. Source: API.",
        count_waiting("busy"),
    )
    .unit("none")
    .thresholds(ANY_IS_NOTEWORTHY)
    .links(DIAGNOSIS)
    .no_value(NO_API)
)
BLOCKED = (
    Stat(
        "Blocked DAGs",
        "DAGs that are meant to run and do not: paused by the scheduler, broken file, asset, slower than their"
        " schedule. Source: API.",
        or_zero(f"count(max by(dag_id) ({one('airflow_dag_blocked')}))", API_READ),
    )
    .unit("none")
    .thresholds(ANY_IS_BAD)
    .links(DIAGNOSIS)
    .no_value(NO_API)
)
SUSPICIOUS = (
    Stat(
        "Suspicious tasks",
        "Running task instances that hang, lack CPU, or have lost their process. Source: API.",
        or_zero(
            total(one("airflow_suspicious_task_instances", reason="!polls")),
            API_READ,
        ),
    )
    .unit("none")
    .thresholds(ANY_IS_BAD)
    .links(DIAGNOSIS)
    .no_value(NO_API)
)


def waits_table(title: str, width: int, height: int) -> Table:
    """What waits for which object, and what to change."""
    return (
        Table(
            title,
            "Task instances and runs that wait for something that can be changed, by the reason and the object that"
            " stops them: how much of its limit is in use, and a value to try, at most twice the limit. A click on a"
            " reason opens its runbook. Source: API.",
            {
                "reason": REASON,
                "object": Key("Object", OBJECT_LINKS, 12 * width),  # a fifth of the table at 1,600 px
                "setting": Key("Change", wrap=True),
            },
            [
                Column(
                    "Waiting",
                    with_setting(f"{pick(WAITING)} or {pick('airflow_object:waiting_dag_runs:max')}"),
                    decimals=0,
                    thresholds=((None, ORANGE),),
                    width=75,
                ),
                Column("In use", with_setting(one("airflow_object_limit_used")), decimals=0, width=65),
                Column("Limit", with_setting(one("airflow_object_limit")), decimals=0, width=60),
                Column("Try", with_setting(one("airflow_object_suggested_limit")), decimals=0, width=55),
                Column(
                    "Longest wait",
                    age(with_setting(pick("airflow_object:waiting:age_seconds"))),
                    "s",
                    decimals=0,
                    width=110,
                ),
            ],
        )
        .size(width, height)
        .no_value(NOTHING_WAITS)
    )


WRONG_ROW = Row(
    "What is wrong, why, what to change",
    [
        waits_table("What waits, and what to change", 15, 6),
        failures_table("What fails, and where to look", 9, 6),
        # Copies: the dashboard Diagnosis shows the same tiles in another width.
        *(
            copy(stat).size(5 if number else 4, 3)
            for number, stat in enumerate((NEVER, BUSY, BLOCKED, SUSPICIOUS, FAILED))
        ),
    ],
)
"""The first row of the overview."""
ROOM = (
    Stat(
        "Room for more tasks",
        "Whether the machines with an exporter have CPU and memory to spare. If not, do not raise parallelism or pools:"
        " tasks would only slow each other down. Source: host.",
        f"max({pick('airflow:machines_full:info')}) or 0 * max({pick('airflow_host:cpu_used:ratio_rate5m')})",
    )
    .unit("none")
    .thresholds(ANY_IS_BAD)
    .value_mappings({"0": ("yes", GREEN), "1": ("no", RED)})
    .no_value(NO_HOST)
)
NOW_ROW = Row(
    "What is wrong now?",
    [stat.size(4) for stat in (NEVER, BUSY, BLOCKED, SUSPICIOUS, FAILED, ROOM)],
)
WAITS_ROW = Row("What waits, and why?", [waits_table("What waits, and what to change", 24, 8)])
BLOCKED_TABLE = (
    Table(
        "DAGs that do not run",
        "DAGs that are meant to run and do not, by the reason; a click on the reason opens its runbook. Source: API.",
        {"dag_id": DAG, "reason": REASON},
        [
            Column(
                "Blocked",
                of_selected_dags(f"max by(dag_id, reason) ({one('airflow_dag_blocked')})"),
                mappings={"1": ("blocked", RED)},
                width=100,
            )
        ],
    )
    .size(8, 7)
    .no_value("every DAG runs")
)
RUNS_TABLE = (
    Table(
        "Runs that wait",
        "Runs that are queued, or running with nothing to run, by the reason. Source: API.",
        {"dag_id": DAG, "reason": REASON},
        [
            Column(
                "Runs",
                of_selected_dags(f"max by(dag_id, reason) ({one('airflow_waiting_dag_runs', reason='!not_due')})"),
                decimals=0,
                width=80,
            )
        ],
    )
    .size(8, 7)
    .no_value("no run waits")
)
SUSPICIOUS_TABLE = (
    Table(
        "Suspicious running tasks",
        "Running task instances that hang, lack CPU, poll, or have lost their process, by DAG. The page /diagnosis of"
        " the exporter names task, process and machine. Source: API.",
        {"dag_id": DAG, "reason": REASON},
        [
            Column(
                "Tasks",
                of_selected_dags(f"max by(dag_id, reason) ({one('airflow_suspicious_task_instances')})"),
                decimals=0,
                width=80,
            )
        ],
    )
    .size(8, 7)
    .no_value("none")
)
BLOCKED_ROW = Row("What does not run, and what hangs?", [BLOCKED_TABLE, RUNS_TABLE, SUSPICIOUS_TABLE])
