"""The interface of sources and readers, and what a reader returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from exporter.metrics.family import Family, Labels
from exporter.redaction import redact

Tables = Mapping[Family, Mapping[Labels, float]]
"""The complete state of some families."""

Memories = Mapping[str, Mapping[bytes, bytes | None]]
"""What to remember: for each space, a value for each key, or None to delete the key."""


class Memory(Protocol):
    """What readers remembered, as of the last commit."""

    def recall(self, space: str, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """The values of those keys that are known."""

    def recall_all(self, space: str) -> dict[bytes, bytes]:
        """All keys and values of a space."""

    def lose(self, space: str, keys: Iterable[bytes]) -> None:
        """Remove, count and log entries that cannot be decoded."""


class Change(NamedTuple):
    """One event: a counter grows by `value`, a histogram observes it."""

    family: Family
    labels: Labels
    value: float = 1.0


def do_nothing() -> None:
    """Nothing is to be handed over."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of one successful read.

    `tables` is the complete state of the families that the reader feeds. `changes` are the events after the last
    reading; `memories` are committed in the same transaction. `notes` are lines for the page /sources. `again` asks for
    another read at once, to catch up in limited steps. `moment` is the time of the reading, on the clock by which
    memories age; `forget` has a time for each space: keys last written before it are deleted. `dags` is the complete
    list of DAGs, if the reader read it: counters of other DAGs are deleted after a day, and so are their keys (DAG ids)
    in `dag_spaces`. `unanswered` has, for each skipped object, its name and the error that Airflow returned.
    `after_commit` hands events over to other readers: what was not committed is read again, and would come twice.
    """

    tables: Tables = field(default_factory=dict)
    changes: Sequence[Change] = ()
    memories: Memories = field(default_factory=dict)
    notes: Sequence[str] = ()
    again: bool = False
    moment: float = 0.0
    forget: Mapping[str, float] = field(default_factory=dict)
    dags: frozenset[str] | None = None
    dag_spaces: Sequence[str] = ()
    unanswered: Sequence[str] = ()
    after_commit: Callable[[], None] = do_nothing


NOTHING = Reading()
"""Returned by a reader that only prepares data for another reader: nothing is committed or published."""


class ReaderError(Exception):
    """A read failed. `reason` is one of REASONS; the message says what to do.

    The message is logged and shown on pages, so it must not contain secrets: text of a server or a library has to be
    passed through `redaction.redact_foreign` first.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(redact(message))
        self.reason = reason


REASONS = (
    "unreachable",
    "timeout",
    "tls",
    "unauthorized",
    "forbidden",
    "not_found",
    "rate_limited",
    "server_error",
    "bad_request",
    "bad_reply",
    "deadline",
    "state_file",
    "internal",
)
"""Why a reader or a source failed: all values of the label `reason`."""


class Reader(Protocol):
    """Reads one thing from a source, with a separate interval, deadline and error handling."""

    name: str
    help: str
    interval: float

    @property
    def families(self) -> Sequence[Family]:
        """The state families that it feeds; they expire if it keeps failing."""

    def read(self) -> Reading:
        """Read once. Raises ReaderError."""


class Source(Protocol):
    """A group of readers that share a connection and a thread."""

    name: str
    vital: str
    """The reader without whose data the source is down; empty if the success of any reader is enough."""

    @property
    def readers(self) -> Sequence[Reader]:
        """The readers, in the order in which they are read."""

    @property
    def refused(self) -> bool:
        """Whether the other side currently rejects our credentials."""

    def connect(self) -> None:
        """Open or check the connection, before the first read and after a failure. Raises ReaderError."""

    def close(self) -> None:
        """Close sockets."""

    def begin(self, deadline: float) -> None:
        """Set the deadline of the next read, in monotonic seconds."""
