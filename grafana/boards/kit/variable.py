"""What a dashboard can be narrowed to."""

from __future__ import annotations

from dataclasses import dataclass

from grafana.boards.kit.panel import DATASOURCE, Json

ON_TIME_RANGE = 2
ALPHABETICAL = 5
HIDDEN = 2


@dataclass(frozen=True)
class Variable:
    """Values of a label, as found in Prometheus; with `several` more than one may be chosen, all of them at first."""

    name: str
    label: str
    description: str
    query: str
    several: bool = False
    hidden: bool = False

    def json(self) -> Json:
        """The variable as Grafana reads it."""
        if self.name == "datasource":
            return self._datasource()
        whole = {"allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]}} if self.several else {}
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
            "multi": self.several,
            "includeAll": self.several,
            "hide": HIDDEN if self.hidden else 0,
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


DATASOURCE_VARIABLE = Variable("datasource", "Data source", "The Prometheus that holds the metrics.", "prometheus")
AIRFLOW = Variable(
    "airflow",
    "Airflow",
    "Which Airflow: the label `airflow` of the scrape configuration.",
    "label_values(airflow_exporter_build_info, airflow)",
)
COMMON = (DATASOURCE_VARIABLE, AIRFLOW)
DAGS = 'label_values({__name__=~"airflow_dag_paused|airflow_dag_runs_finished_total", airflow="$airflow"}, dag_id)'
DAG_ID = Variable("dag_id", "DAG", "One DAG.", DAGS)
DAG_IDS = Variable("dag_id", "DAG", "DAGs whose waits and limits are shown.", DAGS, several=True)
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
    several=True,
)
COMPONENT = Variable(
    "component",
    "Component",
    "Parts of Airflow whose processes are shown.",
    'label_values(airflow_processes{airflow="$airflow"}, component)',
    several=True,
)
WORKER = Variable(
    "worker",
    "Worker or host",
    "Hosts that an exporter reads: the label `instance` of the scrape.",
    'label_values(airflow_processes{airflow="$airflow"}, instance)',
    several=True,
)
RUNBOOKS = Variable(
    "runbooks",
    "Runbooks' address",
    "Where links to runbooks lead: the rule airflow:links:info in prometheus/rules/settings.yml.",
    "label_values(airflow:links:info, runbooks)",
    hidden=True,
)
AIRFLOW_URL = Variable(
    "airflow_url",
    "Airflow's address",
    "Where links to Airflow lead: what the exporter is told by --airflow.public-url, else by --airflow.url.",
    'label_values(airflow_ui_info{airflow="$airflow"}, url)',
    hidden=True,
)
