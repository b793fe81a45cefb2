"""Every option, declared once: flags, variables, file keys, the masked view and the docs follow from here."""

from __future__ import annotations

from collections.abc import Collection

from exporter.config import host_options, statsd_options, urls, values
from exporter.config.option import Names, Option, in_file_only
from exporter.config.settings import Settings
from exporter.metrics.family import Family

DEFAULTS = Settings()
CONFIG_FILE = "config.file"
PASSWORD = "airflow.password"  # noqa: S105 - the option's name
TOKEN = "airflow.token"  # noqa: S105 - the option's name
CLIENT_SECRET = "airflow.oauth2.client_secret"  # noqa: S105 - the option's name


def load_families() -> tuple[Family, ...]:
    """The catalogue, which only a file that names readers or families needs."""
    from exporter.metrics.catalogue.families import FAMILIES  # noqa: PLC0415

    return FAMILIES


def find_readers() -> Collection[str]:
    return {family.reader for family in load_families() if family.source == "airflow" and family.reader}


def find_families() -> Collection[str]:
    return {family.name for family in load_families()}


def find_histograms() -> Collection[str]:
    return {family.name for family in load_families() if family.buckets}


OPTIONS = (
    Option(
        CONFIG_FILE,
        values.READABLE_FILE,
        "YAML file with any of the options below; flags and environment variables take precedence",
        by_file=False,
    ),
    Option("collector.airflow", values.SWITCH, "Read Airflow's REST API", DEFAULTS.collectors["airflow"]),
    Option("collector.statsd", values.SWITCH, "Receive StatsD from Airflow", DEFAULTS.collectors["statsd"]),
    Option(
        "airflow.url",
        urls.BASE_URL,
        "URL of Airflow's API server (Airflow 2: web server), including its base path if it has one",
        DEFAULTS.airflow.url,
    ),
    Option(
        "airflow.public_url",
        urls.BASE_URL,
        "URL of Airflow for browsers, used in links in notifications and dashboards; empty if it is --airflow.url",
        DEFAULTS.airflow.public_url,
    ),
    Option(
        "airflow.username",
        values.TEXT,
        "User name; the password comes from --airflow.password-file or the environment variable of the password",
        DEFAULTS.airflow.username,
    ),
    Option("airflow.password_file", values.SECRET_FILE, "File with the password; reloaded when it changes"),
    Option(
        PASSWORD,
        values.TEXT,
        "Password, if it is not in a file; there is no flag because every user of the machine could read it",
        by_flag=False,
        by_file=False,
        secret=True,
    ),
    Option(
        "airflow.token_file",
        values.SECRET_FILE,
        "File with a bearer token, instead of user and password; reloaded when it changes",
    ),
    Option(
        TOKEN,
        values.TEXT,
        "Bearer token, if it is not in a file; there is no flag because every user of the machine could read it",
        by_flag=False,
        by_file=False,
        secret=True,
    ),
    Option(
        "airflow.oauth2.token_url",
        urls.ENDPOINT_URL,
        "Token endpoint of an identity provider, for the OAuth2 client credentials grant",
    ),
    Option("airflow.oauth2.client_id", values.TEXT, "OAuth2 client id"),
    Option("airflow.oauth2.client_secret_file", values.SECRET_FILE, "File with the OAuth2 client secret"),
    Option(
        CLIENT_SECRET,
        values.TEXT,
        "OAuth2 client secret, if it is not in a file; there is no flag because every user of the machine could "
        "read it",
        by_flag=False,
        by_file=False,
        secret=True,
    ),
    Option("airflow.oauth2.scope", values.TEXT, "OAuth2 scope to request", ""),
    Option("airflow.oauth2.audience", values.TEXT, "OAuth2 audience to request", ""),
    Option(
        "airflow.headers_file",
        values.SECRET_FILE,
        "File of headers sent with every request, one `Name: value` per line; reloaded when it changes",
    ),
    Option(
        "airflow.ca_file",
        values.READABLE_FILE,
        "PEM file of the CA certificates to verify the server with, instead of the public ones",
    ),
    Option(
        "airflow.client_certificate_file",
        values.READABLE_FILE,
        "PEM file of the client certificate",
    ),
    Option(
        "airflow.client_key_file",
        values.READABLE_FILE,
        "PEM file of the key of the client certificate, unless the certificate file contains it",
    ),
    Option(
        "airflow.insecure_skip_verify",
        values.SWITCH,
        "Do not verify the server's certificate; prefer --airflow.ca-file",
        DEFAULTS.airflow.insecure_skip_verify,
    ),
    Option(
        "airflow.proxy_url",
        urls.PROXY_URL,
        "HTTP proxy for requests to Airflow, instead of HTTP_PROXY and similar variables; a proxy URL with a "
        "password is accepted only by the variable or the file",
        DEFAULTS.airflow.proxy_url,
        flag_form=urls.PUBLIC_PROXY_URL,
    ),
    Option("airflow.timeout", values.duration(0.1), "Timeout of one request", DEFAULTS.airflow.timeout),
    Option(
        "airflow.interval",
        values.duration(1),
        "Interval of polling runs and task instances; data that rarely changes is polled less often",
        DEFAULTS.airflow.interval,
    ),
    in_file_only(
        "airflow.intervals",
        values.duration(1),
        "Intervals of single readers, by reader name",
        Names("reader", find_readers),
    ),
    Option(
        "airflow.include_dags",
        values.REGEX,
        "Expose only DAGs whose whole id matches; empty for all",
    ),
    Option(
        "airflow.exclude_dags",
        values.REGEX,
        "Exclude DAGs whose whole id matches, even if they are included",
    ),
    Option(
        "airflow.task_labels",
        values.SWITCH,
        "Count by task; if off, task_id is empty, run durations have no buckets and run delays no dag_id, which "
        "leaves about 30 % of the series",
        DEFAULTS.airflow.task_labels,
        flag_name="task-labels",
    ),
    Option(
        "airflow.task_histograms",
        values.REGEX,
        "Expose a duration histogram for each task of DAGs whose whole id matches",
    ),
    in_file_only(
        "airflow.limits.parallelism",
        values.whole(0),
        "Value of `[core] parallelism`, if Airflow hides its configuration; 0 is unlimited",
    ),
    in_file_only(
        "airflow.limits.worker_concurrency",
        values.whole(1),
        "Value of `[celery] worker_concurrency`, if Airflow hides its configuration",
    ),
    in_file_only(
        "airflow.limits.triggerer_capacity",
        values.whole(1),
        "Capacity of one triggerer, if Airflow hides its configuration",
    ),
    *host_options.OPTIONS,
    *statsd_options.OPTIONS,
    Option(
        "web.listen_address",
        values.ADDRESSES,
        "Address to listen on; repeat the flag, separate by commas in the variable, or use a list in the file",
        DEFAULTS.web.listen_addresses,
    ),
    Option(
        "web.config.file",
        values.READABLE_FILE,
        "File that configures TLS, client certificates and users, in the format of Prometheus' exporter-toolkit",
    ),
    Option("web.telemetry_path", values.URL_PATH, "Path under which to expose metrics", DEFAULTS.web.telemetry_path),
    Option(
        "web.enable_lifecycle",
        values.SWITCH,
        "Enable reloading the configuration by POST /-/reload",
        DEFAULTS.web.enable_lifecycle,
    ),
    Option(
        "web.max_connections",
        values.whole(1),
        "Maximum number of open connections",
        DEFAULTS.web.max_connections,
    ),
    Option("state.file", values.OWN_FILE, "File that keeps counters across restarts; without it they start at 0"),
    Option(
        "exposition.birth_hold",
        values.duration(0),
        "How long a new counter is exposed as 0 before its value; must be longer than the scrape interval",
        DEFAULTS.birth_hold,
    ),
    in_file_only(
        "buckets",
        values.BUCKETS,
        "Upper bounds of histograms, by metric name; a changed histogram starts at 0",
        Names("histogram", find_histograms),
    ),
    in_file_only(
        "caps",
        values.whole(1),
        "Maximum number of series, by metric name",
        Names("metric", find_families),
    ),
    Option(
        "log.level",
        values.choice("debug", "info", "warn", "error", aliases={"warning": "warn"}),
        "Lowest level that is logged",
        DEFAULTS.log_level,
    ),
    Option("log.format", values.choice("logfmt", "json"), "Format of log lines", DEFAULTS.log_format),
)
BY_KEY = {option.key: option for option in OPTIONS}
