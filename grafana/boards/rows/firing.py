"""The firing alerts, each with its runbook."""

from __future__ import annotations

from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.link import Link, cell
from grafana.boards.kit.panel import ORANGE
from grafana.boards.kit.promql import pick
from grafana.boards.kit.table import Column, Key, Table

SUBJECTS = (
    "dag_id",
    "reason",
    "object",
    "error_class",
    "file",
    "executor",
    "source",
    "reader",
    "family",
    "process",
    "cgroup",
    "mountpoint",
    "instance",
)
"""Labels that say what an alert is about. Each alert has only a few of them."""
JOINED = ", ".join(f'"{label}"' for label in SUBJECTS)
FIRING = (
    f"1000 * {pick('ALERTS_FOR_STATE', severity='~critical|warning')}"
    f" and ignoring(alertstate) {pick('ALERTS', alertstate='firing')}"
)
RUNBOOK = Link("Runbook", "${runbooks}/" + cell("Alert") + ".md", new_tab=True)
FIRING_ROW = Row(
    "Firing alerts",
    [
        Table(
            "Firing alerts",
            "Critical alerts and warnings that fire for this Airflow, since when, and for what. A click"
            " opens the runbook. Source: Prometheus.",
            {
                "severity": Key("Severity", width=90),
                "alertname": Key("Alert", [RUNBOOK], width=330),
                "about": Key("About"),
            },
            [
                Column(
                    "Since",
                    f'max by(severity, alertname, about) (label_join({FIRING}, "about", " ", {JOINED}))',
                    "dateTimeFromNow",
                    thresholds=((None, ORANGE),),
                    width=150,
                )
            ],
        )
        .size(24, 5)
        .no_value("no firing alerts")
    ],
)
