"""Airflow DAGs that want more than they may have: of a pool, of a DAG's tasks, of a DAG's runs, of everything."""

from __future__ import annotations

import time

from e2e_compat import EVERY_MINUTE, EVERY_TWO_MINUTES, Wait, declare, task

with declare("crowded_pool", schedule=EVERY_MINUTE, max_active_runs=1) as crowded:

    @task(pool="narrow")
    def slot(number):
        time.sleep(0.5)

    @task(pool="narrow", pool_slots=2, priority_weight=7)
    def two_slots():
        time.sleep(1)

    slot.expand(number=list(range(6)))
    two_slots()
    Wait(task_id="patient", seconds=6, pool="patient")

with declare("few_tasks", schedule=EVERY_TWO_MINUTES, max_active_tasks=2, max_active_runs=2) as few:

    @task
    def one_of_eight(number):
        time.sleep(1)

    one_of_eight.expand(number=list(range(8)))

with declare("few_runs", schedule=EVERY_MINUTE, max_active_runs=1) as runs:

    @task
    def longer_than_its_schedule():
        time.sleep(70)

    longer_than_its_schedule()

with declare("wide", schedule="*/4 * * * *", max_active_runs=1, max_active_tasks=200) as wide:

    @task
    def numbers():
        return list(range(130))

    @task(priority_weight=1)
    def tiny(number):
        return number

    tiny.expand(number=numbers())
