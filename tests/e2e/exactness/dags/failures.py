"""Tasks of an Airflow DAG that fail for good: after retries, at once, by a timeout, by a signal, through others."""

from __future__ import annotations

import os
import signal
import time
from datetime import timedelta

from e2e_compat import EVERY_MINUTE, QUICK_RETRY, AirflowFailException, EmptyOperator, current_try, declare, task

with declare("failures", schedule=EVERY_MINUTE, max_active_runs=2) as dag:

    @task(retries=1, retry_delay=QUICK_RETRY)
    def always():
        time.sleep(0.3)
        raise RuntimeError("on every try")

    @task(retries=3, retry_delay=QUICK_RETRY)
    def at_once():
        raise AirflowFailException("a retry would not help")

    @task(execution_timeout=timedelta(seconds=2))
    def too_slow():
        time.sleep(30)

    @task(retries=1, retry_delay=QUICK_RETRY)
    def killed():
        """Its first try ends without a word."""
        if current_try() == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    @task(retries=1, retry_delay=QUICK_RETRY)
    def killed_twice():
        os.kill(os.getpid(), signal.SIGKILL)

    @task
    def killed_for_good():
        os.kill(os.getpid(), signal.SIGKILL)

    @task
    def after():
        return None

    @task(trigger_rule="one_failed")
    def alarm():
        time.sleep(0.1)

    last = EmptyOperator(task_id="last")
    failing = always()
    failing >> [after(), alarm()]
    [at_once(), too_slow(), killed(), killed_twice(), killed_for_good()] >> last
