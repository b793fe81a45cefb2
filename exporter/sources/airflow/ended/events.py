"""The reader that hands what ended to the events file: it asks Airflow nothing.

A failed try waits for its class for some minutes. An entry stays in the state file until its line is written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from exporter.events.records import EndedTryFacts, encode_line, make_run_event, make_try_event
from exporter.events.writer import EventWriter
from exporter.metrics.reading import Memory, Reading
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.counting.decision import TryOutcome
from exporter.sources.airflow.ended.unwritten import (
    RUNS_SPACE,
    TRIES_SPACE,
    UnwrittenRun,
    UnwrittenTry,
    recall_runs,
    recall_tries,
)
from exporter.sources.airflow.log_links import LogLinks, build_log_links
from exporter.sources.airflow.reader import ApiReader, ReaderContext
from exporter.sources.airflow.shared import AirflowState
from exporter.sources.airflow.waits.by_try import TryId, identify

MAX_CLASS_DELAY = 240.0
"""Seconds for which a failed try waits for its class; its log may be uploaded after it ended."""
MAX_WAITS_DELAY = 90.0
"""Seconds for which a try waits until it is known what it waited for."""
MAX_WAIT = 0.2
"""Seconds that a reading waits for its lines to be written, so that they are not written again after a restart."""
MAX_UNWRITTEN = 50_000
"""Entries of each kind that wait while nothing can be written; beyond that those counted first are dropped."""
MAX_CLASSES = 20_000
"""Failed tries whose class is remembered until their line is made."""
FAILURES = (TryOutcome.FAILED, TryOutcome.RETRIED)
"""The outcomes that have a class."""

Entry = tuple[str, bytes]
"""Space and key of an entry of the state file."""


class Line(NamedTuple):
    """An entry that can be written now."""

    entry: Entry
    event: dict[str, Any]


class EventsReader(ApiReader):
    """Writes a line for each try and each run that ended."""

    name = "events"
    help = "The events file: one line for each try and each run that ended"
    needs = ("tasks", "runs", "failures", "waits")

    def __init__(
        self, writer: EventWriter, links: LogLinks, release: str, memory: Memory, shared: AirflowState, interval: float
    ) -> None:
        self.interval = interval
        self._writer = writer
        self._links = links
        self._release = release
        self._memory = memory
        self._shared = shared
        self._position = shared.failed_tries.open(self)
        self._classes: dict[TryId, str] = {}
        self._submitted: dict[Entry, int] = {}

    @classmethod
    def build(cls, context: ReaderContext, interval: float) -> EventsReader:
        """A reader for the Airflow that is connected now. Only with an events file."""
        if context.shared.events is None:
            raise ValueError("there is no events file")
        links = build_log_links(context.settings, context.airflow.major)
        return cls(context.shared.events, links, context.airflow.version, context.memory, context.shared, interval)

    def read(self) -> Reading:
        """Hand over what can be written now, and forget what is written."""
        self._take_up_classes()
        tries, runs = recall_tries(self._memory), recall_runs(self._memory)
        dropped = {*find_excess(TRIES_SPACE, tries), *find_excess(RUNS_SPACE, runs)}
        self._submit(chain(self._make_try_lines(tries), self._make_run_lines(runs)), dropped)
        if self._submitted:
            self._writer.wait(max(self._submitted.values()), MAX_WAIT)
        written = {entry for entry, number in self._submitted.items() if number < self._writer.written}
        memories: dict[str, dict[bytes, bytes | None]] = {TRIES_SPACE: {}, RUNS_SPACE: {}}
        for space, key in written | dropped:
            memories[space][key] = None
        left = len(tries) + len(runs) - len(written | dropped)
        return Reading(
            memories=memories,
            notes=[f"{len(written)} lines written, {left} wait"],
            after_commit=partial(self._forget, written, dropped, tries),
        )

    def _forget(
        self, written: Collection[Entry], dropped: Collection[Entry], tries: Mapping[bytes, UnwrittenTry]
    ) -> None:
        """Forget what is no longer in the state file. Before, a line that is forgotten would be written again."""
        self._writer.dropped += len(dropped)
        for entry in chain(written, dropped):
            self._submitted.pop(entry, None)
            space, key = entry
            if space == TRIES_SPACE and key in tries:
                self._shared.try_waits.forget(tries[key].facts)

    def _submit(self, lines: Iterable[Line], dropped: Collection[Entry]) -> None:
        """Hand over lines while there is room, each once."""
        for entry, event in lines:
            if self._writer.room <= 0:
                break
            if entry not in self._submitted and entry not in dropped:
                self._submitted[entry] = self._writer.submit(encode_line(event))

    def _take_up_classes(self) -> None:
        batch = self._shared.failed_tries.read_from(self._position, self)
        self._position = batch.position
        self._classes |= {identify(one): one.error_class for one in batch.entries}
        for one in list(self._classes)[: max(0, len(self._classes) - MAX_CLASSES)]:
            del self._classes[one]

    def _make_try_lines(self, tries: Mapping[bytes, UnwrittenTry]) -> Iterator[Line]:
        now = self._shared.tasks_read_at
        for key, entry in tries.items():
            facts = entry.facts
            error_class = self._classes.get(identify(facts))
            if facts.outcome in FAILURES and error_class is None and now - entry.counted_at < MAX_CLASS_DELAY:
                continue
            if self._shared.try_waits.noted_at < entry.counted_at and now - entry.counted_at < MAX_WAITS_DELAY:
                continue
            url = self._links.link(to_row(facts, entry.logical_date))
            waited = self._shared.try_waits.find(facts)
            yield Line((TRIES_SPACE, key), make_try_event(facts, error_class, waited, url, self._release))

    def _make_run_lines(self, runs: Mapping[bytes, UnwrittenRun]) -> Iterator[Line]:
        for key, entry in runs.items():
            yield Line((RUNS_SPACE, key), make_run_event(entry.facts, self._release))


def find_excess(space: str, entries: Mapping[bytes, object]) -> list[Entry]:
    """The entries that are too many, those that were counted first."""
    return [(space, key) for key in list(entries)[: max(0, len(entries) - MAX_UNWRITTEN)]]


def to_row(facts: EndedTryFacts, logical_date: float | None) -> TaskInstance:
    """The try as a link needs it."""
    return TaskInstance(
        dag_id=facts.dag_id,
        task_id=facts.task_id,
        run_id=facts.run_id,
        map_index=facts.map_index,
        try_number=facts.try_number,
        logical_date=logical_date,
    )
