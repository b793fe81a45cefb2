"""Resource usage of one DAG: CPU, memory, scheduling and wasted time."""

from __future__ import annotations

from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.draw import TimeSeries
from grafana.boards.kit.panel import BLUE, NO_HOST, NO_STATSD, Query
from grafana.boards.kit.promql import DAG, host_quantile, largest, or_zero, pick, rate, total
from grafana.boards.kit.states import PERCENTILES

RUN_TIME = total(rate("airflow_task_run_seconds_total", **DAG))
PEAK = "airflow_task_try_peak_memory_bytes"
RESOURCES = Row(
    "Resource usage",
    [
        TimeSeries(
            "CPU by task",
            "CPUs that the ten busiest tasks use, on hosts with an exporter. Source: host.",
            Query(largest(10, pick("airflow_task:cpu_seconds:rate5m", **DAG), "task_id"), "{{task_id}}"),
        )
        .unit("none")
        .stacked()
        .no_value(NO_HOST),
        TimeSeries(
            "Peak memory per attempt",
            "Largest resident memory of one process of an attempt; p50 is the median. Size workers by p95."
            " Source: host.",
            Query(host_quantile(0.5, PEAK, **DAG), "p50"),
            Query(host_quantile(0.95, PEAK, **DAG), "p95"),
        )
        .unit("bytes")
        .sparse()
        .colors(PERCENTILES)
        .no_value(NO_HOST),
        TimeSeries(
            "CPU time per attempt",
            "CPU seconds of an attempt; p50 is the median. Source: host.",
            Query(host_quantile(0.5, "airflow_task_try_cpu_seconds", **DAG), "p50"),
            Query(host_quantile(0.95, "airflow_task_try_cpu_seconds", **DAG), "p95"),
        )
        .unit("s")
        .sparse()
        .colors(PERCENTILES)
        .size(8)
        .no_value(NO_HOST),
        TimeSeries(
            "Scheduling cost",
            "Seconds per minute that schedulers spend on dependency checks for this DAG. Fewer tasks and"
            " fewer active runs make it cheaper. Source: StatsD.",
            f"60 * {total(rate('airflow_dag_dependency_check_seconds_total', **DAG))}",
        )
        .unit("s")
        .hide_legend()
        .size(8)
        .no_value(NO_STATSD),
        TimeSeries(
            "Wasted time",
            "Run time of failed attempts as a share of all run time of this DAG. Sources: API, StatsD.",
            f"({or_zero(total(rate('airflow_task_failed_seconds_total', **DAG)), RUN_TIME)}) / ({RUN_TIME} > 0)",
        )
        .unit("percentunit")
        .maximum(1)
        .sparse()
        .hide_legend()
        .colors({"Value": BLUE})
        .size(8)
        .no_value("no attempt finished"),
    ],
)
