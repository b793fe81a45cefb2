"""The exporter itself: does it read everything, how old is what it shows, what was lost, and what does it cost?"""

from __future__ import annotations

from grafana.boards.annotation import CHANGES
from grafana.boards.dashboard import Dashboard, Row
from grafana.boards.draw import bar_gauge, graph, stat
from grafana.boards.panel import (
    ANY_IS_BAD,
    GREEN,
    NEUTRAL,
    NO_STATSD,
    ORANGE,
    RED,
    YELLOW,
    Query,
    colored,
    mapping,
    rising,
)
from grafana.boards.promql import STATSD_HEARD, age, host_rate, occurring, or_zero, pick
from grafana.boards.table import Column, Key, table
from grafana.boards.variable import COMMON

OURS = f"and on(instance, job) {pick('airflow_exporter_build_info')}"
"""process_ families are everybody's: only those of exporters are meant."""
YES = mapping({"1": ("yes", GREEN), "0": ("no", RED)})
UP = ((None, RED), (1, GREEN))


HEALTH = Row(
    "Does it read everything?",
    [
        stat(
            "Sources",
            "Whether the newest attempt to read each source went well, over all exporters of this Airflow.",
            Query(pick("airflow_source:up:max"), "{{source}}"),
            "none",
            width=8,
            steps=UP,
            mappings=mapping({"1": ("up", GREEN), "0": ("down", RED)}),
            text="value_and_name",
            filled=True,
        ),
        stat(
            "Oldest data",
            "How long ago the reader that is furthest behind last read with success.",
            age(f"max({pick('airflow_reader:data_age_seconds:min')})"),
            "s",
            steps=rising(900, 1800),
            decimals=0,
        ),
        stat(
            "Readers that fail",
            "Readers whose newest read failed: what they tell is old, and goes after three of their intervals.",
            f"count({pick('airflow_exporter_reader_success')} == 0) or 0 *"
            f" count({pick('airflow_exporter_reader_success')})",
            "none",
            steps=ANY_IS_BAD,
        ),
        stat(
            "Exporters",
            "Exporters of this Airflow that Prometheus can scrape, those on workers among them.",
            f"count({pick('airflow_exporter_build_info')})",
            "none",
            steps=NEUTRAL,
        ),
        stat(
            "Counters outlive a restart",
            "Whether a state file keeps the counters: with --state.file.",
            f"min({pick('airflow_exporter_state_persistent')})",
            "none",
            steps=((None, YELLOW), (1, GREEN)),
            mappings=mapping({"1": ("yes", GREEN), "0": ("no", YELLOW)}),
        ),
        table(
            "Readers",
            "What is read, how old it is, how long a read takes and how long the exporter waits between two.",
            {"source": Key("Source", width=90), "reader": Key("Reader")},
            [
                Column(
                    "Read",
                    f"min by(source, reader) ({pick('airflow_exporter_reader_success')})",
                    mappings=YES,
                    steps=UP,
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
                    steps=rising(0.5, 0.9),
                    bar=True,
                    width=140,
                ),
            ],
            sort="Busy",
            height=10,
        ),
        graph(
            "Reads that failed, a minute",
            "By source and reason.",
            Query(
                occurring("airflow_exporter_source_errors_total", "source", "reason"),
                "{{source}}: {{reason}}",
            ),
            "short",
            height=10,
            no_value="none failed",
        ),
    ],
)
API = Row(
    "What it asks of Airflow's API",
    [
        graph(
            "Requests, a minute",
            "Requests to Airflow's API by their status code.",
            Query(f"60 * sum by(code) ({host_rate('airflow_exporter_api_requests_total')})", "{{code}}"),
            "short",
            stacked=True,
            no_value="API is not read",
        ),
        graph(
            "Time to answer, by endpoint",
            "95 of 100 requests are answered within this time.",
            Query(
                "histogram_quantile(0.95, sum by(le, endpoint) "
                f"({host_rate('airflow_exporter_api_request_duration_seconds_bucket')})) >= 0",
                "{{endpoint}}",
            ),
            "s",
            sparse=True,
            no_value="API is not read",
        ),
        graph(
            "Readers' time",
            "How long each reader's newest read took.",
            Query(f"max by(reader) ({pick('airflow_exporter_reader_duration_seconds')})", "{{reader}}"),
            "s",
        ),
        graph(
            "Clock of Airflow",
            "How far Airflow's clock is ahead of the exporter's, to about a second.",
            Query(pick("airflow_exporter_clock_skew_seconds"), "{{instance}}"),
            "s",
            floor=None,
            no_value="API is not read",
        ),
    ],
)
STATSD = Row(
    "What it hears by StatsD",
    [
        stat(
            "Lines a second, now",
            "StatsD lines received, by all exporters together.",
            f"sum({host_rate('airflow_exporter_statsd_lines_total')})",
            "short",
            width=6,
            steps=NEUTRAL,
            no_value=NO_STATSD,
        ),
        stat(
            "Lost, last five minutes",
            "The share of datagrams that the kernel threw away since the receive buffer was full (StatsD).",
            f"max({pick('airflow_exporter:statsd_kernel_drops:ratio_rate5m')})",
            "percentunit",
            width=6,
            steps=rising(0.0001, 0.01),
            no_value=NO_STATSD,
        ),
        stat(
            "Receive buffer",
            "What the kernel granted for StatsD datagrams, with its bookkeeping.",
            f"min({pick('airflow_exporter_statsd_receive_buffer_bytes')} > 0)",
            "bytes",
            width=6,
            steps=NEUTRAL,
            no_value=NO_STATSD,
        ),
        stat(
            "Names that nothing knows",
            "Different StatsD names without a meaning; a thousand at most are remembered.",
            or_zero(f"max({pick('airflow_exporter_statsd_unmapped_names')})", STATSD_HEARD),
            "short",
            width=6,
            steps=((None, GREEN), (100, YELLOW)),
            no_value=NO_STATSD,
        ),
        graph(
            "StatsD lines, a second",
            "StatsD lines received, by exporter.",
            Query(f"sum by(instance) ({host_rate('airflow_exporter_statsd_lines_total')})", "{{instance}}"),
            "short",
            width=8,
            no_value=NO_STATSD,
        ),
        graph(
            "Lost and unreadable, a minute",
            "Datagrams that the kernel threw away since the buffer was full, and StatsD lines that could not be read.",
            [
                Query(f"60 * sum({host_rate('airflow_exporter_statsd_kernel_drops_total')})", "lost in the kernel"),
                Query(f"60 * sum({host_rate('airflow_exporter_statsd_rejected_total')})", "unreadable"),
            ],
            "short",
            width=8,
            overrides=colored({"lost in the kernel": RED, "unreadable": ORANGE}),
            no_value=NO_STATSD,
        ),
        graph(
            "Left out on purpose, a minute",
            "Values of StatsD that feed nothing, by reason: twins of what the API tells better, names that nothing"
            " knows.",
            Query(occurring("airflow_exporter_statsd_dropped_total", "reason"), "{{reason}}"),
            "short",
            width=8,
            stacked=True,
            no_value="nothing was left out, or needs StatsD",
        ),
    ],
)
COST = Row(
    "What it costs",
    [
        graph(
            "Exporters' CPU",
            "CPUs that each exporter uses.",
            Query(f"{host_rate('process_cpu_seconds_total')} {OURS}", "{{instance}}"),
            "none",
            width=8,
        ),
        graph(
            "Exporters' memory",
            "Resident memory of each exporter.",
            Query(f"{pick('process_resident_memory_bytes')} {OURS}", "{{instance}}"),
            "bytes",
            width=8,
        ),
        graph(
            "Time of a scrape",
            "How long Prometheus takes to scrape each exporter.",
            Query(f"{pick('scrape_duration_seconds')} {OURS}", "{{instance}}"),
            "s",
            width=8,
        ),
        bar_gauge(
            "Families with the most series",
            "Which metrics fill Prometheus: the twelve largest.",
            Query(f"topk(12, sum by(family) ({pick('airflow_exporter_series')}))", "{{family}}"),
            "short",
            height=10,
        ),
        graph(
            "Series and connections turned away",
            "Series that were refused or folded into _other at the cap of their family, and connections and requests to"
            " the exporter that were turned away, a minute.",
            [
                Query(f"60 * sum({host_rate('airflow_exporter_series_dropped_total')})", "series"),
                Query(f"60 * sum({host_rate('airflow_exporter_http_rejected_total')})", "connections and requests"),
            ],
            "short",
            height=10,
        ),
    ],
)
DASHBOARD = Dashboard(
    "airflow-exporter",
    "Airflow / The exporter",
    "Does the exporter read everything, how old is what it shows, what was lost, and what does it cost?",
    COMMON,
    [HEALTH, API, STATSD, COST],
    CHANGES,
)
