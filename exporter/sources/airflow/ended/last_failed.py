"""The last failed try of each task, for links to its log: kept in the state file, so that links outlive a restart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

import msgspec

from exporter.metrics.reading import Memory, Reading
from exporter.metrics.saved_entries import decode_all
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.counting.decision import EndedTry, TryOutcome
from exporter.sources.airflow.log_links import LogLinks, build_log_links
from exporter.sources.airflow.reader import ApiReader, ReaderContext
from exporter.sources.airflow.shared import AirflowState

SPACE = "last_failed_tries"
"""Where the state file keeps them, by DAG id. The name is in users' files."""
MAX_TASKS_PER_DAG = 50
"""Tasks of one DAG that are remembered; the one that failed longest ago is forgotten first."""
FAILURES = (TryOutcome.FAILED, TryOutcome.RETRIED)
"""The outcomes of a failed try."""


class LastFailed(msgspec.Struct, frozen=True, array_like=True):
    """The last failed try of a task. Times are Unix seconds, of Airflow's clock.

    It is stored as an array: add fields at the end and with a default, so that older files stay readable.
    """

    task_id: str
    run_id: str
    map_index: int
    try_number: int
    ended_at: float
    logical_date: float | None = None


class LastFailedReader(ApiReader):
    """Remembers the last failed try of each task, and where its log is."""

    name = "last_failed"
    help = "The last failed try of each task, for links to its log"
    needs = ("tasks",)

    def __init__(self, links: LogLinks, memory: Memory, shared: AirflowState, interval: float) -> None:
        self.interval = interval
        self._links = links
        self._memory = memory
        self._shared = shared
        self._position = shared.ended_tries.open(self)
        self._has_published = False
        """Whether the directory has what the state file remembers."""

    @classmethod
    def build(cls, context: ReaderContext, interval: float) -> LastFailedReader:
        """A reader for the Airflow that is connected now."""
        links = build_log_links(context.settings, context.airflow.major)
        return cls(links, context.memory, context.shared, interval)

    def read(self) -> Reading:
        """Take up the tries that failed since the last reading."""
        if not self._has_published:
            self._publish(decode_last_failed(self._memory, self._memory.recall_all(SPACE)))
            self._has_published = True
        batch = self._shared.ended_tries.read_from(self._position, self)
        dag_ids = {row.dag_id.encode() for row, outcome in batch.entries if outcome in FAILURES}
        changed = add_failed(decode_last_failed(self._memory, self._memory.recall(SPACE, dag_ids)), batch.entries)
        self._publish(changed)
        return Reading(
            memories={SPACE: write_last_failed(changed)},
            notes=[f"tries of {len(changed)} DAGs failed"],
            after_commit=partial(self._continue_at, batch.position),
        )

    def _continue_at(self, position: int) -> None:
        self._position = position

    def _publish(self, changed: Mapping[str, Iterable[LastFailed]]) -> None:
        for dag_id, tries in changed.items():
            urls = {one.task_id: self._links.link(to_row(dag_id, one)) for one in tries}
            self._shared.directory.record_failed_logs(dag_id, urls)


def add_failed(
    known: Mapping[str, tuple[LastFailed, ...]], ended: Iterable[EndedTry]
) -> dict[str, tuple[LastFailed, ...]]:
    """The DAGs that change by the tries that ended: of each task the last failed try, the newest first."""
    found: dict[str, dict[str, LastFailed]] = {}
    for row, outcome in ended:
        if outcome not in FAILURES or row.end_date is None:
            continue
        tasks = found.setdefault(row.dag_id, {one.task_id: one for one in known.get(row.dag_id, ())})
        before = tasks.get(row.task_id)
        if before is None or before.ended_at <= row.end_date:
            tasks[row.task_id] = LastFailed(
                row.task_id, row.run_id, row.map_index, row.try_number, row.end_date, row.logical_date
            )
    return {dag_id: sort_newest(tasks.values()) for dag_id, tasks in found.items()}


def sort_newest(tries: Iterable[LastFailed]) -> tuple[LastFailed, ...]:
    """The tries that are kept, the newest first."""
    return tuple(sorted(tries, key=lambda one: one.ended_at, reverse=True)[:MAX_TASKS_PER_DAG])


def to_row(dag_id: str, one: LastFailed) -> TaskInstance:
    """The try as a link needs it."""
    return TaskInstance(
        dag_id=dag_id,
        task_id=one.task_id,
        run_id=one.run_id,
        map_index=one.map_index,
        try_number=one.try_number,
        logical_date=one.logical_date,
    )


def decode_last_failed(memory: Memory, found: Mapping[bytes, bytes]) -> dict[str, tuple[LastFailed, ...]]:
    """Entries of the state file, by DAG."""
    readable = decode_all(memory, SPACE, {key: key for key in found}, bytes.decode)
    decode = msgspec.msgpack.Decoder(tuple[LastFailed, ...]).decode
    known = decode_all(memory, SPACE, {key: found[key] for key in readable}, decode)
    return {readable[key]: tries for key, tries in known.items()}


def write_last_failed(changed: Mapping[str, tuple[LastFailed, ...]]) -> dict[bytes, bytes | None]:
    """What to remember."""
    encode = msgspec.msgpack.Encoder().encode
    return {dag_id.encode(): encode(tries) for dag_id, tries in changed.items()}
