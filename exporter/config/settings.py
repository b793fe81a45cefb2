"""The settings in use, as frozen dataclasses: what `loader` builds from flags, variables, file and defaults.

Nothing here checks or converts. Intervals and timeouts are in seconds. Secrets are not kept, only the paths
of their files or the names of their variables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from exporter.metrics.family import HistogramForm


@dataclass(frozen=True, slots=True)
class OAuth2Settings:
    """OAuth2 client credentials grant, for managed Airflows behind an identity provider."""

    token_url: str
    client_id: str
    client_secret_file: Path | None = None
    scope: str = ""
    audience: str = ""
    client_secret_environment: str = ""
    """The environment variable with the secret, if it is not in a file."""


@dataclass(frozen=True, slots=True)
class ErrorRuleSettings:
    """A user's rule for the class of failed tries; what is empty matches anything."""

    error_class: str
    exception: str = ""
    """A regular expression for the whole name of the exception's type."""
    module: str = ""
    """A regular expression for the beginning of its module."""
    words: str = ""
    """A regular expression that is found in its message, or in the last lines of the log."""
    exit_codes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class AirflowSettings:
    """How to connect to Airflow, and what to read from it."""

    url: str = "http://localhost:8080"
    public_url: str = ""
    """The URL of Airflow for browsers; empty if it is `url`."""
    username: str = ""
    password_file: Path | None = None
    password_environment: str = ""
    """The environment variable with the password, if it is not in a file."""
    token_file: Path | None = None
    token_environment: str = ""
    """The environment variable with the token, if it is not in a file."""
    oauth2: OAuth2Settings | None = None
    headers_file: Path | None = None
    """YAML or `Name: value` lines, sent with every request; reloaded when it changes."""
    ca_file: Path | None = None
    client_certificate_file: Path | None = None
    client_key_file: Path | None = None
    insecure_skip_verify: bool = False
    proxy_url: str = ""
    timeout: float = 30.0
    """Of one request, in seconds."""
    interval: float = 30.0
    intervals: Mapping[str, float] = field(default_factory=dict)
    """Interval by reader; takes precedence over `interval` and the default of the reader."""
    include_dags: re.Pattern[str] | None = None
    exclude_dags: re.Pattern[str] | None = None
    task_labels: bool = True
    """False: the label `task_id` is empty in every family that has it."""
    task_histograms: re.Pattern[str] | None = None
    """DAGs with a duration histogram for each task; None: all with native histograms, else none."""
    native_histograms: bool = False
    """Whether there are native histograms: one series each, so tasks have their own."""
    read_logs: bool = True
    """False: no log of a failed try is read, and its class is unknown."""
    exception_labels: bool = False
    """Count failed tries by the type of their exception too."""
    error_rules: tuple[ErrorRuleSettings, ...] = ()
    """Come before the exporter's own rules for the class of failed tries."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """parallelism, worker_concurrency, triggerer_capacity, if Airflow's API does not show its configuration."""


@dataclass(frozen=True, slots=True)
class HostSettings:
    """What to read of this machine and of its processes."""

    machine: bool = True
    """False: only Airflow's processes are read, because node_exporter reads the machine."""
    interval: float = 10.0
    procfs: Path = Path("/proc")
    sysfs: Path = Path("/sys")
    rootfs: Path = Path("/")
    task_names_from: str = ""
    """URL of the exporter that knows the names of running tasks, if this one does not read Airflow's API."""
    task_names_username: str = ""
    task_names_password_file: Path | None = None
    task_names_ca_file: Path | None = None
    task_names_client_certificate_file: Path | None = None
    task_names_client_key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class CelerySettings:
    """How to connect to Celery's broker, and what to ask the workers."""

    broker_url_file: Path | None = None
    broker_url_environment: str = ""
    """The environment variable with the URL, if it is not in a file."""
    broker_transport_options_file: Path | None = None
    broker_ca_file: Path | None = None
    broker_client_certificate_file: Path | None = None
    broker_client_key_file: Path | None = None
    interval: float = 30.0
    timeout: float = 5.0
    """Of one request to the broker, in seconds."""
    remote_control: bool = True
    reply_timeout: float = 1.0
    """How long the answers of workers are waited for, in seconds."""
    queues: tuple[str, ...] = ()
    """Queues that are read in any case."""


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """How to connect to Airflow's metadata database."""

    url_file: Path | None = None
    url_environment: str = ""
    """The environment variable with the URL, if it is not in a file."""
    interval: float = 30.0
    timeout: float = 5.0
    """Of one statement, and of connecting, in seconds."""
    retention: float = 90 * 86_400.0
    """Age in seconds above which rows should be removed."""
    statement_texts: bool = False
    """Whether the texts of the most expensive statements are shown."""


