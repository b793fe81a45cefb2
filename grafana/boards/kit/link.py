"""Where a click leads: other dashboards, with the same time and the same Airflow, and Airflow's own pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

KEPT = "${__url_time_range}&${datasource:queryparam}&${airflow:queryparam}"


@dataclass(frozen=True)
class Link:
    """A link of a panel or of a value."""

    title: str
    url: str
    new_tab: bool = False

    def json(self) -> dict[str, Any]:
        """The link as Grafana's schema wants it."""
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
    """Another dashboard of ours, with these variables set."""
    chosen = "".join(f"&var-{name}={value}" for name, value in variables.items())
    return Link(title, f"/d/{uid}?{KEPT}{chosen}")


def airflow(title: str, path: str) -> Link:
    """A page of Airflow's user interface; its address is what the exporter is told by --airflow.public-url."""
    return Link(title, "${airflow_url}" + path, new_tab=True)


def label(name: str) -> str:
    """The label of the series that was clicked."""
    return f"${{__field.labels.{name}:percentencode}}"


def cell(column: str) -> str:
    """The cell of the row that was clicked."""
    return f'${{__data.fields["{column}"]:percentencode}}'


DAG = board("airflow-dag", "The DAG", dag_id=label("dag_id"))
DAG_OF_ROW = board("airflow-dag", "The DAG", dag_id=cell("DAG"))
TASK_OF_ROW = board("airflow-task", "The task", dag_id=cell("DAG"), task_id=cell("Task"))
POOL_OF_ROW = board("airflow-concurrency", "The pool", pool=cell("Pool"))
DAG_IN_AIRFLOW = airflow("The DAG in Airflow", f"/dags/{cell('DAG')}")
TASK_IN_AIRFLOW = airflow("The task in Airflow", f"/dags/{cell('DAG')}/tasks/{cell('Task')}")
