"""A real Alertmanager with the shipped configuration: what it starts with, groups, holds back and sends."""

from __future__ import annotations

import email
import email.policy
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.alertmanager.server import Alertmanager, Config, Inbox, Notice, hurried, readdressed, shipped_config
from tests.alertmanager.services import HttpService, MailService

Start = Callable[[Config], Alertmanager]
PATIENCE = 30.0
SETTLED = 4.0
"""Seconds in which a hurried Alertmanager would have sent what else it had to send."""
NOTES = {
    "summary": "A DAG is late.",
    "description": "The run of 03:00 is late.",
    "runbook_url": "https://example.org/runbooks/AirflowDagLate.md",
    "dashboard_url": "https://grafana.example.org/d/airflow-dag",
    "dag_url": "https://airflow.example.org/dags/sales",
}


def make_alert(name: str, **labels: str) -> dict[str, Any]:
    return {"labels": {"alertname": name, "airflow": "production", **labels}, "annotations": NOTES}


def wait_for(done: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end, "nothing came"
        time.sleep(0.1)


@pytest.fixture
def manager(start: Start, inbox: Inbox) -> Alertmanager:
    """The shipped configuration, no secret set, hurried."""
    return start(readdressed(hurried(shipped_config()), inbox.address))


def notices_of(inbox: Inbox, name: str) -> list[Notice]:
    return [notice for notice in inbox.notices() if name in notice.names()]


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


def on_weekday(config: Config, days: int) -> Config:
    """The configuration with working hours on the one day that is so many days from now, around the clock."""
    day = f"{datetime.now(UTC) + timedelta(days=days):%A}".lower()
    (interval,) = config["time_intervals"][0]["time_intervals"]
    interval.update(weekdays=[day], times=[{"start_time": "00:00", "end_time": "24:00"}])
    return config


def test_in_working_hours_what_is_worth_knowing_is_told(start: Start, inbox: Inbox) -> None:
    start(readdressed(hurried(on_weekday(shipped_config(), 0)), inbox.address)).post([REACHED, POOL])
    wait_for(lambda: len(inbox.notices()) == 2)
    assert {notice.receiver for notice in inbox.notices()} == {"notices", "operators"}


def test_outside_of_working_hours_it_waits(start: Start, inbox: Inbox) -> None:
    start(readdressed(hurried(on_weekday(shipped_config(), 3)), inbox.address)).post([REACHED, POOL])
    wait_for(inbox.notices)
    time.sleep(SETTLED)
    assert {notice.receiver for notice in inbox.notices()} == {"operators"}


# ---- what follows from something else --------------------------------------------------------------

CRITICAL = {"severity": "critical"}
WARNING = {"severity": "warning"}
EXPORTER_ABSENT = make_alert("AirflowExporterAbsent", **CRITICAL, component="exporter")
DATABASE = make_alert("AirflowMetadatabaseUnhealthy", **CRITICAL, component="metadatabase")
API_SERVER = make_alert("AirflowApiServerUnreachable", **CRITICAL, component="api_server", source="airflow")
API_DOWN = make_alert("AirflowSourceDown", **WARNING, component="exporter", source="airflow")
STATSD_DOWN = make_alert("AirflowSourceDown", **WARNING, component="exporter", source="statsd")
HOST_DOWN = make_alert("AirflowSourceDown", **WARNING, component="exporter", source="host", instance="worker-1")
SCHEDULER = make_alert("AirflowSchedulerHeartbeatOld", **CRITICAL, component="scheduler")
NO_PROGRESS = make_alert("AirflowNoProgress", **CRITICAL, component="executor")
FAILURES = make_alert("AirflowTaskFailureRatioHigh", **CRITICAL, component="task")
TRIGGERER = make_alert("AirflowTriggererHeartbeatOld", **WARNING, component="triggerer")
DAG_PROCESSOR = make_alert("AirflowDagProcessorHeartbeatOld", **WARNING, component="dag_processor")
LATE = make_alert("AirflowCriticalDagLate", **CRITICAL, component="dag", dag_id="sales")
IN_A_ROW = make_alert("AirflowDagRunsFailingInARow", **WARNING, component="dag", dag_id="sales")
POOL = make_alert("AirflowTasksWaitingForPool", **WARNING, component="pool", pool="narrow")
PARALLELISM = make_alert("AirflowTasksWaitingForParallelism", **WARNING, component="executor")
REACHED = make_alert("AirflowParallelismReached", severity="info", component="executor")
NOT_CREATED = make_alert("AirflowDagNotCreated", **WARNING, component="scheduler", dag_id="sales")
LOOP_SLOW = make_alert("AirflowSchedulerLoopSlow", **WARNING, component="scheduler")
IMPORT_ERRORS = make_alert("AirflowImportErrors", **WARNING, component="dag_processor")
TRIGGERER_FULL = make_alert("AirflowTriggererFull", **WARNING, component="triggerer")
STALE = make_alert("AirflowDataStale", **WARNING, component="exporter", source="airflow", reader="dags")
MEMORY = make_alert("AirflowHostMemoryHigh", **WARNING, component="host", instance="worker-1")
ELSEWHERE = make_alert("AirflowHostMemoryHigh", **WARNING, component="host", instance="worker-2")

HELD_BACK = [
    (EXPORTER_ABSENT, [SCHEDULER, LATE, IN_A_ROW, POOL, API_DOWN]),
    (DATABASE, [SCHEDULER, API_SERVER, TRIGGERER, LATE, API_DOWN, NO_PROGRESS]),
    (API_SERVER, [API_DOWN, LATE, IN_A_ROW, POOL, NO_PROGRESS, FAILURES, TRIGGERER, IMPORT_ERRORS]),
    (API_DOWN, [IN_A_ROW, POOL, TRIGGERER, IMPORT_ERRORS, NOT_CREATED, STALE]),
    (STATSD_DOWN, [LOOP_SLOW]),
    (HOST_DOWN, [MEMORY]),
    (SCHEDULER, [LATE, POOL, NO_PROGRESS, NOT_CREATED, LOOP_SLOW, PARALLELISM]),
    (NO_PROGRESS, [LATE, POOL, PARALLELISM]),
    (FAILURES, [IN_A_ROW]),
    (TRIGGERER, [TRIGGERER_FULL]),
    (DAG_PROCESSOR, [IMPORT_ERRORS]),
    (PARALLELISM, [REACHED]),
]
TOLD = [
    (EXPORTER_ABSENT, [MEMORY]),
    (DATABASE, [MEMORY]),
    (API_SERVER, [SCHEDULER, MEMORY]),
    (API_DOWN, [SCHEDULER, MEMORY]),
    (API_DOWN, [LATE]),
    (STATSD_DOWN, [IN_A_ROW, STALE]),
    (HOST_DOWN, [ELSEWHERE, IN_A_ROW]),
    (SCHEDULER, [TRIGGERER, DAG_PROCESSOR, MEMORY]),
    (NO_PROGRESS, [IN_A_ROW, MEMORY]),
    (FAILURES, [LATE, POOL]),
]


def states(manager: Alertmanager) -> dict[str, str]:
    return {alert["labels"]["alertname"]: alert["status"]["state"] for alert in manager.alerts()}


def name_of(alert: Mapping[str, Any]) -> str:
    return str(alert["labels"]["alertname"])


def settle(manager: Alertmanager, alerts: list[dict[str, Any]]) -> dict[str, str]:
    """The states of these alerts once Alertmanager has decided on each."""
    manager.post(alerts)
    wait_for(lambda: len(states(manager)) == len(alerts) and "unprocessed" not in states(manager).values())
    return states(manager)


@pytest.mark.parametrize(("cause", "effects"), HELD_BACK)
def test_what_follows_is_held_back(manager: Alertmanager, cause: dict[str, Any], effects: list[dict[str, Any]]) -> None:
    found = settle(manager, [cause, *effects])
    assert found == {name_of(cause): "active"} | {name_of(effect): "suppressed" for effect in effects}


@pytest.mark.parametrize(("cause", "others"), TOLD)
def test_what_does_not_follow_is_told(
    manager: Alertmanager, cause: dict[str, Any], others: list[dict[str, Any]]
) -> None:
    found = settle(manager, [cause, *others])
    assert set(found.values()) == {"active"}


@pytest.mark.parametrize(("cause", "effects"), HELD_BACK)
def test_another_airflow_is_not_held_back(
    manager: Alertmanager, cause: dict[str, Any], effects: list[dict[str, Any]]
) -> None:
    elsewhere = {**cause, "labels": {**cause["labels"], "airflow": "staging"}}
    found = settle(manager, [elsewhere, *effects])
    assert found[name_of(cause)] == "active"
    assert [found[name_of(effect)] for effect in effects if effect is not STALE].count("active") >= 1


def test_what_is_held_back_is_not_sent(manager: Alertmanager, inbox: Inbox) -> None:
    manager.post([SCHEDULER, LATE, POOL])
    wait_for(lambda: notices_of(inbox, name_of(SCHEDULER)))
    time.sleep(SETTLED)
    assert {name for notice in inbox.notices() for name in notice.names()} == {name_of(SCHEDULER)}


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
