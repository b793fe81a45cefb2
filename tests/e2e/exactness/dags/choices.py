"""Ways in which a task of an Airflow DAG does not run: branches, short circuits, skips, empty operators."""

from __future__ import annotations

from e2e_compat import (
    EVERY_MINUTE,
    AirflowSkipException,
    EmptyOperator,
    ShortCircuitOperator,
    declare,
    task,
)

with declare("choices", schedule=EVERY_MINUTE, max_active_runs=2) as dag:
    start = EmptyOperator(task_id="start")
    end = EmptyOperator(task_id="end", trigger_rule="none_failed")

    @task.branch
    def choose():
        return "left"

    @task
    def left():
        return None

    @task
    def right():
        return None

    @task
    def skip_itself():
        raise AirflowSkipException("nothing to do")

    @task
    def never_reached():
        return None

    @task.short_circuit
    def stop_here():
        return False

    go_on = ShortCircuitOperator(task_id="go_on", python_callable=lambda: True)
    reached = EmptyOperator(task_id="reached")

    @task
    def parts():
        return []

    @task
    def each(part):
        return part

    chosen = choose()
    start >> chosen >> [left(), right()] >> end
    start >> skip_itself() >> end
    start >> stop_here() >> never_reached()
    start >> go_on >> reached >> end
    each.expand(part=parts())
