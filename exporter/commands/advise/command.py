"""`airflow-exporter advise`: its options, and one run from the questions to the report."""

from __future__ import annotations

import math
import re
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from exporter.commands.advise.observe import Asker, ChosenAirflow, ReadWindow, find_airflow, read_observations
from exporter.commands.advise.prometheus import PrometheusClient, PrometheusError, PrometheusSettings
from exporter.commands.advise.texts import to_json, to_markdown, to_text
from exporter.commands.advise.what_if import WHAT_IF_FORMATS, make_what_if
from exporter.config.urls import refuse_userinfo, split_url
from exporter.config.values import parse_duration
from exporter.metrics.reading import ReaderError
from exporter.tuning.advice import AdviceReport
from exporter.tuning.engine import advise

MIN_WINDOW = 3600.0
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
CREDENTIALS = ("authorization", "proxy-authorization", "cookie")
"""Headers with secrets, which are not for flags."""


class AdviceError(Exception):
    """No report can be made; the message says why."""


def make_text(given: Mapping[str, Any], form: str) -> str:
    """The report, or what --what-if asks for, as text in a format. Raises AdviceError and OSError."""
    try:
        times = parse_window(given["window"], given["end"])
        chosen = ChosenAirflow(given["airflow"], parse_labels(given["label"]))
        check_format(form, what_if=bool(given["what_if"]))
        client = PrometheusClient(read_settings(given))
        airflow = find_airflow(client, times, chosen)
        if given["what_if"]:
            changes, events = given["what_if"], given["events_file"]
            return make_what_if(client, times, airflow, changes, events, show_progress).render(form)
        return render(make_report(client, times, airflow), form)
    except (ValueError, PrometheusError, ReaderError) as error:
        raise AdviceError(str(error)) from error
    finally:
        show_progress("")


def make_report(client: Asker, times: ReadWindow, airflow: ChosenAirflow) -> AdviceReport:
    """Read Prometheus and work out the advice; problems are printed too. Raises PrometheusError and ReaderError."""
    seen = read_observations(client, times, airflow, show_progress)
    show_progress("working it out")
    report = advise(seen)
    show_progress("")
    for problem in report.problems:
        click.echo(problem, err=True)
    return report


def check_format(form: str, *, what_if: bool) -> None:
    """Raise AdviceError for a format that cannot be written, before weeks are read."""
    if what_if and form not in WHAT_IF_FORMATS:
        raise AdviceError(f"--what-if has --format=text and --format=json, not {form}")
    if form == "html" and find_spec("matplotlib") is None:
        raise AdviceError(
            "--format=html needs the extra [advise] (no matplotlib): pip install airflow-metrics-exporter[advise]"
        )


def read_settings(given: Mapping[str, Any]) -> PrometheusSettings:
    """Where Prometheus is. Raises ValueError."""
    url = given["prometheus_url"]
    refuse_userinfo(split_url(url))
    if bool(given["prometheus_username"]) != bool(given["prometheus_password_file"]):
        raise ValueError("--prometheus.username and --prometheus.password-file belong together")

    def get_path(name: str) -> Path | None:
        return Path(given[f"prometheus_{name}"]) if given[f"prometheus_{name}"] else None

    return PrometheusSettings(
        url,
        token_file=get_path("bearer_token_file"),
        username=given["prometheus_username"],
        password_file=get_path("password_file"),
        ca_file=get_path("ca_file"),
        cert_file=get_path("cert_file"),
        key_file=get_path("key_file"),
        skip_verify=given["prometheus_insecure_skip_verify"],
        headers=parse_headers(given["prometheus_header"]),
        timeout=parse_duration(given["prometheus_timeout"]),
    )


def parse_window(window: str, end: str) -> ReadWindow:
    """The time to look at. Raises ValueError."""
    seconds = parse_duration(window)
    if seconds < MIN_WINDOW:
        raise ValueError("--window must be at least 1h; advice needs days, better weeks")
    last = parse_moment(end) if end else time.time()
    return ReadWindow(last - seconds, last)


def parse_moment(text: str) -> float:
    """A time as 2026-05-01T12:00:00Z, or in Unix seconds. Raises ValueError."""
    try:
        if math.isfinite(seconds := float(text)):
            return seconds
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"--end={text} is not a time; write 2026-05-01T12:00:00Z or Unix seconds") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def show_progress(text: str) -> None:
    """One line on a terminal that is written over again and again; nothing elsewhere."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{text}", nl=False, err=True)


def render(report: AdviceReport, form: str) -> str:
    """The report in a format."""
    if form == "json":
        return to_json(report) + "\n"
    if form == "html":
        from exporter.commands.advise.html import to_html  # noqa: PLC0415 - needs the extra

        return to_html(report)
    lines = to_markdown(report) if form == "markdown" else to_text(report)
    return "\n".join(lines) + "\n"


def write(text: str, output: str) -> None:
    """Write the report to a file or to standard output. Raises OSError."""
    if output:
        Path(output).write_text(text, encoding="utf-8")
    else:
        click.echo(text, nl=False)


def parse_labels(given: tuple[str, ...]) -> dict[str, str]:
    """Labels written as NAME=VALUE. Raises ValueError."""
    found = dict(one.partition("=")[::2] for one in given)
    for name in found:
        if not LABEL.fullmatch(name) or name == "airflow":
            raise ValueError(f"--label={name}: write NAME=VALUE with a label that tells Airflows of one name apart")
    return found


def parse_headers(given: tuple[str, ...]) -> dict[str, str]:
    """Headers written as NAME=VALUE. Raises ValueError."""
    found = {}
    for one in given:
        name, separator, value = one.partition("=")
        if not separator or not name.strip() or "\n" in one or "\r" in one:
            raise ValueError(f"--prometheus.header={name}: write NAME=VALUE")
        if name.strip().lower() in CREDENTIALS:
            raise ValueError(
                f"--prometheus.header={name}: every user of this machine could read it; use "
                "--prometheus.bearer-token-file, or --prometheus.username and --prometheus.password-file"
            )
        found[name.strip()] = value.strip()
    return found
