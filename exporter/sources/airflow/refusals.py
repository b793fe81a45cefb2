"""Questions that Airflow keeps answering with an error: they are put last, and given up after a while.

One row that makes its API server stumble must neither keep the others from being counted nor be asked for for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeVar

from exporter.reading import ReaderError

ABOUT_THE_QUESTION = ("server_error", "bad_reply", "timeout")
"""Reasons of errors that may come from what was asked for; the others concern all of Airflow."""
PATIENCE = 900.0
"""For how many seconds a question is put again."""
ATTEMPTS = 3
"""How often it is put at least."""

Key = TypeVar("Key", bytes, tuple[str, str])


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
        if error.reason not in ABOUT_THE_QUESTION:
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
