"""The pages that people open: plain HTML without scripts, readable in light and dark.

All functions are pure: `now` is Unix seconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import groupby

from exporter import __version__
from exporter.collect.status import Cycle, ReaderStatus, SourceStatus
from exporter.config.settings import Setting
from exporter.web.html import Markup, digest, join, tag

TITLE = "Airflow metrics exporter"
NAV = (("Overview", "./"), ("Sources", "sources"), ("Configuration", "config"))
"""The links at the top of a page, relative to `/`."""
STYLE = """
:root { color-scheme: light dark; --text: #1b1f24; --dim: #57606a; --line: #d0d7de; --back: #fff; --panel: #f6f8fa;
  --good: #1a7f37; --bad: #b4232c; --wait: #8a5a00; --link: #0b5cad; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --dim: #9aa4af; --line: #3a424c; --back: #12161b;
  --panel: #1b2128; --good: #4cc46a; --bad: #ff7b72; --wait: #e3b341; --link: #6cb6ff; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); margin: 0 auto;
  max-width: 72rem; padding: 1.5rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
a { color: var(--link); } p { margin: .5rem 0; }
nav { margin: .25rem 0 1.5rem; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; }
.dim { color: var(--dim); } .good { color: var(--good); } .bad { color: var(--bad); } .wait { color: var(--wait); }
.good, .bad, .wait { font-weight: 600; }
.good, .bad, .wait, .whole { white-space: nowrap; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--line); }
th { color: var(--dim); font-weight: 600; white-space: nowrap; }
.whole { font-variant-numeric: tabular-nums; } td { overflow-wrap: break-word; min-width: 3.5rem; }
td:last-child { overflow-wrap: anywhere; min-width: 16rem; }
code, pre { font: .85rem/1.45 ui-monospace, monospace; } code { overflow-wrap: anywhere; }
pre { margin: .25rem 0 0; padding: .4rem .6rem; white-space: pre-wrap; overflow-wrap: anywhere;
  background: var(--panel); }
details { border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; } dt { font-weight: 600; } dd { margin: 0 0 .5rem; }
"""
POLICY = f"default-src 'none'; style-src {digest(STYLE)}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""The Content-Security-Policy under which the pages work: their one style sheet, and nothing else."""


def show_landing(sources: Sequence[SourceStatus], telemetry_path: str, now: float) -> str:
    """Version, state of each source, links."""
    links = [
        (telemetry_path, "what Prometheus scrapes"),
        ("/sources", "the last cycles of each source with their log lines: open this when numbers look wrong"),
        ("/config", "the configuration in effect, and where each value came from"),
        ("/runbooks", "what to do about each alert of the bundle"),
        ("/-/healthy", "200 while the process lives"),
        ("/-/ready", "200 once each source was tried"),
    ]
    listed = [join(tag("dt", tag("a", path, href=path.lstrip("/"))), tag("dd", text)) for path, text in links]
    return show_page(
        "",
        tag("p", f"Version {__version__}", class_="dim"),
        tag("h2", "Sources"),
        show_overview(sources, now),
        tag("h2", "Pages"),
        tag("dl", *listed),
    )


def show_runbooks(names: Sequence[str]) -> str:
    """Links to the page of each alert."""
    return show_page("Runbooks", list_runbooks(names, "runbooks/"))


def list_runbooks(names: Sequence[str], prefix: str) -> Markup:
    """What the list of runbooks says, for links relative to it."""
    listed = [tag("li", tag("a", name, href=f"{prefix}{name}.md")) for name in names]
    return join(tag("p", "What to do about each alert, for this release."), tag("ul", *listed))


def show_runbook(name: str, content: Markup) -> str:
    """The page of one alert, a level below the others."""
    return show_page(name, content, nav=[(text, f"../{href}") for text, href in (*NAV, ("Runbooks", "runbooks"))])


def show_overview(sources: Sequence[SourceStatus], now: float) -> Markup:
    """One line for each source."""
    if not sources:
        return tag("p", "No source is enabled: nothing is read.", class_="bad")
    rows = [
        [
            tag("a", source.name, href=f"sources#{source.name}"),
            show_state(source),
            source.detail,
            keep_whole(count_readers(source)),
            tell_age(latest(source), now),
            find_message(source),
        ]
        for source in sources
    ]
    return show_table(["Source", "State", "Reads from", "Readers", "Last success", "Problem"], rows)


def show_state(source: SourceStatus) -> Markup:
    if not source.attempted:
        return tag("span", "not tried yet", class_="wait")
    return tag("span", "up", class_="good") if source.up else tag("span", "down", class_="bad")


def count_readers(source: SourceStatus) -> str:
    sound = sum(reader.outcome == "ok" for reader in source.readers)
    return f"{sound} of {len(source.readers)} ok"


def latest(source: SourceStatus) -> float | None:
    """When any reader of the source last succeeded."""
    return max((reader.last_success for reader in source.readers if reader.last_success is not None), default=None)


def find_message(source: SourceStatus) -> str:
    """What the first failing reader said, else what the first one passes over."""
    failing = [reader for reader in source.readers if reader.outcome not in ("", "ok")]
    failing += [reader for reader in source.readers if reader.outcome == "ok" and reader.unanswered]
    if not failing:
        return ""
    more = f" (and {len(failing) - 1} more)" if len(failing) > 1 else ""
    return f"{failing[0].name}: {find_problem(failing[0]) or failing[0].outcome}{more}"


