"""A limit is raised by what waits, at most to its double; a pool that is too small by what its largest task asks."""

from __future__ import annotations

import math

import pytest

from exporter.diagnosis import reasons
from exporter.diagnosis.findings import Finding
from exporter.diagnosis.reasons import Reason
from exporter.diagnosis.suggestions import suggest_limit
from tests.unit.diagnosis.rows import run, task


def waiting(reason: Reason, limit: float | None, *slots: int, runs: int = 0) -> Finding:
    finding = Finding(reason, "narrow", limit=limit)
    for number, count in enumerate(slots):
        finding.add([task("scheduled", f"t{number}", pool_slots=count)], [None])
    for number in range(runs):
        finding.add_run(run("queued", f"r{number}"))
    return finding


@pytest.mark.parametrize(
    ("finding", "suggested"),
    [
        (waiting(reasons.POOL, 4, 1, 2), 7),
        (waiting(reasons.POOL, 4, 3, 3), 8),
        (waiting(reasons.PRIORITY, 8, 1), 9),
        (waiting(reasons.POOL_TOO_SMALL, 2, 3, 5), 5),
        (waiting(reasons.POOL_MISSING, None, 1, 2), 2),
        (waiting(reasons.POOL_WITHOUT_SLOTS, 0, 1), 1),
        (waiting(reasons.MAX_ACTIVE_TASKS, 16, 1, 1), 18),
        (waiting(reasons.MAX_ACTIVE_RUNS, 1, runs=5), 2),
        (waiting(reasons.PARALLELISM, 32, 1, 1, 1), 35),
        (waiting(reasons.PARALLELISM, None, 1), None),
        (waiting(reasons.POOL, math.inf, 1), None),
        (waiting(reasons.SCHEDULER, None, 1), None),
    ],
)
def test_the_value_to_try(finding: Finding, suggested: float | None) -> None:
    assert suggest_limit(finding) == suggested
