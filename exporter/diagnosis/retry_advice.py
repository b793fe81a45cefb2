"""Whether retries are worth it: by DAG and class of error, how often a retry succeeded and how long it waited."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from exporter.diagnosis.error_classes import BY_NAME, UNKNOWN
from exporter.diagnosis.report import CostFinding
from exporter.diagnosis.words import format_seconds

MIN_TRIES = 5
"""Failed tries that a statement about a DAG's retries needs."""
MIN_ELSEWHERE = 10
"""Retries of a class in other DAGs that a comparison with them needs."""
LONG_DELAY = 300.0
"""Seconds between two tries from which on a delay is called long."""
MOSTLY = 0.8
"""The share of successful retries from which on retries mostly help."""
OFTEN = 0.5
"""The share of successful retries elsewhere from which on a DAG without retries is worth a finding."""
NEVER_HELP = "retries_never_help"
ALWAYS_HELP = "retries_always_help"
DELAY_TOO_LONG = "retry_delay_too_long"
NO_RETRIES = "no_retries"
ADVICE = (NEVER_HELP, ALWAYS_HELP, DELAY_TOO_LONG, NO_RETRIES)
"""The kinds of advice on retries."""


class RetryCount(NamedTuple):
    """What became of the failed tries of one DAG and class, over the last ones."""

    dag_id: str
    error_class: str
    followed: int
    """Failed tries whose next try has ended."""
    recovered: int
    """Those of them whose next try succeeded."""
    delay_seconds: float
    """Seconds between the end of a failed try and the start of the next, all added up."""
    without_retries: int
    """Failed tries of tasks that have no retries."""

    @property
    def mean_delay(self) -> float:
        """Seconds between a failed try and the next, on average."""
        return self.delay_seconds / self.followed if self.followed else 0.0


def advise_on_retries(counts: Iterable[RetryCount]) -> list[CostFinding]:
    """The advice, what cost most time first."""
    known = list(counts)
    found = [finding for one in known for finding in judge_count(one)]
    found += [finding for one in known if (finding := judge_missing(one, known)) is not None]
    return sorted(found, key=lambda one: (-one.seconds, one.name, one.object))


def judge_count(count: RetryCount) -> Iterator[CostFinding]:
    """What the retries of one DAG and class say by themselves."""
    if count.followed < MIN_TRIES:
        return
    if count.recovered == 0:
        yield make_finding(
            NEVER_HELP,
            count,
            f"Retries of tries that fail with class {count.error_class} do not help.",
            "Set retries=0 for these tasks, or raise AirflowFailException for such errors: the failure is then seen "
            "at once. " + get_class_suggestion(count),
        )
    elif count.recovered >= MOSTLY * count.followed and count.mean_delay >= LONG_DELAY:
        yield make_finding(
            DELAY_TOO_LONG,
            count,
            "Nearly every first retry succeeds, and each is waited for at length.",
            f"Try a shorter retry_delay (now {format_seconds(count.mean_delay)} on average, with any back-off), or a "
            "lower max_retry_delay.",
        )
    elif count.recovered == count.followed:
        yield make_finding(
            ALWAYS_HELP,
            count,
            f"Every try that failed with class {count.error_class} succeeded when it was retried.",
            "Keep the retries. " + get_class_suggestion(count),
        )


def judge_missing(count: RetryCount, known: Sequence[RetryCount]) -> CostFinding | None:
    """A DAG without retries whose failures are of a class that retries cure in other DAGs."""
    if count.without_retries < MIN_TRIES:
        return None
    others = [one for one in known if one.error_class == count.error_class and one.dag_id != count.dag_id]
    followed, recovered = sum(one.followed for one in others), sum(one.recovered for one in others)
    if followed < MIN_ELSEWHERE or recovered < OFTEN * followed:
        return None
    evidence = [
        f"{count.without_retries} tries of tasks without retries failed with class {count.error_class}",
        f"in other DAGs {recovered} of {followed} such tries succeeded when they were retried",
    ]
    return CostFinding(
        NO_RETRIES,
        count.dag_id,
        f"Tasks without retries fail with class {count.error_class}, which retries cure in other DAGs.",
        evidence,
        "Set retries=2 and a retry_delay of a minute for these tasks, if they may run twice.",
        0.0,
    )


def make_finding(name: str, count: RetryCount, meaning: str, suggestion: str) -> CostFinding:
    """Advice about the retries of one DAG and class."""
    evidence = [
        f"{count.recovered} of {count.followed} retries after class {count.error_class} succeeded",
        f"{format_seconds(count.mean_delay)} between a failed try and the next on average",
        f"{format_seconds(count.delay_seconds)} in all",
    ]
    return CostFinding(name, count.dag_id, meaning, evidence, suggestion.strip(), count.delay_seconds)


def get_class_suggestion(count: RetryCount) -> str:
    """What the class suggests; nothing where it is not known."""
    described = BY_NAME.get(count.error_class, UNKNOWN)
    return "" if described is UNKNOWN else described.suggestion
