"""The table of what was said of each fault, and the score."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tests.e2e.diagnosis.faults.fault import Seen, list_mentions

GOAL = float(os.environ.get("E2E_FAULTS_GOAL") or 58 / 60)
"""The share of points below which the test fails. CI sets less: a small machine that stalls delays alerts."""
MAX_SEEN = 3
HEADINGS = (
    "| fault | release | expected | seen | on the page | alert | score |",
    "| --- | --- | --- | --- | ---: | --- | ---: |",
)


class Result(NamedTuple):
    """What was seen of one fault in one release."""

    version: str
    seen: Seen


def write_table(results: Iterable[Result]) -> Iterator[str]:
    """One line each."""
    yield from HEADINGS
    for version, seen in results:
        fault, began = seen.fault, seen.began or 0.0
        expected = f"{'/'.join(sorted(fault.causes))}({', '.join(fault.names)}), {fault.knob}"
        found = ", ".join(list(list_mentions(seen))[:MAX_SEEN]) or "nothing"
        page = f"{max(0.0, seen.named_at - began):.0f} s" if seen.named_at else "NEVER"
        page = page if fault.causes else "none is meant"
        alert = f"{seen.alerted_by} {max(0.0, seen.alerted_at - began):.0f} s" if seen.alerted_at else "NEVER"
        if fault.alerts is None:
            alert = "none is meant"
        misled = f" MISLED BY {', '.join(seen.misled_by)}" if seen.misled_by else ""
        found = f"NOT BEGUN: {seen.failure}" if seen.failure else found + misled
        yield f"| {fault.name} | {version} | {expected} | {found} | {page} | {alert} | {seen.score} |"


def count_points(results: Sequence[Result]) -> tuple[int, int]:
    """The points of all faults, and the most that they can have."""
    return sum(result.seen.score for result in results), 2 * len(results)


def write_score(results: Sequence[Result]) -> str:
    """The points of all, and the goal."""
    reached, most = count_points(results)
    return f"{reached} of {most} points over {len(results)} faults; the goal is {GOAL:.1%}"


def is_tolerable(missed: int, faults: int) -> bool:
    """Whether the goal allows that so many of the faults are missed."""
    return missed <= (1 - GOAL) * faults


def is_reached(results: Sequence[Result]) -> bool:
    """Whether the goal is reached."""
    reached, most = count_points(results)
    return reached >= GOAL * most
