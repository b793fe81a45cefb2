"""The command line. `serve` is the default command. Each command imports only what it needs."""

# ruff: noqa: PLC0415 - a health check or a worker must not load the imports of other commands

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import NoReturn

import click

from exporter import __version__
from exporter.commands.parameters import (
    ADVISE_PARAMETERS,
    BUNDLE_PARAMETERS,
    EXPLAIN_PARAMETERS,
    JSON,
    OFFLINE_FLAG,
    RULES_PARAMETERS,
)
from exporter.config import flags, loader
from exporter.config.flags import FLAGS, FlagCommand, collect_flags
from exporter.revision import REVISION

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
EPILOG = "The default command is serve: airflow-exporter --airflow.url=URL is airflow-exporter serve --airflow.url=URL."


class ServingGroup(click.Group):
    """A command group that runs `serve` if only options are given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Insert `serve` if the first argument is an option."""
        if not args or (args[0].startswith("-") and args[0] not in ("-h", "--help", "--version")):
            args = ["serve", *args]
        return super().parse_args(ctx, args)


def load(parameters: Mapping[str, object]) -> loader.Configuration:
    """Load the configuration. If it is invalid, print all errors and exit with 1."""
    try:
        return read_configuration(parameters)
    except loader.ConfigError as error:
        fail(*error.problems)


def read_configuration(parameters: Mapping[str, object]) -> loader.Configuration:
    """The configuration from flags, environment and file. Raises ConfigError."""
    return loader.load(collect_flags(parameters), os.environ, check_mapping)


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
    """Print the problems to stderr and exit with 1."""
    for problem in problems:
        click.echo(problem, err=True)
    sys.exit(1)


def describe_build() -> str:
    """Revision, Python, system and machine. For the system, the module `platform` would start a process."""
    system = os.uname()
    python = platform.python_version()
    return f"revision {REVISION}, Python {python}, {system.sysname} {system.release} {system.machine}"


@click.group(cls=ServingGroup, epilog=EPILOG, context_settings=CONTEXT)
@click.version_option(__version__, message=f"airflow-exporter %(version)s ({describe_build()})")
def main() -> None:
    """Prometheus exporter for Apache Airflow."""


@main.command(cls=FlagCommand, params=list(FLAGS))
def serve(**parameters: object) -> None:
    """Collect metrics from Airflow at regular intervals and serve them at /metrics."""
    configuration = load(parameters)
    from exporter.application import Application, StartError

    try:
        Application(configuration, lambda: read_configuration(parameters)).run()
    except StartError as error:
        fail(*error.problems)


@main.command(cls=FlagCommand, shows=flags.affects_check, params=[OFFLINE_FLAG, *FLAGS])
def check(*, offline: bool, **parameters: object) -> None:
    """Check the configuration, the connection to Airflow, the credentials and each permission.

    Exit code: 0 if all checks pass, 1 if one fails, 2 for an unknown flag.
    """
    from exporter.commands.check import run_checks

    passed = True
    for result in run_checks(load(parameters), offline=offline):
        passed = passed and result.passed
        click.echo(result)
    sys.exit(0 if passed else 1)


@main.command(cls=FlagCommand, shows=flags.affects_once, params=[JSON, *FLAGS])
def diagnose(*, as_json: bool, **parameters: object) -> None:
    """Say what waits and fails in Airflow now, why, and which setting changes it; reads the API once.

    Costs are added up by a running exporter: see its page /diagnosis.

    Exit code: 0 where nothing is found beyond normal work, 1 where something is, 2 where Airflow could not be read.
    """
    from exporter.commands.diagnose import diagnose as read_diagnosis
    from exporter.commands.diagnose import needs_attention, to_json_text, to_text

    read = read_diagnosis(load(parameters).settings)
    for problem in read.problems:
        click.echo(problem, err=True)
    if (found := read.diagnosis) is None:
        sys.exit(2)
    for line in [to_json_text(found, read.sizing)] if as_json else to_text(found, read.sizing):
        click.echo(line)
    sys.exit(needs_attention(found))


@main.command(params=list(ADVISE_PARAMETERS))
def advise(form: str, output: str, **given: object) -> None:
    """Say which limits to change, from weeks of this exporter's series in a Prometheus, most hours saved first.

    It needs the rules of prometheus/rules/tuning.yml. Nothing is written to Prometheus or Airflow.

    Exit code: 0 if a report was made, with or without recommendations, 2 if not.
    """
    from exporter.commands.advise.command import AdviceError, make_text, write

    try:
        write(make_text(given, form), output)
    except BrokenPipeError:
        # The reader of a pipe, such as `head`, has read enough: Click ends without a message.
        raise
    except (AdviceError, OSError) as error:
        click.echo(str(error), err=True)
        sys.exit(2)


@main.command(cls=FlagCommand, shows=flags.affects_once, params=list(FLAGS))
def once(**parameters: object) -> None:
    """Read everything once and print it in the format of /metrics."""
    from exporter.application import scrape_once

    text, problems = scrape_once(load(parameters).settings)
    click.echo(text, nl=False)
    if problems:
        fail(*problems)


