"""What fails now: the failed tries of the last hour, put together by their class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from exporter.diagnosis.error_classes import BY_NAME, UNKNOWN
from exporter.diagnosis.findings import MAX_NAMED
from exporter.diagnosis.report import FailedTry, FailureFinding
from exporter.diagnosis.words import format_seconds

MAX_NEWEST = 10
"""Failed tries that are listed."""


def build_failures(tries: Sequence[FailedTry], now: float) -> list[FailureFinding]:
    """A finding for each class, the one with most failed tries first; `tries` has the newest first.

    `now` is when Airflow was read, in Unix seconds.
    """
    by_class: dict[str, list[FailedTry]] = {}
    for one in tries:
        by_class.setdefault(one.error_class, []).append(one)
    found = [build_failure(name, members, now) for name, members in by_class.items()]
    return sorted(found, key=lambda one: (-one.tries, one.error_class))


def build_failure(name: str, tries: Sequence[FailedTry], now: float) -> FailureFinding:
    """The finding for the failed tries of one class, of which there is at least one."""
    described = BY_NAME.get(name, UNKNOWN)
    dags = Counter(one.dag_id for one in tries)
    return FailureFinding(
        error_class=name,
        meaning=described.meaning,
        tries=len(tries),
        dags=dict(dags.most_common(MAX_NAMED)),
        evidence=list_evidence(tries, dags, now),
        suggestion=described.suggestion,
        newest=tries[0],
    )


def list_evidence(tries: Sequence[FailedTry], dags: Counter[str], now: float) -> list[str]:
    """The facts behind a finding, one sentence each."""
    count = len(tries)
    named = ", ".join(f"{dag_id} ({number})" for dag_id, number in dags.most_common(MAX_NAMED))
    more = len(dags) - MAX_NAMED
    tasks = {(one.dag_id, one.task_id) for one in tries}
    retried = sum(one.retried for one in tries)
    newest = tries[0]
    facts = [
        f"{count} failed {'try' if count == 1 else 'tries'} of {len(tasks)} task{'s' if len(tasks) > 1 else ''} "
        f"within the last hour: {named}" + (f" and {more} more DAGs" if more > 0 else "")
    ]
    if retried:
        facts.append(f"Airflow retries {retried} of them" if retried < count else "Airflow retries all of them")
    facts.append(f"the newest: {newest.dag_id}.{newest.task_id}, {format_seconds(now - newest.ended_at)} ago")
    return facts
