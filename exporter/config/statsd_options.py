"""The options of the StatsD source."""

from __future__ import annotations

from exporter.config import values
from exporter.config.option import Option
from exporter.config.settings import Settings
from exporter.config.values import Form

DEFAULTS = Settings()
MAPPING_CONFIG = "statsd.mapping_config"
OPTIONS = (
    Option(
        "statsd.listen_udp",
        values.ADDRESS,
        "Address to receive StatsD on over UDP; empty for none",
        DEFAULTS.reception.listen_udp,
    ),
    Option(
        "statsd.listen_tcp",
        values.ADDRESS,
        "Address to receive StatsD on over TCP; empty for none",
        DEFAULTS.reception.listen_tcp,
    ),
    Option("statsd.listen_unixgram", values.OWN_FILE, "Path of a Unix datagram socket to receive StatsD on"),
    Option("statsd.listen_unix", values.OWN_FILE, "Path of a Unix stream socket to receive StatsD on"),
    Option(
        "statsd.unix_socket_mode",
        values.MODE,
        "Permissions of these sockets, in octal digits",
        DEFAULTS.reception.unix_socket_mode,
    ),
    Option(
        "statsd.idle_timeout",
        values.duration(0),
        "How long a connection (TCP, Unix stream) may be silent before it is closed; 0 for ever",
        DEFAULTS.reception.idle_timeout,
    ),
    Option(
        "statsd.receive_buffer",
        values.whole(0),
        "Bytes of receive buffer for UDP; where the kernel grants one socket less (net.core.rmem_max, without the "
        "capability NET_ADMIN), up to 16 sockets share the port; 0 for sockets as the system makes them",
        DEFAULTS.reception.receive_buffer,
    ),
    Option(
        "statsd.relay_address",
        values.ADDRESS,
        "Another StatsD, to which all lines are passed on as they came, over UDP; empty for none",
        DEFAULTS.reception.relay_address,
    ),
    Option(
        MAPPING_CONFIG,
        values.READABLE_FILE,
        "A mapping file of statsd_exporter: names come out as it would print them, instead of ours",
    ),
    Option(
        "statsd.prefix",
        values.TEXT,
        "What Airflow's `statsd_prefix` is; several, where its components differ, joined by commas",
        DEFAULTS.statsd.prefix,
    ),
    Option(
        "statsd.release",
        values.TEXT,
        "Airflow's release, for example 2.11, where its API is not read",
        DEFAULTS.statsd.release,
    ),
    Option(
        "statsd.mode",
        Form("plain|influxdb|datadog", values.parse_optional_choice("plain", "influxdb", "datadog")),
        "The dialect in which Airflow sends; empty where the stream has to tell",
        DEFAULTS.statsd.mode,
    ),
    Option(
        "statsd.legacy_names_on",
        values.SWITCH,
        "What Airflow's `legacy_names_on` is, where its configuration cannot be read",
    ),
    Option(
        "statsd.timer_unit_consistency",
        values.SWITCH,
        "What Airflow's `timer_unit_consistency` is, where its configuration cannot be read",
    ),
    Option(
        "statsd.allow",
        values.REGEX,
        "Users' own metrics whose whole name matches, without the prefix, are let in; empty for all",
    ),
    Option("statsd.deny", values.REGEX, "Users' own metrics whose whole name matches are dropped, allowed or not"),
)