@dataclass(frozen=True, slots=True)
class WebSettings:
    """The web server."""

    listen_addresses: tuple[str, ...] = ("127.0.0.1:10112",)
    telemetry_path: str = "/metrics"
    config_file: Path | None = None
    enable_lifecycle: bool = False
    max_connections: int = 512
    grafana_url: str = ""
    """The URL of Grafana for browsers; empty for no links to it."""
    external_url: str = ""
    """The URL of this exporter for browsers; empty for http://localhost and the port of the first listen address."""


@dataclass(frozen=True, slots=True)
class EventsSettings:
    """The file with one line for each try and each run that ended."""

    file: Path | None = None
    """`-` is standard output."""
    max_bytes: int = 100_000_000
    """The size after which the file is renamed; 0 for never."""
    backups: int = 3
    """Renamed files that are kept."""


@dataclass(frozen=True, slots=True)
class StatsdSettings:
    """How to interpret the StatsD lines that are received."""

    prefix: str = "airflow"
    """Airflow's `statsd_prefix`; several, where its components differ, joined by commas."""
    release: str = ""
    """Airflow's release, for example 2.11, if the API is not read."""
    mode: str = ""
    """plain, influxdb or datadog; empty to detect it from the lines."""
    legacy_names_on: bool | None = None
    timer_unit_consistency: bool | None = None
    allow: re.Pattern[str] | None = None
    """Names of custom metrics that are accepted, without the prefix; None accepts all."""
    deny: re.Pattern[str] | None = None
    task_labels: bool = True
    mapping_config: Path | None = None
    """A mapping file of statsd_exporter."""
    mapping_mode: str = "replace"
    """replace: its names instead of those of this exporter; beside: both."""
    mapping_max_series: int = 20_000
    """Maximum number of series that the mapping file adds in the mode beside."""

    @property
    def mapping_replaces(self) -> bool:
        """Whether the mapping file replaces the names of this exporter."""
        return self.mapping_mode == "replace"


@dataclass(frozen=True, slots=True)
class ReceptionSettings:
    """Where StatsD is received, and where it is relayed to; empty for none."""

    listen_udp: str = "127.0.0.1:8125"
    listen_tcp: str = "127.0.0.1:8125"
    listen_unixgram: Path | None = None
    listen_unix: Path | None = None
    unix_socket_mode: int = 0o660
    idle_timeout: float = 3600.0
    """Seconds after which an idle connection (TCP, Unix stream) is closed; 0 for never."""
    receive_buffer: int = 4 * 1024 * 1024
    """Bytes of receive buffer for the port; 0 for the default of the system."""
    relay_address: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of the exporter."""

    airflow: AirflowSettings = field(default_factory=AirflowSettings)
    statsd: StatsdSettings = field(default_factory=StatsdSettings)
    reception: ReceptionSettings = field(default_factory=ReceptionSettings)
    host: HostSettings = field(default_factory=HostSettings)
    celery: CelerySettings = field(default_factory=CelerySettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    web: WebSettings = field(default_factory=WebSettings)
    events: EventsSettings = field(default_factory=EventsSettings)
    collectors: Mapping[str, bool] = field(
        default_factory=lambda: {"airflow": True, "statsd": True, "host": True, "celery": False, "database": False}
    )
    state_file: Path | None = None
    birth_hold: float = 30.0
    """Seconds for which a new counter is exposed as 0 before its value is."""
    histograms: HistogramForm = HistogramForm.CLASSIC
    """How histograms are exposed as protobuf."""
    buckets: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Upper bounds by the name of the histogram."""
    caps: Mapping[str, int] = field(default_factory=dict)
    """Maximum number of series by the name of the family."""
    log_level: str = "info"
    log_format: str = "logfmt"

    def for_one_reading(self, **collectors: bool) -> Settings:
        """The settings of a command that reads once: no file is written, and StatsD is not received.

        A running exporter with the same settings may do both. `collectors` are switched on or off beside that.
        """
        chosen = {**self.collectors, **collectors, "statsd": False}
        return replace(self, state_file=None, events=EventsSettings(), collectors=chosen)


class Setting(NamedTuple):
    """One row of the page `/config`: the option, its masked value, and where it was set."""

    name: str
    value: str
    origin: str
