"""A small web shop: orders that succeed, payments that need retries, a backup that always fails."""

import random
import time
from datetime import UTC, datetime, timedelta

try:
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task
try:
    from airflow.sdk.observability import stats
except ImportError:  # before 3.3
    from airflow.stats import Stats as stats  # noqa: N813 - the name that it has since 3.3

START = datetime(2025, 1, 1, tzinfo=UTC)


@dag(schedule=timedelta(seconds=40), start_date=START, catchup=False, tags=["demo", "shop"])
def shop_orders():
    """Runs well: one task, three mapped ones that count what they load (StatsD), one that sums up."""

    @task
    def fetch():
        time.sleep(random.uniform(0.5, 2))
        return ["north", "south", "west"]

    @task
    def load(region, ti=None):
        time.sleep(random.uniform(1, 4))
        orders = random.randint(20, 200)
        print(f"{orders} orders of the {region}")
        stats.incr("records_processed", count=orders, tags={"dag_id": ti.dag_id, "task_id": ti.task_id})
        return orders

    @task
    def report(counts):
        print("orders loaded:", sum(counts))

    report(load.expand(region=fetch()))


@dag(schedule=timedelta(seconds=30), start_date=START, catchup=False, tags=["demo", "shop"])
def shop_payments():
    """Its bank is moody: about half of the tries fail, most are saved by a retry."""

    @task(retries=3, retry_delay=timedelta(seconds=5))
    def charge():
        time.sleep(random.uniform(0.5, 2))
        if random.random() < 0.5:
            raise ConnectionError("the bank did not answer")

    @task
    def send_receipts():
        time.sleep(1)

    charge() >> send_receipts()


@dag(schedule=timedelta(seconds=60), start_date=START, catchup=False, tags=["demo", "shop"])
def shop_backup():
    """Always fails, so that something is red."""

    @task
    def dump():
        time.sleep(2)

    @task(retries=1, retry_delay=timedelta(seconds=5))
    def upload():
        raise OSError("the disk is full")

    @task
    def announce():
        print("never reached")

    dump() >> upload() >> announce()


shop_orders()
shop_payments()
shop_backup()
