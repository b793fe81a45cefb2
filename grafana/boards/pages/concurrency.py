"""Every limit beside its use: what waits, for what, since when, and which knob would help."""

from __future__ import annotations

from grafana.boards.kit import link
from grafana.boards.kit.annotation import CHANGES
from grafana.boards.kit.dashboard import Dashboard, Row
from grafana.boards.kit.draw import BarGauge, Stat, TimeSeries
from grafana.boards.kit.panel import GREEN, NEUTRAL, NO_API, ORANGE, RED, YELLOW, Panel, Query
from grafana.boards.kit.promql import API_READ, age, one, or_zero, pick, rate, total
from grafana.boards.kit.states import STATES
from grafana.boards.kit.table import Column, Key, Table
from grafana.boards.kit.variable import AIRFLOW_URL, COMMON, DAG_IDS, POOL
from grafana.boards.rows.pools import ATTENTION, FULL, POOLS_ROW

AGE = "airflow_dag:task_instance_oldest_state_entry:age_seconds"
DAGS = {"dag_id": "~$dag_id"}
DAG = {"dag_id": Key("DAG", [link.DAG_OF_ROW, link.DAG_IN_AIRFLOW])}


def waiting(title: str, state: str, description: str) -> Panel:
    """How many wait in a state."""
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


def left(title: str, recorded: str, description: str) -> Panel:
    """What is left of a limit."""
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
    "What waits now, and for what",
    [
        waiting("Scheduled", "scheduled", "Wait for a pool slot, for max_active_tasks or for parallelism."),
        waiting("Queued", "queued", "Wait for a worker of the executor to start them."),
        waiting("Running", "running", "Run on a worker."),
        waiting("Deferred", "deferred", "Wait in the triggerer; hold a pool slot only where the pool counts them."),
        waiting("Up for retry", "up_for_retry", "Failed, and wait for their retry delay to pass."),
        waiting("Up for reschedule", "up_for_reschedule", "Sensors that wait for their next poke."),
        Table(
            "Longest waits",
            "DAGs whose task instances have been scheduled or queued longest. Scheduled: look at pools and limits"
            " below;"
            " queued: look at the executor and its workers.",
            {**DAG, "state": Key("State", width=110)},
            [
                Column(
                    "Waits for",
                    age(f"topk(15, {pick(AGE, state='~scheduled|queued', **DAGS)})"),
                    unit="s",
                    thresholds=ATTENTION,
                    width=110,
                    decimals=0,
                ),
                Column(
                    "Instances",
                    f"{pick('airflow_dag:task_instances:sum', state='~scheduled|queued', **DAGS)}"
                    f" and on(dag_id, state) topk(15, {pick(AGE, state='~scheduled|queued', **DAGS)})",
                    decimals=0,
                    width=100,
                ),
            ],
        )
        .size(height=8)
        .no_value("nothing waits"),
        TimeSeries(
            "Waiting and running",
            "Task instances that are scheduled, queued or running, and how many slots of parallelism there are.",
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
    "Limits and their use",
    [
        BarGauge(
            "Limits of Airflow as a whole",
            "parallelism: slots in use, of core.parallelism times live schedulers. Triggerers: triggers of"
            " their capacity."
            " Celery workers: running, of worker_concurrency times workers.",
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
            "DAGs by their limit of runs",
            "Active runs, of max_active_runs: at 100 % the next run waits. Backfills are left out.",
            Query(f"topk(8, {pick('airflow_dag:active_runs:ratio', **DAGS)} > 0)", "{{dag_id}}"),
        )
        .unit("percentunit")
        .maximum(1)
        .thresholds(((None, GREEN), (1, YELLOW)))
        .links(link.DAG)
        .size(8, 7)
        .no_value("no run is active"),
        BarGauge(
            "DAGs by their limit of tasks",
            "Queued and running task instances, of max_active_tasks: Airflow 3 counts by run, so there times the"
            " running runs.",
            Query(f"topk(8, {pick('airflow_dag:active_tasks:ratio', **DAGS)} > 0)", "{{dag_id}}"),
        )
        .unit("percentunit")
        .maximum(1)
        .thresholds(((None, GREEN), (1, YELLOW)))
        .links(link.DAG)
        .size(8, 7)
        .no_value("no task is active"),
    ],
)
LEFT = Row(
    "What is left",
    [
        left(
            "Slots of parallelism left",
            "airflow:parallelism_headroom:sum",
            "Tasks that could run besides those that do.",
        ),
        Stat(
            "Queued behind parallelism",
            "Task instances that are queued and hold no slot of parallelism: they wait until a running one ends.",
            pick("airflow:parallelism_queued_behind:sum"),
        )
        .unit("short")
        .decimals(0)
        .thresholds(((None, GREEN), (1, YELLOW)))
        .size(8)
        .no_value(NO_API),
        left("Triggers left", "airflow:triggerer_headroom:sum", "Triggers that all triggerers could run besides."),
        Table(
            "DAGs with the least left",
            "Runs and task instances that may start before max_active_runs and max_active_tasks hold them back, of"
            " the ten DAGs with the fewest.",
            DAG,
            [
                Column(
                    "Tasks left",
                    f"bottomk(10, {pick('airflow_dag:active_tasks_headroom:sum', **DAGS)})",
                    decimals=0,
                    thresholds=((None, ORANGE), (1, "text")),
                    width=110,
                ),
                Column(
                    "Runs left",
                    f"{pick('airflow_dag:active_runs_headroom:sum', **DAGS)}"
                    f" and on(dag_id) bottomk(10, {pick('airflow_dag:active_tasks_headroom:sum', **DAGS)})",
                    decimals=0,
                    thresholds=((None, ORANGE), (1, "text")),
                    width=110,
                ),
            ],
        )
        .size(24, 6)
        .no_value("no task is active")
        .sort_by("Tasks left", ascending=True),
    ],
)
MORE = Row(
    "Backfills, and waits that cannot be told",
    [
        TimeSeries(
            "Backfill runs",
            "Runs of backfills under way, and how many of them may be active at once (Airflow 3).",
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
            "Backfills now",
            "Backfills under way, by DAG: their runs, how many may be active, and since when (Airflow 3).",
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
            "Waits that cannot be told, a minute",
            "Tries whose wait Airflow does not tell, by wait and reason: they are in none of the figures of waits.",
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
    "Every limit beside its use: what waits, for what, since when, and which limit holds it back.",
    (*COMMON, POOL, DAG_IDS, AIRFLOW_URL),
    [WAITING, LIMITS, LEFT, POOLS_ROW, MORE],
    CHANGES,
)
