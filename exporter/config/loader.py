"""From flags, environment, file and defaults to one frozen Settings, and where each value came from.

The earlier in that list wins. Nothing heavy is imported unless there is a file to read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from exporter.config.option import VARIABLE_PREFIX, Option
from exporter.config.options import BY_KEY, CLIENT_SECRET, CONFIG_FILE, OPTIONS, PASSWORD, TOKEN
from exporter.config.settings import (
    AirflowSettings,
    HostSettings,
    OAuth2Settings,
    ReceptionSettings,
    Setting,
    Settings,
    StatsdSettings,
    WebSettings,
)
from exporter.config.statsd_options import MAPPING_CONFIG
from exporter.config.urls import API_SUFFIX
from exporter.config.values import Form

DEFAULT = "default"


class ConfigError(ValueError):
    """The configuration cannot be used; `problems` has one line for each thing that is wrong."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Given(NamedTuple):
    """A configured value, parsed and as written, with its place: a flag, a variable, or a file and line."""

    value: Any
    origin: str
    written: object = None


class Configuration(NamedTuple):
    """What a start or a reload works with; `notices` are lines for the log."""

    settings: Settings
    entries: tuple[Setting, ...]
    notices: tuple[str, ...]


Layer = dict[str, Given]
MappingCheck = Callable[[Path], Iterable[str]]
"""Returns the problems of a StatsD mapping file. It is a parameter because this package knows no source."""


def load(
    flags: Mapping[str, object], environment: Mapping[str, str], check_mapping: MappingCheck | None = None
) -> Configuration:
    """Build the configuration from flags (raw values by option), environment and file.

    `check_mapping` returns the problems of a StatsD mapping file. Raises ConfigError with every problem.
    """
    given, problems = gather(flags, environment)
    problems += find_contradictions(given)
    problems += find_mapping_problems(given, check_mapping)
    if problems:
        raise ConfigError(problems)
    return Configuration(build(given), tuple(describe(given)), tuple(find_notices(given, environment)))


def find_listen_address(flags: Mapping[str, object], environment: Mapping[str, str]) -> str:
    """Where a server with this configuration listens first; other options may be wrong without harm."""
    given, _ = gather(flags, environment)
    found = given.get("web.listen_address")
    addresses: tuple[str, ...] = found.value if found and found.value else Settings().web.listen_addresses
    return addresses[0]


def gather(flags: Mapping[str, object], environment: Mapping[str, str]) -> tuple[Layer, list[str]]:
    """What was given, and what is wrong with it. A value that is wrong counts as given, as None."""
    problems: list[str] = []
    above = {**read_environment(environment, problems), **read_flags(flags, problems)}
    chosen = above.get(CONFIG_FILE)
    below = read_file(chosen.value, problems) if chosen and chosen.value else {}
    return {**below, **above}, problems


def read_flags(flags: Mapping[str, object], problems: list[str]) -> Layer:
    return {key: parse_flag(BY_KEY[key], raw, problems) for key, raw in flags.items()}


def parse_flag(option: Option, raw: object, problems: list[str]) -> Given:
    return parse(option, raw, option.flag, problems, option.flag_form)


def read_environment(environment: Mapping[str, str], problems: list[str]) -> Layer:
    """The variables that are set; an empty one counts as not set, as compose files leave them."""
    return {
        option.key: parse(option, environment[option.variable], option.variable, problems)
        for option in OPTIONS
        if option.variable and environment.get(option.variable)
    }


def parse(option: Option, raw: object, origin: str, problems: list[str], form: Form | None = None) -> Given:
    try:
        return Given((form or option.form).parse(raw), origin, raw)
    except ValueError as error:
        problems.append(f"{origin}: {error}")
        return Given(None, origin, raw)


