"""What a scrape by a real Prometheus costs: both sides have the same 100,000 lines, and nothing changes meanwhile.

One Prometheus scrapes both sides every ten seconds, one after the other, so both have the same load of the machine.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from benchmarks.statsd_subjects import Subject, count_lines, read_cpu
from tests.e2e.exactness.prometheus import Prometheus, find_prometheus

GOAL = 0.1
"""Of the peer's CPU."""
INTERVAL = 10
JOB = """\
  - job_name: {side}
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
HEAD = f"global: {{scrape_interval: {INTERVAL}s, scrape_timeout: {INTERVAL}s}}\nscrape_configs:\n"
WARM = 3
"""Scrapes of each side before anything is measured: the first ones have labels to write."""
READY = 180.0
"""Seconds that Prometheus may take to start on a busy machine."""


class Scrapes(NamedTuple):
    """What the scrapes of one side cost."""

    lines: int
    number: int
    milliseconds: float
    """CPU of each."""


def count_scrapes(prometheus: Prometheus) -> dict[str, int]:
    """Scrapes so far, by side. Raises RuntimeError if one failed: it cost CPU too, but less or more than others."""
    if any(prometheus.query("count_over_time(up[1h]) - sum_over_time(up[1h]) > 0")):
        raise RuntimeError("a scrape failed or took too long: the machine is too busy")
    found = prometheus.query("sum by (side) (label_replace(count_over_time(up[1h]), 'side', '$1', 'job', '(.*)'))")
    return {dict(series.labels)["side"]: round(value) for series, value in found.items()}


def wait_for_scrapes(prometheus: Prometheus, sides: Iterable[str]) -> None:
    """Wait until each side was scraped a few times. Raises RuntimeError."""
    end = time.monotonic() + READY
    while min(count_scrapes(prometheus).get(side, 0) for side in sides) < WARM:
        if time.monotonic() > end:
            raise RuntimeError("the sides cannot be scraped in time")
        time.sleep(INTERVAL / 2)


def measure_scrapes(folder: Path, subjects: Mapping[str, Subject], seconds: float) -> dict[str, Scrapes]:
    """Let Prometheus scrape all sides for a while. Raises RuntimeError if there is no Prometheus in PATH."""
    program = find_prometheus()
    if program is None:
        raise RuntimeError("there is no prometheus in PATH")
    config = HEAD + "".join(JOB.format(side=side, port=subject.web) for side, subject in subjects.items())
    prometheus = Prometheus(program, folder, config)
    try:
        prometheus.wait_ready(READY)
        wait_for_scrapes(prometheus, subjects)
        before = count_scrapes(prometheus), {side: read_cpu(one.pid) for side, one in subjects.items()}
        time.sleep(seconds)
        after = count_scrapes(prometheus), {side: read_cpu(one.pid) for side, one in subjects.items()}
    finally:
        prometheus.close()
    return {side: compare(one, side, before, after) for side, one in subjects.items()}


Reading = tuple[dict[str, int], dict[str, float]]


def compare(subject: Subject, side: str, before: Reading, after: Reading) -> Scrapes:
    """The cost between two readings of one side."""
    count = after[0][side] - before[0][side]
    cost = (after[1][side] - before[1][side]) / max(1, count)
    return Scrapes(count_lines(subject), count, 1000 * cost)


def write_scrapes(found: Mapping[str, Scrapes]) -> Iterator[str]:
    """Yield the lines of a table."""
    yield "| | lines | scrapes | CPU of a scrape, ms |\n| --- | ---: | ---: | ---: |"
    for side, one in found.items():
        yield f"| {side} | {one.lines:,} | {one.number} | {one.milliseconds:.1f} |"


def find_missed_scrapes(found: Mapping[str, Scrapes]) -> Iterator[str]:
    """Yield the goal if it was missed."""
    if len(found) > 1:
        ratio = found["ours"].milliseconds / found["peer"].milliseconds
        print(f"\nRatio: {ratio:.2f}, goal {GOAL}")
        if ratio > GOAL:
            yield f"a scrape of {found['ours'].lines:,} lines: {ratio:.2f} of the peer's CPU, not {GOAL}"
