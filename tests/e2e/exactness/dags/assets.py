"""Two Airflow DAGs, one started by what the other makes."""

from __future__ import annotations

from e2e_compat import EVERY_MINUTE, Asset, declare, task

ORDERS = Asset("e2e://orders")

with declare("producer", schedule=EVERY_MINUTE, max_active_runs=1) as producer:

    @task(outlets=[ORDERS])
    def produce():
        return None

    produce()

with declare("consumer", schedule=[ORDERS]) as consumer:

    @task
    def consume():
        return None

    consume()
