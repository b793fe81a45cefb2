"""Airflow DAGs that run one after another without a pause: many cheap tries, some of which fail, skip or are retried.

Runs of `steady_...` are deleted by the test, task instances of `batch_...` are cleared and marked.
"""

from __future__ import annotations

import time

from e2e_compat import QUICK_RETRY, AirflowSkipException, EmptyOperator, current_try, declare, task


def build(dag_id, width):
    with declare(dag_id, schedule="@continuous", max_active_runs=1) as dag:

        @task
        def plan():
            return list(range(width))

        @task(retries=2, retry_delay=QUICK_RETRY)
        def part(number):
            """Of eight parts one fails once, one fails twice, one fails for good, one skips itself."""
            time.sleep(number % 3 / 10)
            kind, tries = number % 8, current_try()
            if kind == 7:
                raise AirflowSkipException("not needed")
            if (kind == 4 and tries < 2) or (kind == 5 and tries < 3) or kind == 6:
                raise RuntimeError(f"try {tries} of part {number}")

        @task(trigger_rule="all_done")
        def total():
            return None

        parts = part.expand(number=plan())
        parts >> [total(), EmptyOperator(task_id="nothing")]
    return dag


steady_0, steady_1 = build("steady_0", 16), build("steady_1", 8)
batch_0, batch_1 = build("batch_0", 8), build("batch_1", 4)
