"""What both API versions have in common when they read: fetching pages, identities of rows, lost rows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

from exporter.reading import ReaderError
from exporter.sources.airflow import walk
from exporter.sources.airflow.client import Client
from exporter.sources.airflow.decode import List, Page
from exporter.sources.airflow.endpoints import Endpoint
from exporter.sources.airflow.failures import AnswerError
from exporter.sources.airflow.replies import DagRun, Job, TaskInstance
from exporter.sources.airflow.transport import Call

log = logging.getLogger(__name__)

T = TypeVar("T")
Names = Mapping[str, str | int]

ALL_RUNS: Names = {"dag_id": "~"}
ALL_TASKS: Names = {"dag_id": "~", "dag_run_id": "~"}
RECENT_STATES = ("awaiting_input", "restarting")
"""Active states that not every release knows, in the order in which to do without them."""


class Reads:
    """Reads of one Airflow through its client."""

    major = 0
    version_endpoint: Endpoint

    def __init__(self, client: Client, version: str) -> None:
        self.client = client
        self.version = version
        self.lost_rows = 0
        """Rows that could not be read so far: a newer Airflow, or a broken one."""
        self._unknown_states: set[str] = set()

    def server_time(self) -> float:
        """The server's clock: the Date header of the version endpoint."""
        return self.client.server_time(self.version_endpoint)

    def fetch(self, endpoint: Endpoint, rows: List[T], names: Names | None = None) -> walk.Fetch[T]:
        """A way to read one page of a list."""

        def fetch_page(query: walk.Query) -> Page[T]:
            page = rows.decode(self.client.get(Call(endpoint, names or {}, query)))
            if page.lost:
                self.lost_rows += page.lost
                log.warning("%s: %d rows could not be read and are left out", endpoint.name, page.lost)
            return page

        return fetch_page

    def read_all(
        self, endpoint: Endpoint, rows: List[T], identify: Callable[[T], Hashable], query: walk.Query | None = None
    ) -> list[T]:
        """Every row of a list that hardly changes."""
        return walk.walk_offsets(self.fetch(endpoint, rows), query or {}, identify)

    def with_known_states(
        self, states: Sequence[str], read: Callable[[Sequence[str]], list[T]], identify: walk.Identify[T]
    ) -> list[T]:
        """Read by states, without those that this release refuses to know, in two parts if the URL is too long."""
        known = [state for state in states if state not in self._unknown_states]
        try:
            return read(known)
        except AnswerError as error:
            doubtful = next((state for state in RECENT_STATES if state in known), None)
            if error.status == 414 and len(known) > 1:
                half = len(known) // 2
                parts = [self.with_known_states(part, read, identify) for part in (known[:half], known[half:])]
                return list({identify(row): row for part in parts for row in part}.values())
            if error.status not in (400, 422) or doubtful is None:
                raise
            self._unknown_states.add(doubtful)
        return self.with_known_states(known, read, identify)

    def is_gone(self, error: AnswerError) -> bool:
        """Whether a 404 is about the one thing asked for. Raises ReaderError where it is about the whole API."""
        if error.status != 404:
            return False
        # A 404 for a thing and one for a path that an upgrade took away differ by release: ask for the version again.
        self.client.get(Call(self.version_endpoint))
        return True


def task_key(row: TaskInstance) -> Hashable:
    """What tells task instances apart."""
    return row.dag_id, row.run_id, row.task_id, row.map_index


def whole(row: T) -> Hashable:
    """The row itself: a cleared try and the row that waits for the next one share their number."""
    return row


def run_key(row: DagRun) -> Hashable:
    """What tells runs apart."""
    return row.dag_id, row.run_id


def job_key(row: Job) -> Hashable:
    """What tells jobs apart: Airflow's id, which a heartbeat does not change. Without an id the whole row."""
    return row if row.id is None else row.id


def is_hidden(error: ReaderError) -> bool:
    """Whether Airflow shows something to nobody, or not to us, or has it not."""
    return error.reason in ("forbidden", "not_found")
