"""The figures of the StatsD bench as tables, and the goals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

CPU_GOALS = {"20,000/s": 0.2, "2,500/s": 0.1}
"""The share of the peer's CPU a line, by the rate, for plain lines, one each, on the system's own buffer."""
RATE_GOAL = 2.0
MEMORY_GOAL = 0.3
SCRAPE_GOAL = 0.15
SHAPE = "plain, single, stock"


class Result(NamedTuple):
    """What came of one load: datagrams a second, microseconds of CPU a line that was taken, the share that was lost."""

    rate: float
    cpu: float
    lost: float
    scrapes: int


class Figures(NamedTuple):
    """What holds of one side whatever the load."""

    free: int
    """Datagrams a second up to which nothing is lost."""
    free_scraped: int
    memory: float
    """Megabytes with every series there, after a scrape."""
    lines: int
    scrape: float
    """Milliseconds of CPU for one scrape with gzip."""


Results = Mapping[str, Mapping[str, Result]]
NO_RESULT = Result(0.0, 0.0, 0.0, 0)


def write_row(load: str, found: Mapping[str, Result]) -> str:
    """One load, both sides."""
    ours, peer = found["ours"], found.get("peer")
    cells = [load, *write_cells(ours), *(write_cells(peer) if peer else [""] * 3)]
    ratio = f"{ours.cpu / peer.cpu:.2f}" if peer and peer.cpu and not ours.scrapes else ""
    return f"| {' | '.join([*cells, ratio])} |"


def write_cells(result: Result) -> list[str]:
    scrapes = f"{result.scrapes}" if result.scrapes else ""
    return [f"{result.cpu:.2f}", f"{result.lost:.2%}" if result.lost else "0", scrapes]


def write_figures(figures: Mapping[str, Figures]) -> str:
    """What holds whatever the load, one line each."""
    names = {
        "free": "datagrams/s without a loss",
        "free_scraped": "datagrams/s without a loss while scraped",
        "memory": "memory, MB, with the same series",
        "lines": "lines of these",
        "scrape": "CPU of a scrape of them with gzip, ms",
    }
    rows = ["| plain, single, stock buffer | ours | peer | ratio |", "| --- | ---: | ---: | ---: |"]
    for field, name in names.items():
        ours, peer = getattr(figures["ours"], field), getattr(figures.get("peer"), field, None)
        ratio = f"{ours / peer:.2f}" if peer else ""
        rows.append(f"| {name} | {ours:,.10g} | {'' if peer is None else f'{peer:,.10g}'} | {ratio} |")
    return "\n".join(rows)


def find_missed(results: Results, figures: Mapping[str, Figures]) -> Iterator[str]:
    """Say which goals were missed."""
    scraped = results.get(f"20,000/s, {SHAPE}, scraped", {}).get("ours", NO_RESULT)
    if scraped.lost:
        yield f"{scraped.lost:.2%} were lost at 20,000/s on the stock buffer while scraped"
    for rate, goal in CPU_GOALS.items():
        found = results.get(f"{rate}, {SHAPE}", {})
        ours, peer = found.get("ours"), found.get("peer")
        if ours and peer and ours.cpu > goal * peer.cpu:
            yield f"{ours.cpu / peer.cpu:.2f} of the peer's CPU a line at {rate}, not {goal}"
    if "peer" in figures:
        yield from find_missed_figures(figures["ours"], figures["peer"])


def find_missed_figures(ours: Figures, peer: Figures) -> Iterator[str]:
    """Goals for what holds whatever the load."""
    if ours.free < RATE_GOAL * peer.free:
        yield f"{ours.free / max(peer.free, 1):.2f} times the peer's rate without a loss, not {RATE_GOAL:g}"
    if ours.memory > MEMORY_GOAL * peer.memory:
        yield f"{ours.memory / peer.memory:.2f} of the peer's memory, not {MEMORY_GOAL}"
    if ours.scrape > SCRAPE_GOAL * peer.scrape:
        yield f"{ours.scrape / peer.scrape:.2f} of the peer's CPU for a scrape, not {SCRAPE_GOAL}"
