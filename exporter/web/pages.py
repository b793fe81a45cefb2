"""The HTML pages `/`, `/sources` and `/config`, without scripts, for light and dark mode.

All functions are pure; `now` is Unix seconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import groupby

from exporter import __version__
from exporter.collect.status import ReadCycle, ReaderStatus, SourceStatus
from exporter.config.settings import Setting
from exporter.diagnosis.words import format_seconds
from exporter.web.html import Markup, join, tag
from exporter.web.style import STYLE

TITLE = "Airflow metrics exporter"
NAV_LINKS = (("Overview", "./"), ("Diagnosis", "diagnosis"), ("Sources", "sources"), ("Configuration", "config"))
"""Links at the top of each page, relative to `/`."""


def render_landing_page(sources: Sequence[SourceStatus], telemetry_path: str, now: float) -> str:
    """The page `/`: version, state of each source, links."""
    links = [
        (telemetry_path, "the metrics, for Prometheus"),
        ("/diagnosis", "what waits in Airflow now, what fails and what costs, why, and what to change"),
        (
            "/sources",
            "state, errors and log lines of each source: look here first when metrics are missing or wrong",
        ),
        ("/config", "the configuration in use, and where each value was set"),
        ("/runbooks", "what to do when an alert fires"),
        ("/-/healthy", "liveness: status 200 while the process runs"),
        ("/-/ready", "readiness: status 200 after the first attempt to read each source"),
    ]
    listed = [join(tag("dt", tag("a", path, href=path.lstrip("/"))), tag("dd", text)) for path, text in links]
    return render_page(
        "",
        tag("p", f"Version {__version__}", class_="dim"),
        tag("h2", "Sources"),
        render_source_table(sources, now),
        tag("h2", "Pages"),
        tag("dl", *listed),
    )


def render_runbook_list_page(names: Sequence[str]) -> str:
    """The page `/runbooks`: links to all runbooks."""
    return render_page("Runbooks", render_runbook_list(names, "runbooks/"))


def render_runbook_list(names: Sequence[str], prefix: str) -> Markup:
    """The list of runbooks; `prefix` is what the links begin with."""
    listed = [tag("li", tag("a", name, href=f"{prefix}{name}.md")) for name in names]
    return join(
        tag("p", "What to do when an alert fires. These runbooks belong to this release of the exporter."),
        tag("ul", *listed),
    )


def render_runbook_page(name: str, content: Markup) -> str:
    """The page of one runbook, one level below the others."""
    return render_page(
        name, content, nav=[(text, f"../{href}") for text, href in (*NAV_LINKS, ("Runbooks", "runbooks"))]
    )


def render_source_table(sources: Sequence[SourceStatus], now: float) -> Markup:
    """A table with one row per source."""
    if not sources:
        return tag("p", "All collectors are disabled: no metrics are collected.", class_="bad")
    rows = [
        [
            tag("a", source.name, href=f"sources#{source.name}"),
            render_source_state(source),
            source.detail,
            render_nowrap(count_ok_readers(source)),
            render_age(get_last_success(source), now),
            summarize_problems(source),
        ]
        for source in sources
    ]
    return render_table(["Source", "State", "Reads from", "Readers", "Last success", "Problem"], rows)


def render_source_state(source: SourceStatus) -> Markup:
    """Up, down, or not attempted yet."""
    if not source.attempted:
        return tag("span", "not attempted yet", class_="wait")
    return tag("span", "up", class_="good") if source.up else tag("span", "down", class_="bad")


def count_ok_readers(source: SourceStatus) -> str:
    """How many readers succeeded at their last attempt, as `5 of 6 ok`."""
    ok = sum(reader.outcome == "ok" for reader in source.readers)
    return f"{ok} of {len(source.readers)} ok"


def get_last_success(source: SourceStatus) -> float | None:
    """Time of the last success of any reader, in Unix seconds."""
    return max((reader.last_success for reader in source.readers if reader.last_success is not None), default=None)


def summarize_problems(source: SourceStatus) -> str:
    """The error of the first failing reader, else the objects that the first reader skips."""
    failing = [reader for reader in source.readers if reader.outcome not in ("", "ok")]
    failing += [reader for reader in source.readers if reader.outcome == "ok" and reader.unanswered]
    if not failing:
        return ""
    more = f" (and {len(failing) - 1} more)" if len(failing) > 1 else ""
    return f"{failing[0].name}: {get_problem(failing[0]) or failing[0].outcome}{more}"


def render_sources_page(sources: Sequence[SourceStatus], now: float) -> str:
    """The page `/sources`: each source with its readers and their last polls."""
    sections = [render_source(source, now) for source in sources]
    return render_page(
        "Sources", tag("p", f"State at {format_timestamp(now)}. Reload the page to update it.", class_="dim"), *sections
    )


def render_source(source: SourceStatus, now: float) -> Markup:
    """One source: its state, its readers, and their last polls."""
    columns = ["Reader", "State", "Last success", "Last attempt", "Duration", "Interval", "Problem"]
    cycles = {name: list(group) for name, group in groupby(sorted(source.cycles, key=get_reader_name), get_reader_name)}
    return join(
        tag("h2", source.name, " ", render_source_state(source), id=source.name),
        tag("p", source.detail, class_="dim"),
        render_table(columns, [render_reader_row(source, reader, now) for reader in source.readers]),
        *[render_cycles(source, reader, cycles.get(reader.name, [])) for reader in source.readers],
    )


def get_reader_name(cycle: ReadCycle) -> str:
    """The key by which polls are grouped."""
    return cycle.reader


def render_reader_row(source: SourceStatus, reader: ReaderStatus, now: float) -> list[str]:
    """The cells of a reader's row."""
    stretched = f" (now {format_duration(reader.pause)})" if reader.pause > reader.interval else ""
    return [
        tag("a", reader.name, href=f"#{source.name}-{reader.name}", title=reader.help),
        render_outcome(reader.outcome),
        render_age(reader.last_success, now),
        render_age(reader.last_attempt, now),
        render_nowrap(format_duration(reader.duration)) if reader.last_attempt is not None else "",
        render_nowrap(format_duration(reader.interval) + stretched),
        get_problem(reader),
    ]


