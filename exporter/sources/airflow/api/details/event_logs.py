"""Event logs: who paused a DAG."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from exporter.sources.airflow.api.base import ApiBase, ListSpec
from exporter.sources.airflow.api.check_step import CheckStep, count
from exporter.sources.airflow.api.decode import Moment, RowDecoder, Text, to_seconds
from exporter.sources.airflow.api.paging import Query, read_one_page
from exporter.sources.airflow.http.endpoints import Resource

EVENT_LOGS = Resource("eventLogs", "Audit Logs", "/eventLogs", "/eventLogs", "EventLogApi.get_event_logs")
PAUSED = "paused"
PAUSE_EVENTS = (PAUSED, "patch_dag", "patch_dags", "cli_dag_pause", "cli_dag_unpause")
"""Events with which a DAG is paused or unpaused."""
SCHEDULER = "scheduler"
"""The owner of the event with which the scheduler pauses a DAG after too many failed runs."""


class PauseRow(msgspec.Struct, gc=False):
    """An event as both releases send it. Its `extra` is not read: it is text for people."""

    when: Moment = None
    owner: Text = None
    event: Text = None


class Pause(msgspec.Struct, frozen=True):
    """That a DAG was paused or unpaused: by whom (a user, or the scheduler), how, and when (Unix seconds)."""

    owner: str
    event: str
    when: float | None = None

    @property
    def is_automatic(self) -> bool:
        """Whether the scheduler paused it, and no user."""
        return self.owner == SCHEDULER and self.event == PAUSED


def to_pause(row: PauseRow) -> Pause:
    """A pause from a row of either release."""
    return Pause(row.owner or "", row.event or "", to_seconds(row.when))


LIST = ListSpec(EVENT_LOGS, RowDecoder("event_logs", PauseRow, to_pause), lambda pause: pause)


def read_last_pause(api: ApiBase, dag_id: str) -> Pause | None:
    """How a DAG was paused or unpaused last; None if no event says so. Raises ReaderError."""
    order, events = (["-when"], list(PAUSE_EVENTS)) if api.major >= 3 else ("-when", ",".join(PAUSE_EVENTS))
    query: Query = {"dag_id": dag_id, "included_events": events, "order_by": order, "limit": 1}
    found = api.read_list(LIST, lambda fetch: read_one_page(fetch, query), ordered=False)
    return found[0] if found else None


def read_any_pause(api: ApiBase) -> Sequence[Pause]:
    """The last pause of any DAG, to check the permission. Raises ReaderError."""
    order: str | list[str] = ["-when"] if api.major >= 3 else "-when"
    return api.read_list(LIST, lambda fetch: read_one_page(fetch, {"order_by": order, "limit": 1}), ordered=False)


CHECK = CheckStep("event logs", EVENT_LOGS, read_any_pause, count("last event"), optional=True)
