"""A small web shop: orders that succeed, payments that need retries, a backup that always fails."""

import random
import time
from datetime import UTC, datetime, timedelta

try:
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task

START = datetime(2025, 1, 1, tzinfo=UTC)


@dag(schedule=timedelta(seconds=40), start_date=START, catchup=False, tags=["demo", "shop"])
def shop_orders():
    """Runs well: one task, three mapped ones, one that sums up."""

    @task
    def fetch():
        time.sleep(random.uniform(0.5, 2))
        return ["north", "south", "west"]

    @task
    def load(region):
        time.sleep(random.uniform(1, 4))
        return len(region)

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
