"""Loads the configuration: flags, then environment variables, then the YAML file, then defaults.

The first that sets an option takes precedence. pydantic and yaml are only imported if there is a file to read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from exporter.config.combinations import check_combinations
from exporter.config.option import VARIABLE_PREFIX, Option
from exporter.config.options import BY_KEY, CLIENT_SECRET, CONFIG_FILE, OPTIONS, PASSWORD, TOKEN
from exporter.config.sections.celery import BROKER_URL
from exporter.config.sections.database import DATABASE_URL
from exporter.config.sections.statsd import MAPPING_CONFIG
from exporter.config.settings import (
    AirflowSettings,
    CelerySettings,
    DatabaseSettings,
    EventsSettings,
    HostSettings,
    OAuth2Settings,
    ReceptionSettings,
    Setting,
    Settings,
    StatsdSettings,
    WebSettings,
)
from exporter.config.urls import API_SUFFIX
from exporter.config.values import ValueType
from exporter.metrics.family import HistogramForm

DEFAULT = "default"


class ConfigError(ValueError):
    """The configuration is invalid; `problems` has one line per problem."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class RawValue(NamedTuple):
    """A value that the user set, parsed and as written, and where: a flag, a variable, or file and line."""

    value: Any
    origin: str
    written: object = None


class Configuration(NamedTuple):
    """A valid configuration: the settings, a line per option for the page, and notices for the log."""

    settings: Settings
    entries: tuple[Setting, ...]
    notices: tuple[str, ...]


ConfigLayer = dict[str, RawValue]
MappingCheck = Callable[[Path], Iterable[str]]
"""Returns the problems of a StatsD mapping file. It is a parameter because this package knows no source."""


def load(
    flags: Mapping[str, object], environment: Mapping[str, str], check_mapping: MappingCheck | None = None
) -> Configuration:
    """Load the configuration. `flags` are raw values by option key.

    `check_mapping` returns the problems of a StatsD mapping file. Raises ConfigError with all problems.
    """
    given, problems = merge_layers(flags, environment)
    skip = given.get("airflow.insecure_skip_verify")
    is_set = {key for key, found in given.items() if found.written != ""}
    problems += check_combinations(is_set, skips_verification=bool(skip and skip.value))
    problems += check_mapping_file(given, check_mapping)
    if problems:
        raise ConfigError(problems)
    settings = build_settings(given)
    return Configuration(settings, tuple(list_settings(given)), tuple(list_notices(settings, given, environment)))


def get_listen_address(flags: Mapping[str, object], environment: Mapping[str, str]) -> str:
    """The first listen address of a server with this configuration; other options may be invalid."""
    given, _ = merge_layers(flags, environment)
    found = given.get("web.listen_address")
    addresses: tuple[str, ...] = found.value if found and found.value else Settings().web.listen_addresses
    return addresses[0]


def merge_layers(flags: Mapping[str, object], environment: Mapping[str, str]) -> tuple[ConfigLayer, list[str]]:
    """All values that are set, and their problems. An invalid value counts as set, with the value None."""
    problems: list[str] = []
    above = {**read_environment(environment, problems), **read_flags(flags, problems)}
    chosen = above.get(CONFIG_FILE)
    below = read_file(chosen.value, problems) if chosen and chosen.value else {}
    return {**below, **above}, problems


def read_flags(flags: Mapping[str, object], problems: list[str]) -> ConfigLayer:
    """The values of the flags."""
    return {key: parse_flag(BY_KEY[key], raw, problems) for key, raw in flags.items()}


def parse_flag(option: Option, raw: object, problems: list[str]) -> RawValue:
    """Parse the value of a flag."""
    return parse_value(option, raw, option.flag, problems, option.flag_value_type)


def read_environment(environment: Mapping[str, str], problems: list[str]) -> ConfigLayer:
    """The values of the variables. An empty variable counts as not set, because compose files pass such."""
    return {
        option.key: parse_value(option, environment[option.variable], option.variable, problems)
        for option in OPTIONS
        if option.variable and environment.get(option.variable)
    }


def parse_value(
    option: Option, raw: object, origin: str, problems: list[str], value_type: ValueType | None = None
) -> RawValue:
    """Parse a value. An invalid one is added to `problems` and becomes None."""
    try:
        return RawValue((value_type or option.value_type).parse(raw), origin, raw)
    except ValueError as error:
        problems.append(f"{origin}: {error}")
        return RawValue(None, origin, raw)


def read_file(path: Path, problems: list[str]) -> ConfigLayer:
    """The values of the YAML file."""
    from exporter.config import file  # noqa: PLC0415 - pydantic is large, and most processes have no file

    contents = file.read_file(path)
    problems += contents.problems
    return {
        key: RawValue(contents.values.get(key), f"{path}:{contents.lines[key]}", written)
        for key, written in contents.written.items()
        if BY_KEY[key].by_file
    }


def check_mapping_file(layer: ConfigLayer, check: MappingCheck | None) -> list[str]:
    """The problems of the StatsD mapping file, each with the place where the file was configured."""
    found = layer.get(MAPPING_CONFIG)
    if check is None or found is None or not found.value:
        return []
    return [f"{found.origin}: {problem}" for problem in check(found.value)]


