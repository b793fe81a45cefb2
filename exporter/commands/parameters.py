"""Parameters of commands besides the flags of `serve`. It imports only click: every command loads it."""

from __future__ import annotations

import click

EXPLAIN_PARAMETERS = (
    click.Argument(["lines"], nargs=-1),
    click.Option(["--capture"], type=click.Path(), help="Summarize a file of StatsD lines, or of JSON objects."),
    click.Option(
        ["--listen"],
        type=click.FloatRange(min=0, min_open=True, max=86_400),
        metavar="SECONDS",
        help="Receive StatsD on --statsd.listen-udp for this long, then summarize it.",
    ),
    click.Option(
        ["--with-api"], is_flag=True, help="First read the release, the settings and the DAGs from Airflow's API."
    ),
)
"""Parameters of `explain`, besides the flags of `serve`."""

OFFLINE_FLAG = click.Option(
    ["--offline"],
    is_flag=True,
    help="Do not use the network: check only the configuration and the files that it names, such as the mapping file "
    "and the web configuration file. For CI.",
)


JSON = click.Option(["--json", "as_json"], is_flag=True, help="Print JSON, as the page /diagnosis does.")

ADVISE_PREFIX = "AIRFLOW_EXPORTER_PROMETHEUS"
"""Variables of the options of `advise` begin with it."""
FORMATS = ("text", "markdown", "json", "html")


def make_option(name: str, description: str, **details: object) -> click.Option:
    """An option of `advise` about Prometheus, with its environment variable."""
    variable = f"{ADVISE_PREFIX}_{name.upper().replace('-', '_')}"
    parameter = f"prometheus_{name.replace('-', '_')}"
    return click.Option(
        [f"--prometheus.{name}", parameter],
        help=description,
        envvar=variable,
        show_envvar=True,
        **details,  # type: ignore[arg-type]
    )


ADVISE_PARAMETERS = (
    make_option(
        "url",
        "URL of Prometheus, Thanos, Mimir (with /prometheus) or VictoriaMetrics; what follows is /api/v1/query.",
        required=True,
        metavar="URL",
    ),
    make_option("bearer-token-file", "File with a bearer token.", type=click.Path(), metavar="FILE"),
    make_option("username", "User for basic authentication.", default="", metavar="NAME"),
    make_option("password-file", "File with the password of this user.", type=click.Path(), metavar="FILE"),
    make_option("ca-file", "Authorities to trust instead of those of the system.", type=click.Path(), metavar="FILE"),
    make_option("cert-file", "Client certificate.", type=click.Path(), metavar="FILE"),
    make_option("key-file", "Key of the client certificate.", type=click.Path(), metavar="FILE"),
    make_option("insecure-skip-verify", "Do not check the certificate of the server.", is_flag=True),
    make_option("header", "Further header (X-Scope-OrgID=TENANT); repeatable.", multiple=True, metavar="NAME=VALUE"),
    make_option("timeout", "Time for each question.", default="1m", show_default=True, metavar="DURATION"),
    click.Option(
        ["--airflow"], default="", metavar="NAME", help="Value of the label airflow, where there are several."
    ),
    click.Option(
        ["--label"],
        multiple=True,
        metavar="NAME=VALUE",
        help="Further label of the Airflow (cluster=east), where several have the same name; repeatable.",
    ),
    click.Option(["--window"], default="14d", show_default=True, metavar="DURATION", help="How far to look back."),
    click.Option(["--end"], default="", metavar="TIME", help="End of the window (2026-05-01T12:00:00Z); default now."),
    click.Option(
        ["--what-if"],
        multiple=True,
        metavar="SETTING=N",
        help="Instead of advice: how long tasks would have waited with another value of pool:NAME, parallelism, "
        "max_active_tasks:DAG, max_active_runs:DAG, worker_concurrency or worker_concurrency:QUEUE; repeatable.",
    ),
    click.Option(
        ["--events.file", "events_file"],
        default="",
        type=click.Path(),
        metavar="FILE",
        help="The events file of the exporter, for --what-if; without it the tries are approximated from series.",
    ),
    click.Option(["--format", "form"], type=click.Choice(FORMATS), default=FORMATS[0], show_default=True),
    click.Option(["--output"], default="", type=click.Path(), metavar="FILE", help="Write the report to this file."),
)
"""Parameters of `advise`."""

RULE_CHOICES = (
    click.Option(
        ["--identity"],
        default="airflow",
        show_default=True,
        metavar="LABELS",
        help="Labels that identify an Airflow, as in airflow,cluster.",
    ),
    click.Option(
        ["--threshold", "thresholds"],
        multiple=True,
        metavar="NAME=NUMBER",
        help="Another threshold, as in dag_late_seconds=3600; docs/alerts.md lists all. Repeatable.",
    ),
    click.Option(["--grafana-url"], metavar="URL", help="Address of Grafana, for links in alerts."),
    click.Option(["--runbooks-url"], metavar="URL", help="Address of the runbooks, for links in alerts."),
)
"""What differs in the rules of one user from those of the repository."""

RULES_PARAMETERS = (
    *RULE_CHOICES,
    click.Option(
        ["--format", "form"], type=click.Choice(["prometheus", "kubernetes"]), default="prometheus", show_default=True
    ),
    click.Option(
        ["--output"],
        type=click.Path(file_okay=False),
        metavar="DIR",
        help="Folder for the rules, dashboards and Alertmanager configuration.",
    ),
)
"""Parameters of `rules`."""

BUNDLE_PARAMETERS = (
    click.Option(["--output"], type=click.Path(file_okay=False), metavar="DIR", required=True, help="Folder to write."),
    *RULE_CHOICES,
)
"""Parameters of `bundle`."""
