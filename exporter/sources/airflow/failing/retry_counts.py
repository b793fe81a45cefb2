"""How often retries succeeded, by DAG and class, over the last failed tries: what advice on retries stands on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from exporter.diagnosis.retry_advice import RetryCount
from exporter.metrics.reading import Memory
from exporter.metrics.saved_entries import decode_all
from exporter.sources.airflow.counting.decision import TryOutcome
from exporter.sources.airflow.failing.backlog import BacklogEntry
from exporter.sources.airflow.failing.retries import RetriedTry, measure_delay

COUNTS_SPACE = "failures.retry_counts"
"""Where the state file keeps them. The name is in users' files."""
RETENTION = 14 * 86_400.0
"""Seconds without a failure after which a count is forgotten."""
MAX_COUNTS = 5_000
"""Pairs of DAG and class that are kept."""
HALVE_AT = 200
"""Failed tries after which all numbers of a count are halved, so that later ones weigh more."""
JUDGED = (TryOutcome.SUCCESS, TryOutcome.FAILED, TryOutcome.RETRIED)
"""Outcomes of the next try that say whether the retry helped."""


class SavedCount(msgspec.Struct, frozen=True, array_like=True):
    """A count as it is stored: as an array, so add fields at the end and with a default."""

    dag_id: str
    error_class: str
    followed: int = 0
    recovered: int = 0
    delay_seconds: float = 0.0
    without_retries: int = 0


Counts = dict[bytes, SavedCount]


def recall_counts(memory: Memory) -> Counts:
    """All counts, by DAG and class."""
    found = memory.recall_all(COUNTS_SPACE)
    return decode_all(memory, COUNTS_SPACE, found, msgspec.msgpack.Decoder(SavedCount).decode)


def write_counts(
    before: Mapping[bytes, SavedCount], after: Mapping[bytes, SavedCount]
) -> dict[str, dict[bytes, bytes | None]]:
    """The state file's entries for what changed."""
    encode = msgspec.msgpack.Encoder().encode
    entries: dict[bytes, bytes | None] = {key: encode(one) for key, one in after.items() if before.get(key) != one}
    return {COUNTS_SPACE: entries} if entries else {}


def count_next_try(counts: Counts, entry: BacklogEntry, before: RetriedTry | None) -> None:
    """Count what the end of a try says of the failed try before it."""
    if before is None or entry.try_number != before.try_number + 1 or entry.outcome not in JUDGED:
        return
    known = _get(counts, entry.dag_id, before.error_class)
    changed = msgspec.structs.replace(
        known,
        followed=known.followed + 1,
        recovered=known.recovered + (entry.outcome == TryOutcome.SUCCESS),
        delay_seconds=known.delay_seconds + measure_delay(entry, before),
    )
    _put(counts, changed)


def count_without_retries(counts: Counts, entry: BacklogEntry, error_class: str) -> None:
    """Count a failed try of a task that has no retries."""
    if entry.max_tries == 0 and not entry.retried:
        known = _get(counts, entry.dag_id, error_class)
        _put(counts, msgspec.structs.replace(known, without_retries=known.without_retries + 1))


def to_retry_counts(counts: Iterable[SavedCount]) -> list[RetryCount]:
    """The counts as the advice takes them."""
    return [
        RetryCount(one.dag_id, one.error_class, one.followed, one.recovered, one.delay_seconds, one.without_retries)
        for one in counts
    ]


def _get(counts: Counts, dag_id: str, error_class: str) -> SavedCount:
    return counts.get(_key(dag_id, error_class)) or SavedCount(dag_id, error_class)


def _put(counts: Counts, count: SavedCount) -> None:
    key = _key(count.dag_id, count.error_class)
    if key not in counts and len(counts) >= MAX_COUNTS:
        return
    if count.followed > HALVE_AT or count.without_retries > HALVE_AT:
        count = SavedCount(
            count.dag_id,
            count.error_class,
            count.followed // 2,
            count.recovered // 2,
            count.delay_seconds / 2,
            count.without_retries // 2,
        )
    counts[key] = count


def _key(dag_id: str, error_class: str) -> bytes:
    return f"{dag_id}\0{error_class}".encode()
