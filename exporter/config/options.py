"""All options, declared once: flags, variables, keys of the YAML file, the page /config and docs derive from here."""

from __future__ import annotations

from collections.abc import Collection

from exporter.config import urls, values
from exporter.config.option import AllowedNames, Option, file_only_option
from exporter.config.sections import celery, database, exposition, host, statsd
from exporter.config.sections.error_rules import ERROR_RULES
from exporter.config.settings import Settings
from exporter.metrics.family import Family

DEFAULTS = Settings()
CONFIG_FILE = "config.file"
PASSWORD = "airflow.password"  # noqa: S105 - the option's name
TOKEN = "airflow.token"  # noqa: S105 - the option's name
CLIENT_SECRET = "airflow.oauth2.client_secret"  # noqa: S105 - the option's name


def load_families() -> tuple[Family, ...]:
    """The catalogue, imported only for a file with names of readers or families."""
    from exporter.metrics.catalogue.families import FAMILIES  # noqa: PLC0415

    return FAMILIES


def list_readers() -> Collection[str]:
    """The names of the readers of Airflow's API."""
    return {family.reader for family in load_families() if family.source == "airflow" and family.reader}


def list_families() -> Collection[str]:
    """The names of all metric families."""
    return {family.name for family in load_families()}


def list_histograms() -> Collection[str]:
    """The names of the histograms."""
    return {family.name for family in load_families() if family.buckets}