def get_problem(reader: ReaderStatus) -> str:
    """The error of the last attempt, or which objects are skipped and why; empty if all is well."""
    if reader.outcome != "ok" or not reader.unanswered:
        return reader.message if reader.outcome != "ok" else ""
    return f"{reader.unanswered} skipped: {reader.message}"


def render_outcome(outcome: str) -> Markup:
    """The result of a poll: ok, or the reason of the failure."""
    if not outcome:
        return tag("span", "not attempted yet", class_="wait")
    return tag("span", outcome.replace("_", " "), class_="good" if outcome == "ok" else "bad")


def render_cycles(source: SourceStatus, reader: ReaderStatus, cycles: Sequence[ReadCycle]) -> Markup:
    """The last polls of a reader, collapsed unless the last one failed."""
    failed = sum(cycle.outcome != "ok" for cycle in cycles)
    count = f"{len(cycles)} poll{'' if len(cycles) == 1 else 's'}"
    state = count + (f", {failed} failed" if failed else "")
    rows = [
        [
            format_timestamp(cycle.started),
            format_duration(cycle.duration),
            join(render_outcome(cycle.outcome), render_log_lines(cycle)),
        ]
        for cycle in cycles
    ]
    return tag(
        "details",
        tag("summary", tag("strong", reader.name), f": {state}"),
        tag("p", reader.help, class_="dim", id=f"{source.name}-{reader.name}"),
        render_table(["Started", "Duration", "Result and log"], rows),
        open=reader.outcome not in ("", "ok"),
    )


def render_log_lines(cycle: ReadCycle) -> Markup:
    """The log lines of a poll."""
    return tag("pre", "\n".join(cycle.lines)) if cycle.lines else Markup()


def render_configuration_page(settings: Sequence[Setting]) -> str:
    """The page `/config`: each value in use, and where it was set."""
    rows = [[tag("code", setting.name), tag("code", setting.value), setting.origin] for setting in settings]
    note = tag("p", "The configuration in use. Secrets are masked.", class_="dim")
    return render_page("Configuration", note, render_table(["Option", "Value", "Set by"], rows))


def render_page(heading: str, *content: str, nav: Iterable[tuple[str, str]] = NAV_LINKS) -> str:
    """A complete HTML document. Links are relative, so that it works under any path of a reverse proxy."""
    head = join(
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{heading} - {TITLE}" if heading else TITLE),
        tag("style", Markup(STYLE)),
    )
    links = [tag("a", text, href=href) for text, href in nav]
    top = tag("header", tag("h1", heading or TITLE), tag("nav", *links))
    return f"<!doctype html>\n{tag('html', tag('head', head), tag('body', top, tag('main', *content)), lang='en')}\n"


def render_table(columns: Iterable[str], rows: Sequence[Sequence[str]]) -> Markup:
    """A table, or a note if there are no rows."""
    if not rows:
        return tag("p", "No data yet.", class_="dim")
    head = tag("thead", tag("tr", *[tag("th", column, scope="col") for column in columns]))
    body = tag("tbody", *[tag("tr", *[tag("td", cell) for cell in row]) for row in rows])
    return tag("div", tag("table", head, body), class_="scroll")


def render_stacked_table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """A table whose rows become blocks on a narrow screen; the roles keep its meaning for screen readers there."""
    head = tag("tr", *[tag("th", column, scope="col", role="columnheader") for column in columns], role="row")
    lines = [
        tag(
            "tr",
            tag("th", row[0], scope="row", role="rowheader"),
            *[tag("td", cell, role="cell", data_label=name) for name, cell in zip(columns[1:], row[1:], strict=True)],
            role="row",
        )
        for row in rows
    ]
    parts = (tag("caption", caption), tag("thead", head, role="rowgroup"), tag("tbody", *lines, role="rowgroup"))
    return tag("table", *parts, class_="stacked", role="table")


def render_nowrap(text: str) -> Markup:
    """Text that the browser keeps on one line."""
    return tag("span", text, class_="nowrap")


def format_timestamp(seconds: float) -> str:
    """Unix seconds as a date and time in UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def render_age(timestamp: float | None, now: float) -> Markup:
    """How long ago a time was, with the time itself as a tooltip."""
    if timestamp is None:
        return tag("span", "never", class_="dim")
    return tag(
        "span", f"{format_duration(max(0.0, now - timestamp))} ago", title=format_timestamp(timestamp), class_="nowrap"
    )


def format_duration(seconds: float) -> str:
    """A duration in seconds, written in at most two units."""
    return f"{seconds * 1000:.0f} ms" if seconds < 0.9995 else format_seconds(seconds)
