"""The backlog of failed tries: what is written, in which order it comes back, and what is given up when it is long."""

from __future__ import annotations

import pytest

from exporter.sources.airflow.failing.backlog import (
    BACKLOG_SPACE,
    BacklogEntry,
    find_excess,
    make_key,
    recall_backlog,
    remember_tries,
)
from exporter.store.persistence.state_file import StateFile
from tests.unit.sources.airflow.failing.ended import end


@pytest.mark.parametrize(
    ("outcome", "number", "remembered"),
    [
        ("failed", 1, True),
        ("retried", 1, True),
        ("success", 1, False),
        ("success", 2, True),
        ("cleared", 1, False),
        ("cleared", 2, True),
        ("skipped", 1, False),
    ],
)
def test_failed_tries_and_those_that_follow_another_are_remembered(outcome: str, number: int, remembered: bool) -> None:
    assert bool(remember_tries([end(outcome, number)])) is remembered


def test_they_come_back_in_the_order_in_which_they_ended() -> None:
    state = StateFile()
    state.commit([], remember_tries([end("success", 3), end("retried", 1), end("retried", 2)]))
    found = list(recall_backlog(state).values())
    assert [(entry.try_number, entry.failed, entry.retried) for entry in found] == [
        (1, True, True),
        (2, True, True),
        (3, False, False),
    ]


def test_an_entry_that_cannot_be_decoded_is_lost_alone() -> None:
    state = StateFile()
    state.commit([], {BACKLOG_SPACE: {b"broken": b"\xc1", **remember_tries([end("failed")])[BACKLOG_SPACE]}})
    assert len(recall_backlog(state)) == 1
    assert len(state.recall_all(BACKLOG_SPACE)) == 1


def make_backlog(**failed: int) -> dict[bytes, BacklogEntry]:
    """Failed tries of tasks, this many of each, in turn."""
    entries = [
        BacklogEntry("d", f"run {number}", task, -1, 1, "failed", 0.0, float(number))
        for task, count in failed.items()
        for number in range(count)
    ]
    entries.sort(key=lambda entry: entry.end_date or 0.0)
    return {make_key(str(place).encode(), 1): entry for place, entry in enumerate(entries)}


def test_a_short_backlog_has_no_excess() -> None:
    assert not find_excess(make_backlog(a=3, b=2), 5)


def test_the_task_that_fails_most_gives_up_its_oldest_tries() -> None:
    backlog = make_backlog(a=50, b=2)
    excess = [backlog[key] for key in find_excess(backlog, 10)]
    assert {entry.task_id for entry in excess} == {"a"}
    assert 42 <= len(excess) <= 44
    assert max(entry.end_date or 0.0 for entry in excess) < 49


def test_with_more_tasks_than_room_the_oldest_go() -> None:
    backlog = make_backlog(**{f"t{number}": 1 + number % 3 for number in range(60)})
    excess = find_excess(backlog, 20)
    assert len(backlog) - len(excess) == 20
    assert len(set(excess)) == len(excess)


def test_tries_that_did_not_fail_are_never_given_up() -> None:
    backlog = make_backlog(a=3)
    backlog[b"next"] = BacklogEntry("d", "r", "a", -1, 2, "success", 0.0, 1.0)
    assert b"next" not in find_excess(backlog, 1)
