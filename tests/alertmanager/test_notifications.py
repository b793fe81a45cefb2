"""A real Alertmanager with the shipped configuration: what it starts with, groups, and sends."""

from __future__ import annotations

import email
import email.policy
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.alertmanager.alerts import NOTES, SETTLED, make_alert, notices_of, wait_for
from tests.alertmanager.server import Alertmanager, Config, Inbox, hurried, readdressed, shipped_config
from tests.alertmanager.services import HttpService, MailService

Start = Callable[[Config], Alertmanager]
pytestmark = pytest.mark.slow


def test_without_any_secret_it_starts_and_tells_the_local_receiver(manager: Alertmanager, inbox: Inbox) -> None:
    manager.post([make_alert("AirflowDagLate", severity="critical", component="dag", dag_id="sales")])
    wait_for(lambda: len(notices_of(inbox, "AirflowDagLate")) == 2)
    assert {notice.receiver for notice in inbox.notices()} == {"pager", "owners"}


@pytest.mark.parametrize("example", ["slack", "email", "pagerduty", "msteams", "webhook"])
def test_it_starts_although_no_secret_has_been_laid_down_yet(start: Start, example: str) -> None:
    assert start(shipped_config(example)).alerts() == []


def test_a_dag_with_a_thousand_tasks_is_one_notification(manager: Alertmanager, inbox: Inbox) -> None:
    common = {"severity": "warning", "component": "task", "dag_id": "sales", "owners": "sales-team"}
    manager.post([make_alert("AirflowRetriesStorming", task_id=f"load_{n}", **common) for n in range(1000)])
    wait_for(inbox.notices)
    time.sleep(SETTLED)
    (notice,) = inbox.notices()
    assert len(notice.alerts) == 1000


def test_a_hundred_dags_wake_somebody_once(manager: Alertmanager, inbox: Inbox) -> None:
    common = {"severity": "critical", "component": "dag"}
    manager.post([make_alert("AirflowCriticalDagLate", dag_id=f"dag_{n}", **common) for n in range(100)])
    wait_for(lambda: len(inbox.notices()) == 101)
    time.sleep(SETTLED)
    assert len([notice for notice in inbox.notices() if notice.receiver == "pager"]) == 1


def test_two_airflows_are_two_notifications(manager: Alertmanager, inbox: Inbox) -> None:
    common = {"severity": "critical", "component": "scheduler"}
    manager.post([make_alert("A", **common), make_alert("A", **common, airflow="staging")])
    wait_for(lambda: len(inbox.notices()) == 2)
    assert {notice.notification["commonLabels"]["airflow"] for notice in inbox.notices()} == {"production", "staging"}


def test_the_heartbeat_comes_again_and_again(manager: Alertmanager, inbox: Inbox) -> None:
    manager.post([make_alert("Watchdog")])
    wait_for(lambda: len(inbox.notices()) >= 3)
    assert {notice.receiver for notice in inbox.notices()} == {"heartbeat"}


OUTDATED = make_alert("AirflowParallelismOutdated", severity="info", component="executor")
FULL = make_alert("AirflowTasksWaitingForPool", severity="warning", component="pool", pool="narrow")


def on_weekday(config: Config, days: int) -> Config:
    """The configuration with working hours on the one day that is so many days from now, around the clock."""
    day = f"{datetime.now(UTC) + timedelta(days=days):%A}".lower()
    (interval,) = config["time_intervals"][0]["time_intervals"]
    interval.update(weekdays=[day], times=[{"start_time": "00:00", "end_time": "24:00"}])
    return config


def test_in_working_hours_what_is_worth_knowing_is_told(start: Start, inbox: Inbox) -> None:
    start(readdressed(hurried(on_weekday(shipped_config(), 0)), inbox.address)).post([OUTDATED, FULL])
    wait_for(lambda: len(inbox.notices()) == 2)
    assert {notice.receiver for notice in inbox.notices()} == {"notices", "operators"}


def test_outside_of_working_hours_it_waits(start: Start, inbox: Inbox) -> None:
    start(readdressed(hurried(on_weekday(shipped_config(), 3)), inbox.address)).post([OUTDATED, FULL])
    wait_for(inbox.notices)
    time.sleep(SETTLED)
    assert {notice.receiver for notice in inbox.notices()} == {"operators"}


# ---- each kind of receiver, by its own protocol ----------------------------------------------------


def with_secrets(config: Config, folder: Path, secrets: Mapping[str, str]) -> Config:
    """The configuration with its secrets in a folder of ours."""

    def move(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: move(value) for key, value in node.items()}
        if isinstance(node, list):
            return [move(value) for value in node]
        return node.replace("/etc/alertmanager/secrets", str(folder)) if isinstance(node, str) else node

    for name, secret in secrets.items():
        (folder / name).write_text(secret, encoding="utf-8")
    moved: Config = move(config)
    return moved


