"""What a DAG costs beside its work, and which DAGs cost most."""

from __future__ import annotations

from grafana.boards.kit import link
from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.draw import TimeSeries
from grafana.boards.kit.panel import BLUE, GREEN, NO_API, NO_HOST, ORANGE, PURPLE, RED, YELLOW, Query
from grafana.boards.kit.promql import DAG, host_rate, of_selected_dags, one, pick, rate, total
from grafana.boards.kit.states import STATES
from grafana.boards.kit.table import Column, Key, Table

BY_DESIGN = "retry_delay|sensor|trigger|human_input|starting"
"""Reasons of waiting that are part of what a task does, or of its start."""
COSTS = {"work": GREEN, "failed attempts": RED, "waiting": YELLOW, "starting": BLUE, "retry delays": ORANGE}
FAILED = total(rate("airflow_task_failed_seconds_total", **DAG))
RUN = total(rate("airflow_task_run_seconds_total", **DAG))
MODES = {"poke": RED, "reschedule": BLUE, "deferred": STATES["deferred"]}
GROUP_OF_TASK = r"(.+)\\..+"
"""Airflow prefixes the id of a task with those of its groups."""
NO_RECORDS = "needs StatsD, and tasks that count records"


def by_group(expression: str) -> str:
    """The sum by task group: what stands before the last dot of a task's id."""
    named = f'label_replace({expression}, "task_group", "no group", "task_id", ".*")'
    return total(f'label_replace({named}, "task_group", "$1", "task_id", "{GROUP_OF_TASK}")', "task_group")


DAG_COSTS = Row(
    "Costs",
    [
        TimeSeries(
            "Where the time goes",
            "Seconds per second that went into work, failed attempts, waiting for a limit, starting tasks, and delays"
            " before retries, all tasks added up. If little of it is work, look at /diagnosis. Sources: API, StatsD.",
            Query(f"{RUN} - ({FAILED} or 0 * {RUN})", "work"),
            Query(FAILED, "failed attempts"),
            Query(total(rate("airflow_waited_seconds_total", reason=f"!~{BY_DESIGN}", **DAG)), "waiting"),
            Query(total(rate("airflow_dag_overhead_seconds_total", **DAG)), "starting"),
            Query(total(rate("airflow_task_retry_delay_seconds_total", **DAG)), "retry delays"),
        )
        .unit("none")
        .stacked()
        .colors(COSTS)
        .no_value(NO_API),
        TimeSeries(
            "Run time by task group",
            "Tasks that run at once, on average, by task group: what stands before the last dot of a task's id."
            " Sources: API, StatsD.",
            Query(by_group(rate("airflow_task_run_seconds_total", **DAG)), "{{task_group}}"),
        )
        .unit("none")
        .stacked()
        .no_value("no attempt finished"),
        TimeSeries(
            "CPU by task group",
            "CPUs that the tasks of each group use, on hosts with an exporter. Source: host.",
            Query(by_group(host_rate("airflow_task_cpu_seconds_total", **DAG)), "{{task_group}}"),
        )
        .unit("none")
        .stacked()
        .no_value(NO_HOST),
        TimeSeries(
            "Slots held by sensors",
            "Slots that the sensors hold on average, by mode. poke holds a slot all the time: set"
            " mode='reschedule' or deferrable=True. Source: API.",
            Query(total(rate("airflow_dag_sensor_seconds_total", **DAG), "mode"), "{{mode}}"),
        )
        .unit("none")
        .stacked()
        .colors(MODES)
        .no_value("no sensor ran"),
        TimeSeries(
            "Short attempts",
            "Attempts whose work was shorter than their start, as a share of all attempts. A high share of many"
            " attempts: give each task more to do. Sources: API, StatsD.",
            f"{total(rate('airflow_dag_short_tries_total', **DAG))}"
            f" / ({total(rate('airflow_task_tries_total', **DAG))} > 0)",
        )
        .unit("percentunit")
        .maximum(1)
        .sparse()
        .hide_legend()
        .size(8)
        .no_value("no attempt was short"),
        TimeSeries(
            "Runs without work per hour",
            "Successful runs in which everything was skipped, and times of the schedule without a run because"
            " an earlier run went on (catchup=False). Source: API.",
            Query(f"3600 * {total(rate('airflow_dag_runs_all_skipped_total', **DAG))}", "everything skipped"),
            Query(f"3600 * {total(rate('airflow_dag_skipped_intervals_total', **DAG))}", "no run made"),
        )
        .unit("short")
        .bars()
        .colors({"everything skipped": PURPLE, "no run made": ORANGE})
        .size(8)
        .no_value("none"),
        TimeSeries(
            "Records per second",
            "What tasks count as records_processed in their own code. If it stays the same while more tasks run, the"
            " system behind them is the limit. Source: StatsD.",
            Query(total(rate("airflow_custom_records_processed_total", **DAG)), "records"),
        )
        .unit("short")
        .hide_legend()
        .size(8)
        .no_value(NO_RECORDS),
        TimeSeries(
            "Concurrency and limits",
            "Running and queued tasks of the DAG, and max_active_tasks (Airflow 3: of each run). Source: API.",
            Query(total(one("airflow_task_instances", state="~running|queued", **DAG), "state"), "{{state}}"),
            Query(
                f"max({pick('airflow_dag_run_active_tasks_max', **DAG)})"
                f" or max({pick('airflow_dag_max_active_tasks', **DAG)})",
                "max_active_tasks",
            ),
        )
        .unit("short")
        .decimals(0)
        .colors(STATES)
        .limit_line("max_active_tasks")
        .no_value(NO_API),
        Table(
            "Growth of peak memory",
            "Peak memory of the newest attempts over that of the oldest remembered, by task, from five attempts on."
            " 2 is twice as much: the task keeps or reads more from run to run. Source: host.",
            {"task_id": Key("Task")},
            [
                Column(
                    "Growth",
                    f"topk(10, max by(task_id) ({pick('airflow_task_peak_memory_growth_ratio', **DAG)}))",
                    thresholds=((None, "text"), (1.3, YELLOW), (2, RED)),
                    decimals=2,
                    width=90,
                )
            ],
        )
        .size(12, 8)
        .no_value(NO_HOST),
    ],
)

