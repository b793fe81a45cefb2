"""What became of tries that failed: how long the next one waited, and whether it succeeded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from exporter.metrics.catalogue.api import failures
from exporter.metrics.reading import Change, Memory
from exporter.metrics.saved_entries import decode_all
from exporter.sources.airflow.counting.decision import TryOutcome
from exporter.sources.airflow.failing.backlog import BacklogEntry

RETRIED_SPACE = "failures.retried"
"""Where the state file keeps the failed tries whose next try has not ended. The name is in users' files."""
RETENTION = 7 * 86_400.0
"""Seconds after which such a try is forgotten."""
MAX_RETRIED = 20_000
"""Such tries that are remembered."""


class RetriedTry(msgspec.Struct, frozen=True, array_like=True):
    """A failed try whose task Airflow tries again.

    It is stored as an array: add fields at the end and with a default, so that older files stay readable.
    """

    error_class: str
    try_number: int
    end_date: float | None
    """Unix seconds."""


def recall_retried(memory: Memory) -> dict[bytes, RetriedTry]:
    """The failed tries whose next try has not ended, by the key of their task instance."""
    found = memory.recall_all(RETRIED_SPACE)
    return decode_all(memory, RETRIED_SPACE, found, msgspec.msgpack.Decoder(RetriedTry).decode)


def write_retried(
    before: Mapping[bytes, RetriedTry], after: Mapping[bytes, RetriedTry]
) -> dict[str, dict[bytes, bytes | None]]:
    """The state file's entries for what changed; beyond MAX_RETRIED those that ended first are forgotten."""
    kept = dict(after)
    if len(kept) > MAX_RETRIED:
        kept = dict(sorted(kept.items(), key=lambda item: item[1].end_date or 0.0)[-MAX_RETRIED:])
    encode = msgspec.msgpack.Encoder().encode
    entries: dict[bytes, bytes | None] = {key: None for key in before if key not in kept}
    entries |= {key: encode(record) for key, record in kept.items() if before.get(key) != record}
    return {RETRIED_SPACE: entries} if entries else {}


def follow_up(entry: BacklogEntry, before: RetriedTry | None) -> Iterator[Change]:
    """What the end of a try says of the failed try before it, if that is the one that was remembered."""
    if before is None or entry.try_number != before.try_number + 1:
        return
    labels = (entry.dag_id, before.error_class)
    yield Change(failures.RETRY_DELAY, labels, measure_delay(entry, before))
    if entry.outcome == TryOutcome.SUCCESS:
        yield Change(failures.RECOVERED_BY_CLASS, labels)


def measure_delay(entry: BacklogEntry, before: RetriedTry) -> float:
    """Seconds from the end of a failed try to the start of the next; 0 where Airflow does not say."""
    if entry.start_date is None or before.end_date is None:
        return 0.0
    return max(0.0, entry.start_date - before.end_date)
