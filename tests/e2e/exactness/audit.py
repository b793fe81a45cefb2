"""The expected values: the audit in Airflow's database, the SQL that evaluates it, and the polls of the exporter."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from tests.e2e.exactness.database import Database, quote
from tests.e2e.exactness.proxy import Exchange
from tests.e2e.exactness.subject import Exposition

MAX_CLOCK_LAG = 3.0
"""Seconds by which the exporter's estimate of Airflow's clock may be behind the newest `Date` header."""
POLL_DEADLINE = 26.0
"""Seconds after which the exporter aborts a poll, even if each of its requests was answered."""
MAX_RUNS_PER_POLL = 40
"""How many runs of 2.x a poll lists at most. If it lists that many, others may wait for the next poll."""
LISTING_SECONDS = 4.9
"""Seconds of listing runs, or of reading histories of tries, after which a poll leaves the others to the next one."""
COMMIT_SECONDS = 5.0
"""If the exporter was killed less than this many seconds after a poll, the poll may not have been written."""
BEGINNING = re.compile(r'msg="(?P<what>[a-z ]+) that end from now on are counted" since=(?P<since>\S+)')
ENDPOINTS = {"task instances": "/taskInstances", "runs": "/dagRuns"}


class Poll(NamedTuple):
    """One poll of an endpoint. It is `sound` if every request succeeded, perhaps at the second attempt."""

    began: float
    ended: float
    sound: bool


class Cell(NamedTuple):
    """The expected value of a counter series, or of a part of a histogram series, and the allowed bounds."""

    family: str
    labels: tuple[str, ...]
    part: str
    value: float
    least: float
    most: float
    doubts: tuple[str, ...]


def polls(exchanges: Iterable[Exchange], endpoint: str, unwritten: Sequence[float] = ()) -> list[Poll]:
    """The polls of one endpoint (the end of its path), oldest first.

    A poll of runs or of task instances begins with the first page of the active ones; all requests of the same kind
    before the next such page belong to it. Of other endpoints each request is a poll.
    """
    found: list[list[Exchange]] = []
    for exchange in sorted(exchanges, key=lambda one: one.began):
        if _opens(exchange, endpoint):
            found.append([exchange])
        elif found and _continues(exchange, endpoint):
            found[-1].append(exchange)
    return [
        _poll(requests, unwritten) for requests in found if endpoint != "/dagRuns" or any(map(_asks_ended, requests))
    ]


def _opens(exchange: Exchange, endpoint: str) -> bool:
    path, _, query = exchange.target.partition("?")
    if endpoint not in ("/taskInstances", "/dagRuns"):
        return path.endswith(endpoint)
    # Paging by offset that missed a row reads all pages again, with another limit.
    is_first = "cursor=&" in f"{query}&" if "cursor=" in query else "offset=" not in query and "limit=100" in query
    return path.endswith(f"~{endpoint}") and "state=running" in query and is_first


def _asks_ended(exchange: Exchange) -> bool:
    """Whether the request is for ended rows: the reader of task instances of 3.x requests the active runs only."""
    return "updated_at_gte=" in exchange.target


def _continues(exchange: Exchange, endpoint: str) -> bool:
    path = exchange.target.partition("?")[0]
    return path.endswith((endpoint, "/tries")) if endpoint == "/taskInstances" else path.endswith(f"~{endpoint}")


def _poll(requests: Sequence[Exchange], unwritten: Sequence[float]) -> Poll:
    began, ended = requests[0].began, max(one.ended for one in requests)
    lost = any(began <= moment <= ended + COMMIT_SECONDS for moment in unwritten)
    whole = ended - began < POLL_DEADLINE and _has_asked_all(requests)
    return Poll(began, ended, sound=whole and not lost and all(_came_through(one, requests) for one in requests))


def _has_asked_all(requests: Sequence[Exchange]) -> bool:
    """Whether a poll certainly read everything and left no runs or histories to the next one."""
    asked = [(one.target.partition("?")[0], one) for one in requests if "~" not in one.target.partition("?")[0]]
    listed = [one for path, one in asked if path.endswith("/taskInstances")]
    tries = [one for path, one in asked if path.endswith("/tries")]
    if len({one.target.partition("?")[0] for one in listed}) >= MAX_RUNS_PER_POLL:
        return False
    return all(max(one.ended for one in part) - part[0].began < LISTING_SECONDS for part in (listed, tries) if part)


def _came_through(exchange: Exchange, requests: Sequence[Exchange]) -> bool:
    later = (one for one in requests if one.began >= exchange.began and one.target == exchange.target)
    return any(one.sound for one in later)


def first_starts(
    exchanges: Sequence[Exchange], walks: Mapping[str, Sequence[Poll]], log_lines: Iterable[str]
) -> dict[str, float]:
    """When counting of each endpoint began: the exporter's estimate of the server's clock in the first written poll.

    It is read from the exporter's log: whether a poll shortly before a kill was written is not seen from outside.
    `Date` headers are whole seconds, so the estimate may be some seconds early, never late: what differs by more is an
    error of the exporter.
    """
    found = read_beginnings(log_lines)
    for endpoint, polls_of_endpoint in walks.items():
        first = next(walk for walk in polls_of_endpoint if walk.sound)
        versions = [one for one in exchanges if one.target.endswith("/version") and one.began <= first.began]
        dates = [one.date for one in versions if one.date]
        # On a busy machine seconds pass between the first connection, from which on tries count, and the first poll.
        if not min(dates) - MAX_CLOCK_LAG <= found[endpoint] <= max(dates) + 1:
            raise AssertionError(f"{endpoint}: counting began at {found[endpoint]}, Airflow's clock showed {dates}")
    return found


def read_beginnings(log_lines: Iterable[str]) -> dict[str, float]:
    """From when on the exporter says that it counts, by endpoint (Unix seconds).

    The last line of each kind counts: if the poll of an earlier one was lost, counting began again.
    """
    found = (BEGINNING.search(line) for line in log_lines)
    return {ENDPOINTS[one["what"]]: datetime.fromisoformat(one["since"]).timestamp() for one in found if one}


class Audit:
    """Every change of task instances and runs, recorded in Airflow's own database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def install(self) -> None:
        """Start to record every change."""
        self._database.execute_file("audit.sql")

    def last_change(self) -> float:
        """When something last changed, in Unix seconds."""
        return float(self._database.value("select extract(epoch from max(at))::float8 as at from e2e_change") or 0)

    def judge(
        self, starts: Mapping[str, float], walks: Mapping[str, Sequence[Poll]], exposition: Exposition
    ) -> list[Cell]:
        """The cells that an exporter must show which started at these times and made these polls."""
        self._database.execute(
            "create table e2e_window (endpoint text, start timestamptz, walked timestamptz);"
            "create table e2e_poll (endpoint text, began timestamptz, ended timestamptz);"
            "create table e2e_bucket (family text, le float8);"
        )
        for endpoint, start in starts.items():
            walked = next(walk.ended for walk in walks[endpoint] if walk.sound)
            self._database.execute(
                f"insert into e2e_window values ('{endpoint}', to_timestamp({start}), to_timestamp({walked}))"
            )
        for endpoint, walk in ((endpoint, walk) for endpoint, those in walks.items() for walk in those if walk.sound):
            self._database.execute(
                f"insert into e2e_poll values ('{endpoint}', to_timestamp({walk.began}), to_timestamp({walk.ended}))"
            )
        for family, bound in sorted(buckets(exposition)):
            self._database.execute(f"insert into e2e_bucket values ('{family}', '{bound}')")
        for name in ("oracle.sql", "cells.sql"):
            self._database.execute_file(name)
        return [_cell(row) for row in self._database.rows("select * from e2e_cell")]

    def tries(self) -> dict[str, int]:
        """How many tries count, by outcome."""
        rows = self._database.rows("select outcome, count(*) as tries from e2e_counted_try group by outcome")
        return {row["outcome"]: row["tries"] for row in rows}

    def changes(self, labels: Sequence[str]) -> list[dict[str, Any]]:
        """Every change of the DAG, and perhaps of the task, that a cell's labels begin with."""
        wanted = " and ".join(
            f"content->>'{column}' = {quote(value)}"
            for column, value in zip(("dag_id", "task_id"), labels, strict=False)
        )
        return self._database.rows(
            "select seq, extract(epoch from at)::float8 as at, source, operation, content from e2e_change"
            f" where {wanted} order by content->>'run_id', content->>'map_index', seq"
        )


def buckets(exposition: Exposition) -> set[tuple[str, str]]:
    """The finite bounds of each histogram that is exposed."""
    return {
        (series.name.removesuffix("_bucket"), series.label("le"))
        for series in exposition
        if series.name.endswith("_bucket") and series.label("le") != "+Inf"
    }


def _cell(row: dict[str, Any]) -> Cell:
    return Cell(
        row["family"],
        tuple(row["labels"]),
        row["part"],
        float(row["value"] or 0),
        float(row["least"] or 0),
        float(row["most"] or 0),
        tuple(row["doubts"] or ()),
    )


def dump(cells: Iterable[Cell]) -> str:
    """Cells as lines of JSON, for inspection after a run."""
    return "\n".join(json.dumps(cell._asdict(), ensure_ascii=False) for cell in cells)
