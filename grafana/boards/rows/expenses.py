"""What costs more than it needs to: sensors in slots, tasks that are too fine, runs that do nothing, growing memory."""

from __future__ import annotations

from grafana.boards.kit import link
from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.draw import TimeSeries
from grafana.boards.kit.panel import NO_API, Query
from grafana.boards.kit.promql import increase, of_selected_dags, one, rate, total
from grafana.boards.kit.table import Column, Key, Table

DAG = Key("DAG", [link.DAG_OF_ROW, link.DAG_IN_AIRFLOW])


def by_dag(counter: str) -> str:
    """The increase of a counter over the selected time range for the ten DAGs with most of it."""
    return f"topk(10, {of_selected_dags(total(increase(counter), 'dag_id'))} > 0.5)"


COSTS_ROW = Row(
    "What costs more than it needs to?",
    [
        Table(
            "Costs by DAG, selected time range",
            "Time that went into starting tasks; tries with less work than their start; successful runs in which all"
            " was skipped; times of the schedule without a run. Batch tasks that are too fine. Source: API.",
            {"dag_id": DAG},
            [
                Column("Overhead", by_dag("airflow_dag_overhead_seconds_total"), "s", decimals=0, width=100),
                Column("Short tries", by_dag("airflow_dag_short_tries_total"), decimals=0, width=90),
                Column("All skipped", by_dag("airflow_dag_runs_all_skipped_total"), decimals=0, width=100),
                Column("No run", by_dag("airflow_dag_skipped_intervals_total"), decimals=0, width=80),
            ],
        )
        .size(10, 8)
        .no_value(NO_API),
        TimeSeries(
            "Slots held by sensors",
            "Slots that sensors hold on average, by mode. Sensors in mode poke hold a slot while they wait:"
            " reschedule or defer them. Source: API.",
            Query(total(rate("airflow_dag_sensor_seconds_total"), "mode"), "{{mode}}"),
        )
        .unit("short")
        .stacked()
        .size(7, 8)
        .no_value("no sensor ran"),
        Table(
            "Growing memory",
            "Peak memory of a task's newest tries as a multiple of that of the oldest remembered ones: above 1.5 it"
            " needs more from run to run. Source: host.",
            {"dag_id": DAG, "task_id": Key("Task", [link.TASK_OF_ROW])},
            [
                Column(
                    "Growth",
                    f"topk(10, max by(dag_id, task_id) ({one('airflow_task_peak_memory_growth_ratio')}) > 1.1)",
                    decimals=1,
                    width=80,
                )
            ],
        )
        .size(7, 8)
        .no_value("no task needs more, or no host source"),
    ],
)
