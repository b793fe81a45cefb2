"""Tuning: the evidence behind `airflow-exporter advise`, to look at. docs/tuning.md leads to the change."""

from __future__ import annotations

from grafana.boards.kit import link
from grafana.boards.kit.annotation import CHANGES
from grafana.boards.kit.dashboard import Dashboard, Row
from grafana.boards.kit.draw import Stat, TimeSeries
from grafana.boards.kit.heatmap import Heatmap
from grafana.boards.kit.panel import GREEN, NEUTRAL, NO_API, NO_HOST, RED, Query
from grafana.boards.kit.promql import API_READ, or_zero, pick
from grafana.boards.kit.scatter import XYChart
from grafana.boards.kit.table import Column, Key, Table
from grafana.boards.kit.variable import AIRFLOW_URL, COMMON
from grafana.boards.rows.costs import BY_DESIGN

NOT_RECORDED = "needs an hour of rules"
NOTHING_WAITED = "nothing waited"
RUNNING = pick("airflow:running_tasks:mean5m")
STRETCH = pick("airflow:task_stretch:ratio5m")
TASK_MEMORY = f"sum({pick('airflow_host:task_memory_bytes:mean5m')})"
STEP = 300
DAG = {"dag_id": Key("DAG", [link.DAG_OF_ROW, link.DAG_IN_AIRFLOW])}
TASK = {"dag_id": Key("DAG", [link.DAG_OF_ROW, link.DAG_IN_AIRFLOW]), "task_id": Key("Task", [link.TASK_OF_ROW])}


def over_range(series: str, step: str = "", **labels: str) -> str:
    """The sum over the selected time range of a series whose steps do not overlap."""
    return f"sum_over_time({pick(series, **labels)}[$__range{step}])"


def newest(series: str, **labels: str) -> str:
    """The newest value of a series that is recorded every 15 minutes: an instant query looks back for five only."""
    return f"last_over_time({pick(series, **labels)}[1h])"


def due_in(minute: int) -> Query:
    """Runs that are due in five minutes of each hour. They are counted in the minute before, at any of its seconds."""
    counted = pick("airflow_minute:dag_runs_due:count1m", minute=str(minute))
    return Query(or_zero(f"sum(sum_over_time({counted}[1h] offset 61s))", API_READ), f"{minute:02d}")