def read_file(path: Path, problems: list[str]) -> Layer:
    from exporter.config import file  # noqa: PLC0415 - pydantic is large, and most processes have no file

    contents = file.read_file(path)
    problems += contents.problems
    return {
        key: Given(contents.values.get(key), f"{path}:{contents.lines[key]}", written)
        for key, written in contents.written.items()
        if BY_KEY[key].by_file
    }


def find_contradictions(layer: Layer) -> list[str]:
    """Say which options do not go together."""
    given = {key for key, found in layer.items() if found.written != ""}
    problems = [*find_credential_problems(given), *find_oauth2_problems(given)]
    if "airflow.client_key_file" in given and "airflow.client_certificate_file" not in given:
        problems.append(f"airflow: a key without its certificate; add {name('airflow.client_certificate_file')}")
    problems += find_task_names_problems(given)
    skip = layer.get("airflow.insecure_skip_verify")
    if skip and skip.value and "airflow.ca_file" in given:
        problems.append(f"airflow: {name('airflow.ca_file')} is of no use where certificates are not checked; keep one")
    return problems


def find_mapping_problems(layer: Layer, check: MappingCheck | None) -> list[str]:
    """The problems of the StatsD mapping file, each with the place where the file was configured."""
    found = layer.get(MAPPING_CONFIG)
    if check is None or found is None or not found.value:
        return []
    return [f"{found.origin}: {problem}" for problem in check(found.value)]


def find_credential_problems(given: set[str]) -> Iterator[str]:
    """One way to sign in, and all of it."""
    passwords = sorted(given & {PASSWORD, "airflow.password_file"})
    ways = {
        "a user and a password": bool(given & {"airflow.username", *passwords}),
        "a token file": "airflow.token_file" in given,
        "a token in a variable": TOKEN in given and "airflow.token_file" not in given,
        "OAuth2": any(key.startswith("airflow.oauth2.") for key in given),
    }
    chosen = [way for way, is_given in ways.items() if is_given]
    if len(chosen) > 1:
        yield f"airflow: more than one way to sign in ({', '.join(chosen)}); keep one"
    for noun, key in (("password", PASSWORD), ("token", TOKEN), ("client secret", CLIENT_SECRET)):
        if {key, f"{key}_file"} <= given:
            yield f"airflow: the {noun} is given twice; keep {name(f'{key}_file')} or {name(key)}"
    if "airflow.username" in given and not passwords:
        yield f"airflow: a user without a password; add {name('airflow.password_file')} or {name(PASSWORD)}"
    if passwords and "airflow.username" not in given:
        yield f"airflow: a password without a user; add {name('airflow.username')}"


def find_oauth2_problems(given: set[str]) -> Iterator[str]:
    needed = ("airflow.oauth2.token_url", "airflow.oauth2.client_id", f"{CLIENT_SECRET}_file")
    present = given | ({f"{CLIENT_SECRET}_file"} if CLIENT_SECRET in given else set())
    missing = [name(key) for key in needed if key not in present]
    if missing and any(key.startswith("airflow.oauth2.") for key in given):
        yield f"airflow: OAuth2 is half given; add {' and '.join(missing)}"


def find_task_names_problems(given: set[str]) -> Iterator[str]:
    """How to sign in at the exporter that knows the names is all or nothing."""
    options = {key.removeprefix("host.task_names_") for key in given if key.startswith("host.task_names_")}
    if options and "from" not in options:
        yield f"host: how to sign in is given, but not where; add {name('host.task_names_from')}"
    for one, other in (("username", "password_file"), ("password_file", "username")):
        if one in options and other not in options:
            yield f"host: {name(f'host.task_names_{one}')} is of no use without {name(f'host.task_names_{other}')}"
    if "client_key_file" in options and "client_certificate_file" not in options:
        yield f"host: a key without its certificate; add {name('host.task_names_client_certificate_file')}"


def name(key: str) -> str:
    """How a message calls an option."""
    return BY_KEY[key].flag or BY_KEY[key].variable


