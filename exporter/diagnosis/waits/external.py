"""Sensors that wait for another DAG: whether that can come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from exporter.diagnosis.situation import DagLimits, Situation

SENSOR = "ExternalTaskSensor"
"""Beginning of the operator's name."""
MIN_SECONDS = 60.0
"""Seconds that a sensor waits before it is asked what for."""
MAX_TASKS = 3
"""Tasks of the other DAG that are named."""


class ExternalDag(NamedTuple):
    """What a sensor waits for."""

    dag_id: str
    tasks: Sequence[str] = ()
    """Empty for the whole run."""


class ExternalWait(NamedTuple):
    """What is known of such a wait."""

    facts: Sequence[str]
    suggestion: str
    escalated: bool = False
    """Whether it cannot end by itself."""


SensorKey = tuple[str, str, str, int]
"""DAG, run, task and map index."""
ExternalWaits = Mapping[SensorKey, ExternalWait]


def explain_external(name: str, external: ExternalDag, situation: Situation) -> ExternalWait:
    """Whether the DAG that a sensor (dag_id.task_id) waits for can run."""
    dag_id = external.dag_id
    tasks = ", ".join(external.tasks[:MAX_TASKS])
    what = f"it waits for {'task ' + tasks + ' of ' if tasks else ''}DAG {dag_id}"
    dags: Mapping[str, DagLimits] = situation.dags or {}
    dag = dags.get(dag_id)
    if situation.dags is not None and situation.complete and dag is None:
        return ExternalWait([f"{what}, which Airflow does not have"], f"Correct external_dag_id of {name}.", True)
    if situation.is_removed(dag_id):
        text = (
            f"Bring back the file of DAG {dag_id} (or correct its import error), or correct external_dag_id of {name}."
        )
        return ExternalWait([f"{what}, which is no longer in the DAG files"], text, True)
    if dag is not None and dag.is_paused:
        return ExternalWait([f"{what}, which is paused"], f"Unpause the DAG {dag_id}.", True)
    active = sum(run.dag_id == dag_id for run in situation.runs)
    runs = (
        f"{active} runs of it are active"
        if active > 1
        else "1 run of it is active"
        if active
        else "none of its runs is active"
    )
    text = (
        f"See in the log of {name} for which date it waits, and whether DAG {dag_id} has a run for exactly that date: "
        "if not, correct execution_delta or execution_date_fn, or the schedules."
    )
    return ExternalWait([what, runs], text)
