"""Which DAGs are gone for good, so that what was counted of them may be forgotten.

A list of DAGs may be short for a moment: a role that lost a permission, DAG files that are away, a changed filter.
What was counted of a DAG is forgotten only when complete lists have lacked it for a day. A DAG that comes back before
goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from exporter.metrics.family import OTHER, Family
from exporter.metrics.reading import Memories, Memory
from exporter.store.ledger import Ledger

SPACE = "dags.absent"
GONE_AFTER = 86_400.0
"""For how many seconds complete lists have to lack a DAG until it is gone."""
MAX_STEP = 900.0
"""How many seconds one pause between two lists counts at most: none was read while the exporter was away, and clocks
may be set."""


class Absence(NamedTuple):
    """For how many seconds complete lists have lacked a DAG, and when the newest of them did (Unix seconds)."""

    seconds: float
    noted: float


class Verdict(NamedTuple):
    """The DAGs that are gone, and what to remember of those that are not listed."""

    gone: frozenset[str]
    memories: Memories


def judge(listed: frozenset[str], spaces: Iterable[str], ledger: Ledger, memory: Memory, now: float) -> Verdict:
    """Compare a complete list with what was counted, and with what is remembered by DAG in some spaces."""
    spaces = tuple(spaces)
    remembered = {space: set(memory.recall_all(space)) for space in spaces}
    known = {key.decode() for keys in remembered.values() for key in keys} | list_dags(ledger)
    before = recall(memory)
    absences = age(before, known - listed, now)
    gone = frozenset(dag_id for dag_id, absence in absences.items() if absence.seconds >= GONE_AFTER)
    kept = {dag_id: absence for dag_id, absence in absences.items() if dag_id not in gone}
    memories: dict[str, Mapping[bytes, bytes | None]] = {SPACE: write(before, kept)}
    for space, keys in remembered.items():
        memories[space] = {key: None for key in keys if key.decode() in gone}
    return Verdict(gone, {space: entries for space, entries in memories.items() if entries})


def age(before: Mapping[str, Absence], absent: Iterable[str], now: float) -> dict[str, Absence]:
    """The absences after one more complete list."""
    found = {}
    for dag_id in absent:
        since = before.get(dag_id, Absence(0.0, now))
        step = min(max(0.0, now - since.noted), MAX_STEP)
        found[dag_id] = Absence(since.seconds + step, now)
    return found


def list_dags(ledger: Ledger) -> set[str]:
    """The DAGs of which something was counted."""
    return {
        series.labels[0]
        for family, table in ledger.tables.items()
        if is_by_dag(family)
        for series in table.series
        if series.labels[0] not in ("", OTHER)
    }


def forget(ledger: Ledger, gone: frozenset[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Drop what was counted of DAGs that are gone; returns the series, for the state file."""
    if not gone:
        return []
    return [
        (family.name, labels)
        for family in ledger.tables
        if is_by_dag(family)
        for labels in ledger.forget(family, lambda labels: labels[0] in gone)
    ]


def is_by_dag(family: Family) -> bool:
    """Whether the family has a series for each DAG."""
    return family.labels[:1] == ("dag_id",)


def recall(memory: Memory) -> dict[str, Absence]:
    """The absences that the last commit left."""
    decode = msgspec.msgpack.Decoder(Absence).decode
    return {key.decode(): decode(value) for key, value in memory.recall_all(SPACE).items()}


def write(before: Mapping[str, Absence], kept: Mapping[str, Absence]) -> dict[bytes, bytes | None]:
    """What to remember: of DAGs that came back, or are gone, nothing."""
    encode = msgspec.msgpack.encode
    return {
        **{dag_id.encode(): None for dag_id in before if dag_id not in kept},
        **{dag_id.encode(): encode(absence) for dag_id, absence in kept.items()},
    }
