"""Where Airflow's web interface shows the log of a try. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple, Protocol
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from exporter.config.settings import AirflowSettings


class LinkedTry(Protocol):
    """What names a try: a row of the API, or what is remembered of one."""

    @property
    def dag_id(self) -> str: ...
    @property
    def task_id(self) -> str: ...
    @property
    def run_id(self) -> str: ...
    @property
    def map_index(self) -> int: ...
    @property
    def try_number(self) -> int: ...
    @property
    def logical_date(self) -> float | None: ...


class LogLinks(NamedTuple):
    """Links to the logs of one Airflow."""

    base: str
    """URL of Airflow for browsers, without a slash at its end; empty where there are no links."""
    major: int
    """Airflow 2 and Airflow 3 have different pages."""

    def link(self, row: LinkedTry) -> str:
        """The URL of a try's log; empty without a base, and for ids that no URL can have.

        Airflow 2 has no parameter for the try: it opens the last one.
        """
        if not self.base or has_dots_only(row):
            return ""
        return self.base + (link_on_3(row) if self.major >= 3 else link_on_2(row))


def build_log_links(settings: AirflowSettings, major: int) -> LogLinks:
    """Links that begin with --airflow.public-url, else with --airflow.url; user and password are never part of them."""
    parts = urlsplit(settings.public_url or settings.url)
    netloc = parts.netloc.rpartition("@")[2]
    return LogLinks(urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", "")) if netloc else "", major)


def link_on_3(row: LinkedTry) -> str:
    """Path and query on Airflow 3. Its router takes the ids apart at slashes, so each is quoted whole."""
    path = f"/dags/{quote_id(row.dag_id)}/runs/{quote_id(row.run_id)}/tasks/{quote_id(row.task_id)}"
    mapped = f"/mapped/{row.map_index}" if row.map_index >= 0 else ""
    return path + mapped + (f"?try_number={row.try_number}" if row.try_number > 0 else "")


def link_on_2(row: LinkedTry) -> str:
    """Path and query on Airflow 2."""
    query = {"dag_run_id": row.run_id, "task_id": row.task_id}
    if row.map_index >= 0:
        query["map_index"] = str(row.map_index)
    if row.logical_date is not None:
        # The grid shows the last 25 runs, and opens the logs of a task instance only in a run that it shows.
        query["base_date"] = datetime.fromtimestamp(row.logical_date, UTC).isoformat(timespec="microseconds")
    query["tab"] = "logs"
    return f"/dags/{quote_id(row.dag_id)}/grid?{urlencode(query, safe='', errors='replace', quote_via=quote)}"


def has_dots_only(row: LinkedTry) -> bool:
    """Whether an id is `.` or `..`: in a path, browsers take it for this folder or the one above, even if quoted."""
    return not {row.dag_id, row.run_id, row.task_id}.isdisjoint({".", ".."})


def quote_id(text: str) -> str:
    """An id as one segment of a path, whatever its characters."""
    return quote(text, safe="", errors="replace")