CONCURRENCY = Row(
    "How many tasks at once",
    [
        XYChart(
            "Throughput over running tasks",
            "Each point is five minutes: the work that running tasks get done per second. Where the cloud no longer"
            " rises, more tasks at once only make each of them slower. Sources: API, StatsD.",
            Query(RUNNING, "running tasks"),
            Query(f"{RUNNING} / ({STRETCH} > 0)", "work per second"),
        ).no_value(NOT_RECORDED),
        XYChart(
            "Stretch over running tasks",
            "Each point is five minutes: how much longer tasks take than where little else runs, weighted by their"
            " work. It leaves 1 where they begin to hinder each other. Sources: API, StatsD.",
            Query(RUNNING, "running tasks"),
            Query(STRETCH, "stretch"),
        ).no_value(NOT_RECORDED),
        TimeSeries(
            "Running and waiting tasks",
            "Tasks that run, those that wait and could run, and how many may run at once. Sources: API, StatsD.",
            Query(RUNNING, "running"),
            Query(pick("airflow:waiting_tasks:mean5m"), "waiting"),
            Query(pick("airflow:parallelism_slots:max"), "parallelism"),
        )
        .unit("short")
        .limit_line("parallelism")
        .no_value(NOT_RECORDED),
        TimeSeries(
            "CPUs of running tasks",
            "CPUs that tasks use, on hosts with an exporter. Below the CPUs of the hosts while tasks wait: there is"
            " room for more. Sources: API, host.",
            Query(pick("airflow:task_cpu_seconds:rate5m"), "all tasks"),
            Query(pick("airflow:running_task_cpus:mean5m"), "each running task"),
            Query(f"sum({pick('airflow_host_cpus')})", "CPUs of all hosts"),
        )
        .unit("none")
        .limit_line("CPUs of all hosts")
        .no_value(NO_HOST),
    ],
)
LIMITS = Row(
    "What limits cost",
    [
        TimeSeries(
            "Waiting tasks by limit",
            "Tasks that wait for a limit, by the first one that stops them. The area is what it costs. Source: API.",
            Query(pick("airflow:waited_seconds:rate5m", reason=f"!~{BY_DESIGN}"), "{{reason}}"),
        )
        .unit("short")
        .stacked()
        .no_value(NO_API),
        Table(
            "Waiting by limit, selected time range",
            "Time that tasks waited for each limit, all tasks added up. Raise the first one if what is behind it has"
            " room. Source: API.",
            {"reason": Key("Reason"), "object": Key("Limit")},
            [
                Column(
                    "Waited",
                    f"{STEP} * {over_range('airflow_object:waited_seconds:rate5m', reason=f'!~{BY_DESIGN}')}",
                    "s",
                    bar=True,
                    width=300,
                ),
            ],
        )
        .sort_by("Waited")
        .no_value(NOTHING_WAITED),
        TimeSeries(
            "Wanted slots of pools",
            "Slots of each pool that are occupied or waited for: above its size tasks wait. Sources: API, StatsD.",
            Query(pick("airflow_pool:wanted_slots:sum"), "{{pool}}"),
        )
        .unit("short")
        .no_value(NO_API),
        TimeSeries(
            "Waiting runs",
            "DAG runs that wait, by reason and DAG: for max_active_runs, or for a run before them. Source: API.",
            Query(pick("airflow_object:waiting_dag_runs:mean5m"), "{{reason}}: {{object}}"),
        )
        .unit("short")
        .sparse()
        .no_value(NOTHING_WAITED),
    ],
)
MEMORY = Row(
    "What fits into memory",
    [
        Stat(
            "Memory of a running task",
            "Proportional memory of all running tasks divided by their number: what a slot costs. Sources: API, host.",
            f"{TASK_MEMORY} / (sum({RUNNING}) > 0)",
        )
        .unit("bytes")
        .thresholds(NEUTRAL)
        .size(8, 8)
        .no_value(NO_HOST),
        TimeSeries(
            "Peak memory of tries",
            "Peak of 95 % of the tries within an hour. Times the slots it should fit into the hosts. Source: host.",
            Query(newest("airflow:task_try_peak_memory_bytes:quantile1h", quantile="0.95"), "p95"),
        )
        .unit("bytes")
        .size(8, 8)
        .no_value(NO_HOST),
        Table(
            "Largest tasks",
            "The highest memory of one process of a task in the last day. Tasks that take several shares of a slot"
            " should take several slots of a pool. Source: host.",
            TASK,
            [
                Column(
                    "Peak memory",
                    f"topk(20, {newest('airflow_task:peak_memory_bytes:max')})",
                    "bytes",
                    bar=True,
                    width=200,
                )
            ],
        )
        .sort_by("Peak memory")
        .size(8, 8)
        .no_value("nothing measured yet, or no host source"),
    ],
)
RETRIES = Row(
    "Retries and due runs",
    [
        TimeSeries(
            "Retries by class",
            "Retries within 15 minutes, by what made the attempt before them fail. Source: API.",
            Query(
                f"sum by(error_class) ({pick('airflow_dag:task_tries_retried_by_class:increase15m')})",
                "{{error_class}}",
            ),
        )
        .unit("short")
        .sparse()
        .no_value("no retries"),
        Table(
            "Retries that help, selected time range",
            "Retries by DAG and class, and the share after which the task succeeded. Where it is 0 % set retries=0."
            " Source: API.",
            {**DAG, "error_class": Key("Class")},
            [
                Column(
                    "Retries", over_range("airflow_dag:task_tries_retried_by_class:increase15m"), decimals=0, width=90
                ),
                Column(
                    "Helped",
                    f"{over_range('airflow_dag:task_tries_recovered_by_class:increase15m')}"
                    f" / ({over_range('airflow_dag:task_tries_retried_by_class:increase15m')} > 0)",
                    "percentunit",
                    thresholds=((None, RED), (0.1, "text"), (0.8, GREEN)),
                    width=90,
                ),
                Column("Delayed", over_range("airflow_dag:retry_delay_seconds_by_class:increase15m"), "s", width=110),
            ],
        )
        .sort_by("Retries")
        .no_value("no retries"),
        TimeSeries(
            "Due runs per minute",
            "Scheduled runs that become due in the next minute. High bars followed by waiting tasks: give each DAG a"
            " separate minute. Source: API.",
            Query(f"sum({pick('airflow:dag_runs_due:count1m')})", "due runs"),
        )
        .unit("short")
        .bars()
        .no_value("no run is due"),
        Table(
            "What DAGs cost in an hour",
            "Mean over the selected time range: time that went into work, waiting for limits, starting tasks and failed"
            " attempts, all tasks added up, and the CPU of an attempt. Sources: API, StatsD, host.",
            DAG,
            [
                Column(
                    "Work", f"avg_over_time({pick('airflow_dag:task_run_seconds:increase1h')}[$__range])", "s", width=90
                ),
                Column(
                    "Waiting",
                    f"avg_over_time({pick('airflow_dag:waited_seconds:increase1h')}[$__range])",
                    "s",
                    width=90,
                ),
                Column(
                    "Starting",
                    f"avg_over_time({pick('airflow_dag:overhead_seconds:increase1h')}[$__range])",
                    "s",
                    width=90,
                ),
                Column(
                    "Failed",
                    f"avg_over_time({pick('airflow_dag:task_failed_seconds:increase1h')}[$__range])",
                    "s",
                    width=90,
                ),
                Column(
                    "CPU a try",
                    f"avg_over_time({pick('airflow_dag:task_try_cpu_seconds:mean1h')}[$__range])",
                    "s",
                    width=90,
                ),
            ],
        )
        .sort_by("Work")
        .no_value(NOT_RECORDED),
        Heatmap(
            "Due runs by minute of the hour",
            "Each column is an hour, each row five minutes of it (UTC). The more a cell stands out, the more scheduled"
            " runs are due in these minutes. A row that stands out is shared by many DAGs: spread them. Source: API.",
            *map(due_in, range(0, 60, 5)),
        )
        .rows_named("due runs")
        .size(24, 8)
        .no_value(NO_API),
    ],
)
DASHBOARD = Dashboard(
    "airflow-tuning",
    "Airflow / Tuning",
    "How many tasks at once, what limits cost, what fits into memory, which retries help.",
    (*COMMON, AIRFLOW_URL),
    [CONCURRENCY, LIMITS, MEMORY, RETRIES],
    CHANGES,
    time_from="now-24h",
    refresh="5m",
)
