"""The records of task instances in the state file, and the keys by which rows and records are matched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b

import msgspec

from exporter.metrics.reading import Memory
from exporter.metrics.saved_entries import decode_all
from exporter.sources.airflow.api.objects.task_instances import TIS_ACTIVE, TaskInstance
from exporter.sources.airflow.counting.decision import Decision, TaskRecord

ACTIVE_SPACE, ENDED_SPACE = "task_instances.active", "task_instances.settled"
"""Where the state file holds the records, by whether the task instance is active. The names are in users' files."""

Rows = Mapping[bytes, TaskInstance]
Records = Mapping[bytes, TaskRecord]


def recall_records(memory: Memory, rows: Rows) -> dict[bytes, TaskRecord]:
    """The records of all active task instances and of these rows."""
    decode = msgspec.msgpack.Decoder(TaskRecord).decode
    active = decode_all(memory, ACTIVE_SPACE, memory.recall_all(ACTIVE_SPACE), decode)
    ended = memory.recall(ENDED_SPACE, (key for key in rows if key not in active))
    return active | decode_all(memory, ENDED_SPACE, ended, decode)


def write_records(decisions: Mapping[bytes, Decision], known: Records) -> dict[str, dict[bytes, bytes | None]]:
    """The state file's entries for records that changed: active ones stay, the others are forgotten after a day."""
    active: dict[bytes, bytes | None] = {}
    ended: dict[bytes, bytes | None] = {}
    encode = msgspec.msgpack.Encoder().encode
    for key, decision in decisions.items():
        record = decision.record
        if record == known.get(key):
            continue
        is_active = record is not None and record.state in TIS_ACTIVE
        active[key] = encode(record) if is_active else None
        ended[key] = encode(record) if record is not None and not is_active else None
    return {ACTIVE_SPACE: active, ENDED_SPACE: ended}


def task_instance_key(row: TaskInstance) -> bytes:
    """A short key of a task instance, made from its DAG, run, task and map index."""
    text = f"{row.dag_id}\0{row.run_id}\0{row.task_id}\0{row.map_index}"
    return blake2b(text.encode(), digest_size=16).digest()


def newest_rows(rows: Iterable[TaskInstance]) -> dict[bytes, TaskInstance]:
    """One row of each task instance: the one with the highest try number, of those the one read last."""
    found: dict[bytes, TaskInstance] = {}
    for row in rows:
        key = task_instance_key(row)
        other = found.get(key)
        if other is None or other.try_number <= row.try_number:
            found[key] = row
    return found
