"""Airflow DAGs of a good day: busy, now and then unlucky, sometimes more than fits in at once. None is broken.

Tasks that run often take longer than their start does, also on a busy machine.
"""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, task

LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)
YESTERDAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)


def declare(dag_id, schedule, **settings):
    settings = {"start_date": LONG_AGO, "catchup": False, "max_active_runs": 1, "tags": ["healthy"], **settings}
    return DAG(dag_id=dag_id, schedule=schedule, default_args={"owner": "office"}, **settings)


with declare("orders", "* * * * *", tags=["critical", "slo:15m"]):

    @task
    def fetch():
        time.sleep(random.uniform(6, 9))
        return ["north", "south"]

    @task(retries=2, retry_delay=timedelta(seconds=5))
    def load(region):
        """One try in eight is unlucky, and is tried again."""
        time.sleep(random.uniform(6, 9))
        if random.random() < 0.125:
            raise ConnectionError("the bank did not answer")

    load.expand(region=fetch())

with declare("ticks", timedelta(seconds=30)):

    @task
    def tick():
        time.sleep(8)

    tick()

with declare("long", timedelta(minutes=4)):

    @task
    def compute():
        time.sleep(150)

    compute()

with declare("monthly", "@monthly"):

    @task
    def close_books():
        time.sleep(1)

    close_books()

with declare("hourly", "@hourly", start_date=YESTERDAY, catchup=True, max_active_runs=3, tags=["healthy", "slo:2h"]):

    @task
    def catch_up():
        time.sleep(2)

    catch_up()

with declare("daily", "@daily", start_date=LONG_AGO):

    @task
    def summarize():
        time.sleep(2)

    summarize()

with declare("pausing", "* * * * *", tags=["healthy", "slo:5m"]):

    @task
    def wait_a_little():
        time.sleep(5)

    wait_a_little()

with declare("rush", None):

    @task(pool="counter")
    def serve(number):
        time.sleep(6)

    serve.expand(number=list(range(60)))
