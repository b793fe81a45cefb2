"""Tries that ended, for tests of failures."""

from __future__ import annotations

from typing import Any

from exporter.sources.airflow.counting.decision import EndedTry, TryOutcome
from tests.unit.sources.airflow.counting.task_rows import make_row

STATES = {
    TryOutcome.SUCCESS: "success",
    TryOutcome.FAILED: "failed",
    TryOutcome.RETRIED: "up_for_retry",
    TryOutcome.CLEARED: "failed",
    TryOutcome.SKIPPED: "skipped",
}


def end(outcome: str, number: int = 1, **changes: Any) -> EndedTry:
    """A try of d.t that ended; it ran from 1010 + 100 n to 1020 + 100 n."""
    later = 100.0 * (number - 1)
    fields: dict[str, Any] = {"start_date": 1010.0 + later, "end_date": 1020.0 + later} | changes
    return EndedTry(make_row(STATES[TryOutcome(outcome)], number, **fields), TryOutcome(outcome))
