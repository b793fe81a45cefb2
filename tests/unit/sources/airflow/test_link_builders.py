"""Each reader that links to a log makes the link of the row that it read, on both releases, after a restart too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from exporter.sources.airflow.counting.decision import EndedTry
from exporter.sources.airflow.ended.events import to_row as to_event_row
from exporter.sources.airflow.ended.last_failed import SPACE as LAST_FAILED_SPACE
from exporter.sources.airflow.ended.last_failed import add_failed, decode_last_failed, write_last_failed
from exporter.sources.airflow.ended.last_failed import to_row as to_last_failed_row
from exporter.sources.airflow.ended.unwritten import keep_tries, recall_tries
from exporter.sources.airflow.failing.backlog import BacklogEntry, recall_backlog, remember_tries
from exporter.sources.airflow.failing.recent import (
    RECENT_SPACE,
    RecentFailure,
    make_recent,
    recall_recent,
    to_failed_tries,
    write_recent,
)
from exporter.sources.airflow.log_links import LogLinks
from exporter.store.persistence.state_file import StateFile
from tests.unit.sources.airflow.failing.ended import end

BASE = "https://airflow.example.org"
ENDED = end("failed", 2, run_id="manual__2026-01-01", map_index=4, logical_date=1767225600.5)


def link_recent(ended: EndedTry, links: LogLinks) -> str:
    """By the reader of failures, for the page and the events file."""
    state = StateFile()
    state.commit([], remember_tries([ended]))
    [(key, entry)] = recall_backlog(state).items()
    _, entries = write_recent({}, {key: make_recent(entry, "code", 2000.0)}, 2000.0)
    state.commit([], entries)
    return to_failed_tries(recall_recent(state), links)[0].log_url


def link_last_failed(ended: EndedTry, links: LogLinks) -> str:
    """By the reader of the last failed try, for dashboards and alerts."""
    state = StateFile()
    state.commit([], {LAST_FAILED_SPACE: write_last_failed(add_failed({}, [ended]))})
    [(dag_id, [one])] = decode_last_failed(state, state.recall_all(LAST_FAILED_SPACE)).items()
    return links.link(to_last_failed_row(dag_id, one))


def link_event(ended: EndedTry, links: LogLinks) -> str:
    """By the reader that writes the events file."""
    state = StateFile()
    state.commit([], keep_tries([ended], 2000.0))
    [kept] = recall_tries(state).values()
    return links.link(to_event_row(kept.facts, kept.logical_date))


BUILDERS = (link_recent, link_last_failed, link_event)


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
@pytest.mark.parametrize("major", [2, 3])
def test_every_builder_makes_the_link_of_the_row(build: Callable[[EndedTry, LogLinks], str], major: int) -> None:
    links = LogLinks(BASE, major)
    assert build(ENDED, links) == links.link(ENDED.row)


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_airflow_2_is_told_which_runs_to_show(build: Callable[[EndedTry, LogLinks], str]) -> None:
    assert "base_date=2026-01-01T00%3A00%3A00.500000%2B00%3A00" in build(ENDED, LogLinks(BASE, 2))


def test_state_files_of_older_releases_are_read() -> None:
    state = StateFile()
    recent: tuple[Any, ...] = ("d", "r", "t", -1, 1, 1990.0, "code", False)
    state.commit([], {RECENT_SPACE: {b"k": msgspec.msgpack.encode(recent)}})
    assert recall_recent(state) == {b"k": RecentFailure(*recent)}
    assert BacklogEntry("d", "r", "t", -1, 1, "failed", None, None).logical_date is None
