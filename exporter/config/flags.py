"""The options as flags of the command line, and the help of a command: the flags that matter to it, by topic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from exporter.config.option import Option
from exporter.config.options import OPTIONS

TOPICS = {
    "config": "Configuration file",
    "collector": "What is read",
    "airflow": "Airflow's REST API",
    "host": "This machine",
    "path": "This machine",
    "statsd": "StatsD",
    "web": "Web server",
    "state": "Counters",
    "exposition": "Counters",
    "log": "Log",
}
"""The heading in the help, by the first part of an option's key."""
NOT_SHOWN = "Every other flag of `serve` is accepted, too, and has no effect here."


class FlagCommand(click.Command):
    """A command that takes every flag; its help has those that `shows` picks by their keys, under headings."""

    def __init__(self, *args: Any, shows: Callable[[str], bool] = lambda _: True, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self._shows = shows

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section of flags for each topic, the command's own first."""
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
            formatter.write_text(NOT_SHOWN)


def make_flag(option: Option) -> click.Option:
    """The flag of an option, with its variable and default in the help."""
    return click.Option(
        ["/".join(filter(None, (option.flag, option.negative_flag))), name_parameter(option)],
        default=None,
        type=bool if option.negative_flag else str,
        multiple=option.repeatable,
        metavar=None if option.negative_flag else option.form.metavar,
        help=describe(option),
    )


def name_parameter(option: Option) -> str:
    return option.key.replace(".", "__")


def describe(option: Option) -> str:
    default = option.show(option.default)
    return f"{option.help}. [{option.variable}{f'; default: {default}' if default else ''}]"


def collect(parameters: Mapping[str, object]) -> dict[str, object]:
    """The flags that were given, as written, by option."""
    found = {option.key: parameters.get(name_parameter(option)) for option in OPTIONS}
    return {key: value for key, value in found.items() if value is not None and value != ()}


BY_PARAMETER = {name_parameter(option): option for option in OPTIONS}
FLAGS = tuple(make_flag(option) for option in OPTIONS if option.flag)
"""All that can be configured by flags, once for all commands: there are many of both."""

UNCHECKED = frozenset(
    {"web.listen_address", "web.telemetry_path", "web.enable_lifecycle", "web.max_connections", "exposition.birth_hold"}
)
ONCE_HIDDEN = UNCHECKED | {"collector.statsd", "state.file", "web.config.file", "log.level"}
RECEIVED = ("statsd.listen_tcp", "statsd.listen_unix", "statsd.unix", "statsd.receive", "statsd.relay")


def matters_to_check(key: str) -> bool:
    """What `check` tries: all but how the server serves."""
    return key not in UNCHECKED and key != "log.level"


def matters_to_once(key: str) -> bool:
    """What reading once depends on: no StatsD, no server, no state."""
    return key not in ONCE_HIDDEN and not key.startswith("statsd.")


def matters_to_probe(key: str) -> bool:
    """Where the server listens."""
    return key in ("config.file", "web.listen_address")


def matters_to_explain(key: str) -> bool:
    """What decides which meaning a line has, and how `--with-api` and `--listen` reach what they ask."""
    if key in ("config.file", "collector.airflow"):
        return True
    return key.startswith(("airflow.", "statsd.")) and not key.startswith(RECEIVED)