OPTIONS = (
    Option(
        CONFIG_FILE,
        values.READABLE_FILE,
        "YAML file with any of the options below; flags and environment variables take precedence",
        by_file=False,
    ),
    Option(
        "collector.airflow", values.SWITCH, "Collect metrics from Airflow's REST API", DEFAULTS.collectors["airflow"]
    ),
    Option("collector.statsd", values.SWITCH, "Receive StatsD metrics from Airflow", DEFAULTS.collectors["statsd"]),
    Option(
        "airflow.url",
        urls.BASE_URL,
        "URL of Airflow's API server (3.x) or webserver (2.x), with its base path if it has one",
        DEFAULTS.airflow.url,
    ),
    Option(
        "airflow.public_url",
        urls.BASE_URL,
        "URL of Airflow for browsers, used in links of notifications and dashboards; by default --airflow.url",
        DEFAULTS.airflow.public_url,
    ),
    Option(
        "airflow.username",
        values.TEXT,
        "User name for the API; set its password with --airflow.password-file or AIRFLOW_EXPORTER_AIRFLOW_PASSWORD",
        DEFAULTS.airflow.username,
    ),
    Option("airflow.password_file", values.SECRET_FILE, "File with the password; reloaded when it changes"),
    Option(
        PASSWORD,
        values.TEXT,
        "Password, if it is not in a file; there is no flag, because every user could read it",
        by_flag=False,
        by_file=False,
        secret=True,
    ),
    Option(
        "airflow.token_file",
        values.SECRET_FILE,
        "File with a bearer token, instead of user name and password; reloaded when it changes",
    ),
    Option(
        TOKEN,
        values.TEXT,
        "Bearer token, if it is not in a file; there is no flag, because every user could read it",
        by_flag=False,
        by_file=False,
        secret=True,
    ),
    Option(
        "airflow.oauth2.token_url",
        urls.ENDPOINT_URL,
        "Token URL of the identity provider, for the OAuth2 client credentials grant",
    ),
    Option("airflow.oauth2.client_id", values.TEXT, "OAuth2 client ID"),
    Option("airflow.oauth2.client_secret_file", values.SECRET_FILE, "File with the OAuth2 client secret"),
    Option(
        CLIENT_SECRET,
        values.TEXT,
        "OAuth2 client secret, if it is not in a file; there is no flag, because every user could read it",
        by_flag=False,
        by_file=False,
        secret=True,
    ),
    Option("airflow.oauth2.scope", values.TEXT, "OAuth2 scope to request", ""),
    Option("airflow.oauth2.audience", values.TEXT, "OAuth2 audience to request", ""),
    Option(
        "airflow.headers_file",
        values.SECRET_FILE,
        "File with HTTP headers for every request, one `Name: value` per line; reloaded when it changes",
    ),
    Option(
        "airflow.ca_file",
        values.READABLE_FILE,
        "PEM file with the CA certificates that verify the server, instead of the public ones",
    ),
    Option("airflow.client_certificate_file", values.READABLE_FILE, "PEM file with the client certificate"),
    Option(
        "airflow.client_key_file",
        values.READABLE_FILE,
        "PEM file with the key of the client certificate, if it is not in the same file",
    ),
    Option(
        "airflow.insecure_skip_verify",
        values.SWITCH,
        "Do not verify the certificate of the server; --airflow.ca-file is the better choice",
        DEFAULTS.airflow.insecure_skip_verify,
    ),
    Option(
        "airflow.proxy_url",
        urls.PROXY_URL,
        "URL of an HTTP proxy for requests to Airflow, instead of HTTP_PROXY and HTTPS_PROXY; "
        "a URL with a password is only accepted from the variable or the file",
        DEFAULTS.airflow.proxy_url,
        flag_value_type=urls.PUBLIC_PROXY_URL,
    ),
    Option("airflow.timeout", values.duration_type(0.1), "Timeout of one request", DEFAULTS.airflow.timeout),
    Option(
        "airflow.interval",
        values.duration_type(1),
        "Interval between two reads of DAG runs and task instances; what changes rarely is read less often",
        DEFAULTS.airflow.interval,
    ),
    file_only_option(
        "airflow.intervals",
        values.duration_type(1),
        "Interval between two reads, per reader",
        AllowedNames("reader", list_readers),
    ),
    Option(
        "airflow.include_dags",
        values.REGEX,
        "Collect only DAGs whose id matches completely; empty for all",
    ),
    Option(
        "airflow.exclude_dags",
        values.REGEX,
        "Do not collect DAGs whose id matches completely; takes precedence over --airflow.include-dags",
    ),
    Option(
        "airflow.task_labels",
        values.SWITCH,
        "Metrics per task; if it is off, task_id is empty, run durations have no buckets and run delays no dag_id, "
        "which leaves about 30 % of the series",
        DEFAULTS.airflow.task_labels,
        flag_name="task-labels",
    ),
    Option(
        "airflow.task_histograms",
        values.REGEX,
        "Histograms of the duration of each task, for DAGs whose id matches completely",
    ),
    Option(
        "airflow.read_logs",
        values.SWITCH,
        "Read the end of each failed try's log to find out why it failed; only the class of the error is kept",
        DEFAULTS.airflow.read_logs,
    ),
    Option(
        "airflow.exception_labels",
        values.SWITCH,
        "Count failed tries by the type of their exception too, for example OperationalError",
        DEFAULTS.airflow.exception_labels,
    ),
    Option(
        "airflow.error_rules",
        ERROR_RULES,
        "Rules for the class of failed tries, which come before the rules of the exporter: class, and any of "
        "exception, module, words (regular expressions) and exit_codes",
        DEFAULTS.airflow.error_rules,
        by_flag=False,
        by_variable=False,
    ),
    file_only_option(
        "airflow.limits.parallelism",
        values.whole_number_type(0),
        "Value of Airflow's `[core] parallelism`, if its API does not show the configuration; 0 for unlimited",
    ),
    file_only_option(
        "airflow.limits.worker_concurrency",
        values.whole_number_type(1),
        "Value of Airflow's `[celery] worker_concurrency`, if its API does not show the configuration",
    ),
    file_only_option(
        "airflow.limits.triggerer_capacity",
        values.whole_number_type(1),
        "Maximum number of triggers per triggerer, if Airflow's API does not show the configuration",
    ),
    *host.OPTIONS,
    *statsd.OPTIONS,
    *celery.OPTIONS,
    *database.OPTIONS,
    Option(
        "web.listen_address",
        values.ADDRESSES,
        "Listen address; for several, repeat the flag, or use commas in the variable or a list in the file",
        DEFAULTS.web.listen_addresses,
    ),
    Option(
        "web.config.file",
        values.READABLE_FILE,
        "File that enables TLS, client certificates and basic auth, in the format of Prometheus' exporter-toolkit",
    ),
    Option("web.telemetry_path", urls.URL_PATH, "Path under which to serve metrics", DEFAULTS.web.telemetry_path),
    Option(
        "web.external_url",
        urls.BASE_URL,
        "URL of the exporter for browsers, used in links of notifications and dashboards; by default http://localhost "
        "and the port of --web.listen-address",
        DEFAULTS.web.external_url,
    ),
    Option(
        "web.grafana_url",
        urls.BASE_URL,
        "URL of Grafana for browsers, with its base path if it has one: the page /diagnosis links to its dashboards",
        DEFAULTS.web.grafana_url,
    ),
    Option(
        "web.enable_lifecycle",
        values.SWITCH,
        "Enable reloading the configuration with POST /-/reload",
        DEFAULTS.web.enable_lifecycle,
    ),
    Option(
        "web.max_connections",
        values.whole_number_type(1),
        "Maximum number of simultaneous connections",
        DEFAULTS.web.max_connections,
    ),
    Option(
        "events.file",
        values.OUTPUT_FILE,
        "File to which one JSON line is written for each try and each run that ended, for log shippers; - for standard "
        "output",
    ),
    Option(
        "events.max_bytes",
        values.whole_number_type(0),
        "Size in bytes after which the events file is renamed to FILE.1; 0 for never",
        DEFAULTS.events.max_bytes,
    ),
    Option(
        "events.backups",
        values.whole_number_type(0),
        "Number of renamed events files that are kept",
        DEFAULTS.events.backups,
    ),
    Option("state.file", values.WRITABLE_FILE, "File that keeps counters across restarts; without it they start at 0"),
    *exposition.OPTIONS,
    file_only_option(
        "buckets",
        values.BUCKETS,
        "Upper bounds of buckets, per histogram; a change resets the histogram",
        AllowedNames("histogram", list_histograms),
    ),
    file_only_option(
        "caps",
        values.whole_number_type(1),
        "Maximum number of series, per metric",
        AllowedNames("metric", list_families),
    ),
    Option(
        "log.level",
        values.choice_type("debug", "info", "warn", "error", aliases={"warning": "warn"}),
        "Only log messages with this severity or above",
        DEFAULTS.log_level,
    ),
    Option("log.format", values.choice_type("logfmt", "json"), "Output format of log messages", DEFAULTS.log_format),
)
BY_KEY = {option.key: option for option in OPTIONS}
