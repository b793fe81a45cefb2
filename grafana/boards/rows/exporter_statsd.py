"""What exporters receive by StatsD, what was lost, and what was dropped."""

from __future__ import annotations

from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.draw import Stat, TimeSeries
from grafana.boards.kit.panel import GREEN, NEUTRAL, NO_STATSD, ORANGE, RED, YELLOW, Query, rising
from grafana.boards.kit.promql import STATSD_RECEIVED, host_rate, occurring, or_zero, pick

STATSD = Row(
    "StatsD",
    [
        Stat(
            "Lines per second",
            "StatsD lines received now, by all exporters together. Source: exporter.",
            f"sum({host_rate('airflow_exporter_statsd_lines_total')})",
        )
        .unit("short")
        .thresholds(NEUTRAL)
        .size(6)
        .no_value(NO_STATSD),
        Stat(
            "Lost datagrams, 5m",
            "Share of datagrams that the kernel dropped because the receive buffer was full. Raise"
            " net.core.rmem_max. Source: exporter.",
            f"max({pick('airflow_exporter:statsd_kernel_drops:ratio_rate5m')})",
        )
        .unit("percentunit")
        .thresholds(rising(0.0001, 0.01))
        .size(6)
        .no_value(NO_STATSD),
        Stat(
            "Receive buffer",
            "Size of the kernel's receive buffer for StatsD datagrams, including its overhead. Source: exporter.",
            f"min({pick('airflow_exporter_statsd_receive_buffer_bytes')} > 0)",
        )
        .unit("bytes")
        .thresholds(NEUTRAL)
        .size(6)
        .no_value(NO_STATSD),
        Stat(
            "Unknown names",
            "Different StatsD names that are neither Airflow's nor mapped; at most a thousand are"
            " remembered. Source: exporter.",
            or_zero(f"max({pick('airflow_exporter_statsd_unmapped_names')})", STATSD_RECEIVED),
        )
        .unit("short")
        .thresholds(((None, GREEN), (100, YELLOW)))
        .size(6)
        .no_value(NO_STATSD),
        TimeSeries(
            "StatsD lines per second",
            "StatsD lines received, by exporter. Source: exporter.",
            Query(f"sum by(instance) ({host_rate('airflow_exporter_statsd_lines_total')})", "{{instance}}"),
        )
        .unit("short")
        .size(8)
        .no_value(NO_STATSD),
        TimeSeries(
            "StatsD values per second, by type",
            "Values read from StatsD lines: counters, gauges and timers. Source: exporter.",
            Query(f"sum by(type) ({host_rate('airflow_exporter_statsd_events_total')})", "{{type}}"),
        )
        .unit("short")
        .size(8)
        .no_value(NO_STATSD),
        TimeSeries(
            "Ambiguous names, connections, relay, per minute",
            "Names whose dots can be split into ids in several ways, connections refused because too many"
            " are open, and datagrams that were relayed to another StatsD server or lost on the way. Source:"
            " exporter.",
            Query(f"60 * sum({host_rate('airflow_exporter_statsd_ambiguous_total')})", "ambiguous names"),
            Query(f"60 * sum({host_rate('airflow_exporter_statsd_refused_connections_total')})", "refused connections"),
            Query(f"60 * sum({host_rate('airflow_exporter_statsd_relayed_packets_total')})", "relayed"),
            Query(f"60 * sum({host_rate('airflow_exporter_statsd_relay_lost_packets_total')})", "lost by relay"),
        )
        .unit("short")
        .colors({"ambiguous names": YELLOW, "refused connections": ORANGE, "relayed": GREEN, "lost by relay": RED})
        .size(8)
        .no_value(NO_STATSD),
        TimeSeries(
            "StatsD connections",
            "Open connections over TCP and Unix stream sockets, by exporter, and whether the address of the"
            " relay target is known (1) or not (0). Source: exporter.",
            Query(f"sum by(instance) ({pick('airflow_exporter_statsd_connections')})", "open, {{instance}}"),
            Query(f"min by(instance) ({pick('airflow_exporter_statsd_relay_up')})", "relay target known, {{instance}}"),
        )
        .unit("short")
        .decimals(0)
        .size(12)
        .no_value(NO_STATSD),
        TimeSeries(
            "Closed StatsD connections per minute",
            "Connections that the exporter closed, by reason, and connections that it could not accept."
            " Source: exporter.",
            Query(occurring("airflow_exporter_statsd_closed_connections_total", "reason"), "{{reason}}"),
            Query(f"60 * sum({host_rate('airflow_exporter_statsd_accept_failures_total')})", "not accepted"),
        )
        .unit("short")
        .size(12)
        .no_value("none closed, or needs StatsD"),
        TimeSeries(
            "Lost and malformed per minute",
            "Datagrams that the kernel dropped because the buffer was full, and StatsD lines that could not"
            " be parsed. Source: exporter.",
            Query(f"60 * sum({host_rate('airflow_exporter_statsd_kernel_drops_total')})", "dropped by kernel"),
            Query(f"60 * sum({host_rate('airflow_exporter_statsd_rejected_total')})", "malformed"),
        )
        .unit("short")
        .colors({"dropped by kernel": RED, "malformed": ORANGE})
        .no_value(NO_STATSD),
        TimeSeries(
            "Dropped values per minute",
            "StatsD values that feed no metric, by reason: what the API reports too, and unknown names."
            " Source: exporter.",
            Query(occurring("airflow_exporter_statsd_dropped_total", "reason"), "{{reason}}"),
        )
        .unit("short")
        .stacked()
        .no_value("none dropped, or needs StatsD"),
    ],
)