def build(given: Layer) -> Settings:
    """The settings; options that are not given have their defaults."""
    values = {option.key: given[option.key].value if option.key in given else option.default for option in OPTIONS}
    return Settings(
        airflow=build_airflow(values),
        host=HostSettings(**pick(values, "host."), **pick(values, "path.")),
        statsd=StatsdSettings(**choose(values, StatsdSettings), task_labels=values["airflow.task_labels"]),
        reception=ReceptionSettings(**choose(values, ReceptionSettings)),
        web=WebSettings(
            listen_addresses=values["web.listen_address"],
            telemetry_path=values["web.telemetry_path"],
            config_file=values["web.config.file"],
            enable_lifecycle=values["web.enable_lifecycle"],
            max_connections=values["web.max_connections"],
        ),
        collectors=pick(values, "collector."),
        state_file=values["state.file"],
        birth_hold=values["exposition.birth_hold"],
        buckets=values["buckets"],
        caps=values["caps"],
        log_level=values["log.level"],
        log_format=values["log.format"],
    )


def build_airflow(values: Mapping[str, Any]) -> AirflowSettings:
    given = pick(values, "airflow.")
    password, token = given.pop("password"), given.pop("token")
    oauth2 = pick(values, "airflow.oauth2.")
    oauth2["client_secret_environment"] = BY_KEY[CLIENT_SECRET].variable if oauth2.pop("client_secret") else ""
    return AirflowSettings(
        **given,
        password_environment=BY_KEY[PASSWORD].variable if password else "",
        token_environment=BY_KEY[TOKEN].variable if token else "",
        oauth2=OAuth2Settings(**oauth2) if oauth2["token_url"] else None,
        limits={key: value for key, value in pick(values, "airflow.limits.").items() if value is not None},
    )


def choose(values: Mapping[str, Any], kind: type[StatsdSettings | ReceptionSettings]) -> dict[str, Any]:
    """Those values of section `statsd` that one part of it knows."""
    known = {field.name for field in fields(kind)}
    return {key: value for key, value in pick(values, "statsd.").items() if key in known}


def pick(values: Mapping[str, Any], section: str) -> dict[str, Any]:
    """The values of one section by their last name, without deeper sections."""
    inside = {key.removeprefix(section): value for key, value in values.items() if key.startswith(section)}
    return {key: value for key, value in inside.items() if "." not in key}


def describe(given: Layer) -> Iterator[Setting]:
    """Every option with its value, masked, and where it came from; mappings have a line for each name."""
    for option in OPTIONS:
        found = given.get(option.key, Given(option.default, DEFAULT))
        if option.names is None:
            yield Setting(option.key, option.show(found.value), found.origin)
            continue
        for key, value in found.value.items():
            yield Setting(f"{option.key}.{key}", option.show(value), found.origin)


def find_notices(given: Layer, environment: Mapping[str, str]) -> Iterator[str]:
    """What is not wrong but worth a line in the log."""
    collectors = [option for option in OPTIONS if option.key.startswith("collector.")]
    if not any(given[one.key].value if one.key in given else one.default for one in collectors):
        yield "collector: every collector is off, so that nothing is read; leave at least one of them on"
    url = given.get("airflow.url")
    if url and API_SUFFIX.search(str(url.written)):
        yield f"{url.origin}: the path of the API itself is left out of the URL; {url.value} is used"
    yield from find_unknown_variables(environment)


def find_unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """Variables that look misspelt. Others with our prefix are none of ours: Kubernetes makes some for a service."""
    known = [option.variable for option in OPTIONS if option.variable]
    for variable in sorted(environment):
        if not variable.startswith(VARIABLE_PREFIX) or variable in known:
            continue
        from difflib import get_close_matches  # noqa: PLC0415 - hardly anybody needs it

        nearest = get_close_matches(variable, known, n=1, cutoff=0.85)
        if nearest:
            yield f"{variable}: is not known and has no effect; did you mean {nearest[0]}?"
