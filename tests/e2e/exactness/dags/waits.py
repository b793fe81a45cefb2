"""Tasks that wait, as an Airflow DAG: deferred, rescheduled, softly failing, and deferred beyond their patience."""

from __future__ import annotations

import time

from e2e_compat import EVERY_TWO_MINUTES, QUICK_RETRY, EmptyOperator, PythonSensor, Wait, declare


def _third_time(**context):
    """True from the third poke on: the run's own start tells how long this try has waited."""
    return time.time() - context["dag_run"].start_date.timestamp() > 14


with declare("waits", schedule=EVERY_TWO_MINUTES, max_active_runs=2) as dag:
    deferred = Wait(task_id="deferred", seconds=8)
    twice = Wait(task_id="deferred_twice", seconds=4, times=2, pool="patient", pool_slots=1)
    impatient = Wait(task_id="impatient", seconds=60, patience=5, retries=1, retry_delay=QUICK_RETRY)
    rescheduled = PythonSensor(
        task_id="rescheduled", python_callable=_third_time, mode="reschedule", poke_interval=5, timeout=60
    )
    rescheduled_soft = PythonSensor(
        task_id="rescheduled_soft",
        python_callable=lambda: False,
        mode="reschedule",
        poke_interval=4,
        timeout=9,
        soft_fail=True,
    )
    poked_soft = PythonSensor(
        task_id="poked_soft", python_callable=lambda: False, poke_interval=1, timeout=2, soft_fail=True
    )
    too_late = PythonSensor(
        task_id="too_late",
        python_callable=lambda: False,
        mode="reschedule",
        poke_interval=4,
        timeout=6,
        retries=1,
        retry_delay=QUICK_RETRY,
    )
    done = EmptyOperator(task_id="done", trigger_rule="all_done")
    [deferred, twice, impatient, rescheduled, rescheduled_soft, poked_soft, too_late] >> done
