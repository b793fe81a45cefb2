"""The command line: `serve` unless another command is named. Each command imports what it needs, and no more."""

# ruff: noqa: PLC0415 - a health check or a worker must not pay for what other commands import

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import click

from exporter import __version__
from exporter.config import flags, loader
from exporter.config.flags import FLAGS, FlagCommand, collect

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
EPILOG = "Without a command it serves: airflow-exporter --airflow.url=URL is airflow-exporter serve --airflow.url=URL."


class ServingGroup(click.Group):
    """A group whose command is `serve` where only options are given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ("-h", "--help", "--version")):
            args = ["serve", *args]
        return super().parse_args(ctx, args)


def load(parameters: Mapping[str, object]) -> loader.Configuration:
    """The configuration; where it is wrong every error is printed and the process ends with 1."""
    try:
        return read_configuration(parameters)
    except loader.ConfigError as error:
        fail(*error.problems)


def read_configuration(parameters: Mapping[str, object]) -> loader.Configuration:
    """The configuration from flags, environment and file. Raises ConfigError."""
    return loader.load(collect(parameters), os.environ, check_mapping)


def check_mapping(path: Path) -> Sequence[str]:
    """The problems of a StatsD mapping file; the parser is imported only if a file is configured."""
    from exporter.sources.statsd.mapping.file import MappingError
    from exporter.sources.statsd.mapping.mapper import load_mapping

    try:
        load_mapping(path)
    except MappingError as error:
        return error.problems
    return ()


def fail(*problems: str) -> NoReturn:
    for problem in problems:
        click.echo(problem, err=True)
    sys.exit(1)


def describe_system() -> str:
    """System, release and machine, without the process that the module `platform` starts to ask for more."""
    system = os.uname()
    return f"{system.sysname} {system.release} {system.machine}"


RULE_FORMATS = ("prometheus", "kubernetes")
"""Plain files of rules, or PrometheusRule objects."""

EXPLAINED = (
    click.Argument(["lines"], nargs=-1),
    click.Option(["--capture"], type=click.Path(), help="Sum up a file: lines, or JSON objects with a payload."),
    click.Option(
        ["--listen"], type=float, metavar="SECONDS", help="Sum up what arrives at --statsd.listen-udp for a while."
    ),
    click.Option(
        ["--with-api"], is_flag=True, help="Ask Airflow's API for its release, its settings and its DAGs first."
    ),
)
"""What `explain` takes beside the flags of `serve`."""

JSON = click.Option(["--json", "as_json"], is_flag=True, help="Print JSON, as the page /diagnosis does.")

OFFLINE = click.Option(
    ["--offline"],
    is_flag=True,
    help="Ask nothing of the network: check only the configuration, the files that it names, mapping and web "
    "configuration; for use in CI.",
)


@click.group(cls=ServingGroup, epilog=EPILOG, context_settings=CONTEXT)
@click.version_option(
    __version__, message=f"airflow-exporter %(version)s (Python {platform.python_version()}, {describe_system()})"
)
def main() -> None:
    """Prometheus exporter for Apache Airflow."""


@main.command(cls=FlagCommand, params=list(FLAGS))
def serve(**parameters: object) -> None:
    """Read Airflow on a timer and serve what was read at /metrics."""
    configuration = load(parameters)
    from exporter.application import Application, StartError

    try:
        Application(configuration, lambda: read_configuration(parameters)).run()
    except StartError as error:
        fail(*error.problems)


@main.command(cls=FlagCommand, shows=flags.matters_to_check, params=[OFFLINE, *FLAGS])
def check(*, offline: bool, **parameters: object) -> None:
    """Try the configuration, the connection, the credentials and each permission.

    Exit code: 0 where all is well, 1 where something is wrong, 2 for a flag that does not exist.
    """
    from exporter.commands.check import diagnose

    sound = True
    for finding in diagnose(load(parameters), offline=offline):
        sound = sound and finding.sound
        click.echo(finding)
    sys.exit(0 if sound else 1)


@main.command(cls=FlagCommand, shows=flags.matters_to_once, params=[JSON, *FLAGS])
def diagnose(*, as_json: bool, **parameters: object) -> None:
    """Say what waits in Airflow now, why, and which setting changes it; reads the API once.

    Exit code: 0 where nothing waits beyond normal work, 1 where something does, 2 where Airflow could not be read.
    """
    from exporter.commands.diagnose import diagnose as read_diagnosis
    from exporter.commands.diagnose import needs_attention, to_json_text, to_text

    found, problems = read_diagnosis(load(parameters).settings)
    for problem in problems:
        click.echo(problem, err=True)
    if found is None:
        sys.exit(2)
    for line in [to_json_text(found)] if as_json else to_text(found):
        click.echo(line)
    sys.exit(any(needs_attention(finding) for finding in found.findings))


@main.command(cls=FlagCommand, shows=flags.matters_to_once, params=list(FLAGS))
def once(**parameters: object) -> None:
    """Read everything once and print it as /metrics would."""
    from exporter.application import scrape_once

    text, problems = scrape_once(load(parameters).settings)
    click.echo(text, nl=False)
    if problems:
        fail(*problems)


@main.command()
@click.option("--format", "form", type=click.Choice(["table", "markdown", "json"]), default="table", show_default=True)
def metrics(form: str) -> None:
    """List every metric: name, type, labels and meaning."""
    from exporter.commands.metrics import FORMATS
    from exporter.metrics.catalogue.families import FAMILIES

    click.echo(FORMATS[form](FAMILIES))


@main.command()
@click.option("--identity", default="airflow", show_default=True, help="Labels that say which Airflow it is.")
@click.option("--format", "form", type=click.Choice(RULE_FORMATS), default=RULE_FORMATS[0], show_default=True)
@click.option(
    "--output", type=click.Path(file_okay=False), help="Folder to write to, with dashboards and Alertmanager's."
)
def rules(identity: str, form: str, output: str | None) -> None:
    """Print the rules and alerts of this release, or write them with the dashboards and Alertmanager's configuration.

    The label airflow says which Airflow a metric belongs to, so it must be unique. Where one ruler evaluates several
    clusters whose Airflows have the same names, --identity=airflow,cluster,namespace writes all with further labels.
    """
    from pathlib import Path

    from exporter.commands import bundle
    from exporter.commands.identity import IdentityError, parse_identity

    try:
        further = parse_identity(identity)[1:]
    except IdentityError as error:
        fail(f"--identity={error}")
    if output is None:
        click.echo(bundle.join_objects(further) if form == "kubernetes" else bundle.join_rules(further), nl=False)
        return
    try:
        click.echo(f"{bundle.write_folder(Path(output), form, further)} files written to {output}")
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")


@main.command(cls=FlagCommand, shows=flags.matters_to_probe, params=list(FLAGS))
def probe(**parameters: object) -> None:
    """Ask a running exporter whether it is healthy; for container health checks.

    Give it the flags of `serve`, or better, set both by variables.
    """
    from exporter.commands.probe import find_problem

    address = loader.find_listen_address(collect(parameters), os.environ)
    problem = find_problem(address)
    if problem:
        fail(problem)


@main.command(cls=FlagCommand, shows=flags.matters_to_explain, params=[*EXPLAINED, *FLAGS])
def explain(lines: tuple[str, ...], capture: str | None, listen: float | None, with_api: bool, **given: object) -> None:
    """Say what becomes of StatsD LINES: event, metric, labels, value and unit, or why they are dropped.

    Without lines they are read from standard input, one each.
    """
    from pathlib import Path

    from exporter.commands import explain as explaining

    settings = load(given).settings
    if listen and not settings.reception.listen_udp:
        fail("--listen needs an address to listen on: --statsd.listen-udp")
    resolver, problem = explaining.prepare(settings, ask_api=with_api)
    if problem:
        click.echo(problem, err=True)
    try:
        if capture:
            told = explaining.explain_capture(Path(capture), resolver)
        elif listen:
            told = explaining.explain_many(explaining.listen(settings.reception.listen_udp, listen), resolver)
        else:
            texts = [line.encode() for line in lines] or sys.stdin.buffer.read().splitlines()
            told = explaining.explain_lines(texts, resolver)
        for line in told:
            click.echo(line)
    except OSError as error:
        if capture:
            fail(f"{capture}: {error.strerror}")
        fail(f"{settings.reception.listen_udp}: {error.strerror}; if an exporter listens there, listen elsewhere")


@main.command()
@click.argument("name", required=False)
@click.option("--output", type=click.Path(file_okay=False), metavar="DIR", help="Write a copy of all runbooks there.")
@click.option("--format", "form", type=click.Choice(["html", "markdown"]), default="html", show_default=True)
def runbooks(name: str | None, output: str | None, form: str) -> None:
    """List the runbooks of alerts, print that of alert NAME, or write a copy of all to serve from another place.

    Alerts link to the copy once its address is the label `runbooks` in prometheus/rules/settings.yml.
    """
    from pathlib import Path

    from exporter.web.runbook_files import list_runbooks, read_runbook
    from exporter.web.runbook_pages import write_static_copy

    if output:
        try:
            click.echo(f"{write_static_copy(Path(output), form)} runbooks written to {output}")
        except OSError as error:
            fail(f"{error.filename or output}: {error.strerror}; choose a folder that can be written with --output")
        return
    text = read_runbook(name) if name else "\n".join(list_runbooks()) + "\n"
    if text is None:
        fail(f"there is no runbook for {name}; `airflow-exporter runbooks` lists those that there are")
    click.echo(text, nl=False)


@main.command("hash-password")
def hash_password() -> None:
    """Hash a password for the users of the web configuration file; it is asked for, or read from a pipe."""
    import bcrypt

    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password, _, rest = sys.stdin.read().lstrip("\ufeff").partition("\n")
        password = password.rstrip("\r")
        if rest.strip():
            fail("the input has several lines: give the password alone, on one line")
    if not password or len(password.encode()) > 72:
        fail("a password has 1 to 72 bytes: bcrypt looks at no more")
    click.echo(bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=10)).decode())
