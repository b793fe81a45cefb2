"""Links to other dashboards, with the same time range and Airflow, and to Airflow's UI."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

KEPT = "${__url_time_range}&${datasource:queryparam}&${airflow:queryparam}"


@dataclass(frozen=True)
class Link:
    """A link of a dashboard, a panel or a value."""

    title: str
    url: str
    new_tab: bool = False

    def json(self) -> dict[str, Any]:
        """The link as Grafana reads it."""
        return {
            "title": self.title,
            "type": "link",
            "url": self.url,
            "targetBlank": self.new_tab,
            "icon": "external link",
            "tooltip": "",
            "tags": [],
            "asDropdown": False,
            "includeVars": False,
            "keepTime": False,
        }


def board(uid: str, title: str, **variables: str) -> Link:
    """Another dashboard, with these variables set."""
    chosen = "".join(f"&var-{name}={value}" for name, value in variables.items())
    return Link(title, f"/d/{uid}?{KEPT}{chosen}")


def airflow(title: str, path: str) -> Link:
    """A page of Airflow's UI, whose URL is set by --airflow.public-url."""
    return Link(title, "${airflow_url}" + path, new_tab=True)


def failed_log(dag_id: str, task_id: str = "") -> Link:
    """Airflow's log of the last failed try of a DAG or task: the exporter knows which it is, and redirects to it."""
    task = f"&task_id={task_id}" if task_id else ""
    return Link("Log of the last failed try", f"${{exporter_url}}/failed?dag_id={dag_id}{task}", new_tab=True)


def label(name: str) -> str:
    """A label of the clicked series."""
    return f"${{__field.labels.{name}:percentencode}}"


def cell(column: str) -> str:
    """A cell of the clicked row."""
    return f'${{__data.fields["{column}"]:percentencode}}'


AIRFLOW_OF_ROW = Link(
    "This Airflow",
    f"/d/airflow-overview?${{__url_time_range}}&${{datasource:queryparam}}&var-airflow={cell('Airflow')}",
)
DAG = board("airflow-dag", "Dashboard of the DAG", dag_id=label("dag_id"))
DAG_OF_ROW = board("airflow-dag", "Dashboard of the DAG", dag_id=cell("DAG"))
TASK_OF_ROW = board("airflow-task", "Dashboard of the task", dag_id=cell("DAG"), task_id=cell("Task"))
POOL_OF_ROW = board("airflow-concurrency", "Dashboard of the pool", pool=cell("Pool"))
DAG_IN_AIRFLOW = airflow("DAG in Airflow", f"/dags/{cell('DAG')}")
TASK_IN_AIRFLOW = airflow("Task in Airflow", f"/dags/{cell('DAG')}/tasks/{cell('Task')}")
