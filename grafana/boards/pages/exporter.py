"""The exporter itself: does it read everything, how old is what it shows, what was lost, and what does it cost?"""

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

CONFIG_READ = "airflow_exporter_config_last_reload_success_timestamp_seconds"
WEB_CONFIG_REFUSED = "airflow_exporter_web_config_reload_failures_total"
YES = {"1": ("yes", GREEN), "0": ("no", RED)}
UP = ((None, RED), (1, GREEN))


HEALTH = Row(
    "Does it read everything?",
    [
        Stat(
            "Sources",
            "Whether the newest attempt to read each source went well, over all exporters of this Airflow.",
            Query(pick("airflow_source:up:max"), "{{source}}"),
        )
        .unit("none")
        .thresholds(UP)
        .value_mappings({"1": ("up", GREEN), "0": ("down", RED)})
        .filled_with_name()
        .size(8),
        Stat(
            "Oldest data",
            "How long ago the reader that is furthest behind last read with success.",
            age(f"max({pick('airflow_reader:data_age_seconds:min')})"),
        )
        .unit("s")
        .decimals(0)
        .thresholds(rising(900, 1800)),
        Stat(
            "Readers that fail",
            "Readers whose newest read failed: what they tell is old, and goes after three of their intervals.",
            f"count({pick('airflow_exporter_reader_success')} == 0) or 0 *"
            f" count({pick('airflow_exporter_reader_success')})",
        )
        .unit("none")
        .thresholds(ANY_IS_BAD),
        Stat(
            "Exporters",
            "Exporters of this Airflow that Prometheus can scrape, those on workers among them.",
            f"count({pick('airflow_exporter_build_info')})",
        )
        .unit("none")
        .thresholds(NEUTRAL),
        Stat(
            "Counters outlive a restart",
            "Whether a state file keeps the counters: with --state.file.",
            f"min({pick('airflow_exporter_state_persistent')})",
        )
        .unit("none")
        .thresholds(((None, YELLOW), (1, GREEN)))
        .value_mappings({"1": ("yes", GREEN), "0": ("no", YELLOW)}),
        Table(
            "Exporters now",
            "Each exporter: whether its newest configuration and its web configuration file could be read, since"
            " when it has run with this one, and the oldest success of its sources.",
            {"instance": Key("Exporter")},
            [
                Column(
                    "Configuration",
                    f"min by(instance) ({pick('airflow_exporter_config_last_reload_successful')})",
                    mappings={"1": ("in force", GREEN), "0": ("refused", RED)},
                    width=120,
                ),
                Column(
                    "Read",
                    f"1000 * max by(instance) ({pick(CONFIG_READ)})",
                    "dateTimeFromNow",
                    width=140,
                ),
                Column(
                    "Web configurations refused",
                    f"sum by(instance) (increase({pick(WEB_CONFIG_REFUSED)}[$__range]))",
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
            "What is read, how old it is, how long a read takes and how long the exporter waits between two.",
            {"source": Key("Source", width=90), "reader": Key("Reader")},
            [
                Column(
                    "Read",
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
                    "Takes",
                    f"max by(source, reader) ({pick('airflow_exporter_reader_duration_seconds')})",
                    "s",
                    width=90,
                ),
                Column(
                    "Every",
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
            "Reads that failed, a minute",
            "By source and reason.",
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
    "What it asks of Airflow's API",
    [
        TimeSeries(
            "Requests, a minute",
            "Requests to Airflow's API by their status code.",
            Query(f"60 * sum by(code) ({host_rate('airflow_exporter_api_requests_total')})", "{{code}}"),
        )
        .unit("short")
        .stacked()
        .no_value("API is not read"),
        TimeSeries(
            "Time to answer, by endpoint",
            "95 of 100 requests are answered within this time.",
            Query(
                "histogram_quantile(0.95, sum by(le, endpoint) "
                f"({host_rate('airflow_exporter_api_request_duration_seconds_bucket')})) >= 0",
                "{{endpoint}}",
            ),
        )
        .unit("s")
        .sparse()
        .no_value("API is not read"),
        TimeSeries(
            "Readers' time",
            "How long each reader's newest read took.",
            Query(f"max by(reader) ({pick('airflow_exporter_reader_duration_seconds')})", "{{reader}}"),
        ).unit("s"),
        TimeSeries(
            "Clock of Airflow",
            "How far Airflow's clock is ahead of the exporter's, to about a second.",
            Query(pick("airflow_exporter_clock_skew_seconds"), "{{instance}}"),
        )
        .unit("s")
        .allow_negative()
        .no_value("API is not read"),
    ],
)
DASHBOARD = Dashboard(
    "airflow-exporter",
    "Airflow / The exporter",
    "Does the exporter read everything, how old is what it shows, what was lost, and what does it cost?",
    COMMON,
    [HEALTH, API, KEPT, STATSD, HOST, COST],
    CHANGES,
)