def build_settings(given: ConfigLayer) -> Settings:
    """The settings; options that are not set have their defaults."""
    values = {option.key: given[option.key].value if option.key in given else option.default for option in OPTIONS}
    return Settings(
        airflow=build_airflow_settings(values),
        host=HostSettings(**select_section(values, "host."), **select_section(values, "path.")),
        statsd=StatsdSettings(**select_fields(values, StatsdSettings), task_labels=values["airflow.task_labels"]),
        reception=ReceptionSettings(**select_fields(values, ReceptionSettings)),
        web=WebSettings(
            listen_addresses=values["web.listen_address"],
            telemetry_path=values["web.telemetry_path"],
            config_file=values["web.config.file"],
            enable_lifecycle=values["web.enable_lifecycle"],
            max_connections=values["web.max_connections"],
            external_url=values["web.external_url"],
            grafana_url=values["web.grafana_url"],
        ),
        events=EventsSettings(**select_section(values, "events.")),
        celery=build_celery_settings(values),
        database=build_database_settings(values),
        collectors={
            **select_section(values, "collector."),
            "celery": has_url(values, BROKER_URL),
            "database": has_url(values, DATABASE_URL),
        },
        state_file=values["state.file"],
        birth_hold=values["exposition.birth_hold"],
        histograms=HistogramForm(values["exposition.histograms"]),
        buckets=values["buckets"],
        caps=values["caps"],
        log_level=values["log.level"],
        log_format=values["log.format"],
    )


def build_airflow_settings(values: Mapping[str, Any]) -> AirflowSettings:
    """The settings of the Airflow source; of secrets only the names of their variables."""
    given = select_section(values, "airflow.")
    password, token = given.pop("password"), given.pop("token")
    oauth2 = select_section(values, "airflow.oauth2.")
    oauth2["client_secret_environment"] = BY_KEY[CLIENT_SECRET].variable if oauth2.pop("client_secret") else ""
    return AirflowSettings(
        **given,
        native_histograms=values["exposition.histograms"] != HistogramForm.CLASSIC,
        password_environment=BY_KEY[PASSWORD].variable if password else "",
        token_environment=BY_KEY[TOKEN].variable if token else "",
        oauth2=OAuth2Settings(**oauth2) if oauth2["token_url"] else None,
        limits={key: value for key, value in select_section(values, "airflow.limits.").items() if value is not None},
    )


def build_celery_settings(values: Mapping[str, Any]) -> CelerySettings:
    """The settings of the Celery source; of the URL only the name of its variable."""
    given = select_section(values, "celery.")
    url = given.pop("broker_url")
    return CelerySettings(**given, broker_url_environment=BY_KEY[BROKER_URL].variable if url else "")


def build_database_settings(values: Mapping[str, Any]) -> DatabaseSettings:
    """The settings of the database source; of the URL only the name of its variable."""
    given = select_section(values, "database.")
    url = given.pop("url")
    return DatabaseSettings(**given, url_environment=BY_KEY[DATABASE_URL].variable if url else "")


def has_url(values: Mapping[str, Any], key: str) -> bool:
    """Whether the URL of a broker or database is configured, itself or in a file: that turns its source on."""
    return bool(values[key] or values[f"{key}_file"])


def select_fields(values: Mapping[str, Any], kind: type[StatsdSettings | ReceptionSettings]) -> dict[str, Any]:
    """The values of the section `statsd` that are fields of this class."""
    known = {field.name for field in fields(kind)}
    return {key: value for key, value in select_section(values, "statsd.").items() if key in known}


def select_section(values: Mapping[str, Any], section: str) -> dict[str, Any]:
    """The values of one section by the last part of their key, without deeper sections."""
    inside = {key.removeprefix(section): value for key, value in values.items() if key.startswith(section)}
    return {key: value for key, value in inside.items() if "." not in key}


def list_settings(given: ConfigLayer) -> Iterator[Setting]:
    """Every option with its value, masked, and where it came from; mappings have a line for each name."""
    for option in OPTIONS:
        found = given.get(option.key, RawValue(option.default, DEFAULT))
        if option.names is None:
            yield Setting(option.key, option.format(found.value), found.origin)
            continue
        for key, value in found.value.items():
            yield Setting(f"{option.key}.{key}", option.format(value), found.origin)


def list_notices(settings: Settings, given: ConfigLayer, environment: Mapping[str, str]) -> Iterator[str]:
    """Yield warnings about a valid configuration that probably does not do what was meant."""
    if not any(settings.collectors.values()):
        yield "collector: all collectors are disabled, so no metrics are collected; enable at least one"
    url = given.get("airflow.url")
    if url and API_SUFFIX.search(str(url.written)):
        yield f"{url.origin}: the path of the API is dropped from the URL; {url.value} is used"
    yield from list_misspelt_variables(environment)


def list_misspelt_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield variables that look misspelt. Others with the prefix are ignored: Kubernetes sets some for a Service."""
    known = [option.variable for option in OPTIONS if option.variable]
    for variable in sorted(environment):
        if not variable.startswith(VARIABLE_PREFIX) or variable in known:
            continue
        from difflib import get_close_matches  # noqa: PLC0415 - rarely needed

        nearest = get_close_matches(variable, known, n=1, cutoff=0.85)
        if nearest:
            yield f"{variable}: this variable is unknown and has no effect; did you mean {nearest[0]}?"
