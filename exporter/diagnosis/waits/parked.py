"""Task instances that wait without running: deferred, rescheduled, before a retry, or being stopped after a clear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.diagnosis import reasons
from exporter.diagnosis.reasons import Reason
from exporter.diagnosis.situation import ActiveTaskInstance
from exporter.diagnosis.waits.external import ExternalWaits
from exporter.diagnosis.waits.running import NO_PAST, GetPast, describe_past, get_long_limit, is_sensor
from exporter.diagnosis.words import format_seconds

LONG_WAIT_SECONDS = 43_200.0
"""Seconds after which a deferred task or a sensor without a known past is something to look at."""
LONG_RETRY_SECONDS = 1_800.0
"""Seconds after which waiting for a retry is something to look at."""
LONG_RESTART_SECONDS = 300.0
"""Seconds after which a cleared task should have been stopped: a few are usual."""
PARKED = frozenset({reasons.TRIGGER, reasons.SENSOR, reasons.RETRY_DELAY, reasons.RESTARTING})


@dataclass(frozen=True, slots=True)
class Triggerers:
    """The triggerers."""

    alive: int
    capacity: float | None = None
    """How many triggers each runs at once; None where it is not known."""


@dataclass(frozen=True, slots=True)
class RetryRule:
    """How long a task waits for its retry."""

    seconds: float
    grows: bool = False
    """Whether the delay grows from try to try (retry_exponential_backoff)."""


@dataclass(frozen=True, slots=True)
class ParkedContext:
    """What task instances without a slot are judged by."""

    now: float
    get_past: GetPast = lambda _dag_id, _task_id: NO_PAST
    triggerers: Triggerers | None = None
    deferred: int = 0
    """How many task instances are deferred."""
    retry_rules: Mapping[tuple[str, str], RetryRule] = field(default_factory=dict)
    """By DAG and task."""
    first_checks: Mapping[tuple[str, str, str, int], float] = field(default_factory=dict)
    """When rescheduled sensors first checked, by DAG, run, task and map index: Airflow 3 renews the start."""
    failure_classes: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """The class of the last failed try, by DAG and task."""
    external: ExternalWaits = field(default_factory=dict)
    """What is known of sensors that wait for another DAG."""


@dataclass(frozen=True, slots=True)
class ParkedDetails:
    """What is to be said of one that waits."""

    facts: list[str]
    suggestion: str = ""
    escalated: bool = False


def describe_parked(row: ActiveTaskInstance, reason: Reason, context: ParkedContext) -> ParkedDetails:
    """Details of the one that waits longest for a reason."""
    if reason is reasons.RETRY_DELAY:
        return describe_retry(row, context)
    if reason is reasons.RESTARTING:
        return describe_restart(row, context)
    past = context.get_past(row.dag_id, row.task_id)
    elapsed = context.now - begun if (begun := get_begin(row, context)) is not None else 0.0
    details = describe_trigger(row, context) if reason is reasons.TRIGGER else describe_sensor(row)
    waits = context.external.get((row.dag_id, row.run_id, row.task_id, row.map_index))
    if waits is not None and not details.escalated:
        details = ParkedDetails([*details.facts, *waits.facts], waits.suggestion, waits.escalated)
    if details.escalated:
        return details
    limit = get_long_limit(past)
    if limit is None and elapsed > LONG_WAIT_SECONDS:
        details.facts.append(f"for {format_seconds(elapsed)}, longer than {format_seconds(LONG_WAIT_SECONDS)}")
        return ParkedDetails(details.facts, details.suggestion, escalated=True)
    if limit is not None and elapsed > limit:
        return ParkedDetails([*details.facts, describe_past(elapsed, past)], details.suggestion, escalated=True)
    return details


def get_begin(row: ActiveTaskInstance, context: ParkedContext) -> float | None:
    """When a task instance began its work, in Unix seconds."""
    first = context.first_checks.get((row.dag_id, row.run_id, row.task_id, row.map_index))
    return row.start_date if first is None else first


def describe_sensor(row: ActiveTaskInstance) -> ParkedDetails:
    """A sensor in mode reschedule."""
    name = f"{row.dag_id}.{row.task_id}"
    facts = [f"{row.operator or 'sensor'}, try {row.try_number} of {row.max_tries + 1}"]
    if row.operator and not is_sensor(row.operator):
        text = (
            f"See the log of {name}: it waits for something, or its DAG was not found when it started (Airflow 3 then "
            "tries again later), as after an import error of its file."
        )
        return ParkedDetails(facts, text)
    return ParkedDetails(facts, f"See what {name} waits for; its timeout ends it.")


def describe_trigger(row: ActiveTaskInstance, context: ParkedContext) -> ParkedDetails:
    """A deferred task: its trigger, and whether some triggerer runs it."""
    facts, name = [], f"{row.dag_id}.{row.task_id}"
    if row.trigger_class:
        facts.append(f"trigger {row.trigger_class}")
    triggerers = context.triggerers
    if triggerers is not None and not triggerers.alive:
        facts.append("no triggerer is alive")
        return ParkedDetails(facts, "Start a triggerer (airflow triggerer): without one no trigger fires.", True)
    if triggerers is not None and triggerers.capacity:
        room = triggerers.alive * triggerers.capacity
        if context.deferred > room:
            facts.append(f"{context.deferred} are deferred, the triggerers run {room:.0f} triggers at once")
            return ParkedDetails(facts, "Raise [triggerer] capacity, or start another triggerer.", True)
    if row.triggerer_id is not None:
        facts.append(f"in triggerer {row.triggerer_id}")
    return ParkedDetails(facts, f"See what the trigger of {name} waits for; a timeout of defer() ends it.")


def describe_retry(row: ActiveTaskInstance, context: ParkedContext) -> ParkedDetails:
    """A task that failed: which try comes next, when, and why the last one failed."""
    name = (row.dag_id, row.task_id)
    facts = [f"try {row.try_number} of {row.max_tries + 1} failed"]
    if failed := context.failure_classes.get(name):
        facts.append(f"class of the failure: {failed}")
    waited = context.now - row.end_date if row.end_date is not None else 0.0
    rule = context.retry_rules.get(name)
    if rule is not None:
        grows = ", growing from try to try" if rule.grows else f", {format_seconds(rule.seconds - waited)} to go"
        facts.append(f"retry_delay {format_seconds(rule.seconds)}{grows}")
    delay = max(waited, rule.seconds if rule and not rule.grows else 0.0)
    text = f"Lower retry_delay of {'.'.join(name)} if its failures pass sooner."
    return ParkedDetails(facts, text, escalated=delay > LONG_RETRY_SECONDS)


def describe_restart(row: ActiveTaskInstance, context: ParkedContext) -> ParkedDetails:
    """A task that was cleared while it ran. Airflow 3.0 stops it, but never schedules it again."""
    waited = context.now - row.end_date if row.end_date is not None else 0.0
    if waited <= LONG_RESTART_SECONDS:
        return ParkedDetails([])
    facts = [f"cleared {format_seconds(waited)} ago; Airflow 3.0 leaves such a task in this state for ever"]
    return ParkedDetails(facts, f"Clear {row.dag_id}.{row.task_id} once more.", escalated=True)
