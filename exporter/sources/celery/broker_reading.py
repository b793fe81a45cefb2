"""What one look at the broker brings."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from exporter.redaction import redact_foreign

MAX_MESSAGE_LENGTH = 500
"""Characters of a message of the broker that are shown."""


class QueueDepth(NamedTuple):
    """What the broker knows of a queue."""

    messages: int
    """Messages that no worker has taken yet."""
    consumers: int | None = None
    """How many consumers it has; None where the broker does not know it (Redis)."""


class BrokerReading(NamedTuple):
    """What was read of a broker. None: this broker does not say it, or the user may not see it."""

    queues: Mapping[str, QueueDepth]
    """The queues that exist."""
    response_seconds: float
    """How long the broker took to answer a simple request."""
    unacknowledged: int | None = None
    oldest_unacknowledged: float | None = None
    """When the oldest message that was not acknowledged was delivered, in Unix seconds."""
    memory: int | None = None
    """Bytes."""
    memory_limit: int | None = None
    """Bytes; None where there is no limit."""
    unreadable: Mapping[str, str] = MappingProxyType({})
    """Why the broker does not let a queue be read, by queue."""


def is_refused(error: BaseException) -> bool:
    """Whether AMQP says that the user may not read this queue (403)."""
    return getattr(error, "reply_code", None) == 403


def is_hidden(error: BaseException) -> bool:
    """Whether AMQP says that a queue or exchange does not exist (404), or belongs to another connection (405)."""
    return getattr(error, "reply_code", None) in (404, 405)


def explain(error: BaseException) -> str:
    """The message of an error without secrets, on one line; Sentinel shows whole objects in its own."""
    text = (str(error) or type(error).__name__).split(" : <redis.")[0]
    return " ".join(redact_foreign(text, MAX_MESSAGE_LENGTH).split())


def time_call(ask: Callable[[], object]) -> float:
    """Seconds that a request takes."""
    start = time.perf_counter()
    ask()
    return time.perf_counter() - start
