"""What the demo lacks: tasks that need CPU and memory, that defer, poke or wait for an asset; a retry that helps."""

import os
import time
from datetime import UTC, datetime, timedelta

from airflow.providers.standard.sensors.python import PythonSensor
from airflow.providers.standard.sensors.time_delta import TimeDeltaSensor
from airflow.sdk import Asset, dag, task

START = datetime(2025, 1, 1, tzinfo=UTC)
SALES = Asset("sales")
MEBIBYTE = 2**20


def burn(seconds):
    """Keep a CPU busy for so long."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


@dag(schedule=timedelta(seconds=90), start_date=START, catchup=False, max_active_runs=2, tags=["analytics", "slo:10m"])
def analytics_sales():
    """Waits for a query without a slot, loads much into memory, computes, and writes the asset."""
    query = TimeDeltaSensor(task_id="query", delta=timedelta(seconds=25), deferrable=True, pool="bigquery")

    @task(retries=2, retry_delay=timedelta(seconds=5))
    def load(ti=None):
        memory = bytearray(os.urandom(96 * MEBIBYTE))
        time.sleep(4)
        if ti.try_number == 1 and int(time.time()) % 3 == 0:
            raise MemoryError(f"{len(memory)} bytes are too many")

    @task
    def aggregate():
        burn(4)

    @task(outlets=[SALES])
    def publish():
        time.sleep(1)

    query >> load() >> aggregate() >> publish()


@dag(schedule=[SALES], start_date=START, catchup=False, tags=["analytics", "critical"])
def analytics_report():
    """Runs when the asset was written."""

    @task
    def render():
        burn(1)

    @task
    def send():
        time.sleep(2)

    render() >> send()


@dag(schedule=timedelta(minutes=3), start_date=START, catchup=False, max_active_runs=1, tags=["analytics"])
def analytics_import():
    """A sensor that pokes holds a slot of the worker for nothing."""
    file = PythonSensor(
        task_id="wait_for_file",
        python_callable=lambda: int(time.time()) % 120 < 15,
        poke_interval=5,
        timeout=100,
        mode="poke",
        soft_fail=True,
    )

    @task(pool="bigquery", pool_slots=1)
    def copy():
        time.sleep(6)

    file >> copy()


analytics_sales()
analytics_report()
analytics_import()