COSTLIEST = f"topk(20, {of_selected_dags(pick('airflow_dag:cost_seconds:increase1h'))} > 0)"


def of_costliest(heading: str, recorded: str, width: int = 120) -> Column:
    """A recorded time of the most expensive DAGs."""
    return Column(
        heading, f"max by(dag_id) ({pick(recorded)}) and on(dag_id) {COSTLIEST}", "s", width=width, decimals=0
    )


EXPENSIVE = (
    Table(
        "Most expensive DAGs, last hour",
        "The twenty DAGs that cost most beside their work: waiting for limits, failed attempts, delays before retries,"
        " starting tasks; all tasks added up. Poking sensors hold slots within the run time. Sources: API, StatsD.",
        {"dag_id": Key("DAG", [link.DAG_OF_ROW, link.DAG_IN_AIRFLOW])},
        [
            Column("Costs", f"max by(dag_id) ({COSTLIEST})", "s", width=100, decimals=0),
            of_costliest("Run time", "airflow_dag:task_run_seconds:increase1h"),
            of_costliest("Waiting", "airflow_dag:waited_seconds:increase1h"),
            of_costliest("Failed attempts", "airflow_dag:task_failed_seconds:increase1h", 140),
            of_costliest("Retry delays", "airflow_dag:retry_delay_seconds:increase1h"),
            of_costliest("Starting", "airflow_dag:overhead_seconds:increase1h"),
            of_costliest("Poking sensors", "airflow_dag:sensor_poke_seconds:increase1h", 140),
        ],
    )
    .size(24, 8)
    .no_value("nothing beside work")
)
