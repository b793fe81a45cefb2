"""Airflow DAGs that are never idle: the bulk of all tries, cheap ones, one run after another."""

from __future__ import annotations

from e2e_compat import QUICK_RETRY, EmptyOperator, current_try, declare, task


def build(number):
    with declare(f"steady_{number}", schedule="@continuous", max_active_runs=1) as dag:

        @task
        def first():
            return list(range(4))

        @task(retries=1, retry_delay=QUICK_RETRY)
        def flaky(part):
            """One part in four fails on its first try."""
            if part == number and current_try() == 1:
                raise RuntimeError("unlucky")

        @task
        def last():
            return None

        flaky.expand(part=first()) >> [last(), EmptyOperator(task_id="nothing")]
    return dag


steady_0 = build(0)
steady_1 = build(1)
steady_2 = build(2)
