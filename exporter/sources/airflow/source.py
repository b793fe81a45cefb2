"""The Airflow source: its connection and its readers."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.config.dag_filter import DagFilter
from exporter.config.settings import AirflowSettings, Settings
from exporter.events.target import EventTarget
from exporter.events.writer import EventWriter
from exporter.metrics.catalogue import exporter
from exporter.metrics.catalogue.families import FAMILIES
from exporter.metrics.family import Family, Kind, Labels
from exporter.metrics.reading import Memory, Reader, Source
from exporter.sources.airflow.api.check_step import CheckStep
from exporter.sources.airflow.api.detect import connect
from exporter.sources.airflow.api.left_out import LeftOut
from exporter.sources.airflow.ended.events import EventsReader
from exporter.sources.airflow.ended.last_failed import LastFailedReader
from exporter.sources.airflow.http.client import Client, OnRequest, ignore
from exporter.sources.airflow.http.errors import redact_url
from exporter.sources.airflow.reader import ApiReader, ReaderContext, order_by_needs
from exporter.sources.airflow.readers import (
    approvals,
    assets,
    backfills,
    costs,
    dags,
    failures,
    history,
    instance,
    pools,
    runs,
    tasks,
    waits,
)
from exporter.sources.airflow.shared import AirflowState
from exporter.sources.context import Previous, SourceContext
from exporter.sources.directory import Directory

READERS: Sequence[type[ApiReader]] = order_by_needs(
    (
        instance.HealthReader,
        pools.PoolsReader,
        instance.JobsReader,
        dags.DagsReader,
        runs.RunsReader,
        tasks.TasksReader,
        instance.ConfigReader,
        instance.ImportErrorsReader,
        instance.DagWarningsReader,
        backfills.BackfillsReader,
        approvals.ApprovalsReader,
        assets.AssetsReader,
        history.HistoryReader,
        waits.WaitsReader,
        failures.FailuresReader,
        LastFailedReader,
        costs.CostsReader,
    )
)
"""Every reader, in the order in which they run: what a reader needs of others is declared in its `needs`."""

LEDGER = tuple(family for family in FAMILIES if family.source == "airflow" and family.kind is not Kind.GAUGE)
"""The families that only grow."""


class AirflowSource:
    """One Airflow, of either release. A connection to another release builds the readers again."""

    name = "airflow"
    vital = instance.HealthReader.name

    def __init__(
        self,
        settings: AirflowSettings,
        memory: Memory,
        directory: Directory,
        on_request: OnRequest = ignore,
        events: EventWriter | None = None,
    ) -> None:
        self.readers: Sequence[Reader] = ()
        self.version = ""
        self._settings = settings
        self._memory = memory
        self._dag_filter = DagFilter(settings)
        self._shared = AirflowState(directory=directory, events=events)
        self._client = Client(settings, on_request)
        self._left_out = LeftOut()

    def __str__(self) -> str:
        return f"Airflow {self.version}".rstrip() + f" at {redact_url(self._client.url)}"

    @property
    def clock_skew(self) -> float | None:
        """How far Airflow's clock is ahead of ours, in seconds; None before the first reply."""
        return self._client.skew

    @property
    def refused(self) -> bool:
        """Whether Airflow refuses our credentials now."""
        return self._client.refused

    def tables(self) -> dict[Family, dict[Labels, float]]:
        """The exporter's own families that the source feeds: rows that are left out of Airflow's lists, and events."""
        unreadable: dict[Labels, float] = {(endpoint,): rows for endpoint, rows in self._left_out.count().items()}
        events = self._shared.events
        written: dict[Labels, float] = {}
        if events is not None:
            counts = (events.written, events.failed_writes, events.dropped)
            written = {(outcome,): count for outcome, count in zip(exporter.EVENT_OUTCOMES, counts, strict=True)}
        return {exporter.API_UNREADABLE_ROWS: unreadable, exporter.EVENTS: written}

    def summary(self) -> dict[str, object]:
        """What was found, for the log: the release, and the number of DAGs once they were read."""
        dags = self._shared.dags
        return {"version": self.version, **({"dags": len(dags)} if dags is not None else {})}

    def connect(self) -> None:
        """Find out which Airflow answers. Raises ReaderError."""
        airflow = connect(self._settings, client=self._client).airflow
        if airflow.version != self.version:
            self.version = airflow.version
            self._shared.directory.set_version(airflow.version)
            self._left_out = airflow.left_out
            context = ReaderContext(airflow, self._settings, self._memory, self._shared, self._dag_filter)
            self.readers = build_readers(context)

    def begin(self, deadline: float) -> None:
        """Set the moment (monotonic seconds) by which the next read must end."""
        self._client.begin(deadline)

    def close(self) -> None:
        """Close the connections and the events file."""
        self._client.close()
        if self._shared.events is not None:
            self._shared.events.close()


def build_readers(context: ReaderContext) -> list[Reader]:
    """A reader of each kind, with its interval."""
    wanted: Sequence[type[ApiReader]] = [*READERS, EventsReader] if context.shared.events else READERS
    return [one.build(context, context.get_interval(one.name, one.min_interval)) for one in wanted]


def list_checks() -> list[CheckStep]:
    """The endpoints that the readers read, as `check` tries them: first those whose replies need a permission.

    What is optional comes last.
    """
    steps = [step for reader in READERS for step in reader.checks]
    return sorted(steps, key=lambda step: (step.optional, not step.resource.permission))


def build(settings: Settings, context: SourceContext, _previous: Previous, /) -> list[Source]:
    """The Airflow source. After a reload a new one continues from the cursors in the state file."""
    given = settings.events
    events = EventWriter(EventTarget(given.file, given.max_bytes, given.backups)) if given.file else None
    return [AirflowSource(settings.airflow, context.memory, context.directory, context.count_request, events)]
