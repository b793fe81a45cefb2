"""What notifications say, rendered by amtool."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.alertmanager.server import SHIPPED

Render = Callable[..., str]
LINKS = {
    "runbook_url": "https://example.org/runbooks/AirflowDagLate.md",
    "dashboard_url": "https://grafana.example.org/d/airflow-dag?var-dag_id=sales",
    "dag_url": "https://airflow.example.org/dags/sales",
    "log_url": "https://exporter.example.org/failed?dag_id=sales",
}


def make_alert(number: int = 0, status: str = "firing", **labels: str) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": "AirflowDagLate", "airflow": "production", "severity": "warning", **labels},
        "annotations": {"summary": "A DAG is late.", "description": f"Run {number} is late.", **LINKS},
        "startsAt": "2026-01-02T03:04:05Z",
    }


def make_data(*alerts: dict[str, Any], **common: str) -> dict[str, Any]:
    firing = any(alert["status"] == "firing" for alert in alerts)
    return {
        "receiver": "owners",
        "status": "firing" if firing else "resolved",
        "alerts": list(alerts),
        "groupLabels": {"airflow": "production"},
        "commonLabels": {"alertname": "AirflowDagLate", "airflow": "production", "severity": "warning", **common},
        "commonAnnotations": {"summary": "A DAG is late."},
        "externalURL": "https://alertmanager.example.org",
    }


@pytest.fixture
def render(amtool: Path, tmp_path: Path) -> Render:
    def run(template: str, data: dict[str, Any], kind: str = "text") -> str:
        file = tmp_path / "data.json"
        file.write_text(json.dumps(data), encoding="utf-8")
        command = [
            *(str(amtool), "template", "render", f"--template.glob={SHIPPED}/templates/*.tmpl"),
            *(f"--template.type={kind}", f"--template.data={file}"),
            f'--template.text={{{{ template "{template}" . }}}}',
        ]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return run


def test_the_title_says_how_many_what_and_where(render: Render) -> None:
    data = make_data(make_alert(), make_alert(1), dag_id="sales")
    assert render("airflow.title", data) == "[2 firing] AirflowDagLate · sales (production)"


def test_the_title_of_a_resolved_group(render: Render) -> None:
    assert render("airflow.title", make_data(make_alert(status="resolved"))) == "[resolved] AirflowDagLate (production)"


def test_the_title_of_a_group_of_different_alerts(render: Render) -> None:
    data = make_data(make_alert(), make_alert(1, alertname="AirflowRunStuck"))
    del data["commonLabels"]["alertname"], data["commonLabels"]["airflow"]
    assert render("airflow.title", data) == "[2 firing] 2 alerts (no Airflow named)"


def test_text_has_every_link(render: Render) -> None:
    text = render("airflow.text", make_data(make_alert()))
    assert text.startswith("A DAG is late.\n")
    assert "- AirflowDagLate: Run 0 is late." in text
    assert [line.strip() for line in text.splitlines() if "http" in line] == [
        f"DAG: {LINKS['dag_url']}",
        f"Log of the last failed try: {LINKS['log_url']}",
        f"Runbook: {LINKS['runbook_url']}",
        f"Dashboard: {LINKS['dashboard_url']}",
    ]


def test_a_link_that_is_not_known_leaves_no_trace(render: Render) -> None:
    alert = make_alert()
    del alert["annotations"]["dag_url"], alert["annotations"]["log_url"]
    assert "DAG:" not in render("airflow.text", make_data(alert))
    assert "Log of" not in render("airflow.text", make_data(alert))
    assert "|DAG>" not in render("slack.airflow.text", make_data(alert))


@pytest.mark.parametrize(
    ("template", "kind"),
    [
        ("airflow.text", "text"),
        ("slack.airflow.text", "text"),
        ("msteams.airflow.text", "text"),
        ("email.airflow.html", "html"),
    ],
)
def test_of_a_thousand_alerts_ten_are_told(render: Render, template: str, kind: str) -> None:
    text = render(template, make_data(*map(make_alert, range(1000))), kind)
    assert text.count("is late.") == 10 + text.count("A DAG is late.")
    assert "1000 in all, 10 of them shown" in text


@pytest.mark.parametrize("template", ["airflow.text", "slack.airflow.text", "msteams.airflow.text"])
def test_what_has_resolved_is_told_apart(render: Render, template: str) -> None:
    text = render(template, make_data(make_alert(1), make_alert(2, status="resolved")))
    before, after = text.split("Resolved")
    assert "Run 1" in before
    assert "Run 2" in after
    assert "Run 1" not in after


def test_slack_gets_links_and_no_markup_of_ours(render: Render) -> None:
    alert = make_alert()
    alert["annotations"]["description"] = "a < b & <!channel> 85 %"
    text = render("slack.airflow.text", make_data(alert))
    assert "a &lt; b &amp; &lt;!channel&gt; 85 %" in text
    assert f"<{LINKS['runbook_url']}|Runbook>" in text
    assert f"<{LINKS['dag_url']}|DAG>" in text
    assert f"<{LINKS['log_url']}|Log of the last failed try>" in text


@pytest.mark.parametrize(
    ("severity", "status", "color"),
    [
        ("critical", "firing", "danger"),
        ("warning", "firing", "warning"),
        ("info", "firing", "#439fe0"),
        ("critical", "resolved", "good"),
    ],
)
def test_slack_colours(render: Render, severity: str, status: str, color: str) -> None:
    data = make_data(make_alert(status=status), severity=severity)
    assert render("slack.airflow.color", data) == color


def test_teams_gets_markdown_and_ids_keep_their_underscores(render: Render) -> None:
    alert = make_alert()
    alert["annotations"]["description"] = "load_all_[1] is *late*"
    text = render("msteams.airflow.text", make_data(alert))
    assert r"load\_all\_\[1\] is \*late\*" in text
    assert f"[DAG]({LINKS['dag_url']})" in text
    assert f"[Log of the last failed try]({LINKS['log_url']})" in text


def test_mail_is_html_and_escaped(render: Render) -> None:
    alert = make_alert()
    alert["annotations"]["description"] = "<script>"
    text = render("email.airflow.html", make_data(alert), "html")
    assert "&lt;script&gt;" in text
    assert '<a href="https://grafana.example.org/d/airflow-dag?var-dag_id=sales">Dashboard</a>' in text
    assert "since 2026-01-02 03:04 UTC" in text


@pytest.mark.parametrize(("severity", "told"), [("critical", "critical"), ("warning", "warning"), (None, "error")])
def test_pagerduty_severities(render: Render, severity: str | None, told: str) -> None:
    data = make_data(make_alert())
    data["commonLabels"].pop("severity")
    data["commonLabels"].update({"severity": severity} if severity else {})
    assert render("pagerduty.airflow.severity", data) == told
