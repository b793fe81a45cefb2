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
    help="1, with the version and the git revision of the exporter, and the version of the Python it runs on",
    labels=("version", "revision", "python"),
)
UI_INFO = gauge(
    "airflow_ui_info",
    help="1, with the URL of Airflow for people's browsers: <url>/dags/<dag_id> is a DAG's page",
    labels=("url",),
    origin="--airflow.public-url, else --airflow.url",
)
EXPORTER_UI_INFO = gauge(
    "airflow_exporter_ui_info",
    help=(
        "1, with the URL of the exporter that reads Airflow's API, for people's browsers: "
        "<url>/failed?dag_id=<dag_id>&task_id=<task_id> leads to the log of the last failed try"
    ),
    labels=("url",),
    origin="--web.external-url, else http://localhost and the port",
)
SOURCE_UP = gauge(
    "airflow_exporter_source_up",
    help=(
        "Whether the source is up: the last attempt to connect succeeded, its credentials are accepted, and something "
        "was read (of Airflow its health, within three intervals); errors about one object or one list do not count"
    ),
    labels=("source",),
)
SOURCE_LAST_SUCCESS = gauge(
    "airflow_exporter_source_last_success_timestamp_seconds",
    help="When a reader of the source last succeeded; absent until then",
    labels=("source",),
)
SOURCE_ERRORS = counter(
    "airflow_exporter_source_errors_total",
    help="Failed reads, by reason",
    labels=("source", "reason"),
    closed={"reason": REASONS},
)
READER_SUCCESS = gauge(
    "airflow_exporter_reader_success",
    help="Whether the reader's last read succeeded",
    labels=READER,
    origin=BY_READER,
)
READER_LAST_SUCCESS = gauge(
    "airflow_exporter_reader_last_success_timestamp_seconds",
    help="When the reader last succeeded, which is the age of its data; absent until then",
    labels=READER,
    origin=BY_READER,
)
READER_DURATION = gauge(
    "airflow_exporter_reader_duration_seconds",
    help="Duration of the reader's last read",
    labels=READER,
    origin=BY_READER,
)
READER_INTERVAL = gauge(
    "airflow_exporter_reader_interval_seconds",
    help="Time between two reads of the reader; longer than configured if Airflow is slow",
    labels=READER,
    origin=BY_READER,
)
READER_UNANSWERED = gauge(
    "airflow_exporter_reader_unanswered_objects",
    help=(
        "DAGs that the reader skips because Airflow returns an error for each; it retries them less and less often, up "
        "to an hour apart"
    ),
    labels=READER,
    origin=BY_READER,
)
CLOCK_SKEW = gauge(
    "airflow_exporter_clock_skew_seconds",
    help="How far Airflow's clock is ahead of the exporter's clock, to about a second",
    labels=("source",),
    origin="header Date",
)
SERIES = gauge(
    "airflow_exporter_series",
    help="Exposed series, by family",
    labels=("family",),
)
SERIES_DROPPED = counter(
    "airflow_exporter_series_dropped_total",
    help="Series dropped, or folded into _other, because the family reached its cap",
    labels=("family",),
)
API_REQUESTS = counter(
    "airflow_exporter_api_requests_total",
    help="Requests to Airflow's API, by HTTP status; code error if there was no reply",
    labels=("endpoint", "code"),
    cap=1_000,
)
API_REQUEST_DURATION = Family(
    "airflow_exporter_api_request_duration_seconds",
    Kind.HISTOGRAM,
    help="Duration of requests to Airflow's API",
    labels=("endpoint",),
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    cap=200,
)
API_UNREADABLE_ROWS = gauge(
    "airflow_exporter_api_unreadable_rows",
    help=(
        "Rows missing from the lists that the exporter read last, because Airflow returns HTTP 500 for them or they "
        "cannot be decoded"
    ),
    labels=("endpoint",),
    cap=200,
)
HTTP_REASONS = ("refused", "failed_handshakes", "overdue", "unauthorized", "limited")
HTTP_REJECTED = counter(
    "airflow_exporter_http_rejected_total",
    help="Connections and requests to the exporter that were rejected or closed early, by reason",
    labels=("reason",),
    closed={"reason": HTTP_REASONS},
)
HTTP_CONNECTIONS = gauge(
    "airflow_exporter_http_open_connections",
    help="Open connections to the exporter",
)
WEB_CONFIG_FAILURES = counter(
    "airflow_exporter_web_config_reload_failures_total",
    help="Failed reloads of the web configuration file; the last valid one stays in use",
)
STATE_PERSISTENT = gauge(
    "airflow_exporter_state_persistent",
    help="Whether counters continue after a restart; 0 without a state file",
)
STATE_LAST_WRITE = gauge(
    "airflow_exporter_state_last_write_timestamp_seconds",
    help="When the state file was last written; absent before the first write and without a state file",
)
STATE_RECOVERIES = counter(
    "airflow_exporter_state_recoveries_total",
    help="Times that the state file was deleted, replaced or overwritten while in use, and was restored",
)
EVENT_OUTCOMES = ("written", "write_failed", "dropped")
EVENTS = counter(
    "airflow_exporter_events_total",
    help=(
        "Lines of the events file that were written, attempts to write that failed and are repeated (disk full), and "
        "events that were dropped because too many waited; absent without --events.file"
    ),
    labels=("outcome",),
    audience="operators who ship the events file: for an alert on write_failed or dropped",
)
STATE_LOST_ROWS = counter(
    "airflow_exporter_state_lost_rows_total",
    help="Entries of the state file that were removed because they could not be decoded; see the log",
)
CONFIG_RELOAD_SUCCESSFUL = gauge(
    "airflow_exporter_config_last_reload_successful",
    help="Whether the last attempt to load the configuration succeeded",
)
CONFIG_RELOAD_TIMESTAMP = gauge(
    "airflow_exporter_config_last_reload_success_timestamp_seconds",
    help="When the configuration was last loaded successfully",
)
STATSD_TRANSPORTS = ("udp", "tcp", "unixgram", "unix")
STATSD_TYPES = {"c": "counter", "g": "gauge", "ms": "timer", "h": "histogram", "d": "distribution"}
"""What the types on the wire are called."""
STATSD_PACKETS = counter(
    "airflow_exporter_statsd_packets_total",
    help="StatsD datagrams, or chunks of a stream, received, by transport",
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
    help="StatsD lines, or single values in a line, that could not be parsed, by reason",
    labels=("reason",),
)
STATSD_DROPPED = counter(
    "airflow_exporter_statsd_dropped_total",
    help="Values of StatsD lines that were parsed but not counted, by reason",
    labels=("reason",),
)
STATSD_AMBIGUOUS = counter(
    "airflow_exporter_statsd_ambiguous_total",
    help="Times that a StatsD name could be split into ids in several ways",
)
STATSD_UNMAPPED = gauge(
    "airflow_exporter_statsd_unmapped_names",
    help="Distinct StatsD names that no rule matches; at most 1,000 are remembered",
)
STATSD_LOST = counter(
    "airflow_exporter_statsd_kernel_drops_total",
    help="Datagrams that the kernel dropped because the receive buffer was full",
    origin="SO_RXQ_OVFL",
)
STATSD_BUFFER = gauge(
    "airflow_exporter_statsd_receive_buffer_bytes",
    help="Size of the UDP receive buffers that the kernel granted, including its overhead",
    origin="SO_RCVBUF",
)
STATSD_REFUSED = counter(
    "airflow_exporter_statsd_refused_connections_total",
    help="StatsD connections that were refused because too many are open",
)
STATSD_CONNECTIONS = gauge(
    "airflow_exporter_statsd_connections",
    help="Open StatsD connections (TCP and Unix streams)",
)
STATSD_CLOSED = counter(
    "airflow_exporter_statsd_closed_connections_total",
    help="StatsD connections that the exporter closed: idle for too long, or idle the longest when room was needed",
    labels=("reason",),
    closed={"reason": ("idle", "room")},
)
STATSD_ACCEPT_FAILURES = counter(
    "airflow_exporter_statsd_accept_failures_total",
    help="StatsD connections that could not be accepted, usually because there were no free file descriptors",
)
STATSD_RELAYED = counter(
    "airflow_exporter_statsd_relayed_packets_total",
    help="Datagrams relayed to another StatsD server",
)
STATSD_RELAY_LOST = counter(
    "airflow_exporter_statsd_relay_lost_packets_total",
    help="Datagrams for the other StatsD server that were dropped because they could not be sent at once",
)
STATSD_RELAY_UP = gauge(
    "airflow_exporter_statsd_relay_up",
    help="Whether the address of the other StatsD server is known; 0 while its name cannot be resolved",
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
    EXPORTER_UI_INFO,
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
    EVENTS,
    STATE_LOST_ROWS,
    CONFIG_RELOAD_SUCCESSFUL,
    CONFIG_RELOAD_TIMESTAMP,
    *STATSD_FAMILIES,
    *own_process.FAMILIES,
)
