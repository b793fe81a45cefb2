"""Decides which DAGs were removed from Airflow, so that their counters may be deleted.

A DAG can be missing from a list for a short time: a role lost a permission, DAG files are not mounted, a filter was
changed. So a DAG counts as removed only after complete lists lacked it for a day. If it comes back earlier, its
counters continue.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

import msgspec

from exporter.metrics.family import OTHER, Family, Labels
from exporter.metrics.reading import Memories, Memory, Reading
from exporter.metrics.saved_entries import decode_all
from exporter.store.ledger import Ledger
from exporter.store.persistence.state_store import StateStore

MEMORY_SPACE = "dags.absent"
REMOVED_AFTER = 86_400.0
"""A DAG counts as removed after complete lists lacked it for this many seconds."""
MAX_STEP = 900.0
"""The time between two lists counts at most this many seconds: the exporter may have been down, or its clock changed.
"""


class Absence(NamedTuple):
    """How long complete lists have lacked a DAG (seconds), and the time of the last of them (Unix seconds)."""

    seconds: float
    noted: float


class AbsentDags(NamedTuple):
    """The DAGs that count as removed, and what to remember of the other missing DAGs."""

    removed: frozenset[str]
    memories: Memories


def forget_removed(reading: Reading, ledger: Ledger, state: StateStore, now: float) -> Memories:
    """Delete what is known of removed DAGs; returns what the reading remembers, with the other missing DAGs.

    The state file comes first, in a separate transaction: a DAG is found by its series in the ledger, which have to be
    there for the next list if this fails, but must not be written again with the reading. Raises StateError.
    """
    if reading.dags is None:
        return reading.memories
    absent = find_removed(reading.dags, reading.dag_spaces, ledger, state, now)
    if not absent.removed:
        return {**reading.memories, **absent.memories}
    removed = list_series(ledger, absent.removed)
    state.commit((), absent.memories, moment=reading.moment, removed=removed)
    delete_series(ledger, absent.removed)
    return reading.memories


def find_removed(
    listed: frozenset[str], spaces: Iterable[str], ledger: Ledger, memory: Memory, now: float
) -> AbsentDags:
    """Compare a complete list of DAGs with the ledger's DAGs, and with those in the memories of some spaces."""
    remembered = {space: decode_ids(memory.recall_all(space)) for space in spaces}
    known = {dag_id for dag_ids in remembered.values() for dag_id in dag_ids.values()} | list_dags(ledger)
    before = load_absences(memory)
    absences = update_absences(before, known - listed, now)
    removed = frozenset(dag_id for dag_id, absence in absences.items() if absence.seconds >= REMOVED_AFTER)
    kept = {dag_id: absence for dag_id, absence in absences.items() if dag_id not in removed}
    memories: dict[str, Mapping[bytes, bytes | None]] = {MEMORY_SPACE: encode_changes(before, kept)}
    for space, dag_ids in remembered.items():
        memories[space] = {key: None for key, dag_id in dag_ids.items() if dag_id in removed}
    return AbsentDags(removed, {space: entries for space, entries in memories.items() if entries})


def update_absences(before: Mapping[str, Absence], absent: Iterable[str], now: float) -> dict[str, Absence]:
    """The absences after one more complete list."""
    found = {}
    for dag_id in absent:
        last = before.get(dag_id, Absence(0.0, now))
        step = min(max(0.0, now - last.noted), MAX_STEP)
        found[dag_id] = Absence(last.seconds + step, now)
    return found


def list_dags(ledger: Ledger) -> set[str]:
    """The DAGs that have a series in the ledger."""
    return {
        series.labels[0]
        for family, table in ledger.tables.items()
        if is_by_dag(family)
        for series in table.series
        if series.labels[0] not in ("", OTHER)
    }


def list_series(ledger: Ledger, removed: frozenset[str]) -> list[tuple[str, Labels]]:
    """The series of removed DAGs in the ledger, as the state file names them."""
    return [
        (family.name, series.labels)
        for family, table in ledger.tables.items()
        if is_by_dag(family)
        for series in table.series
        if series.labels[0] in removed
    ]


def delete_series(ledger: Ledger, removed: frozenset[str]) -> None:
    """Delete the series of removed DAGs from the ledger."""
    for family in filter(is_by_dag, ledger.tables):
        ledger.forget(family, lambda labels: labels[0] in removed)


def is_by_dag(family: Family) -> bool:
    """Whether the family has series for each DAG."""
    return family.labels[:1] == ("dag_id",)


def decode_ids(keys: Iterable[bytes]) -> dict[bytes, str]:
    """The DAGs whose ids can be decoded; of the other entries the reader that wrote them takes care."""
    found = {}
    for key in keys:
        with suppress(UnicodeDecodeError):
            found[key] = key.decode()
    return found


def load_absences(memory: Memory) -> dict[str, Absence]:
    """The absences as of the last commit; entries that cannot be decoded are removed and counted."""
    found = memory.recall_all(MEMORY_SPACE)
    readable = decode_all(memory, MEMORY_SPACE, {key: key for key in found}, bytes.decode)
    decode = msgspec.msgpack.Decoder(Absence).decode
    known = decode_all(memory, MEMORY_SPACE, {key: found[key] for key in readable}, decode)
    return {readable[key]: absence for key, absence in known.items()}


def encode_changes(before: Mapping[str, Absence], kept: Mapping[str, Absence]) -> dict[bytes, bytes | None]:
    """The changes of the memory: DAGs that came back or were removed are deleted from it."""
    encode = msgspec.msgpack.encode
    return {
        **{dag_id.encode(): None for dag_id in before if dag_id not in kept},
        **{dag_id.encode(): encode(absence) for dag_id, absence in kept.items()},
    }
