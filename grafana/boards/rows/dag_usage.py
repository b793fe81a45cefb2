"""What one DAG uses: CPU, memory, and time that was spent for nothing."""

from __future__ import annotations

from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.draw import TimeSeries
from grafana.boards.kit.panel import BLUE, NO_HOST, NO_STATSD, Query
from grafana.boards.kit.promql import DAG, host_quantile, largest, or_zero, pick, rate, total
from grafana.boards.kit.states import PERCENTILES

RUN_TIME = total(rate("airflow_task_run_seconds_total", **DAG))
PEAK = "airflow_task_try_peak_memory_bytes"
RESOURCES = Row(
    "What it uses",
    [
        TimeSeries(
            "CPU by task",
            "CPUs that the processes of the ten busiest tasks use, on hosts that an exporter reads (host source).",
            Query(largest(10, pick("airflow_task:cpu_seconds:rate5m", **DAG), "task_id"), "{{task_id}}"),
        )
        .unit("none")
        .stacked()
        .no_value(NO_HOST),
        TimeSeries(
            "Peak memory of a try",
            "The most resident memory of one process of a try (host source): half of all tries need no more than"
            " the median.",
            Query(host_quantile(0.5, PEAK, **DAG), "p50"),
            Query(host_quantile(0.95, PEAK, **DAG), "p95"),
        )
        .unit("bytes")
        .sparse()
        .colors(PERCENTILES)
        .no_value(NO_HOST),
        TimeSeries(
            "CPU time of a try",
            "CPU seconds that a try used until it ended (host source): p50 is the median.",
            Query(host_quantile(0.5, "airflow_task_try_cpu_seconds", **DAG), "p50"),
            Query(host_quantile(0.95, "airflow_task_try_cpu_seconds", **DAG), "p95"),
        )
        .unit("s")
        .sparse()
        .colors(PERCENTILES)
        .size(8)
        .no_value(NO_HOST),
        TimeSeries(
            "What scheduling it costs",
            "Seconds a minute that schedulers spend on checking the dependencies of this DAG's tasks (StatsD).",
            f"60 * {total(rate('airflow_dag_dependency_check_seconds_total', **DAG))}",
        )
        .unit("s")
        .hide_legend()
        .size(8)
        .no_value(NO_STATSD),
        TimeSeries(
            "Time that failed tries took",
            "The share of this DAG's run time that went into tries that failed.",
            f"({or_zero(total(rate('airflow_task_failed_seconds_total', **DAG)), RUN_TIME)}) / ({RUN_TIME} > 0)",
        )
        .unit("percentunit")
        .maximum(1)
        .sparse()
        .hide_legend()
        .colors({"Value": BLUE})
        .size(8)
        .no_value("no try ended"),
    ],
)
