"""The command `check`: tests the configuration, the connection, the credentials and each API endpoint."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from exporter import logs
from exporter.commands.state_check import find_state_problem
from exporter.config.loader import Configuration
from exporter.config.secret_file import SecretFile, clean_password
from exporter.config.settings import AirflowSettings, Settings
from exporter.metrics.reading import Reader, ReaderError
from exporter.sources.airflow.api.airflow_api import AirflowApi
from exporter.sources.airflow.api.check_step import CheckStep
from exporter.sources.airflow.api.detect import connect
from exporter.sources.airflow.http.client import Client
from exporter.sources.airflow.http.credentials import ExtraHeaders, Password, find_token
from exporter.sources.airflow.http.tokens import find_client_secret
from exporter.sources.airflow.source import list_checks
from exporter.sources.directory import Directory
from exporter.web.security.file import load_web_config
from exporter.web.security.settings import WebConfigError

if TYPE_CHECKING:
    from exporter.sources.celery.source import CelerySource
    from exporter.sources.database.source import DatabaseSource

CELERY = "Celery broker URL"
DATABASE = "database URL"
EXTRAS = {CELERY: "celery", DATABASE: "database"}
"""The extra that reads a secret."""
MAX_SKEW = 2.0
"""Seconds of clock difference that are reported. Metrics do not depend on it, but timestamps in logs do."""


class CheckResult(NamedTuple):
    """One line of the output: `result` is "ok", "note" (a warning) or "FAILED"."""

    result: str
    name: str
    text: str

    @property
    def passed(self) -> bool:
        """Whether the exporter can work in spite of it."""
        return self.result != "FAILED"

    def __str__(self) -> str:
        return f"{self.result:<6}  {self.name:<26}  {self.text}".rstrip()


def run_checks(configuration: Configuration, *, offline: bool = False) -> Iterator[CheckResult]:
    """Yield the result of each check, in the order of dependence; ends early if the rest depends on a failure.

    `offline` leaves out everything that needs the network.
    """
    settings = configuration.settings
    logs.configure("error", settings.log_format)
    origins = {entry.origin.partition(":")[0] for entry in configuration.entries if entry.origin != "default"}
    yield CheckResult("ok", "configuration", f"from {', '.join(sorted(origins))}" if origins else "defaults only")
    for notice in configuration.notices:
        yield CheckResult("note", "configuration", notice)
    if settings.state_file is None:
        yield CheckResult("note", "state file", "none: counters restart at 0 with the exporter; see --state.file")
    elif problem := find_state_problem(settings.state_file):
        yield CheckResult("FAILED", "state file", f"{settings.state_file}: {problem}")
    yield from check_web_config(settings.web.config_file)
    if settings.statsd.mapping_config:
        yield from check_mapping(settings.statsd.mapping_config, replaces=settings.statsd.mapping_replaces)
    yield from check_secrets(settings)
    if offline:
        yield CheckResult("ok", "offline", "no network request was made")
    else:
        if settings.collectors["airflow"]:
            yield from check_airflow(settings.airflow)
        if settings.collectors.get("celery"):
            yield from check_celery(settings)
        if settings.collectors.get("database"):
            yield from check_database(settings)


def check_mapping(path: Path, *, replaces: bool) -> Iterator[CheckResult]:
    """Summarize the StatsD mapping file and its doubtful rules. An invalid one is an error of the configuration."""
    from exporter.sources.statsd.beside import list_conflicts  # noqa: PLC0415 - rarely needed
    from exporter.sources.statsd.mapping.mapper import load_mapping  # noqa: PLC0415

    mapper = load_mapping(path)
    yield CheckResult("ok", "mapping file", f"{path}: {mapper.format_summary()}")
    for warning in (*mapper.list_warnings(), *(() if replaces else list_conflicts(mapper))):
        yield CheckResult("note", "mapping file", warning)


def check_secrets(settings: Settings) -> Iterator[CheckResult]:
    """Read every configured secret. An empty file is only a note, because CI has no secrets."""
    for name, read in list_secrets(settings):
        try:
            read()
        except ModuleNotFoundError as error:
            text = f"{error.name} is not installed: airflow-metrics-exporter[{EXTRAS[name]}]"
            yield CheckResult("FAILED", name, text)
        except ReaderError as error:
            result = "note" if "is empty" in str(error) else "FAILED"
            yield CheckResult(result, name, str(error))
        else:
            yield CheckResult("ok", name, "read")


def list_secrets(settings: Settings) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the name of each configured secret, and the function that reads it."""
    airflow, host = settings.airflow, settings.host
    if token := find_token(airflow):
        yield "token", token.read
    if airflow.username:
        yield "password", Password(airflow).read
    if airflow.oauth2:
        yield "client secret", find_client_secret(airflow.oauth2).read
    if airflow.headers_file:
        yield "headers file", ExtraHeaders(airflow.headers_file).read
    if host.task_names_password_file:
        file = SecretFile(host.task_names_password_file, "the password file", clean_password)
        yield "password for task names", file.read
    if settings.collectors.get("celery"):
        yield CELERY, lambda: open_celery(settings).prepare()
    if settings.collectors.get("database"):
        yield DATABASE, lambda: open_database(settings).prepare()


