"""The Airflow source: its connection and its readers."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.config.dag_filter import Scope
from exporter.config.settings import AirflowSettings, Settings
from exporter.metrics.catalogue import exporter
from exporter.metrics.catalogue.families import FAMILIES
from exporter.metrics.family import Family, Kind, Labels
from exporter.metrics.reading import Memory, Reader, Source
from exporter.sources.airflow.api.detect import connect
from exporter.sources.airflow.api.left_out import LeftOut
from exporter.sources.airflow.api.protocol import Airflow
from exporter.sources.airflow.api.v1 import V1
from exporter.sources.airflow.api.v2 import V2
from exporter.sources.airflow.counting.by_run import EndedByRun
from exporter.sources.airflow.counting.by_time import EndedByTime, EndedFinder
from exporter.sources.airflow.http.client import Client, OnRequest, ignore
from exporter.sources.airflow.http.errors import redact_url
from exporter.sources.airflow.readers.backfills import BackfillsReader
from exporter.sources.airflow.readers.dags import DagsReader
from exporter.sources.airflow.readers.history import HistoryReader
from exporter.sources.airflow.readers.instance import (
    ConfigReader,
    DagWarningsReader,
    HealthReader,
    ImportErrorsReader,
    JobsReader,
)
from exporter.sources.airflow.readers.pools import PoolsReader
from exporter.sources.airflow.readers.runs import RunsReader
from exporter.sources.airflow.readers.tasks import TasksReader
from exporter.sources.airflow.shared import Overview
from exporter.sources.context import Previous, SourceContext
from exporter.sources.directory import Directory

LEDGER = tuple(family for family in FAMILIES if family.source == "airflow" and family.kind is not Kind.GAUGE)
"""The families that only grow."""

SLOWER = 60.0
"""How often what changes seldom is read, in seconds, if `interval` is not larger."""
SELDOM = 300.0


class AirflowSource:
    """One Airflow, whatever its release; a new connection makes the readers anew for the release it finds."""

    name = "airflow"
    vital = HealthReader.name

    def __init__(
        self, settings: AirflowSettings, memory: Memory, directory: Directory, on_request: OnRequest = ignore
    ) -> None:
        self.readers: Sequence[Reader] = ()
        self.version = ""
        self._settings = settings
        self._memory = memory
        self._scope = Scope(settings)
        self._overview = Overview(directory=directory)
        self._client = Client(settings, on_request)
        self._left_out = LeftOut()

    def __str__(self) -> str:
        return f"Airflow {self.version}".rstrip() + f" at {redact_url(self._client.url)}"

    @property
    def clock_skew(self) -> float | None:
        """How far Airflow's clock is ahead of ours, in seconds; None until a reply told."""
        return self._client.skew

    @property
    def refused(self) -> bool:
        """Whether Airflow does not accept our credentials now."""
        return self._client.refused

    def tables(self) -> dict[Family, dict[Labels, float]]:
        """What the exporter tells of itself: the rows that are left out of Airflow's lists."""
        return {exporter.API_UNREADABLE_ROWS: {(endpoint,): rows for endpoint, rows in self._left_out.count().items()}}

    def summary(self) -> dict[str, object]:
        """What was found, for the log: the release, and the number of DAGs once they were read."""
        dags = self._overview.dags
        return {"version": self.version, **({"dags": len(dags)} if dags is not None else {})}

    def connect(self) -> None:
        """Find out which Airflow is there. Raises ReaderError."""
        airflow = connect(self._settings, client=self._client).airflow
        if airflow.version != self.version:
            self.version = airflow.version
            self._overview.directory.tell_version(airflow.version)
            self._left_out = airflow.left_out
            self.readers = self._make_readers(airflow)

    def begin(self, deadline: float) -> None:
        """Say until when (monotonic seconds) the next read may take."""
        self._client.begin(deadline)

    def close(self) -> None:
        """Let go of sockets."""
        self._client.close()

    def _make_readers(self, airflow: Airflow) -> list[Reader]:
        """The readers in the order in which they need each other."""
        memory, overview, scope = self._memory, self._overview, self._scope
        slower, seldom = self._every("", SLOWER), self._every("", SELDOM)
        dags = self._every("dags", SLOWER)
        adapts = "dags" not in self._settings.intervals
        return [
            HealthReader(airflow, self._every("health")),
            JobsReader(airflow, overview, self._every("jobs", slower)),
            DagsReader(airflow, overview, scope, dags, adapts=adapts),
            RunsReader(airflow, memory, overview, scope, self._every("runs")),
            TasksReader(airflow, self._choose_finder(airflow), memory, overview, scope, self._every("tasks")),
            PoolsReader(airflow, self._every("pools")),
            ConfigReader(airflow, overview, self._settings.limits, self._every("config", seldom)),
            ImportErrorsReader(airflow, overview, self._every("import_errors", slower)),
            DagWarningsReader(airflow, self._every("dag_warnings", slower)),
            BackfillsReader(airflow, overview, self._every("backfills", slower)),
            HistoryReader(airflow, memory, overview, self._every("run_history")),
        ]

    def _choose_finder(self, airflow: Airflow) -> EndedFinder:
        if isinstance(airflow, V2):
            return EndedByTime(airflow, self._memory)
        assert isinstance(airflow, V1)  # noqa: S101 - there are two
        return EndedByRun(airflow, self._memory, self._overview, self._scope)

    def _every(self, reader: str, at_least: float = 0.0) -> float:
        """The reader's interval: as configured for it, else the common one, but not below its own."""
        return self._settings.intervals.get(reader, max(self._settings.interval, at_least))


def build(settings: Settings, context: SourceContext, _previous: Previous, /) -> list[Source]:
    """The Airflow source. After a reload a new one continues from the cursors in the state file."""
    return [AirflowSource(settings.airflow, context.memory, context.directory, context.count_request)]
