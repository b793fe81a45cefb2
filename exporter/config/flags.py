"""Flags of the command line, built from the options, and the help text of commands, by topic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from exporter.config.option import Option
from exporter.config.options import OPTIONS

TOPICS = {
    "config": "Configuration file",
    "collector": "Collectors",
    "airflow": "Airflow's REST API",
    "host": "This machine",
    "path": "This machine",
    "statsd": "StatsD",
    "celery": "Celery",
    "database": "Metadata database",
    "web": "Web server",
    "state": "Counters",
    "exposition": "Counters",
    "log": "Log",
    "events": "Events file",
}
"""The heading in the help, by the first part of the option's key."""
HIDDEN_FLAGS_NOTE = "All other flags of `serve` are accepted but have no effect on this command."


class FlagCommand(click.Command):
    """A command that accepts every flag; its help lists those whose keys `shows` selects, under headings."""

    def __init__(self, *args: Any, shows: Callable[[str], bool] = lambda _: True, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self._shows = shows

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section of flags per topic; options of the command itself come first."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        left_out = False
        for parameter in self.get_params(ctx):
            option = BY_PARAMETER.get(parameter.name or "")
            record = parameter.get_help_record(ctx)
            if option and not self._shows(option.key):
                left_out = True
            elif record:
                topic = TOPICS[option.key.partition(".")[0]] if option else "Options"
                sections.setdefault(topic, []).append(record)
        for topic, records in sections.items():
            with formatter.section(topic):
                formatter.write_dl(records)
        if left_out:
            formatter.write_paragraph()
            formatter.write_text(HIDDEN_FLAGS_NOTE)


def build_flag(option: Option) -> click.Option:
    """The click option for a flag; its help has the environment variable and the default."""
    return click.Option(
        ["/".join(filter(None, (option.flag, option.negative_flag))), get_parameter_name(option)],
        default=None,
        type=bool if option.negative_flag else str,
        multiple=option.repeatable,
        metavar=None if option.negative_flag else option.value_type.metavar,
        help=format_flag_help(option),
    )


def get_parameter_name(option: Option) -> str:
    """The name of the parameter that click passes to the command."""
    return option.key.replace(".", "__")


def format_flag_help(option: Option) -> str:
    """The help text with the environment variable and the default."""
    default = option.format(option.default)
    return f"{option.help}. [{option.variable}{f'; default: {default}' if default else ''}]"


def collect_flags(parameters: Mapping[str, object]) -> dict[str, object]:
    """The raw values of the flags that were given, by the key of their option."""
    found = {option.key: parameters.get(get_parameter_name(option)) for option in OPTIONS}
    return {key: value for key, value in found.items() if value is not None and value != ()}


BY_PARAMETER = {get_parameter_name(option): option for option in OPTIONS}
FLAGS = tuple(build_flag(option) for option in OPTIONS if option.flag)
"""The flags of all options, built once for all commands."""

NOT_CHECKED = frozenset(
    {
        "web.listen_address",
        "web.telemetry_path",
        "web.enable_lifecycle",
        "web.external_url",
        "web.grafana_url",
        "web.max_connections",
        "exposition.birth_hold",
        "exposition.histograms",
    }
)
NOT_USED_ONCE = NOT_CHECKED | {"collector.statsd", "state.file", "web.config.file", "log.level"}
RECEIVE_OPTIONS = tuple(f"statsd.{name}" for name in ("listen_tcp", "listen_unix", "unix", "idle", "receive", "relay"))


def affects_check(key: str) -> bool:
    """Whether `check` uses the option: all except those of serving."""
    return key not in NOT_CHECKED and key != "log.level"


def affects_once(key: str) -> bool:
    """Whether `once` uses the option: none of StatsD, the web server, the state file or the events file."""
    return key not in NOT_USED_ONCE and not key.startswith(("statsd.", "events."))


def affects_probe(key: str) -> bool:
    """Whether `probe` uses the option: only the listen address."""
    return key in ("config.file", "web.listen_address")


def affects_explain(key: str) -> bool:
    """Whether `explain` uses the option: those of StatsD names, of `--with-api` and of `--listen`."""
    if key in ("config.file", "collector.airflow"):
        return True
    return key.startswith(("airflow.", "statsd.")) and not key.startswith(RECEIVE_OPTIONS)
