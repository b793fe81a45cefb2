"""Questions that Airflow keeps answering with an error.

One row that makes its API server stumble must neither keep the others from being read nor be asked for for ever. Where
each question counts, those that fail are put last, and given up after a while (`Refusals`). Where a question may wait,
it is put again after ever longer pauses (`RetryLater`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from typing import Generic, NamedTuple, TypeVar

from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.http.errors import AnswerError

log = logging.getLogger(__name__)

ABOUT_THE_QUESTION = ("server_error", "bad_reply", "timeout")
"""Reasons of errors that may come from what was asked for; the others concern all of Airflow."""
ABOUT_ONE = (400, 404, 409, 410, 422, 500)
"""Statuses of answers about the one object that was asked for."""
MAX_FAILURES = 3
"""After how many failures a poll leaves the other questions to the next one."""
FIRST_PAUSE, LONGEST_PAUSE = 60.0, 3600.0
"""After how many seconds an object that failed is asked for again: at first, and when it failed ever again."""
PATIENCE = 900.0
"""For how many seconds a question is put again."""
ATTEMPTS = 3
"""How often it is put at least."""

Key = TypeVar("Key", bytes, tuple[str, str])


def is_about_question(error: ReaderError) -> bool:
    """Whether an error may come from what was asked for."""
    return error.reason in ABOUT_THE_QUESTION or is_about_one(error)


def is_about_one(error: ReaderError) -> bool:
    """Whether Airflow answered, and its answer is about the one object that was asked for."""
    return isinstance(error, AnswerError) and error.status in ABOUT_ONE


def describe(error: ReaderError) -> str:
    """What Airflow answered about one object; the advice for errors about all of Airflow would mislead."""
    if is_about_one(error) and isinstance(error, AnswerError) and error.detail:
        return f"HTTP {error.status} ({error.detail})"
    return str(error)


class Refusal(NamedTuple):
    """Since when a question was answered with an error, and how often."""

    since: float
    attempts: int


class Refusals(Generic[Key]):
    """What could not be answered, on a clock of monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._refused: dict[Key, Refusal] = {}

    def put_last(self, keys: Iterable[Key]) -> list[Key]:
        """The questions in the order in which to put them: those that failed most often come last."""
        return sorted(keys, key=lambda key: self._refused[key].attempts if key in self._refused else 0)

    def answer(self, key: Key) -> None:
        """The question was answered."""
        self._refused.pop(key, None)

    def refuse(self, key: Key, error: ReaderError) -> bool:
        """The question failed; tells whether it is to be given up, and then forgets it."""
        if not is_about_question(error):
            return False
        now = self._clock()
        self._refused = {one: known for one, known in self._refused.items() if now - known.since < 2 * PATIENCE}
        since, attempts = self._refused.get(key, Refusal(now, 0))
        given_up = now - since >= PATIENCE and attempts + 1 >= ATTEMPTS
        if given_up:
            del self._refused[key]
        else:
            self._refused[key] = Refusal(since, attempts + 1)
        return given_up


class Pause(NamedTuple):
    """When an object is asked for again (monotonic seconds), after how long a pause, and what the answer said."""

    due: float
    length: float
    message: str


class RetryLater:
    """Objects that could not be read, each asked for again after ever longer pauses.

    `clock` is monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pauses: dict[str, Pause] = {}

    def is_due(self, key: str) -> bool:
        """Whether the object is to be asked for now."""
        return key not in self._pauses or self._pauses[key].due <= self._clock()

    def succeed(self, key: str) -> None:
        """The object was read."""
        self._pauses.pop(key, None)

    def fail(self, key: str, error: ReaderError) -> None:
        """The object could not be read; logged as a warning the first time."""
        before = self._pauses.get(key)
        length = min(2 * before.length, LONGEST_PAUSE) if before else FIRST_PAUSE
        said = describe(error)
        self._pauses[key] = Pause(self._clock() + length, length, said)
        level = logging.DEBUG if before else logging.WARNING
        log.log(level, "%s is passed over and asked for again in %.0f s: %s", key, length, said)

    def keep(self, keys: Collection[str]) -> None:
        """Forget objects that are no longer to be read."""
        self._pauses = {key: pause for key, pause in self._pauses.items() if key in keys}

    def messages(self) -> list[str]:
        """What is passed over now, and why."""
        return [f"{key}: {pause.message}" for key, pause in self._pauses.items()]
