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
        "A YAML file with any of the options below; flags and variables come before it",
        by_file=False,
    ),
    Option("collector.airflow", values.SWITCH, "Read Airflow's REST API", DEFAULTS.collectors["airflow"]),
    Option("collector.statsd", values.SWITCH, "Receive StatsD from Airflow", DEFAULTS.collectors["statsd"]),
    Option(
        "airflow.url",
        urls.BASE_URL,
        "Where Airflow's web server or API server is, with its base path if it has one",
        DEFAULTS.airflow.url,
    ),
    Option(
        "airflow.public_url",
        urls.BASE_URL,
        "Where browsers reach Airflow, for links in notifications and dashboards; empty where that is --airflow.url",
        DEFAULTS.airflow.public_url,
    ),
    Option(
        "airflow.username",
        values.TEXT,
        "User to sign in as; the password comes from --airflow.password-file or the variable of the password",
        DEFAULTS.airflow.username,
    ),
    Option("airflow.password_file", values.SECRET_FILE, "File that holds the password, read anew when it changes"),
    Option(
        PASSWORD,
        values.TEXT,
        "Password, where no file holds it; there is no flag, since every user of the machine could read it",
        by_flag=False,
        by_file=False,
        secret=True,
    ),
    Option(
        "airflow.token_file",
        values.SECRET_FILE,
        "File that holds a bearer token, instead of user and password; read anew when it changes",
    ),
    Option(
        TOKEN,
        values.TEXT,
        "Bearer token, where no file holds it; there is no flag, because every user of the machine could read it",
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
    Option("airflow.oauth2.client_secret_file", values.SECRET_FILE, "File that holds the OAuth2 client secret"),
    Option(
        CLIENT_SECRET,
        values.TEXT,
        "OAuth2 client secret, where no file holds it; there is no flag, for the same reason",
        by_flag=False,
        by_file=False,
        secret=True,
    ),
    Option("airflow.oauth2.scope", values.TEXT, "OAuth2 scope to ask for", ""),
    Option("airflow.oauth2.audience", values.TEXT, "OAuth2 audience to ask for", ""),
    Option(
        "airflow.headers_file",
        values.SECRET_FILE,
        "File of headers sent with every request, one `Name: value` a line; read anew when it changes",
    ),
    Option(
        "airflow.ca_file",
        values.READABLE_FILE,
        "PEM file of the authorities that may have signed the server's certificate, instead of the public ones",
    ),
    Option(
        "airflow.client_certificate_file",
        values.READABLE_FILE,
        "PEM file of the certificate that the exporter shows to the server",
    ),
    Option(
        "airflow.client_key_file",
        values.READABLE_FILE,
        "PEM file of that certificate's key, unless the certificate's file holds it too",
    ),
    Option(
        "airflow.insecure_skip_verify",
        values.SWITCH,
        "Do not check the server's certificate; prefer --airflow.ca-file",
        DEFAULTS.airflow.insecure_skip_verify,
    ),
    Option(
        "airflow.proxy_url",
        urls.PROXY_URL,
        "HTTP proxy to reach Airflow through, instead of what HTTP_PROXY and the like say; "
        "with a user and a password only by the variable or the file",
        DEFAULTS.airflow.proxy_url,
        flag_form=urls.PUBLIC_PROXY_URL,
    ),
    Option("airflow.timeout", values.duration(0.1), "How long one request may take", DEFAULTS.airflow.timeout),
    Option(
        "airflow.interval",
        values.duration(1),
        "How often runs and task instances are read; what changes seldom is read less often",
        DEFAULTS.airflow.interval,
    ),
    in_file_only(
        "airflow.intervals",
        values.duration(1),
        "How often single readers read, by the name of the reader",
        Names("reader", find_readers),
    ),
    Option(
        "airflow.include_dags",
        values.REGEX,
        "Only DAGs whose whole id matches get series of their own; empty for all",
    ),
    Option(
        "airflow.exclude_dags",
        values.REGEX,
        "DAGs whose whole id matches are left out, even where they are included",
    ),
    Option(
        "airflow.task_labels",
        values.SWITCH,
        "Count by task; without it task_id is empty, run durations have no buckets and run delays no dag_id, "
        "which needs about a quarter of the series",
        DEFAULTS.airflow.task_labels,
        flag_name="task-labels",
    ),
    Option(
        "airflow.task_histograms",
        values.REGEX,
        "DAGs whose whole id matches have histograms of the duration of each task",
    ),
    in_file_only(
        "airflow.limits.parallelism",
        values.whole(0),
        "What `[core] parallelism` is, for Airflows that hide their configuration; 0 is unlimited",
    ),
    in_file_only(
        "airflow.limits.worker_concurrency",
        values.whole(1),
        "What `[celery] worker_concurrency` is, for Airflows that hide their configuration",
    ),
    in_file_only(
        "airflow.limits.triggerer_capacity",
        values.whole(1),
        "How many triggers one triggerer runs, for Airflows that hide their configuration",
    ),
    *host_options.OPTIONS,
    *statsd_options.OPTIONS,
    Option(
        "web.listen_address",
        values.ADDRESSES,
        "Address to serve on; the flag may be repeated, the variable separates by commas, the file has a list",
        DEFAULTS.web.listen_addresses,
    ),
    Option(
        "web.config.file",
        values.READABLE_FILE,
        "File that switches on TLS, client certificates and users, in the format of Prometheus' exporter-toolkit",
    ),
    Option("web.telemetry_path", values.URL_PATH, "Path under which metrics are served", DEFAULTS.web.telemetry_path),
    Option(
        "web.enable_lifecycle",
        values.SWITCH,
        "Let POST /-/reload read the configuration anew",
        DEFAULTS.web.enable_lifecycle,
    ),
    Option(
        "web.max_connections",
        values.whole(1),
        "How many connections may be open at once",
        DEFAULTS.web.max_connections,
    ),
    Option("state.file", values.OWN_FILE, "File that keeps counters across restarts; without it they start at zero"),
    Option(
        "exposition.birth_hold",
        values.duration(0),
        "How long a new counter is exposed as 0 before it shows its value; longer than the scrape interval",
        DEFAULTS.birth_hold,
    ),
    in_file_only(
        "buckets",
        values.BUCKETS,
        "Upper bounds of histograms, by the name of the family; changing them starts that histogram anew",
        Names("histogram", find_histograms),
    ),
    in_file_only(
        "caps",
        values.whole(1),
        "The largest number of series, by the name of the family",
        Names("metric", find_families),
    ),
    Option(
        "log.level",
        values.choice("debug", "info", "warn", "error", aliases={"warning": "warn"}),
        "Least severity that is logged",
        DEFAULTS.log_level,
    ),
    Option("log.format", values.choice("logfmt", "json"), "How log lines are written", DEFAULTS.log_format),
)
BY_KEY = {option.key: option for option in OPTIONS}