def test_slack_gets_title_colour_and_links(start: Start, tmp_path: Path) -> None:
    with HttpService() as slack:
        url = f"http://{slack.address}/services/T/B/secret\n"
        config = with_secrets(hurried(shipped_config("slack")), tmp_path, {"slack_url": url})
        start(config).post([make_alert("AirflowDagLate", severity="warning", component="dag", dag_id="sales")])
        wait_for(lambda: slack.messages)
        (message,) = slack.messages
    (attachment,) = message.body["attachments"]
    assert message.path == "/services/T/B/secret"
    assert message.body["channel"] == "#airflow-dags"
    assert attachment["title"] == "[1 firing] AirflowDagLate · sales (production)"
    assert attachment["color"] == "warning"
    assert f"<{NOTES['runbook_url']}|Runbook>" in attachment["text"]
    assert f"<{NOTES['dag_url']}|DAG>" in attachment["text"]


def test_pagerduty_gets_an_event_with_severity_and_links(start: Start, tmp_path: Path) -> None:
    with HttpService() as pagerduty:
        config = with_secrets(hurried(shipped_config("pagerduty")), tmp_path, {"pagerduty_key": "secret"})
        config["global"]["pagerduty_url"] = f"http://{pagerduty.address}/v2/enqueue"
        start(config).post([make_alert("AirflowSchedulerDown", severity="critical", component="scheduler")])
        wait_for(lambda: pagerduty.messages)
        (message,) = pagerduty.messages
    payload = message.body["payload"]
    assert message.body["routing_key"] == "secret"
    assert (payload["severity"], payload["component"], payload["group"]) == ("critical", "scheduler", "production")
    assert payload["summary"] == "[1 firing] AirflowSchedulerDown (production)"
    assert {"text": "Runbook", "href": NOTES["runbook_url"]} in message.body["links"]
    assert NOTES["description"] in payload["custom_details"]["alerts"]


def test_pagerduty_gets_no_link_that_leads_nowhere(start: Start, tmp_path: Path) -> None:
    with HttpService() as pagerduty:
        config = with_secrets(hurried(shipped_config("pagerduty")), tmp_path, {"pagerduty_key": "secret"})
        config["global"]["pagerduty_url"] = f"http://{pagerduty.address}/v2/enqueue"
        alert = make_alert("AirflowSchedulerDown", severity="critical", component="scheduler")
        alert["annotations"] = {name: text for name, text in NOTES.items() if name != "dag_url"}
        start(config).post([alert])
        wait_for(lambda: pagerduty.messages)
        (message,) = pagerduty.messages
    assert [link["text"] for link in message.body["links"] if link.get("href")] == ["Runbook", "Dashboard"]
    assert all(link.get("href") for link in message.body["links"])


def test_teams_gets_a_card(start: Start, tmp_path: Path) -> None:
    with HttpService() as teams:
        secrets = {"msteams_owners_url": f"http://{teams.address}/workflows/secret"}
        config = with_secrets(hurried(shipped_config("msteams")), tmp_path, secrets)
        start(config).post([make_alert("AirflowDagLate", severity="warning", component="dag", dag_id="sales")])
        wait_for(lambda: teams.messages)
        (message,) = teams.messages
    (attachment,) = message.body["attachments"]
    texts = [block["text"] for block in attachment["content"]["body"]]
    assert texts[0] == "[1 firing] AirflowDagLate · sales (production)"
    assert f"[Runbook]({NOTES['runbook_url']})" in texts[1]


def test_a_mail_has_a_subject_and_two_bodies(start: Start, tmp_path: Path) -> None:
    with MailService() as mail:
        config = with_secrets(hurried(shipped_config("email")), tmp_path, {})
        for receiver in config["receivers"]:
            for one in receiver.get("email_configs", []):
                one.update(smarthost=mail.address, require_tls=False)
                del one["auth_username"], one["auth_password_file"]
        start(config).post([make_alert("AirflowDagLate", severity="warning", component="dag", dag_id="sales")])
        wait_for(lambda: mail.mails)
        (text,) = mail.mails
    message = email.message_from_string(text, policy=email.policy.default)
    assert message["Subject"] == "[1 firing] AirflowDagLate · sales (production)"
    assert message["To"] == "dag-owners@example.org"
    parts = {part.get_content_type(): part.get_content() for part in message.walk() if not part.is_multipart()}
    assert f"Runbook: {NOTES['runbook_url']}" in parts["text/plain"]
    assert f'<a href="{NOTES["dashboard_url"]}">Dashboard</a>' in parts["text/html"]


def test_a_webhook_gets_all_annotations_and_a_token(start: Start, tmp_path: Path) -> None:
    with HttpService() as hook:
        secrets = {"webhook_url": f"http://{hook.address}/alerts", "webhook_token": "secret"}
        config = with_secrets(hurried(shipped_config("webhook")), tmp_path, secrets)
        start(config).post([make_alert("AirflowDagLate", severity="warning", component="dag", dag_id="sales")])
        wait_for(lambda: hook.messages)
        (message,) = hook.messages
    assert message.authorization == "Bearer secret"
    assert message.body["alerts"][0]["annotations"] == NOTES
