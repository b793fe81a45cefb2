"""DAGs for the ramp of parallelism: tasks that compute, tasks that wait, and tasks that wait in a pool."""

import time
from datetime import UTC, datetime

from airflow.sdk import dag, task

COMPUTED_SECONDS, WAITED_SECONDS = 3.0, 3.0
"""Long beside the start of a task, during which it holds a slot and does not count as running."""
BATCH = 8
"""Tasks of a run."""
ARGUMENTS = {"schedule": None, "start_date": datetime(2025, 1, 1, tzinfo=UTC), "max_active_runs": 64, "catchup": False}


@dag("ramp_cpu", **ARGUMENTS)
def compute():
    @task
    def burn(_number):
        end = time.process_time() + COMPUTED_SECONDS
        while time.process_time() < end:
            pass

    burn.expand(_number=list(range(BATCH)))


@dag("ramp_io", **ARGUMENTS)
def wait():
    @task
    def sleep(_number):
        time.sleep(WAITED_SECONDS)

    sleep.expand(_number=list(range(BATCH)))


@dag("ramp_pool", **ARGUMENTS)
def share():
    @task(pool="ramp")
    def sleep(_number):
        time.sleep(WAITED_SECONDS)

    sleep.expand(_number=list(range(BATCH)))


compute()
wait()
share()
