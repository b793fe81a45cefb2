"""What exporters receive by StatsD, what was lost and what was left out."""

from __future__ import annotations

from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.draw import Stat, TimeSeries
from grafana.boards.kit.panel import GREEN, NEUTRAL, NO_STATSD, ORANGE, RED, YELLOW, Query, rising
from grafana.boards.kit.promql import STATSD_HEARD, host_rate, occurring, or_zero, pick

STATSD = Row(
    "What it hears by StatsD",
    [
        Stat(
            "Lines a second, now",
            "StatsD lines received, by all exporters together.",
            f"sum({host_rate('airflow_exporter_statsd_lines_total')})",
        )
        .unit("short")
        .thresholds(NEUTRAL)
        .size(6)
        .no_value(NO_STATSD),
        Stat(
            "Lost, last five minutes",
            "The share of datagrams that the kernel threw away since the receive buffer was full (StatsD).",
            f"max({pick('airflow_exporter:statsd_kernel_drops:ratio_rate5m')})",
        )
        .unit("percentunit")
        .thresholds(rising(0.0001, 0.01))
        .size(6)
        .no_value(NO_STATSD),
        Stat(
            "Receive buffer",
            "What the kernel granted for StatsD datagrams, with its bookkeeping.",
            f"min({pick('airflow_exporter_statsd_receive_buffer_bytes')} > 0)",
        )
        .unit("bytes")
        .thresholds(NEUTRAL)
        .size(6)
        .no_value(NO_STATSD),
        Stat(
            "Names that nothing knows",
            "Different StatsD names without a meaning; a thousand at most are remembered.",
            or_zero(f"max({pick('airflow_exporter_statsd_unmapped_names')})", STATSD_HEARD),
        )
        .unit("short")
        .thresholds(((None, GREEN), (100, YELLOW)))
        .size(6)
        .no_value(NO_STATSD),
        TimeSeries(
            "StatsD lines, a second",
            "StatsD lines received, by exporter.",
            Query(f"sum by(instance) ({host_rate('airflow_exporter_statsd_lines_total')})", "{{instance}}"),
        )
        .unit("short")
        .size(8)
        .no_value(NO_STATSD),
        TimeSeries(
            "StatsD values by type, a second",
            "Values read from StatsD lines: counters, gauges and timers.",
            Query(f"sum by(type) ({host_rate('airflow_exporter_statsd_events_total')})", "{{type}}"),
        )
        .unit("short")
        .size(8)
        .no_value(NO_STATSD),
        TimeSeries(
            "Ids, connections and relay, a minute",
            "Names of StatsD whose dots could be split into ids in several ways, connections closed because too many"
            " are open, and datagrams passed on to another StatsD and lost on the way.",
            Query(f"60 * sum({host_rate('airflow_exporter_statsd_ambiguous_total')})", "ambiguous names"),
            Query(f"60 * sum({host_rate('airflow_exporter_statsd_refused_connections_total')})", "refused connections"),
            Query(f"60 * sum({host_rate('airflow_exporter_statsd_relayed_packets_total')})", "relayed"),
            Query(f"60 * sum({host_rate('airflow_exporter_statsd_relay_lost_packets_total')})", "lost by the relay"),
        )
        .unit("short")
        .colors({"ambiguous names": YELLOW, "refused connections": ORANGE, "relayed": GREEN, "lost by the relay": RED})
        .size(8)
        .no_value(NO_STATSD),
        TimeSeries(
            "StatsD connections",
            "Connections over TCP and Unix stream sockets, by exporter, and whether the address of the StatsD that"
            " lines are passed on to is known (1) or not (0).",
            Query(f"sum by(instance) ({pick('airflow_exporter_statsd_connections')})", "open, {{instance}}"),
            Query(f"min by(instance) ({pick('airflow_exporter_statsd_relay_up')})", "relay known, {{instance}}"),
        )
        .unit("short")
        .decimals(0)
        .size(12)
        .no_value(NO_STATSD),
        TimeSeries(
            "StatsD connections closed, a minute",
            "Connections that the exporter closed, by reason, and connections that it could not accept.",
            Query(occurring("airflow_exporter_statsd_closed_connections_total", "reason"), "{{reason}}"),
            Query(f"60 * sum({host_rate('airflow_exporter_statsd_accept_failures_total')})", "not accepted"),
        )
        .unit("short")
        .size(12)
        .no_value("none was closed, or needs StatsD"),
        TimeSeries(
            "Lost and unreadable, a minute",
            "Datagrams that the kernel threw away since the buffer was full, and StatsD lines that could not be read.",
            Query(f"60 * sum({host_rate('airflow_exporter_statsd_kernel_drops_total')})", "lost in the kernel"),
            Query(f"60 * sum({host_rate('airflow_exporter_statsd_rejected_total')})", "unreadable"),
        )
        .unit("short")
        .colors({"lost in the kernel": RED, "unreadable": ORANGE})
        .no_value(NO_STATSD),
        TimeSeries(
            "Left out on purpose, a minute",
            "Values of StatsD that feed nothing, by reason: twins of what the API tells better, names that nothing"
            " knows.",
            Query(occurring("airflow_exporter_statsd_dropped_total", "reason"), "{{reason}}"),
        )
        .unit("short")
        .stacked()
        .no_value("nothing was left out, or needs StatsD"),
    ],
)
