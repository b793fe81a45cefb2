"""What exporters use, what they turn away, and what the host source cannot read."""

from __future__ import annotations

from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.draw import BarGauge, TimeSeries
from grafana.boards.kit.panel import NO_HOST, RED, Query
from grafana.boards.kit.promql import host_rate, pick, rate, total
from grafana.boards.kit.table import Column, Key, Table

OURS = f"and on(instance, job) {pick('airflow_exporter_build_info')}"
"""process_ families are everybody's: only those of exporters are meant."""
HOST = Row(
    "What it reads of hosts",
    [
        TimeSeries(
            "Processes found",
            "Processes that the newest walk over /proc found on each host, whatever they are (host source).",
            Query(pick("airflow_exporter_host_processes"), "{{instance}}"),
        )
        .unit("short")
        .decimals(0)
        .size(8, 7)
        .no_value(NO_HOST),
        Table(
            "Processes that cannot be read",
            "Airflow's processes of which a file of /proc could not be read (host source): what it would show is"
            " absent. The exporter runs as the user of Airflow's processes, or as root.",
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
        .no_value("all can be read, or needs the host source"),
        Table(
            "Readings of the machine that are missing",
            "Parts of the machine's readings that could not be read (host source): their metrics are absent.",
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
        .no_value("all can be read, or needs the host source"),
    ],
)
KEPT = Row(
    "What Airflow does not answer, and the state file",
    [
        TimeSeries(
            "Rows that Airflow cannot serve",
            "Rows of Airflow's lists that are left out because Airflow answers HTTP 500 for them, by endpoint.",
            Query(f"max by(endpoint) ({pick('airflow_exporter_api_unreadable_rows')}) > 0", "{{endpoint}}"),
        )
        .unit("short")
        .decimals(0)
        .size(6)
        .no_value("none, or the API is not read"),
        TimeSeries(
            "Objects without an answer",
            "DAGs, runs and task instances for which Airflow answers with an error: the reader goes on without them.",
            Query(f"max by(reader) ({pick('airflow_exporter_reader_unanswered_objects')}) > 0", "{{reader}}"),
        )
        .unit("short")
        .decimals(0)
        .size(6)
        .no_value("none, or the API is not read"),
        TimeSeries(
            "Age of the state file",
            "Time since counters were last written to the state file, by exporter. A restart loses what came later.",
            Query(
                f"clamp_min(time() - ({pick('airflow_exporter_state_last_write_timestamp_seconds')} > 0), 0)",
                "{{instance}}",
            ),
        )
        .unit("s")
        .size(6)
        .no_value("no exporter has a state file"),
        TimeSeries(
            "State file put back, rows lost",
            "How often a state file was deleted or replaced while in use and written again, and rows of it that could"
            " not be read, a minute.",
            Query(f"60 * sum({host_rate('airflow_exporter_state_recoveries_total')})", "put back"),
            Query(f"60 * sum({host_rate('airflow_exporter_state_lost_rows_total')})", "rows lost"),
        )
        .unit("short")
        .size(6),
    ],
)
COST = Row(
    "What it costs",
    [
        TimeSeries(
            "Exporters' CPU",
            "CPUs that each exporter uses.",
            Query(f"{host_rate('process_cpu_seconds_total')} {OURS}", "{{instance}}"),
        )
        .unit("none")
        .size(8),
        TimeSeries(
            "Exporters' memory",
            "Resident memory of each exporter.",
            Query(f"{pick('process_resident_memory_bytes')} {OURS}", "{{instance}}"),
        )
        .unit("bytes")
        .size(8),
        TimeSeries(
            "Time of a scrape",
            "How long Prometheus takes to scrape each exporter.",
            Query(f"{pick('scrape_duration_seconds')} {OURS}", "{{instance}}"),
        )
        .unit("s")
        .size(8),
        TimeSeries(
            "Exporters' open files",
            "File descriptors that each exporter has open, of those that it may have.",
            Query(f"{pick('process_open_fds')} / ({pick('process_max_fds')} > 0) {OURS}", "{{instance}}"),
        )
        .unit("percentunit")
        .size(8),
        TimeSeries(
            "Exporters' connections",
            "Connections to each exporter that are open.",
            Query(pick("airflow_exporter_http_open_connections"), "{{instance}}"),
        )
        .unit("short")
        .decimals(0)
        .size(8),
        TimeSeries(
            "Tries without an end, an hour",
            "Tries that are known to have been but whose outcome can no longer be determined, by reason.",
            Query(f"3600 * {total(rate('airflow_task_tries_unaccounted_total'), 'reason')}", "{{reason}}"),
        )
        .unit("short")
        .size(8)
        .no_value("none, or the API is not read"),
        BarGauge(
            "Families with the most series",
            "Which metrics fill Prometheus: the twelve largest.",
            Query(f"topk(12, sum by(family) ({pick('airflow_exporter_series')}))", "{{family}}"),
        )
        .unit("short")
        .size(height=10),
        TimeSeries(
            "Series and connections turned away",
            "Series that were refused or folded into _other at the cap of their family, and connections and requests to"
            " the exporter that were turned away, a minute.",
            Query(f"60 * sum({host_rate('airflow_exporter_series_dropped_total')})", "series"),
            Query(f"60 * sum({host_rate('airflow_exporter_http_rejected_total')})", "connections and requests"),
        )
        .unit("short")
        .size(height=10),
    ],
)