def show_sources(sources: Sequence[SourceStatus], now: float) -> str:
    """Each source with its readers and their last cycles."""
    sections = [show_source(source, now) for source in sources]
    return show_page(
        "Sources", tag("p", f"As of {tell_moment(now)}. Reload the page for newer.", class_="dim"), *sections
    )


def show_source(source: SourceStatus, now: float) -> Markup:
    columns = ["Reader", "State", "Last success", "Last attempt", "Took", "Every", "Problem"]
    cycles = {name: list(group) for name, group in groupby(sorted(source.cycles, key=by_reader), by_reader)}
    return join(
        tag("h2", source.name, " ", show_state(source), id=source.name),
        tag("p", source.detail, class_="dim"),
        show_table(columns, [show_reader(source, reader, now) for reader in source.readers]),
        *[show_cycles(source, reader, cycles.get(reader.name, [])) for reader in source.readers],
    )


def by_reader(cycle: Cycle) -> str:
    return cycle.reader


def show_reader(source: SourceStatus, reader: ReaderStatus, now: float) -> list[str]:
    """The cells of a reader's line."""
    stretched = f" (now {tell_duration(reader.pause)})" if reader.pause > reader.interval else ""
    return [
        tag("a", reader.name, href=f"#{source.name}-{reader.name}", title=reader.help),
        show_outcome(reader.outcome),
        tell_age(reader.last_success, now),
        tell_age(reader.last_attempt, now),
        keep_whole(tell_duration(reader.duration)) if reader.last_attempt is not None else "",
        keep_whole(tell_duration(reader.interval) + stretched),
        find_problem(reader),
    ]


def find_problem(reader: ReaderStatus) -> str:
    """What the last failure said, or which objects are passed over, and why."""
    if reader.outcome != "ok" or not reader.unanswered:
        return reader.message if reader.outcome != "ok" else ""
    return f"{reader.unanswered} passed over: {reader.message}"


def show_outcome(outcome: str) -> Markup:
    if not outcome:
        return tag("span", "not tried yet", class_="wait")
    return tag("span", outcome.replace("_", " "), class_="good" if outcome == "ok" else "bad")


def show_cycles(source: SourceStatus, reader: ReaderStatus, cycles: Sequence[Cycle]) -> Markup:
    """A reader's last cycles, folded away while all is well."""
    failed = sum(cycle.outcome != "ok" for cycle in cycles)
    state = f"{len(cycles)} cycles" + (f", {failed} failed" if failed else "")
    rows = [
        [
            tell_moment(cycle.started),
            tell_duration(cycle.duration),
            join(show_outcome(cycle.outcome), show_lines(cycle)),
        ]
        for cycle in cycles
    ]
    return tag(
        "details",
        tag("summary", tag("strong", reader.name), f": {state}"),
        tag("p", reader.help, class_="dim", id=f"{source.name}-{reader.name}"),
        show_table(["Started", "Took", "Outcome and log"], rows),
        open=reader.outcome not in ("", "ok"),
    )


def show_lines(cycle: Cycle) -> Markup:
    return tag("pre", "\n".join(cycle.lines)) if cycle.lines else Markup()


def show_configuration(settings: Sequence[Setting]) -> str:
    """Each effective value and its origin."""
    rows = [[tag("code", setting.name), tag("code", setting.value), setting.origin] for setting in settings]
    note = tag("p", "The values in effect. Secrets are masked.", class_="dim")
    return show_page("Configuration", note, show_table(["Setting", "Value", "From"], rows))


def show_page(heading: str, *content: str, nav: Iterable[tuple[str, str]] = NAV) -> str:
    """A whole document; links are relative, so that a reverse proxy may put it under any path."""
    head = join(
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{heading} - {TITLE}" if heading else TITLE),
        tag("style", Markup(STYLE)),
    )
    links = [tag("a", text, href=href) for text, href in nav]
    top = tag("header", tag("h1", heading or TITLE), tag("nav", *links))
    return f"<!doctype html>\n{tag('html', tag('head', head), tag('body', top, tag('main', *content)), lang='en')}\n"


def show_table(columns: Iterable[str], rows: Sequence[Sequence[str]]) -> Markup:
    """A table; rows without a cell are shown as an empty table's note."""
    if not rows:
        return tag("p", "Nothing yet.", class_="dim")
    head = tag("thead", tag("tr", *[tag("th", column, scope="col") for column in columns]))
    body = tag("tbody", *[tag("tr", *[tag("td", cell) for cell in row]) for row in rows])
    return tag("div", tag("table", head, body), class_="scroll")


def keep_whole(text: str) -> Markup:
    """A text that is not broken over two lines."""
    return tag("span", text, class_="whole")


def tell_moment(seconds: float) -> str:
    """A moment in UTC, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def tell_age(moment: float | None, now: float) -> Markup:
    """How long ago a moment was, with the moment itself to point at."""
    if moment is None:
        return tag("span", "never", class_="dim")
    return tag("span", f"{tell_duration(max(0.0, now - moment))} ago", title=tell_moment(moment), class_="whole")


def tell_duration(seconds: float) -> str:
    """A length of time in at most two units."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h"
