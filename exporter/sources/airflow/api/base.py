"""What the objects in `objects/` read with: one Airflow's API, its lists page by page, rows that cannot be read."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
from typing import Generic, TypeVar

from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api import paging
from exporter.sources.airflow.api.decode import Page, RowDecoder
from exporter.sources.airflow.api.left_out import LeftOut
from exporter.sources.airflow.api.paging import Query, Rows
from exporter.sources.airflow.api.unreadable import Gap, ListReader
from exporter.sources.airflow.api.version import VERSION
from exporter.sources.airflow.http.client import Client
from exporter.sources.airflow.http.endpoints import Resource
from exporter.sources.airflow.http.errors import AnswerError
from exporter.sources.airflow.http.transport import Call, Value

log = logging.getLogger(__name__)

T = TypeVar("T")
Names = Mapping[str, str | int]
MAX_LISTS = 1_000
"""How many lists with unreadable rows are remembered, and how many places of such rows are logged as warnings."""
RECENT_STATES = ("awaiting_input", "restarting")
"""Active states that older releases refuse as a filter, in the order in which to leave them out."""


@dataclass(frozen=True, slots=True)
class ListSpec(Generic[T]):
    """A list: its endpoint, how it is decoded, what identifies its rows, and which of several lists it is.

    `names` fill in the endpoint's path; `part` distinguishes lists of one path, such as those of several states.
    """

    resource: Resource
    rows: RowDecoder[T]
    identify: paging.Identify[T]
    names: Names = field(default_factory=dict)
    part: str = ""

    @property
    def name(self) -> Hashable:
        """Identifies the list."""
        return self.resource.name, tuple(self.names.items()), self.part


class ApiBase:
    """The API of one Airflow, of either release. `major` is 2 or 3, `version` such as 3.3.2.

    A list is complete when it is returned: every page came, or the call raised. Rows that Airflow cannot serve, or that
    cannot be decoded, are left out and counted in `left_out`.
    """

    def __init__(self, client: Client, major: int, version: str) -> None:
        self.client = client
        self.major = major
        self.version = version
        self.left_out = LeftOut()
        self.without_cursor: set[Resource] = set()
        """Lists for which this release has no keyset paging."""
        self._unknown_states: set[str] = set()
        self._gaps: dict[Hashable, dict[int, Gap]] = {}
        """Where rows are that Airflow cannot serve, as earlier reads found: by list and offset."""
        self._lists_with_gaps: set[Hashable] = set()
        """The lists in which the last read met such rows."""
        self._logged: dict[Hashable, None] = {}

    def server_time(self) -> float:
        """The server's clock in Unix seconds, from the Date header of the version endpoint. Raises ReaderError."""
        return self.client.server_time(VERSION.get_endpoint(self.major))

    def get(self, resource: Resource, names: Names | None = None, query: Query | None = None) -> bytes:
        """The reply of an endpoint, as JSON that is not decoded yet. Raises ReaderError."""
        return self.client.get(Call(resource.get_endpoint(self.major), names or {}, query or {}))

    def read_all(self, spec: ListSpec[T], query: Query) -> Rows[T]:
        """Every row of a list that hardly changes. Raises ReaderError, also where no row of it could be read."""
        found = self.read_list(spec, lambda fetch: paging.read_by_offset(fetch, query, spec.identify, shrinks=False))
        if found.lost and not found:
            text = f"{spec.resource.name}: none of {found.lost} rows could be read"
            raise AnswerError("server_error", text, HTTPStatus.INTERNAL_SERVER_ERROR)
        return found

    def read_list(
        self, spec: ListSpec[T], read: Callable[[paging.Fetch[T]], Rows[T]], *, ordered: bool = True
    ) -> Rows[T]:
        """A list by a function of `paging`; rows that cannot be read are left out and reported. Raises ReaderError.

        In an `ordered` list, whose rows keep their places, the places of such rows are remembered.
        """
        gaps = self._gaps.setdefault(spec.name, {}) if ordered else {}
        patient = spec.name not in self._lists_with_gaps
        reader = ListReader(partial(self._read_page, spec), spec.identify, gaps, patient=patient)
        found = read(reader.read)
        self._report(spec, reader, found.lost)
        self._gaps.pop(spec.name, None)
        self._lists_with_gaps.discard(spec.name)
        if reader.found:
            self.note_unreadable_rows(spec)
            if ordered:
                self._gaps[spec.name] = {gap.start: gap for gap in reader.found}
        return found

    def read_newest(
        self, spec: ListSpec[T], order: str, limit: int, state: str | None = None, offset: int = 0
    ) -> Rows[T]:
        """The first rows of a list in an order, at most one page; the next ones if none of them can be read.

        `offset` is how many rows are passed over.

        Raises ReaderError.
        """
        query: dict[str, Value] = {"order_by": [order], **({"state": [state]} if state else {})}
        if offset:
            query["offset"] = offset
        spec = replace(spec, part=f"newest {state or ''}")
        found = self._read_first(spec, {**query, "limit": min(limit, paging.PAGE_SIZE)})
        return found if found or not found.lost else self._read_first(spec, {**query, "limit": paging.PAGE_SIZE})

    def _read_first(self, spec: ListSpec[T], query: Query) -> Rows[T]:
        return self.read_list(spec, lambda fetch: paging.read_one_page(fetch, query), ordered=False)

    def has_unreadable_rows(self, spec: ListSpec[T]) -> bool:
        """Whether Airflow could not serve some row of a list when it was last read."""
        return spec.name in self._lists_with_gaps

    def note_unreadable_rows(self, spec: ListSpec[T]) -> None:
        """Remember that Airflow cannot serve some row of a list."""
        if len(self._lists_with_gaps) >= MAX_LISTS:
            self._lists_with_gaps.clear()
        self._lists_with_gaps.add(spec.name)

    def _read_page(self, spec: ListSpec[T], query: Query, patient: bool) -> Page[T]:
        call = Call(spec.resource.get_endpoint(self.major), spec.names, query)
        return spec.rows.decode(self.client.get(call, patient=patient))

    def _report(self, spec: ListSpec[T], reader: ListReader[T], lost: int) -> None:
        """Count the rows that were left out; log each place once as a warning."""
        name = spec.resource.name
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
        if len(self._logged) > MAX_LISTS:
            del self._logged[next(iter(self._logged))]

    def read_known_states(
        self, states: Sequence[str], read: Callable[[Sequence[str]], Rows[T]], identify: paging.Identify[T]
    ) -> Rows[T]:
        """Read by states, without those that this release refuses; in two parts if the URL is too long.

        Raises ReaderError.
        """
        known = [state for state in states if state not in self._unknown_states]
        try:
            return read(known)
        except AnswerError as error:
            doubtful = next((state for state in RECENT_STATES if state in known), None)
            if error.status == 414 and len(known) > 1:
                half = len(known) // 2
                parts = [self.read_known_states(part, read, identify) for part in (known[:half], known[half:])]
                found = {identify(row): row for part in parts for row in part}
                return Rows(found.values(), sum(part.lost for part in parts))
            if error.status not in (400, 422) or doubtful is None:
                raise
            self._unknown_states.add(doubtful)
        return self.read_known_states(known, read, identify)

    def is_gone(self, error: AnswerError) -> bool:
        """Whether a 404 is about the one object that was asked for.

        Raises ReaderError where the whole API is gone, because Airflow was upgraded to another major version.
        """
        if error.status != 404:
            return False
        # The two 404s look different in each release, so the version endpoint decides.
        self.get(VERSION)
        return True


def is_hidden(error: ReaderError) -> bool:
    """Whether an object is not shown at all, not shown to this role, or does not exist in this release."""
    return error.reason in ("forbidden", "not_found")
