"""The options of the StatsD source."""

from __future__ import annotations

import re

from exporter.config import values
from exporter.config.option import Option
from exporter.config.settings import Settings
from exporter.config.values import ValueType

DEFAULTS = Settings()
MAPPING_CONFIG = "statsd.mapping_config"
RELEASE = re.compile(r"[2-9](\.\d|\Z)")
"""How a release begins that the names of StatsD are known of."""


def parse_release(raw: object) -> str:
    """A release of Airflow, or an empty text. Anything else would count as the newest one, with other units."""
    text = values.parse_text(raw).strip()
    if text and not RELEASE.match(text):
        raise ValueError(f"{values.quote_value(raw)} is not a release of Airflow; write for example 2.11 or 3.3.2")
    return text


OPTIONS = (
    Option(
        "statsd.listen_udp",
        values.ADDRESS,
        "Address to receive StatsD over UDP; empty for none",
        DEFAULTS.reception.listen_udp,
    ),
    Option(
        "statsd.listen_tcp",
        values.ADDRESS,
        "Address to receive StatsD over TCP; empty for none",
        DEFAULTS.reception.listen_tcp,
    ),
    Option("statsd.listen_unixgram", values.WRITABLE_FILE, "Path of a Unix datagram socket to receive StatsD"),
    Option("statsd.listen_unix", values.WRITABLE_FILE, "Path of a Unix stream socket to receive StatsD"),
    Option(
        "statsd.unix_socket_mode",
        values.MODE,
        "Permissions of the Unix sockets, as an octal number",
        DEFAULTS.reception.unix_socket_mode,
    ),
    Option(
        "statsd.idle_timeout",
        values.duration_type(0),
        "Idle time after which a connection (TCP, Unix stream) is closed; 0 for never",
        DEFAULTS.reception.idle_timeout,
    ),
    Option(
        "statsd.receive_buffer",
        values.whole_number_type(0),
        "Size of the UDP receive buffer in bytes; if the kernel limits one socket to less (net.core.rmem_max, "
        "without the capability NET_ADMIN), up to 16 sockets share the port; 0 for the system's default",
        DEFAULTS.reception.receive_buffer,
    ),
    Option(
        "statsd.relay_address",
        values.ADDRESS,
        "Address of another StatsD server to which all lines are forwarded unchanged over UDP; empty for none",
        DEFAULTS.reception.relay_address,
    ),
    Option(
        MAPPING_CONFIG,
        values.READABLE_FILE,
        "Mapping file of statsd_exporter; metrics get the names that statsd_exporter would give them",
    ),
    Option(
        "statsd.mapping_mode",
        values.choice_type("replace", "beside"),
        "Whether the mapping file replaces this exporter's names of StatsD metrics, or adds its own beside them",
        DEFAULTS.statsd.mapping_mode,
    ),
    Option(
        "statsd.mapping_max_series",
        values.whole_number_type(1),
        "Maximum number of series that the mapping file adds beside this exporter's names; further ones are dropped",
        DEFAULTS.statsd.mapping_max_series,
    ),
    Option(
        "statsd.prefix",
        values.TEXT,
        "Airflow's `statsd_prefix`; several, joined by commas, if its components use different ones",
        DEFAULTS.statsd.prefix,
    ),
    Option(
        "statsd.release",
        ValueType("TEXT", parse_release),
        "Airflow release, for example 2.11, if its API is not read",
        DEFAULTS.statsd.release,
    ),
    Option(
        "statsd.mode",
        ValueType("plain|influxdb|datadog", values.parse_optional_choice("plain", "influxdb", "datadog")),
        "StatsD dialect that Airflow sends; if empty it is detected",
        DEFAULTS.statsd.mode,
    ),
    Option(
        "statsd.legacy_names_on",
        values.SWITCH,
        "Airflow's `legacy_names_on`, if its configuration cannot be read",
    ),
    Option(
        "statsd.timer_unit_consistency",
        values.SWITCH,
        "Airflow's `timer_unit_consistency`, if its configuration cannot be read",
    ),
    Option(
        "statsd.allow",
        values.REGEX,
        "Accept only custom metrics whose whole name, without the prefix, matches; empty for all",
    ),
    Option("statsd.deny", values.REGEX, "Drop custom metrics whose whole name matches, even if they are allowed"),
)
