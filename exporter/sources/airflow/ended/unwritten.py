"""What ended and is not in the events file yet: kept in the state file, in the transaction that counts it.

So a crash loses no event; what was written a moment before the crash is written again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from exporter.events.records import EndedRunFacts, EndedTryFacts
from exporter.metrics.reading import Memory
from exporter.metrics.saved_entries import decode_all
from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.counting.decision import CountedEvent, EndedTry
from exporter.sources.airflow.counting.records import task_instance_key

TRIES_SPACE, RUNS_SPACE = "events.tries", "events.runs"
"""Where the state file keeps them. The names are in users' files."""

T = TypeVar("T")
Kept = dict[str, dict[bytes, bytes | None]]


class UnwrittenTry(msgspec.Struct, frozen=True, array_like=True):
    """A try that ended. It is stored as an array: add fields at the end and with a default."""

    counted_at: float
    """When it was counted, in Unix seconds of Airflow's clock."""
    facts: EndedTryFacts
    logical_date: float | None = None


class UnwrittenRun(msgspec.Struct, frozen=True, array_like=True):
    """A run that ended. It is stored as an array: add fields at the end and with a default."""

    counted_at: float
    facts: EndedRunFacts


def keep_tries(events: Iterable[CountedEvent], now: float) -> Kept:
    """The entries of tries that ended."""
    encode = msgspec.msgpack.Encoder().encode
    entries: dict[bytes, bytes | None] = {}
    for event in events:
        if isinstance(event, EndedTry):
            row = event.row
            key = task_instance_key(row) + row.try_number.to_bytes(4, "big") + event.outcome.encode()
            entries[key] = encode(UnwrittenTry(now, get_facts(event), row.logical_date))
    return {TRIES_SPACE: entries} if entries else {}


def get_facts(event: EndedTry) -> EndedTryFacts:
    """What the event file says of a try."""
    row = event.row
    return EndedTryFacts(
        row.dag_id,
        row.run_id,
        row.task_id,
        row.map_index,
        row.try_number,
        event.outcome,
        row.pool,
        row.queue,
        row.operator,
        row.scheduled_when,
        row.queued_when,
        row.start_date,
        row.end_date,
        row.pool_slots,
        row.priority_weight,
    )


def keep_runs(runs: Iterable[DagRun], now: float) -> Kept:
    """The entries of runs that ended."""
    encode = msgspec.msgpack.Encoder().encode
    entries: dict[bytes, bytes | None] = {}
    for run in runs:
        facts = EndedRunFacts(
            run.dag_id,
            run.run_id,
            run.run_type,
            run.state or "",
            run.run_after,
            run.queued_at,
            run.start_date,
            run.end_date,
        )
        entries[f"{run.dag_id}\0{run.run_id}\0{run.end_date}".encode()] = encode(UnwrittenRun(now, facts))
    return {RUNS_SPACE: entries} if entries else {}


def recall_tries(memory: Memory) -> dict[bytes, UnwrittenTry]:
    """The tries that are to be written, those that were counted first come first."""
    return recall(memory, TRIES_SPACE, msgspec.msgpack.Decoder(UnwrittenTry).decode, lambda one: one.counted_at)


def recall_runs(memory: Memory) -> dict[bytes, UnwrittenRun]:
    """The runs that are to be written, those that were counted first come first."""
    return recall(memory, RUNS_SPACE, msgspec.msgpack.Decoder(UnwrittenRun).decode, lambda one: one.counted_at)


def recall(memory: Memory, space: str, decode: Callable[[bytes], T], get_order: Callable[[T], float]) -> dict[bytes, T]:
    """The entries of a space, in order."""
    found = decode_all(memory, space, memory.recall_all(space), decode)
    return dict(sorted(found.items(), key=lambda item: get_order(item[1])))
