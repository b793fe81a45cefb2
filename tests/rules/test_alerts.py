"""Each alert says what it must, has its threshold in the one place, a runbook, and tests that fire it and do not."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import promql_parser as ast
import pytest

from docs.rulesheet import ORDER
from exporter.web.runbook_pages import list_placeholders
from tests.contract.promql import Labels
from tests.rules.rulefiles import ALERTS, CASES, ROOT, RUNBOOKS, SETTINGS, THRESHOLD, Rule, find_selectors, load

LABELS = Labels()
CRITICAL = {
    "AirflowSchedulerHeartbeatOld",
    "AirflowMetadatabaseUnhealthy",
    "AirflowDatabaseBlocksScheduler",
    "AirflowApiServerUnreachable",
    "AirflowNoProgress",
    "AirflowTaskFailureRatioHigh",
    "AirflowCriticalDagLate",
    "AirflowHostDiskFull",
    "AirflowExporterAbsent",
}
COMPONENTS = {
    "scheduler", "dag_processor", "triggerer", "api_server", "metadatabase", "executor", "worker", "host", "dag",
    "task", "pool", "exporter",
}  # fmt: skip
DASHBOARDS = {path.stem for path in (ROOT / "grafana" / "dashboards").glob("*.json")}
VARIABLES = {"airflow": "airflow", "dag_id": "dag_id", "task_id": "task_id", "pool": "pool", "worker": "instance"}
SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]
SHORTER = {
    "Watchdog": "it always fires",
    "AirflowSchedulerHeartbeatOld": "the age has two minutes already",
    "AirflowDeadlineMissed": "an event that Airflow has judged",
    "AirflowTasksCannotStart": "waiting does not help, and the scheduler has passed them over in every loop",
    "AirflowTasksFailing": "the tries have failed, and a retried one does not count alone",
    "AirflowTasksFailingInManyDags": "the tries have failed",
    "AirflowDagRunBlocked": "the scheduler passes it over in every loop",
    "AirflowDagBlocked": "waiting does not help",
    "AirflowDatabaseBlocksScheduler": "the wait has a minute already, and the scheduler does nothing in it",
    "AirflowOomKills": "an event, and what was killed is gone",
    "AirflowTaskPodsPending": "the age has five minutes already",
    "AirflowTaskPodOomKilled": "an event, and the pod is gone",
    "AirflowTaskPodEvicted": "an event, and the pod is gone",
}
"""Alerts that fire in less than five minutes, and why."""
WITHOUT_AIRFLOW = {"Watchdog", "AirflowSettingsMissing"}
LABELLED = [alert for name, alert in ALERTS.items() if name not in WITHOUT_AIRFLOW]
each_labelled_alert = pytest.mark.parametrize("alert", LABELLED, ids=lambda alert: alert["alert"])
each_alert = pytest.mark.parametrize("alert", ALERTS.values(), ids=ALERTS)


def minutes(duration: str) -> int:
    return int(duration.removesuffix("m"))


@each_alert
def test_it_has_the_labels_by_which_it_is_routed(alert: Rule) -> None:
    name, labels = alert["alert"], alert["labels"]
    assert name.startswith("Airflow") or name == "Watchdog"
    assert labels.keys() == {"severity", "component"}
    assert labels["component"] in COMPONENTS
    assert labels["severity"] in {"critical", "warning", "info"} or (name, labels["severity"]) == ("Watchdog", "none")
    assert (labels["severity"] == "critical") == (name in CRITICAL)


@each_labelled_alert
def test_its_labels_are_fixed_and_owners_come_from_its_expression(alert: Rule) -> None:
    """A ruler may refuse templates in labels, as vmalert refuses `query` there."""
    assert not any("{{" in value for value in alert["labels"].values())
    owned = alert["labels"]["component"] in {"dag", "task"} and "$labels.dag_id" in alert["annotations"]["description"]
    assert ("owners" in LABELS.of(alert["expr"])) == owned


@each_labelled_alert
def test_its_description_reads_well_without_the_label(alert: Rule) -> None:
    assert "Airflow{{ with $labels.airflow }} {{ . }}{{ end }}" in alert["annotations"]["description"] or (
        "(Airflow{{ with $labels.airflow }}" in alert["annotations"]["description"]
    )
    assert "Airflow {{ $labels.airflow" not in alert["annotations"]["description"]


@each_alert
def test_it_waits_five_minutes_or_has_a_reason(alert: Rule) -> None:
    assert (minutes(alert.get("for", "0m")) < 5) == (alert["alert"] in SHORTER)


@each_labelled_alert
def test_it_reads_what_is_there_and_keeps_which_airflow_it_is(alert: Rule) -> None:
    answer = LABELS.of(alert["expr"])
    assert "airflow" in answer
    assert "job" not in answer or "instance" in answer
    kept = f'component="{alert["labels"]["component"]}"' in alert["expr"] or "process" in answer
    assert "component" not in answer or kept, "the alert's label would hide the series' own"


@each_alert
def test_its_annotations_are_complete(alert: Rule) -> None:
    notes = alert["annotations"]
    assert notes.keys() - {"dag_url", "log_url"} == {"summary", "description", "runbook_url", "dashboard_url"}
    assert "{{" not in notes["summary"]
    assert notes["summary"].endswith(".")
    assert 'query "airflow:links:info"' in notes["runbook_url"]
    page, _, query = notes["runbook_url"].partition("?")
    assert page.endswith(f'label "runbooks" }}}}{{{{ end }}}}/{alert["alert"]}.md')
    labels = list_placeholders((RUNBOOKS / f"{alert['alert']}.md").read_text(encoding="utf-8"))
    assert sorted(filter(None, query.split("&"))) == [
        f"{label}={{{{ $labels.{label} | urlquery }}}}" for label in labels
    ]
    if alert["alert"] not in WITHOUT_AIRFLOW:
        assert "$labels.airflow" in notes["description"]


@each_labelled_alert
def test_its_texts_name_labels_that_it_has(alert: Rule) -> None:
    named = set(re.findall(r"\$labels\.(\w+)", " ".join(alert["annotations"].values())))
    assert named - {"airflow"} <= LABELS.of(alert["expr"])


@each_alert
def test_its_dashboard_exists_and_shows_what_the_alert_is_about(alert: Rule) -> None:
    link = alert["annotations"]["dashboard_url"]
    found = re.search(r"/d/([\w-]+)\?(.*)$", link)
    assert found, link
    uid, variables = found.groups()
    assert uid in DASHBOARDS
    given = dict(re.findall(r"var-(\w+)=\{\{ \$labels\.(\w+) \| urlquery \}\}", variables))
    assert given.keys() >= {"airflow"}
    assert all(VARIABLES[variable] == label for variable, label in given.items())


@each_alert
def test_it_has_a_test_in_which_it_fires_and_one_in_which_it_does_not(alert: Rule) -> None:
    outcomes = Counter(
        bool(check.get("exp_alerts"))
        for case in CASES
        for check in case.get("alert_rule_test", ())
        if check["alertname"] == alert["alert"]
    )
    assert outcomes[True]
    assert outcomes[False] or alert["alert"] == "Watchdog"


@each_alert
def test_it_has_a_runbook_that_is_of_use(alert: Rule) -> None:
    text = (RUNBOOKS / f"{alert['alert']}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {alert['alert']}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    assert all(len(section.strip()) > 60 for section in re.split(r"^## .+$", text, flags=re.MULTILINE)[1:])


@each_alert
def test_the_queries_of_its_runbook_can_be_answered(alert: Rule) -> None:
    text = (RUNBOOKS / f"{alert['alert']}.md").read_text(encoding="utf-8")
    queries = [query for block in re.findall(r"```promql\n(.*?)```", text, re.DOTALL) for query in block.split("\n\n")]
    assert queries
    for query in queries:
        lines = [line for line in query.splitlines() if not line.startswith("#")]
        if "".join(lines).strip():
            LABELS.of("\n".join(lines))


def test_there_is_no_other_runbook_than_those_of_alerts_reasons_and_classes() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(ALERTS) | {"Reasons", "ErrorClasses"}


def test_every_threshold_is_used_and_every_one_that_is_used_is_there() -> None:
    defined = {rule["record"] for group in load(SETTINGS)["groups"] for rule in group["rules"]} - {
        "airflow:links:info",
        "airflow:pod_namespace:info",
    }
    sources = [path for path in SETTINGS.parents[1].glob("*/*.yml") if path != SETTINGS and path.parent.name != "tests"]
    used = {name for path in sources for name in THRESHOLD.findall(path.read_text(encoding="utf-8"))}
    assert used - {"airflow:threshold:"} == defined
    missing = ALERTS["AirflowSettingsMissing"]["expr"]
    assert re.search(rf"< {len(defined)}\b", missing), "AirflowSettingsMissing counts them"


def test_every_threshold_has_a_reason_beside_it() -> None:
    lines = SETTINGS.read_text(encoding="utf-8").splitlines()
    bare = [line for before, line in pairwise(lines) if "record:" in line and "# " not in before]
    assert bare == []


def test_no_alert_compares_with_a_number_of_its_own() -> None:
    """But with 0 and 1, which are no thresholds, and the few that stand beside their reason."""
    argued = {"AirflowDagFileParseTimeout", "AirflowSettingsMissing"}
    own = {
        name
        for name, alert in ALERTS.items()
        if re.search(r"(?:[<>]=?|==) (?!bool)(?!0\b(?!\.)|1\b(?!\.))[\d.]+", alert["expr"])
    }
    assert own <= argued


def test_the_docs_list_the_alerts_of_every_file() -> None:
    assert set(ORDER) == {path.stem for path in (ROOT / "prometheus" / "alerts").glob("*.yml")}


def test_no_alert_reads_series_that_are_recorded_as_seldom_as_prometheus_looks_back() -> None:
    """While the rule is evaluated its last sample is too old: the alert would start to wait again each time."""
    seldom = {
        rule["record"]
        for path in (ROOT / "prometheus" / "rules").glob("*.yml")
        for group in load(path)["groups"]
        if minutes(group.get("interval", "1m")) >= 5
        for rule in group["rules"]
    }
    for name, alert in ALERTS.items():
        read = {
            selector.name
            for selector, above in find_selectors(ast.parse(alert["expr"]))
            if not any(isinstance(node, ast.MatrixSelector) for node in above)
        }
        assert not read & seldom, name


@each_alert
def test_a_number_of_events_is_a_whole_number(alert: Rule) -> None:
    """increase() extrapolates: "the kernel OOM-killed 2.167 processes"."""
    is_factor = alert["alert"] == "AirflowTaskMemoryGrowing"
    assert ("{{ $value | humanize }}" in alert["annotations"]["description"]) == is_factor
