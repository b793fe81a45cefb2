"""The effective configuration: plain frozen values that every part reads, whatever they came from.

config.py makes them from flags, environment, file and defaults; nothing here checks or converts.
Intervals and timeouts are in seconds. Secrets stay in their files: only the paths are kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class OAuth2Settings:
    """Client credentials grant, for managed Airflows behind an identity provider."""

    token_url: str
    client_id: str
    client_secret_file: Path | None = None
    scope: str = ""
    audience: str = ""
    client_secret_environment: str = ""
    """The environment variable that holds the secret, where no file does."""


@dataclass(frozen=True, slots=True)
class AirflowSettings:
    """How to reach one Airflow and what to read of it."""

    url: str = "http://localhost:8080"
    public_url: str = ""
    """Where people's browsers reach Airflow; empty where that is `url`."""
    username: str = ""
    password_file: Path | None = None
    password_environment: str = ""
    """The environment variable that holds the password, where no file does."""
    token_file: Path | None = None
    token_environment: str = ""
    """The environment variable that holds the token, where no file does."""
    oauth2: OAuth2Settings | None = None
    headers_file: Path | None = None
    """YAML or `Name: value` lines, sent with every request; read anew when it changes."""
    ca_file: Path | None = None
    client_certificate_file: Path | None = None
    client_key_file: Path | None = None
    insecure_skip_verify: bool = False
    proxy_url: str = ""
    timeout: float = 30.0
    """Of one request."""
    interval: float = 30.0
    intervals: Mapping[str, float] = field(default_factory=dict)
    """Per reader, over what `interval` and the reader's own default give."""
    include_dags: re.Pattern[str] | None = None
    exclude_dags: re.Pattern[str] | None = None
    task_labels: bool = True
    """False leaves `task_id` out: its value is empty in every family that has it."""
    task_histograms: re.Pattern[str] | None = None
    """DAGs whose tasks have duration histograms of their own."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """What Airflow's /config hides: parallelism, worker_concurrency, triggerer_capacity."""


@dataclass(frozen=True, slots=True)
class HostSettings:
    """What to read of the machine and of the processes on it."""

    machine: bool = True
    """False leaves the machine to node_exporter: only Airflow's processes are read."""
    interval: float = 10.0
    procfs: Path = Path("/proc")
    sysfs: Path = Path("/sys")
    rootfs: Path = Path("/")
    task_names_from: str = ""
    """URL of the exporter that knows the names of tries, where this one does not read Airflow's API."""
    task_names_username: str = ""
    task_names_password_file: Path | None = None
    task_names_ca_file: Path | None = None
    task_names_client_certificate_file: Path | None = None
    task_names_client_key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class WebSettings:
    """How metrics are served."""

    listen_addresses: tuple[str, ...] = ("127.0.0.1:10112",)
    telemetry_path: str = "/metrics"
    config_file: Path | None = None
    enable_lifecycle: bool = False
    max_connections: int = 512


@dataclass(frozen=True, slots=True)
class StatsdSettings:
    """What is said of the StatsD stream that it may not say of itself."""

    prefix: str = "airflow"
    """Airflow's `statsd_prefix`; several, where its components differ, joined by commas."""
    release: str = ""
    """Airflow's, for example 2.11, where the API does not tell it."""
    mode: str = ""
    """plain, influxdb or datadog; empty where the stream has to tell."""
    legacy_names_on: bool | None = None
    timer_unit_consistency: bool | None = None
    allow: re.Pattern[str] | None = None
    """Names of users' own metrics that are let in, without the prefix; all where there is none."""
    deny: re.Pattern[str] | None = None
    task_labels: bool = True
    mapping_config: Path | None = None
    """A mapping file of statsd_exporter, by which names come out instead of ours."""


@dataclass(frozen=True, slots=True)
class ReceptionSettings:
    """Where StatsD is received, and where it is forwarded to; empty is nowhere."""

    listen_udp: str = "127.0.0.1:8125"
    listen_tcp: str = "127.0.0.1:8125"
    listen_unixgram: Path | None = None
    listen_unix: Path | None = None
    unix_socket_mode: int = 0o660
    idle_timeout: float = 3600.0
    """Seconds without data after which a connection (TCP, Unix stream) is closed; 0 for never."""
    receive_buffer: int = 4 * 1024 * 1024
    """Bytes of receive buffer for UDP, of all sockets of the port together; 0 for the system's default."""
    relay_address: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything."""

    airflow: AirflowSettings = field(default_factory=AirflowSettings)
    statsd: StatsdSettings = field(default_factory=StatsdSettings)
    reception: ReceptionSettings = field(default_factory=ReceptionSettings)
    host: HostSettings = field(default_factory=HostSettings)
    web: WebSettings = field(default_factory=WebSettings)
    collectors: Mapping[str, bool] = field(default_factory=lambda: {"airflow": True, "statsd": True, "host": True})
    state_file: Path | None = None
    birth_hold: float = 30.0
    """How long a new counter is exposed as 0 before it shows its value."""
    buckets: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Per histogram family name."""
    caps: Mapping[str, int] = field(default_factory=dict)
    """Per family name: the largest number of series."""
    log_level: str = "info"
    log_format: str = "logfmt"


class Setting(NamedTuple):
    """One line of the configuration page: the value is masked, `origin` says where it came from."""

    name: str
    value: str
    origin: str
