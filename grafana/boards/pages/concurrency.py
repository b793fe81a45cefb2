"""Limits and their usage: what waits, for what, and which limit to raise."""

from __future__ import annotations

from grafana.boards.kit import link
from grafana.boards.kit.annotation import CHANGES
from grafana.boards.kit.dashboard import Dashboard, Row
from grafana.boards.kit.draw import BarGauge, Stat, TimeSeries
from grafana.boards.kit.panel import GREEN, NEUTRAL, NO_API, ORANGE, RED, YELLOW, Panel, Query
from grafana.boards.kit.promql import API_READ, age, of_selected_dags, one, or_zero, pick, rate, total
from grafana.boards.kit.states import STATES
from grafana.boards.kit.table import Column, Key, Table
from grafana.boards.kit.variable import AIRFLOW_URL, COMMON, DAG_IDS, OWNER, POOL, TAG
from grafana.boards.rows.pools import ATTENTION, FULL, POOLS_ROW
from grafana.boards.rows.waits import TASK_WAITS

AGE = "airflow_dag:task_instance_oldest_state_entry:age_seconds"
DAGS = {"dag_id": "~$dag_id"}
LONGEST = of_selected_dags(pick(AGE, state="~scheduled|queued", **DAGS))
FREE_TASKS = of_selected_dags(pick("airflow_dag:active_tasks_headroom:sum", **DAGS))
DAG = {"dag_id": Key("DAG", [link.DAG_OF_ROW, link.DAG_IN_AIRFLOW])}


def count_in_state(title: str, state: str, description: str) -> Panel:
    """How many task instances are in a state."""
    expression = or_zero(f"sum({pick('airflow:task_instances:sum', state=state)})", API_READ)
    return (
        Stat(
            title,
            description,
            expression,
        )
        .unit("short")
        .decimals(0)
        .thresholds(NEUTRAL)
        .no_value(NO_API)
    )


def headroom(title: str, recorded: str, description: str) -> Panel:
    """How much of a limit is free."""
    steps = ((None, RED), (1, GREEN))
    return (
        Stat(
            title,
            description,
            pick(recorded),
        )
        .unit("none")
        .decimals(0)
        .thresholds(steps)
        .size(8)
        .no_value(NO_API)
    )


