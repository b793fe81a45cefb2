"""Airflow DAGs that behave until they are ordered not to: an order is a file in the folder $E2E_ORDERS."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG, task

EPOCH = datetime(2024, 1, 1)  # noqa: DTZ001 - Airflow reads a naive date as UTC
ORDERS = Path(os.environ["E2E_ORDERS"])
LONGEST = 900.0
"""Seconds after which a task gives up waiting for the end of its order."""


def declare(dag_id, seconds=None, **settings):
    """A DAG; with `seconds` it is due that often, and one run at a time goes on."""
    schedule = timedelta(seconds=seconds) if seconds else None
    settings = {"max_active_runs": 1, "catchup": False, "start_date": EPOCH, **settings}
    return DAG(dag_id=dag_id, schedule=schedule, **settings)


def is_ordered(name):
    return (ORDERS / name).exists()


def hold(name):
    """Go on as long as the order stands."""
    end = time.monotonic() + LONGEST
    while is_ordered(name) and time.monotonic() < end:
        time.sleep(0.5)


with declare("sales", 12):

    @task(owner="sales-team")  # of mapped tasks Airflow forgets the owner
    def load():
        if is_ordered("fail"):
            raise RuntimeError("ordered to fail")

    load.override(task_id="load_north")()
    load.override(task_id="load_south")()

with declare("moody", 15):

    @task(retries=40, retry_delay=timedelta(seconds=1))
    def retried(part):
        if is_ordered("retry"):
            raise RuntimeError("ordered to try again")

    retried.expand(part=[0, 1])

with declare("late", 15, tags=["critical", "slo:30s"]):

    @task(owner="finance-team")
    def report():
        hold("late")

    report()

for failing in ("flop", "flop_again"):
    with declare(failing):

        @task
        def fall(number):
            raise RuntimeError("ordered to fail")

        fall.expand(number=list(range(12)))

with declare("narrow"):

    @task(pool="narrow")
    def slot(number):
        hold("narrow")

    slot.expand(number=list(range(4)))

with declare("lost"):

    @task(pool="nowhere")
    def never():
        pass

    never()

with declare("single"):

    @task
    def keep():
        hold("single")

    keep()

with declare("few", max_active_tasks=1):

    @task
    def one_of_four(number):
        hold("few")

    one_of_four.expand(number=list(range(4)))

with declare("crowd"):

    @task
    def one_of_many(number):
        hold("crowd")

    one_of_many.expand(number=list(range(6)))
