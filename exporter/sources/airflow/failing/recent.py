"""The tries that failed within the last hour, for the page /diagnosis; they survive a restart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from exporter.diagnosis.report import FailedTry
from exporter.metrics.reading import Memory
from exporter.metrics.saved_entries import decode_all
from exporter.sources.airflow.failing.backlog import BacklogEntry
from exporter.sources.airflow.log_links import LogLinks

RECENT_SPACE = "failures.recent"
"""Where the state file keeps them. The name is in users' files."""
LIFETIME = 3_600.0
"""Seconds for which a failed try is recent."""
MAX_RECENT = 5_000
"""Recent failed tries that are kept; the oldest go first."""


class RecentFailure(msgspec.Struct, frozen=True, array_like=True):
    """A failed try with its class.

    It is stored as an array: add fields at the end and with a default, so that older files stay readable.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    end_date: float
    """Unix seconds, by Airflow's clock."""
    error_class: str
    retried: bool
    logical_date: float | None = None
    """Of its run: what Airflow 2 needs to show it."""


def make_recent(entry: BacklogEntry, error_class: str, now: float) -> RecentFailure:
    """A failed try as it is kept; one without an end counts as having ended now."""
    ended = now if entry.end_date is None else entry.end_date
    return RecentFailure(
        entry.dag_id,
        entry.run_id,
        entry.task_id,
        entry.map_index,
        entry.try_number,
        ended,
        error_class,
        entry.retried,
        entry.logical_date,
    )


def recall_recent(memory: Memory) -> dict[bytes, RecentFailure]:
    """The recent failed tries, by the key of the try."""
    found = memory.recall_all(RECENT_SPACE)
    return decode_all(memory, RECENT_SPACE, found, msgspec.msgpack.Decoder(RecentFailure).decode)


def write_recent(
    before: Mapping[bytes, RecentFailure], new: Mapping[bytes, RecentFailure], now: float
) -> tuple[dict[bytes, RecentFailure], dict[str, dict[bytes, bytes | None]]]:
    """What is recent now, and the state file's entries for what changed."""
    after = {key: one for key, one in {**before, **new}.items() if one.end_date > now - LIFETIME}
    if len(after) > MAX_RECENT:
        after = dict(sorted(after.items(), key=lambda item: item[1].end_date)[-MAX_RECENT:])
    encode = msgspec.msgpack.Encoder().encode
    entries: dict[bytes, bytes | None] = {key: None for key in before if key not in after}
    entries |= {key: encode(new[key]) for key in new if key in after}
    return after, {RECENT_SPACE: entries} if entries else {}


def to_failed_tries(recent: Mapping[bytes, RecentFailure], links: LogLinks) -> Sequence[FailedTry]:
    """The recent failed tries as the diagnosis has them, the newest first."""
    ordered = sorted(recent.values(), key=lambda one: one.end_date, reverse=True)
    return [
        FailedTry(
            one.dag_id,
            one.task_id,
            one.run_id,
            one.map_index,
            one.try_number,
            one.end_date,
            one.error_class,
            one.retried,
            links.link(one),
        )
        for one in ordered
    ]
