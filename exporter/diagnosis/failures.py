"""What fails now: the failed tries of the last hour, put together by their class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from exporter.diagnosis.error_classes import BY_NAME, TIMEOUT, UNKNOWN
from exporter.diagnosis.findings import MAX_NAMED
from exporter.diagnosis.report import FailedTry, FailureFinding, TimedOutRun
from exporter.diagnosis.words import format_seconds

MAX_NEWEST = 10
"""Failed tries that are listed."""


def build_failures(
    tries: Sequence[FailedTry], now: float, timed_out: Sequence[TimedOutRun] = ()
) -> list[FailureFinding]:
    """A finding for each class, the one with most failures first; `tries` and `timed_out` have the newest first.

    `now` is when Airflow was read, in Unix seconds.
    """
    by_class: dict[str, list[FailedTry]] = {}
    for one in tries:
        by_class.setdefault(one.error_class, []).append(one)
    found = {name: build_failure(name, members, now) for name, members in by_class.items()}
    if timed_out:
        found[TIMEOUT.name] = add_runs(found.get(TIMEOUT.name), timed_out, now)
    return sorted(found.values(), key=lambda one: (-one.tries - one.runs, one.error_class))


def add_runs(finding: FailureFinding | None, runs: Sequence[TimedOutRun], now: float) -> FailureFinding:
    """The finding for time limits with the runs that took too long, of which there is at least one."""
    counts = Counter(one.dag_id for one in runs)
    limits = {one.dag_id: one.limit for one in reversed(runs)}
    named = ", ".join(
        f"{dag_id} ({count}, limit {format_seconds(limits[dag_id])})" for dag_id, count in counts.most_common(MAX_NAMED)
    )
    newest = runs[0]
    facts = [
        f"runs that took longer than dagrun_timeout within the last hour: {named}",
        "Airflow failed them and skipped the tasks that had not ended",
        f"the newest: run {newest.run_id} of {newest.dag_id}, {format_seconds(now - newest.ended_at)} ago",
    ]
    text = f"See on the dashboard DAG what takes longer in {newest.dag_id} than before, or raise its dagrun_timeout."
    if finding is None:
        return FailureFinding(
            TIMEOUT.name, TIMEOUT.meaning, 0, dict(counts.most_common(MAX_NAMED)), facts, text, None, len(runs)
        )
    dags = dict((Counter(finding.dags) + counts).most_common(MAX_NAMED))
    evidence, suggestion = [*finding.evidence, *facts], f"{finding.suggestion} {text}"
    return finding._replace(dags=dags, evidence=evidence, suggestion=suggestion, runs=len(runs))


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
