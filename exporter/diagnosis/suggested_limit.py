"""A value to try for the limit that a finding names."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from exporter.diagnosis import reasons

if TYPE_CHECKING:
    from exporter.diagnosis.findings import Finding

MAX_FACTOR = 2
"""A limit is at most doubled in one step: what is behind it has to carry the load."""


def suggest_limit(finding: Finding) -> float | None:
    """The limit with which everything that waits could start, at most twice the present one; None if it has none."""
    needed = find_needed(finding)
    if needed is None or finding.limit is None or finding.limit == 0 or finding.reason is reasons.POOL_TOO_SMALL:
        return needed
    return min(needed, finding.limit * MAX_FACTOR)


def find_needed(finding: Finding) -> float | None:
    """The limit with which everything that waits could start; None if it has none."""
    match finding.reason:
        case reasons.POOL_MISSING | reasons.POOL_WITHOUT_SLOTS | reasons.POOL_TOO_SMALL:
            return finding.most_slots
        case reasons.POOL | reasons.PRIORITY:
            return _add(finding.limit, finding.slots)
        case reasons.MAX_ACTIVE_TASKS:
            return _add(finding.limit, max(finding.groups.values(), default=0))
        case reasons.MAX_ACTIVE_RUNS:
            return _add(finding.limit, finding.runs or finding.blocked)
        case reasons.PARALLELISM:
            return _add(finding.limit, finding.tasks)
    return None


def _add(limit: float | None, missing: int) -> float | None:
    return None if limit is None or math.isinf(limit) else limit + missing
