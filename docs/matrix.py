"""The tables of docs/matrix.md, generated from the catalogue and the table of StatsD names."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from exporter.metrics.catalogue.families import FAMILIES
from exporter.metrics.family import Family
from exporter.sources.statsd.airflow_names.event import Event, Release, covers_release, parse_release
from exporter.sources.statsd.airflow_names.events.table import EVENTS


class Span(NamedTuple):
    """A range of releases that send the same metrics."""

    release: Release
    first: str
    last: str


SPANS = (
    Span((2, 10, 5), "2.10", "2.10"),
    Span((2, 11, 2), "2.11", "2.11"),
    Span((3, 0, 6), "3.0", "3.0"),
    Span((3, 1, 5), "3.1.0", "3.1.5"),
    Span((3, 1, 7), "3.1.6", "3.1.7"),
    Span((3, 1, 8), "3.1.8", "3.1.8"),
    Span((3, 2, 2), "3.2", "3.2"),
    Span((3, 3, 2), "3.3", "3.3"),
    Span((3, 4, 0), "3.4", "3.4"),
)
API = frozenset(family for family in FAMILIES if family.source == "airflow")
OF_AIRFLOW = tuple(family for family in FAMILIES if family.source in ("airflow", "statsd"))


def write_matrix() -> str:
    """A table row for each family, with the releases that provide it by API, by StatsD, and with both."""
    lines = ["| metric | API only | StatsD only | both |", "| --- | --- | --- | --- |"]
    lines += [
        f"| `{family.name}` | {name_releases(family, api=True)} | {name_releases(family, statsd=True)} "
        f"| {name_releases(family, api=True, statsd=True)} |"
        for family in OF_AIRFLOW
    ]
    return "\n".join(lines)


def name_releases(family: Family, *, api: bool = False, statsd: bool = False) -> str:
    """The releases in which these sources provide the family, as ranges; a dash if there are none."""
    found = [is_fed(family, span.release, api=api, statsd=statsd) for span in SPANS]
    if all(found):
        return "all"
    numbers = groupby(range(len(SPANS)), key=lambda number: found[number])
    return ", ".join(name_range(list(run)) for fed, run in numbers if fed) or "-"


def name_range(numbers: list[int]) -> str:
    first, last = SPANS[numbers[0]].first, SPANS[numbers[-1]].last
    if numbers == [0, 1]:
        return "2.x"
    if numbers[-1] == len(SPANS) - 1:
        return f"{first}+"
    return first if first == last else f"{first}-{last}"


def is_fed(family: Family, release: Release, *, api: bool, statsd: bool) -> bool:
    """Whether a release provides the family. If the API is on, StatsD does not feed families of the API."""
    if api and family in API:
        return exists(family, release)
    return statsd and any(is_sent(event, family, release, api=api) for event in EVENTS)


def exists(family: Family, release: Release) -> bool:
    """Whether a release is among those from `since` to `until`."""
    until = parse_release(family.until)
    return release >= parse_release(family.since) and (not until or release[: len(until)] <= until)


def is_sent(event: Event, family: Family, release: Release, *, api: bool) -> bool:
    """Whether an event of that release feeds the family; replacements for the API's only if the API is off."""
    return covers_release(event.releases, release) and any(
        binding.family is family
        and covers_release(binding.releases, release)
        and not (api and binding.stands_in_for in API)
        for binding in event.bindings
    )


def write_events() -> str:
    """A table row for each StatsD name of Airflow, with the families that it feeds."""
    lines = ["| StatsD name | type | releases | feeds | remarks |", "| --- | --- | --- | --- | --- |"]
    lines += ["| " + " | ".join(write_cells(event)) + " |" for event in EVENTS]
    return "\n".join(lines)


def write_cells(event: Event) -> Iterator[str]:
    """The cells of an event's row; if it feeds nothing, with the reason."""
    yield "<br>".join(f"`{name}`" for name in (event.name, *event.legacy))
    yield str(event.type.name).lower()
    yield event.releases or "all"
    yield (
        "<br>".join(dict.fromkeys(f"`{binding.family.name}`" for binding in event.bindings)) or f"nothing: {event.drop}"
    )
    yield event.note
