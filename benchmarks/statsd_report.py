"""The figures of the StatsD bench as tables, and the goals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import NamedTuple

CPU_GOALS = {"20,000/s": 0.2, "2,500/s": 0.1}
"""The share of the peer's CPU a line, by the rate, for plain lines, one each."""
RATE_GOAL = 2.0
MEMORY_GOAL = 0.3
SCRAPE_GOAL = 0.15
BUFFERS = ("stock", "4 MiB")
SCRAPED = "20,000/s, plain, single, stock, scraped"
"""What must not lose anything."""


class Result(NamedTuple):
    """What came of one load: datagrams a second, microseconds of CPU a line that was taken, the share that was lost."""

    rate: float
    cpu: float
    lost: float
    scrapes: int


class Holding(NamedTuple):
    """What it costs to have series and to show them."""

    lines: int
    memory: float
    """Megabytes with every series there, after scrapes."""
    scrape: float
    """Milliseconds of CPU for one scrape with gzip."""


class Figures(NamedTuple):
    """What holds of one side whatever the load."""

    free: int
    """Datagrams a second up to which nothing is lost, on the stock buffer."""
    free_scraped: int
    free_large: int
    many: Holding
    """With 41,000 series."""
    some: Holding
    """With 100,000 lines."""


FIGURES: Mapping[str, Callable[[Figures], float]] = {
    "datagrams/s without a loss, stock": lambda one: one.free,
    "datagrams/s without a loss, stock, scraped": lambda one: one.free_scraped,
    "datagrams/s without a loss, 4 MiB": lambda one: one.free_large,
    "lines of 41,000 series": lambda one: one.many.lines,
    "memory with 41,000 series, MB": lambda one: round(one.many.memory, 1),
    "CPU of a scrape of them with gzip, ms": lambda one: round(one.many.scrape, 1),
    "lines of fewer series": lambda one: one.some.lines,
    "memory with these, MB": lambda one: round(one.some.memory, 1),
    "CPU of a scrape of these with gzip, ms": lambda one: round(one.some.scrape, 1),
}
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
    ours, peer = figures["ours"], figures.get("peer")
    rows = ["| plain, single | ours | peer | ratio |", "| --- | ---: | ---: | ---: |"]
    for name, read in FIGURES.items():
        first, second = read(ours), read(peer) if peer else None
        ratio = f"{first / second:.2f}" if second else ""
        rows.append(f"| {name} | {first:,.10g} | {'' if second is None else f'{second:,.10g}'} | {ratio} |")
    return "\n".join(rows)


def find_missed(results: Results, figures: Mapping[str, Figures]) -> Iterator[str]:
    """Say which goals were missed."""
    scraped = results.get(SCRAPED, {}).get("ours", NO_RESULT)
    if scraped.lost:
        yield f"{scraped.lost:.2%} were lost at 20,000/s on the stock buffer while scraped"
    for (rate, goal), buffer in product(CPU_GOALS.items(), BUFFERS):
        found = results.get(f"{rate}, plain, single, {buffer}", {})
        ours, peer = found.get("ours"), found.get("peer")
        if ours and peer and ours.cpu > goal * peer.cpu:
            yield f"{ours.cpu / peer.cpu:.2f} of the peer's CPU a line at {rate}, {buffer}, not {goal}"
    if "peer" in figures:
        yield from find_missed_figures(figures["ours"], figures["peer"])


def find_missed_figures(ours: Figures, peer: Figures) -> Iterator[str]:
    """Goals for what holds whatever the load."""
    ratios = (ours.free / max(peer.free, 1), ours.free_large / max(peer.free_large, 1))
    for buffer, ratio in zip(BUFFERS, ratios, strict=True):
        if ratio < RATE_GOAL:
            yield f"{ratio:.2f} times the peer's rate without a loss, {buffer}, not {RATE_GOAL:g}"
    if ours.many.memory > MEMORY_GOAL * peer.many.memory:
        yield f"{ours.many.memory / peer.many.memory:.2f} of the peer's memory, not {MEMORY_GOAL}"
    if ours.some.scrape > SCRAPE_GOAL * peer.some.scrape:
        yield f"{ours.some.scrape / peer.some.scrape:.2f} of the peer's CPU for a scrape, not {SCRAPE_GOAL}"
