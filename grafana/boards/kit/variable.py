"""The variables of dashboards: drop-down lists of label values."""

from __future__ import annotations

from dataclasses import dataclass

from grafana.boards.kit.panel import DATASOURCE, Json
from grafana.boards.kit.promql import DAG_SELECTION

ON_TIME_RANGE = 2
ALPHABETICAL = 5
HIDDEN = 2


@dataclass(frozen=True)
class Variable:
    """The values of a label in Prometheus. With `multi` multi can be selected; the default is all."""

    name: str
    label: str
    description: str
    query: str
    multi: bool = False
    hidden: bool = False
    regex: str = ""
    """Splits or filters the values; with the flag g a value becomes as many as it has matches."""

    def json(self) -> Json:
        """The variable as Grafana reads it."""
        if self.name == "datasource":
            return self._datasource()
        whole = {"allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]}} if self.multi else {}
        regex = {"regex": self.regex} if self.regex else {}
        return {
            "type": "query",
            "name": self.name,
            "label": self.label,
            "description": self.description,
            "datasource": DATASOURCE,
            "query": self.query,
            "definition": self.query,
            "refresh": ON_TIME_RANGE,
            "sort": ALPHABETICAL,
            "multi": self.multi,
            "includeAll": self.multi,
            "hide": HIDDEN if self.hidden else 0,
            **regex,
            **whole,
        }

    def _datasource(self) -> Json:
        return {
            "type": "datasource",
            "name": self.name,
            "label": self.label,
            "description": self.description,
            "query": self.query,
            "hide": 0,
        }


DATASOURCE_VARIABLE = Variable(
    "datasource", "Data source", "The Prometheus data source with the metrics.", "prometheus"
)
AIRFLOW = Variable(
    "airflow",
    "Airflow",
    "The label `airflow` of the scrape configuration.",
    "label_values(airflow_exporter_build_info, airflow)",
)
COMMON = (DATASOURCE_VARIABLE, AIRFLOW)
FLEET = Variable(
    "fleet",
    "Airflows",
    "Airflows in the table Fleet.",
    "label_values(airflow_exporter_build_info, airflow)",
    multi=True,
)
EACH_OF_LIST = "/([^,]+)/g"
OWNER = Variable(
    "owner",
    "Owner",
    "Owners of the DAGs that are listed. Needs Airflow's API.",
    'label_values(airflow_dag_info{airflow="$airflow"}, owners)',
    multi=True,
    regex=EACH_OF_LIST,
)
TAG = Variable(
    "tag",
    "Tag",
    "Tags of the DAGs that are listed. Needs Airflow's API.",
    'label_values(airflow_dag_info{airflow="$airflow"}, tags)',
    multi=True,
    regex=EACH_OF_LIST,
)
SELECTION = ", ".join(f'{label}=~"{value}"' for label, value in DAG_SELECTION.items())
DAGS = (
    'label_values({__name__=~"airflow_dag_info|airflow_dag_runs_finished_total", airflow="$airflow", '
    f"{SELECTION}}}, dag_id)"
)
"""Metrics without owners and tags match while all are selected, so that StatsD alone shows its DAGs too."""
DAG_ID = Variable("dag_id", "DAG", "One DAG.", DAGS)
DAG_IDS = Variable("dag_id", "DAG", "DAGs whose waiting task instances and limits are shown.", DAGS, multi=True)
TASK_ID = Variable(
    "task_id",
    "Task",
    "One task of the DAG.",
    'label_values(airflow_task_tries_total{airflow="$airflow", dag_id="$dag_id"}, task_id)',
)
POOL = Variable(
    "pool",
    "Pool",
    "Pools whose slots are shown.",
    'label_values(airflow_pool_waiting_slots{airflow="$airflow"}, pool)',
    multi=True,
)
COMPONENT = Variable(
    "component",
    "Component",
    "Components of Airflow whose processes are shown.",
    'label_values(airflow_processes{airflow="$airflow"}, component)',
    multi=True,
)
WORKER = Variable(
    "worker",
    "Worker or host",
    "Hosts with an exporter: the label `instance`.",
    'label_values(airflow_processes{airflow="$airflow"}, instance)',
    multi=True,
)
RUNBOOKS = Variable(
    "runbooks",
    "Runbooks URL",
    "Base URL of links to runbooks, from the rule airflow:links:info in prometheus/rules/settings.yml.",
    "label_values(airflow:links:info, runbooks)",
    hidden=True,
)
EXPORTER_URL = Variable(
    "exporter_url",
    "Exporter URL",
    "Base URL of links to the pages of the exporter: --web.external-url.",
    'label_values(airflow_exporter_ui_info{airflow="$airflow"}, url)',
    hidden=True,
)
AIRFLOW_URL = Variable(
    "airflow_url",
    "Airflow URL",
    "Base URL of links to Airflow: --airflow.public-url, or --airflow.url where that is not set.",
    'label_values(airflow_ui_info{airflow="$airflow"}, url)',
    hidden=True,
)
