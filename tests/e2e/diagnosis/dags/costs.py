"""Airflow DAGs that cost more than they need to, run too rarely, or do nothing; and running tasks that are not well."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

from fault_compat import ORDERS, AirflowSkipException, declare, get_conf, hold, task, timedelta

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

with declare("too_fine", max_active_tasks=3):

    @task
    def crumb(number):
        time.sleep(0.05)

    crumb.expand(number=list(range(130)))

with declare("grows", max_active_runs=1):

    @task
    def swell():
        taken = bytearray(os.urandom(4096)) * (int(get_conf().get("megabytes", 1)) * 256)
        time.sleep(9)
        return len(taken)

    swell()

with declare("sometimes_hangs"):

    @task
    def usually_quick():
        time.sleep(2)
        if get_conf().get("hang"):
            hold()

    usually_quick()

with declare("slow_for_its_schedule", schedule=timedelta(seconds=10), max_active_runs=1):

    @task
    def too_long():
        time.sleep(35)

    too_long()

with declare("gives_up", schedule=timedelta(seconds=5), max_active_runs=1, max_consecutive_failed_dag_runs=3):

    @task
    def always_fails():
        raise TimeoutError("run after run")

    always_fails()

with declare("nothing_to_do"):

    @task
    def skip():
        raise AirflowSkipException("nothing to do")

    @task
    def after():
        return None

    skip() >> after()

with declare("catches_up", schedule=timedelta(days=1), start_date=TODAY - timedelta(days=40), catchup=True):

    @task(pool="shared")
    def old_day():
        time.sleep(30)

    old_day()

with declare("loses_its_supervisor"):

    @task
    def go_on():
        (ORDERS / "supervisor").write_text(f"{os.getppid()}")
        hold()

    go_on()

with declare("burns"):

    @task
    def burn():
        """A fixed piece of work, at low priority: what else runs on this machine goes first."""
        os.nice(19)
        while time.process_time() < 4 + int(get_conf().get("more", 0)):
            sum(range(10_000))

    burn()
