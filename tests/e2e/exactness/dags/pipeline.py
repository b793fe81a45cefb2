"""An ordinary pipeline for Airflow: a setup, mapped work that is retried, a load, a teardown, as one DAG."""

from __future__ import annotations

import time

from e2e_compat import EVERY_MINUTE, QUICK_RETRY, BashOperator, TaskGroup, current_try, declare, setup, task, teardown

with declare("pipeline", schedule=EVERY_MINUTE, max_active_runs=2) as dag:

    @setup
    def make_cluster():
        time.sleep(0.2)

    @teardown
    def drop_cluster():
        time.sleep(0.1)

    @task
    def list_parts():
        return list(range(6))

    @task(retries=2, retry_delay=QUICK_RETRY)
    def load_part(part):
        """Part 1 fails once, part 2 fails twice, the others never."""
        time.sleep(0.1 * part)
        if current_try() <= {1: 1, 2: 2}.get(part, 0):
            raise RuntimeError(f"part {part} was not there yet")

    @task(retries=1, retry_delay=QUICK_RETRY, queue="reports")
    def report():
        if current_try() == 1:
            raise RuntimeError("the first report never comes out right")

    with TaskGroup("publish"):
        shell = BashOperator(task_id="shell", bash_command="sleep 0.3; echo done", queue="shell")

    cluster = make_cluster()
    cluster >> load_part.expand(part=list_parts()) >> report() >> shell >> drop_cluster().as_teardown(setups=cluster)
