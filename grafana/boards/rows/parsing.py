"""The DAG processor: whether it keeps up, and which files cost it most or are broken."""

from __future__ import annotations

from grafana.boards.kit import link
from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.draw import TimeSeries
from grafana.boards.kit.panel import BLUE, GREEN, NO_API, NO_STATSD, ORANGE, RED, YELLOW, Query
from grafana.boards.kit.promql import average, heard, one, pick, rate, total
from grafana.boards.kit.table import Column, Key, Table

HOUR = 3600
FILE = {"bundle": Key("Bundle", width=120), "file": Key("File")}
PARSING = Row(
    "Does the DAG processor keep up?",
    [
        TimeSeries(
            "Files that wait to be parsed",
            "Over all DAG processors (StatsD). If it never falls to 0, changes of DAGs arrive late.",
            f"max({one('airflow_dag_processor_queued_files')})",
        )
        .unit("short")
        .decimals(0)
        .hide_legend()
        .no_value(NO_STATSD),
        TimeSeries(
            "Time to parse a file",
            "Mean, and what 95 of 100 files of the hour before took at most (StatsD).",
            Query(average("airflow_dag_processor_parse_duration_seconds"), "mean"),
            Query(pick("airflow:dag_file_parse_seconds:quantile1h", quantile="0.95"), "p95, trailing hour"),
        )
        .unit("s")
        .sparse()
        .colors({"mean": BLUE, "p95, trailing hour": ORANGE})
        .no_value(NO_STATSD),
        TimeSeries(
            "DAGs",
            "DAGs by state: active, paused, and stale, whose file is gone.",
            Query(total(one("airflow_dags"), "state"), "{{state}}"),
        )
        .unit("short")
        .decimals(0)
        .colors({"active": GREEN, "paused": YELLOW, "stale": RED})
        .size(8)
        .no_value(NO_API),
        TimeSeries(
            "A pass over all files",
            "How long the newest pass over all files of DAGs took (StatsD).",
            Query(f"max({one('airflow_dag_processor_total_parse_duration_seconds')})", "newest pass"),
        )
        .unit("s")
        .hide_legend()
        .size(8)
        .no_value(NO_STATSD),
        TimeSeries(
            "DAGs found in a pass",
            "DAGs that the newest pass over all files found (StatsD); fewer than before: a file is gone or broken.",
            Query(f"max({one('airflow_dag_processor_dags')})", "DAGs"),
        )
        .unit("short")
        .decimals(0)
        .hide_legend()
        .size(8)
        .no_value(NO_STATSD),
        Table(
            "Slowest DAGs to parse",
            "DAGs by how long their file took, the last time. Each task loads its file again before it runs.",
            {"dag_id": Key("DAG", [link.DAG_OF_ROW, link.DAG_IN_AIRFLOW])},
            [
                Column(
                    "Time to parse",
                    f"topk(15, max by(dag_id) ({pick('airflow_dag_parse_duration_seconds')}))",
                    "s",
                    thresholds=((None, "text"), (10, YELLOW), (20, RED)),
                    width=130,
                )
            ],
        )
        .size(8, 7)
        .no_value("Airflow 3 only"),
        Table(
            "Files by age",
            "Files that have not been parsed for longest, as of Airflow's own last report (StatsD).",
            FILE,
            [
                Column(
                    "Last parsed",
                    f"topk(15, max by(bundle, file) ({pick('airflow_dag_processor_file_last_run_age_seconds')}))",
                    "s",
                    thresholds=((None, "text"), (HOUR, YELLOW)),
                    decimals=0,
                    width=110,
                ),
                Column(
                    "Took",
                    f"max by(bundle, file) ({pick('airflow_dag_processor_file_duration_seconds')})",
                    "s",
                    width=90,
                ),
            ],
        )
        .size(8, 7)
        .no_value(NO_STATSD),
        Table(
            "Files that are broken",
            "Files that cannot be imported, and since when Airflow has known.",
            FILE,
            [
                Column(
                    "Since",
                    f"1000 * max by(bundle, file) ({pick('airflow_import_error_timestamp_seconds')})",
                    "dateTimeFromNow",
                    thresholds=((None, RED),),
                    width=140,
                )
            ],
        )
        .size(8, 7)
        .no_value("no file is broken"),
        TimeSeries(
            "Parsing cut off, and callbacks, a minute",
            "Processes that were killed since their file took too long, and callbacks that the processor was asked"
            " to run (StatsD).",
            Query(heard("airflow_dag_processor_timeouts_total"), "cut off"),
            Query(heard("airflow_dag_processor_callbacks_total"), "callbacks"),
        )
        .unit("short")
        .colors({"cut off": RED, "callbacks": BLUE})
        .no_value(NO_STATSD),
        TimeSeries(
            "Cache of serialized DAGs",
            "The share of look-ups that found their DAG in the cache, by component (StatsD).",
            Query(
                f"{total(rate('airflow_dag_bag_cache_requests_total', result='hit'), 'component')}"
                f" / ({total(rate('airflow_dag_bag_cache_requests_total'), 'component')} > 0)",
                "{{component}}",
            ),
        )
        .unit("percentunit")
        .maximum(1)
        .no_value("needs StatsD, Airflow 3.2"),
    ],
)
