"""How what is seen of a fault is judged: what counts as named, as a symptom, as nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from tests.e2e.diagnosis.faults.fault import Seen, contains, get_cause, list_rows, make_fault
from tests.e2e.diagnosis.faults.report import Result, is_reached, write_score, write_table
from tests.e2e.diagnosis.faults.stages import SCENES, list_faults, list_scenes

VERSIONS = ("3.3.2", "2.11.2")
ROW = {
    "reason": "pool",
    "object": "narrow",
    "holders": {"holder": 1},
    "setting": "slots of the pool",
    "suggestion": "Pool narrow: 3 more slots",
}
ALERT = {"alertname": "AirflowTasksWaiting", "reason": "pool", "object": "narrow"}


def look(
    page: Sequence[Mapping[str, Any]] = (), alerts: Sequence[Mapping[str, str]] = (), meant: str | None = ""
) -> Seen:
    seen = Seen(make_fault("a full pool", "pool priority", "narrow holder", "slots", lambda play: None, meant))
    seen.began = 100.0
    seen.look(page, alerts, 105.0)
    return seen


def test_cause_objects_and_knob_in_one_finding_and_an_alert_are_two_points() -> None:
    seen = look([ROW], [ALERT])
    assert (seen.score, seen.named_at, seen.alerted_by) == (2, 105.0, "AirflowTasksWaiting")


@pytest.mark.parametrize(
    "changed",
    [{"reason": "scheduler"}, {"holders": {}}, {"setting": "none", "suggestion": ""}],
    ids=["another cause", "an object is missing", "no knob"],
)
def test_a_finding_that_lacks_something_is_a_symptom(changed: Mapping[str, Any]) -> None:
    seen = look([{**ROW, **changed}], [ALERT])
    assert (seen.score, seen.named_at) == (1, None)


def test_without_its_alert_it_is_a_symptom_unless_none_is_meant() -> None:
    assert look([ROW]).score == 1
    assert look([ROW], meant=None).score == 2


def test_what_is_not_mentioned_is_invisible() -> None:
    assert look([{**ROW, "object": "narrows", "suggestion": "slots"}]).score == 0


def test_an_alert_that_says_that_nothing_explains_it_misleads() -> None:
    wrong = {"alertname": "AirflowNoProgress"}
    symptom = {**ROW, "reason": "scheduler"}
    assert look([symptom], [wrong]).score == 0
    assert look([ROW], [wrong, ALERT]).score == 2


def test_an_alert_that_means_it_counts_with_its_object_or_with_none() -> None:
    assert look([ROW], [{"alertname": "A", "pool": "narrow"}], meant="A").score == 2
    assert look([ROW], [{"alertname": "A", "severity": "warning"}], meant="A").score == 2
    assert look([ROW], [{"alertname": "A", "pool": "wide"}], meant="A").score == 1
    assert look([ROW], [{"alertname": "B", "pool": "narrow"}], meant="A").score == 1


def test_an_alert_is_enough_where_no_finding_is_meant() -> None:
    seen = Seen(make_fault("a slow file", "", "slow.py", "file", lambda play: None, "A"))
    assert seen.score == 0
    seen.look([], [{"alertname": "A", "file": "slow.py"}, {"alertname": "AirflowNoProgress"}], 105.0)
    assert seen.score == 2
    assert "| none is meant | A 105 s | 2 |" in list(write_table([Result("3.3.2", seen)]))[2]


def test_a_task_is_named_by_two_labels_of_an_alert() -> None:
    seen = Seen(make_fault("a leak", "memory_growth", "grows.swell", "memory", lambda play: None))
    seen.look([], [{"alertname": "A", "cost": "memory_growth", "dag_id": "grows", "task_id": "swell"}], 105.0)
    assert seen.alerted_by == "A"


def test_names_are_whole_words() -> None:
    assert contains("pool narrow: 3", "narrow")
    assert contains('"dag.narrow"', "narrow")
    assert not contains("narrow_pool", "narrow")


def test_rows_of_all_parts_are_read() -> None:
    parts = {"findings": "reason", "failures": "error_class", "failed_tries": "error_class", "costs": "name"}
    page = {"time": 1, **{part: [{key: part}] for part, key in parts.items()}}
    assert [get_cause(row) for row in list_rows(page)] == ["findings", "failures", "costs"]


def test_a_table_has_a_line_for_each_and_the_goal_is_a_share() -> None:
    good, bad = Result("3.3.2", look([ROW], [ALERT])), Result("3.3.2", look())
    lines = list(write_table([good, bad]))
    assert "| 5 s | AirflowTasksWaiting 5 s | 2 |" in lines[2]
    assert "| nothing | NEVER | NEVER | 0 |" in lines[3]
    assert write_score([good, bad]).startswith("2 of 4 points over 2 faults")
    assert is_reached([good] * 29 + [bad])
    assert not is_reached([good] * 28 + [bad])


def test_three_days_have_everything_once() -> None:
    days = [list_scenes(VERSIONS, date(2026, 12, 30) + timedelta(days=number)) for number in range(3)]
    assert sorted(case[0] + case[1].name for day in days for case in day) == sorted(
        version + scene.name for version in VERSIONS for scene in SCENES
    )
    assert all(days)


def test_faults_have_names_of_their_own_and_start_where_they_can_happen() -> None:
    for version in VERSIONS:
        names = [fault.name for scene in SCENES for act in list_faults(scene, version) for fault in act]
        assert len(names) == len(set(names)) > 35
