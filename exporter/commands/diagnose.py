"""`airflow-exporter diagnose`: what waits, fails and costs, from one reading; no state file, no Prometheus."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from exporter.config.settings import Settings
from exporter.diagnosis.reasons import Patience
from exporter.diagnosis.report import Diagnosis, FailedTry, HostSizing, to_json
from exporter.engine import Engine
from exporter.sources.airflow.counting.by_time import TASKS_CURSOR
from exporter.sources.airflow.counting.cursor import CURSOR_SPACE, begin_cursors
from exporter.sources.airflow.readers.runs import RunsReader

STOP_SECONDS = 5.0
"""How long the engine may take to stop."""
MAX_TRIES = 10
"""Failed tries that are listed."""
WINDOW = 900.0
"""Seconds before now whose ended tries are read: what failed then is what fails now. The readers read this much at
once (twice CATCH_UP_SECONDS); more would take several polls, and what is active would be read last."""
NO_FAILURES = f"No try failed in the last {WINDOW / 60:.0f} minutes."
NO_COSTS = "Nothing found. Most costs are added up over hours, by a running exporter (page /diagnosis)."


class OneReading(NamedTuple):
    """What was found by reading everything once."""

    diagnosis: Diagnosis | None
    sizing: Sequence[HostSizing]
    problems: Sequence[str]
    """What could not be read."""


def diagnose(settings: Settings) -> OneReading:
    """Read Airflow once. Neither the state file nor the events file is used, nor StatsD.

    This machine, Celery's workers and the metadata database are read too where they are configured.
    """
    engine = Engine(settings.for_one_reading(airflow=True))
    engine.remember({CURSOR_SPACE: begin_cursors((TASKS_CURSOR, RunsReader.name), time.time() - WINDOW)})
    engine.read_once()
    problems = [
        f"{reader.name}: {reader.outcome}: {reader.message}"
        for source in engine.status()
        for reader in source.readers
        if reader.outcome not in ("ok", "")
    ]
    found = OneReading(engine.directory.diagnosis, engine.directory.measure_slots(), problems)
    engine.stop(STOP_SECONDS)
    return found


def needs_attention(diagnosis: Diagnosis) -> bool:
    """Whether something is found that is more than normal work."""
    waiting = any(finding.patience is not Patience.NORMAL for finding in diagnosis.findings)
    return waiting or bool(diagnosis.failures) or bool(diagnosis.costs)


def to_text(diagnosis: Diagnosis, sizing: Sequence[HostSizing] = ()) -> Iterator[str]:
    """The diagnosis as lines for a terminal: its parts, as on the page /diagnosis."""
    yield "WAITING NOW"
    if not diagnosis.findings:
        yield "Nothing waits."
    for finding in diagnosis.findings:
        title = f"{finding.reason.name}: {finding.title}"
        yield from format_finding(
            title, finding.reason.meaning, finding.list_evidence(diagnosis.time), finding.suggestion
        )
    yield from ("", "FAILING NOW")
    for failure in diagnosis.failures:
        title = f"{failure.error_class}: {failure.amount} in the last {WINDOW / 60:.0f} minutes"
        yield from format_finding(title, failure.meaning, failure.evidence, failure.suggestion)
    yield from map(format_try, diagnosis.failed_tries[:MAX_TRIES])
    yield from () if diagnosis.failures or diagnosis.failed_tries else (NO_FAILURES,)
    yield from ("", "COSTS")
    for cost in diagnosis.costs:
        yield from format_finding(f"{cost.name}: {cost.object}", cost.meaning, cost.evidence, cost.suggestion)
    yield from () if diagnosis.costs else (NO_COSTS,)
    if sizing:
        yield from ("", "SIZING")
    for one in sizing:
        yield one.host
        yield f"  a slot costs: {', '.join(one.list_costs())}"
        yield f"  room for more tasks: {', '.join(one.list_room())}"
        yield from (f"  {line}" for line in (*one.evidence, *(f"not known: {what}" for what in one.unknown)))


def format_finding(title: str, meaning: str, evidence: Iterable[str], suggestion: str) -> Iterator[str]:
    """One finding as lines."""
    yield title
    yield f"  {meaning}"
    yield from (f"  {line}" for line in evidence)
    if suggestion:
        yield f"  -> {suggestion}"


def format_try(one: FailedTry) -> str:
    """A failed try as a line."""
    mapped = f" [{one.map_index}]" if one.map_index >= 0 else ""
    ended = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(one.ended_at))
    return (
        f"  {ended} {one.dag_id} {one.task_id}{mapped}, try {one.try_number}: {one.error_class} {one.log_url}".rstrip()
    )


def to_json_text(diagnosis: Diagnosis, sizing: Sequence[HostSizing] = ()) -> str:
    """The diagnosis as JSON, as the page /diagnosis gives it."""
    return json.dumps(to_json(diagnosis, sizing), indent=2)
