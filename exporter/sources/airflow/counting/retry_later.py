"""Retry of failed queries: those that Airflow keeps answering with an error wait, and the others go first.

One row that breaks Airflow's API server must not stop the others from being read, and must not be queried for ever.
Where every answer is counted, queries that failed are put last and abandoned after a while (`RetryQueue`). Where an
answer may come late, a query is repeated after longer and longer pauses (`RetryLater`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from typing import Generic, NamedTuple, TypeVar

from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.http.errors import AnswerError

log = logging.getLogger(__name__)

QUERY_ERROR_REASONS = ("server_error", "bad_reply", "timeout")
"""Reasons of errors that one query may cause. Errors with other reasons concern all of Airflow."""
OBJECT_ERROR_STATUSES = (400, 404, 409, 410, 422, 500)
"""HTTP statuses of answers that concern only the object in the query."""
OBJECT_ERROR_REASONS = ("timeout", "bad_reply", "forbidden")
"""Reasons of errors that may concern only the object in the query, or all of Airflow."""
MAX_FAILURES_PER_POLL = 3
"""After how many failed queries a poll leaves the others to the next one."""
FIRST_PAUSE, MAX_PAUSE = 60.0, 3600.0
"""For how many seconds an object that failed is not queried again: at first, and at most."""
ABANDON_AFTER = 900.0
"""For how many seconds a failing query is repeated before it is abandoned."""
MIN_ATTEMPTS = 3
"""How often a query is sent at least before it is abandoned."""

Key = TypeVar("Key", bytes, tuple[str, str])


def may_be_query_error(error: ReaderError) -> bool:
    """Whether an error may be caused by this query, so that others may succeed."""
    return error.reason in QUERY_ERROR_REASONS or is_object_error(error)


def is_object_error(error: ReaderError) -> bool:
    """Whether Airflow answered, and its answer concerns only the object in the query."""
    return isinstance(error, AnswerError) and error.status in OBJECT_ERROR_STATUSES


def format_object_error(error: ReaderError) -> str:
    """What Airflow answered about one object, without the advice for errors of all queries."""
    if is_object_error(error) and isinstance(error, AnswerError) and error.detail:
        return f"HTTP {error.status} ({error.detail})"
    return str(error)


class FailedQuery(NamedTuple):
    """When a query failed first (monotonic seconds), and how often it has failed."""

    since: float
    attempts: int


class RetryQueue(Generic[Key]):
    """The order in which to send queries, with those that failed last. `clock` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failed: dict[Key, FailedQuery] = {}

    def order_by_failures(self, keys: Iterable[Key]) -> list[Key]:
        """The queries in the order in which to send them: those that failed most often come last."""
        return sorted(keys, key=lambda key: self._failed[key].attempts if key in self._failed else 0)

    def record_success(self, key: Key) -> None:
        """Forget the failures of a query that was answered."""
        self._failed.pop(key, None)

    def record_failure(self, key: Key, error: ReaderError) -> bool:
        """Record a failure. True if the query has failed often and long enough: it is forgotten, abandon it."""
        if not may_be_query_error(error):
            return False
        now = self._clock()
        self._failed = {one: known for one, known in self._failed.items() if now - known.since < 2 * ABANDON_AFTER}
        since, attempts = self._failed.get(key, FailedQuery(now, 0))
        abandoned = now - since >= ABANDON_AFTER and attempts + 1 >= MIN_ATTEMPTS
        if abandoned:
            del self._failed[key]
        else:
            self._failed[key] = FailedQuery(since, attempts + 1)
        return abandoned


class RetryPause(NamedTuple):
    """When an object is queried again (monotonic seconds), the pause before that in seconds, and the last error."""

    due: float
    length: float
    message: str


class RetryLater:
    """Objects that could not be read, each queried again after a pause that doubles. `clock` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pauses: dict[str, RetryPause] = {}

    def is_due(self, key: str) -> bool:
        """Whether to query the object now."""
        return key not in self._pauses or self._pauses[key].due <= self._clock()

    def succeed(self, key: str) -> None:
        """End the pause of an object that was read."""
        self._pauses.pop(key, None)

    def fail(self, key: str, error: ReaderError) -> None:
        """Start a pause for an object that could not be read; the first one is logged as a warning."""
        before = self._pauses.get(key)
        length = min(2 * before.length, MAX_PAUSE) if before else FIRST_PAUSE
        message = format_object_error(error)
        self._pauses[key] = RetryPause(self._clock() + length, length, message)
        level = logging.DEBUG if before else logging.WARNING
        log.log(level, "%s could not be read; the next attempt is in %.0f s: %s", key, length, message)

    def pass_over(self, key: str, error: ReaderError) -> bool:
        """Start a pause if the error may concern the object; whether it surely concerns no other."""
        about_object = is_object_error(error)
        if about_object or error.reason in OBJECT_ERROR_REASONS:
            self.fail(key, error)
        return about_object

    def keep(self, keys: Collection[str]) -> None:
        """Forget all objects but these."""
        self._pauses = {key: pause for key, pause in self._pauses.items() if key in keys}

    def messages(self) -> list[str]:
        """The objects that are not queried now, each with its last error."""
        return [f"{key}: {pause.message}" for key, pause in self._pauses.items()]
