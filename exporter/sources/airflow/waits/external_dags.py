"""Asks Airflow for which other DAG a sensor waits."""

from __future__ import annotations

from functools import partial

from exporter.diagnosis.situation import Situation
from exporter.diagnosis.waits.external import MIN_SECONDS, SENSOR, ExternalWait, SensorKey, explain_external
from exporter.sources.airflow.waits.asks import Asks
from exporter.sources.airflow.waits.questions import QuestionBudget

LIFETIME = 3_600.0
"""Seconds for which it holds what a sensor waits for."""
MAX_PER_READING = 5
"""Sensors that are asked about in one reading."""
STATES = ("running", "up_for_reschedule", "deferred")
"""States in which a sensor waits."""


def find_external_waits(
    situation: Situation, begun: dict[SensorKey, float], questions: QuestionBudget, asks: Asks
) -> dict[SensorKey, ExternalWait]:
    """What is known of sensors that wait for another DAG. `begun` says when each first checked, in Unix seconds."""
    found = {}
    for row in situation.tasks:
        if row.state not in STATES or not row.operator.startswith(SENSOR):
            continue
        key = (row.dag_id, row.run_id, row.task_id, row.map_index)
        start = begun.get(key, row.start_date)
        if start is None or situation.now - start < MIN_SECONDS:
            continue
        answer = questions.ask(
            "external DAG", key, partial(asks.external_dag, *key), lifetime=LIFETIME, at_most=MAX_PER_READING
        )
        if answer is not None and answer.value is not None:
            found[key] = explain_external(f"{row.dag_id}.{row.task_id}", answer.value, situation)
    return found