def check_airflow(settings: AirflowSettings) -> Iterator[CheckResult]:
    """Check the connection, the credentials, then each endpoint of the API."""
    client = Client(settings)
    try:
        airflow = connect(settings, client=client).airflow
        started = time.monotonic()
        airflow.server_time()
        milliseconds = (time.monotonic() - started) * 1000
        text = f"{settings.url} is Airflow {airflow.version}, response time {milliseconds:.0f} ms"
        yield CheckResult("ok", "connection", text)
        yield from check_clock(client.skew)
        yield from check_endpoints(airflow)
    except ReaderError as error:
        yield build_failure("connection", error)
    finally:
        client.close()


def open_celery(settings: Settings) -> CelerySource:
    """The source of Celery, not connected. Raises ModuleNotFoundError without its extra."""
    from exporter.sources.celery.source import CelerySource  # noqa: PLC0415 - an extra

    return CelerySource(settings.celery, Directory())


def open_database(settings: Settings) -> DatabaseSource:
    """The source of the metadata database, not connected. Raises ModuleNotFoundError without its extra."""
    from exporter.sources.database.source import DatabaseSource  # noqa: PLC0415 - an extra

    return DatabaseSource(settings.database, Directory())


def check_celery(settings: Settings) -> Iterator[CheckResult]:
    """Check the connection to Celery's broker, then its queues and workers."""
    try:
        source = open_celery(settings)
    except ModuleNotFoundError:
        return  # check_secrets has said so
    try:
        source.connect()
        yield CheckResult("ok", "Celery broker", str(source))
        yield from check_readers("Celery", source.readers)
    except ReaderError as error:
        yield build_failure("Celery", error)
    finally:
        source.close()


def check_database(settings: Settings) -> Iterator[CheckResult]:
    """Check the connection to the metadata database, the rights of the user, then each reader."""
    try:
        source = open_database(settings)
    except ModuleNotFoundError:
        return  # check_secrets has said so
    try:
        source.connect()
        yield CheckResult("ok", "database", str(source))
        for right in source.check_rights():
            result = "ok" if not right.missing else "FAILED" if right.is_needed else "note"
            yield CheckResult(result, f"database: {right.name}", right.missing or "granted")
        yield from check_readers("database", source.readers)
    except ReaderError as error:
        yield build_failure("database", error)
    finally:
        source.close()


def check_readers(source: str, readers: Iterable[Reader]) -> Iterator[CheckResult]:
    """Read once with each reader, also after one that failed."""
    for reader in readers:
        name = f"{source} {reader.name}"
        try:
            notes = reader.read().notes
        except ReaderError as error:
            yield build_failure(name, error)
        else:
            yield CheckResult("ok", name, "; ".join(notes))


def check_web_config(path: Path | None) -> Iterator[CheckResult]:
    """Check the web configuration file: TLS and basic auth."""
    if path is None:
        return
    try:
        load_web_config(path)
    except WebConfigError as error:
        for problem in error.problems:
            yield CheckResult("FAILED", "web configuration", problem)
    else:
        yield CheckResult("ok", "web configuration", str(path))


def check_clock(skew: float | None) -> Iterator[CheckResult]:
    """Report a large difference between Airflow's clock and that of this machine, in seconds."""
    if skew is not None and abs(skew) >= MAX_SKEW:
        direction = "ahead of" if skew > 0 else "behind"
        text = f"Airflow's clock is {abs(skew):.0f} s {direction} the clock of this machine; check NTP"
        yield CheckResult("note", "clock", text)


def check_endpoints(airflow: AirflowApi) -> Iterator[CheckResult]:
    """Every endpoint that a reader needs; the first that needs a permission shows whether credentials are accepted."""
    first, *rest = list_checks()
    result, error = run_step(first, airflow)
    if error and error.reason == "unauthorized":
        yield build_failure("credentials", error)
        return
    yield CheckResult("ok", "credentials", "accepted")
    yield result
    for step in rest:
        yield run_step(step, airflow)[0]


def run_step(step: CheckStep, airflow: AirflowApi) -> tuple[CheckResult, ReaderError | None]:
    """Read one endpoint. Returns the line of the output, and the error if there was one."""
    try:
        found = step.read(airflow)
    except ReaderError as error:
        failed = build_failure(step.title, error)
        return failed._replace(result="note") if step.optional else failed, error
    if found is None:
        return CheckResult("note" if step.hidden else "ok", step.title, step.hidden or "not available here"), None
    return CheckResult("ok", step.title, step.describe(found)), None


def build_failure(name: str, error: ReaderError) -> CheckResult:
    """The line of a failed check."""
    return CheckResult("FAILED", name, f"{error.reason}: {error}")
