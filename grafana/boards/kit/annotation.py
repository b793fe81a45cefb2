"""Annotations on every graph: alerts, deployments, restarts, failed runs."""

from __future__ import annotations

from dataclasses import dataclass

from grafana.boards.kit.panel import BLUE, DATASOURCE, ORANGE, PURPLE, RED, Json
from grafana.boards.kit.promql import one, pick


@dataclass(frozen=True)
class Annotation:
    """Times at which an expression has a value. With `at_value` the value itself is the time, in milliseconds."""

    name: str
    expression: str
    title: str
    color: str
    shown: bool = True
    at_value: bool = False

    def json(self) -> Json:
        """The annotation as Grafana reads it."""
        return {
            "name": self.name,
            "datasource": DATASOURCE,
            "enable": self.shown,
            "hide": False,
            "iconColor": self.color,
            "expr": self.expression,
            "step": "60s",
            "titleFormat": self.title,
            "textFormat": "",
            "tagKeys": "",
            "useValueForTime": self.at_value,
        }


ALERTS = Annotation("Critical alerts", pick("ALERTS", alertstate="firing", severity="critical"), "{{alertname}}", RED)
DEPLOYMENTS = Annotation(
    "Deployments",
    f"{one('airflow_info')} unless on(version) max by(version) (last_over_time({pick('airflow_info')}[1d] offset 2m))",
    "Airflow {{version}}",
    PURPLE,
)
RESTARTS = Annotation(
    "Airflow restarts",
    f"1000 * {pick('airflow_process_oldest_start_timestamp_seconds', component='~scheduler|dag_processor|triggerer')}",
    "{{component}} started on {{instance}}",
    BLUE,
    at_value=True,
)
EXPORTER_RESTARTS = Annotation(
    "Exporter restarts",
    f"1000 * ({pick('process_start_time_seconds')} and on(instance) {pick('airflow_exporter_build_info')})",
    "exporter {{instance}} started",
    ORANGE,
    at_value=True,
)
CHANGES = (ALERTS, DEPLOYMENTS, RESTARTS, EXPORTER_RESTARTS)


def failed_runs(*, shown: bool, **labels: str) -> Annotation:
    """Times at which runs failed, by DAG."""
    gained = f"increase({pick('airflow_dag_runs_finished_total', state='failed', **labels)}[$__rate_interval])"
    return Annotation(
        "Failed runs", f"sum by(dag_id) (max without(instance, pod) ({gained})) > 0.5", "{{dag_id}} failed", RED, shown
    )
