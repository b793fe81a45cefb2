"""Check with PromQL that Prometheus saw each counter complete: last value, full increase, no resets."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from tests.e2e.exactness.comparison import LABELS, split
from tests.e2e.exactness.prometheus import Prometheus
from tests.e2e.exactness.subject import Exposition, Series

MATCH = "__name__=~'airflow_(task|dag)_.*(_total|_sum|_count|_bucket)'"
FIRST_FAILURES = (("first_failure", "fails_if_asked"), ("never_ran_before", "fails_at_first_sight"))


class QueryResult(NamedTuple):
    """One query, its result and the expected one."""

    question: str
    answer: float
    expected: float
    exact: bool = True

    @property
    def right(self) -> bool:
        """Whether the result is the expected one; if not `exact`, at least that."""
        if not self.exact:
            return self.answer >= self.expected
        return math.isclose(self.answer, self.expected, rel_tol=1e-9, abs_tol=1e-6)


def ask(prometheus: Prometheus, exposition: Exposition, seconds: float) -> list[QueryResult]:
    """Query the last `seconds`; nothing may have changed between the last scrapes and `exposition`."""
    at = max(prometheus.query('timestamp(up{job="airflow"})').values())  # at a scrape increase() extrapolates nothing
    window = f"{{{MATCH}}}[{seconds:.0f}s]"
    last = prometheus.query(f"last_over_time({window})", at)
    return [
        *_compare("last value", last, exposition),
        *_compare_bare("increase", window, prometheus, exposition, at),
        *_resets(window, prometheus, exposition, at),
        *_first_failures(prometheus, seconds, at),
    ]


def _compare(what: str, answers: dict[Series, float], exposition: Exposition) -> Iterator[QueryResult]:
    for series in sorted(_counted(exposition), key=str):
        yield QueryResult(f"{what} of {_name(series)}", answers.get(series, math.nan), exposition[series])


def _compare_bare(
    what: str, window: str, prometheus: Prometheus, exposition: Exposition, at: float
) -> Iterator[QueryResult]:
    """increase() drops the metric name, so there is one query per name."""
    for name in _names(exposition):
        one = window.replace(MATCH, _is(name))
        answers = {Series(name, key.labels): value for key, value in prometheus.query(f"increase({one})", at).items()}
        yield from _compare(what, answers, {key: value for key, value in exposition.items() if key.name == name})


def _resets(window: str, prometheus: Prometheus, exposition: Exposition, at: float) -> Iterator[QueryResult]:
    for name in _names(exposition):
        resets = prometheus.query(f"sum(resets({window.replace(MATCH, _is(name))}))", at)
        yield QueryResult(f"resets of {name}", sum(resets.values()), 0)


def _first_failures(prometheus: Prometheus, seconds: float, at: float) -> Iterator[QueryResult]:
    for dag_id, task_id in FIRST_FAILURES:
        question = f'increase(airflow_task_tries_failed_total{{dag_id="{dag_id}",task_id="{task_id}"}}[{seconds:.0f}s])'
        yield QueryResult(question, sum(prometheus.query(question, at).values()), 1, exact=False)


def _counted(exposition: Exposition) -> list[Series]:
    return [series for series in exposition if split(series)[0] in LABELS]


def _is(name: str) -> str:
    return f"__name__='{name}'"


def _names(exposition: Exposition) -> list[str]:
    return sorted({series.name for series in _counted(exposition)})


def _name(series: Series) -> str:
    return f"{series.name}{dict(sorted(series.labels))}"
