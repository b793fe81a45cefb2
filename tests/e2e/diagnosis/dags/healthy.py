"""Airflow DAGs at which nothing is wrong."""

from __future__ import annotations

import time

from fault_compat import Asset, PythonSensor, declare, task, timedelta

SOLD = Asset("e2e://sold")

with declare("sells", schedule=timedelta(seconds=30), max_active_runs=1):

    @task
    def fetch():
        time.sleep(3)

    @task(outlets=[SOLD])
    def load():
        time.sleep(2)

    opens = PythonSensor(task_id="opens", mode="reschedule", poke_interval=5, timeout=60, python_callable=lambda: True)
    opens >> fetch() >> load()

with declare("counts", schedule=[SOLD], max_active_runs=2):

    @task
    def count():
        time.sleep(2)

    count()

with declare("goes_on", schedule=timedelta(seconds=60), max_active_runs=1):

    @task(retries=2, retry_delay=timedelta(seconds=5))
    def steady():
        time.sleep(4)

    steady()
