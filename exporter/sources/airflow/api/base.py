"""What both API versions have in common when they read: fetching pages, identities of rows, lost rows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Generic, TypeVar

from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api import paging
from exporter.sources.airflow.api.decode import List, Page
from exporter.sources.airflow.api.left_out import LeftOut
from exporter.sources.airflow.api.models import DagRun, Job, TaskInstance
from exporter.sources.airflow.api.paging import Query, Rows
from exporter.sources.airflow.api.unreadable import Gap, ListReader
from exporter.sources.airflow.http.client import Client
from exporter.sources.airflow.http.endpoints import Endpoint
from exporter.sources.airflow.http.errors import AnswerError
from exporter.sources.airflow.http.transport import Call, Value

log = logging.getLogger(__name__)

T = TypeVar("T")
Names = Mapping[str, str | int]
MAX_REMEMBERED = 1_000
"""How many lists with rows that are not served are known, and how many of their places to have been logged."""


@dataclass(frozen=True, slots=True)
class ListSpec(Generic[T]):
    """A list: its endpoint, how it is decoded, what tells its rows apart, and which one it is.

    `names` fill the endpoint's path; `part` tells lists of one path apart, such as those of several states.
    """

    endpoint: Endpoint
    rows: List[T]
    identify: paging.Identify[T]
    names: Names = field(default_factory=dict)
    part: str = ""

    @property
    def name(self) -> Hashable:
        """What tells lists apart."""
        return self.endpoint, tuple(self.names.items()), self.part


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
        self.left_out = LeftOut()
        self._unknown_states: set[str] = set()
        self._gaps: dict[Hashable, dict[int, Gap]] = {}
        """What earlier walks remember of rows that Airflow does not serve, by list and offset."""
        self._troubled: set[Hashable] = set()
        """The lists of which the newest walk met such rows."""
        self._logged: dict[Hashable, None] = {}

    def server_time(self) -> float:
        """The server's clock: the Date header of the version endpoint."""
        return self.client.server_time(self.version_endpoint)

    def read_all(
        self, endpoint: Endpoint, rows: List[T], identify: paging.Identify[T], query: Query, part: str = ""
    ) -> Rows[T]:
        """Every row of a list that hardly changes. Raises ReaderError, also where no row of it could be read."""
        spec = ListSpec(endpoint, rows, identify, part=part)
        found = self.read_list(spec, lambda fetch: paging.walk_offsets(fetch, query, identify))
        if found.lost and not found:
            raise ReaderError("server_error", f"{endpoint.name}: none of {found.lost} rows could be read")
        return found

    def read_list(
        self, spec: ListSpec[T], how: Callable[[paging.Fetch[T]], Rows[T]], *, ordered: bool = True
    ) -> Rows[T]:
        """Walk a list; rows that cannot be read are left out and reported. Raises ReaderError.

        In an `ordered` list, whose rows stay where they are, such rows are remembered by their place.
        """
        gaps = self._gaps.setdefault(spec.name, {}) if ordered else {}
        patient = spec.name not in self._troubled
        reader = ListReader(partial(self._read_page, spec), spec.identify, gaps, patient=patient)
        found = how(reader.read)
        self._report(spec, reader, found.lost)
        self._gaps.pop(spec.name, None)
        self._troubled.discard(spec.name)
        if reader.found:
            self.trouble(spec)
            if ordered:
                self._gaps[spec.name] = {gap.start: gap for gap in reader.found}
        return found

    def read_newest(self, spec: ListSpec[T], order: str, limit: int, state: str | None) -> Rows[T]:
        """The first rows of a list in an order, at most a page; of the next ones if none of them can be read."""
        query: dict[str, Value] = {"order_by": [order], **({"state": [state]} if state else {})}
        spec = replace(spec, part=f"newest {state or ''}")
        found = self._read_first(spec, {**query, "limit": min(limit, paging.PAGE)})
        return found if found or not found.lost else self._read_first(spec, {**query, "limit": paging.PAGE})

    def _read_first(self, spec: ListSpec[T], query: Query) -> Rows[T]:
        return self.read_list(spec, lambda fetch: paging.read_one_page(fetch, query), ordered=False)

    def is_troubled(self, spec: ListSpec[T]) -> bool:
        """Whether Airflow did not serve some row of a list when it was last walked."""
        return spec.name in self._troubled

    def trouble(self, spec: ListSpec[T]) -> None:
        """Airflow does not serve some row of a list."""
        if len(self._troubled) >= MAX_REMEMBERED:
            self._troubled.clear()
        self._troubled.add(spec.name)

    def _read_page(self, spec: ListSpec[T], query: Query, patient: bool) -> Page[T]:
        return spec.rows.decode(self.client.get(Call(spec.endpoint, spec.names, query), patient=patient))

    def _report(self, spec: ListSpec[T], reader: ListReader[T], lost: int) -> None:
        """Count the rows that were left out; log each place once as a warning."""
        name = spec.endpoint.name
        self.left_out.record(name, spec.name, lost)
        unserved = {(gap.before, gap.after): gap for gap in reader.found}
        for around, gap in unserved.items():
            detail = f" ({reader.reason})" if reader.reason else ""
            text = f"{name}: Airflow answers HTTP 500 for {gap}{detail}: it is left out; see the API server's log"
            self._log_once((name, *around), text)
        if lost and not unserved:
            self._log_once((name, spec.name), f"{name}: {lost} rows could not be read and are left out")

    def _log_once(self, key: Hashable, text: str) -> None:
        log.log(logging.DEBUG if key in self._logged else logging.WARNING, "%s", text)
        self._logged[key] = self._logged.pop(key, None)
        if len(self._logged) > MAX_REMEMBERED:
            del self._logged[next(iter(self._logged))]

    def with_known_states(
        self, states: Sequence[str], read: Callable[[Sequence[str]], Rows[T]], identify: paging.Identify[T]
    ) -> Rows[T]:
        """Read by states, without those that this release refuses to know, in two parts if the URL is too long."""
        known = [state for state in states if state not in self._unknown_states]
        try:
            return read(known)
        except AnswerError as error:
            doubtful = next((state for state in RECENT_STATES if state in known), None)
            if error.status == 414 and len(known) > 1:
                half = len(known) // 2
                parts = [self.with_known_states(part, read, identify) for part in (known[:half], known[half:])]
                found = {identify(row): row for part in parts for row in part}
                return Rows(found.values(), sum(part.lost for part in parts))
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
