"""A warehouse where much waits: a narrow pool, a DAG that may do little at a time, and one that is paused."""

import time
from datetime import UTC, datetime, timedelta

try:
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task

START = datetime(2025, 1, 1, tzinfo=UTC)


@dag(schedule=timedelta(seconds=60), start_date=START, catchup=False, tags=["demo", "warehouse"])
def warehouse_moves():
    """Six pallets, two forklifts: the pool decides who waits, priority who goes first."""

    @task(pool="forklifts", priority_weight=1)
    def move(pallet):
        time.sleep(6)
        return pallet

    @task(pool="forklifts", priority_weight=10)
    def express():
        time.sleep(3)

    move.expand(pallet=[1, 2, 3, 4, 5, 6])
    express()


@dag(
    schedule=timedelta(seconds=20),
    start_date=START,
    catchup=False,
    max_active_runs=2,
    max_active_tasks=1,
    tags=["demo", "warehouse"],
)
def warehouse_stocktaking():
    """Slower than its schedule: at most two runs at once, and one task at a time."""

    @task
    def count(shelf):
        time.sleep(5)
        return shelf

    count.expand(shelf=["a", "b", "c", "d", "e"])


@dag(
    schedule=timedelta(days=1),
    start_date=START,
    catchup=False,
    is_paused_upon_creation=True,
    tags=["demo", "warehouse"],
)
def warehouse_inventory():
    """Paused until a user unpauses it."""

    @task
    def archive():
        time.sleep(1)

    archive()


warehouse_moves()
warehouse_stocktaking()
warehouse_inventory()
