"""What sources hand over: how a reader describes itself, and what one reading of it holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from exporter.metrics.family import Family, Labels
from exporter.redaction import redact

Tables = Mapping[Family, Mapping[Labels, float]]
"""The whole state of some families."""

Memories = Mapping[str, Mapping[bytes, bytes | None]]
"""What to remember: for each space, a value for each key, or None to forget the key."""


class Memory(Protocol):
    """What readers remembered, as the last commit left it."""

    def recall(self, space: str, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """The remembered values of those keys that are known."""

    def recall_all(self, space: str) -> dict[bytes, bytes]:
        """Everything remembered in a space."""

    def lose(self, space: str, keys: Iterable[bytes]) -> None:
        """Remove, count and report entries that cannot be decoded."""


class Change(NamedTuple):
    """One thing that happened: a counter grows by `value`, a histogram observes it."""

    family: Family
    labels: Labels
    value: float = 1.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What one successful read of a reader found.

    `tables` is the whole state of each family the reader feeds; `changes` is what happened since the last
    reading; `memories` is what to remember, committed together with the changes; `notes` are lines for
    the page of the source's last cycles; `again` asks for another read at once, to catch up in bounded steps.
    `moment` is when it was read, on the clock by which memories age, and `forget` says for a space before which
    moment a key was last written that is to be forgotten. `dags` are all DAGs that there are, where the reading
    is a complete list of them: what was counted of others is forgotten after a day, with what is remembered of them in
    `dag_spaces`, whose keys are DAG ids. `unanswered` names each object that the reader passes over now because it was
    answered with an error, and says why.
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


NOTHING = Reading()
"""The reading of who looks only so that another reader has more to tell: there is nothing to commit or publish."""


class ReaderError(Exception):
    """A reader could not read. `reason` is one of REASONS; the message says what to do.

    The message is kept, logged and shown on pages: it holds no secret. What a server or a library said must
    have passed `redaction.redact_foreign` before it becomes part of a message.
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
"""Why a reader or a source failed: the closed set of the label `reason`."""


class Reader(Protocol):
    """One thing that a source reads, with its own interval, deadline and guard."""

    name: str
    help: str
    interval: float

    @property
    def families(self) -> Sequence[Family]:
        """The state families it feeds: they go when it fails."""

    def read(self) -> Reading:
        """Read once. Raises ReaderError."""


class Source(Protocol):
    """A named group of readers that share a connection and a thread."""

    name: str
    vital: str
    """The reader without whose data the source counts as down; empty where the success of any reader will do."""

    @property
    def readers(self) -> Sequence[Reader]:
        """The readers, in the order in which they are read."""

    @property
    def refused(self) -> bool:
        """Whether the other side does not accept our credentials now."""

    def connect(self) -> None:
        """Make or check the connection, before the first reader and after a failure. Raises ReaderError."""

    def close(self) -> None:
        """Let go of sockets."""

    def begin(self, deadline: float) -> None:
        """Say until when (monotonic seconds) the next read may take."""