@main.command()
@click.option("--format", "form", type=click.Choice(["table", "markdown", "json"]), default="table", show_default=True)
def metrics(form: str) -> None:
    """List all metrics: name, type, labels and help."""
    from exporter.commands.metrics import FORMATS
    from exporter.metrics.catalogue.families import FAMILIES

    click.echo(FORMATS[form](FAMILIES))


@main.command(params=list(RULES_PARAMETERS))
def rules(form: str, output: str | None, **given: object) -> None:
    """Print the rules and alerts of this release, or write them with the dashboards and the Alertmanager configuration.

    The label airflow identifies an Airflow, so it must be unique. If one ruler evaluates several clusters with Airflows
    of the same name, use --identity=airflow,cluster,namespace to add further labels everywhere.
    """
    from exporter.commands import bundle

    if output:
        write_or_fail(output, given, lambda *chosen: bundle.render_files(form, *chosen))
        return
    render = bundle.render_all_objects if form == "kubernetes" else bundle.render_all_rules
    try:
        click.echo(render(*bundle.parse_choices(given)), nl=False)
    except ValueError as error:
        fail(str(error))


@main.command(params=list(BUNDLE_PARAMETERS))
def bundle(output: str, **given: object) -> None:
    """Write all else that belongs to this release: rules and alerts (files and PrometheusRule objects), dashboards,
    runbooks, configurations of Prometheus and Alertmanager, the Helm chart, examples, and systemd units.
    """
    from exporter.commands.bundle_folder import render_bundle

    write_or_fail(output, given, render_bundle)


def write_or_fail(
    output: str, given: Mapping[str, object], render: Callable[..., Iterable[tuple[PurePath, str]]]
) -> None:
    """Write the files that `render` makes of the further labels and the settings."""
    from exporter.commands import bundle

    try:
        written = bundle.write_files(Path(output), render(*bundle.parse_choices(given)))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}; set --output to a folder that can be written")
    except ValueError as error:
        fail(str(error))
    click.echo(f"{written} files written to {output}")


@main.command(cls=FlagCommand, shows=flags.affects_probe, params=list(FLAGS))
def probe(**parameters: object) -> None:
    """Check whether a running exporter is healthy; for health checks of containers.

    Needs the same flags as `serve`; environment variables work for both.
    """
    from exporter.commands.probe import get_problem

    address = loader.get_listen_address(collect_flags(parameters), os.environ)
    problem = get_problem(address)
    if problem:
        fail(problem)


@main.command(cls=FlagCommand, shows=flags.affects_explain, params=[*EXPLAIN_PARAMETERS, *FLAGS])
def explain(lines: tuple[str, ...], capture: str | None, listen: float | None, with_api: bool, **given: object) -> None:
    """Show how StatsD LINES are interpreted: event, metric, labels, value and unit, or why they are dropped.

    Without LINES, they are read from standard input.
    """
    from exporter.commands import explain as explaining

    settings = load(given).settings
    if listen and not settings.reception.listen_udp:
        fail("--listen needs a listen address; set --statsd.listen-udp")
    resolver, problem = explaining.prepare(settings, ask_api=with_api)
    if problem:
        click.echo(problem, err=True)
    try:
        for line in explaining.explain_input(settings, resolver, lines, capture, listen):
            click.echo(line)
    except explaining.InputError as error:
        fail(str(error))


@main.command()
@click.argument("name", required=False)
@click.option("--output", type=click.Path(file_okay=False), metavar="DIR", help="Write a copy of all runbooks here.")
@click.option("--format", "form", type=click.Choice(["html", "markdown"]), default="html", show_default=True)
def runbooks(name: str | None, output: str | None, form: str) -> None:
    """List all runbooks, print the runbook of alert NAME, or write a copy of all for another web server.

    Alerts link to the copy if its address is set as the label `runbooks` in prometheus/rules/settings.yml.
    """
    from exporter.web.runbook_files import list_runbooks, read_runbook
    from exporter.web.runbook_pages import write_static_copy

    if output:
        try:
            click.echo(f"{write_static_copy(Path(output), form)} runbooks written to {output}")
        except OSError as error:
            fail(f"{error.filename or output}: {error.strerror}; set --output to a folder that can be written")
        return
    text = read_runbook(name) if name else "\n".join(list_runbooks()) + "\n"
    if text is None:
        fail(f"there is no runbook for {name}; `airflow-exporter runbooks` lists all runbooks")
    click.echo(text, nl=False)


@main.command("hash-password")
def hash_password() -> None:
    """Hash a password for basic_auth_users of the web configuration file. Prompts for it, or reads it from a pipe."""
    import bcrypt

    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password, _, rest = sys.stdin.read().lstrip("\ufeff").partition("\n")
        password = password.rstrip("\r")
        if rest.strip():
            fail("the input has several lines; write only the password, on one line")
    if not password or len(password.encode()) > 72:
        fail("a password must have 1 to 72 bytes: bcrypt ignores any further bytes")
    click.echo(bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=10)).decode())
