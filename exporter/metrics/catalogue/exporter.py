"""The exporter's own families, and those of its process."""

from functools import partial

from exporter.metrics.catalogue import own_process
from exporter.metrics.family import Family, Kind
from exporter.metrics.reading import REASONS

gauge = partial(Family, kind=Kind.GAUGE)
counter = partial(Family, kind=Kind.COUNTER)
READER = ("source", "reader")
BY_READER = "the supervisor, by reader"

BUILD_INFO = gauge(
    "airflow_exporter_build_info",
    help="1, with the versions of the exporter and of the Python it runs on",
    labels=("version", "python"),
)
UI_INFO = gauge(
    "airflow_ui_info",
    help="1, with the URL of Airflow for people's browsers: <url>/dags/<dag_id> is a DAG's page",
    labels=("url",),
    origin="--airflow.public-url, else --airflow.url",
)
SOURCE_UP = gauge(
    "airflow_exporter_source_up",
    help=(
        "Whether the source is there: the newest attempt to connect went well, its credentials are accepted, and "
        "something was read. Of Airflow its health has to be, within three intervals; an error about one object or one "
        "list does not count"
    ),
    labels=("source",),
)
SOURCE_LAST_SUCCESS = gauge(
    "airflow_exporter_source_last_success_timestamp_seconds",
    help="When the source last read anything with success; absent until then",
    labels=("source",),
)
SOURCE_ERRORS = counter(
    "airflow_exporter_source_errors_total",
    help="Reads that failed, by reason",
    labels=("source", "reason"),
    closed={"reason": REASONS},
)
READER_SUCCESS = gauge(
    "airflow_exporter_reader_success",
    help="Whether the reader's newest read went well",
    labels=READER,
    origin=BY_READER,
)
READER_LAST_SUCCESS = gauge(
    "airflow_exporter_reader_last_success_timestamp_seconds",
    help="When the reader last read with success: the age of its data; absent until then",
    labels=READER,
    origin=BY_READER,
)
READER_DURATION = gauge(
    "airflow_exporter_reader_duration_seconds",
    help="How long the reader's newest read took",
    labels=READER,
    origin=BY_READER,
)
READER_INTERVAL = gauge(
    "airflow_exporter_reader_interval_seconds",
    help="How long the exporter waits between two reads of the reader: longer than configured where Airflow is slow",
    labels=READER,
    origin=BY_READER,
)
READER_UNANSWERED = gauge(
    "airflow_exporter_reader_unanswered_objects",
    help=(
        "DAGs that the reader passes over because Airflow answers an error for each: it asks for them again less and "
        "less often, up to an hour apart"
    ),
    labels=READER,
    origin=BY_READER,
)
CLOCK_SKEW = gauge(
    "airflow_exporter_clock_skew_seconds",
    help="How far Airflow's clock is ahead of the exporter's, to about a second",
    labels=("source",),
    origin="header Date",
)
SERIES = gauge(
    "airflow_exporter_series",
    help="Series that are exposed, by family",
    labels=("family",),
)
SERIES_DROPPED = counter(
    "airflow_exporter_series_dropped_total",
    help="Series refused, or folded into _other, because the family has reached its cap",
    labels=("family",),
)
API_REQUESTS = counter(
    "airflow_exporter_api_requests_total",
    help="Requests to Airflow's API by their status code; error where no answer came",
    labels=("endpoint", "code"),
    cap=1_000,
)
API_REQUEST_DURATION = Family(
    "airflow_exporter_api_request_duration_seconds",
    Kind.HISTOGRAM,
    help="How long Airflow's API took to answer",
    labels=("endpoint",),
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    cap=200,
)
API_UNREADABLE_ROWS = gauge(
    "airflow_exporter_api_unreadable_rows",
    help=(
        "Rows that are left out of the lists that the exporter read last: Airflow answers HTTP 500 for them, or they "
        "cannot be decoded"
    ),
    labels=("endpoint",),
    cap=200,
)
HTTP_REASONS = ("refused", "failed_handshakes", "overdue", "unauthorized", "limited")
HTTP_REJECTED = counter(
    "airflow_exporter_http_rejected_total",
    help="Connections and requests to the exporter that were turned away or cut off, by reason",
    labels=("reason",),
    closed={"reason": HTTP_REASONS},
)
HTTP_CONNECTIONS = gauge(
    "airflow_exporter_http_open_connections",
    help="Connections to the exporter that are open",
)
WEB_CONFIG_FAILURES = counter(
    "airflow_exporter_web_config_reload_failures_total",
    help="Times that a changed web configuration file could not be used; the one before stays in force",
)
STATE_PERSISTENT = gauge(
    "airflow_exporter_state_persistent",
    help="Whether counters outlive a restart: 0 where no state file is configured",
)
STATE_LAST_WRITE = gauge(
    "airflow_exporter_state_last_write_timestamp_seconds",
    help="When the state file was last written with success; absent without a state file and until then",
)
STATE_RECOVERIES = counter(
    "airflow_exporter_state_recoveries_total",
    help="Times that the state file was deleted, replaced or overwritten while it was in use, and was written again",
)
STATE_LOST_ROWS = counter(
    "airflow_exporter_state_lost_rows_total",
    help="Entries of the state file that could not be decoded and were removed; the log says which",
)
CONFIG_RELOAD_SUCCESSFUL = gauge(
    "airflow_exporter_config_last_reload_successful",
    help="Whether the newest attempt to read the configuration went well",
)
CONFIG_RELOAD_TIMESTAMP = gauge(
    "airflow_exporter_config_last_reload_success_timestamp_seconds",
    help="When the configuration was last read with success",
)
STATSD_TRANSPORTS = ("udp", "tcp", "unixgram", "unix")
STATSD_TYPES = {"c": "counter", "g": "gauge", "ms": "timer", "h": "histogram", "d": "distribution"}
"""What the types on the wire are called."""
STATSD_PACKETS = counter(
    "airflow_exporter_statsd_packets_total",
    help="StatsD datagrams received, or pieces of a stream, by transport",
    labels=("transport",),
    closed={"transport": STATSD_TRANSPORTS},
)
STATSD_LINES = counter("airflow_exporter_statsd_lines_total", help="StatsD lines received")
STATSD_EVENTS = counter(
    "airflow_exporter_statsd_events_total",
    help="Values read from StatsD lines, by type",
    labels=("type",),
    closed={"type": tuple(STATSD_TYPES.values())},
)
STATSD_REJECTED = counter(
    "airflow_exporter_statsd_rejected_total",
    help="StatsD lines, or values in one, that could not be read, by reason",
    labels=("reason",),
)
STATSD_DROPPED = counter(
    "airflow_exporter_statsd_dropped_total",
    help="Values read from StatsD lines that feed nothing, by reason",
    labels=("reason",),
)
STATSD_AMBIGUOUS = counter(
    "airflow_exporter_statsd_ambiguous_total",
    help="Names whose dots could be split into ids in several ways, each time one was worked out",
)
STATSD_UNMAPPED = gauge(
    "airflow_exporter_statsd_unmapped_names",
    help="Different names that nothing knows; a thousand at most are remembered",
)
STATSD_LOST = counter(
    "airflow_exporter_statsd_kernel_drops_total",
    help="Datagrams that the kernel threw away because the receive buffer was full",
    origin="SO_RXQ_OVFL",
)
STATSD_BUFFER = gauge(
    "airflow_exporter_statsd_receive_buffer_bytes",
    help="Receive buffers of the UDP sockets that the kernel granted, with its bookkeeping",
    origin="SO_RCVBUF",
)
STATSD_REFUSED = counter(
    "airflow_exporter_statsd_refused_connections_total",
    help="StatsD connections that were closed because too many are open",
)
STATSD_CONNECTIONS = gauge(
    "airflow_exporter_statsd_connections",
    help="StatsD connections (TCP, Unix streams) that are open",
)
STATSD_CLOSED = counter(
    "airflow_exporter_statsd_closed_connections_total",
    help="StatsD connections that the exporter closed: idle for too long, or idle for longest when room was needed",
    labels=("reason",),
    closed={"reason": ("idle", "room")},
)
STATSD_ACCEPT_FAILURES = counter(
    "airflow_exporter_statsd_accept_failures_total",
    help="Times that a StatsD connection could not be accepted, mostly because file descriptors ran out",
)
STATSD_RELAYED = counter(
    "airflow_exporter_statsd_relayed_packets_total",
    help="Datagrams passed on to another StatsD",
)
STATSD_RELAY_LOST = counter(
    "airflow_exporter_statsd_relay_lost_packets_total",
    help="Datagrams for another StatsD that could not be sent at once",
)
STATSD_RELAY_UP = gauge(
    "airflow_exporter_statsd_relay_up",
    help="Whether the address of the other StatsD is known; 0 while its name does not resolve",
)

