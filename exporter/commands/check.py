"""What `check` tries: one step after the other, each with its result and what to do about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from exporter import logs
from exporter.config.loader import Configuration
from exporter.config.secret_file import SecretFile, clean_password
from exporter.config.settings import AirflowSettings, Settings
from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.airflow_api import AirflowApi
from exporter.sources.airflow.api.check_step import CheckStep
from exporter.sources.airflow.api.detect import connect
from exporter.sources.airflow.http.client import Client
from exporter.sources.airflow.http.credentials import ExtraHeaders, Password, find_token
from exporter.sources.airflow.http.tokens import find_client_secret
from exporter.sources.airflow.source import list_checks
from exporter.web.security.file import load_web_config
from exporter.web.security.settings import WebConfigError

SKEW = 2.0
"""Seconds from which on a difference of the clocks is worth a note: nothing depends on it, but logs will differ."""


class Finding(NamedTuple):
    """One line of the report: `result` is "ok", "note" (works, but know this) or "FAILED"."""

    result: str
    tried: str
    text: str

    @property
    def sound(self) -> bool:
        """Whether the exporter can do its work."""
        return self.result != "FAILED"

    def __str__(self) -> str:
        return f"{self.result:<6}  {self.tried:<26}  {self.text}".rstrip()


def diagnose(configuration: Configuration, *, offline: bool = False) -> Iterator[Finding]:
    """Try everything, in the order in which it is needed; ends early where the rest depends on what failed.

    `offline` leaves out what asks the network.
    """
    settings = configuration.settings
    logs.configure("error", settings.log_format)
    given = {entry.origin.partition(":")[0] for entry in configuration.entries if entry.origin != "default"}
    yield Finding("ok", "configuration", f"from {', '.join(sorted(given))}" if given else "only defaults")
    for notice in configuration.notices:
        yield Finding("note", "configuration", notice)
    if settings.state_file is None:
        yield Finding("note", "state file", "none: counters start at zero with each start; see --state.file")
    yield from diagnose_web(settings.web.config_file)
    if settings.statsd.mapping_config:
        yield from diagnose_mapping(settings.statsd.mapping_config)
    yield from diagnose_secrets(settings)
    if offline:
        yield Finding("ok", "offline", "nothing was asked of the network")
    elif settings.collectors["airflow"]:
        yield from diagnose_airflow(settings.airflow)


def diagnose_mapping(path: Path) -> Iterator[Finding]:
    """A mapping file that is wrong never comes this far: the configuration says what is wrong with it."""
    from exporter.sources.statsd.mapping.mapper import load_mapping  # noqa: PLC0415 - few have one

    mapper = load_mapping(path)
    yield Finding("ok", "mapping file", f"{path}: {mapper.format_summary()}")
    for warning in mapper.list_warnings():
        yield Finding("note", "mapping file", warning)


def diagnose_secrets(settings: Settings) -> Iterator[Finding]:
    """Every secret that is configured, read as it will be used: empty files are no fault of a configuration in CI."""
    for tried, read in list_secrets(settings):
        try:
            read()
        except ReaderError as error:
            result = "note" if "is empty" in str(error) else "FAILED"
            yield Finding(result, tried, str(error))
        else:
            yield Finding("ok", tried, "read")


def list_secrets(settings: Settings) -> Iterator[tuple[str, Callable[[], object]]]:
    """Each secret that is configured: what it is called, and what reads it."""
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


def diagnose_airflow(settings: AirflowSettings) -> Iterator[Finding]:
    """Connection and version, credentials, then each endpoint."""
    client = Client(settings)
    try:
        airflow = connect(settings, client=client).airflow
        began = time.monotonic()
        airflow.server_time()
        milliseconds = (time.monotonic() - began) * 1000
        yield Finding("ok", "connection", f"{settings.url} is Airflow {airflow.version}, {milliseconds:.0f} ms away")
        yield from diagnose_clock(client.skew)
        yield from diagnose_endpoints(airflow)
    except ReaderError as error:
        yield fail("connection", error)
    finally:
        client.close()


def diagnose_web(path: Path | None) -> Iterator[Finding]:
    """The file of TLS and users."""
    if path is None:
        return
    try:
        load_web_config(path)
    except WebConfigError as error:
        for problem in error.problems:
            yield Finding("FAILED", "web configuration", problem)
    else:
        yield Finding("ok", "web configuration", str(path))


def diagnose_clock(skew: float | None) -> Iterator[Finding]:
    if skew is not None and abs(skew) >= SKEW:
        direction = "ahead of" if skew > 0 else "behind"
        yield Finding("note", "clock", f"Airflow's clock is {abs(skew):.0f} s {direction} this machine's; is NTP on?")


def diagnose_endpoints(airflow: AirflowApi) -> Iterator[Finding]:
    """Every endpoint that a reader needs; the first that needs a permission shows whether credentials are accepted."""
    first, *rest = list_checks()
    finding, error = try_step(first, airflow)
    if error and error.reason == "unauthorized":
        yield fail("credentials", error)
        return
    yield Finding("ok", "credentials", "accepted")
    yield finding
    for step in rest:
        yield try_step(step, airflow)[0]


def try_step(step: CheckStep, airflow: AirflowApi) -> tuple[Finding, ReaderError | None]:
    """Read one endpoint: the line of the report, and the error if there was one."""
    try:
        found = step.read(airflow)
    except ReaderError as error:
        failed = fail(step.title, error)
        return failed._replace(result="note") if step.optional else failed, error
    if found is None:
        return Finding("note" if step.hidden else "ok", step.title, step.hidden or "nothing to read here"), None
    return Finding("ok", step.title, step.describe(found)), None


def fail(tried: str, error: ReaderError) -> Finding:
    return Finding("FAILED", tried, f"{error.reason}: {error}")
