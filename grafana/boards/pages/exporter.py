"""The exporter itself: whether it reads everything, the age of its data, losses, and its resource usage."""

from __future__ import annotations

from grafana.boards.kit.annotation import CHANGES
from grafana.boards.kit.dashboard import Dashboard, Row
from grafana.boards.kit.draw import Stat, TimeSeries
from grafana.boards.kit.panel import ANY_IS_BAD, GREEN, NEUTRAL, RED, YELLOW, Query, rising
from grafana.boards.kit.promql import age, host_rate, occurring, pick
from grafana.boards.kit.table import Column, Key, Table
from grafana.boards.kit.variable import COMMON
from grafana.boards.rows.exporter_cost import COST, HOST, KEPT
from grafana.boards.rows.exporter_statsd import STATSD

CONFIG_LOADED = "airflow_exporter_config_last_reload_success_timestamp_seconds"
WEB_CONFIG_REJECTED = "airflow_exporter_web_config_reload_failures_total"
YES = {"1": ("yes", GREEN), "0": ("no", RED)}
UP = ((None, RED), (1, GREEN))


HEALTH = Row(
    "Health of the exporter",
    [
        Stat(
            "Sources",
            "Whether the newest read of each source succeeded, on any exporter of this Airflow. If one is"
            " down, see its errors below and the exporter's log. Source: exporter.",
            Query(pick("airflow_source:up:max"), "{{source}}"),
        )
        .unit("none")
        .thresholds(UP)
        .value_mappings({"1": ("up", GREEN), "0": ("down", RED)})
        .filled_with_name()
        .size(8),
        Stat(
            "Oldest data",
            "Time since the last successful read of the reader that is furthest behind, of those that read at least"
            " every quarter of an hour. Source: exporter.",
            age(
                f"max({pick('airflow_reader:data_age_seconds:min')} unless on(airflow, source, reader)"
                f" {pick('airflow_reader:interval_seconds:max')} > 900)"
            ),
        )
        .unit("s")
        .decimals(0)
        .thresholds(rising(900, 1800)),
        Stat(
            "Failing readers",
            "Readers whose newest read failed. Their metrics are old, and disappear after three of their"
            " intervals. Source: exporter.",
            f"count({pick('airflow_exporter_reader_success')} == 0) or 0 *"
            f" count({pick('airflow_exporter_reader_success')})",
        )
        .unit("none")
        .thresholds(ANY_IS_BAD),
        Stat(
            "Exporters",
            "Exporters of this Airflow that Prometheus scrapes, including those on workers. Source: exporter.",
            f"count({pick('airflow_exporter_build_info')})",
        )
        .unit("none")
        .thresholds(NEUTRAL),
        Stat(
            "Counters are persistent",
            "Whether counters survive a restart in a state file. If not, set --state.file. Source: exporter.",
            f"min({pick('airflow_exporter_state_persistent')})",
        )
        .unit("none")
        .thresholds(((None, YELLOW), (1, GREEN)))
        .value_mappings({"1": ("yes", GREEN), "0": ("no", YELLOW)}),
        Table(
            "Exporter instances",
            "Each exporter: whether it accepted its newest configuration and web configuration, when it"
            " loaded it, and the oldest successful read of its sources. Source: exporter.",
            {"instance": Key("Exporter")},
            [
                Column(
                    "Configuration",
                    f"min by(instance) ({pick('airflow_exporter_config_last_reload_successful')})",
                    mappings={"1": ("accepted", GREEN), "0": ("rejected", RED)},
                    width=120,
                ),
                Column(
                    "Loaded",
                    f"1000 * max by(instance) ({pick(CONFIG_LOADED)})",
                    "dateTimeFromNow",
                    width=140,
                ),
                Column(
                    "Rejected web configs",
                    f"sum by(instance) (increase({pick(WEB_CONFIG_REJECTED)}[$__range]))",
                    decimals=0,
                    thresholds=((None, "text"), (1, RED)),
                    width=190,
                ),
                Column(
                    "Sources last read",
                    f"1000 * min by(instance) ({pick('airflow_exporter_source_last_success_timestamp_seconds')})",
                    "dateTimeFromNow",
                    width=150,
                ),
                Column(
                    "Open connections",
                    f"max by(instance) ({pick('airflow_exporter_http_open_connections')})",
                    decimals=0,
                    width=140,
                ),
            ],
        )
        .sort_by("Configuration", ascending=True)
        .size(24, 5),
        Table(
            "Readers",
            "Each reader: whether its newest read succeeded, its age, its duration and its interval. A"
            " reader that is busy nearly all the time has too much to read. Source: exporter.",
            {"source": Key("Source", width=90), "reader": Key("Reader")},
            [
                Column(
                    "Success",
                    f"min by(source, reader) ({pick('airflow_exporter_reader_success')})",
                    mappings=YES,
                    thresholds=UP,
                    width=80,
                ),
                Column(
                    "Age",
                    age(f"max by(source, reader) ({pick('airflow_reader:data_age_seconds:min')})"),
                    "s",
                    decimals=0,
                    width=90,
                ),
                Column(
                    "Duration",
                    f"max by(source, reader) ({pick('airflow_exporter_reader_duration_seconds')})",
                    "s",
                    width=90,
                ),
                Column(
                    "Interval",
                    f"max by(source, reader) ({pick('airflow_reader:interval_seconds:max')})",
                    "s",
                    decimals=0,
                    width=90,
                ),
                Column(
                    "Busy",
                    f"max by(source, reader) ({pick('airflow_reader:duration_over_interval:ratio')})",
                    "percentunit",
                    thresholds=rising(0.5, 0.9),
                    bar=True,
                    width=140,
                ),
            ],
        )
        .sort_by("Busy")
        .size(height=10),
        TimeSeries(
            "Failed reads per minute",
            "Failed reads by source and reason. The exporter's log has the error and what to do. Source: exporter.",
            Query(
                occurring("airflow_exporter_source_errors_total", "source", "reason"),
                "{{source}}: {{reason}}",
            ),
        )
        .unit("short")
        .size(height=10)
        .no_value("none failed"),
    ],
)
API = Row(
    "API requests",
    [
        TimeSeries(
            "API requests per minute",
            "Requests to Airflow's API, by status code. Source: exporter.",
            Query(f"60 * sum by(code) ({host_rate('airflow_exporter_api_requests_total')})", "{{code}}"),
        )
        .unit("short")
        .stacked()
        .no_value("needs Airflow's API"),
        TimeSeries(
            "API response time (p95), by endpoint",
            "How long Airflow's API takes to answer the exporter. Source: exporter.",
            Query(
                "histogram_quantile(0.95, sum by(le, endpoint) "
                f"({host_rate('airflow_exporter_api_request_duration_seconds_bucket')})) >= 0",
                "{{endpoint}}",
            ),
        )
        .unit("s")
        .sparse()
        .no_value("needs Airflow's API"),
        TimeSeries(
            "Read duration, by reader",
            "Duration of the newest read of each reader. Source: exporter.",
            Query(f"max by(reader) ({pick('airflow_exporter_reader_duration_seconds')})", "{{reader}}"),
        ).unit("s"),
        TimeSeries(
            "Clock skew",
            "How far the clock of Airflow's API server is ahead of the exporter's, to about a second. If it"
            " is more than a few seconds, check NTP on both machines. Source: exporter.",
            Query(pick("airflow_exporter_clock_skew_seconds"), "{{instance}}"),
        )
        .unit("s")
        .allow_negative()
        .no_value("needs Airflow's API"),
    ],
)
DASHBOARD = Dashboard(
    "airflow-exporter",
    "Airflow / Exporter",
    "Whether the exporter reads everything, how old its data is, what was lost, and which resources it uses.",
    COMMON,
    [HEALTH, API, KEPT, STATSD, HOST, COST],
    CHANGES,
)
