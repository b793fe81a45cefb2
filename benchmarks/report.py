"""The figures of the poll bench, as tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from math import hypot, sqrt
from statistics import mean, median, stdev
from typing import Any

from benchmarks.counting import Request
from benchmarks.cpu import Spent

PEER_GOAL = 25
"""How many times less CPU the API server is to spend for the exporter than for the epoch8 plugin, at 30 s."""


@dataclass(frozen=True)
class Cycle:
    """What one interval of the exporter cost."""

    spent: Spent
    requests: tuple[Request, ...]

    @property
    def cpu(self) -> float:
        """Of Airflow, API server and database together, in seconds."""
        return self.spent.api + self.spent.database

    def without(self, idle: Spent) -> Cycle:
        """Less what Airflow spends in the same time while nobody asks it anything."""
        idle = Spent(idle.api, idle.database, 0.0)
        return Cycle(self.spent.since(idle), self.requests)

    def summary(self) -> str:
        """One line of progress."""
        return f"{len(self.requests)} requests, {self.spent.api:.2f} s API, {self.spent.database:.2f} s database"


@dataclass
class Result:
    """All cycles of one release and size."""

    version: str
    size: int
    cycles: list[Cycle] = field(default_factory=list)
    idle: Spent = field(default_factory=lambda: Spent(0.0, 0.0, 0.0))
    """What a cycle costs without an exporter; taken off every cycle."""
    problems: list[str] = field(default_factory=list)
    peer: list[Spent] = field(default_factory=list)
    """What each scrape of the epoch8 plugin cost."""
    peer_seconds: list[float] = field(default_factory=list)
    """How long it took."""

    @property
    def requests(self) -> list[Request]:
        """Of all cycles."""
        return [request for cycle in self.cycles for request in cycle.requests]

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "version": self.version,
            "task_instances": self.size,
            "problems": self.problems,
            "cycles": [
                {
                    "api_seconds": cycle.spent.api,
                    "database_seconds": cycle.spent.database,
                    "exporter_seconds": cycle.spent.exporter,
                    "requests": [{**request._asdict(), "endpoint": request.endpoint} for request in cycle.requests],
                }
                for cycle in self.cycles
            ],
        }

    def figures(self) -> dict[str, float]:
        """Per cycle: the mean, because some readers take part in every tenth cycle only; the median beside it."""
        count = len(self.cycles)
        polls = sum(request.begins_poll for request in self.requests)
        airflow = 1000 * sum(cycle.cpu for cycle in self.cycles)
        return {
            "polls": polls / count,
            "requests": len(self.requests) / count,
            "KiB": sum(request.size for request in self.requests) / 1024 / count,
            "API CPU ms": 1000 * sum(cycle.spent.api for cycle in self.cycles) / count,
            "database CPU ms": 1000 * sum(cycle.spent.database for cycle in self.cycles) / count,
            "Airflow CPU ms": airflow / count,
            "Airflow CPU ms a poll": airflow / polls if polls else 0.0,
            "Airflow CPU ms a request": airflow / len(self.requests) if self.requests else 0.0,
            "Airflow CPU ms, median": 1000 * median(cycle.cpu for cycle in self.cycles),
            "exporter CPU ms": 1000 * sum(cycle.spent.exporter for cycle in self.cycles) / count,
            "slowest request ms": 1000 * max((request.seconds for request in self.requests), default=0.0),
            "idle Airflow CPU ms, taken off": 1000 * (self.idle.api + self.idle.database),
            "failed requests": sum(request.status >= 400 for request in self.requests),
        }

    def errors(self) -> dict[str, float]:
        """The standard errors of the means of those figures that have a value in each cycle."""
        by_cycle = {
            "requests": [float(len(cycle.requests)) for cycle in self.cycles],
            "API CPU ms": [1000 * cycle.spent.api for cycle in self.cycles],
            "database CPU ms": [1000 * cycle.spent.database for cycle in self.cycles],
            "Airflow CPU ms": [1000 * cycle.cpu for cycle in self.cycles],
            "Airflow CPU ms a request": [
                1000 * cycle.cpu / len(cycle.requests) for cycle in self.cycles if cycle.requests
            ],
            "exporter CPU ms": [1000 * cycle.spent.exporter for cycle in self.cycles],
        }
        return {name: stdev(values) / sqrt(len(values)) for name, values in by_cycle.items() if len(values) > 1}


def render(results: Sequence[Result]) -> str:
    """Markdown: one table a release with the growth from the smallest size to the largest, then one of endpoints."""
    parts = []
    for version, group in groupby(results, key=lambda result: result.version):
        sizes = sorted(group, key=lambda result: result.size)
        parts += [
            f"### Airflow {version}: a cycle",
            _compare(sizes),
            f"### Airflow {version}: by endpoint",
            _by_endpoint(sizes),
        ]
        if all(result.peer for result in sizes):
            parts += [f"### Airflow {version}: beside the epoch8 plugin", _beside_peer(sizes)]
        parts += [f"Problem at {result.size:,}: {line}" for result in sizes for line in result.problems]
    return "\n\n".join(parts)


def _compare(sizes: Sequence[Result]) -> str:
    """A row a figure, a column a size, and how it grew."""
    columns = [(result.figures(), result.errors()) for result in sizes]
    rows = [["", *(f"{result.size:,}" for result in sizes), "growth"]]
    for name in columns[0][0]:
        values = [figures[name] for figures, _ in columns]
        errors = [errors.get(name) for _, errors in columns]
        cells = [_format(value, error) for value, error in zip(values, errors, strict=True)]
        rows.append([name, *cells, _format_growth(values, errors)])
    return _table(rows)


def _format(value: float, error: float | None) -> str:
    """A figure with its standard error."""
    digits = 1 if value < 100 else 0
    return f"{value:,.{digits}f}" + ("" if error is None else f" ± {error:,.{digits}f}")


def _format_growth(values: Sequence[float], errors: Sequence[float | None]) -> str:
    """The last value by the first, with its standard error where both have one."""
    if not values[0] or len(values) < 2:
        return ""
    growth = values[-1] / values[0]
    if errors[0] is None or errors[-1] is None or not values[-1]:
        return f"{growth:.2f}"
    return f"{growth:.2f} ± {abs(growth) * hypot(errors[0] / values[0], errors[-1] / values[-1]):.2f}"


def _by_endpoint(sizes: Sequence[Result]) -> str:
    """Requests a cycle, and milliseconds until the answer, of each endpoint."""
    rows = [
        ["endpoint", *(f"{result.size:,}: {what}" for result in sizes for what in ("a cycle", "median ms", "max ms"))]
    ]
    found = [_group(result.requests) for result in sizes]
    for endpoint in sorted(set().union(*found)):
        row = [endpoint]
        for result, groups in zip(sizes, found, strict=True):
            times = sorted(1000 * request.seconds for request in groups.get(endpoint, []))
            row += [f"{len(times) / len(result.cycles):.1f}"]
            row += [f"{median(times):.0f}", f"{times[-1]:.0f}"] if times else ["", ""]
        rows.append(row)
    return _table(rows)


def _beside_peer(sizes: Sequence[Result]) -> str:
    """CPU of Airflow an interval: a cycle of the exporter, a scrape of the plugin, and how many times cheaper."""
    rows = [["task instances", "CPU ms of", "exporter", "plugin", "ratio", f"goal 1/{PEER_GOAL}"]]
    for result in sizes:
        ours, peer = result.figures(), _mean_of_scrapes(result.peer)
        for name in ("API CPU ms", "database CPU ms", "Airflow CPU ms"):
            times = peer[name] / ours[name] if ours[name] > 0 else 0.0
            goal = ("met" if times >= PEER_GOAL else "missed") if name == "API CPU ms" else ""
            what = name.removesuffix(" CPU ms")
            rows.append([f"{result.size:,}", what, f"{ours[name]:,.0f}", f"{peer[name]:,.0f}", f"1/{times:.1f}", goal])
        rows.append([f"{result.size:,}", "seconds of a scrape", "", f"{median(result.peer_seconds):.1f}", "", ""])
    return _table(rows)


def _mean_of_scrapes(scrapes: Sequence[Spent]) -> dict[str, float]:
    """In milliseconds, under the names of a cycle's figures."""
    api = 1000 * mean(spent.api for spent in scrapes)
    database = 1000 * mean(spent.database for spent in scrapes)
    return {"API CPU ms": api, "database CPU ms": database, "Airflow CPU ms": api + database}


def _group(requests: Iterable[Request]) -> dict[str, list[Request]]:
    groups: dict[str, list[Request]] = defaultdict(list)
    for request in requests:
        groups[request.endpoint].append(request)
    return groups


def _table(rows: Sequence[Sequence[str]]) -> str:
    ruler = ["---", *(["---:"] * (len(rows[0]) - 1))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], ruler, *rows[1:]))