STATSD_FAMILIES = (
    STATSD_PACKETS,
    STATSD_LINES,
    STATSD_EVENTS,
    STATSD_REJECTED,
    STATSD_DROPPED,
    STATSD_AMBIGUOUS,
    STATSD_UNMAPPED,
    STATSD_LOST,
    STATSD_BUFFER,
    STATSD_CONNECTIONS,
    STATSD_REFUSED,
    STATSD_CLOSED,
    STATSD_ACCEPT_FAILURES,
    STATSD_RELAYED,
    STATSD_RELAY_LOST,
    STATSD_RELAY_UP,
)
FAMILIES = (
    BUILD_INFO,
    UI_INFO,
    SOURCE_UP,
    SOURCE_LAST_SUCCESS,
    SOURCE_ERRORS,
    READER_SUCCESS,
    READER_LAST_SUCCESS,
    READER_DURATION,
    READER_INTERVAL,
    READER_UNANSWERED,
    CLOCK_SKEW,
    SERIES,
    SERIES_DROPPED,
    API_REQUESTS,
    API_REQUEST_DURATION,
    API_UNREADABLE_ROWS,
    HTTP_REJECTED,
    HTTP_CONNECTIONS,
    WEB_CONFIG_FAILURES,
    STATE_PERSISTENT,
    STATE_LAST_WRITE,
    STATE_RECOVERIES,
    STATE_LOST_ROWS,
    CONFIG_RELOAD_SUCCESSFUL,
    CONFIG_RELOAD_TIMESTAMP,
    *STATSD_FAMILIES,
    *own_process.FAMILIES,
)