WAITING = Row(
    "Waiting now",
    [
        count_in_state(
            "Scheduled",
            "scheduled",
            "Task instances that wait for a pool slot, max_active_tasks or parallelism. If they pile up,"
            " look for a full limit below. Source: API.",
        ),
        count_in_state(
            "Queued",
            "queued",
            "Task instances that the executor has, but no worker has started. If they pile up, add workers"
            " or executor slots. Source: API.",
        ),
        count_in_state("Running", "running", "Task instances that workers are running. Source: API."),
        count_in_state(
            "Deferred",
            "deferred",
            "Task instances that wait in the triggerer. They hold a pool slot only if the pool includes"
            " deferred tasks. Source: API.",
        ),
        count_in_state(
            "Up for retry", "up_for_retry", "Task instances that failed and wait for their retry delay. Source: API."
        ),
        count_in_state(
            "Up for reschedule",
            "up_for_reschedule",
            "Sensors in reschedule mode that wait for their next poke. Source: API.",
        ),
        Table(
            "Longest waits",
            "DAGs whose task instances have been scheduled or queued longest. For scheduled ones look at the"
            " pools and limits below, for queued ones at the executor and its workers. Source: API.",
            {**DAG, "state": Key("State", width=110)},
            [
                Column(
                    "Waiting",
                    age(f"topk(15, {LONGEST})"),
                    unit="s",
                    thresholds=ATTENTION,
                    width=110,
                    decimals=0,
                ),
                Column(
                    "Instances",
                    f"{pick('airflow_dag:task_instances:sum', state='~scheduled|queued', **DAGS)}"
                    f" and on(dag_id, state) topk(15, {LONGEST})",
                    decimals=0,
                    width=100,
                ),
            ],
        )
        .size(height=8)
        .no_value("nothing waits"),
        TimeSeries(
            "Waiting and running",
            "Scheduled, queued and running task instances, and the slots of parallelism. Sources: API, StatsD.",
            Query(pick("airflow:task_instances:sum", state="~scheduled|queued|running"), "{{state}}"),
            Query(f"{pick('airflow:parallelism_slots:max')} < +Inf", "parallelism"),
        )
        .unit("short")
        .colors(STATES)
        .limit_line("parallelism")
        .size(height=8)
        .no_value(NO_API),
    ],
)
LIMITS = Row(
    "Usage of limits",
    [
        BarGauge(
            "Usage of global limits",
            "Parallelism: used slots of core.parallelism times live schedulers. Triggerers: running triggers"
            " of their capacity. Celery workers: running tasks of worker_concurrency times workers. At 100 %"
            " raise the limit or add workers. Sources: API, StatsD, host.",
            Query(pick("airflow:parallelism_used:ratio"), "parallelism"),
            Query(pick("airflow:triggerer_used:ratio"), "triggerers"),
            Query(pick("airflow:worker_slots_used:ratio"), "Celery workers"),
        )
        .unit("percentunit")
        .maximum(1)
        .thresholds(FULL)
        .size(8, 7)
        .no_value(NO_API),
        BarGauge(
            "Usage of max_active_runs",
            "DAGs by active runs as a share of max_active_runs, without backfills. At 100 % the next run"
            " waits: raise the limit, or make runs shorter. Source: API.",
            Query(f"topk(8, {of_selected_dags(pick('airflow_dag:active_runs:ratio', **DAGS))} > 0)", "{{dag_id}}"),
        )
        .unit("percentunit")
        .maximum(1)
        .thresholds(((None, GREEN), (1, YELLOW)))
        .links(link.DAG)
        .size(8, 7)
        .no_value("no active run"),
        BarGauge(
            "Usage of max_active_tasks",
            "DAGs by queued and running task instances as a share of max_active_tasks. Airflow 3 applies the"
            " limit to each run, so the share is of the limit times running runs. At 100 % tasks wait: raise"
            " the limit. Source: API.",
            Query(f"topk(8, {of_selected_dags(pick('airflow_dag:active_tasks:ratio', **DAGS))} > 0)", "{{dag_id}}"),
        )
        .unit("percentunit")
        .maximum(1)
        .thresholds(((None, GREEN), (1, YELLOW)))
        .links(link.DAG)
        .size(8, 7)
        .no_value("no active task"),
    ],
)
HEADROOM = Row(
    "Headroom",
    [
        headroom(
            "Free parallelism slots",
            "airflow:parallelism_headroom:sum",
            "How many more tasks could run at once. At 0 new tasks wait: raise core.parallelism or add a"
            " scheduler. Sources: API, StatsD, host.",
        ),
        Stat(
            "Queued without a slot",
            "Queued task instances without a slot of parallelism: they wait until a running one finishes."
            " Sources: API, StatsD, host.",
            pick("airflow:parallelism_queued_behind:sum"),
        )
        .unit("short")
        .decimals(0)
        .thresholds(((None, GREEN), (1, YELLOW)))
        .size(8)
        .no_value(NO_API),
        headroom(
            "Free triggerer capacity",
            "airflow:triggerer_headroom:sum",
            "How many more triggers all triggerers could run. At 0 deferred tasks wait: add a triggerer or"
            " raise its capacity. Sources: API, StatsD.",
        ),
        Table(
            "DAGs with the least headroom",
            "The ten DAGs that can start the fewest further task instances and runs before max_active_tasks"
            " and max_active_runs stop them. Source: API.",
            DAG,
            [
                Column(
                    "Free task slots",
                    f"bottomk(10, {FREE_TASKS})",
                    decimals=0,
                    thresholds=((None, ORANGE), (1, "text")),
                    width=110,
                ),
                Column(
                    "Free runs",
                    f"{pick('airflow_dag:active_runs_headroom:sum', **DAGS)} and on(dag_id) bottomk(10, {FREE_TASKS})",
                    decimals=0,
                    thresholds=((None, ORANGE), (1, "text")),
                    width=110,
                ),
            ],
        )
        .size(24, 6)
        .no_value("no active task")
        .sort_by("Free task slots", ascending=True),
    ],
)
BACKFILLS = Row(
    "Backfills and unknown waits",
    [
        TimeSeries(
            "Backfill runs",
            "Runs of backfills in progress, and how many of them may be active at once (Airflow 3). Source: API.",
            Query(total(one("airflow_backfill_runs"), "state"), "{{state}}"),
            Query(f"sum({one('airflow_backfill_max_active_runs')})", "allowed"),
        )
        .unit("short")
        .decimals(0)
        .colors(STATES)
        .limit_line("allowed")
        .size(8)
        .no_value("no backfill"),
        Table(
            "Backfills in progress",
            "DAGs with a backfill in progress: its runs, how many may be active, and when it was created"
            " (Airflow 3). Source: API.",
            DAG,
            [
                Column("Runs", f"sum by(dag_id) ({one('airflow_backfill_runs')})", decimals=0, width=80),
                Column("Allowed", f"max by(dag_id) ({pick('airflow_backfill_max_active_runs')})", decimals=0, width=90),
                Column(
                    "Created",
                    f"1000 * max by(dag_id) ({pick('airflow_backfill_oldest_created_timestamp_seconds')})",
                    "dateTimeFromNow",
                    width=140,
                ),
            ],
        )
        .size(8)
        .no_value("no backfill"),
        TimeSeries(
            "Unknown waits per minute",
            "Attempts whose wait Airflow does not report, by wait and reason. They are missing from all wait"
            " times. Source: API.",
            Query(
                f"60 * {total(rate('airflow_task_wait_unobservable_total'), 'wait', 'reason')}", "{{wait}}: {{reason}}"
            ),
        )
        .unit("short")
        .size(8)
        .no_value(NO_API),
    ],
)
DASHBOARD = Dashboard(
    "airflow-concurrency",
    "Airflow / Concurrency and pools",
    "What waits, for what and how long, and how much of each limit is used.",
    (*COMMON, OWNER, TAG, POOL, DAG_IDS, AIRFLOW_URL),
    [WAITING, TASK_WAITS, LIMITS, HEADROOM, POOLS_ROW, BACKFILLS],
    CHANGES,
    [link.board("airflow-tuning", "Tuning: which limit to change")],
)
