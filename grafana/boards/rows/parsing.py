"""The DAG processor: its backlog, slow files and broken files."""

from __future__ import annotations

from grafana.boards.kit import link
from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.draw import TimeSeries
from grafana.boards.kit.panel import BLUE, GREEN, NO_API, NO_STATSD, ORANGE, RED, YELLOW, Query
from grafana.boards.kit.promql import average, one, pick, rate, statsd_per_minute, total
from grafana.boards.kit.table import Column, Key, Table

HOUR = 3600
FILE = {"bundle": Key("Bundle", width=120), "file": Key("File")}
PARSING = Row(
    "DAG processor",
    [
        TimeSeries(
            "Files waiting to be parsed",
            "Over all DAG processors. If it never falls to 0, changes of DAG files arrive late: add"
            " processes, or speed up the slowest files. Source: StatsD.",
            f"max({one('airflow_dag_processor_queued_files')})",
        )
        .unit("short")
        .decimals(0)
        .hide_legend()
        .no_value(NO_STATSD),
        TimeSeries(
            "Parse duration of a file",
            "Mean, and p95 of the hour before each point. Source: StatsD.",
            Query(average("airflow_dag_processor_parse_duration_seconds"), "mean"),
            Query(pick("airflow:dag_file_parse_seconds:quantile1h", quantile="0.95"), "p95, trailing hour"),
        )
        .unit("s")
        .sparse()
        .colors({"mean": BLUE, "p95, trailing hour": ORANGE})
        .no_value(NO_STATSD),
        TimeSeries(
            "DAGs by state",
            "Active, paused and stale DAGs. The file of a stale DAG is gone. Source: API.",
            Query(total(one("airflow_dags"), "state"), "{{state}}"),
        )
        .unit("short")
        .decimals(0)
        .colors({"active": GREEN, "paused": YELLOW, "stale": RED})
        .size(8)
        .no_value(NO_API),
        TimeSeries(
            "Duration of a full parsing pass",
            "How long the newest pass over all DAG files took. Source: StatsD.",
            Query(f"max({one('airflow_dag_processor_total_parse_duration_seconds')})", "duration"),
        )
        .unit("s")
        .hide_legend()
        .size(8)
        .no_value(NO_STATSD),
        TimeSeries(
            "DAGs found per pass",
            "DAGs that the newest pass over all files found. If they become fewer, a file is gone or broken."
            " Source: StatsD.",
            Query(f"max({one('airflow_dag_processor_dags')})", "DAGs"),
        )
        .unit("short")
        .decimals(0)
        .hide_legend()
        .size(8)
        .no_value(NO_STATSD),
        Table(
            "Slowest DAGs to parse",
            "DAGs by the parse time of their file. Each task loads its file again before it runs. Source: API.",
            {"dag_id": Key("DAG", [link.DAG_OF_ROW, link.DAG_IN_AIRFLOW])},
            [
                Column(
                    "Parse time",
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
            "Files not parsed for longest",
            "Files by the time since they were last parsed, as Airflow last reported it. Source: StatsD.",
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
                    "Parse time",
                    f"max by(bundle, file) ({pick('airflow_dag_processor_file_duration_seconds')})",
                    "s",
                    width=90,
                ),
            ],
        )
        .size(8, 7)
        .no_value(NO_STATSD),
        Table(
            "Files with import errors",
            "Files that cannot be imported, and since when Airflow has known. The message is in Airflow's"
            " UI. Source: API.",
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
        .no_value("no import errors"),
        TimeSeries(
            "Parse timeouts and callbacks per minute",
            "Parsing processes that were killed because a file took too long, and callbacks that the DAG"
            " processor was asked to run. Source: StatsD.",
            Query(statsd_per_minute("airflow_dag_processor_timeouts_total"), "timeouts"),
            Query(statsd_per_minute("airflow_dag_processor_callbacks_total"), "callbacks"),
        )
        .unit("short")
        .colors({"timeouts": RED, "callbacks": BLUE})
        .no_value(NO_STATSD),
        TimeSeries(
            "Cache hits of serialized DAGs",
            "Share of look-ups that found their DAG in the cache, by component. Source: StatsD.",
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
