"""Sums over the last hour, by DAG: a few numbers for each, whatever happens."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

SECONDS = 3_600.0
"""What is summed up."""
STEP = 300.0
"""The hour moves on in steps of this many seconds."""
STEPS = int(SECONDS // STEP)


class HourWindow:
    """Sums of the last hour; `now` is Unix seconds by the clock of Airflow's server and never goes back far."""

    def __init__(self) -> None:
        self._steps: dict[int, defaultdict[str, float]] = {}
        self._begun: float | None = None

    def begin(self, now: float) -> None:
        """Move on to a time; the first call begins the observation."""
        if self._begun is None:
            self._begun = now
        current = int(now // STEP)
        for step in [step for step in self._steps if step <= current - STEPS]:
            del self._steps[step]
        self._steps.setdefault(current, defaultdict(float))

    def add(self, key: str, value: float = 1.0) -> None:
        """Add to a DAG's sum now."""
        self._steps[max(self._steps)][key] += value

    def get_observed(self, now: float) -> float:
        """Seconds over which the sums go."""
        return 0.0 if self._begun is None else min(SECONDS, now - self._begun)

    def sum(self) -> Mapping[str, float]:
        """The sum of each DAG that has any."""
        sums: defaultdict[str, float] = defaultdict(float)
        for step in self._steps.values():
            for key, value in step.items():
                sums[key] += value
        return sums
