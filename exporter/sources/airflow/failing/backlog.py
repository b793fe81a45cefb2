"""The tries that ended and whose failure, or recovery from one, is not counted by class yet.

The poll that counts a try writes it here, in the same transaction: none is lost by a restart, and each is counted
once. The reader of failures removes what it has counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from exporter.metrics.reading import Memory
from exporter.metrics.saved_entries import decode_all
from exporter.sources.airflow.counting.decision import CountedEvent, EndedTry, TryOutcome
from exporter.sources.airflow.counting.records import task_instance_key

BACKLOG_SPACE = "failures.backlog"
"""Where the state file keeps them. The name is in users' files."""
FAILURES = (TryOutcome.FAILED, TryOutcome.RETRIED)
"""The outcomes of a failed try."""


class BacklogEntry(msgspec.Struct, frozen=True, array_like=True):
    """A try that ended: one that failed, or one that followed another. All times are Unix seconds, of Airflow's clock.

    It is stored as an array: add fields at the end and with a default, so that older files stay readable.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    outcome: str
    start_date: float | None
    end_date: float | None
    hostname: str = ""
    operator: str = ""
    attempts: int = 0
    """How often its log was asked for."""
    due: float = 0.0
    """When it may be asked for again."""
    max_tries: int = 0
    """How often Airflow may retry the task."""
    logical_date: float | None = None
    """Of its run: what Airflow 2 needs to show it."""

    @property
    def failed(self) -> bool:
        """Whether the try failed, retried or not."""
        return self.outcome in FAILURES

    @property
    def retried(self) -> bool:
        """Whether Airflow tries the task again."""
        return self.outcome == TryOutcome.RETRIED


Backlog = Mapping[bytes, BacklogEntry]
"""By the key of the task instance and the number of the try; the try that ended first comes first."""


def remember_tries(events: Iterable[CountedEvent]) -> dict[str, dict[bytes, bytes | None]]:
    """The state file's entries for tries that failed, and for those that may follow a failed one."""
    encode = msgspec.msgpack.Encoder().encode
    entries: dict[bytes, bytes | None] = {}
    for event in events:
        if isinstance(event, EndedTry) and (event.outcome in FAILURES or event.row.try_number > 1):
            row = event.row
            entry = BacklogEntry(
                row.dag_id,
                row.run_id,
                row.task_id,
                row.map_index,
                row.try_number,
                event.outcome,
                row.start_date,
                row.end_date,
                row.hostname,
                row.operator,
                max_tries=row.max_tries,
                logical_date=row.logical_date,
            )
            entries[make_key(task_instance_key(row), row.try_number)] = encode(entry)
    return {BACKLOG_SPACE: entries} if entries else {}


def make_key(task_instance: bytes, try_number: int) -> bytes:
    """The key of a try of a task instance."""
    return task_instance + try_number.to_bytes(4, "big")


def get_task_instance_key(key: bytes) -> bytes:
    """The key of the task instance of a try."""
    return key[:-4]


def recall_backlog(memory: Memory) -> dict[bytes, BacklogEntry]:
    """All entries, the one that ended first comes first."""
    decode = msgspec.msgpack.Decoder(BacklogEntry).decode
    found = decode_all(memory, BACKLOG_SPACE, memory.recall_all(BACKLOG_SPACE), decode)
    return dict(sorted(found.items(), key=lambda item: (item[1].end_date or 0.0, item[1].try_number)))


def find_excess(backlog: Backlog, most: int) -> Sequence[bytes]:
    """Which failed tries to count without their log, so that no more than `most` are left.

    They are the oldest of the tasks with most failed tries: one task that fails often does not hide the others.
    """
    by_task: dict[tuple[str, str], list[bytes]] = {}
    for key, entry in backlog.items():
        if entry.failed:
            by_task.setdefault((entry.dag_id, entry.task_id), []).append(key)
    counts = [len(keys) for keys in by_task.values()]
    if sum(counts) <= most:
        return ()
    share = max(counts)
    while share > 1 and sum(min(count, share) for count in counts) > most:
        share -= max(1, share // 10)
    excess = [key for keys in by_task.values() for key in keys[: max(0, len(keys) - share)]]
    kept = [key for keys in by_task.values() for key in keys[-share:]]
    return [*excess, *kept[: max(0, len(kept) - most)]]
