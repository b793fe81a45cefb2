"""How the proof reads from the inbox when an alert was told of, and when its end was."""

from __future__ import annotations

from typing import Any

import pytest

from tests.alertmanager.server import Notice
from tests.e2e.alerts.journal import Journal, Trial


def make_notice(at: float, receiver: str, *alerts: tuple[str, str], **labels: str) -> Notice:
    told: list[dict[str, Any]] = [
        {"status": status, "labels": {"alertname": name, **labels}} for name, status in alerts
    ]
    return Notice(at, receiver, {"alerts": told})


def make_trial(**labels: str) -> Trial:
    return Trial("Late", "a cause", labels, began=10.0, ended=20.0)


def test_the_first_notification_and_the_end_count() -> None:
    trial = make_trial()
    trial.look(
        [
            make_notice(12, "owners", ("Late", "firing")),
            make_notice(14, "pager", ("Late", "firing")),
            make_notice(25, "owners", ("Late", "resolved")),
            make_notice(30, "pager", ("Late", "resolved")),
        ]
    )
    assert (trial.notified, trial.resolved, trial.receivers) == (12, 25, ("owners", "pager"))


def test_what_came_before_the_cause_does_not_count() -> None:
    trial = make_trial()
    trial.look([make_notice(9, "owners", ("Late", "firing"))])
    assert trial.notified is None


def test_what_resolved_before_the_cause_ended_does_not_count() -> None:
    trial = make_trial()
    trial.look([make_notice(12, "owners", ("Late", "firing")), make_notice(15, "owners", ("Late", "resolved"))])
    assert trial.resolved is None


def test_others_with_the_same_name_do_not_count() -> None:
    trial = make_trial(dag_id="sales")
    trial.look([make_notice(12, "owners", ("Late", "firing"), dag_id="other")])
    assert trial.notified is None


def test_a_group_of_which_one_still_fires_has_not_resolved() -> None:
    trial = make_trial()
    trial.look([make_notice(12, "owners", ("Late", "firing"))])
    trial.look([make_notice(25, "owners", ("Late", "resolved"), ("Late", "firing"))])
    assert trial.resolved is None


@pytest.mark.parametrize(("notices", "line"), [([], "NEVER"), ([make_notice(12, "owners", ("Late", "firing"))], "2 s")])
def test_the_table_says_how_long_it_took(notices: list[Notice], line: str) -> None:
    journal = Journal(lambda: notices, lambda text: None)
    journal.trials.append(make_trial())
    assert journal.wait_notified("a cause", seconds=0) is bool(notices)
    assert f"| {line} | NEVER |" in journal.table()[-1]
