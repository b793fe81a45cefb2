"""Questions that the diagnosis asks Airflow beyond the lists: few in each reading, and each answer is remembered."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any, Generic, NamedTuple, TypeVar, cast

from exporter.metrics.reading import ReaderError

log = logging.getLogger(__name__)

MAX_PER_READING = 20
"""Questions of all kinds in one reading."""
MAX_SECONDS = 4.0
"""Seconds after which a reading asks nothing more."""
MAX_ANSWERS = 5_000
"""Answers that are remembered."""
ERROR_LIFETIME = 300.0
"""Seconds for which a question that failed is not asked again."""
REFUSED_LIFETIME = 3_600.0
"""The same where Airflow refuses the answer to our credentials."""

T = TypeVar("T")


class Answered(NamedTuple, Generic[T]):
    """What Airflow answered; None where it answered with an error."""

    value: T | None


class _Remembered(NamedTuple):
    value: Any
    until: float
    """When it is forgotten, in monotonic seconds."""
    renew_at: float
    """When it may be asked again, in monotonic seconds."""


class QuestionBudget:
    """Asks, within a budget for each reading. `clock` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.refused: set[str] = set()
        """The kinds of questions that Airflow refuses to our credentials."""
        self._clock = clock
        self._known: dict[Hashable, _Remembered] = {}
        self._left = MAX_PER_READING
        self._end = 0.0
        self._asked: Counter[str] = Counter()

    def begin(self) -> None:
        """Begin a reading: the budget is whole again, and what is too old is forgotten."""
        now = self._clock()
        self._known = {key: one for key, one in self._known.items() if one.until > now}
        self._left, self._end = MAX_PER_READING, now + MAX_SECONDS
        self._asked.clear()

    def ask(
        self,
        kind: str,
        key: Hashable,
        read: Callable[[], T],
        *,
        lifetime: float,
        at_most: int = MAX_PER_READING,
        renew_after: Callable[[T], float] | None = None,
    ) -> Answered[T] | None:
        """The answer to a question, remembered for `lifetime` seconds; None if it has to wait for another reading.

        `at_most` questions of a kind are asked in one reading. `renew_after` says of an answer after how many seconds
        it is asked again where the budget has room: until then the earlier one holds, for its lifetime.
        """
        place = (kind, key)
        known = self._known.get(place)
        now = self._clock()
        if (known is not None and now < known.renew_at) or not self._has_room(kind, at_most, now):
            return None if known is None else Answered(cast("T | None", known.value))
        self._left -= 1
        self._asked[kind] += 1
        value: T | None = None
        renewal = math.inf
        try:
            value = read()
        except ReaderError as error:
            log.debug("%s of %s cannot be read: %s", kind, key, error)
            refused = error.reason in ("forbidden", "unauthorized")
            lifetime = REFUSED_LIFETIME if refused else ERROR_LIFETIME
            if refused:
                self.refused.add(kind)
        else:
            self.refused.discard(kind)
            renewal = renewal if renew_after is None else renew_after(value)
        self._known[place] = _Remembered(value, now + lifetime, now + renewal)
        return Answered(value)

    def _has_room(self, kind: str, at_most: int, now: float) -> bool:
        is_spent = self._left <= 0 or now >= self._end or self._asked[kind] >= at_most
        return not is_spent and len(self._known) < MAX_ANSWERS

    def is_known(self, kind: str, key: Hashable) -> bool:
        """Whether an answer is remembered."""
        return (kind, key) in self._known

    def forget(self, kind: str, key: Hashable) -> None:
        """Forget an answer, because what it is about has changed."""
        self._known.pop((kind, key), None)
