"""Resource usage of exporters, what they reject, and what cannot be read."""

from __future__ import annotations

from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.draw import BarGauge, TimeSeries
from grafana.boards.kit.panel import NO_HOST, RED, Query
from grafana.boards.kit.promql import host_rate, pick, rate, total
from grafana.boards.kit.table import Column, Key, Table

OURS = f"and on(instance, job) {pick('airflow_exporter_build_info')}"
"""Selects exporters: other programs expose `process_` metrics too."""
HOST = Row(
    "Host source",
    [
        TimeSeries(
            "Processes found",
            "Processes that the newest scan of /proc found on each host, of all programs. Source: host.",
            Query(pick("airflow_exporter_host_processes"), "{{instance}}"),
        )
        .unit("short")
        .decimals(0)
        .size(8, 7)
        .no_value(NO_HOST),
        Table(
            "Unreadable processes",
            "Airflow processes with a file in /proc that the exporter may not read, so that metrics are"
            " missing. Run the exporter as the user of Airflow's processes, or as root. Source: host.",
            {"instance": Key("Host"), "file": Key("File", width=100), "reason": Key("Reason", width=110)},
            [
                Column(
                    "Processes",
                    f"max by(instance, file, reason) ({pick('airflow_exporter_host_unreadable_processes')}) > 0",
                    decimals=0,
                    thresholds=((None, RED),),
                    width=100,
                )
            ],
        )
        .size(8, 7)
        .no_value("all readable, or needs the host source"),
        Table(
            "Missing machine metrics",
            "Parts of the machine that could not be read: their metrics are missing. The exporter's log has"
            " the reason. Source: host.",
            {"instance": Key("Host"), "part": Key("Part", width=130), "reason": Key("Reason", width=110)},
            [
                Column(
                    "Missing",
                    f"max by(instance, part, reason) ({pick('airflow_exporter_host_unreadable_parts')}) > 0",
                    decimals=0,
                    thresholds=((None, RED),),
                    width=90,
                )
            ],
        )
        .size(8, 7)
        .no_value("all readable, or needs the host source"),
    ],
)
KEPT = Row(
    "API gaps and state file",
    [
        TimeSeries(
            "Unreadable API rows",
            "Rows that are left out because Airflow's API answers HTTP 500 for them, by endpoint. Airflow's"
            " log has the reason. Source: exporter.",
            Query(f"max by(endpoint) ({pick('airflow_exporter_api_unreadable_rows')}) > 0", "{{endpoint}}"),
        )
        .unit("short")
        .decimals(0)
        .size(6)
        .no_value("none, or no API"),
        TimeSeries(
            "Unanswered API objects",
            "DAGs, runs and task instances for which Airflow's API answers with an error. The exporter"
            " continues without them. Source: exporter.",
            Query(f"max by(reader) ({pick('airflow_exporter_reader_unanswered_objects')}) > 0", "{{reader}}"),
        )
        .unit("short")
        .decimals(0)
        .size(6)
        .no_value("none, or no API"),
        TimeSeries(
            "Age of the state file",
            "Time since counters were last written to the state file, by exporter. A crash loses what came"
            " later. If it grows, check the disk. Source: exporter.",
            Query(
                f"clamp_min(time() - ({pick('airflow_exporter_state_last_write_timestamp_seconds')} > 0), 0)",
                "{{instance}}",
            ),
        )
        .unit("s")
        .size(6)
        .no_value("no state file"),
        TimeSeries(
            "State file restored, rows lost, per minute",
            "How often the state file was deleted or replaced while in use and written again, and rows of it"
            " that could not be read. Source: exporter.",
            Query(f"60 * sum({host_rate('airflow_exporter_state_recoveries_total')})", "restored"),
            Query(f"60 * sum({host_rate('airflow_exporter_state_lost_rows_total')})", "rows lost"),
        )
        .unit("short")
        .size(6),
    ],
)
COST = Row(
    "Resource usage of the exporter",
    [
        TimeSeries(
            "Exporter CPU",
            "CPUs that each exporter uses. Source: exporter.",
            Query(f"{host_rate('process_cpu_seconds_total')} {OURS}", "{{instance}}"),
        )
        .unit("none")
        .size(8),
        TimeSeries(
            "Exporter memory",
            "Resident memory of each exporter. Source: exporter.",
            Query(f"{pick('process_resident_memory_bytes')} {OURS}", "{{instance}}"),
        )
        .unit("bytes")
        .size(8),
        TimeSeries(
            "Scrape duration",
            "How long Prometheus takes to scrape each exporter. Keep it far below the scrape timeout."
            " Sources: exporter, Prometheus.",
            Query(f"{pick('scrape_duration_seconds')} {OURS}", "{{instance}}"),
        )
        .unit("s")
        .size(8),
        TimeSeries(
            "Exporter open files",
            "Open file descriptors of each exporter as a share of its limit. Source: exporter.",
            Query(f"{pick('process_open_fds')} / ({pick('process_max_fds')} > 0) {OURS}", "{{instance}}"),
        )
        .unit("percentunit")
        .size(8),
        TimeSeries(
            "Exporter connections",
            "Open HTTP connections to each exporter. Source: exporter.",
            Query(pick("airflow_exporter_http_open_connections"), "{{instance}}"),
        )
        .unit("short")
        .decimals(0)
        .size(8),
        TimeSeries(
            "Attempts with unknown outcome per hour",
            "Attempts whose outcome can no longer be determined, by reason. They are in no failure rate. Source: API.",
            Query(f"3600 * {total(rate('airflow_task_tries_unaccounted_total'), 'reason')}", "{{reason}}"),
        )
        .unit("short")
        .size(8)
        .no_value("none, or no API"),
        BarGauge(
            "Metrics with the most series",
            "The twelve metrics that store the most series in Prometheus. Source: exporter.",
            Query(f"topk(12, sum by(family) ({pick('airflow_exporter_series')}))", "{{family}}"),
        )
        .unit("short")
        .size(height=10),
        TimeSeries(
            "Rejected series and connections per minute",
            "Series that were dropped or added to _other at the cap of their metric, and HTTP connections"
            " and requests that were refused. For series, see the caps in the configuration. Source:"
            " exporter.",
            Query(f"60 * sum({host_rate('airflow_exporter_series_dropped_total')})", "series"),
            Query(f"60 * sum({host_rate('airflow_exporter_http_rejected_total')})", "connections and requests"),
        )
        .unit("short")
        .size(height=10),
    ],
)
