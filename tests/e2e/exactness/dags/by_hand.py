"""Airflow DAGs that run only when the test asks: material for clearing, marking, deleting and backfilling."""

from __future__ import annotations

import time
from datetime import timedelta

import e2e_compat
from e2e_compat import QUICK_RETRY, EmptyOperator, PythonSensor, Wait, current_try, task


def declare(dag_id, **settings):
    """A DAG that goes before all others, so that the test need not wait for them."""
    return e2e_compat.declare(dag_id, default_args={"priority_weight": 100}, **settings)


with declare("on_demand", params={"fail": False, "seconds": 0.2}) as on_demand:

    @task
    def work(params=None):
        time.sleep(float(params["seconds"]))
        if params["fail"]:
            raise RuntimeError("as asked")

    @task
    def after_work():
        return None

    work() >> after_work()

with declare("first_failure", params={"fail": False}) as first_failure:

    @task
    def fails_if_asked(params=None):
        if params["fail"]:
            raise RuntimeError("for the first time")

    fails_if_asked()

with declare("never_ran_before") as never_ran:

    @task
    def fails_at_first_sight():
        raise RuntimeError("nobody has seen this task before")

    fails_at_first_sight()

with declare("interrupted") as interrupted:

    @task(retries=1, retry_delay=timedelta(minutes=1))
    def long():
        """Runs until somebody clears it; the next try is short, and comes after a while."""
        time.sleep(240 if current_try() == 1 else 0.5)

    @task
    def long_without_retries():
        time.sleep(240 if current_try() == 1 else 0.5)

    deferred = Wait(task_id="long_deferred", seconds=240, again=3)
    sensor = PythonSensor(
        task_id="long_rescheduled", python_callable=lambda: current_try() > 1, mode="reschedule", poke_interval=120
    )
    [long(), long_without_retries(), deferred, sensor] >> EmptyOperator(task_id="end")

with declare("doomed") as doomed:

    @task
    def endless():
        """Its run is deleted while it works."""
        time.sleep(240)

    @task
    def short():
        return None

    endless()
    short()

with declare("shrinking") as shrinking:

    @task
    def parts():
        """The second time there are fewer: what is left over is removed."""
        return list(range(6 if current_try() == 1 else 3))

    @task
    def each(part):
        return part

    each.expand(part=parts())

with declare("backfilled", schedule="@daily", max_active_runs=3) as backfilled:

    @task(retries=1, retry_delay=QUICK_RETRY)
    def day(ds=None):
        if current_try() == 1 and int(ds[-1]) % 2:
            raise RuntimeError("odd days fail once")

    @task
    def night():
        return None

    day() >> night()
